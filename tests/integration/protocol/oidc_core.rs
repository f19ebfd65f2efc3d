//! OpenID Connect Core 1.0: the request, the ID token, userinfo.

use procura_tests::{House, claims, form, header};
use serde_json::{Value, json};

use super::{
    PAT, credentials, http,
    relying_party::{
        authorize, change, follow, house_of_openid, redeem, refused, register, request, tokens,
        value,
    },
    send,
};

const SAM: &str = "sam@northwind.test";

async fn userinfo(house: &House, token: &str) -> Value {
    let request = http().get(format!("{}/oauth2/userinfo", house.url())).bearer_auth(token);
    send(request).await.expect(200).json()
}

#[tokio::test]
async fn section_3_1_2_1_a_client_of_openid_may_leave_out_pkce_and_nonce() {
    let house = house_of_openid().await;
    let answer = tokens(&house, &house.visitor(), &[], PAT).await;
    let id = claims(&answer.string("id_token"));
    assert!(id["nonce"].is_null() && id["sub"] == house.user(PAT));
    assert_eq!(header(&answer.string("id_token"))["alg"], "RS256");
    // What it sends counts: a challenge wants its verifier.
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let visitor = house.visitor();
    let with = [("code_challenge", challenge), ("code_challenge_method", "S256")];
    let back = authorize(&house, &visitor, &request(&house, &with), PAT).await;
    let code = value(&back, "code").unwrap();
    redeem(&house, &code).await.oauth_error(400, "invalid_grant");
    visitor.redeem(&code, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").await.expect(200);
    // And a verifier without a challenge was smuggled in (RFC 9700 §2.1.1).
    let back = authorize(&house, &visitor, &request(&house, &[]), PAT).await;
    let code = value(&back, "code").unwrap();
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    visitor.redeem(&code, verifier).await.oauth_error(400, "invalid_grant");
    redeem(&house, &code).await.expect(200);
    assert_eq!(refused(&visitor, &request(&house, &with[..1])).await, "invalid_request");

    for (profile, registration) in [
        ("oauth21", json!({})),
        ("fapi2", json!({})),
        ("oidc", json!({"token_endpoint_auth_method": "none"})),
    ] {
        register(&house, "portal", profile, registration).await;
        assert_eq!(refused(&visitor, &request(&house, &[])).await, "invalid_request", "{profile}");
    }
}

#[tokio::test]
async fn section_3_1_2_1_prompt_says_what_the_person_is_asked() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let ask = |prompt: &'static str| request(&house, &[("prompt", prompt)]);
    assert_eq!(refused(&visitor, &ask("none")).await, "login_required");
    let first = claims(&tokens(&house, &visitor, &[], PAT).await.string("id_token"));
    // Logged in and agreed: nobody is asked any more.
    let answer = visitor.visit(ask("none").as_str()).await;
    let back = url::Url::parse(answer.location()).unwrap();
    let again = redeem(&house, &value(&back, "code").unwrap()).await;
    let again = claims(&again.expect(200).string("id_token"));
    assert_eq!((&again["sub"], &again["auth_time"]), (&first["sub"], &first["auth_time"]));
    let more = request(&house, &[("prompt", "none"), ("scope", "openid email")]);
    assert_eq!(refused(&visitor, &more).await, "consent_required");

    for (prompt, page) in
        [("consent", "/consent"), ("login", "/login"), ("select_account", "/login")]
    {
        let answer = visitor.visit(ask(prompt).as_str()).await;
        assert!(answer.location().starts_with(page), "{prompt}: {}", answer.location());
    }
    let both = visitor.visit(ask("login consent").as_str()).await;
    let page = visitor.visit(both.location()).await;
    let login = form(&page.text, "login-form").with("email", PAT);
    let consent = visitor.submit(&login.with("password", &house.demo().password)).await;
    assert!(consent.location().starts_with("/consent"), "both: {}", consent.location());
    for bad in ["none login", "create", "Login"] {
        assert_eq!(refused(&visitor, &ask(bad)).await, "invalid_request", "{bad}");
    }
}

