//! OAuth 2.0 Form Post Response Mode 1.0.

use axum::{Router, extract::State, http::HeaderMap, response::Html, routing::post};
use procura_tests::{browse_with_scripts, form, in_time};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    PAT, credentials,
    relying_party::{change, follow, house_of_openid, redeem, refused, register, request},
};

const POSTED: (&str, &str) = ("response_mode", "form_post");

#[tokio::test]
async fn section_2_the_answer_is_a_form_that_posts_itself_and_has_a_button_for_the_rest() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let answer = visitor.visit(request(&house, &[POSTED]).as_str()).await;
    let page = follow(&house, &visitor, answer, PAT).await;
    assert_eq!(page.expect(200).header("cache-control"), Some("no-store"));
    let policy = page.header("content-security-policy").unwrap();
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(page.text.contains(&format!("<script nonce=\"{nonce}\">")), "{policy}");
    assert!(policy.contains("default-src 'none'") && policy.contains("http://127.0.0.1:8400"));
    assert!(page.text.contains("id=\"form-post-submit\" class=\"primary\" type=\"submit\""));
    let posted = form(&page.text, "form-post");
    assert_eq!(posted.action, "http://127.0.0.1:8400/callback");
    let value = |name: &str| {
        let found = posted.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    assert_eq!(value("state").as_deref(), Some("some state"));
    assert_eq!(value("iss").as_deref(), Some(house.issuer()));
    redeem(&house, &value("code").unwrap()).await.expect(200);
    // The next page has another nonce.
    let again = visitor.visit(request(&house, &[POSTED]).as_str()).await;
    assert!(!again.expect(200).text.contains(nonce));
}

#[tokio::test]
async fn section_2_errors_are_posted_too_and_nothing_before_the_redirect_uri_is_bound() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let hostile = [POSTED, ("prompt", "none"), ("state", "\"><script>alert(1)</script>")];
    let page = visitor.visit(request(&house, &hostile).as_str()).await;
    let fields = form(&page.expect(200).text, "form-post").fields;
    assert!(fields.contains(&("error".into(), "login_required".into())), "{fields:?}");
    assert!(fields.contains(&("state".into(), hostile[2].1.into())), "{fields:?}");
    assert_eq!(page.text.matches("<script").count(), 1);
    let elsewhere = [POSTED, ("redirect_uri", "https://evil.test/")];
    let page = visitor.visit(request(&house, &elsewhere).as_str()).await;
    assert!(page.expect(400).text.contains("id=\"oauth-error\""));
    assert!(!page.text.contains("evil.test"));
    for bad in ["fragment", "FORM_POST", "query form_post"] {
        let url = request(&house, &[("response_mode", bad)]);
        assert_eq!(refused(&visitor, &url).await, "invalid_request", "{bad}");
    }
    let url = request(&house, &[("response_mode", "query"), ("prompt", "none")]);
    assert_eq!(refused(&visitor, &url).await, "login_required");
}

type Posted = (Option<String>, Vec<(String, String)>);

#[tokio::test]
async fn a_real_browser_posts_the_answer_under_our_own_policy() {
    let house = house_of_openid().await;
    let (sender, mut posted) = mpsc::channel::<Posted>(4);
    let take = |State(sender): State<mpsc::Sender<Posted>>, headers: HeaderMap, body: String| async move {
        let fields = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let kind = headers.get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        sender.send((kind, fields)).await.unwrap();
        Html("<p id=\"arrived\">arrived</p>")
    };
    let party = Router::new().route("/callback", post(take)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/callback", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, party).await });
    register(&house, "portal", "oidc", json!({})).await;
    let (id, _) = credentials(&house, "portal");
    change(&house, format!("UPDATE clients SET redirect_uris = '[\"{uri}\"]' WHERE id = '{id}'"))
        .await;

    let url = request(&house, &[POSTED, ("prompt", "none"), ("redirect_uri", &uri)]);
    let seen = tokio::task::spawn_blocking(move || browse_with_scripts(url.as_str())).await;
    let Some(seen) = seen.unwrap() else { return };
    let (kind, fields) = in_time(posted.recv()).await.unwrap();
    assert_eq!(kind.as_deref(), Some("application/x-www-form-urlencoded"));
    let wanted = [("error", "login_required"), ("state", "some state"), ("iss", house.issuer())];
    assert_eq!(fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(!seen.log.contains("Content Security Policy"), "{}", seen.log);
}
