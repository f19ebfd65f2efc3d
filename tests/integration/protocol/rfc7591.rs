//! RFC 7591 and OpenID Connect Dynamic Client Registration 1.0: software registers itself, where the
//! operator lets it, as what the operator lets it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, routing::get};
use procura_tests::{House, Signer, form};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    PAT, at, http,
    registering::{
        CALLBACK, Itself, ROOT, TOM, application, ask, entry, house, house_with, initial_token,
        register,
    },
    relying_party::{authorize, change, value},
    send,
};

const MANY: (&str, &str) = ("PROCURA__REGISTRATION__PER_MINUTE", "1000");
const MANY_FAILURES: (&str, &str) =
    ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "1000");

/// A server of somebody's that lists redirect URIs: its URL, and how often it was asked.
async fn sector(listed: Value) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Json(listed.clone())
    };
    let routes = Router::new().route("/sector", get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sector", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (url, asked)
}

#[tokio::test]
async fn nobody_registers_itself_unless_the_operator_lets_it() {
    const DISCOVERY: &str = "/.well-known/openid-configuration";
    let closed = House::start();
    for (method, path) in [(Method::POST, "/oauth2/register"), (Method::GET, "/oauth2/register/x")]
    {
        let body = application(&json!({}));
        ask(&closed, (method, path), Some("x"), Some(&body)).await.expect(404);
    }
    let document = send(http().get(at(&closed, DISCOVERY))).await.json();
    assert!(document["registration_endpoint"].is_null());
    let open = house();
    let document = send(http().get(at(&open, DISCOVERY))).await.json();
    assert_eq!(document["registration_endpoint"], at(&open, "/oauth2/register"));
    let method = send(http().get(at(&open, "/oauth2/register"))).await;
    method.oauth_error(405, "invalid_request");
}

#[tokio::test]
async fn section_3_what_was_registered_is_answered_with_its_secret_and_its_token() {
    let house = house();
    let (tom, root) = (house.log_in(TOM).await, house.log_in(ROOT).await);
    let (id, token) = initial_token(&house, &tom, 1).await;
    let metadata = application(&json!({
        "client_uri": "https://app.example/", "contacts": ["ops@app.example"],
        "software_id": "app", "software_version": "2", "unknown_member": { "a": 1 },
        "client_name#de": "Eine neue Anwendung", "client_id": "cli_of_my_choice",
        "client_secret": "of my choice", "permissions": "*",
    }));
    let answer = register(&house, Some(&token), &metadata).await;
    assert_eq!(answer.expect(201).header("cache-control"), Some("no-store"));
    let said = answer.json();
    for (member, expected) in [
        ("client_name", json!("A new application")),
        ("redirect_uris", json!([CALLBACK])),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("response_types", json!(["code"])),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("id_token_signed_response_alg", json!("RS256")),
        ("subject_type", json!("public")),
        ("application_type", json!("web")),
        ("client_secret_expires_at", json!(0)),
        ("software_id", json!("app")),
        ("contacts", json!(["ops@app.example"])),
        ("scope", json!("address email offline_access openid phone profile")),
    ] {
        assert_eq!(said[member], expected, "{member}");
    }
    for absent in ["unknown_member", "client_name#de", "permissions", "initial_access_token"] {
        assert!(said.get(absent).is_none(), "{absent}");
    }
    assert!(said["client_id_issued_at"].is_i64());
    let own = Itself::of(&answer);
    assert!(own.id != "cli_of_my_choice" && own.secret.as_deref() != Some("of my choice"));
    // It is the admin's tenant's, and what it came with is used up.
    let shown = tom.get(&format!("/api/clients/{}", own.id)).await;
    assert_eq!(shown.expect(200).string("tenant_id"), house.tenant("northwind"));
    register(&house, Some(&token), &metadata).await.oauth_error(401, "invalid_token");
    let noted = entry(&root, "client.register").await;
    assert_eq!(
        (&noted["result"], &noted["reason"]),
        (&json!("refused"), &json!("registration_token_refused"))
    );
    let log = root.get("/api/audit-logs?action=client.register").await;
    let done = log.json()[1].clone();
    assert_eq!((&done["client_id"], &done["resource_id"]), (&json!(own.id), &json!(own.id)));
    assert_eq!(done["details"]["by"], "itself");
    assert_eq!(done["details"]["initial_token"], json!(id));
    for secret in [&token, &own.token, own.secret.as_ref().unwrap()] {
        assert!(!log.text.contains(secret) && !house.stderr().contains(secret));
    }
}

