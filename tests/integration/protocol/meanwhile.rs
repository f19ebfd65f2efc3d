//! What is taken away while a person reads a page, or while a client holds a code.

use procura_tests::{House, Visitor, claims, form};
use reqwest::Method;

use super::{
    PAT, credentials,
    relying_party::{SCOPE, authorize, change, house_of_openid, redeem, request, tokens, value},
};

const ASKED: &[(&str, &str)] = &[("scope", SCOPE), ("prompt", "consent")];

/// Logs Pat in, and stops where Pat is asked to agree: the path of that page.
async fn asked_to_agree(house: &House, visitor: &Visitor) -> String {
    let answer = visitor.visit(request(house, ASKED).as_str()).await;
    let page = visitor.visit(answer.location()).await;
    let login = form(&page.expect(200).text, "login-form")
        .with("email", PAT)
        .with("password", &house.demo().password);
    visitor.submit(&login).await.location().to_owned()
}

/// The operator changes the client, at the machine.
async fn change_portal(house: &House, column: &str, value: &str) {
    let portal = credentials(house, "portal").0;
    let set = format!("{column} = '{value}', version = version + 1");
    change(house, format!("UPDATE clients SET {set} WHERE id = '{portal}'")).await;
}

#[tokio::test]
async fn a_code_of_somebody_who_withdrew_the_consent_gives_nothing() {
    let house = house_of_openid().await;
    let home = tokens(&house, &house.visitor(), ASKED, PAT).await.string("access_token");
    let url = request(&house, ASKED);
    let code = value(&authorize(&house, &house.visitor(), &url, PAT).await, "code").unwrap();
    let portal = credentials(&house, "portal").0;
    let path = format!("/api/me/consents/{portal}");
    house.api(&home, Method::DELETE, &path, None).await.expect(200);
    redeem(&house, &code).await.oauth_error(400, "invalid_grant");
    // Who agrees again gets what it asks for, and the old code is as dead as before.
    let again = value(&authorize(&house, &house.visitor(), &url, PAT).await, "code").unwrap();
    redeem(&house, &again).await.expect(200);
    redeem(&house, &code).await.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn what_was_taken_from_a_client_while_the_person_read_is_not_given() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let consent = asked_to_agree(&house, &visitor).await;
    change_portal(&house, "scope", "openid profile").await;
    let page = visitor.visit(&consent).await;
    let allow = form(&page.expect(200).text, "consent-form").press("decision", "allow");
    let back = visitor.submit(&allow).await;
    let back = url::Url::parse(back.location()).unwrap();
    let answer = redeem(&house, &value(&back, "code").unwrap()).await;
    let scope = claims(&answer.expect(200).string("access_token"))["scope"].clone();
    for word in scope.as_str().unwrap().split(' ') {
        assert!(["openid", "profile"].contains(&word), "{scope}");
    }
    assert!(answer.json()["refresh_token"].is_null());
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_was_taken_from_the_client() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let code = {
        let back = authorize(&house, &house.visitor(), &request(&house, ASKED), PAT).await;
        value(&back, "code").unwrap()
    };
    let consent = asked_to_agree(&house, &visitor).await;
    let page = visitor.visit(&consent).await;
    change_portal(&house, "redirect_uris", r#"["https://portal.example/callback"]"#).await;
    let allow = form(&page.expect(200).text, "consent-form").press("decision", "allow");
    let answer = visitor.submit(&allow).await;
    assert!(answer.status >= 400 && answer.header("location").is_none(), "{}", answer.status);
    redeem(&house, &code).await.oauth_error(400, "invalid_grant");
}

#[tokio::test]
async fn a_person_who_cannot_exist_is_nobody_to_wait_for() {
    let house = house_of_openid().await;
    for text in
        [r#"{"id_token":{"sub":{"value":"a\u0000b"}}}"#, r#"{"id_token":{"sub":{"value":"pat"}}}"#]
    {
        let url = request(&house, &[("claims", text)]);
        let refused = super::relying_party::refused(&house.visitor(), &url).await;
        assert_eq!(refused, "invalid_request");
    }
}
