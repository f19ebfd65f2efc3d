//! A login that is too weak or too old is no way into a tenant that asks for more, however fresh it looks (S79).

use procura_tests::{Answer, House, exchange_form};
use reqwest::Method;
use serde_json::json;

use super::{ADA, PAT, READ_BILLING, patient_house_of_openid};
use crate::protocol::relying_party::{SCOPE, change, refresh, tokens};

const OFFLINE: &[(&str, &str)] = &[("scope", SCOPE), ("prompt", "consent")];

async fn enter(house: &House, home: &str) -> Answer {
    house.token(&exchange_form(home, "acme-corp", READ_BILLING)).await
}

#[tokio::test]
async fn only_a_login_that_is_as_strong_and_as_fresh_as_asked_for_enters() {
    let house = patient_house_of_openid().await;
    let ada = tokens(&house, &house.visitor(), &[("scope", SCOPE)], ADA).await;
    let ada = ada.string("access_token");
    let edge = house.relationship("northwind>acme-corp");
    let demand = async |conditions: serde_json::Value| {
        let body = json!({ "conditions": conditions });
        house.api(&ada, Method::PATCH, &edge, Some(&body)).await.expect(200);
    };
    demand(json!({ "max_age_secs": 600 })).await;
    let visitor = house.visitor();
    let first = tokens(&house, &visitor, OFFLINE, PAT).await;
    enter(&house, &first.string("access_token")).await.expect(200);

    // The login grows old. Neither a new token, nor a new code from the same login, nor a refresh makes it young.
    change(&house, "UPDATE sessions SET auth_time = auth_time - 700000000".to_owned()).await;
    let again = tokens(&house, &visitor, &[("scope", SCOPE)], PAT).await;
    let refreshed = refresh(&house, &first.string("refresh_token")).await;
    refreshed.expect(200);
    for old in [&again, &refreshed] {
        let refused = enter(&house, &old.string("access_token")).await;
        refused.oauth_error(400, "insufficient_user_authentication");
        assert_eq!(refused.json()["max_age"], 600);
    }
    let fresh = [("scope", SCOPE), ("max_age", "600")];
    let fresh = tokens(&house, &visitor, &fresh, PAT).await;
    enter(&house, &fresh.string("access_token")).await.expect(200);

    // Freshness is no strength.
    demand(json!({ "max_age_secs": null, "min_acr": "urn:procura:acr:mfa" })).await;
    let asked = [("scope", SCOPE), ("prompt", "login"), ("acr_values", "urn:procura:acr:mfa")];
    let weak = tokens(&house, &visitor, &asked, PAT).await;
    let refused = enter(&house, &weak.string("access_token")).await;
    refused.oauth_error(400, "insufficient_user_authentication");
    assert_eq!(refused.json()["acr_values"], "urn:procura:acr:mfa");
    demand(json!({ "min_acr": "urn:procura:acr:pwd" })).await;
    enter(&house, &weak.string("access_token")).await.expect(200);
}