#[tokio::test]
async fn section_3_without_a_good_initial_token_nothing_is_looked_at() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let metadata = application(&json!({}));
    let bad = json!({ "redirect_uris": ["javascript:x"] });
    let (ended, worthless) = initial_token(&house, &tom, 9).await;
    tom.delete(&format!("/api/initial-access-tokens/{ended}")).await.expect(204);
    let (expired, late) = initial_token(&house, &tom, 9).await;
    let expire = "UPDATE initial_access_tokens SET expires_at = created_at WHERE id = ";
    change(&house, format!("{expire}'{expired}'")).await;
    for token in [None, Some("nonsense"), Some(&worthless), Some(&late), Some(&tom.home)] {
        for metadata in [&metadata, &bad] {
            let refused = register(&house, token.map(|t| t as &str), metadata).await;
            refused.oauth_error(401, "invalid_token");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
    }
    let (_, good) = initial_token(&house, &tom, 1).await;
    let by_basic = http().post(at(&house, "/oauth2/register")).basic_auth("x", Some(&good));
    send(by_basic.json(&metadata)).await.oauth_error(401, "invalid_token");
    register(&house, Some(&good), &bad).await.oauth_error(400, "invalid_redirect_uri");
    register(&house, Some(&good), &metadata).await.expect(201);
}

#[tokio::test]
async fn section_3_1_the_body_is_one_json_object_of_bounded_size() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let (_, token) = initial_token(&house, &tom, 1).await;
    let post = async |kind: &str, body: String| {
        let request = http().post(at(&house, "/oauth2/register")).bearer_auth(&token);
        send(request.header("content-type", kind).body(body)).await
    };
    let good = application(&json!({})).to_string();
    let json = "application/json";
    for (kind, body) in [
        ("application/x-www-form-urlencoded", good.clone()),
        ("text/plain", good.clone()),
        (json, String::new()),
        (json, "[]".to_owned()),
        (json, "\"text\"".to_owned()),
        (json, format!("{good}{good}")),
        (json, good.replace("A new", "A\\u0000new")),
        (json, "[".repeat(60_000)),
    ] {
        let refused = post(kind, body).await;
        refused.oauth_error(400, "invalid_client_metadata");
    }
    let large = application(&json!({ "x": "y".repeat(70_000) })).to_string();
    assert_eq!(post(json, large).await.status, 413);
    post("application/json; charset=utf-8", good).await.expect(201);
}

