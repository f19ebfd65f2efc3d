//! RFC 9728: what a resource server says of itself, and how a client gets from a refusal to the issuer.

use procura_tests::{Answer, House, Isp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PAT, READ_BILLING, at, http, send};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const BILLING: &str = "/api/v1/partner/billing/summary";

/// The challenges of a refusal, one a scheme.
fn challenges(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("www-authenticate").iter().map(|v| v.to_str().unwrap()).collect()
}

/// The metadata that every challenge of the answer points to.
#[track_caller]
fn pointed_to(answer: &Answer) -> String {
    let all = challenges(answer);
    let url = |challenge: &&str| {
        let (_, rest) = challenge.split_once("resource_metadata=\"").expect("a pointer");
        rest.strip_suffix('"').expect("it comes last").to_owned()
    };
    let mut urls: Vec<_> = all.iter().map(url).collect();
    urls.dedup();
    assert_eq!(urls.len(), 1, "{all:?}");
    urls.remove(0)
}

#[tokio::test]
async fn section_2_the_sample_says_who_issues_its_tokens_and_how_they_are_shown() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let answer = send(isp.bare(Method::GET, WELL_KNOWN)).await;
    assert_eq!(answer.expect(200).header("content-type"), Some("application/json"));
    let document = answer.json();
    let audience = house.demo().clients["isp"].audience.clone().unwrap();
    assert_eq!(document["resource"], audience, "what clients name as `resource`, byte for byte");
    assert_eq!(document["authorization_servers"], json!([house.issuer()]));
    assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    assert_eq!(document["dpop_signing_alg_values_supported"], json!(["PS256", "ES256", "EdDSA"]));
    assert_eq!(document["dpop_bound_access_tokens_required"], false);
    assert_eq!(document["tenant_delegation_supported"], true);
    let scopes = document["scopes_supported"].as_array().unwrap();
    assert!(scopes.contains(&READ_BILLING.into()), "{scopes:?}");
    // The path of another resource is none of ours.
    assert_eq!(send(isp.bare(Method::GET, &format!("{WELL_KNOWN}/x"))).await.status, 404);
}

#[tokio::test]
async fn section_5_1_every_refusal_of_a_token_points_to_the_metadata() {
    let house = House::start();
    let isp = Isp::start(&house).await;
    let url = format!("{}{WELL_KNOWN}", house.demo().clients["isp"].audience.clone().unwrap());
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let bare = send(isp.bare(Method::GET, BILLING)).await;
    assert_eq!(pointed_to(bare.expect(401)), url);
    // RFC 6750 §3.1: without a token there is no error.
    assert!(!challenges(&bare)[0].contains("error="));
    let bad = isp.get("x.y.z", BILLING).await;
    assert_eq!(pointed_to(bad.expect(401)), url);
    let more = isp.get(&token, "/api/v1/subscribers").await;
    assert_eq!(pointed_to(more.expect(403)), url);
    assert!(challenges(&more)[0].contains("scope=\"tenant.users.list\""));
    // Nothing is asked of a token that is good.
    let elsewhere = isp.get_as(&token, BILLING, house.tenant("fabrikam")).await;
    assert!(challenges(elsewhere.expect(400)).is_empty());
    assert!(challenges(isp.get(&token, BILLING).await.expect(200)).is_empty());
}

#[tokio::test]
async fn section_5_a_client_finds_the_issuer_of_our_own_api_from_its_refusal() {
    let house = House::start();
    let refused = send(http().get(at(&house, "/api/tenants/users"))).await;
    refused.problem(401, "unauthenticated");
    let found = pointed_to(&refused);
    assert_eq!(found, at(&house, WELL_KNOWN));
    let document = send(http().get(found)).await.expect(200).json();
    // Section 3.3: what it is called is where it was asked for.
    assert_eq!(document["resource"], house.issuer());
    let issuer = document["authorization_servers"][0].as_str().unwrap();
    let server = format!("{issuer}/.well-known/oauth-authorization-server");
    let server: Value = send(http().get(server)).await.expect(200).json();
    assert_eq!(server["issuer"], issuer);
    // Section 4: and back.
    assert_eq!(server["protected_resources"], json!([document["resource"]]));
    for scope in document["scopes_supported"].as_array().unwrap() {
        assert!(server["scopes_supported"].as_array().unwrap().contains(scope), "{scope}");
    }
    assert_eq!(document["tenant_delegation_supported"], false);
}

#[tokio::test]
async fn section_5_1_only_challenges_for_tokens_point_to_the_metadata() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let userinfo = |token: &str| http().get(at(&house, "/oauth2/userinfo")).bearer_auth(token);
    let answer = send(userinfo("x")).await;
    assert_eq!(pointed_to(answer.expect(401)), at(&house, WELL_KNOWN));
    assert!(challenges(send(userinfo(&pat.home)).await.expect(200)).is_empty());
    // A client that mistyped its secret has nothing to read there.
    let form = [("grant_type", "client_credentials")];
    let portal = house.demo().clients["portal"].client_id.clone();
    let answer = house.token_by(Some((&portal, "wrong")), &form).await;
    answer.oauth_error(401, "invalid_client");
    assert_eq!(challenges(&answer), ["Basic realm=\"procura\""]);
}
