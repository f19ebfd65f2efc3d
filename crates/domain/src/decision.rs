//! The decision: may this user act in that tenant now, and with what. The only place where it is
//! decided. The laws that it obeys are tests in `tests/laws.rs` and `tests/oracle.rs`.

use std::{borrow::Cow, net::IpAddr};

use procura_token::{AccessRequestId, Purpose, RelationshipId, Scope, TenantId, Ts, UserId};

use crate::{
    access_request::{AccessRequest, RequestState},
    api_key::ByKey,
    permission::{self, Permissions, UNMASK_PII},
    quota::Counted,
    refusal::Refusal,
    relationship::{
        Access, Approval, Phase, Relationship, RelationshipKind, RelationshipState, acr_rank,
    },
    roles::UserRole,
    tenant::TenantStatus,
};

/// What somebody wants: taken from the request and from the verified subject token, before any
/// state is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The person.
    pub user: UserId,
    /// The person's own tenant, as the subject token names it.
    pub home: TenantId,
    /// The tenant to act in; `None` where the name given is no id of a tenant.
    pub target: Option<TenantId>,
    /// Whether the subject token permits switching at all.
    pub may_switch: bool,
    /// The permissions asked for; `None`: the default of the relationship.
    pub scope: Option<Scope>,
    /// Why.
    pub purpose: Option<Purpose>,
    /// How strongly the user authenticated. Of no account with a key, as all that follows of a login.
    pub acr: Option<String>,
    /// When the user authenticated.
    pub auth_time: Option<Ts>,
    /// Through which identity provider.
    pub idp: Option<String>,
    /// From which address it is asked for.
    pub ip: Option<IpAddr>,
    /// By which key it is asked for; `None` where somebody is logged in.
    pub key: Option<ByKey>,
}

impl Wish {
    /// What a login says, where there is one: a key proves nobody's presence, whatever stands beside it.
    fn of_login<'a, T: ?Sized>(&'a self, said: Option<&'a T>) -> Option<&'a T> {
        said.filter(|_| self.key.is_none())
    }
}

/// The client as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFacts {
    /// Enabled, and unchanged since it was authenticated.
    pub is_usable: bool,
    /// The most that it may ask for.
    pub permissions: Permissions,
}

/// The person, the login and the person's own tenant as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectFacts {
    /// A key of the subject token was revoked after it was issued.
    pub is_revoked: bool,
    /// When the login session ends; `None` where it is over or never was.
    pub session_ends_at: Option<Ts>,
    /// Neither disabled nor deleted.
    pub is_active: bool,
    /// Ends with the person's contract, where that is known.
    pub ends_at: Option<Ts>,
    /// Roles in the own tenant.
    pub roles: Vec<UserRole>,
    /// The own tenant.
    pub home: TenantStatus,
}

/// The tenant to act in as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetFacts {
    /// Which one.
    pub id: TenantId,
    /// Where it stands.
    pub status: TenantStatus,
    /// Its access switch.
    pub access: Access,
}

/// Everything the decision depends on, loaded in one read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The client.
    pub client: ClientFacts,
    /// Who asks.
    pub subject: SubjectFacts,
    /// What the resource server understands; `None` where the audience is unknown, takes no
    /// delegated tokens, or is not for this client.
    pub audience: Option<Permissions>,
    /// Where to act; `None` where there is no such tenant.
    pub target: Option<TargetFacts>,
    /// The current edges from any tenant to any other that were found for this wish, at most one of
    /// each kind and pair. Edges that do not lead from home to target are ignored.
    pub relationships: Vec<Relationship>,
    /// What this person has lately asked for through this client at this audience, under edges of which the
    /// customer approves each use.
    pub access_requests: Vec<AccessRequest>,
    /// Delegated tokens of today that the person's tenant was given, wherever.
    pub partner_tokens: Counted,
    /// Delegated tokens of today for the target, of whichever partners.
    pub customer_tokens: Counted,
}

/// Bounds that the deployment sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Life of a delegated token in seconds; at most [`Limits::MAX_TTL_SECS`].
    pub ttl_secs: i64,
}

impl Limits {
    /// No delegated token lives longer, whatever is configured.
    pub const MAX_TTL_SECS: i64 = 900;
}

