//! RFC 9396: a request for an exchange that says in one object what it wants.

use procura_domain::Profile;
use procura_store::clients::Client;
use procura_tests::{Answer, House, Isp, Software, claims, exchange_form};
use serde_json::{Value, json};

use super::{PAT, READ_BILLING, http, relying_party::ask, rfc8628::DEVICE, send};

const ISP: &str = "http://127.0.0.1:5100";
const BILLING: &str = "/api/v1/partner/billing/summary";
const TICKETS: &str = "partner.support.tickets.create";
const NAME: &str = "authorization_details";

async fn software(house: &House) -> Software {
    let may = |client: &mut Client| {
        client.registration.authorization_details_types = vec!["tenant_delegation".to_owned()];
        client.grant_types.extend(["refresh_token".to_owned(), DEVICE.to_owned()]);
    };
    house.software(Profile::Oauth21, may).await
}

/// Pat's home token for this client.
async fn home(house: &House, software: &Software) -> String {
    let scope = "openid partner.tenants.switch_context";
    let (start, verifier) = software.pushed(&json!({ "scope": scope })).await;
    let code = house.visitor().code_by(&start, PAT).await;
    let verifier = verifier.as_str();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", procura_tests::CALLBACK),
        ("code_verifier", verifier),
    ];
    software.post("/oauth2/token", &form, &[]).await.expect(200).string("access_token")
}

fn detail(tenant: &str, more: &Value) -> Value {
    let usual = json!({ "type": "tenant_delegation", "tenant": tenant });
    json!([procura_tests::merged(&usual, more)])
}

async fn exchange(software: &Software, home: &str, details: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = exchange_form(home, "acme-corp", "");
    form.push((NAME, details));
    let form: Vec<(&str, &str)> = form.into_iter().chain(more.iter().copied()).collect();
    software.post("/oauth2/token", &form, &[]).await
}

#[tokio::test]
async fn section_7_what_is_granted_is_echoed_and_stands_in_the_token() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let software = software(&house).await;
    let home = home(&house, &software).await;
    // What the relationship does not give is not in it.
    let asked = json!({ "locations": [ISP], "actions": [READ_BILLING, "tenant.keys.rotate"] });
    let answer = exchange(&software, &home, &detail("acme-corp", &asked).to_string(), &[]).await;
    let granted = json!({ "locations": [ISP], "actions": [READ_BILLING] });
    let granted = detail(house.tenant("acme-corp"), &granted);
    assert_eq!(answer.expect(200).json()[NAME], granted);
    assert_eq!(answer.string("scope"), READ_BILLING);
    let token = answer.string("access_token");
    assert_eq!(claims(&token)[NAME], granted);
    isp.get(&token, BILLING).await.expect(200);
    let isp = &house.demo().clients["isp"];
    let request = http().post(format!("{}/oauth2/introspect", house.issuer()));
    let request = request.basic_auth(&isp.client_id, isp.client_secret.as_ref());
    let seen = send(request.form(&[("token", &token)])).await;
    assert_eq!(seen.expect(200).json()[NAME], granted, "section 9.2");
    // Who asked in the usual way is answered in the usual way.
    let form = exchange_form(&home, "acme-corp", READ_BILLING);
    let usual = software.post("/oauth2/token", &form, &[]).await;
    assert!(usual.expect(200).json()[NAME].is_null());
    assert!(claims(&usual.string("access_token"))[NAME].is_null());
}

