//! RFC 7636, as RFC 9700 §2.1.1 narrows it: every code is bound to a secret that only who asked for it has.

use procura_tests::House;
use url::Url;

use super::PAT;

/// Where the portal sends a browser, with other values for some parameters; an empty one is left out.
fn asks(house: &House, others: &[(&str, &str)]) -> Url {
    let (url, _) = house.visitor().start();
    let mut changed = url.clone();
    let pairs = url.query_pairs().filter_map(|(name, value)| {
        match others.iter().find(|(known, _)| *known == name) {
            Some((_, "")) => None,
            Some((_, other)) => Some((name, (*other).into())),
            None => Some((name, value)),
        }
    });
    changed.query_pairs_mut().clear().extend_pairs(pairs);
    changed
}

#[tokio::test]
async fn section_4_3_no_request_goes_on_without_a_challenge_by_s256() {
    let house = House::start();
    let visitor = house.visitor();
    let good = asks(&house, &[]);
    assert!(visitor.visit(good.as_str()).await.location().starts_with("/login"));
    for others in [
        &[("code_challenge", "")] as &[_],
        &[("code_challenge", ""), ("code_challenge_method", "")],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "")],
        &[("code_challenge_method", "s256")],
        &[("code_challenge", "short")],
        &[("code_challenge", "not base64url, but of the right length!!!!!")],
    ] {
        let answer = visitor.visit(asks(&house, others).as_str()).await;
        let to = Url::parse(answer.location()).expect("back to the client");
        let error = to.query_pairs().find(|(name, _)| name == "error").map(|(_, value)| value);
        assert_eq!(error.as_deref(), Some("invalid_request"), "{others:?}");
    }
}

#[tokio::test]
async fn section_4_6_only_the_verifier_of_the_challenge_redeems_the_code() {
    let house = House::start();
    let (_, other) = house.visitor().start();
    for wrong in [other.as_str(), "", "short"] {
        let visitor = house.visitor();
        let (code, _) = visitor.code(PAT, &house.demo().password).await;
        let answer = visitor.redeem(&code, wrong).await;
        assert_eq!(answer.status, 400, "{wrong:?}: {}", answer.text);
        assert!(["invalid_grant", "invalid_request"].contains(&answer.string("error").as_str()));
    }
    let visitor = house.visitor();
    let (code, verifier) = visitor.code(PAT, &house.demo().password).await;
    visitor.redeem(&code, &verifier).await.expect(200);
}