#[tokio::test]
async fn section_3_1_2_1_max_age_bounds_the_age_of_the_login() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let first = claims(&tokens(&house, &visitor, &[], PAT).await.string("id_token"));
    let asks = async |more: &[(&str, &str)]| {
        let answer = visitor.visit(request(&house, more).as_str()).await;
        answer.location().starts_with("/login")
    };
    assert!(!asks(&[("max_age", "10000")]).await);
    assert!(asks(&[("max_age", "0")]).await);
    change(&house, "UPDATE sessions SET auth_time = auth_time - 5000000".to_owned()).await;
    assert!(!asks(&[]).await && !asks(&[("max_age", "60")]).await);
    assert!(asks(&[("max_age", "4")]).await);
    let silent = request(&house, &[("max_age", "4"), ("prompt", "none")]);
    assert_eq!(refused(&visitor, &silent).await, "login_required");
    let later = tokens(&house, &visitor, &[("max_age", "4")], PAT).await;
    let later = claims(&later.string("id_token"));
    assert!(later["auth_time"].as_i64() >= first["auth_time"].as_i64());
    for bad in ["-1", "x", "1.5", "99999999999"] {
        let url = request(&house, &[("max_age", bad)]);
        assert_eq!(refused(&visitor, &url).await, "invalid_request", "{bad}");
    }
    // What the client registered holds where it says nothing.
    register(&house, "portal", "oidc", json!({"default_max_age": 4})).await;
    change(&house, "UPDATE sessions SET auth_time = auth_time - 5000000".to_owned()).await;
    assert!(asks(&[]).await && !asks(&[("max_age", "60")]).await);
}

#[tokio::test]
async fn section_3_1_2_1_hints_say_who_is_meant() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let hint = tokens(&house, &visitor, &[], PAT).await.string("id_token");
    let silent = [("prompt", "none"), ("id_token_hint", hint.as_str())];
    let answer = visitor.visit(request(&house, &silent).as_str()).await;
    assert!(answer.location().contains("code="), "{}", answer.location());
    // Somebody else is logged in here.
    let other = house.visitor();
    tokens(&house, &other, &[], SAM).await;
    assert_eq!(refused(&other, &request(&house, &silent)).await, "login_required");
    let url = request(&house, &[("id_token_hint", &hint)]);
    let page = other.visit(url.as_str()).await;
    assert!(page.location().starts_with("/login"), "{}", page.location());
    let back = follow(&house, &other, page, SAM).await;
    assert!(back.location().contains("error=login_required"), "still somebody else");
    let back = authorize(&house, &other, &url, PAT).await;
    assert!(value(&back, "code").is_some(), "{back}");
    // What is not an ID token of ours is no hint.
    let home = tokens(&house, &visitor, &[], PAT).await.string("access_token");
    let (head, rest) = hint.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{rest}");
    assert!(head.len() > 10);
    for bad in [home.as_str(), "x.y.z", &hint[..hint.len() - 4], &unsigned] {
        let url = request(&house, &[("id_token_hint", bad)]);
        assert_eq!(refused(&visitor, &url).await, "invalid_request", "{bad}");
    }
    // The login page is filled in.
    let url = request(&house, &[("login_hint", "kim@\"><b>.test"), ("prompt", "login")]);
    let page = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    let fields = form(&page.text, "login-form").fields;
    assert!(fields.contains(&("email".into(), "kim@\"><b>.test".into())), "{fields:?}");
}

#[tokio::test]
async fn section_5_4_scopes_let_claims_be_known_at_userinfo_and_not_in_the_id_token() {
    let house = house_of_openid().await;
    let known = json!({
        "given_name": "Pat", "family_name": "Partner", "birthdate": "0000-10-31", "locale": "de-CH",
        "phone_number": "+41 44 000 00 00", "phone_number_verified": false,
        "address": {"locality": "Bern", "country": "CH"},
    });
    change(&house, format!("UPDATE users SET claims = '{known}' WHERE email = '{PAT}'")).await;
    let visitor = house.visitor();
    for (scope, names) in [
        ("openid", vec!["sub"]),
        ("openid email", vec!["email", "email_verified", "sub"]),
        ("openid phone", vec!["phone_number", "phone_number_verified", "sub"]),
        ("openid address", vec!["address", "sub"]),
        (
            "openid profile",
            vec!["birthdate", "family_name", "given_name", "locale", "name", "sub", "updated_at"],
        ),
    ] {
        let answer = tokens(&house, &visitor, &[("scope", scope)], PAT).await;
        let seen = userinfo(&house, &answer.string("access_token")).await;
        let mut seen: Vec<_> = seen.as_object().unwrap().keys().map(String::as_str).collect();
        seen.sort_unstable();
        assert_eq!(seen, names, "{scope}");
        let id = claims(&answer.string("id_token"));
        let lean: Vec<_> = id.as_object().unwrap().keys().map(String::as_str).collect();
        let lean = lean.into_iter().collect::<std::collections::BTreeSet<_>>();
        let wanted = ["acr", "amr", "aud", "auth_time", "exp", "iat", "iss", "sid", "sub"];
        assert!(lean.into_iter().eq(wanted), "{scope}: {id}");
    }
}

