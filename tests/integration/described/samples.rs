//! A good request for each operation of the document: what completes its path, and its body.

use serde_json::{Value, json};

use super::world::World;

/// What is sent.
pub enum Body {
    None,
    Json(Value),
    Form(Vec<(&'static str, String)>),
}

/// Operations about a relationship: they are tried in each state of it.
pub fn is_about_a_relationship(path: &str) -> bool {
    path.starts_with("/api/v1/partner/relationships")
        || path.starts_with("/api/tenants/relationship-review/")
}

/// The path with the things of the world in it.
pub fn complete(path: &str, world: &World) -> String {
    let thing = match path {
        _ if is_about_a_relationship(path) => "relationship",
        _ if path.starts_with("/api/tenants/access-requests/") => "request",
        _ if path.starts_with("/api/admin/tenants/") => "tenant",
        _ if path.contains("/delegations/") => "delegation",
        _ if path.starts_with("/api/tenants/users/") => "user",
        _ if path.starts_with("/api/resource-servers/") => "server",
        _ if path.starts_with("/api/identity-providers/") => "provider",
        _ if path.starts_with("/api/initial-access-tokens/") => "token",
        _ if path.starts_with("/api/policies/") => "policy",
        _ if path.starts_with("/api/api-keys/") => "key",
        _ => "client",
    };
    let thing = world.things.get(thing).map_or("", String::as_str);
    path.replace("{tenant}", &world.things["tenant"])
        .replace("{trusted}", "msp")
        .replace("{user}", &world.things["user"])
        .replace("{client}", &world.things["client"])
        .replace("{policy}", &world.things["policy"])
        .replace("{id}", thing)
}

/// The body of an operation that lets software in.
fn for_software(name: &str, world: &World) -> Option<Value> {
    Some(match name {
        "makeApiKey" => world.key("partner.reports.usage.read"),
        "makeInitialAccessToken" => {
            json!({ "name": "Canary-9f", "tenant_id": world.things["tenant"] })
        }
        "registerClient" => json!({
            "name": "An App",
            "redirect_uris": ["https://app.example/callback"],
            "grant_types": ["authorization_code"],
        }),
        _ => return None,
    })
}

/// The body of an operation; `None` where it needs one and nobody has said which.
pub fn body(name: &str, needs_one: bool, world: &mut World) -> Option<Body> {
    let number = world.next();
    if let Some(json) = for_software(name, world) {
        return Some(Body::Json(json));
    }
    let json = match name {
        "requestRelationship" => world.wish(),
        "changeRelationship" => json!({ "access_role": "auditor" }),
        "extendRelationship" => json!({ "ends_at": "2040-01-01T00:00:00Z" }),
        "assignPeople" => json!({ "user_ids": null }),
        "previewRelationship" => json!({ "step": "end" }),
        "previewPartnerAccess" => json!({ "mode": "off" }),
        "explain" => json!({ "token": "unknown" }),
        "declareIncident" => json!({ "partner_id": "ten_00000000000000000000000000000000" }),
        "breakGlass" => json!({ "tenant": "nobody", "code": "0000-0000-0000-0000" }),
        "setReview" => json!({ "review_due": "2027-06-01T00:00:00Z" }),
        "switchPartnerAccess" => json!({ "mode": "on" }),
        "provisionTenant" => {
            json!({ "name": "A New One", "admin_email": format!("new-{number}@new.test") })
        }
        "setQuotas" => json!({ "delegated_tokens_received_per_day": 1_000_000 }),
        "updateClient" => json!({ "name": "Canary-9f Other" }),
        "addResourceServer" => json!({
            "audience": format!("https://api-{number}.example"),
            "client_id": world.things["client"],
        }),
        "updateResourceServer" => json!({ "accepts_delegated": true }),
        "addIdentityProvider" => json!({
            "name": format!("canary-9f-{number}"),
            "title": "Canary-9f",
            "issuer": "https://login.example",
            "client_id": "procura",
            "client_secret": "a-secret-of-twenty-characters-or-more",
            "tenant_id": world.things["tenant"],
        }),
        "updateIdentityProvider" => json!({ "title": "Canary-9f" }),
        "addIdentityLink" => {
            json!({ "subject": format!("s-{number}"), "user_id": world.things["user"] })
        }
        "registerItself" | "updateOwnRegistration" => {
            json!({ "redirect_uris": ["https://app.example/callback"] })
        }
        "reportEvent" => json!({ "jti": "unknown", "action": "invoice.read" }),
        "acknowledge" => json!({ "verifier": "v", "incarnation": "i", "applied": 0 }),
        "addPolicy" => json!({ "name": format!("Other {number}"), "rules": policy_rules() }),
        "updatePolicy" => json!({ "name": "Canary-9f", "rules": policy_rules() }),
        _ => return form(name).or_else(|| (!needs_one).then_some(Body::None)),
    };
    Some(Body::Json(json))
}

/// The form of an operation that takes one.
fn form(name: &str) -> Option<Body> {
    let fields = match name {
        "getToken" => vec![("grant_type", "client_credentials".into())],
        "introspectToken" | "revokeToken" => vec![("token", "unknown".into())],
        "pushAuthorizationRequest"
        | "beginDevice"
        | "postUserinfo"
        | "authorizeByPost"
        | "logOutByPost" => Vec::new(),
        _ => return None,
    };
    Some(Body::Form(fields))
}

fn policy_rules() -> Value {
    json!({ "session_max_secs": 86_400, "password_min_length": 14 })
}

/// Puts what an operation is about into the state in which it is possible.
pub async fn prepare(name: &str, world: &mut World) {
    let tenant = world.things["tenant"].clone();
    let number = world.next();
    match name {
        "updateClient" | "deleteClient" | "disableClient" | "enableClient"
        | "rotateClientSecret" | "addResourceServer" => fresh_client(world, &tenant).await,
        "updateResourceServer" | "removeResourceServer" => {
            fresh_client(world, &tenant).await;
            let body = json!({ "audience": format!("https://of-{number}.example"),
                               "client_id": world.things["client"] });
            world.make("server", "/api/resource-servers", &body).await;
        }
        "addIdentityLink"
        | "removeIdentityLink"
        | "updateIdentityProvider"
        | "removeIdentityProvider" => fresh_provider(world, (&tenant, number), name).await,
        "endApiKey" => {
            let body = world.key("partner.reports.usage.read");
            let made = world.partner.post("/api/api-keys", &body).await;
            world.keep("key", made.expect(201).string("id"));
        }
        "endInitialAccessToken" => {
            let body = json!({ "name": "Canary-9f", "tenant_id": tenant });
            world.make("token", "/api/initial-access-tokens", &body).await;
        }
        "disableUser" | "enableUser" => {
            let other = if name == "disableUser" { "enable" } else { "disable" };
            let path = format!("/api/tenants/users/{}/{other}", world.things["user"]);
            world.ada.step(&path).await;
        }
        "getAccessRequest" | "approveAccessRequest" | "declineAccessRequest" => {
            world.be_asked().await;
        }
        "endAccessRequest" => {
            world.be_asked().await;
            let path = format!("/api/tenants/access-requests/{}/approve", world.things["request"]);
            world.ada.step(&path).await.expect(200);
        }
        "changePartnerCode" => world.look_at_code().await,
        "endDelegationIn" | "endDelegationOf" => world.enter().await,
        "deletePolicy" | "applyPolicy" | "removePolicy" => a_policy(world, name).await,
        _ => {}
    }
}

/// One that is there, and holds where it is to be removed.
async fn a_policy(world: &mut World, name: &str) {
    let id = world.things["policy"].clone();
    if world.ada.get(&format!("/api/policies/{id}")).await.status == 404 {
        world.write_policy().await;
    }
    let path =
        format!("/api/tenants/{}/policies/{}", world.things["tenant"], world.things["policy"]);
    if name == "removePolicy" {
        world.ada.put_bare(&path).await.expect(200);
    } else {
        world.ada.delete(&path).await;
    }
}

async fn fresh_client(world: &mut World, tenant: &str) {
    let body = json!({
        "name": "Canary-9f Fresh",
        "tenant_id": tenant,
        "redirect_uris": ["https://canary-9f.example/callback"],
        "grant_types": ["authorization_code"],
        "scope": "openid",
    });
    world.make("client", "/api/clients", &body).await;
}

async fn fresh_provider(world: &mut World, (tenant, number): (&str, u32), name: &str) {
    let body = json!({
        "name": format!("canary-9f-p{number}"),
        "title": "Canary-9f",
        "issuer": "https://idp.canary-9f.example",
        "client_id": "procura",
        "client_secret": "a-secret-of-twenty-characters-or-more",
        "tenant_id": tenant,
    });
    world.make("provider", "/api/identity-providers", &body).await;
    if name == "removeIdentityLink" {
        let path = format!("/api/identity-providers/{}/links", world.things["provider"]);
        let link = json!({ "subject": "canary-9f-subject", "user_id": world.things["user"] });
        world.root.post(&path, &link).await.expect(201);
    }
}
