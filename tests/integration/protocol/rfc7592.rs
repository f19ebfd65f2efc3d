//! RFC 7592: software that registered itself looks after its registration, and nobody else does with its
//! token; what an admin has taken over is the admin's.

use procura_tests::House;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    credentials,
    registering::{
        CALLBACK, Itself, ROOT, TOM, application, ask, entry, house, house_with, register,
    },
};

const SCOPE: &str = "openid profile offline_access";

/// Nothing opens this registration with its token.
async fn shut(house: &House, own: &Itself) {
    let body = own.with_id(&json!({}));
    for (method, body) in [(Method::GET, None), (Method::PUT, Some(&body)), (Method::DELETE, None)]
    {
        own.ask(house, method, body).await.oauth_error(401, "invalid_token");
    }
}

#[tokio::test]
async fn section_2_1_it_reads_what_it_is_registered_as_and_no_secret() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let own = Itself::new(&house, &tom, &json!({ "software_id": "app" })).await;
    let answer = own.ask(&house, Method::GET, None).await;
    assert_eq!(answer.expect(200).header("cache-control"), Some("no-store"));
    let said = answer.json();
    assert_eq!(said["client_id"], json!(own.id));
    assert_eq!(said["redirect_uris"], json!([CALLBACK]));
    assert_eq!(said["software_id"], "app");
    for secret in ["client_secret", "client_secret_expires_at", "registration_access_token"] {
        assert!(said[secret].is_null(), "{secret}");
    }
    own.ask(&house, Method::GET, None).await.expect(200);
    let other = own.ask(&house, Method::POST, Some(&json!({}))).await;
    other.oauth_error(405, "invalid_request");
}

#[tokio::test]
async fn section_2_a_wrong_token_hears_the_same_whether_there_is_such_a_client() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let (own, other) =
        (Itself::new(&house, &tom, &json!({})).await, Itself::new(&house, &tom, &json!({})).await);
    let (portal, portal_secret) = credentials(&house, "portal");
    let mut heard = Vec::new();
    for (id, token) in [
        (own.id.as_str(), None),
        (&own.id, Some("nonsense")),
        (&own.id, Some(other.token.as_str())),
        (&own.id, own.secret.as_deref()),
        (&own.id, Some(&tom.home)),
        ("cli_nobody", Some(&own.token)),
        (portal, Some(&own.token)),
        (portal, Some(portal_secret)),
        ("not-an-id", Some(&own.token)),
        ("%00", Some(&own.token)),
    ] {
        let path = format!("/oauth2/register/{id}");
        let body = application(&json!({ "client_id": id }));
        for (method, body) in
            [(Method::GET, None), (Method::PUT, Some(&body)), (Method::DELETE, None)]
        {
            let refused = ask(&house, (method.clone(), &path), token, body).await;
            refused.oauth_error(401, "invalid_token");
            let challenge = refused.header("www-authenticate").map(ToOwned::to_owned);
            heard.push((refused.text, challenge));
        }
    }
    heard.dedup();
    assert_eq!(heard.len(), 1, "{heard:?}");
    own.ask(&house, Method::GET, None).await.expect(200);
    tom.get(&format!("/api/clients/{portal}")).await.expect(200);
}

