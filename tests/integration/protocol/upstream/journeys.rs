//! Out to a provider and back: once, in one browser, to where it went.

use base64::{Engine, engine::general_purpose::STANDARD};
use procura_tests::{House, claims, form, now};
use serde_json::{Value, json};
use url::Url;

use super::{
    Journey, ROOT, SAM, TOM, add, house, link, message, own, path,
    provider::{Does, Provider},
};

async fn world() -> (House, Provider, Value) {
    let (house, provider) = (house(), Provider::start().await);
    let tom = house.log_in(TOM).await;
    let registered = add(&house, &tom, &own(&provider.issuer)).await;
    link(&tom, &registered, "s-1", house.user(SAM)).await;
    (house, provider, registered)
}

#[tokio::test]
async fn core_3_1_2_1_the_request_has_all_that_binds_the_answer_to_it() {
    let (house, provider, registered) = world().await;
    let more = [("login_hint", SAM)];
    let first = Journey::asking(&house, house.visitor(), "northwind/own", &more).await;
    let second = Journey::to(&house, "northwind/own").await;
    let url = first.to.as_str();
    assert!(url.starts_with(&format!("{}/authorize?kept=1&", provider.issuer)), "{url}");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "procura"),
        ("scope", "openid"),
        ("redirect_uri", registered["redirect_uri"].as_str().unwrap()),
        ("code_challenge_method", "S256"),
        ("login_hint", SAM),
    ] {
        assert_eq!(first.sent(name).as_deref(), Some(value), "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        let (one, other) = (first.sent(name).unwrap(), second.sent(name).unwrap());
        assert!(one.len() == 43 && one != other, "{name}");
    }
    provider.knows(&first, "s-1", &json!({}));
    let back = first.back(&[("code", "a code"), ("iss", &provider.issuer)]).await;
    message(back.expect(400));
    first_code(&house, &provider).await;
}

