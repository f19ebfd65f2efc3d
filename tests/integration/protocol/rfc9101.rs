//! RFC 9101: authorization requests that the client has signed.

use procura_domain::Profile;
use procura_tests::{CALLBACK, House, Signer, Software, merged, now};
use serde_json::{Value, json};

use super::PAT;

async fn push(software: &Software, request: &str) -> procura_tests::Answer {
    software.push(&json!({"client_id": software.id, "request": request})).await
}

#[tokio::test]
async fn section_5_a_signed_request_holds_and_nothing_beside_it_counts() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (asks, verifier) = software.asks(&json!({"max_age": 3600}));
    let request = software.signs(&asks, &json!({}));
    let visitor = house.visitor();
    let outside = [("request", request.as_str()), ("ui_locales", "de")];
    let (url, _) = visitor.request_of(&software.id, "https://evil.example/", &outside);
    let answer = visitor.pass(url.as_str(), PAT).await;
    let to = answer.location();
    assert!(to.starts_with(CALLBACK) && to.contains("state=a+state+%26+more"), "{to}");
    let code = to.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let tokens = software.redeem(code, &verifier).await;
    assert_eq!(tokens.expect(200).string("scope"), "openid");
    // The same at the push, where outer parameters count as little.
    let outer =
        merged(&json!({"scope": "operator.admin", "state": "x"}), &json!({"request": request}));
    let outer = merged(&outer, &json!({"client_id": software.id}));
    let uri = software.push(&outer).await.expect(201).string("request_uri");
    let answer = visitor.pass(&software.at_uri(&uri), PAT).await;
    assert!(answer.location().contains("state=a+state+%26+more"), "{}", answer.location());
}

#[tokio::test]
async fn section_6_a_signed_request_is_wholly_good_or_refused() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let other = house.software(Profile::Fapi2, |_| {}).await;
    let stranger = Signer::new("ES256");
    let (asks, _) = software.asks(&json!({}));
    let usual =
        json!({"iss": software.id, "aud": house.issuer(), "nbf": now(), "exp": now() + 300});
    let claims = merged(&usual, &asks);
    let signed = |header: Value| software.signer.jwt(&header, &claims);
    for bad in [
        software.signs(&asks, &json!({"iss": other.id})),
        software.signs(&asks, &json!({"iss": null})),
        software.signs(&asks, &json!({"aud": null})),
        software.signs(&asks, &json!({"aud": "https://elsewhere.example"})),
        software.signs(&asks, &json!({"client_id": other.id})),
        software.signs(&asks, &json!({"sub": software.id})),
        software.signs(&asks, &json!({"exp": null})),
        software.signs(&asks, &json!({"exp": now() - 1})),
        software.signs(&asks, &json!({"exp": now() + 3700})),
        software.signs(&asks, &json!({"nbf": null})),
        software.signs(&asks, &json!({"nbf": now() + 61})),
        software.signs(&asks, &json!({"nbf": now() - 3700})),
        software.signs(&asks, &json!({"request": "x"})),
        software.signs(&asks, &json!({"request_uri": "https://elsewhere.example"})),
        stranger.jwt(&json!({}), &claims),
        signed(json!({"alg": "none"})),
        signed(json!({"alg": "HS256"})),
        signed(json!({"jwk": software.signer.jwk()})),
        signed(json!({"jku": "https://elsewhere.example"})),
        signed(json!({"crit": ["x"]})),
        signed(json!({"typ": "at+jwt"})),
        signed(json!({"typ": "client-authentication+jwt"})),
        format!("{}x", signed(json!({}))),
        software.assertion(),
        software.proof("/oauth2/par"),
    ] {
        push(&software, &bad).await.oauth_error(400, "invalid_request_object");
    }
    for good in [
        software.signs(&asks, &json!({})),
        software.signs(&asks, &json!({"nbf": now() + 8})),
        software.signs(&asks, &json!({"aud": ["https://elsewhere.example", house.issuer()]})),
        software.signs(&asks, &json!({"more": {"of": ["it"]}})),
        signed(json!({"typ": null})),
        signed(json!({"typ": "JWT"})),
        signed(json!({"kid": null})),
    ] {
        push(&software, &good).await.expect(201);
    }
}

#[tokio::test]
async fn section_6_2_what_a_signed_request_asks_is_checked_like_any_other() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let (asks, _) = software.asks(&json!({}));
    let root = house.log_in("root@procura.test").await;
    let answer = push(&software, &software.signs(&asks, &json!({"exp": now() - 1}))).await;
    assert_eq!(root.reason_of(answer.request_id()).await, "request_time_wrong");
    for (inside, code) in [
        (json!({"code_challenge": null}), "invalid_request"),
        (json!({"redirect_uri": "https://evil.example/"}), "invalid_request"),
        (json!({"redirect_uri": [CALLBACK]}), "invalid_request"),
        (json!({"scope": ["openid"]}), "invalid_scope"),
        (json!({"response_type": "token"}), "unsupported_response_type"),
    ] {
        let request = software.signs(&asks, &inside);
        push(&software, &request).await.oauth_error(400, code);
    }
}

#[tokio::test]
async fn section_6_at_the_browser_a_bad_one_is_redirected_nowhere() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let visitor = house.visitor();
    let (asks, _) = software.asks(&json!({}));
    let foreign = Signer::new("ES256").jwt(&json!({}), &asks);
    let good = software.signs(&asks, &json!({}));
    let urn = format!("urn:ietf:params:oauth:request_uri:{}", "x".repeat(43));
    for (more, code) in [
        (vec![("request", "x")], "invalid_request_object"),
        (vec![("request", foreign.as_str())], "invalid_request_object"),
        (vec![("request", good.as_str()), ("request_uri", urn.as_str())], "invalid_request"),
    ] {
        let (url, _) = visitor.request_of(&software.id, CALLBACK, &more);
        let page = visitor.visit(url.as_str()).await;
        assert!(page.expect(400).text.contains(code), "{code}: {}", page.text);
    }
    // A client without keys has signed nothing.
    let portal = &house.demo().clients["portal"];
    let uri = portal.redirect_uri.as_deref().unwrap();
    let (url, _) = visitor.request_of(&portal.client_id, uri, &[("request", &good)]);
    visitor.visit(url.as_str()).await.expect(400);
}

#[tokio::test]
async fn section_10_5_who_must_sign_cannot_ask_otherwise() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |client| {
        client.registration.require_signed_request_object = true;
    });
    let software = software.await;
    let (asks, verifier) = software.asks(&json!({}));
    software.push(&asks).await.oauth_error(400, "invalid_request");
    let request = software.signs(&asks, &json!({}));
    let uri = push(&software, &request).await.expect(201).string("request_uri");
    let code = house.visitor().code_by(&software.at_uri(&uri), PAT).await;
    software.redeem(&code, &verifier).await.expect(200);
}
