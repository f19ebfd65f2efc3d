//! What is no home token of a person cannot be exchanged; and the form of an exchange is strict.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use procura_tests::{EXCHANGE, House, claims, exchange_form, header};
use serde_json::json;

use super::{PAT, READ_BILLING, ROOT, unusable};

#[tokio::test]
async fn only_a_persons_home_token_can_be_exchanged() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let machine = house.token(&[("grant_type", "client_credentials")]).await;
    let machine = machine.expect(200).string("access_token");
    assert!(claims(&machine)["sid"].is_null());
    let delegated = pat.switch("acme-corp", READ_BILLING).await;
    let mut forged = pat.home.clone();
    forged.replace_range(forged.len() - 10.., "AAAAAAAAAA");
    let unsigned = unsigned(&pat.home);
    let cases = [
        (machine.as_str(), "subject_token_without_user"),
        (delegated.as_str(), "subject_token_delegated"),
        (pat.id_token.as_str(), "token_header_refused"),
        (forged.as_str(), "token_signature_wrong"),
        (unsigned.as_str(), "token_algorithm_refused"),
        ("nonsense", "token_malformed"),
    ];
    for (subject, reason) in cases {
        // Another tenant than the delegated token's, the same, and one that nobody has.
        for tenant in ["fabrikam", "acme-corp", "no-such-tenant"] {
            let answer = house.token(&exchange_form(subject, tenant, READ_BILLING)).await;
            unusable(&answer);
            assert_eq!(root.reason_of(answer.request_id()).await, reason, "{tenant}");
        }
    }
}

#[tokio::test]
async fn a_revoked_home_token_cannot_be_exchanged_and_a_revoked_delegation_is_over() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let delegated = pat.switch("acme-corp", READ_BILLING).await;
    assert!(house.is_alive(&delegated).await);
    house.revoke(&delegated).await.expect(200);
    assert!(!house.is_alive(&delegated).await);
    // Renewal starts another delegation: the old one is over for good.
    let next = pat.switch("acme-corp", READ_BILLING).await;
    assert_ne!(claims(&next)["dlg"], claims(&delegated)["dlg"]);
    assert!(!house.is_alive(&delegated).await && house.is_alive(&next).await);

    house.revoke(&pat.home).await.expect(200);
    let answer = pat.exchange("acme-corp", READ_BILLING).await;
    unusable(&answer);
    assert_eq!(root.reason_of(answer.request_id()).await, "subject_token_revoked");
    pat.get("/api/v1/partner/customers").await.problem(401, "unauthenticated");
    // Revoking what nobody knows is no error, and tells nothing (RFC 7009 §2.2).
    house.revoke("nonsense").await.expect(200);
}

#[tokio::test]
async fn the_form_of_an_exchange_is_strict() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let good = exchange_form(&pat.home, "acme-corp", READ_BILLING);
    house.token(&good).await.expect(200);
    let without = |name: &str| -> Vec<_> {
        good.iter().filter(|(known, _)| *known != name).copied().collect()
    };
    for name in ["tenant_id", "subject_token", "subject_token_type"] {
        let text = house.token(&without(name)).await.oauth_error(400, "invalid_request");
        assert!(text.starts_with(&format!("{name} ")), "{text}");
    }
    let with = |name: &'static str, value: &'static str| {
        let mut form = good.clone();
        form.push((name, value));
        form
    };
    let text = house.token(&with("actor_token", "x")).await.oauth_error(400, "invalid_request");
    assert!(text.starts_with("actor_token "), "{text}");
    for name in ["tenant_id", "scope", "grant_type", "anything"] {
        let mut form = with(name, "a");
        form.push((name, "a"));
        house.token(&form).await.oauth_error(400, "invalid_request");
    }
    let mut both = with("audience", "http://127.0.0.1:5100");
    both.push(("resource", "http://127.0.0.1:5100"));
    house.token(&both).await.oauth_error(400, "invalid_request");
    for (name, bad) in
        [("purpose", "Not A Code"), ("purpose_ref", "alone"), ("requested_token_type", "x")]
    {
        house.token(&with(name, bad)).await.oauth_error(400, "invalid_request");
    }
    house.token(&[("grant_type", "password")]).await.oauth_error(400, "unsupported_grant_type");
}

#[tokio::test]
async fn a_client_must_be_itself_and_may_do_only_what_it_is_for() {
    let house = House::start();
    let (pat, root) = (house.log_in(PAT).await, house.log_in(ROOT).await);
    let form = exchange_form(&pat.home, "acme-corp", READ_BILLING);
    let demo = house.demo();
    let (portal, isp) = (&demo.clients["portal"], &demo.clients["isp"]);
    let isp_secret = isp.client_secret.as_deref().unwrap();

    let wrong = house.token_by(Some((&portal.client_id, "wrong")), &form).await;
    wrong.oauth_error(401, "invalid_client");
    assert!(wrong.header("www-authenticate").is_some_and(|how| how.starts_with("Basic ")));
    let nobody = house.token_by(None, &form).await;
    nobody.oauth_error(401, "invalid_client");
    let unknown = house.token_by(Some(("cli_unknown", "wrong")), &form).await;
    assert_eq!(unknown.oauth_error(401, "invalid_client"), wrong.string("error_description"));
    for answer in [&wrong, &unknown] {
        let reason = root.reason_of(answer.request_id()).await;
        assert_eq!(reason, "client_authentication_failed");
    }
    // Another client has no exchange, and cannot use the portal's tokens.
    let other = house.token_by(Some((&isp.client_id, isp_secret)), &form).await;
    other.oauth_error(400, "unauthorized_client");
    assert_eq!(root.reason_of(other.request_id()).await, "grant_not_allowed");
    assert_eq!(EXCHANGE, form[0].1);
}

/// The same token under "no algorithm": RFC 8725 §2.1.
fn unsigned(token: &str) -> String {
    let header = json!({ "alg": "none", "typ": header(token)["typ"], "kid": header(token)["kid"] });
    let payload = token.split('.').nth(1).expect("a payload");
    format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(header.to_string()))
}
