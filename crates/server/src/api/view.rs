//! What the API shows of things: the JSON shapes of docs/API.md.

use procura_domain::{AccessRequest, Caller, Relationship, Terms, relationship::Side};
use procura_issuer::{relationships::Changed, revoke::Revoked};
use procura_store::{
    agreements::{Proposal, Version},
    audit::Listed,
    break_glass::BreakGlassCode,
    clients::{Client, ResourceServer},
    delegations::Delegation,
    identity_providers::{IdentityLink, Provider},
    relationships::Link,
    running::{Count, Running},
    self_registration::InitialToken,
    users::User,
};
use procura_token::Ts;
use serde_json::{Value, json};

pub(crate) fn time(at: Option<Ts>) -> Value {
    at.map_or(Value::Null, |at| at.rfc3339().into())
}

/// A relationship, as the caller may see it: who suspended it is not the partner's to know.
pub(crate) fn relationship(r: &Relationship, caller: &Caller, now: Ts) -> Value {
    let is_partner = caller.tenant == r.partner;
    let suspended_by = r.suspended_by.filter(|side| !is_partner || *side == Side::Partner);
    json!({
        "id": r.id,
        "partner_id": r.partner,
        "customer_id": r.customer,
        "kind": r.kind,
        "origin": r.origin,
        "access_role": r.role,
        "custom_permissions": r.custom_permissions,
        "state": r.phase(now).as_str(),
        "is_active": r.is_active(now),
        "suspended_by": suspended_by,
        "access": r.access,
        "starts_at": time(r.starts_at),
        "ends_at": time(r.ends_at),
        "renews_for_days": r.renews_for_days,
        "approval": r.approval,
        "conditions": Terms::of(r).conditions,
        "assigned_to": r.conditions.assigned_to,
        "version": r.version,
    })
}

/// What the partner asks for while the relationship goes on.
pub(crate) fn proposal(proposal: &Proposal) -> Value {
    json!({
        "terms": proposal.terms,
        "reason": proposal.reason,
        "proposed_by": proposal.user,
        "proposed_at": proposal.proposed_at.rfc3339(),
        "expires_at": proposal.expires_at.rfc3339(),
    })
}

/// A version, as the caller may see it: the partner learns of the other side only what changed.
pub(crate) fn version(version: &Version, edge: &Relationship, caller: &Caller) -> Value {
    let is_partner = caller.tenant == edge.partner;
    let is_shown = !is_partner || version.side == Some(Side::Partner);
    // Whoever runs the deployment is nobody's colleague.
    let is_person_shown = is_shown && version.side != Some(Side::Operator);
    json!({
        "version": version.version,
        "at": version.at.rfc3339(),
        // What happened on the other side is none of the partner's business; that less is open now is.
        "action": if is_shown || !version.action.starts_with("incident.") {
            version.action.as_str()
        } else {
            "relationship.access"
        },
        "side": version.side.filter(|_| is_shown),
        "user_id": version.user.filter(|_| is_person_shown),
        "changes": version.changes,
        "reason": version.reason.as_ref().filter(|_| is_shown),
    })
}

/// The other end of a relationship.
pub(crate) fn link(link: &Link, now: Ts) -> Value {
    let r = &link.relationship;
    json!({
        "tenant_id": link.tenant,
        "tenant_name": link.tenant_name,
        "tenant_slug": link.tenant_slug,
        "relationship_id": r.id,
        "kind": r.kind,
        "origin": r.origin,
        "access_role": r.role,
        "state": r.phase(now).as_str(),
        "is_active": r.is_active(now),
        "access": r.access,
        "starts_at": time(r.starts_at),
        "ends_at": time(r.ends_at),
    })
}

/// A customer in a partner's list; `id` is the tenant's.
pub(crate) fn customer(link: &Link, now: Ts) -> Value {
    let r = &link.relationship;
    json!({
        "id": link.tenant,
        "name": link.tenant_name,
        "slug": link.tenant_slug,
        "relationship_id": r.id,
        "kind": r.kind,
        "access_role": r.role,
        "state": r.phase(now).as_str(),
        "is_active": r.is_active(now),
        "starts_at": time(r.starts_at),
        "ends_at": time(r.ends_at),
    })
}

/// A request to be let in, as the customer sees it.
pub(crate) fn access_request(request: &AccessRequest, now: Ts) -> Value {
    let answer = request.answer.as_ref();
    let given = answer.and_then(|answer| answer.given.as_ref());
    json!({
        "id": request.id,
        "state": request.state(now),
        "relationship_id": request.relationship,
        "partner_id": request.partner,
        "user_id": request.user,
        "api_key_id": request.key,
        "client_id": request.client,
        "audience": request.audience,
        "scope": request.scope,
        "purpose": request.purpose,
        "asked_at": request.asked_at.rfc3339(),
        "lapses_at": request.lapses_at.rfc3339(),
        "answered_at": time(answer.map(|answer| answer.at)),
        "answered_by": answer.and_then(|answer| answer.by),
        "given_scope": given.map(|given| &given.scope),
        "given_until": time(given.map(|given| given.until)),
        "ended_at": time(given.and_then(|given| given.ended_at)),
    })
}

/// The same with the names that people understand.
pub(crate) fn listed_access_request(
    listed: &procura_store::access_requests::Listed,
    now: Ts,
) -> Value {
    let mut body = access_request(&listed.request, now);
    if let Some(body) = body.as_object_mut() {
        body.insert("user_name".into(), json!(listed.user_name));
        body.insert("partner_name".into(), json!(listed.partner_name));
    }
    body
}

