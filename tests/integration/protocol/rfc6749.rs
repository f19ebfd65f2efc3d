//! RFC 6749: the token endpoint and the authorization endpoint on input that is not as it should be.

use procura_tests::{EXCHANGE, House, form};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};

use super::{ADA, PAT, at, credentials, http, send};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn section_3_2_the_token_endpoint_takes_one_form_and_no_parameter_twice() {
    let house = House::start();
    let (id, secret) = credentials(&house, "portal");
    let post = |kind: &'static str, body: Vec<u8>| {
        let request = http().post(at(&house, "/oauth2/token")).basic_auth(id, Some(secret));
        send(request.header(CONTENT_TYPE, kind).body(body))
    };
    let oversized = vec![b'a'; 64 * 1024 + 1];
    for (kind, body, status) in [
        (FORM, b"grant_type=client_credentials&grant_type=client_credentials".to_vec(), 400),
        (FORM, b"grant_type=client_credentials&%67rant_type=x".to_vec(), 400),
        (FORM, b"grant_type=%ff".to_vec(), 400),
        (FORM, b"".to_vec(), 400),
        ("application/json", b"{}".to_vec(), 400),
        ("text/plain", b"grant_type=client_credentials".to_vec(), 400),
        ("", b"grant_type=client_credentials".to_vec(), 400),
        (FORM, oversized, 413),
    ] {
        post(kind, body).await.oauth_error(status, "invalid_request");
    }
    // The honest twin.
    post(FORM, b"grant_type=client_credentials".to_vec()).await.expect(200);
    let kind = "application/x-www-form-urlencoded; charset=UTF-8";
    post(kind, b"grant_type=client_credentials&nobody_knows=this".to_vec()).await.expect(200);
}

#[tokio::test]
async fn section_2_3_a_client_authenticates_in_one_way_and_with_its_own_secret() {
    let house = House::start();
    let (id, secret) = credentials(&house, "portal");
    let grant = ("grant_type", "client_credentials");
    let by_form = [grant, ("client_id", id), ("client_secret", secret)];
    house.token_by(None, &by_form).await.expect(200);
    house.token_by(Some((id, secret)), &[grant, ("client_id", id)]).await.expect(200);

    let (other, other_secret) = credentials(&house, "isp");
    for (basic, form) in [
        (Some((id, "wrong")), vec![grant]),
        (Some((id, "")), vec![grant]),
        (Some((id, other_secret)), vec![grant]),
        (Some((other, secret)), vec![grant]),
        (Some(("cli_nobody", secret)), vec![grant]),
        (Some(("usr_not_a_client", secret)), vec![grant]),
        (None, vec![grant]),
        (None, vec![grant, ("client_id", id)]),
        (None, vec![grant, ("client_id", id), ("client_secret", "wrong")]),
        (None, vec![grant, ("client_secret", secret)]),
    ] {
        let answer = house.token_by(basic, &form).await;
        let text = answer.oauth_error(401, "invalid_client");
        assert_eq!(text, "Client authentication failed.");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge.is_some(), basic.is_some(), "how to, where it was tried by header");
    }
    for form in [
        vec![grant, ("client_secret", secret)],
        vec![grant, ("client_id", other), ("client_secret", secret)],
        vec![grant, ("client_id", other)],
    ] {
        house.token_by(Some((id, secret)), &form).await.oauth_error(400, "invalid_request");
    }
    for header in ["Bearer x", "Basic", "Basic !", "Basic bm8tY29sb24="] {
        let request = http().post(at(&house, "/oauth2/token")).header(AUTHORIZATION, header);
        send(request.form(&[grant])).await.oauth_error(401, "invalid_client");
    }
}

#[tokio::test]
async fn section_5_2_each_error_has_its_code() {
    let house = House::start();
    house.token(&[]).await.oauth_error(400, "invalid_request");
    house.token(&[("grant_type", "")]).await.oauth_error(400, "invalid_request");
    for grant in ["password", "implicit", "REFRESH_TOKEN", "CLIENT_CREDENTIALS"] {
        house.token(&[("grant_type", grant)]).await.oauth_error(400, "unsupported_grant_type");
    }
    // The resource server's client may use no grant at all.
    let isp = credentials(&house, "isp");
    for grant in ["client_credentials", EXCHANGE, "authorization_code", "refresh_token"] {
        let form = [
            ("grant_type", grant),
            ("code", "x"),
            ("refresh_token", "x"),
            ("redirect_uri", "http://127.0.0.1:8400/callback"),
            ("subject_token", "x"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("tenant_id", "x"),
        ];
        house.token_by(Some(isp), &form).await.oauth_error(400, "unauthorized_client");
    }
    let form = [("grant_type", "client_credentials"), ("scope", "a  b")];
    house.token(&form).await.oauth_error(400, "invalid_request");
    let form = [("grant_type", "client_credentials"), ("audience", "http://elsewhere.test")];
    house.token(&form).await.oauth_error(400, "invalid_target");
}

#[tokio::test]
async fn section_4_1_2_a_code_works_once_and_a_replay_takes_back_what_it_gave() {
    let house = House::start();
    let visitor = house.visitor();
    let (code, verifier) = visitor.code(PAT, &house.demo().password).await;
    let tokens = visitor.redeem(&code, &verifier).await;
    let home = tokens.expect(200).string("access_token");
    house.api(&home, reqwest::Method::GET, "/api/v1/partner/customers", None).await.expect(200);

    visitor.redeem(&code, &verifier).await.oauth_error(400, "invalid_grant");
    let after = house.api(&home, reqwest::Method::GET, "/api/v1/partner/customers", None).await;
    after.problem(401, "unauthenticated");
}

#[tokio::test]
async fn section_4_1_3_a_code_is_bound_to_client_redirect_uri_and_verifier() {
    let house = House::start();
    let visitor = house.visitor();
    let (code, verifier) = visitor.code(PAT, &house.demo().password).await;
    let uri = "http://127.0.0.1:8400/callback";
    let redeem = |code: String, uri: &'static str, verifier: String| {
        let house = &house;
        async move {
            let form = [
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", uri),
                ("code_verifier", verifier.as_str()),
            ];
            house.token(&form).await
        }
    };
    let wrong = "a".repeat(43);
    for (code, uri, verifier) in [
        (code.clone(), uri, wrong),
        (code.clone(), uri, "short".to_owned()),
        (code.clone(), "http://127.0.0.1:8400/callback/", verifier.clone()),
        (code.clone(), "http://127.0.0.1:8400/%63allback", verifier.clone()),
        (code[..code.len() - 1].to_owned(), uri, verifier.clone()),
        (code.to_lowercase(), uri, verifier.clone()),
        (format!("{code}="), uri, verifier.clone()),
        ("nonsense".to_owned(), uri, verifier.clone()),
    ] {
        redeem(code, uri, verifier).await.oauth_error(400, "invalid_grant");
    }
    // None of that used the code up.
    redeem(code, uri, verifier).await.expect(200);
}

