//! OpenID Connect RP-Initiated Logout 1.0, and what Back-Channel Logout 1.0 is told from.

use procura_tests::{House, Visitor, claims, form};
use reqwest::Method;
use serde_json::json;
use url::Url;

use super::{
    PAT, READ_BILLING, credentials, http,
    relying_party::{ask, change, refused, register, request, tokens},
    send,
};

const AFTER: &str = "http://127.0.0.1:8400/after?kept=1";
const CUSTOMERS: &str = "/api/v1/partner/customers";

async fn house() -> House {
    let house = House::start();
    let registration = json!({
        "post_logout_redirect_uris": [AFTER],
        "backchannel_logout_uri": "https://rp.test/backchannel",
    });
    register(&house, "portal", "oidc", registration).await;
    house
}

fn logout(house: &House, more: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(&format!("{}/oauth2/logout", house.url())).unwrap();
    url.query_pairs_mut().extend_pairs(more);
    url
}

async fn is_logged_in(house: &House, visitor: &Visitor) -> bool {
    let url = request(house, &[("prompt", "none")]);
    let answer = visitor.visit(url.as_str()).await;
    let is_in = answer.location().contains("code=");
    assert!(is_in || answer.location().contains("error=login_required"), "{}", answer.location());
    is_in
}

#[tokio::test]
async fn section_2_with_an_id_token_the_person_leaves_at_once_and_all_that_came_from_the_login_dies()
 {
    let house = house().await;
    let visitor = house.visitor();
    let scope = [("scope", super::relying_party::SCOPE)];
    let answer = tokens(&house, &visitor, &scope, PAT).await;
    let (hint, home) = (answer.string("id_token"), answer.string("access_token"));
    let form = procura_tests::exchange_form(&home, "acme-corp", READ_BILLING);
    let delegated = house.token(&form).await.expect(200).string("access_token");
    let other = house.visitor();
    let elsewhere = tokens(&house, &other, &scope, PAT).await.string("access_token");

    let state = "x".repeat(128);
    let more = [
        ("id_token_hint", hint.as_str()),
        ("post_logout_redirect_uri", AFTER),
        ("state", state.as_str()),
        ("ui_locales", "de"),
    ];
    let gone = visitor.visit(logout(&house, &more).as_str()).await;
    assert_eq!(gone.location(), format!("{AFTER}&state={state}"));
    assert!(gone.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert!(!is_logged_in(&house, &visitor).await);
    house.api(&home, Method::GET, CUSTOMERS, None).await.problem(401, "unauthenticated");
    assert!(!house.is_alive(&delegated).await);
    // Another login of the same person goes on.
    house.api(&elsewhere, Method::GET, CUSTOMERS, None).await.expect(200);
    // Again: nothing left to end, and the same way out, without state where none came.
    let again = visitor.visit(logout(&house, &more[..2]).as_str()).await;
    assert_eq!(again.location(), AFTER);
}

#[tokio::test]
async fn section_2_without_a_good_id_token_the_person_is_asked_and_nobody_is_redirected() {
    let house = house().await;
    let visitor = house.visitor();
    let hint = tokens(&house, &visitor, &[], PAT).await.string("id_token");
    let home = tokens(&house, &visitor, &[], PAT).await.string("access_token");
    let sam = tokens(&house, &house.visitor(), &[], "sam@northwind.test").await.string("id_token");
    let (id, _) = credentials(&house, "portal");
    let (isp, _) = credentials(&house, "isp");
    let (_, rest) = hint.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{rest}");
    let foreign = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngiLCJ0eXAiOiJKV1QifQ.e30.eA";
    let to = ("post_logout_redirect_uri", AFTER);
    for more in [
        vec![],
        vec![("state", "s")],
        vec![to],
        vec![to, ("client_id", id)],
        vec![to, ("id_token_hint", unsigned.as_str())],
        vec![to, ("id_token_hint", foreign)],
        vec![to, ("id_token_hint", home.as_str())],
        vec![to, ("id_token_hint", sam.as_str())],
        vec![to, ("id_token_hint", hint.as_str()), ("client_id", isp)],
        vec![("id_token_hint", &hint), ("post_logout_redirect_uri", "https://evil.test/")],
        vec![
            ("id_token_hint", &hint),
            ("post_logout_redirect_uri", "http://127.0.0.1:8400/after?kept=1&x"),
        ],
        vec![
            ("id_token_hint", &hint),
            ("post_logout_redirect_uri", "http://127.0.0.1:8400/AFTER?kept=1"),
        ],
        vec![
            ("id_token_hint", &hint),
            ("post_logout_redirect_uri", "http://127.0.0.1:8400/callback"),
        ],
    ] {
        let answer = visitor.visit(logout(&house, &more).as_str()).await;
        assert_eq!(answer.location(), "/logout", "{more:?}");
        assert!(is_logged_in(&house, &visitor).await, "{more:?}");
    }
    let twice = format!("{}/oauth2/logout?state=a&state=b", house.url());
    visitor.visit(&twice).await.expect(400);

    let page = visitor.visit("/logout").await;
    assert!(page.expect(200).text.contains("id=\"logout-confirm\""));
    let confirm = form(&page.text, "logout-form");
    visitor.submit(&confirm.clone().with("form_token", "00")).await.expect(400);
    assert!(is_logged_in(&house, &visitor).await, "a form from elsewhere logs nobody out");
    let gone = visitor.submit(&confirm).await;
    assert!(gone.expect(200).text.contains("id=\"logged-out\""));
    assert!(!is_logged_in(&house, &visitor).await);
    let nobody = visitor.visit("/logout").await;
    assert!(nobody.expect(200).text.contains("id=\"logged-out\""));
}

#[tokio::test]
async fn section_2_who_logged_in_again_leaves_with_everything_from_before() {
    let house = house().await;
    let visitor = house.visitor();
    let scope = ("scope", super::relying_party::SCOPE);
    let first = tokens(&house, &visitor, &[scope], PAT).await;
    let second = tokens(&house, &visitor, &[scope, ("prompt", "login")], PAT).await;
    let sid = |answer: &procura_tests::Answer| claims(&answer.string("id_token"))["sid"].clone();
    assert_eq!(sid(&first), sid(&second), "the same login, proved anew");
    let hint = second.string("id_token");
    visitor.visit(logout(&house, &[("id_token_hint", &hint)]).as_str()).await.expect(200);
    for gone in [first, second] {
        let home = gone.string("access_token");
        house.api(&home, Method::GET, CUSTOMERS, None).await.problem(401, "unauthenticated");
    }
    // Somebody else in the same browser has a login of their own, and ends nobody else's.
    let pat = tokens(&house, &visitor, &[scope], PAT).await;
    let sam = tokens(&house, &visitor, &[scope, ("prompt", "login")], "sam@northwind.test").await;
    assert_ne!(sid(&pat), sid(&sam));
    let home = pat.string("access_token");
    house.api(&home, Method::GET, CUSTOMERS, None).await.expect(200);
}

#[tokio::test]
async fn section_2_a_post_from_the_clients_page_goes_the_same_way() {
    let house = house().await;
    let visitor = house.visitor();
    let hint = tokens(&house, &visitor, &[], PAT).await.string("id_token");
    // From another site the browser brings no cookie, and is sent here once more.
    let form = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", AFTER)];
    let posted = http().post(format!("{}/oauth2/logout", house.url())).form(&form);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let posted = client.build().unwrap().execute(posted.build().unwrap()).await.unwrap();
    assert_eq!(posted.status(), 303);
    let next = posted.headers()["location"].to_str().unwrap().to_owned();
    assert!(next.starts_with("/oauth2/logout?id_token_hint="), "{next}");
    assert!(is_logged_in(&house, &visitor).await);
    let gone = visitor.visit(&next).await;
    assert_eq!(gone.location(), AFTER);
    assert!(!is_logged_in(&house, &visitor).await);
    // A hint alone ends the login too; where to is then ours to say.
    let hint = tokens(&house, &visitor, &[], PAT).await.string("id_token");
    let gone = visitor.visit(logout(&house, &[("id_token_hint", &hint)]).as_str()).await;
    assert!(gone.expect(200).text.contains("id=\"logged-out\""));
}

#[tokio::test]
async fn back_channel_section_2_5_who_was_told_of_a_login_is_to_hear_of_its_end() {
    let house = house().await;
    register(&house, "isp", "oidc", json!({})).await;
    let notices = async || {
        let ask_for = "SELECT client_id || ' ' || user_id FROM logout_notices ORDER BY id";
        ask(&house, ask_for.to_owned()).await
    };
    let visitor = house.visitor();
    let answer = tokens(&house, &visitor, &[], PAT).await;
    let (isp, secret) = credentials(&house, "isp");
    // A client without an address for it is told nothing.
    let at_isp = request(&house, &[("client_id", isp)]);
    let back = super::relying_party::authorize(&house, &visitor, &at_isp, PAT).await;
    let code = super::relying_party::value(&back, "code").unwrap();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://127.0.0.1:8400/callback"),
    ];
    house.token_by(Some((isp, secret)), &redeem).await.expect(200);
    assert!(notices().await.is_empty());
    let hint = answer.string("id_token");
    for _ in 0..2 {
        visitor.visit(logout(&house, &[("id_token_hint", &hint)]).as_str()).await.expect(200);
    }
    let (portal, _) = credentials(&house, "portal");
    let told = format!("{portal} {}", house.user(PAT));
    assert_eq!(notices().await, std::slice::from_ref(&told));

    // A person who is shut out leaves all logins.
    for _ in 0..2 {
        tokens(&house, &house.visitor(), &[], PAT).await;
    }
    let admin = [("scope", super::relying_party::SCOPE)];
    let tom = tokens(&house, &house.visitor(), &admin, "tom@northwind.test").await;
    let path = format!("/api/tenants/users/{}/disable", house.user(PAT));
    house.api(&tom.string("access_token"), Method::POST, &path, None).await.expect(200);
    assert_eq!(notices().await, [told.clone(), told.clone(), told]);
    assert_eq!(refused(&visitor, &request(&house, &[("prompt", "none")])).await, "login_required");
    change(&house, "DELETE FROM logout_notices".to_owned()).await;
    let known = http().get(format!("{}/oauth2/userinfo", house.url()));
    assert_eq!(send(known.bearer_auth(tom.string("access_token"))).await.status, 200);
}
