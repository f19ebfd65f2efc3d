//! Errors that no handler makes: each face keeps its shape, and says when to come again.

use procura_tests::Answer;

use super::{connect, get, http, rest, send};
use procura_tests::House;

#[tokio::test]
async fn a_method_that_an_oauth_endpoint_does_not_know_is_an_oauth_error() {
    let house = House::start();
    for path in ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"] {
        let answer = get(&house, path).await;
        answer.oauth_error(405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("POST"), "{path}");
    }
    let post = send(http().post(format!("{}/oauth2/jwks", house.issuer()))).await;
    post.oauth_error(405, "invalid_request");
    // Elsewhere it is a problem, as before.
    let delete = send(http().delete(format!("{}/api/health", house.issuer()))).await;
    delete.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_in_the_shape_of_its_face() {
    let house = House::start();
    // Bodies that never come; all three wait at the same time.
    let wait = async |path: &str, kind: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\n\
             content-length: 10\r\n\r\n"
        );
        rest(&mut connect(&house, &head).await).await
    };
    let form = "application/x-www-form-urlencoded";
    let (token, login, event) = tokio::join!(
        wait("/oauth2/token", form),
        wait("/login", form),
        // The credentials come first there, and are asked for at once.
        wait("/api/audit-events", "application/json"),
    );
    for answer in [&token, &login] {
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    }
    assert!(token.contains("{\"error\":\"temporarily_unavailable\""), "{token}");
    assert!(login.contains("<h1>Just a moment</h1>"), "{login}");
    assert!(event.starts_with("HTTP/1.1 401"), "{event}");
}

#[tokio::test]
async fn every_face_says_when_to_come_again() {
    let house = House::start();
    let pat = house.log_in(super::PAT).await;
    let ada = house.log_in(super::ADA).await;
    let visitor = house.visitor();
    let (url, _) = visitor.start();
    let page = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    let login = procura_tests::form(&page.text, "login-form");
    let login = login.with("email", super::PAT).with("password", &house.demo().password);
    let lock = super::health::Lock::take(&house).await;
    let off = serde_json::json!({ "mode": "off" });
    let (token, api, page) = tokio::join!(
        pat.exchange("acme-corp", ""),
        ada.put("/api/tenants/partner-access", &off),
        visitor.submit(&login),
    );
    token.oauth_error(503, "temporarily_unavailable");
    api.problem(503, "unavailable");
    assert!(page.expect(503).text.contains("Just a moment"), "{}", page.text);
    let says_when = |answer: &Answer| answer.header("retry-after") == Some("1");
    assert!(says_when(&token) && says_when(&api) && says_when(&page));
    lock.release().await;
    pat.switch("acme-corp", "").await;
}