#[tokio::test]
async fn section_3_2_2_a_redirect_uri_leads_to_one_place_and_runs_nothing() {
    let house = house_with(&[MANY, MANY_FAILURES]);
    let tom = house.log_in(TOM).await;
    let (_, token) = initial_token(&house, &tom, 100).await;
    for bad in [
        json!([]),
        json!(null),
        json!("https://app.example/cb"),
        json!([7]),
        json!([CALLBACK, CALLBACK]),
        json!(["https://app.example/cb#fragment"]),
        json!(["http://app.example/cb"]),
        json!(["http://127.0.0.1.evil.example/cb"]),
        json!(["http://localhost.evil.example/cb"]),
        json!(["http://127.0.0.1@evil.example/cb"]),
        json!(["https://localhost@evil.example/cb"]),
        json!(["JaVaScRiPt:alert(1)"]),
        json!(["data:text/html,x"]),
        json!(["DATA:text/html,x"]),
        json!(["vbscript:x"]),
        json!(["file:///etc/passwd"]),
        json!([" https://app.example/cb"]),
        json!(["https://app.example/\tcb"]),
        json!(["java\nscript:alert(1)"]),
        json!(["\u{1}javascript:alert(1)"]),
        json!(["https://app.ex\u{e4}mple/cb"]),
        json!([CALLBACK, "javascript:alert(1)"]),
    ] {
        let metadata = application(&json!({ "redirect_uris": bad }));
        let refused = register(&house, Some(&token), &metadata).await;
        let text = refused.oauth_error(400, "invalid_redirect_uri");
        assert!(text.is_ascii() && text.starts_with("redirect_uris: "), "{text}");
    }
    for good in [
        json!({ "redirect_uris": ["https://app.example/cb?dummy1=lorem&dummy2=ipsum"] }),
        json!({ "redirect_uris": ["http://127.0.0.1:8400/cb", "http://[::1]/cb"] }),
        json!({ "redirect_uris": ["com.example.app:/cb"], "token_endpoint_auth_method": "none" }),
    ] {
        register(&house, Some(&token), &application(&good)).await.expect(201);
    }
    // S26: only the registered one, however another one begins.
    let own = Itself::new(&house, &tom, &json!({ "redirect_uris": ["http://127.0.0.1/cb"] })).await;
    for other in ["http://127.0.0.1.evil.example/cb", "http://127.0.0.1@evil.example/cb"] {
        let (mut url, _) = own.request(&house, "openid");
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let pairs = pairs.into_iter().map(|(name, value)| match name.as_str() {
            "redirect_uri" => (name, other.to_owned()),
            _ => (name, value),
        });
        let pairs: Vec<_> = pairs.collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        let answer = house.visitor().visit(url.as_str()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{other}");
    }
}

/// Metadata of something that the policy does not allow, and the member that is refused.
fn what_it_may_not_be() -> Vec<(Value, &'static str)> {
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    vec![
        (json!({ "client_name": "Pay\u{202e}lap" }), "client_name"),
        (json!({ "client_name": "" }), "client_name"),
        (json!({ "grant_types": ["authorization_code", exchange] }), "grant_types"),
        (json!({ "grant_types": ["client_credentials"] }), "grant_types"),
        (json!({ "grant_types": ["implicit"] }), "grant_types"),
        (json!({ "grant_types": [] }), "grant_types"),
        (json!({ "response_types": ["id_token"] }), "response_types"),
        (json!({ "scope": "openid partner.tenants.switch_context" }), "scope"),
        (json!({ "scope": "tenant.admin" }), "scope"),
        (json!({ "scope": "operator.admin" }), "scope"),
        (json!({ "scope": "account.consents" }), "scope"),
        (json!({ "profile": "oidc" }), "profile"),
        (json!({ "profile": "saml" }), "profile"),
        (json!({ "subject_type": "pairwise" }), "subject_type"),
        (
            json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
            "token_endpoint_auth_method",
        ),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), "jwks"),
    ]
}

