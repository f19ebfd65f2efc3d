//! What a provider answers, and what of it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_tests::{House, Person, Signer, claims, now};
use serde_json::{Value, json};

use super::{
    Journey, ROOT, SAM, TOM, add, house, link, message, own,
    provider::{Does, Provider},
};

const ALGORITHM: &[&str] = &["token_algorithm_refused"];
const HEADER: &[&str] = &["token_header_refused"];

/// A house with a provider that knows Sam as `s-1`.
async fn world() -> (House, Provider, Person) {
    let (house, provider) = (house(), Provider::start().await);
    let tom = house.log_in(TOM).await;
    let registered = add(&house, &tom, &own(&provider.issuer)).await;
    link(&tom, &registered, "s-1", house.user(SAM)).await;
    let root = house.log_in(ROOT).await;
    (house, provider, root)
}

impl Provider {
    /// Comes back with a code.
    async fn sends_back(&self, journey: &Journey) -> procura_tests::Answer {
        journey.back(&[("code", "a-code"), ("iss", &self.issuer)]).await
    }
}

/// An honest login, which works whatever was tried before.
async fn logs_in(house: &House, provider: &Provider) -> Value {
    let journey = Journey::to(house, "northwind/own").await;
    provider.knows(&journey, "s-1", &json!({}));
    let tokens = journey.tokens(&provider.sends_back(&journey).await).await;
    claims(&tokens.string("access_token"))
}

#[tokio::test]
async fn core_3_1_3_7_claims_that_are_not_as_they_must_be_log_nobody_in() {
    let (house, provider, root) = world().await;
    let missing = "id_token_claims_missing";
    let cases = [
        (json!({ "iss": "https://other.example" }), "id_token_issuer_wrong"),
        (json!({ "iss": format!("{}/", provider.issuer) }), "id_token_issuer_wrong"),
        (json!({ "iss": null }), missing),
        (json!({ "aud": "another-client" }), "id_token_audience_wrong"),
        (json!({ "aud": ["procura", "another-client"] }), "id_token_audience_wrong"),
        (json!({ "aud": ["procura", "x"], "azp": "x" }), "id_token_audience_wrong"),
        (json!({ "azp": "another-client" }), "id_token_audience_wrong"),
        (json!({ "aud": [] }), "id_token_audience_wrong"),
        (json!({ "aud": null }), missing),
        (json!({ "nonce": "another" }), "id_token_nonce_wrong"),
        (json!({ "nonce": null }), missing),
        (json!({ "exp": now() - 61 }), "id_token_expired"),
        (json!({ "exp": -1 }), "id_token_expired"),
        (json!({ "exp": null }), missing),
        (json!({ "exp": (now() + 300).to_string() }), missing),
        (json!({ "exp": 1.5e9 }), missing),
        (json!({ "exp": 1e300 }), missing),
        (json!({ "exp": now() + 100_000 }), "id_token_lives_too_long"),
        (json!({ "iat": null }), missing),
        (json!({ "iat": "now" }), missing),
        (json!({ "iat": now() - 700 }), "id_token_expired"),
        (json!({ "iat": now() + 120 }), "id_token_not_yet_valid"),
        (json!({ "nbf": now() + 120 }), "id_token_not_yet_valid"),
        (json!({ "nbf": "never" }), missing),
        (json!({ "auth_time": now() + 120 }), "id_token_not_yet_valid"),
        (json!({ "auth_time": -5 }), missing),
        (json!({ "sub": null }), missing),
        (json!({ "sub": 1 }), missing),
        (json!({ "sub": "" }), missing),
        (json!({ "sub": "s-2" }), "identity_not_linked"),
    ];
    for (other, reason) in cases {
        let journey = Journey::to(&house, "northwind/own").await;
        provider.knows(&journey, "s-1", &other);
        let refused = provider.sends_back(&journey).await;
        assert!((400..=401).contains(&refused.status), "{other}: {}", refused.status);
        message(&refused);
        assert!(refused.header("set-cookie").is_none(), "{other}");
        assert_eq!(root.reason_of(refused.request_id()).await, reason, "{other}");
    }
    // The twins: as several audiences too, and at the edges.
    for other in [
        json!({}),
        json!({ "aud": ["procura"] }),
        json!({ "aud": ["x", "procura"], "azp": "procura" }),
        json!({ "exp": now() - 30, "iat": now() - 500, "nbf": now() + 30 }),
    ] {
        let journey = Journey::to(&house, "northwind/own").await;
        provider.knows(&journey, "s-1", &other);
        journey.tokens(&provider.sends_back(&journey).await).await;
    }
}

