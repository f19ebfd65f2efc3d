//! RFC 8707: which resource server a token is for.

use procura_domain::Profile;
use procura_store::clients::{Client, ResourceServer};
use procura_tests::{Answer, CALLBACK, House, Software, claims, exchange_form, form};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::{PAT, READ_BILLING, at, http, rfc8628::DEVICE, send};

const ISP: &str = "http://127.0.0.1:5100";
const OTHER: &str = "https://other.example/api";
const SCOPE: &str = "openid offline_access partner.tenants.list partner.tenants.switch_context";

/// A client that may name two resource servers.
async fn software(house: &House) -> Software {
    let audience = |client: &mut Client| client.audiences.push(OTHER.to_owned());
    let change = |client: &mut Client| {
        audience(client);
        client.grant_types.extend(["refresh_token".to_owned(), DEVICE.to_owned()]);
        client.scope = SCOPE.parse().unwrap();
    };
    let software = house.software(Profile::Oauth21, change).await;
    let store = house.store().await;
    let mut tx = store.begin(procura_token::Ts::from_secs(procura_tests::now())).await.unwrap();
    let server = ResourceServer {
        audience: OTHER.to_owned(),
        client: software.id.parse().unwrap(),
        accepts_delegated: true,
        permissions: "partner.tenants.list".parse().unwrap(),
        version: 1,
    };
    tx.insert_resource_server(&server).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    software
}

/// A login for these resources: the code and its verifier.
async fn code(house: &House, software: &Software, resources: &[&str]) -> (String, String) {
    let (url, verifier) = start(house, software, resources);
    (house.visitor().code_by(url.as_str(), PAT).await, verifier)
}

fn start(house: &House, software: &Software, resources: &[&str]) -> (Url, String) {
    let more: Vec<_> = resources.iter().map(|uri| ("resource", *uri)).collect();
    let (url, verifier) = house.visitor().request_of(&software.id, CALLBACK, &more);
    (with(&url, "scope", SCOPE), verifier)
}

fn with(url: &Url, name: &str, value: &str) -> Url {
    let mut other = url.clone();
    let pairs: Vec<_> = url.query_pairs().filter(|(known, _)| known != name).collect();
    other.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
    other
}

async fn redeem(software: &Software, code: &(String, String), resource: Option<&str>) -> Answer {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code.0.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", code.1.as_str()),
    ];
    form.extend(resource.map(|uri| ("resource", uri)));
    software.post("/oauth2/token", &form, &[]).await
}

async fn refresh(software: &Software, token: &str, resource: Option<&str>) -> Answer {
    let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    form.extend(resource.map(|uri| ("resource", uri)));
    software.post("/oauth2/token", &form, &[]).await
}

fn audience(answer: &Answer) -> Value {
    claims(&answer.expect(200).string("access_token"))["aud"].clone()
}

#[tokio::test]
async fn section_2_a_token_is_for_the_resource_server_that_was_named_and_for_nobody_else() {
    let house = House::start();
    let software = software(&house).await;
    let tokens = redeem(&software, &code(&house, &software, &[ISP]).await, None).await;
    assert_eq!(audience(&tokens), ISP);
    let home = tokens.string("access_token");
    assert_eq!(
        tokens.string("scope"),
        "offline_access openid",
        "what it does not know is left out"
    );
    assert_eq!(claims(&tokens.string("id_token"))["aud"], json!(software.id));
    assert!(claims(&home)["managed_tenant_ids"].is_null(), "nor who the partner's customers are");
    assert!(house.is_alive(&home).await, "asked by that resource server");
    house.api(&home, Method::GET, "/api/v1/partner/customers", None).await.expect(401);
    send(http().get(at(&house, "/oauth2/userinfo")).bearer_auth(&home)).await.expect(401);
    let exchange = exchange_form(&home, "acme-corp", READ_BILLING);
    software.post("/oauth2/token", &exchange, &[]).await.oauth_error(400, "invalid_request");
    // The twin that names nobody, and the one that names us, are for ourselves.
    for resources in [&[][..], &[house.issuer()]] {
        let tokens = redeem(&software, &code(&house, &software, resources).await, None).await;
        assert_eq!(audience(&tokens), house.issuer());
        let home = tokens.string("access_token");
        assert!(!house.is_alive(&home).await);
        house.api(&home, Method::GET, "/api/v1/partner/customers", None).await.expect(200);
    }
    let tokens = redeem(&software, &code(&house, &software, &[OTHER]).await, None).await;
    assert_eq!(tokens.string("scope"), "offline_access openid partner.tenants.list");
    assert!(claims(&tokens.string("access_token"))["managed_tenant_ids"].is_array());
}

