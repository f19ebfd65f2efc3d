//! The login, as it goes when somebody does not play along.

use procura_tests::{Answer, House, claims, form};
use url::Url;

use super::{PAT, ROOT, unusable};

#[tokio::test]
async fn a_code_works_once_and_a_second_attempt_takes_the_token_back() {
    let house = House::start();
    let password = house.demo().password.clone();
    let visitor = house.visitor();
    let pat = visitor.log_in(PAT, &password).await;
    assert_eq!(claims(&pat.id_token)["nonce"], "a nonce");
    assert_eq!(claims(&pat.id_token)["aud"], house.demo().clients["portal"].client_id);
    assert_eq!(claims(&pat.id_token)["sub"], house.user(PAT));

    // With a session and a consent the way is short.
    let (url, verifier) = visitor.start();
    let code = code(&visitor.visit(url.as_str()).await).expect("a code at once");
    let wrong = visitor.redeem(&code, &"x".repeat(43)).await;
    wrong.oauth_error(400, "invalid_grant");
    let (url, _) = visitor.start();
    let next = self::code(&visitor.visit(url.as_str()).await).expect("another code");
    visitor.redeem(&next, &verifier).await.oauth_error(400, "invalid_grant");

    let (url, verifier) = visitor.start();
    let code = self::code(&visitor.visit(url.as_str()).await).expect("a third");
    let first = visitor.redeem(&code, &verifier).await;
    let home = first.expect(200).string("access_token");
    let call = async || house.api(&home, reqwest::Method::GET, "/api/tenants/users", None).await;
    call().await.problem(403, "forbidden");
    visitor.redeem(&code, &verifier).await.oauth_error(400, "invalid_grant");
    call().await.problem(401, "unauthenticated");
    unusable(&house.token(&procura_tests::exchange_form(&home, "acme-corp", "")).await);
}

#[tokio::test]
async fn a_request_that_is_not_the_clients_own_is_redirected_to_nobody() {
    let house = House::start();
    let visitor = house.visitor();
    let (url, _) = visitor.start();
    for (name, value) in [
        ("redirect_uri", "http://127.0.0.1:8400/callback/"),
        ("redirect_uri", "http://evil.test/callback"),
        ("client_id", "cli_unknown"),
    ] {
        let answer = visitor.visit(with(&url, name, value).as_str()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{name}");
        assert!(answer.text.contains("<h1>"), "a page for a person: {}", answer.text);
    }
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("prompt", "none", "login_required"),
    ] {
        let answer = visitor.visit(with(&url, name, value).as_str()).await;
        let location = Url::parse(answer.location()).unwrap();
        let pair = ("error".into(), error.into());
        assert!(location.query_pairs().any(|found| found == pair), "{name}: {location}");
        assert_eq!(location.port(), Some(8400));
    }
}

#[tokio::test]
async fn a_login_page_belongs_to_the_browser_that_asked_for_it() {
    let house = House::start();
    let password = &house.demo().password;
    let (own, other) = (house.visitor(), house.visitor());
    let (url, _) = own.start();
    let page = own.visit(url.as_str()).await;
    let at = page.location().to_owned();
    assert_eq!(other.visit(&at).await.status, 400, "another browser's page");
    let login = form(&own.visit(&at).await.text, "login-form");
    let filled = login.with("email", PAT).with("password", password);
    assert_eq!(other.submit(&filled).await.status, 400, "another browser's form");
    let forged = filled.clone().with("form_token", &"0".repeat(64));
    assert_eq!(own.submit(&forged).await.status, 400, "not the form of the page");
    let consent = own.submit(&filled).await;
    let consent = own.visit(consent.location()).await;
    let denied = form(&consent.text, "consent-form").press("decision", "deny");
    let answer = own.submit(&denied).await;
    assert!(answer.location().contains("error=access_denied"), "{}", answer.location());
    assert_eq!(own.submit(&denied).await.status, 400, "answered once");
}

#[tokio::test]
async fn ten_wrong_passwords_make_a_name_wait_and_nobody_else() {
    let house = House::start();
    let password = &house.demo().password;
    for _ in 0..10 {
        assert_eq!(house.visitor().try_log_in(PAT, "wrong").await.0.status, 401);
    }
    let (right, _) = house.visitor().try_log_in(" PAT@Northwind.test ", password).await;
    assert_eq!(right.status, 401, "under any spelling");
    let root = house.log_in(ROOT).await;
    assert_eq!(root.reason_of(right.request_id()).await, "too_many_failures");
}

/// The code in a redirect to the client, if there is one.
fn code(answer: &Answer) -> Option<String> {
    let location = Url::parse(answer.location()).ok()?;
    let (_, code) = location.query_pairs().find(|(name, _)| name == "code")?;
    Some(code.into_owned())
}

/// The same URL with one parameter changed or added.
fn with(url: &Url, name: &str, value: &str) -> Url {
    let others: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
    changed
}