/// Keys, places and texts that are no good.
fn what_it_may_not_name(jwks: &Value) -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "jwks": jwks, "jwks_uri": "https://app.example/jwks" }), "jwks"),
        (json!({ "jwks": { "keys": [{ "kty": "oct", "k": "x" }] } }), "jwks"),
        (json!({ "jwks": { "keys": [{ "kty": "EC", "d": "x" }] } }), "jwks"),
        (json!({ "jwks_uri": "http://app.example/jwks" }), "jwks_uri"),
        (json!({ "jwks_uri": "https://169.254.169.254/jwks" }), "jwks_uri"),
        (json!({ "jwks_uri": "https://[::1]/jwks" }), "jwks_uri"),
        (json!({ "jwks_uri": "https://10.0.0.1/jwks" }), "jwks_uri"),
        (json!({ "jwks_uri": "https://app.example:25/jwks" }), "jwks_uri"),
        (json!({ "backchannel_logout_uri": "https://127.0.0.1/x" }), "backchannel_logout_uri"),
        (json!({ "sector_identifier_uri": "https://127.0.0.1/x" }), "sector_identifier_uri"),
        (json!({ "request_uris": ["https://127.0.0.1/x"] }), "request_uris"),
        (json!({ "logo_uri": "JaVaScRiPt:alert(1)" }), "logo_uri"),
        (json!({ "logo_uri": "data:image/png,x" }), "logo_uri"),
        (json!({ "policy_uri": " https://app.example" }), "policy_uri"),
        (json!({ "tos_uri": "https://app.example/\r\n" }), "tos_uri"),
        (json!({ "client_uri": "vbscript:x" }), "client_uri"),
        (json!({ "post_logout_redirect_uris": ["javascript:x"] }), "post_logout_redirect_uris"),
        (json!({ "contacts": ["a\u{7}b"] }), "contacts"),
        (json!({ "contacts": "ops@app.example" }), "contacts"),
        (json!({ "id_token_signed_response_alg": "none" }), "id_token_signed_response_alg"),
        (json!({ "id_token_signed_response_alg": "HS256" }), "id_token_signed_response_alg"),
        (json!({ "userinfo_signed_response_alg": "EdDSA" }), "userinfo_signed_response_alg"),
        (
            json!({ "id_token_encrypted_response_alg": "RSA-OAEP" }),
            "id_token_encrypted_response_alg",
        ),
        (
            json!({ "authorization_details_types": ["tenant_delegation"] }),
            "authorization_details_types",
        ),
        (json!({ "software_id": 7 }), "software_id"),
        (json!({ "default_max_age": -1 }), "default_max_age"),
    ]
}

#[tokio::test]
async fn section_3_2_2_what_the_policy_does_not_allow_is_refused_by_its_name() {
    let house = house_with(&[MANY, MANY_FAILURES]);
    let tom = house.log_in(TOM).await;
    let (_, token) = initial_token(&house, &tom, 100).await;
    let jwks = json!({ "keys": [Signer::new("ES256").jwk()] });
    let bad = what_it_may_not_be().into_iter().chain(what_it_may_not_name(&jwks));
    for (bad, member) in bad {
        let refused = register(&house, Some(&token), &application(&bad)).await;
        let text = refused.oauth_error(400, "invalid_client_metadata");
        assert!(text.is_ascii() && text.starts_with(&format!("{member}: ")), "{bad}: {text}");
    }
    let statement = application(&json!({ "software_statement": "eyJhbGciOiJub25lIn0.e30." }));
    let refused = register(&house, Some(&token), &statement).await;
    refused.oauth_error(400, "unapproved_software_statement");
    // The honest twin: all of it, and as it should be.
    let good = json!({
        "client_name": "Zahlen für alle", "scope": "openid email", "subject_type": "public",
        "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks, "request_uris": [],
        "logo_uri": "https://app.example/logo.png", "policy_uri": "https://app.example/p",
        "tos_uri": "https://app.example/t", "client_uri": "https://app.example/",
        "post_logout_redirect_uris": ["https://app.example/out"], "contacts": ["a@app.example"],
        "backchannel_logout_uri": "https://app.example/logout", "default_max_age": 600,
        "id_token_signed_response_alg": "ES256", "userinfo_signed_response_alg": "RS256",
        "software_statement": null, "application_type": "web",
    });
    let answer = register(&house, Some(&token), &application(&good)).await;
    let said = answer.expect(201).json();
    assert!(said["client_secret"].is_null() && said["client_secret_expires_at"].is_null());
    assert_eq!((&said["scope"], &said["jwks"]), (&json!("email openid"), &jwks));
    assert_eq!(said["backchannel_logout_uri"], "https://app.example/logout");
}