/// What was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    /// The tenant to act in.
    pub tenant: TenantId,
    /// Under which relationship.
    pub relationship: RelationshipId,
    /// Exactly these permissions.
    pub scope: Scope,
    /// The roles by which the user entered.
    pub roles: Vec<UserRole>,
    /// End of the token.
    pub expires_at: Ts,
    /// End of the delegation: as long as it can be renewed by exchanging again.
    pub delegation_ends_at: Ts,
    /// The requests whose approval it takes, where the customer approves each time.
    pub access_requests: Vec<AccessRequestId>,
}

/// Decides. Pure and total; the checks stand in the order in which a refusal may become visible:
/// whatever would tell something about the target comes before whatever only an established
/// relationship may answer.
pub fn decide(facts: &Facts, wish: &Wish, limits: Limits, now: Ts) -> Result<Mandate, Refusal> {
    if !facts.client.is_usable {
        return Err(Refusal::ClientUnusable);
    }
    let session_ends_at = subject(&facts.subject, wish, now)?;
    let audience = facts.audience.as_ref().ok_or(Refusal::AudienceNotAllowed)?;
    let target = target(facts, wish)?;
    let case = Case { facts, wish, audience, target, session_ends_at, limits, now };

    // A partner may hold an edge of each kind. The first that grants wins; if none does, the answer
    // is that of the edge that came furthest, so that a trust that never was hides no step-up.
    let mut refusals = Vec::new();
    for kind in [RelationshipKind::Manages, RelationshipKind::Trust] {
        let edge = facts
            .relationships
            .iter()
            .find(|r| r.kind == kind && r.partner == wish.home && r.customer == target.id);
        let Some(edge) = edge else { continue };
        match grant(edge, &case) {
            Ok(mandate) => return Ok(mandate),
            Err(refusal) => refusals.push(refusal),
        }
    }
    Err(refusals.into_iter().max().unwrap_or(Refusal::NoRelationship))
}

/// What this edge grants.
fn grant(edge: &Relationship, case: &Case<'_>) -> Result<Mandate, Refusal> {
    let roles = enter(edge, case)?;
    let scope = scope(edge, &roles, case)?;
    // Before the customer is asked: a yes is of no use to whoever is given nothing today.
    quotas(case.facts)?;
    mandate(edge, approved(edge, scope, case)?, roles, case)
}

/// What is the same for every edge.
struct Case<'a> {
    facts: &'a Facts,
    wish: &'a Wish,
    audience: &'a Permissions,
    target: TargetFacts,
    session_ends_at: Ts,
    limits: Limits,
    now: Ts,
}

/// Is the person still who may ask? Answers when the login ends.
fn subject(subject: &SubjectFacts, wish: &Wish, now: Ts) -> Result<Ts, Refusal> {
    if subject.is_revoked {
        return Err(Refusal::SubjectRevoked);
    }
    let session_ends_at = subject.session_ends_at.filter(|end| now < *end);
    let session_ends_at = session_ends_at.ok_or(Refusal::SessionEnded)?;
    if !subject.is_active || subject.ends_at.is_some_and(|end| now >= end) {
        return Err(Refusal::UserInactive);
    }
    if subject.home != TenantStatus::Active {
        return Err(Refusal::HomeTenantInactive);
    }
    if !wish.may_switch {
        return Err(Refusal::SwitchNotPermitted);
    }
    if wish.key.as_ref().is_some_and(|key| !key.bounds.admit(wish.ip)) {
        return Err(Refusal::KeyNetworkNotAdmitted);
    }
    Ok(session_ends_at)
}

/// Is there a tenant to enter?
fn target(facts: &Facts, wish: &Wish) -> Result<TargetFacts, Refusal> {
    let target =
        facts.target.filter(|t| Some(t.id) == wish.target).ok_or(Refusal::TenantUnknown)?;
    if target.id == wish.home {
        return Err(Refusal::TenantIsHome);
    }
    if target.status != TenantStatus::Active {
        return Err(Refusal::TenantInactive);
    }
    if wish.key.as_ref().is_some_and(|key| !key.bounds.are_for(Some(target.id))) {
        return Err(Refusal::KeyNotForTenant);
    }
    Ok(target)
}