#[tokio::test]
async fn core_3_1_3_7_a_signature_of_anybody_else_is_none() {
    let (house, provider, root) = world().await;
    let refused = async |make: &dyn Fn(&Value) -> String, reasons: &[&str]| {
        let journey = Journey::to(&house, "northwind/own").await;
        provider.gives(&make(&provider.claims(&journey, "s-1", &json!({}))));
        let refused = provider.sends_back(&journey).await;
        message(refused.expect(400));
        let reason = root.reason_of(refused.request_id()).await;
        assert!(reasons.contains(&reason.as_str()), "{reason}, and not {reasons:?}");
    };
    let (own, jwk) = (&provider.signer, provider.signer.jwk());
    let stranger = Signer::new("ES256");
    let kid = jwk["kid"].as_str().unwrap();
    let bare = |alg: &str, claims: &Value| {
        let header = json!({ "alg": alg, "kid": kid });
        format!("{}.{}.", B64.encode(header.to_string()), B64.encode(claims.to_string()))
    };
    for alg in ["none", "None", "NONE", "HS256", "HS512", "RS1", ""] {
        refused(&|claims| bare(alg, claims), ALGORITHM).await;
    }
    refused(&|claims| stranger.jwt(&json!({}), claims), &["token_key_unknown"]).await;
    let as_own = json!({ "kid": kid });
    refused(&|claims| stranger.jwt(&as_own, claims), &["token_signature_wrong"]).await;
    for header in [
        json!({ "jwk": stranger.jwk() }),
        json!({ "jku": "https://stranger.example/jwks" }),
        json!({ "x5u": "https://stranger.example/x5u" }),
        json!({ "x5c": [] }),
        json!({ "crit": [] }),
        json!({ "b64": false }),
        json!({ "typ": "at+jwt" }),
        json!({ "typ": "logout+jwt" }),
    ] {
        refused(&|claims| own.jwt(&header, claims), HEADER).await;
    }
    refused(&|_| "no token".to_owned(), &["token_malformed"]).await;
    refused(
        &|claims| format!("{}x", own.jwt(&json!({}), claims)),
        &["token_signature_wrong", "token_malformed"],
    )
    .await;
    assert_eq!(logs_in(&house, &provider).await["idp"], "northwind/own");
}

#[tokio::test]
async fn a_token_endpoint_that_misbehaves_logs_nobody_in_and_holds_nobody_up() {
    let (house, provider, root) = world().await;
    let elsewhere = Provider::start().await;
    let huge = format!("{{\"id_token\":\"{}\"}}", "x".repeat(300 * 1024));
    for (does, status, reason) in [
        (Does::Says(400, "<h1>wrong</h1>".to_owned()), 400, "upstream_code_refused"),
        (Does::Says(401, String::new()), 400, "upstream_code_refused"),
        (Does::Says(200, "{}".to_owned()), 400, "upstream_id_token_missing"),
        (Does::Says(200, "{\"id_token\":[]}".to_owned()), 400, "upstream_id_token_missing"),
        (Does::Says(200, "no JSON".to_owned()), 503, "upstream_unreachable"),
        (Does::Says(200, huge), 503, "upstream_unreachable"),
        (Does::Says(500, String::new()), 503, "upstream_unreachable"),
        (Does::Leads(format!("{}/token", elsewhere.issuer)), 503, "upstream_unreachable"),
        (Does::Hangs, 503, "upstream_slow"),
    ] {
        let journey = Journey::to(&house, "northwind/own").await;
        provider.does(does);
        let refused = provider.sends_back(&journey).await;
        let said = message(refused.expect(status));
        assert_eq!(said.contains("does not answer now"), status == 503, "{said}");
        assert_eq!(refused.header("retry-after").is_some(), status == 503);
        assert_eq!(root.reason_of(refused.request_id()).await, reason);
    }
    assert!(elsewhere.heard().is_empty(), "no redirect is followed");
    logs_in(&house, &provider).await;
    house.log_in(SAM).await;
}

