//! RFC 9068 and the token shapes: which claims each kind of token has, and no others.

use procura_tests::{House, claims, header};

use super::{PAT, at, http, send};

fn names(token: &str) -> Vec<String> {
    claims(token)
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect()
}

#[tokio::test]
async fn a_delegated_token_says_who_acts_for_whom_and_nothing_of_the_person() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let asked = [("purpose", "support"), ("purpose_ref", "TCK-10293")];
    let answer = pat.exchange_with("acme-corp", "partner.billing.read pii.unmask", &asked).await;
    let token = answer.expect(200).string("access_token");
    assert_eq!(
        names(&token).join(" "),
        "acr act amr aud audit_actor_tenant auth_time client_id dlg exp iat iss jti \
         managed_tenant_ids nbf purpose rel roles rvs scope sid sub tenant"
    );
    let (c, acme, northwind) =
        (claims(&token), house.tenant("acme-corp"), house.tenant("northwind"));
    assert_eq!(header(&token)["typ"], "at+jwt");
    assert_eq!((&c["tenant"], &c["audit_actor_tenant"]), (&acme.into(), &northwind.into()));
    assert_eq!(c["managed_tenant_ids"], serde_json::json!([acme]));
    assert_eq!(c["act"]["sub"], house.user(PAT));
    assert_eq!(c["act"]["tenant"], northwind);
    assert!(c["sub"].as_str().unwrap().starts_with("dp_"), "nobody's user id");
    assert_eq!(c["purpose"], serde_json::json!({"code": "support", "ref": "TCK-10293"}));
    assert_eq!(c["exp"].as_i64().unwrap() - c["iat"].as_i64().unwrap(), 300);
    assert!(!token.contains('@') && !c.to_string().contains("northwind.test"));

    let body = answer.json();
    assert_eq!(body["tenant"], acme);
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(body["token_type"], "Bearer");
    assert!(body["refresh_token"].is_null());
    // The same person in the same tenant is the same principal; in another tenant another one.
    let again = claims(&pat.switch("acme-corp", "partner.billing.read").await);
    let elsewhere = claims(&pat.switch("fabrikam", "partner.billing.read").await);
    assert_eq!(again["sub"], c["sub"]);
    assert_ne!(elsewhere["sub"], c["sub"]);
}

#[tokio::test]
async fn a_home_token_hints_at_the_tenants_that_can_be_entered_and_an_id_token_does_not() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    assert_eq!(
        names(&pat.home).join(" "),
        "acr amr aud auth_time client_id exp iat idp iss jti managed_tenant_ids nbf partner_id \
         roles rvs scope sid sub tenant"
    );
    let c = claims(&pat.home);
    assert_eq!(c["aud"], house.issuer());
    let mut hinted: Vec<_> = vec![house.tenant("acme-corp"), house.tenant("fabrikam")];
    hinted.sort_unstable();
    assert_eq!(c["managed_tenant_ids"], serde_json::json!(hinted));
    assert_eq!(names(&pat.id_token).join(" "), "acr amr aud auth_time exp iat iss nonce sid sub");
    let userinfo = http().get(at(&house, "/oauth2/userinfo")).bearer_auth(&pat.home);
    let known = send(userinfo).await.expect(200).json();
    assert_eq!((&known["sub"], &known["email"]), (&house.user(PAT).into(), &PAT.into()));
    let delegated = pat.switch("acme-corp", "partner.billing.read").await;
    for token in [delegated.as_str(), pat.id_token.as_str(), "x"] {
        let request = http().get(at(&house, "/oauth2/userinfo")).bearer_auth(token);
        send(request).await.oauth_error(401, "invalid_token");
    }
}