/// May this person enter under this edge now? Answers the roles that fit.
fn enter(edge: &Relationship, case: &Case<'_>) -> Result<Vec<UserRole>, Refusal> {
    let Case { facts, wish, target, now, .. } = *case;
    match edge.phase(now) {
        Phase::Stored(RelationshipState::Active) => {}
        Phase::Stored(RelationshipState::Requested) => return Err(Refusal::RelationshipRequested),
        Phase::Stored(RelationshipState::Declined | RelationshipState::Expired) => {
            return Err(Refusal::RelationshipDeclined);
        }
        Phase::Stored(RelationshipState::Suspended) => return Err(Refusal::RelationshipSuspended),
        Phase::Stored(RelationshipState::Ended) | Phase::Expired => {
            return Err(Refusal::RelationshipEnded);
        }
        Phase::Scheduled => return Err(Refusal::RelationshipNotStarted),
    }
    if target.access.min(edge.access) == Access::Off {
        return Err(Refusal::PartnerAccessOff);
    }
    // What somebody is at home beside being a partner's is not lent to a program.
    let counts = |role: &UserRole| wish.key.is_none() || role.is_partner_role();
    let fits = |role: &UserRole| counts(role) && role.reach(edge.kind).is_some();
    let roles: Vec<_> = facts.subject.roles.iter().copied().filter(fits).collect();
    if roles.is_empty() {
        return Err(Refusal::RoleNotCovered);
    }
    let conditions = &edge.conditions;
    if !conditions.are_for(wish.user) {
        return Err(Refusal::NotAssigned);
    }
    if !conditions.trust(wish.of_login(wish.idp.as_deref())) {
        return Err(Refusal::IdpNotTrusted);
    }

    // From here on the relationship is established as active for this user: answers may differ.
    if wish.key.is_some() && !conditions.allow_automation {
        return Err(Refusal::AutomationNotAllowed);
    }
    // A demand that nobody knows is met by nobody: read as the weakest, it would demand nothing.
    let rank = |acr: Option<&str>| acr.map_or(0, acr_rank);
    let demanded = rank(conditions.min_acr.as_deref());
    let held = rank(wish.of_login(wish.acr.as_deref()));
    let is_too_weak = conditions.min_acr.is_some() && (demanded == 0 || held < demanded);
    let is_too_old = conditions.max_age_secs.is_some_and(|max_age| {
        wish.of_login(wish.auth_time.as_ref())
            .is_none_or(|at| now >= at.plus_secs(max_age.saturating_add(1)))
    });
    if is_too_weak || is_too_old {
        return Err(Refusal::StepUpRequired);
    }
    if !conditions.admit(wish.ip) {
        return Err(Refusal::NetworkNotAdmitted);
    }
    if conditions.hours.as_ref().is_some_and(|hours| !hours.are_open(now)) {
        return Err(Refusal::OutsideHours);
    }
    if conditions.require_purpose && wish.purpose.is_none() {
        return Err(Refusal::PurposeRequired);
    }
    Ok(roles)
}

/// requested ∩ key ∩ roles ∩ relationship ∩ client ∩ audience ∩ switch ceiling − never-delegable. Each by
/// its own name: a pattern in a token would stand for what is below it, the never-delegable too.
fn scope(edge: &Relationship, roles: &[UserRole], case: &Case<'_>) -> Result<Scope, Refusal> {
    let Case { facts, wish, audience, target, .. } = *case;
    let held = edge.permissions();
    let asked = match (&wish.scope, &edge.custom_permissions) {
        (Some(asked), _) => Cow::Borrowed(asked),
        (None, Some(custom)) => Cow::Owned(custom.exact().filtered(permission::is_read_only)),
        (None, None) => Cow::Owned(edge.role.default_scope().exact()),
    };
    let reach: Vec<_> = roles.iter().filter_map(|role| role.reach(edge.kind)).collect();
    let is_restricted = target.access.min(edge.access) == Access::Restricted;
    let granted = asked.filtered(|p| {
        reach.iter().any(|set| set.allows(p))
            && held.allows(p)
            && wish.key.as_ref().is_none_or(|key| key.bounds.allow(p))
            && facts.client.permissions.allows(p)
            && audience.allows(p)
            && (!is_restricted || permission::is_read_only(p))
            && (p != UNMASK_PII || wish.purpose.is_some())
            && !permission::is_never_delegable(p)
            && !permission::is_pattern(p)
    });
    if granted.is_empty() { Err(Refusal::NoScopeLeft) } else { Ok(granted) }
}