#[tokio::test]
async fn section_5_5_claims_are_asked_for_one_by_one_with_the_persons_consent() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let asked = r#"{"userinfo":{"name":{"essential":true},"shoe_size":null},"id_token":{"email":null,"acr":{"values":["urn:x"]}}}"#;
    let more = [("claims", asked)];
    tokens(&house, &visitor, &[], PAT).await;
    let page = visitor.visit(request(&house, &more).as_str()).await;
    let page = visitor.visit(page.location()).await;
    for words in ["See your name", "See your e-mail address"] {
        assert!(page.text.contains(words), "{}", page.text);
    }
    let answer = tokens(&house, &visitor, &more, PAT).await;
    let known = userinfo(&house, &answer.string("access_token")).await;
    assert_eq!(known, json!({"sub": house.user(PAT), "name": "Pat Partner"}));
    let id = claims(&answer.string("id_token"));
    assert_eq!((&id["email"], &id["name"]), (&json!(PAT), &Value::Null));
    assert_eq!(id["acr"], "urn:procura:acr:pwd", "what was done, not what was wished");

    let sub = |id: &str| json!({"id_token": {"sub": {"value": id}}}).to_string();
    let other = request(&house, &[("claims", &sub(house.user(SAM))), ("prompt", "none")]);
    assert_eq!(refused(&visitor, &other).await, "login_required");
    let own = request(&house, &[("claims", &sub(house.user(PAT))), ("prompt", "none")]);
    assert!(visitor.visit(own.as_str()).await.location().contains("code="));
    let acr =
        |value| json!({"id_token": {"acr": {"essential": true, "values": [value]}}}).to_string();
    let strong = request(&house, &[("claims", &acr("urn:x"))]);
    assert_eq!(refused(&visitor, &strong).await, "unmet_authentication_requirements");
    let possible = request(&house, &[("claims", &acr("urn:procura:acr:pwd"))]);
    assert!(visitor.visit(possible.as_str()).await.location().contains("code="));
    for bad in ["x", "[]", r#"{"userinfo":1}"#] {
        let url = request(&house, &[("claims", bad)]);
        assert_eq!(refused(&visitor, &url).await, "invalid_request", "{bad}");
    }
}

#[tokio::test]
async fn section_5_3_userinfo_takes_the_token_in_one_place() {
    let house = house_of_openid().await;
    let token = tokens(&house, &house.visitor(), &[], PAT).await.string("access_token");
    let url = format!("{}/oauth2/userinfo", house.url());
    let body = [("access_token", token.as_str())];
    send(http().get(&url).bearer_auth(&token)).await.expect(200);
    send(http().post(&url).bearer_auth(&token)).await.expect(200);
    let by_body = send(http().post(&url).form(&body)).await;
    assert_eq!(by_body.expect(200).string("sub"), house.user(PAT));
    send(http().post(&url).bearer_auth(&token).form(&body))
        .await
        .oauth_error(400, "invalid_request");
    for request in [
        http().get(format!("{url}?access_token={token}")),
        http().post(format!("{url}?access_token={token}")),
        http().post(&url),
        http().post(&url).json(&json!({ "access_token": token })),
    ] {
        assert_eq!(send(request).await.status, 401);
    }
    send(http().post(&url).form(&[("access_token", "x")])).await.oauth_error(401, "invalid_token");
}

