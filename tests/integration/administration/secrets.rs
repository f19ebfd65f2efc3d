//! Another secret for a client: with an overlap, at once, or because somebody else has it.

use procura_tests::House;
use reqwest::Method;
use serde_json::json;

use super::{ROOT, TOM, entry, machine, registered, shut, token};

#[tokio::test]
async fn the_old_secret_goes_on_for_the_overlap_and_two_are_live_at_most() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let (id, first) = registered(&house, &tom, &machine(&house)).await;
    let path = format!("/api/clients/{id}/secrets");
    token(&house, (&id, &first)).await;

    let rotated = house.api(&tom.home, Method::POST, &path, None).await;
    rotated.expect(201);
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let second = rotated.string("client_secret");
    assert!(rotated.json()["old_secret_expires_at"].is_string());
    assert!(rotated.json()["revoked"].is_null());
    let held = token(&house, (&id, &second)).await;
    token(&house, (&id, &first)).await;

    let rotated = house.api(&tom.home, Method::POST, &path, None).await;
    let third = rotated.expect(201).string("client_secret");
    shut(&house, (&id, &first)).await;
    for secret in [&second, &third] {
        token(&house, (&id, secret)).await;
    }
    let shown = house.api(&tom.home, Method::GET, &format!("/api/clients/{id}"), None).await;
    assert_eq!(shown.json()["secrets"].as_array().map(Vec::len), Some(2));
    assert!(house.is_alive(&held).await, "tokens live on");
    let noted = entry(&house, &root, "client.secret").await;
    assert_eq!(noted["details"], json!({ "overlap_secs": 86400, "is_compromised": false }));
    for secret in [first, second, third] {
        assert!(!noted.to_string().contains(&secret));
    }
}

#[tokio::test]
async fn without_an_overlap_the_old_secret_ends_now_and_tokens_live_on() {
    let house = House::start();
    let tom = house.log_in(TOM).await;
    let (id, first) = registered(&house, &tom, &machine(&house)).await;
    let path = format!("/api/clients/{id}/secrets");
    let held = token(&house, (&id, &first)).await;
    for overlap in [-1, 1, 59, 2_592_001] {
        let body = json!({ "overlap_secs": overlap });
        let refused = house.api(&tom.home, Method::POST, &path, Some(&body)).await;
        let about = refused.problem(400, "invalid_request");
        assert_eq!(about.as_deref(), Some("overlap_secs"));
    }
    token(&house, (&id, &first)).await;
    let now = json!({ "overlap_secs": 0 });
    let rotated = house.api(&tom.home, Method::POST, &path, Some(&now)).await;
    assert!(rotated.expect(201).json()["old_secret_expires_at"].is_null());
    shut(&house, (&id, &first)).await;
    token(&house, (&id, &rotated.string("client_secret"))).await;
    assert!(house.is_alive(&held).await);
}

#[tokio::test]
async fn a_stolen_secret_takes_all_with_it() {
    let house = House::start();
    let (root, tom) = (house.log_in(ROOT).await, house.log_in(TOM).await);
    let (id, first) = registered(&house, &tom, &machine(&house)).await;
    let path = format!("/api/clients/{id}/secrets");
    let rotated = house.api(&tom.home, Method::POST, &path, None).await;
    let second = rotated.expect(201).string("client_secret");
    let held = token(&house, (&id, &first)).await;
    let both = json!({ "is_compromised": true, "overlap_secs": 60 });
    let refused = house.api(&tom.home, Method::POST, &path, Some(&both)).await;
    refused.problem(400, "invalid_request");
    assert!(house.is_alive(&held).await);

    let stolen = json!({ "is_compromised": true });
    let rotated = house.api(&tom.home, Method::POST, &path, Some(&stolen)).await;
    assert!(rotated.expect(201).json()["revoked"]["seq"].is_i64());
    shut(&house, (&id, &first)).await;
    shut(&house, (&id, &second)).await;
    assert!(!house.is_alive(&held).await);
    token(&house, (&id, &rotated.string("client_secret"))).await;
    let noted = entry(&house, &root, "client.secret").await;
    assert_eq!(noted["details"]["is_compromised"], true);
}

#[tokio::test]
async fn whoever_proves_itself_otherwise_has_no_secret() {
    let house = House::start();
    let tom = house.log_in(TOM).await;
    let public = json!({
        "name": "An app",
        "redirect_uris": ["com.example.app:/cb"],
        "grant_types": ["authorization_code"],
        "registration": { "token_endpoint_auth_method": "none" },
    });
    let made = house.api(&tom.home, Method::POST, "/api/clients", Some(&public)).await;
    assert!(made.expect(201).json()["client_secret"].is_null());
    let path = format!("/api/clients/{}/secrets", made.string("id"));
    let refused = house.api(&tom.home, Method::POST, &path, None).await;
    assert_eq!(refused.problem(409, "wrong_state").as_deref(), Some("no_secret"));
    // One that changes over loses what it had.
    let (id, secret) = registered(&house, &tom, &machine(&house)).await;
    token(&house, (&id, &secret)).await;
    let over = json!({
        "grant_types": [],
        "registration": { "token_endpoint_auth_method": "none" },
    });
    let path = format!("/api/clients/{id}");
    house.api(&tom.home, Method::PATCH, &path, Some(&over)).await.expect(200);
    shut(&house, (&id, &secret)).await;
    let back = json!({ "registration": null, "grant_types": ["client_credentials"] });
    house.api(&tom.home, Method::PATCH, &path, Some(&back)).await.expect(200);
    shut(&house, (&id, &secret)).await;
}
