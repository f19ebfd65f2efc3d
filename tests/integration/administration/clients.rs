//! Clients by the API: who may, within which bounds, and what a change takes away.

use procura_tests::House;
use reqwest::Method;
use serde_json::json;

use super::{
    ADA, BILLING, PAT, ROOT, TOM, audience, entry, if_match, machine, registered, shut, token,
};

#[tokio::test]
async fn whoever_may_registers_a_client_and_sees_its_secret_once() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    for person in [&root, &tom] {
        let (id, secret) = registered(&house, person, &machine(&house)).await;
        token(&house, (&id, &secret)).await;
        let path = format!("/api/clients/{id}");
        let shown = house.api(&person.home, Method::GET, &path, None).await;
        assert_eq!(shown.expect(200).header("etag"), Some("\"1\""));
        let json = shown.json();
        assert_eq!((&json["status"], &json["name"]), (&json!("active"), &json!("A machine")));
        assert_eq!(json["secrets"].as_array().map(Vec::len), Some(1));
        assert!(!shown.text.contains(&secret), "{}", shown.text);
        let listed = house.api(&person.home, Method::GET, "/api/clients", None).await;
        assert!(listed.expect(200).text.contains(&id) && !listed.text.contains(&secret));
        let noted = entry(&house, &root, "client.register").await;
        assert_eq!(noted["resource_id"], json!(id));
        assert_eq!(noted["details"]["changed"]["permissions"]["to"], json!(BILLING));
        assert!(!noted.to_string().contains(&secret));
    }
    // The operator registers for others too, and sees all; a tenant's admin sees the own ones.
    let mut body = machine(&house);
    body["tenant_id"] = json!("acme-corp");
    let (of_acme, _) = registered(&house, &root, &body).await;
    let all = house.api(&root.home, Method::GET, "/api/clients", None).await;
    assert!(all.text.contains(&of_acme));
    let some = house.api(&root.home, Method::GET, "/api/clients?tenant_id=acme-corp", None).await;
    assert_eq!(some.json().as_array().map(Vec::len), Some(1));
    let own = house.api(&tom.home, Method::GET, "/api/clients", None).await;
    assert!(!own.expect(200).text.contains(&of_acme));
}

#[tokio::test]
async fn every_route_asks_who_comes() {
    let house = House::start();
    let (pat, tom, ada) =
        (house.log_in(PAT).await, house.log_in(TOM).await, house.log_in(ADA).await);
    let (id, secret) = registered(&house, &tom, &machine(&house)).await;
    let one = format!("/api/clients/{id}");
    let of = |end: &str| format!("{one}/{end}");
    let patch = json!({ "name": "Another name" });
    let routes = [
        (Method::GET, one.clone(), None),
        (Method::PATCH, one.clone(), Some(&patch)),
        (Method::POST, of("secrets"), None),
        (Method::POST, of("disable"), None),
        (Method::POST, of("enable"), None),
        (Method::DELETE, one.clone(), None),
    ];
    for (method, path, body) in &routes {
        let go = async |token: &str| house.api(token, method.clone(), path, *body).await;
        go("nonsense").await.problem(401, "unauthenticated");
        // A partner's admin has no say, not even at home; another tenant's admin is told of nothing.
        go(&pat.home).await.problem(403, "forbidden");
        go(&ada.home).await.problem(404, "not_found");
    }
    for method in [Method::GET, Method::POST] {
        let body = (method == Method::POST).then(|| machine(&house));
        let go = async |token: &str| {
            house.api(token, method.clone(), "/api/clients", body.as_ref()).await
        };
        go("nonsense").await.problem(401, "unauthenticated");
        go(&pat.home).await.problem(403, "forbidden");
    }
    let foreign = house.api(&ada.home, Method::GET, "/api/clients?tenant_id=northwind", None).await;
    let mut body = machine(&house);
    body["tenant_id"] = json!(house.tenant("northwind"));
    assert_eq!(foreign.expect(404).string("code"), "not_found");
    let foreign = house.api(&ada.home, Method::POST, "/api/clients", Some(&body)).await;
    foreign.problem(404, "not_found");
    // A client's own token is nobody here.
    let machine = token(&house, (&id, &secret)).await;
    let refused = house.api(&machine, Method::GET, "/api/clients", None).await;
    refused.problem(401, "unauthenticated");
    // Nothing of it has changed anything; the honest twins.
    for (method, path, body) in routes {
        let answer = house.api(&tom.home, method, &path, body).await;
        assert!(matches!(answer.status, 200 | 201), "{} {}", path, answer.text);
    }
    let gone = house.api(&tom.home, Method::GET, &one, None).await;
    gone.problem(404, "not_found");
    shut(&house, (&id, &secret)).await;
}

