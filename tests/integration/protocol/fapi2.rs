//! FAPI 2.0 Security Profile, as a whole: what a client under this profile can do, and all that it cannot.

use procura_domain::Profile;
use procura_store::clients::Client;
use procura_tests::{CALLBACK, House, claims, exchange_form, header};
use serde_json::json;

use super::{PAT, READ_BILLING, at, http, send};

#[tokio::test]
async fn a_whole_login_with_pushed_request_assertion_and_proof() {
    let house = House::start();
    for alg in ["ES256", "PS256", "EdDSA"] {
        let software = house.software_signing(alg, Profile::Fapi2, |_| {}).await;
        let scope = "openid partner.tenants.switch_context";
        let (start, verifier) = software.pushed(&json!({ "scope": scope })).await;
        let visitor = house.visitor();
        let answer = visitor.pass(&start, PAT).await;
        assert_eq!(answer.status, 303);
        let to = answer.location();
        let iss = url::form_urlencoded::byte_serialize(house.issuer().as_bytes());
        assert!(to.contains(&format!("iss={}", iss.collect::<String>())), "{to}");
        let code = to.split("code=").nth(1).unwrap().split('&').next().unwrap();
        let tokens = software.redeem(code, &verifier).await;
        assert_eq!(tokens.expect(200).string("token_type"), "DPoP");
        assert!(tokens.json()["refresh_token"].is_null());
        assert_eq!(header(&tokens.string("id_token"))["alg"], "ES256");
        let home = tokens.string("access_token");
        assert_eq!(claims(&home)["cnf"]["jkt"], software.holder.thumbprint());
        let form = exchange_form(&home, "acme-corp", READ_BILLING);
        let delegated = software.token(&form).await.expect(200).string("access_token");
        assert_eq!(claims(&delegated)["cnf"]["jkt"], software.holder.thumbprint());
        // Once is all.
        software.redeem(code, &verifier).await.oauth_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn nothing_is_given_without_a_proof() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let (start, verifier) = software.pushed(&json!({})).await;
    let code = house.visitor().code_by(&start, PAT).await;
    let by_code = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    let pat = house.log_in(PAT).await;
    let by_exchange = exchange_form(&pat.home, "acme-corp", READ_BILLING);
    let by_itself = [("grant_type", "client_credentials")];
    for form in [&by_code[..], &by_exchange, &by_itself] {
        let answer = software.post("/oauth2/token", form, &[]).await;
        answer.oauth_error(400, "invalid_dpop_proof");
    }
    // The code is as good as before.
    software.redeem(&code, &verifier).await.expect(200);
    software.token(&by_itself).await.expect(200);
}

#[tokio::test]
async fn a_code_is_for_its_client_and_its_verifier() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let other = house.software(Profile::Fapi2, |_| {}).await;
    let (start, verifier) = software.pushed(&json!({})).await;
    let code = house.visitor().code_by(&start, PAT).await;
    other.redeem(&code, &verifier).await.oauth_error(400, "invalid_grant");
    let wrong = "a".repeat(43);
    software.redeem(&code, &wrong).await.oauth_error(400, "invalid_grant");
    software.redeem(&code, &verifier).await.expect(200);
}

#[tokio::test]
async fn the_documents_say_what_a_client_under_this_profile_needs() {
    let house = House::start();
    let document = send(http().get(at(&house, "/.well-known/openid-configuration"))).await.json();
    let has =
        |member: &str, value: &str| document[member].as_array().unwrap().contains(&json!(value));
    assert!(has("token_endpoint_auth_methods_supported", "private_key_jwt"));
    for alg in ["PS256", "ES256", "EdDSA"] {
        assert!(has("token_endpoint_auth_signing_alg_values_supported", alg));
        assert!(has("dpop_signing_alg_values_supported", alg));
        assert!(has("request_object_signing_alg_values_supported", alg));
    }
    assert!(has("id_token_signing_alg_values_supported", "ES256"));
    assert!(!has("dpop_signing_alg_values_supported", "RS256"));
    assert!(has("code_challenge_methods_supported", "S256"));
    assert!(has("response_modes_supported", "jwt"));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["request_uri_parameter_supported"], false);
    let par = format!("{}/oauth2/par", house.issuer());
    assert_eq!(document["pushed_authorization_request_endpoint"], par);
}

#[tokio::test]
async fn section_5_3_2_1_clients_keep_their_refresh_token_and_may_change_the_key_of_their_proofs() {
    let house = House::start();
    let may_refresh = |client: &mut Client| {
        client.grant_types.insert("refresh_token".to_owned());
        client.scope = "openid offline_access".parse().unwrap();
    };
    let software = house.software(Profile::Fapi2, may_refresh).await;
    let other = house.software(Profile::Fapi2, may_refresh).await;
    let (start, verifier) = software.pushed(&json!({ "scope": "openid offline_access" })).await;
    let code = house.visitor().code_by(&start, PAT).await;
    let first = software.redeem(&code, &verifier).await;
    let token = first.expect(200).string("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
    for _ in 0..3 {
        let answer = software.token(&form).await;
        assert!(answer.expect(200).json()["refresh_token"].is_null());
        assert_eq!(answer.string("token_type"), "DPoP");
    }
    software.post("/oauth2/token", &form, &[]).await.oauth_error(400, "invalid_dpop_proof");
    other.token(&form).await.oauth_error(400, "invalid_grant");
    let renewed = software.with_another_key();
    let answer = renewed.token(&form).await;
    let home = answer.expect(200).string("access_token");
    assert_eq!(claims(&home)["cnf"]["jkt"], renewed.holder.thumbprint());
}