#[tokio::test]
async fn section_4_1_2_1_nothing_is_redirected_before_client_and_redirect_uri_are_bound() {
    let house = House::start();
    let visitor = house.visitor();
    let (good, _) = visitor.start();
    let with = |name: &str, value: Option<&str>| {
        let mut url = good.clone();
        let pairs: Vec<(String, String)> = good
            .query_pairs()
            .filter(|(known, _)| known != name)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    };
    for url in [
        with("client_id", None),
        with("client_id", Some("cli_nobody")),
        with("client_id", Some("' or 1=1")),
        with("redirect_uri", None),
        with("redirect_uri", Some("http://127.0.0.1:8400/callback/..")),
        with("redirect_uri", Some("http://127.0.0.1:8400/callback#x")),
        with("redirect_uri", Some("http://127.0.0.1:8400@evil.test/callback")),
        with("redirect_uri", Some("http://evil.test/callback")),
        with("redirect_uri", Some("javascript:alert(1)")),
        with("state", Some(&"s".repeat(3000))),
        with("request", Some("a.b.c")),
        with("request_uri", Some("http://evil.test/")),
    ] {
        let answer = visitor.visit(url.as_str()).await;
        answer.expect(400);
        assert!(answer.text.contains("id=\"oauth-error\""), "a page that says what happened");
        assert_eq!(answer.header("location"), None);
    }
    let mut twice = good.clone();
    twice.query_pairs_mut().append_pair("state", "again");
    visitor.visit(twice.as_str()).await.expect(400);

    // Bound: the client may hear of it.
    for (url, error) in [
        (with("response_type", Some("token")), "unsupported_response_type"),
        (with("code_challenge", None), "invalid_request"),
        (with("code_challenge_method", Some("plain")), "invalid_request"),
        (with("scope", Some("a\"b")), "invalid_scope"),
        (with("prompt", Some("none")), "login_required"),
        (with("prompt", Some("none login")), "invalid_request"),
    ] {
        let answer = visitor.visit(url.as_str()).await;
        let location = answer.location().to_owned();
        assert!(location.starts_with("http://127.0.0.1:8400/callback?error="), "{location}");
        assert!(location.contains(&format!("error={error}&")), "{error}: {location}");
    }
}

#[tokio::test]
async fn section_10_12_a_form_from_elsewhere_is_refused() {
    let house = House::start();
    let visitor = house.visitor();
    let (start, _) = visitor.start();
    let page = visitor.visit(visitor.visit(start.as_str()).await.location()).await;
    let login = || {
        form(&page.text, "login-form").with("email", PAT).with("password", &house.demo().password)
    };
    visitor.submit(&login().with("form_token", "00")).await.expect(400);
    // Another browser has not seen this page.
    house.visitor().submit(&login()).await.expect(400);
    // The honest twin.
    assert!(visitor.submit(&login()).await.location().contains("/consent"));
}

#[tokio::test]
async fn section_4_4_a_machine_gets_no_more_than_its_resource_server_understands() {
    let house = House::start();
    let ask = |scope: &'static str| {
        let house = &house;
        async move { house.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await }
    };
    for nothing in ["secrets.read", "procura.x", "*", "partner.*"] {
        ask(nothing).await.oauth_error(400, "invalid_scope");
    }
    let answer = ask("secrets.read partner.billing.read").await;
    assert_eq!(answer.expect(200).string("scope"), "partner.billing.read");
}

#[tokio::test]
async fn section_3_3_a_role_counts_only_as_far_as_its_scope_was_asked_for() {
    let house = House::start();
    let visitor = house.visitor();
    let (mut url, verifier) = visitor.start();
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "scope")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs).append_pair("scope", "openid");
    let page = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    let password = house.demo().password.clone();
    let login = form(&page.text, "login-form").with("email", ADA).with("password", &password);
    let page = visitor.visit(visitor.submit(&login).await.location()).await;
    let consent = form(&page.text, "consent-form").press("decision", "allow");
    let answer = visitor.submit(&consent).await;
    let at = url::Url::parse(answer.location()).unwrap();
    let code = at.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let home = visitor.redeem(&code, &verifier).await.expect(200).string("access_token");
    for path in ["/api/tenants/users", "/api/tenants/partner-access", "/api/audit-logs"] {
        house.api(&home, reqwest::Method::GET, path, None).await.problem(403, "forbidden");
    }
    house.log_in(ADA).await.get("/api/tenants/users").await.expect(200);
}