#[tokio::test]
async fn section_2_2_what_it_leaves_out_is_as_if_it_had_never_said_it() {
    let house = house();
    let (tom, root) = (house.log_in(TOM).await, house.log_in(ROOT).await);
    let more = json!({ "contacts": ["a@app.example"], "logo_uri": "https://app.example/l.png",
        "id_token_signed_response_alg": "ES256", "scope": "openid" });
    let mut own = Itself::new(&house, &tom, &more).await;
    let (old, secret) = (own.token.clone(), own.secret.clone());
    let answer = own.update(&house, &json!({ "client_name": "A renamed application" })).await;
    let said = answer.expect(200).json();
    assert_eq!(said["client_name"], "A renamed application");
    for gone in ["contacts", "logo_uri"] {
        assert!(said[gone].is_null(), "{gone}");
    }
    assert_eq!(said["id_token_signed_response_alg"], "RS256");
    assert_eq!(said["scope"], "address email offline_access openid phone profile");
    assert!(said["client_secret"].is_null(), "it goes on with the one that it has");
    // The token that it showed is worthless now.
    assert_ne!(old, own.token);
    let late = ask(&house, (Method::GET, &own.path), Some(&old), None).await;
    late.oauth_error(401, "invalid_token");
    own.ask(&house, Method::GET, None).await.expect(200);
    let noted = entry(&root, "client.update").await;
    assert_eq!((&noted["client_id"], &noted["details"]["by"]), (&json!(own.id), &json!("itself")));
    let renamed = json!({ "from": "A new application", "to": "A renamed application" });
    assert_eq!(noted["details"]["changed"]["name"], renamed);
    let tokens = own.log_in(&house, &house.visitor(), SCOPE).await;
    tokens.expect(200);
    assert_eq!(own.secret, secret);
}

#[tokio::test]
async fn section_2_2_it_says_who_it_is_and_chooses_no_secret() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let mut own = Itself::new(&house, &tom, &json!({})).await;
    for (bad, member) in [
        (json!({ "client_id": null }), "client_id"),
        (json!({ "client_id": "cli_other" }), "client_id"),
        (json!({ "client_secret": "of my choice" }), "client_secret"),
        (json!({ "client_secret": 7 }), "client_secret"),
        (json!({ "registration_access_token": own.token }), "registration_access_token"),
        (json!({ "registration_client_uri": "https://x.example" }), "registration_client_uri"),
        (json!({ "client_secret_expires_at": 0 }), "client_secret_expires_at"),
        (json!({ "client_id_issued_at": 0 }), "client_id_issued_at"),
        (json!({ "scope": "openid tenant.admin" }), "scope"),
        (json!({ "logo_uri": "JaVaScRiPt:x" }), "logo_uri"),
        (json!({ "jwks_uri": "https://127.0.0.1/jwks" }), "jwks_uri"),
    ] {
        let refused = own.update(&house, &bad).await;
        let text = refused.oauth_error(400, "invalid_client_metadata");
        assert!(text.starts_with(&format!("{member}: ")), "{bad}: {text}");
    }
    let bad = json!({ "redirect_uris": ["DATA:text/html,x"] });
    own.update(&house, &bad).await.oauth_error(400, "invalid_redirect_uri");
    // Nothing of it has changed anything, not even its token.
    let said = own.ask(&house, Method::GET, None).await.expect(200).json();
    assert_eq!(said["redirect_uris"], json!([CALLBACK]));
    let same = json!({ "client_secret": own.secret });
    own.update(&house, &same).await.expect(200);
    // Another way to prove itself ends its secret, and the way back gets it another one.
    let public = own.update(&house, &json!({ "token_endpoint_auth_method": "none" })).await;
    assert!(public.expect(200).json()["client_secret"].is_null());
    let first = own.secret.take();
    own.log_in(&house, &house.visitor(), SCOPE).await.expect(200);
    let back = own.update(&house, &json!({})).await;
    own.secret = back.expect(200).json()["client_secret"].as_str().map(ToOwned::to_owned);
    assert!(own.secret.is_some() && own.secret != first);
    assert_eq!(back.json()["client_secret_expires_at"], 0);
    own.log_in(&house, &house.visitor(), SCOPE).await.expect(200);
}

#[tokio::test]
async fn section_2_2_of_many_that_change_it_with_one_token_one_does() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let own = Itself::new(&house, &tom, &json!({})).await;
    let body = own.with_id(&json!({}));
    let attempts = (0..8).map(|_| own.ask(&house, Method::PUT, Some(&body)));
    let answers = futures_util::future::join_all(attempts).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 7, "{statuses:?}");
}

