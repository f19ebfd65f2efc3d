//! RFC 8693: one token for another. What may be entered and why not is told in the walk-through.

use procura_tests::{House, claims, exchange_form};

use super::{PAT, READ_BILLING};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

#[tokio::test]
async fn section_2_1_the_types_of_tokens_are_named_and_only_ours_are_taken() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let asked = async |kind: &str, wanted: Option<&str>| {
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", pat.home.as_str()),
            ("subject_token_type", kind),
            ("tenant_id", "acme-corp"),
            ("scope", READ_BILLING),
        ];
        form.extend(wanted.map(|wanted| ("requested_token_type", wanted)));
        house.token(&form).await
    };
    asked(ACCESS_TOKEN, None).await.expect(200);
    asked(ACCESS_TOKEN, Some(ACCESS_TOKEN)).await.expect(200);
    for other in ["jwt", "id_token", "refresh_token", "saml2"] {
        let other = format!("urn:ietf:params:oauth:token-type:{other}");
        asked(&other, None).await.oauth_error(400, "invalid_request");
        asked(ACCESS_TOKEN, Some(&other)).await.oauth_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn section_2_2_1_the_answer_says_what_was_issued_and_for_where() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let answer = pat.exchange("acme-corp", READ_BILLING).await;
    let json = answer.expect(200).json();
    assert_eq!(json["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(json["token_type"], "Bearer");
    assert_eq!(json["scope"], READ_BILLING);
    assert_eq!(json["tenant"], house.tenant("acme-corp"));
    assert!(json["expires_in"].as_i64().is_some_and(|secs| (1..=900).contains(&secs)));
    assert!(json["refresh_token"].is_null(), "it is asked for again instead");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn section_2_2_2_a_subject_that_is_no_good_and_a_target_that_is_not_open_have_their_codes() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    house
        .token(&exchange_form("nonsense", "acme-corp", READ_BILLING))
        .await
        .oauth_error(400, "invalid_request");
    house
        .token(&exchange_form(&pat.id_token, "acme-corp", READ_BILLING))
        .await
        .oauth_error(400, "invalid_request");
    pat.exchange("umbrella", READ_BILLING).await.oauth_error(400, "invalid_target");
    pat.exchange("acme-corp", "tenant.delete").await.oauth_error(400, "invalid_scope");
    pat.exchange_with("acme-corp", READ_BILLING, &[("resource", "https://elsewhere.example")])
        .await
        .oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn section_4_1_the_actor_is_in_the_token_and_nobody_acts_for_an_actor() {
    let house = House::start();
    let pat = house.log_in(PAT).await;
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let claims = claims(&token);
    assert_eq!(claims["act"]["sub"], house.user(PAT));
    assert_eq!(claims["act"]["iss"], house.issuer());
    assert!(claims["act"]["act"].is_null(), "one step, never a chain");
    assert_ne!(claims["sub"], claims["act"]["sub"]);
    let again = exchange_form(&token, "acme-corp", READ_BILLING);
    house.token(&again).await.oauth_error(400, "invalid_request");
    let with_actor = [("actor_token", pat.home.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let answer = pat.exchange_with("acme-corp", READ_BILLING, &with_actor).await;
    answer.oauth_error(400, "invalid_request");
}