#[tokio::test]
async fn a_sector_is_asked_from_here_only_where_that_is_allowed_and_must_name_every_uri() {
    let (inside, asked) = sector(json!([CALLBACK])).await;
    let metadata = application(&json!({ "sector_identifier_uri": inside }));
    let closed = house();
    let tom = closed.log_in(TOM).await;
    let (_, token) = initial_token(&closed, &tom, 1).await;
    let refused = register(&closed, Some(&token), &metadata).await;
    refused.oauth_error(400, "invalid_client_metadata");
    let by_name = inside.replace("127.0.0.1", "localhost").replace("http:", "https:");
    let by_name_too = application(&json!({ "sector_identifier_uri": by_name }));
    let refused = register(&closed, Some(&token), &by_name_too).await;
    refused.oauth_error(400, "invalid_client_metadata");
    // Where a name leads is found out when it is called: not before there is an assertion.
    let keys = application(&json!({ "jwks_uri": by_name }));
    register(&closed, Some(&token), &keys).await.expect(201);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody inside was asked");

    let open = house_with(&[
        ("PROCURA__OUTBOUND__ALLOW", "127.0.0.0/8"),
        ("PROCURA__OUTBOUND__ALLOW_HTTP", "true"),
    ]);
    let tom = open.log_in(TOM).await;
    let (_, token) = initial_token(&open, &tom, 1).await;
    let more = json!({ "sector_identifier_uri": inside,
        "redirect_uris": [CALLBACK, "https://app.example/other"] });
    let refused = register(&open, Some(&token), &application(&more)).await;
    refused.oauth_error(400, "invalid_client_metadata");
    register(&open, Some(&token), &metadata).await.expect(201);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_left_out_is_what_the_policy_allows() {
    let house = house_with(&[
        ("PROCURA__REGISTRATION__AUTH_METHODS", "none"),
        ("PROCURA__REGISTRATION__GRANT_TYPES", "authorization_code"),
        ("PROCURA__REGISTRATION__SCOPE", "openid email"),
        ("PROCURA__REGISTRATION__PROFILES", "oidc,oauth21"),
    ]);
    let tom = house.log_in(TOM).await;
    let (_, token) = initial_token(&house, &tom, 9).await;
    let bare = json!({ "redirect_uris": [CALLBACK] });
    let empty = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": null,
        "grant_types": null, "scope": null, "profile": null, "response_types": null });
    for metadata in [bare, empty] {
        let said = register(&house, Some(&token), &metadata).await.expect(201).json();
        assert_eq!(said["token_endpoint_auth_method"], "none");
        assert_eq!(said["grant_types"], json!(["authorization_code"]));
        assert_eq!(said["scope"], "email openid");
        assert_eq!(said["profile"], "oidc");
        assert_eq!(said["client_name"], "app.example");
        assert!(said["client_secret"].is_null());
    }
    for more in [
        json!({ "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "grant_types": ["authorization_code", "refresh_token"] }),
        json!({ "grant_types": ["authorization_code"], "scope": "openid profile" }),
        json!({ "grant_types": ["authorization_code"], "token_endpoint_auth_method": "" }),
    ] {
        let refused = register(&house, Some(&token), &application(&more)).await;
        refused.oauth_error(400, "invalid_client_metadata");
    }
    let more = json!({ "grant_types": ["authorization_code"], "profile": "oauth21" });
    register(&house, Some(&token), &application(&more)).await.expect(201);
}

#[tokio::test]
async fn as_many_register_as_a_token_has_uses_however_many_try_at_once() {
    let house = house_with(&[MANY]);
    let tom = house.log_in(TOM).await;
    let (id, token) = initial_token(&house, &tom, 3).await;
    let metadata = application(&json!({}));
    let attempts = (0..24).map(|_| register(&house, Some(&token), &metadata));
    let answers = futures_util::future::join_all(attempts).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 3);
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 401)));
    let listed = tom.get("/api/initial-access-tokens").await.expect(200).json();
    let own = listed.as_array().unwrap().iter().find(|token| token["id"] == json!(id));
    assert_eq!(own.unwrap()["uses_left"], 0);
}