#[tokio::test]
async fn what_it_takes_from_itself_dies_and_what_it_renames_lives() {
    let house = house();
    let tom = house.log_in(TOM).await;
    let mut own = Itself::new(&house, &tom, &json!({})).await;
    let tokens = own.log_in(&house, &house.visitor(), SCOPE).await;
    let refresh = tokens.expect(200).string("refresh_token");
    let userinfo = async || {
        let request = super::http().get(super::at(&house, "/oauth2/userinfo"));
        super::send(request.bearer_auth(tokens.string("access_token"))).await.status
    };
    own.update(&house, &json!({ "client_name": "Renamed" })).await.expect(200);
    assert_eq!(userinfo().await, 200);
    own.update(&house, &json!({ "scope": "openid" })).await.expect(200);
    assert_eq!(userinfo().await, 401);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    own.token(&house, &form).await.oauth_error(400, "invalid_grant");
    own.log_in(&house, &house.visitor(), SCOPE).await.expect(200);
}

#[tokio::test]
async fn section_2_3_what_goes_takes_everything_with_it() {
    let house = house();
    let (tom, root) = (house.log_in(TOM).await, house.log_in(ROOT).await);
    let own = Itself::new(&house, &tom, &json!({})).await;
    let tokens = own.log_in(&house, &house.visitor(), SCOPE).await;
    let (access, refresh) = (tokens.string("access_token"), tokens.string("refresh_token"));
    let gone = own.ask(&house, Method::DELETE, None).await;
    assert_eq!(gone.expect(204).text, "");
    shut(&house, &own).await;
    let userinfo = super::http().get(super::at(&house, "/oauth2/userinfo")).bearer_auth(access);
    assert_eq!(super::send(userinfo).await.status, 401);
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    own.token(&house, &form).await.oauth_error(401, "invalid_client");
    let log = root.get("/api/audit-logs?action=client.delete").await.json();
    let done = log.as_array().unwrap().iter().find(|entry| entry["result"] == "ok").unwrap();
    assert_eq!((&done["resource_id"], &done["details"]["by"]), (&json!(own.id), &json!("itself")));
}

#[tokio::test]
async fn what_an_admin_has_widened_or_stopped_it_does_not_change_any_more() {
    let house = house();
    let (tom, root) = (house.log_in(TOM).await, house.log_in(ROOT).await);
    let mut own = Itself::new(&house, &tom, &json!({})).await;
    let path = format!("/api/clients/{}", own.id);
    let widen = async |patch: Value| root.patch(&path, &patch).await.expect(200).json();
    for (wider, back) in [
        (json!({ "scope": "openid tenant.admin" }), json!({ "scope": "openid" })),
        (json!({ "permissions": "partner.billing.read" }), json!({ "permissions": null })),
    ] {
        widen(wider).await;
        // Whoever holds its token could lead people of every tenant elsewhere.
        let evil = json!({ "redirect_uris": ["https://evil.example/"] });
        own.update(&house, &evil).await.oauth_error(403, "access_denied");
        own.ask(&house, Method::DELETE, None).await.oauth_error(403, "access_denied");
        own.ask(&house, Method::GET, None).await.expect(200);
        widen(back).await;
        own.update(&house, &json!({})).await.expect(200);
    }
    tom.step(&format!("{path}/disable")).await.expect(200);
    shut(&house, &own).await;
    tom.step(&format!("{path}/enable")).await.expect(200);
    own.update(&house, &json!({})).await.expect(200);
    tom.delete(&path).await.expect(200);
    shut(&house, &own).await;
}

#[tokio::test]
async fn guesses_are_bounded_and_whoever_knows_is_not_kept_waiting() {
    let house = house_with(&[("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "5")]);
    let tom = house.log_in(TOM).await;
    let mut own = Itself::new(&house, &tom, &json!({})).await;
    for _ in 0..5 {
        let guess = ask(&house, (Method::GET, &own.path), Some("guess"), None).await;
        guess.oauth_error(401, "invalid_token");
    }
    let guess = ask(&house, (Method::GET, &own.path), Some("guess"), None).await;
    guess.oauth_error(429, "temporarily_unavailable");
    let guess = register(&house, Some("guess"), &application(&json!({}))).await;
    guess.oauth_error(429, "temporarily_unavailable");
    own.ask(&house, Method::GET, None).await.expect(200);
    own.update(&house, &json!({})).await.expect(200);
}
