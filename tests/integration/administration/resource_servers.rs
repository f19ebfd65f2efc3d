//! Resource servers by the API: for the operator alone.

use procura_tests::House;
use reqwest::Method;
use serde_json::json;

use super::{BILLING, PAT, ROOT, TOM, entry, if_match, machine, registered, token};

#[tokio::test]
async fn the_operator_looks_after_resource_servers_and_nobody_else() {
    let house = House::start();
    let (root, pat, tom) =
        (house.log_in(ROOT).await, house.log_in(PAT).await, house.log_in(TOM).await);
    let (api, _) = registered(&house, &root, &json!({ "name": "An API" })).await;
    let audience = "https://api.example/v1";
    let body = json!({ "audience": audience, "client_id": api, "permissions": BILLING });
    let one = format!("/api/resource-servers/{api}");
    let patch = json!({ "accepts_delegated": true });
    let all = "/api/resource-servers".to_owned();
    let routes = [
        (Method::POST, all.clone(), Some(&body)),
        (Method::GET, all.clone(), None),
        (Method::GET, one.clone(), None),
        (Method::PATCH, one.clone(), Some(&patch)),
        (Method::DELETE, one.clone(), None),
    ];
    for (method, path, body) in &routes {
        let go = async |token: &str| house.api(token, method.clone(), path, *body).await;
        go("nonsense").await.problem(401, "unauthenticated");
        for person in [&pat, &tom] {
            go(&person.home).await.problem(403, "forbidden");
        }
    }
    let made = house.api(&root.home, Method::POST, &all, Some(&body)).await;
    assert_eq!(made.expect(201).json()["accepts_delegated"], false);
    assert_eq!(entry(&house, &root, "resource_server.add").await["resource_id"], audience);
    house.api(&root.home, Method::POST, &all, Some(&body)).await.problem(400, "invalid_request");
    let listed = house.api(&root.home, Method::GET, &all, None).await;
    assert_eq!(listed.expect(200).json().as_array().map(Vec::len), Some(2));

    // A client may name it now.
    let mut machine = machine(&house);
    machine["audiences"] = json!([audience]);
    machine["default_audience"] = json!(audience);
    let (id, secret) = registered(&house, &tom, &machine).await;
    token(&house, (&id, &secret)).await;

    let changed = if_match(&house, &root, (Method::PATCH, &one), "\"1\"", Some(&patch)).await;
    assert_eq!(changed.expect(200).json()["accepts_delegated"], true);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    let stale = if_match(&house, &root, (Method::PATCH, &one), "\"1\"", Some(&patch)).await;
    stale.problem(412, "stale");
    house.api(&root.home, Method::DELETE, &one, None).await.expect(204);
    house.api(&root.home, Method::GET, &one, None).await.problem(404, "not_found");
    super::ask(&house, (&id, &secret)).await.oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn what_was_issued_for_a_resource_server_dies_when_it_takes_less() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let pat = house.log_in(PAT).await;
    let (id, secret) = registered(&house, &tom, &machine(&house)).await;
    let delegated = pat.switch("acme-corp", BILLING).await;
    let own = token(&house, (&id, &secret)).await;
    let isp = format!("/api/resource-servers/{}", house.demo().clients["isp"].client_id);
    let change = async |body: serde_json::Value| {
        house.api(&root.home, Method::PATCH, &isp, Some(&body)).await.expect(200).clone()
    };
    change(json!({ "permissions": "partner.* tenant.users.list pii.unmask" })).await;
    assert!(house.is_alive(&own).await && house.is_alive(&delegated).await, "wider is no news");
    change(json!({ "permissions": "partner.billing.*" })).await;
    assert!(!house.is_alive(&own).await && !house.is_alive(&delegated).await);
    let own = token(&house, (&id, &secret)).await;
    let delegated = pat.switch("acme-corp", BILLING).await;
    assert!(house.is_alive(&own).await && house.is_alive(&delegated).await);
    change(json!({ "accepts_delegated": false })).await;
    assert!(!house.is_alive(&own).await && !house.is_alive(&delegated).await);
    token(&house, (&id, &secret)).await;
}

#[tokio::test]
async fn what_is_no_resource_server_is_refused() {
    let house = House::start();
    let root = house.log_in(ROOT).await;
    let (api, _) = registered(&house, &root, &json!({ "name": "An API" })).await;
    let isp = house.demo().clients["isp"].client_id.clone();
    for (body, about) in [
        (json!({ "audience": "", "client_id": api }), "audience"),
        (json!({ "audience": "a b", "client_id": api }), "audience"),
        (json!({ "audience": house.issuer(), "client_id": api }), "audience"),
        (json!({ "audience": "https://api.example", "client_id": "cli_nobody" }), "client_id"),
        (json!({ "audience": "https://api.example", "client_id": isp }), "client_id"),
        (json!({ "audience": "https://api.example" }), "body"),
        (json!({ "audience": "https://api.example", "client_id": api, "x": 1 }), "body"),
    ] {
        let refused =
            house.api(&root.home, Method::POST, "/api/resource-servers", Some(&body)).await;
        assert_eq!(refused.problem(400, "invalid_request").as_deref(), Some(about), "{body}");
    }
    let good = json!({ "audience": "https://api.example", "client_id": api });
    house.api(&root.home, Method::POST, "/api/resource-servers", Some(&good)).await.expect(201);
}