#[tokio::test]
async fn section_5_3_2_a_client_has_its_answers_signed_as_it_registered() {
    let house = House::start();
    let wish =
        json!({"id_token_signed_response_alg": "ES256", "userinfo_signed_response_alg": "RS256"});
    register(&house, "portal", "oidc", wish).await;
    let visitor = house.visitor();
    let answer = tokens(&house, &visitor, &[("scope", "openid email")], PAT).await;
    let hint = answer.string("id_token");
    assert_eq!(header(&hint)["alg"], "ES256");
    let request_of =
        |token: &str| http().get(format!("{}/oauth2/userinfo", house.url())).bearer_auth(token);
    let known = send(request_of(&answer.string("access_token"))).await;
    assert_eq!(known.expect(200).header("content-type"), Some("application/jwt"));
    assert_eq!(header(&known.text)["alg"], "RS256");
    let said = claims(&known.text);
    let (id, _) = credentials(&house, "portal");
    assert_eq!((&said["iss"], &said["aud"]), (&json!(house.issuer()), &json!(id)));
    assert_eq!((&said["sub"], &said["email"]), (&json!(house.user(PAT)), &json!(PAT)));
    // The kinds are told apart: an ID token is no access token, and signed userinfo no hint.
    send(request_of(&hint)).await.oauth_error(401, "invalid_token");
    let url = request(&house, &[("id_token_hint", &known.text)]);
    assert_eq!(refused(&visitor, &url).await, "invalid_request");
    let url = request(&house, &[("id_token_hint", &hint), ("prompt", "none"), ("scope", "openid")]);
    assert!(visitor.visit(url.as_str()).await.location().contains("code="));

    register(&house, "portal", "oidc", json!({"id_token_signed_response_alg": "PS256"})).await;
    let url = request(&house, &[]);
    assert_eq!(refused(&visitor, &url).await, "unauthorized_client", "no key for it");
}

#[tokio::test]
async fn section_3_1_2_what_is_unknown_is_ignored_and_what_is_long_comes_back_whole() {
    let house = house_of_openid().await;
    let visitor = house.visitor();
    let long = "s".repeat(384);
    let more = [
        ("state", long.as_str()),
        ("nonce", long.as_str()),
        ("display", "popup"),
        ("ui_locales", "se"),
        ("claims_locales", "se"),
        ("acr_values", "1 2"),
        ("extra", "foobar"),
    ];
    let back = authorize(&house, &visitor, &request(&house, &more), PAT).await;
    assert_eq!(value(&back, "state").as_deref(), Some(long.as_str()));
    assert_eq!(value(&back, "iss").as_deref(), Some(house.issuer()));
    let answer = redeem(&house, &value(&back, "code").unwrap()).await;
    let id = claims(&answer.expect(200).string("id_token"));
    assert_eq!((&id["nonce"], &id["acr"]), (&json!(long), &json!("urn:procura:acr:pwd")));
    // A redirect URI with a query keeps it, and is compared with it.
    let (id, _) = credentials(&house, "portal");
    let uri = "http://127.0.0.1:8400/callback?dummy1=lorem&dummy2=ipsum";
    change(&house, format!("UPDATE clients SET redirect_uris = '[\"{uri}\"]' WHERE id = '{id}'"))
        .await;
    let answer = visitor.visit(request(&house, &[("redirect_uri", uri)]).as_str()).await;
    assert!(answer.location().starts_with(&format!("{uri}&code=")), "{}", answer.location());
    for wrong in ["http://127.0.0.1:8400/callback", "http://127.0.0.1:8400/callback?dummy1=lorem"] {
        let answer = visitor.visit(request(&house, &[("redirect_uri", wrong)]).as_str()).await;
        assert!(answer.expect(400).text.contains("id=\"oauth-error\""));
    }
}

#[tokio::test]
async fn section_3_1_2_4_the_consent_page_says_what_the_client_says_of_itself_and_loads_nothing() {
    let house = House::start();
    let about = json!({
        "client_uri": "https://rp.test/", "logo_uri": "https://rp.test/logo.png",
        "policy_uri": "https://rp.test/policy", "tos_uri": "javascript:alert(1)",
    });
    register(&house, "portal", "oidc", about).await;
    let visitor = house.visitor();
    let url = request(&house, &[("scope", "openid offline_access"), ("prompt", "consent")]);
    let page = visitor.visit(visitor.visit(url.as_str()).await.location()).await;
    let login = form(&page.text, "login-form").with("email", PAT);
    let next = visitor.submit(&login.with("password", &house.demo().password)).await;
    let page = visitor.visit(next.location()).await;
    for text in ["https://rp.test/policy", "https://rp.test/logo.png", "Stay connected"] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert!(!page.text.contains("javascript:") && !page.text.contains("<img"), "{}", page.text);
    let deny = form(&page.text, "consent-form").press("decision", "deny");
    assert!(visitor.submit(&deny).await.location().contains("error=access_denied"));
}