#[tokio::test]
async fn section_5_details_narrow_and_never_widen() {
    let house = House::start();
    let software = software(&house).await;
    let home = home(&house, &software).await;
    let both = json!({ "actions": [READ_BILLING, TICKETS] });
    let both = detail("acme-corp", &both).to_string();
    let scope = [("scope", READ_BILLING)];
    let answer = exchange(&software, &home, &both, &scope).await;
    assert_eq!(answer.expect(200).string("scope"), READ_BILLING, "the narrower one");
    let apart = detail("acme-corp", &json!({ "actions": [TICKETS] })).to_string();
    exchange(&software, &home, &apart, &scope).await.oauth_error(400, "invalid_scope");
    let never = detail("acme-corp", &json!({ "actions": ["tenant.keys.rotate"] })).to_string();
    exchange(&software, &home, &never, &[]).await.oauth_error(400, "invalid_scope");
    // Without actions it is the same as without a scope.
    let bare = detail("acme-corp", &json!({})).to_string();
    let bare = exchange(&software, &home, &bare, &[]).await;
    let form = exchange_form(&home, "acme-corp", "");
    let usual = software.post("/oauth2/token", &form, &[]).await;
    assert_eq!(bare.expect(200).string("scope"), usual.expect(200).string("scope"));
    // The place says the same as the parameter, and a place that is nobody's is no target.
    let place = detail("acme-corp", &json!({ "locations": [ISP] })).to_string();
    exchange(&software, &home, &place, &[("resource", ISP)]).await.expect(200);
    let other = [("resource", "https://x.example")];
    let refused = exchange(&software, &home, &place, &other).await;
    refused.oauth_error(400, "invalid_authorization_details");
    let nowhere = detail("acme-corp", &json!({ "locations": ["https://x.example"] })).to_string();
    exchange(&software, &home, &nowhere, &[]).await.oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn section_5_whatever_is_not_wholly_known_is_refused() {
    let house = House::start();
    let software = software(&house).await;
    let home = home(&house, &software).await;
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let long = detail("acme-corp", &json!({ "actions": ["a".repeat(9000)] })).to_string();
    let acme = house.tenant("acme-corp");
    for bad in [
        "x",
        "[]",
        "{}",
        deep.as_str(),
        long.as_str(),
        &detail("contoso", &json!({})).to_string(),
        &detail(acme, &json!({})).to_string(),
        &detail("acme-corp", &json!({ "type": "payment" })).to_string(),
        &detail("acme-corp", &json!({ "privileges": ["admin"] })).to_string(),
        &detail("acme-corp", &json!({ "actions": "a" })).to_string(),
        &detail("acme-corp", &json!({ "locations": [ISP, ISP] })).to_string(),
    ] {
        let answer = exchange(&software, &home, bad, &[]).await;
        answer.oauth_error(400, "invalid_authorization_details");
    }
    // A client says at its registration that it will ask so (section 10).
    let without = house.software(Profile::Oauth21, |_| {}).await;
    let other = self::home(&house, &without).await;
    let good = detail("acme-corp", &json!({})).to_string();
    let answer = exchange(&without, &other, &good, &[]).await;
    answer.oauth_error(400, "invalid_authorization_details");
    exchange(&software, &home, &good, &[]).await.expect(200);
    let delegated = "SELECT CAST(count(*) AS TEXT) FROM delegations".to_owned();
    assert_eq!(ask(&house, delegated).await, ["1"], "nothing was begun by the others");
}

#[tokio::test]
async fn section_3_a_login_carries_none() {
    let house = House::start();
    let software = software(&house).await;
    let details = detail("acme-corp", &json!({})).to_string();
    let (asks, _) = software.asks(&json!({ NAME: details }));
    software.push(&asks).await.oauth_error(400, "invalid_authorization_details");
    let signed = software.signs(&software.asks(&json!({})).0, &json!({ NAME: [{ "type": "x" }] }));
    let signed = software.push(&json!({ "client_id": software.id, "request": signed })).await;
    signed.oauth_error(400, "invalid_authorization_details");
    let visitor = house.visitor();
    let more = [(NAME, details.as_str())];
    let (url, _) = visitor.request_of(&software.id, procura_tests::CALLBACK, &more);
    let answer = visitor.visit(url.as_str()).await;
    let to = answer.location();
    assert!(to.contains("error=invalid_authorization_details"), "{to}");
    for grant in ["authorization_code", "refresh_token", "client_credentials", DEVICE] {
        let form = [("grant_type", grant), (NAME, &details), ("code", "x"), ("device_code", "x")];
        let answer = software.post("/oauth2/token", &form, &[]).await;
        answer.oauth_error(400, "invalid_authorization_details");
    }
    let device = software.post("/oauth2/device_authorization", &[(NAME, &details)], &[]).await;
    device.oauth_error(400, "invalid_authorization_details");
    software.token(&[("grant_type", "client_credentials")]).await.expect(200);
}