#[tokio::test]
async fn a_tenants_own_client_stays_within_its_bounds() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    for (member, value) in [
        ("scope", json!("openid operator.admin")),
        ("scope", json!("partner.tenants.switch_context")),
        ("permissions", json!("*")),
        ("permissions", json!("secrets.read")),
        ("grant_types", json!(["urn:ietf:params:oauth:grant-type:token-exchange"])),
    ] {
        let mut body = machine(&house);
        body[member] = value;
        let refused = house.api(&tom.home, Method::POST, "/api/clients", Some(&body)).await;
        assert_eq!(refused.problem(403, "forbidden").as_deref(), Some(member), "{body}");
        house.api(&root.home, Method::POST, "/api/clients", Some(&body)).await.expect(201);
    }
    // The portal is the tenant's, but the operator made it: whoever could put another redirect URI
    // into it, or take its secret, would be every operator who logs in.
    let portal = &house.demo().clients["portal"].client_id;
    let path = format!("/api/clients/{portal}");
    house.api(&tom.home, Method::GET, &path, None).await.expect(200);
    let change = json!({ "redirect_uris": ["https://evil.example/"] });
    house.api(&tom.home, Method::PATCH, &path, Some(&change)).await.problem(403, "forbidden");
    let rotate = format!("{path}/secrets");
    house.api(&tom.home, Method::POST, &rotate, None).await.problem(403, "forbidden");
    house.api(&tom.home, Method::DELETE, &path, None).await.problem(403, "forbidden");
    // Nor may the tenant stop, or take the secret of, what is a resource server.
    let isp = format!("/api/clients/{}", house.demo().clients["isp"].client_id);
    for end in ["disable", "secrets"] {
        let path = format!("{isp}/{end}");
        house.api(&tom.home, Method::POST, &path, None).await.problem(403, "forbidden");
    }
    house.log_in(TOM).await;
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_with_its_name() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    for (patch, about) in [
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "redirect_uris"),
        (json!({ "redirect_uris": ["http://app.example/cb"] }), "redirect_uris"),
        (json!({ "redirect_uris": ["https://app.example/cb#x"] }), "redirect_uris"),
        (json!({ "grant_types": ["password"] }), "grant_types"),
        (json!({ "audiences": ["https://nobody.example"] }), "default_audience"),
        (json!({ "audiences": ["https://nobody.example"], "default_audience": null }), "audiences"),
        (json!({ "exchange_for": ["cli_nobody"] }), "exchange_for"),
        (json!({ "scope": "openid everything" }), "scope"),
        (json!({ "profile": "fapi2" }), "registration.token_endpoint_auth_method"),
        (json!({ "registration": { "token_endpoint_auth_method": "none" } }), "grant_types"),
        (json!({ "client_secret": "of my own choice" }), "body"),
        (json!({ "registration": { "unknown": 1 } }), "registration"),
    ] {
        let mut body = machine(&house);
        for (name, value) in patch.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let refused = house.api(&root.home, Method::POST, "/api/clients", Some(&body)).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{patch}");
        assert!(refused.text.is_ascii());
    }
    registered(&house, &root, &machine(&house)).await;
}

