//! A good request for each operation of the document: what completes its path, and its body.

use procura_tests::EXCHANGE;
use reqwest::Method;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{
    callers::{basic_of, key},
    canaries::MSP,
    states::{ASKED, STATES, STORED},
    world::{SCOPE, World},
};

/// What is sent.
pub enum Body {
    None,
    Json(Value),
    Form(Vec<(&'static str, String)>),
}

/// A request of one column.
pub struct Sent {
    pub method: Method,
    pub path: String,
    /// Empty: none.
    pub authorization: String,
    /// `If-Match`.
    pub version: Option<String>,
    pub body: Body,
}

/// Operations that let nobody in within this test, and why. All others let at least one column in.
pub const ONCE_ONLY: &[(&str, &str)] = &[
    ("breakGlass", "a code works once, for whoever has it: walkthrough/break_glass.rs uses some"),
    (
        "withdrawConsent",
        "it ends the very token that asks: protocol/rfc6749_refresh.rs takes one back",
    ),
];

/// What is done only to what was seen: with the version in `If-Match`.
const SEEN: &[&str] = &["shrinkRelationship", "approveRelationship"];
/// What is tried in each state. The rest is in those that differ most.
const IN_EACH: &[&str] = &[
    "getToken",
    "requestRelationship",
    "getRelationship",
    "approveRelationship",
    "declineRelationship",
    "withdrawRelationship",
    "suspendRelationship",
    "resumeRelationship",
    "endRelationship",
];

/// The states of the relationship in which an operation is tried; none: it is about something else.
pub fn states_of(name: &str, path: &str) -> &'static [&'static str] {
    match path {
        _ if IN_EACH.contains(&name) => STATES,
        _ if path.starts_with("/api/tenants/access-requests/") => ASKED,
        _ if path.starts_with("/api/v1/partner/relationships") => STORED,
        _ if path.starts_with("/api/tenants/relationship-review/") => STORED,
        _ => &[],
    }
}

/// What `{id}` and `{client}` stand for in a path.
fn thing_of(path: &str) -> &'static str {
    match path {
        _ if path.starts_with("/api/v1/partner/relationships") => "relationship",
        _ if path.starts_with("/api/tenants/relationship-review/") => "relationship",
        _ if path.starts_with("/api/tenants/access-requests/") => "request",
        _ if path.starts_with("/api/admin/tenants/") => "tenant",
        _ if path.contains("/delegations/") => "delegation",
        _ if path.starts_with("/api/tenants/users/") => "user",
        _ if path.starts_with("/api/resource-servers/") => "server",
        _ if path.starts_with("/api/identity-providers/") => "provider",
        _ if path.starts_with("/api/initial-access-tokens/") => "token",
        _ if path.starts_with("/api/policies/") => "policy",
        _ if path.starts_with("/api/api-keys/") => "key",
        _ if path.starts_with("/oauth2/register/") => "registered",
        _ => "client",
    }
}

/// The path with the things of the world in it.
fn complete(path: &str, world: &World) -> String {
    let thing = |name: &str| world.things.get(name).map_or("", String::as_str);
    let own = thing(thing_of(path));
    path.replace("{tenant}", thing("tenant"))
        .replace("{trusted}", MSP)
        .replace("{user}", thing("user"))
        .replace("{policy}", thing("policy"))
        .replace("{client}", own)
        .replace("{id}", own)
}

/// The request of a column, for an operation of the document; `None` where it needs a body and nobody has
/// said which.
pub fn sent(
    (name, method, path): (&str, &Method, &str),
    needs_body: bool,
    column: &str,
    world: &World,
) -> Option<Sent> {
    let mut authorization = world.authorizations[column].clone();
    let mut whole = complete(path, world);
    let body = match name {
        "getToken" => {
            let form = exchange(column, &authorization, world);
            // The token is in the form, and its client says who it is.
            if !matches!(column, "anon" | "rsrv" | "soft") {
                authorization = basic_of(&world.house, "portal");
            }
            Body::Form(form)
        }
        "authorize" => {
            let query = Serializer::new(String::new()).extend_pairs(request(world)).finish();
            whole = format!("{whole}?{query}");
            Body::None
        }
        // Nobody knows a code by chance.
        "requestRelationship" if column == "strp" => {
            let mut wish = world.wish();
            wish["partner_code"] = world.code.chars().rev().collect::<String>().into();
            Body::Json(wish)
        }
        _ => body(name, needs_body, world)?,
    };
    let version = world.things.get("version").filter(|_| SEEN.contains(&name)).cloned();
    Some(Sent { method: method.clone(), path: whole, authorization, version, body })
}

/// What a portal sends to come into the customer with somebody's token.
fn exchange(column: &str, authorization: &str, world: &World) -> Vec<(&'static str, String)> {
    let subject = authorization.strip_prefix("Bearer ").unwrap_or_default();
    let kind = if column == "akey" {
        "urn:procura:token-type:api-key"
    } else {
        "urn:ietf:params:oauth:token-type:access_token"
    };
    vec![
        ("grant_type", EXCHANGE.to_owned()),
        ("subject_token", subject.to_owned()),
        ("subject_token_type", kind.to_owned()),
        ("tenant_id", world.things["tenant"].clone()),
        ("scope", SCOPE.to_owned()),
    ]
}

