//! RFC 9701: introspection answers that the server has signed.

use procura_tests::{Answer, House, claims, header, now};
use procura_token::{Algorithm, KeySet, jws};
use reqwest::header::ACCEPT;
use serde_json::json;

use super::{PAT, READ_BILLING, at, credentials, http, send};

const KIND: &str = "application/token-introspection+jwt";

async fn ask(house: &House, token: &str, accept: &str) -> Answer {
    let (id, secret) = credentials(house, "isp");
    let request = http().post(at(house, "/oauth2/introspect")).basic_auth(id, Some(secret));
    send(request.header(ACCEPT, accept).form(&[("token", token)])).await
}

#[tokio::test]
async fn section_5_a_signed_answer_is_for_who_asks_and_is_no_token() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let plain = ask(&house, &token, "application/json").await.expect(200).json();
    for accept in [KIND, "application/json;q=0.1, application/token-introspection+jwt;q=1"] {
        let answer = ask(&house, &token, accept).await;
        assert_eq!(answer.expect(200).header("content-type"), Some(KIND));
        let keys = send(http().get(at(&house, "/oauth2/jwks"))).await;
        let keys = KeySet::from_json(keys.text.as_bytes()).unwrap();
        let kind = "token-introspection+jwt";
        jws::verify(&answer.text, kind, &keys, &[Algorithm::Rs256]).unwrap();
        assert_eq!(header(&answer.text)["typ"], kind);
        let all = claims(&answer.text);
        let (id, _) = credentials(&house, "isp");
        assert_eq!((&all["iss"], &all["aud"]), (&json!(house.issuer()), &json!(id)));
        assert!((now() - 60..=now()).contains(&all["iat"].as_i64().unwrap()));
        assert!(all["sub"].is_null() && all["exp"].is_null(), "it could be taken for a token");
        assert_eq!(all["token_introspection"], plain);
        // Nobody takes it for one.
        let path = "/api/v1/partner/customers";
        let answer = house.api(&answer.text, reqwest::Method::GET, path, None).await;
        answer.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn section_5_what_is_not_for_the_caller_is_inactive_in_this_form_too() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    for token in [pat.home.as_str(), pat.id_token.as_str(), "x"] {
        let answer = ask(&house, token, KIND).await;
        let all = claims(&answer.expect(200).text);
        assert_eq!(all["token_introspection"], json!({"active": false}));
    }
}