#[tokio::test]
async fn rfc9207_2_4_an_answer_that_names_another_provider_is_not_this_ones() {
    let (house, provider, root) = world().await;
    let other = Provider::start().await;
    for iss in [Some(other.issuer.as_str()), Some("x"), None] {
        let journey = Journey::to(&house, "northwind/own").await;
        provider.knows(&journey, "s-1", &json!({}));
        let mut more = vec![("code", "a-code")];
        more.extend(iss.map(|iss| ("iss", iss)));
        let refused = journey.back(&more).await;
        message(refused.expect(400));
        assert_eq!(root.reason_of(refused.request_id()).await, "upstream_issuer_wrong");
    }
    assert!(provider.heard().is_empty(), "the code went nowhere");
    logs_in(&house, &provider).await;
}

#[tokio::test]
async fn what_a_provider_says_is_never_shown() {
    let (house, provider, root) = world().await;
    let markup = "<script>alert(1)</script>";
    let journey = Journey::to(&house, "northwind/own").await;
    let more = [
        ("error", markup),
        ("error_description", markup),
        ("error_uri", "javascript:alert(1)"),
        ("iss", provider.issuer.as_str()),
        ("code", "a-code"),
    ];
    let refused = journey.back(&more).await;
    assert!(message(refused.expect(401)).contains("did not let you in"));
    assert!(!refused.text.contains("alert(1)") && provider.heard().is_empty());
    assert_eq!(root.reason_of(refused.request_id()).await, "upstream_declined");
    logs_in(&house, &provider).await;
}

#[tokio::test]
async fn discovery_4_3_metadata_of_another_issuer_is_not_gone_by() {
    let house = house();
    let (tom, root) = (house.log_in(TOM).await, house.log_in(ROOT).await);
    let inside = "http://10.0.0.1:8080/authorize";
    for (n, (other, reason)) in [
        (json!({ "issuer": "https://other.example" }), "upstream_metadata_wrong"),
        (json!({ "authorization_endpoint": inside }), "upstream_metadata_wrong"),
        (json!({ "authorization_endpoint": "javascript:alert(1)" }), "upstream_metadata_wrong"),
        (json!({ "authorization_endpoint": null }), "upstream_unreachable"),
        (json!({ "jwks_uri": null }), "upstream_unreachable"),
    ]
    .into_iter()
    .enumerate()
    {
        let provider = Provider::start().await;
        provider.publish(&other);
        let mut body = own(&provider.issuer);
        body["name"] = format!("bad-{n}").into();
        add(&house, &tom, &body).await;
        let browser = house.visitor();
        let (page, _) = super::login_page(&house, &browser, &[]).await;
        let form = procura_tests::form(&page.text, "upstream-form");
        let name = format!("northwind/bad-{n}");
        let refused = browser.submit(&form.with("organisation", &name)).await;
        message(&refused);
        assert_eq!(root.reason_of(refused.request_id()).await, reason, "{other}");
    }
    // Where a token endpoint or keys are inside, nobody knocks there.
    for member in ["token_endpoint", "jwks_uri"] {
        let provider = Provider::start().await;
        provider.publish(&json!({ member: "http://10.0.0.1:8080/" }));
        let mut body = own(&provider.issuer);
        body["name"] = member.replace('_', "-").into();
        add(&house, &tom, &body).await;
        let journey = Journey::to(&house, &format!("northwind/{}", member.replace('_', "-"))).await;
        provider.knows(&journey, "s-1", &json!({}));
        let refused = provider.sends_back(&journey).await;
        message(refused.expect(503));
    }
}