/// The body of an operation that lets software in.
fn for_software(name: &str, world: &World) -> Option<Value> {
    Some(match name {
        "makeApiKey" => key(&world.house, "partner.reports.usage.read"),
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
fn body(name: &str, needs_one: bool, world: &World) -> Option<Body> {
    let number = world.next();
    if let Some(json) = for_software(name, world) {
        return Some(Body::Json(json));
    }
    let json = match name {
        "requestRelationship" => world.wish(),
        "changeRelationship" => json!({ "access_role": "auditor" }),
        "extendRelationship" => json!({ "ends_at": "2092-01-01T00:00:00Z" }),
        "assignPeople" => json!({ "user_ids": null }),
        "previewRelationship" => json!({ "step": "end" }),
        "previewPartnerAccess" => json!({ "mode": "off" }),
        "explain" => json!({
            "user_id": world.things["pam"],
            "tenant": world.things["tenant"],
            "client_id": world.house.demo().clients["portal"].client_id,
            "scope": SCOPE,
        }),
        // Whoever else is there is still needed.
        "declareIncident" => json!({ "partner_id": world.things["elsewhere"] }),
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
        "registerItself" => json!({ "redirect_uris": ["https://app.example/callback"] }),
        "updateOwnRegistration" => json!({
            "client_id": world.things["registered"],
            "redirect_uris": ["https://app.example/callback"],
        }),
        "reportEvent" => json!({ "jti": world.things["jti"], "action": "invoice.read" }),
        "acknowledge" => json!({ "verifier": "v", "incarnation": "i", "applied": 0 }),
        "addPolicy" => json!({ "name": format!("Other {number}"), "rules": policy_rules() }),
        "updatePolicy" => json!({ "name": "Canary-9f", "rules": policy_rules() }),
        _ => return form(name, world).or_else(|| (!needs_one).then_some(Body::None)),
    };
    Some(Body::Json(json))
}

/// The form of an operation that takes one. Where the client says in it who it is, nobody has to.
fn form(name: &str, world: &World) -> Option<Body> {
    let fields = match name {
        "introspectToken" | "revokeToken" => vec![("token", "unknown".into())],
        "authorizeByPost" => request(world),
        "pushAuthorizationRequest" => {
            let secret = world.house.demo().clients["portal"].client_secret.clone();
            let mut fields = request(world);
            fields.push(("client_secret", secret.expect("a secret")));
            fields
        }
        "beginDevice" => {
            let device = world.things["device"].clone();
            vec![("client_id", device), ("scope", "openid".into())]
        }
        "postUserinfo" | "logOutByPost" => Vec::new(),
        _ => return None,
    };
    Some(Body::Form(fields))
}

/// How the portal sends a browser to log in.
fn request(world: &World) -> Vec<(&'static str, String)> {
    let portal = &world.house.demo().clients["portal"];
    vec![
        ("client_id", portal.client_id.clone()),
        ("redirect_uri", portal.redirect_uri.clone().expect("a redirect URI")),
        ("response_type", "code".into()),
        ("scope", "openid".into()),
        // The hash of a verifier that nobody needs.
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into()),
        ("code_challenge_method", "S256".into()),
    ]
}

fn policy_rules() -> Value {
    json!({ "session_max_secs": 86_400, "password_min_length": 14 })
}

/// Puts what an operation is about into the state in which it is possible.
pub async fn prepare(name: &str, state: Option<&str>, world: &mut World) {
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
            let body = key(&world.house, "partner.reports.usage.read");
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
        "getAccessRequest"
        | "approveAccessRequest"
        | "declineAccessRequest"
        | "endAccessRequest" => {
            asked(world, name == "endAccessRequest").await;
            world.leave_for(state.expect("it has states")).await;
        }
        _ if SEEN.contains(&name) => {
            let path = format!("/api/v1/partner/relationships/{}", world.things["relationship"]);
            let shown = world.ada.get(&path).await.expect(200).json();
            world.keep("version", format!("\"{}\"", shown["version"]));
        }
        "registerItself" => {
            let token = initial_token(world).await;
            world.authorizations.insert("soft", format!("Bearer {token}"));
        }
        "getOwnRegistration" | "updateOwnRegistration" | "deleteOwnRegistration" => {
            registered(world).await;
        }
        "changePartnerCode" => world.look_at_code().await,
        "endDelegationIn" | "endDelegationOf" => world.enter().await,
        "deletePolicy" | "applyPolicy" | "removePolicy" => a_policy(world, name).await,
        _ => {}
    }
}

/// Somebody waits to be let in, or was.
async fn asked(world: &mut World, is_let_in: bool) {
    world.be_asked().await;
    if is_let_in {
        let path = format!("/api/tenants/access-requests/{}/approve", world.things["request"]);
        world.ada.step(&path).await.expect(200);
    }
}

async fn initial_token(world: &World) -> String {
    let body = json!({ "name": "For software" });
    world.root.post("/api/initial-access-tokens", &body).await.expect(201).string("token")
}

/// Software that has registered itself, and looks after that.
async fn registered(world: &mut World) {
    let authorization = format!("Bearer {}", initial_token(world).await);
    let sent = Sent {
        method: Method::POST,
        path: "/oauth2/register".into(),
        authorization,
        version: None,
        body: body("registerItself", true, world).expect("a body"),
    };
    let made = world.send(&sent).await;
    world.keep("registered", made.expect(201).string("client_id"));
    let token = made.string("registration_access_token");
    world.authorizations.insert("soft", format!("Bearer {token}"));
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