/// What the token endpoint hears: the code, its verifier, and our secret in the one way that is registered.
async fn first_code(house: &House, provider: &Provider) {
    let journey = Journey::to(house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    let back = journey.back(&[("code", "a-code"), ("iss", &provider.issuer)]).await;
    journey.tokens(&back).await;
    let (headers, body) = provider.heard().pop().unwrap();
    let sent: Vec<_> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let value = |name: &str| sent.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(value("grant_type"), Some("authorization_code"));
    assert_eq!(value("code"), Some("a-code"));
    assert_eq!(value("redirect_uri"), journey.sent("redirect_uri").as_deref());
    let challenge = procura_tests::token_hash(value("code_verifier").unwrap());
    assert_eq!(Some(challenge), journey.sent("code_challenge"));
    assert_eq!(value("client_secret"), None);
    // RFC 6749 §2.3.1: both halves are encoded as in a form first.
    let basic = STANDARD.encode("procura:a+secret%3A+with%25signs");
    assert_eq!(headers["authorization"], format!("Basic {basic}"));
}

#[tokio::test]
async fn a_browser_comes_back_once_and_only_the_one_that_left_from_where_it_went() {
    let (house, provider, _) = world().await;
    let tom = house.log_in(TOM).await;
    let mut second = own(&provider.issuer);
    second["name"] = "second".into();
    let second = add(&house, &tom, &second).await;

    let journey = Journey::to(&house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    let good = [("code", "a-code"), ("iss", provider.issuer.as_str())];
    let state = journey.sent("state").unwrap();
    let at = |redirect_uri: &str, state: &str| {
        let mut url = Url::parse(redirect_uri).unwrap();
        url.query_pairs_mut().append_pair("state", state).extend_pairs(good);
        url.to_string()
    };
    let own = journey.sent("redirect_uri").unwrap();
    let flipped = format!("{}{}", &state[..42], if state.ends_with('A') { 'B' } else { 'A' });
    let strangers = house.visitor();
    super::login_page(&house, &strangers, &[]).await;
    for (browser, url) in [
        (&strangers, at(&own, &state)),
        (&house.visitor(), at(&own, &state)),
        (&journey.browser, at(second["redirect_uri"].as_str().unwrap(), &state)),
        (&journey.browser, at(&format!("{own}0"), &state)),
        (&journey.browser, at(&own, &flipped)),
        (&journey.browser, at(&own, &state[..42])),
        (&journey.browser, at(&own, "")),
        (&journey.browser, format!("{}&state={state}", at(&own, &state))),
    ] {
        let refused = browser.visit(&url).await;
        refused.expect(400);
        assert!(refused.text.contains("id=\"oauth-error\""), "{}", refused.text);
        assert!(refused.header("set-cookie").is_none());
    }
    assert!(provider.heard().is_empty(), "nobody was asked");
    // The twin; and the same once more.
    let back = journey.back(&good).await;
    journey.tokens(&back).await;
    journey.back(&good).await.expect(400);
    assert_eq!(provider.heard().len(), 1);
}

#[tokio::test]
async fn of_many_that_come_back_with_the_same_at_once_one_is_heard() {
    let (house, provider, _) = world().await;
    let journey = Journey::to(&house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    let good = [("code", "a-code"), ("iss", provider.issuer.as_str())];
    let all = futures_util::future::join_all((0..8).map(|_| journey.back(&good))).await;
    assert_eq!(all.iter().filter(|answer| answer.status == 303).count(), 1);
    assert_eq!(provider.heard().len(), 1);
}

#[tokio::test]
async fn a_page_of_another_site_sends_nobody_to_a_provider() {
    let (house, _provider, _) = world().await;
    let browser = house.visitor();
    let (page, _) = super::login_page(&house, &browser, &[]).await;
    let good = form(&page.text, "upstream-form").with("organisation", "northwind/own");
    let forged = good.clone().with("form_token", "x");
    browser.submit(&forged).await.expect(400);
    house.visitor().submit(&good).await.expect(400);
    super::next(&browser.submit(&good).await);
}

#[tokio::test]
async fn whoever_leaves_again_and_again_has_to_wait() {
    let mut options = super::options();
    options.environment.push(("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "4".into()));
    let (house, provider) = (House::start_with(options), Provider::start().await);
    let tom = house.log_in(TOM).await;
    add(&house, &tom, &own(&provider.issuer)).await;
    let browser = house.visitor();
    let (page, _) = super::login_page(&house, &browser, &[]).await;
    let form = form(&page.text, "upstream-form").with("organisation", "northwind/own");
    let mut answers = Vec::new();
    for _ in 0..25 {
        answers.push(browser.submit(&form).await);
    }
    super::next(&answers[0]);
    let last = answers.pop().unwrap();
    last.expect(429);
    assert!(last.header("retry-after").is_some());
}

#[tokio::test]
async fn whoever_names_nothing_that_is_known_learns_nothing() {
    let (house, _provider, registered) = world().await;
    let root = house.log_in(ROOT).await;
    let domain = json!({ "domains": ["northwind.test"] });
    root.patch(&path(&registered), &domain).await.expect(200);
    let browser = house.visitor();
    let (page, _) = super::login_page(&house, &browser, &[]).await;
    let form = form(&page.text, "upstream-form");
    let mut texts = std::collections::BTreeSet::new();
    for typed in ["ada@acme.test", "nobody@acme.test", "acme-corp", "no-such-tenant", "a/b", ""] {
        let refused = browser.submit(&form.clone().with("organisation", typed)).await;
        texts.insert(refused.expect(400).text.clone());
    }
    assert_eq!(texts.len(), 1, "a tenant without a provider is as one that does not exist");
    // Who exists in a domain with a provider is not looked at.
    for typed in ["sam@northwind.test", " NOBODY@Northwind.test", "northwind"] {
        super::next(&browser.submit(&form.clone().with("organisation", typed)).await);
    }
}

#[tokio::test]
async fn a_login_of_which_nobody_says_when_is_not_fresh() {
    let (house, provider, _) = world().await;
    let root = house.log_in(ROOT).await;
    let good = [("code", "a-code"), ("iss", provider.issuer.as_str())];
    for said in [json!({ "auth_time": null }), json!({ "auth_time": now() - 400 })] {
        let more = [("max_age", "300")];
        let journey = Journey::asking(&house, house.visitor(), "northwind/own", &more).await;
        provider.knows(&journey, "s-1", &said);
        let refused = journey.back(&good).await;
        assert!(message(refused.expect(401)).contains("log in anew"));
        assert_eq!(root.reason_of(refused.request_id()).await, "upstream_login_too_old");
        // Where it is not asked for, it is good; and no time is made up.
        let journey = Journey::to(&house, "northwind/own").await;
        provider.knows(&journey, "s-1", &said);
        let tokens = journey.tokens(&journey.back(&good).await).await;
        let at = claims(&tokens.string("access_token"))["auth_time"].as_i64().unwrap();
        assert!(at <= now() - 400, "{at}");
    }
}

#[tokio::test]
async fn while_a_provider_is_away_passwords_go_on() {
    let (house, provider, registered) = world().await;
    drop(provider);
    let tom = house.log_in(TOM).await;
    let mut gone = own("http://127.0.0.1:1999");
    gone["name"] = "gone".into();
    add(&house, &tom, &gone).await;
    let browser = house.visitor();
    let (page, _) = super::login_page(&house, &browser, &[]).await;
    let form = form(&page.text, "upstream-form").with("organisation", "northwind/gone");
    let refused = browser.submit(&form).await;
    assert!(message(refused.expect(503)).contains("does not answer now"));
    house.log_in(SAM).await;
    assert_eq!(registered["is_enabled"], true);
}

#[tokio::test]
async fn the_secret_can_go_in_the_form() {
    let (house, provider, registered) = world().await;
    let tom = house.log_in(TOM).await;
    let post =
        json!({ "token_endpoint_auth_method": "client_secret_post", "client_secret": "2nd" });
    tom.patch(&path(&registered), &post).await.expect(200);
    provider.does(Does::Says(400, String::new()));
    let journey = Journey::to(&house, "northwind/own").await;
    journey.back(&[("code", "a-code"), ("iss", &provider.issuer)]).await.expect(400);
    let (headers, body) = provider.heard().pop().unwrap();
    assert!(
        body.contains("client_id=procura&client_secret=2nd")
            && !headers.contains_key("authorization")
    );
}