/// A delegation, as both sides see it.
pub(crate) fn delegation(delegation: &Delegation) -> Value {
    json!({
        "id": delegation.id,
        "user_id": delegation.user,
        "partner_id": delegation.actor_tenant,
        "tenant_id": delegation.tenant,
        "client_id": delegation.client,
        "relationship_id": delegation.relationship,
        "started_at": delegation.started_at.rfc3339(),
        "ends_at": delegation.ends_at.rfc3339(),
        "ended_at": time(delegation.ended_at),
    })
}

/// The same with the names that people understand.
pub(crate) fn running(running: &Running) -> Value {
    let mut body = delegation(&running.delegation);
    if let Some(body) = body.as_object_mut() {
        body.insert("user_name".into(), json!(running.user_name));
        body.insert("partner_name".into(), json!(running.partner_name));
        body.insert("tenant_name".into(), json!(running.customer_name));
        body.insert("client_name".into(), json!(running.client_name));
    }
    body
}

/// A code on a customer's paper. Never the code.
pub(crate) fn break_glass_code(code: &BreakGlassCode) -> Value {
    json!({
        "number": code.number,
        "state": if code.used_at.is_some() { "used" } else { "unused" },
        "created_at": code.created_at.rfc3339(),
        "used_at": time(code.used_at),
    })
}

/// How much runs.
pub(crate) fn count(count: &Count) -> Value {
    json!({
        "delegations": count.delegations,
        "people": count.people,
        "partners": count.partners,
    })
}

/// What a change killed.
pub(crate) fn revoked(revoked: Option<&Revoked>) -> Value {
    revoked.map_or(Value::Null, |r| {
        json!({
            "seq": r.seq,
            "delegations_ended": r.delegations_ended,
            "verifiers": {
                "live": r.verifiers_live,
                "confirmed": r.verifiers_confirmed,
                "elapsed_ms": r.elapsed_ms,
            },
        })
    })
}

/// A relationship after a change that can take something away.
pub(crate) fn changed(change: &Changed, caller: &Caller, now: Ts) -> Value {
    json!({
        "relationship": relationship(&change.relationship, caller, now),
        "revoked": revoked(change.revoked.as_ref()),
    })
}

/// A person. Never the password's hash.
pub(crate) fn user(user: &User) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "roles": user.roles,
        "status": user.status.as_str(),
    })
}

/// A client. Of its secrets only how long they have been there and go on.
pub(crate) fn client(client: &Client, now: Ts) -> Value {
    let live = client.secrets.iter().filter(|secret| secret.is_live(now));
    let secrets: Vec<_> = live
        .map(|secret| {
            let created_at = secret.created_at.rfc3339();
            json!({ "created_at": created_at, "expires_at": time(secret.expires_at) })
        })
        .collect();
    let mut shown = json!({
        "id": client.id,
        "tenant_id": client.tenant,
        "status": if client.is_enabled { "active" } else { "disabled" },
        "is_stopped_by_operator": client.is_stopped_by_operator,
        "version": client.version,
        "created_at": client.created_at.rfc3339(),
        "secrets": secrets,
    });
    let settings = serde_json::to_value(client.settings()).unwrap_or_default();
    if let (Some(shown), Value::Object(settings)) = (shown.as_object_mut(), settings) {
        shown.extend(settings);
    }
    shown
}

/// An initial access token. Never what is shown to register.
pub(crate) fn initial_token(token: &InitialToken, now: Ts) -> Value {
    json!({
        "id": token.id,
        "tenant_id": token.tenant,
        "name": token.name,
        "is_live": token.is_live(now),
        "uses_left": token.uses_left,
        "created_by": token.created_by,
        "created_at": token.created_at.rfc3339(),
        "expires_at": token.expires_at.rfc3339(),
        "ended_at": time(token.ended_at),
    })
}

/// A resource server; it has the id of its client.
pub(crate) fn resource_server(server: &ResourceServer) -> Value {
    json!({
        "id": server.client,
        "audience": server.audience,
        "accepts_delegated": server.accepts_delegated,
        "permissions": server.permissions,
        "version": server.version,
    })
}

/// An identity provider. Never our secret there.
pub(crate) fn provider(provider: &Provider, redirect_uri: &str) -> Value {
    let mut shown = json!({
        "id": provider.id,
        "tenant_id": provider.tenant,
        "name": provider.name,
        "idp": provider.idp,
        "issuer": provider.issuer,
        "redirect_uri": redirect_uri,
        "version": provider.version,
        "created_at": provider.created_at.rfc3339(),
    });
    let settings = serde_json::to_value(&provider.settings).unwrap_or_default();
    if let (Some(shown), Value::Object(settings)) = (shown.as_object_mut(), settings) {
        shown.extend(settings);
    }
    shown
}

/// Who of a provider is who here.
pub(crate) fn identity_link(link: &IdentityLink) -> Value {
    json!({
        "subject": link.subject,
        "user_id": link.user,
        "created_at": link.created_at.rfc3339(),
    })
}

/// An audit entry.
pub(crate) fn entry(listed: &Listed) -> Value {
    let entry = &listed.chained.entry;
    let details =
        entry.details.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "id": entry.id,
        "seq": listed.chained.seq,
        "at": entry.at.rfc3339(),
        "action": entry.action,
        "result": entry.result,
        "reason": entry.reason,
        "actor_user_id": entry.actor_user_id,
        "actor_name": listed.actor_name,
        "actor_tenant_id": entry.actor_tenant_id,
        "actor_tenant_name": listed.actor_tenant_name,
        "target_tenant_id": entry.target_tenant_id,
        "relationship_id": entry.relationship_id,
        "delegation_id": entry.delegation_id,
        "jti": entry.jti,
        "client_id": entry.client_id,
        "ip": entry.ip,
        "request_id": entry.request_id,
        "resource_type": entry.resource_type,
        "resource_id": entry.resource_id,
        "purpose": entry.purpose,
        "details": details,
    })
}
