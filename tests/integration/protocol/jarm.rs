//! JARM: authorization answers that the server has signed.

use procura_domain::Profile;
use procura_tests::{CALLBACK, House, Software, claims, form, header, now};
use procura_token::{Algorithm, KeySet, jws};
use serde_json::{Value, json};

use super::{PAT, at, http, send};

/// The claims of the signed answer in a redirect, verified as a client would.
async fn opened(house: &House, software: &Software, location: &str, alg: Algorithm) -> Value {
    let response = location.strip_prefix(&format!("{CALLBACK}?response=")).unwrap();
    assert!(!response.contains('&'), "nothing stands beside it: {location}");
    let keys = send(http().get(at(house, "/oauth2/jwks"))).await;
    let keys = KeySet::from_json(keys.text.as_bytes()).unwrap();
    jws::verify(response, "JWT", &keys, &[alg]).unwrap();
    assert!(header(response)["kid"].is_string());
    let all = claims(response);
    assert_eq!((&all["iss"], &all["aud"]), (&json!(house.issuer()), &json!(software.id)));
    assert!((now()..=now() + 60).contains(&all["exp"].as_i64().unwrap()));
    all
}

#[tokio::test]
async fn section_2_1_an_answer_comes_as_one_signed_value() {
    let house = House::start();
    for (profile, registered, alg) in [
        (Profile::Fapi2, None, Algorithm::Es256),
        (Profile::Oidc, None, Algorithm::Rs256),
        (Profile::Oauth21, Some(Algorithm::Es256), Algorithm::Es256),
    ] {
        let software = house.software(profile, |client| {
            client.registration.authorization_signed_response_alg = registered;
        });
        let software = software.await;
        let visitor = house.visitor();
        for mode in ["jwt", "query.jwt"] {
            let (start, verifier) = software.pushed(&json!({"response_mode": mode})).await;
            let answer = visitor.pass(&start, PAT).await;
            let all = opened(&house, &software, answer.location(), alg).await;
            assert_eq!(all["state"], "a state & more");
            assert!(all["error"].is_null() && all["sub"].is_null());
            software.redeem(all["code"].as_str().unwrap(), &verifier).await.expect(200);
        }
        // An error is signed as well.
        let more = json!({"response_mode": "jwt", "prompt": "consent"});
        let (start, _) = software.pushed(&more).await;
        let page = visitor.visit(visitor.visit(&start).await.location()).await;
        let deny = form(&page.text, "consent-form").press("decision", "deny");
        let answer = visitor.submit(&deny).await;
        let all = opened(&house, &software, answer.location(), alg).await;
        assert_eq!((&all["error"], &all["code"]), (&json!("access_denied"), &Value::Null));
        // Without the mode it is plain.
        let (start, _) = software.pushed(&json!({})).await;
        visitor.code_by(&start, PAT).await;
    }
}

#[tokio::test]
async fn an_algorithm_that_we_cannot_sign_with_is_refused_before_anybody_logs_in() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |client| {
        client.registration.authorization_signed_response_alg = Some(Algorithm::Ps256);
    });
    let software = software.await;
    let (asks, _) = software.asks(&json!({"response_mode": "jwt"}));
    software.push(&asks).await.oauth_error(400, "invalid_request");
    software.pushed(&json!({})).await;
}