/// A token counts for both tenants. Whichever has used up its day refuses.
fn quotas(facts: &Facts) -> Result<(), Refusal> {
    if facts.partner_tokens.is_used_up() {
        return Err(Refusal::PartnerQuotaUsedUp);
    }
    if facts.customer_tokens.is_used_up() {
        return Err(Refusal::CustomerQuotaUsedUp);
    }
    Ok(())
}

/// What the customer has approved of a scope, where it approves each time.
struct Approved {
    scope: Scope,
    until: Option<Ts>,
    requests: Vec<AccessRequestId>,
}

/// Asked for last, because the customer is shown exactly what would be granted, and nothing that could not
/// be. A permission can be used as long as any yes that runs gives it; several together as long as all can.
fn approved(edge: &Relationship, scope: Scope, case: &Case<'_>) -> Result<Approved, Refusal> {
    let Case { facts, wish, now, .. } = *case;
    if edge.approval == Approval::Standing {
        return Ok(Approved { scope, until: None, requests: Vec::new() });
    }
    let key = wish.key.as_ref().map(|key| key.id);
    let is_about =
        |r: &&AccessRequest| r.relationship == edge.id && r.purpose == wish.purpose && r.key == key;
    let requests: Vec<_> = facts.access_requests.iter().filter(is_about).collect();
    let end_of = |p: &str| {
        let running = requests.iter().filter_map(|r| r.running(now));
        running.filter(|given| given.scope.contains(p)).map(|given| given.until).max()
    };
    let granted = scope.filtered(|p| end_of(p).is_some());
    if let Some(until) = granted.iter().filter_map(end_of).min() {
        let gives = |r: &&&AccessRequest| {
            let given = r.running(now);
            given.is_some_and(|given| granted.iter().any(|p| given.scope.contains(p)))
        };
        let requests = requests.iter().filter(gives).map(|r| r.id).collect();
        return Ok(Approved { scope: granted, until: Some(until), requests });
    }
    let covering = requests.iter().filter(|r| scope.is_subset(&r.scope));
    let answers = covering.map(|r| match r.state(now) {
        RequestState::Waiting => Refusal::ApprovalPending,
        _ if !r.is_refused_lately(now) => Refusal::ApprovalRequired,
        RequestState::Unanswered => Refusal::ApprovalUnanswered,
        _ => Refusal::ApprovalDeclined,
    });
    Err(answers.max().unwrap_or(Refusal::ApprovalRequired))
}

/// exp = min(now + ttl, session end, relationship end, user end, end of the customer's yes, end of its
/// hours), in whole seconds.
fn mandate(
    edge: &Relationship,
    approved: Approved,
    roles: Vec<UserRole>,
    case: &Case<'_>,
) -> Result<Mandate, Refusal> {
    let Case { facts, session_ends_at, limits, now, .. } = *case;
    let ends = [Some(session_ends_at), edge.ends_at, facts.subject.ends_at, approved.until];
    let delegation_ends_at = ends.into_iter().flatten().min().unwrap_or(session_ends_at);
    let ttl = limits.ttl_secs.clamp(0, Limits::MAX_TTL_SECS);
    let end = now.plus_secs(ttl).min(delegation_ends_at);
    let hours = edge.conditions.hours.as_ref();
    let end = hours.and_then(|hours| hours.close_before(now, end)).unwrap_or(end);
    let expires_at = Ts::from_secs(end.secs());
    if expires_at <= now {
        return Err(Refusal::NoTimeLeft);
    }
    Ok(Mandate {
        tenant: edge.customer,
        relationship: edge.id,
        scope: approved.scope,
        roles,
        expires_at,
        delegation_ends_at,
        access_requests: approved.requests,
    })
}
