//! RFC 7009: who may revoke a token, and what dies with it.

use procura_tests::House;

use super::{PAT, READ_BILLING, at, credentials, http, send};

#[tokio::test]
async fn section_2_1_a_client_revokes_its_own_tokens_only() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let isp = credentials(&house, "isp");
    let revoke = |secret: &str, form: &[(&str, &str)]| {
        let request = http().post(at(&house, "/oauth2/revoke"));
        send(request.basic_auth(isp.0, Some(secret)).form(form))
    };
    // Another client's attempt is no error and no news (section 2.2).
    revoke(isp.1, &[("token", &token)]).await.expect(200);
    assert!(house.is_alive(&token).await);
    revoke(isp.1, &[]).await.oauth_error(400, "invalid_request");
    revoke("wrong", &[("token", &token)]).await.oauth_error(401, "invalid_client");
    house.revoke(&token).await.expect(200);
    assert!(!house.is_alive(&token).await);
}

#[tokio::test]
async fn section_2_2_what_is_unknown_or_dead_is_no_error_and_no_news() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let isp = credentials(&house, "isp");
    house.revoke("garbage").await.expect(200);
    house.revoke(&token).await.expect(200);
    // Again adds nothing to the log that all verifiers carry.
    let head = async || {
        let request = http().get(at(&house, "/revocations/snapshot"));
        send(request.basic_auth(isp.0, Some(isp.1))).await.expect(200).json()["head"].clone()
    };
    let before = head().await;
    house.revoke(&token).await.expect(200);
    assert_eq!(head().await, before);
}

#[tokio::test]
async fn section_2_1_a_hint_may_be_wrong_and_changes_nothing() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let portal = credentials(&house, "portal");
    for hint in ["access_token", "refresh_token", "anything"] {
        let token = pat.switch("acme-corp", READ_BILLING).await;
        let form = [("token", token.as_str()), ("token_type_hint", hint)];
        let request = http().post(at(&house, "/oauth2/revoke"));
        send(request.basic_auth(portal.0, Some(portal.1)).form(&form)).await.expect(200);
        assert!(!house.is_alive(&token).await, "{hint}");
    }
}