#[tokio::test]
async fn section_2_what_is_no_resource_of_this_client_is_refused_wherever_it_is_asked_for() {
    let house = House::start();
    let software = software(&house).await;
    let fragment = format!("{ISP}#x");
    let several = format!("{ISP} https://x.example");
    let bads = ["https://x.example", "x", "/x", &fragment, &format!("{ISP}/"), &several];
    for bad in bads {
        let (url, _) = start(&house, &software, &[bad]);
        let answer = house.visitor().visit(url.as_str()).await;
        assert!(answer.location().contains("error=invalid_target"), "{}", answer.location());
        let (asks, _) = software.asks(&json!({ "resource": bad }));
        software.push(&asks).await.oauth_error(400, "invalid_target");
        let signed = software.signs(&asks, &json!({ "resource": [ISP, bad] }));
        let asks = json!({ "client_id": software.id, "request": signed });
        software.push(&asks).await.oauth_error(400, "invalid_target");
        let device = software.post("/oauth2/device_authorization", &[("resource", bad)], &[]).await;
        device.oauth_error(400, "invalid_target");
    }
    // Two of them, in each of these ways.
    let signed = software.signs(&software.asks(&json!({})).0, &json!({ "resource": [ISP, OTHER] }));
    software.push(&json!({ "client_id": software.id, "request": signed })).await.expect(201);
    let both = [("resource", ISP), ("resource", OTHER)];
    software.post("/oauth2/device_authorization", &both, &[]).await.expect(200);
    // Another client may not name what this one may.
    let stranger = house.software(Profile::Oauth21, |_| {}).await;
    let (asks, _) = stranger.asks(&json!({ "resource": OTHER }));
    stranger.push(&asks).await.oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn section_2_2_of_several_the_client_says_each_time_which_one_it_means() {
    let house = House::start();
    let software = software(&house).await;
    let code = code(&house, &software, &[ISP, OTHER]).await;
    // Nothing of this uses the code up.
    for bad in [None, Some("https://x.example"), Some(house.issuer())] {
        redeem(&software, &code, bad).await.oauth_error(400, "invalid_target");
    }
    let first = redeem(&software, &code, Some(OTHER)).await;
    assert_eq!(audience(&first), OTHER);
    let token = first.string("refresh_token");
    for bad in [None, Some("https://x.example"), Some(house.issuer())] {
        refresh(&software, &token, bad).await.oauth_error(400, "invalid_target");
    }
    let second = refresh(&software, &token, Some(ISP)).await;
    assert_eq!(audience(&second), ISP, "the whole grant is in the refresh token");
    let third = refresh(&software, &second.string("refresh_token"), Some(OTHER)).await;
    assert_eq!(audience(&third), OTHER);
}

#[tokio::test]
async fn section_2_2_what_was_not_agreed_on_at_login_is_not_given_at_the_token_endpoint() {
    let house = House::start();
    let software = software(&house).await;
    let code = code(&house, &software, &[]).await;
    redeem(&software, &code, Some(ISP)).await.oauth_error(400, "invalid_target");
    let tokens = redeem(&software, &code, Some(house.issuer())).await;
    assert_eq!(audience(&tokens), house.issuer());
    let token = tokens.string("refresh_token");
    refresh(&software, &token, Some(ISP)).await.oauth_error(400, "invalid_target");
    assert_eq!(audience(&refresh(&software, &token, None).await), house.issuer());
}

#[tokio::test]
async fn a_pushed_request_and_a_device_carry_their_resources_to_the_token() {
    let house = House::start();
    let software = software(&house).await;
    let (asks, verifier) = software.asks(&json!({}));
    let form = asks.as_object().unwrap().iter();
    let mut form: Vec<_> = form.map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect();
    form.extend([("resource", ISP), ("resource", OTHER)]);
    let pushed = software.post("/oauth2/par", &form, &[]).await;
    let start = software.at_uri(&pushed.expect(201).string("request_uri"));
    let code = house.visitor().code_by(&start, PAT).await;
    let tokens = redeem(&software, &(code, verifier), Some(OTHER)).await;
    assert_eq!(audience(&tokens), OTHER);

    let started = software.post("/oauth2/device_authorization", &form[form.len() - 1..], &[]).await;
    let visitor = house.visitor();
    let page = visitor.visit(&started.expect(200).string("verification_uri_complete")).await;
    let entered = visitor.submit(&self::form(&page.text, "device-form")).await;
    let done = super::relying_party::follow(&house, &visitor, entered, PAT).await;
    done.expect(200);
    let code = started.string("device_code");
    let poll = [("grant_type", DEVICE), ("device_code", code.as_str()), ("resource", ISP)];
    software.post("/oauth2/token", &poll, &[]).await.oauth_error(400, "invalid_target");
    let tokens = software.post("/oauth2/token", &poll[..2], &[]).await;
    assert_eq!(audience(&tokens), OTHER);
}

#[tokio::test]
async fn what_is_taken_from_the_client_is_given_no_more_and_what_it_gave_is_dead() {
    let house = House::start();
    let software = software(&house).await;
    let tokens = redeem(&software, &code(&house, &software, &[ISP]).await, None).await;
    let home = tokens.expect(200).string("access_token");
    assert!(house.is_alive(&home).await);
    let code = code(&house, &software, &[ISP]).await;
    let root = house.log_in("root@procura.test").await;
    let path = format!("/api/clients/{}", software.id);
    let less = json!({ "audiences": [OTHER], "default_audience": null });
    root.patch(&path, &less).await.expect(200);
    assert!(!house.is_alive(&home).await);
    redeem(&software, &code, None).await.oauth_error(400, "invalid_grant");
    let (url, _) = start(&house, &software, &[ISP]);
    let answer = house.visitor().visit(url.as_str()).await;
    assert!(answer.location().contains("error=invalid_target"), "{}", answer.location());
}

#[tokio::test]
async fn an_exchange_and_a_client_are_for_one_resource_server() {
    let house = House::start();
    let software = software(&house).await;
    let tokens = redeem(&software, &code(&house, &software, &[]).await, None).await;
    let home = tokens.expect(200).string("access_token");
    let by_exchange = exchange_form(&home, "acme-corp", READ_BILLING);
    let by_itself = [("grant_type", "client_credentials")];
    for form in [&by_exchange[..], &by_itself] {
        let two = [form, &[("resource", ISP), ("resource", OTHER)]].concat();
        software.post("/oauth2/token", &two, &[]).await.oauth_error(400, "invalid_target");
        let one = [form, &[("resource", ISP)]].concat();
        assert_eq!(audience(&software.post("/oauth2/token", &one, &[]).await), ISP);
    }
}