#[tokio::test]
async fn a_change_is_for_the_version_that_was_seen_and_takes_away_at_once() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let (id, secret) = registered(&house, &tom, &machine(&house)).await;
    let path = format!("/api/clients/{id}");
    let first = token(&house, (&id, &secret)).await;

    // A name takes nothing away.
    let rename = json!({ "name": "Another name" });
    let changed = if_match(&house, &tom, (Method::PATCH, &path), "\"1\"", Some(&rename)).await;
    assert_eq!(changed.expect(200).header("etag"), Some("\"2\""));
    assert!(changed.json()["revoked"].is_null());
    assert!(house.is_alive(&first).await);
    let noted = entry(&house, &root, "client.update").await;
    let expected = json!({ "changed": { "name": { "from": "A machine", "to": "Another name" } } });
    assert_eq!(noted["details"], expected);
    for tag in ["\"1\"", "\"of another\""] {
        let stale = if_match(&house, &tom, (Method::PATCH, &path), tag, Some(&rename)).await;
        stale.problem(412, "stale");
    }
    let stale = if_match(&house, &tom, (Method::DELETE, &path), "\"1\"", None).await;
    stale.problem(412, "stale");
    let nonsense = if_match(&house, &tom, (Method::DELETE, &path), "2", None).await;
    nonsense.problem(400, "invalid_request");

    // A permission less kills what was given.
    let less = json!({ "permissions": "partner.reports.usage.read" });
    let changed = if_match(&house, &tom, (Method::PATCH, &path), "\"2\"", Some(&less)).await;
    assert!(changed.expect(200).json()["revoked"]["seq"].is_i64(), "{}", changed.text);
    assert!(!house.is_alive(&first).await);
    super::ask(&house, (&id, &secret)).await.oauth_error(400, "invalid_scope");
}

#[tokio::test]
async fn a_client_that_is_stopped_holds_nothing_and_whoever_stopped_it_decides() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let (id, secret) = registered(&house, &tom, &machine(&house)).await;
    let step = |end: &str| format!("/api/clients/{id}/{end}");
    let first = token(&house, (&id, &secret)).await;

    let stopped = house.api(&tom.home, Method::POST, &step("disable"), None).await;
    assert_eq!(stopped.expect(200).json()["client"]["status"], "disabled");
    assert!(!house.is_alive(&first).await);
    shut(&house, (&id, &secret)).await;
    house.api(&tom.home, Method::POST, &step("enable"), None).await.expect(200);
    assert!(!house.is_alive(&first).await, "nothing comes back to life");
    let second = token(&house, (&id, &secret)).await;
    assert!(house.is_alive(&second).await);

    house.api(&root.home, Method::POST, &step("disable"), None).await.expect(200);
    let refused = house.api(&tom.home, Method::POST, &step("enable"), None).await;
    refused.problem(403, "forbidden");
    // Nor by stopping it once more.
    house.api(&tom.home, Method::POST, &step("disable"), None).await.expect(200);
    let refused = house.api(&tom.home, Method::POST, &step("enable"), None).await;
    refused.problem(403, "forbidden");
    shut(&house, (&id, &secret)).await;
    house.api(&root.home, Method::POST, &step("enable"), None).await.expect(200);
    token(&house, (&id, &secret)).await;
    assert_eq!(entry(&house, &root, "client.enable").await["resource_id"], json!(id));
}

#[tokio::test]
async fn a_portal_that_goes_takes_the_delegations_with_it() {
    let house = House::start();
    let (root, pat) = (house.log_in(ROOT).await, house.log_in(PAT).await);
    let delegated = pat.switch("acme-corp", BILLING).await;
    assert!(house.is_alive(&delegated).await);
    let portal = &house.demo().clients["portal"].client_id;
    let isp = &house.demo().clients["isp"].client_id;
    let refused = house.api(&root.home, Method::DELETE, &format!("/api/clients/{isp}"), None).await;
    assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("resource_server"));
    let gone = house.api(&root.home, Method::DELETE, &format!("/api/clients/{portal}"), None).await;
    assert_eq!(gone.expect(200).json()["revoked"]["delegations_ended"], 1);
    assert!(!house.is_alive(&delegated).await);
    // The operator's own token came through it: it is dead as well.
    let refused = house.api(&root.home, Method::GET, "/api/clients", None).await;
    refused.problem(401, "unauthenticated");
    assert!(!audience(&house).is_empty());
}
