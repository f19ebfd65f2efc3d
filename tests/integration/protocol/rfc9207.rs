//! RFC 9207: every answer of the authorization endpoint says whose it is.

use procura_tests::House;
use url::Url;

use super::PAT;

/// The issuer that an answer to the client names.
fn issuer_of(location: &str) -> Option<String> {
    let to = Url::parse(location).expect("a URL");
    let mut pairs = to.query_pairs();
    pairs.find(|(name, _)| name == "iss").map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn section_2_a_code_and_a_refusal_name_the_issuer() {
    let house = House::start();
    let visitor = house.visitor();
    let (start, _) = visitor.start();
    let answer = visitor.pass(start.as_str(), PAT).await;
    assert!(answer.location().contains("code="));
    assert_eq!(issuer_of(answer.location()).as_deref(), Some(house.issuer()));
    let (mut start, _) = visitor.start();
    start.query_pairs_mut().append_pair("prompt", "none");
    let refused = house.visitor().visit(start.as_str()).await;
    assert!(refused.location().contains("error=login_required"), "{}", refused.location());
    assert_eq!(issuer_of(refused.location()).as_deref(), Some(house.issuer()));
}

#[tokio::test]
async fn section_3_discovery_says_so() {
    let house = House::start();
    let document = house.visitor().visit("/.well-known/oauth-authorization-server").await;
    let document = document.expect(200).json();
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["issuer"], house.issuer());
}