#[tokio::test]
async fn an_open_door_is_bounded_by_address_and_in_all() {
    let northwind = [
        ("PROCURA__REGISTRATION__IS_INITIAL_TOKEN_REQUIRED", "false"),
        ("PROCURA__REGISTRATION__TENANT", "northwind"),
    ];
    let metadata = application(&json!({}));
    let house =
        house_with(&[northwind[0], northwind[1], ("PROCURA__REGISTRATION__PER_MINUTE", "2")]);
    register(&house, Some("nonsense"), &metadata).await.oauth_error(401, "invalid_token");
    for _ in 0..2 {
        let own = Itself::of(register(&house, None, &metadata).await.expect(201));
        let tom = house.log_in(TOM).await;
        let shown = tom.get(&format!("/api/clients/{}", own.id)).await;
        assert_eq!(shown.expect(200).string("tenant_id"), house.tenant("northwind"));
    }
    let refused = register(&house, None, &metadata).await;
    refused.oauth_error(429, "temporarily_unavailable");
    assert!(refused.header("retry-after").is_some());

    let full =
        house_with(&[northwind[0], northwind[1], ("PROCURA__REGISTRATION__MAX_CLIENTS", "1")]);
    let first = Itself::of(register(&full, None, &metadata).await.expect(201));
    register(&full, None, &metadata).await.oauth_error(503, "temporarily_unavailable");
    first.ask(&full, Method::DELETE, None).await.expect(204);
    register(&full, None, &metadata).await.expect(201);
}

#[tokio::test]
async fn people_are_told_who_asks_and_log_in_and_it_comes_back_without_them() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let own = Itself::new(&house, &tom, &json!({})).await;
    let visitor = house.visitor();
    // The consent page says that nobody vouches for it, and where it is.
    let (url, _) = own.request(&house, "openid profile offline_access");
    let page = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    let login = form(&page.expect(200).text, "login-form")
        .with("email", PAT)
        .with("password", &house.demo().password);
    let to = visitor.submit(&login).await.location().to_owned();
    let consent = visitor.visit(&to).await;
    assert!(consent.expect(200).text.contains("id=\"self-registered\""), "{}", consent.text);
    assert!(consent.text.contains("https://app.example"), "{}", consent.text);

    let tokens = own.log_in(&house, &visitor, "openid profile offline_access").await;
    tokens.expect(200);
    let userinfo = http().get(at(&house, "/oauth2/userinfo"));
    let userinfo = send(userinfo.bearer_auth(tokens.string("access_token"))).await;
    assert_eq!(userinfo.expect(200).string("sub"), house.user(PAT));
    let refresh = tokens.string("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    own.token(&house, &form).await.expect(200);
    // What an admin registered has no such note.
    let (url, _) = visitor.start();
    let portal = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    assert!(!portal.text.contains("self-registered"));
}

#[tokio::test]
async fn it_is_an_application_and_nothing_more() {
    let house = house();
    let (tom, pat) = (house.log_in(TOM).await, house.visitor());
    let own = Itself::new(&house, &tom, &json!({})).await;
    let scope = "openid tenant.admin operator.admin partner.tenants.switch_context";
    let tokens = own.log_in(&house, &pat, scope).await;
    assert_eq!(tokens.expect(200).string("scope"), "openid");
    let home = tokens.string("access_token");
    for (method, path) in [
        (Method::GET, "/api/clients"),
        (Method::GET, "/api/tenants/users"),
        (Method::GET, "/api/initial-access-tokens"),
        (Method::GET, "/api/v1/partner/customers"),
        (Method::GET, "/api/audit-logs"),
    ] {
        house.api(&home, method, path, None).await.problem(403, "forbidden");
    }
    let exchange = procura_tests::exchange_form(&home, "acme-corp", "");
    own.token(&house, &exchange).await.oauth_error(400, "unauthorized_client");
    let alone = [("grant_type", "client_credentials")];
    own.token(&house, &alone).await.oauth_error(400, "unauthorized_client");
    // Nor does the portal exchange what it got.
    assert_ne!(house.token(&exchange).await.status, 200);
    let (url, _) = own.request(&house, "openid");
    let back = authorize(&house, &pat, &url, PAT).await;
    assert!(value(&back, "code").is_some(), "the honest twin");
}
