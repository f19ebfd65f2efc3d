//! RFC 9126: authorization requests that the client pushes before any browser is involved.

use procura_domain::Profile;
use procura_tests::{CALLBACK, House, Signer, form};
use serde_json::json;

use super::{PAT, at, credentials, http, send};

const PAR: &str = "/oauth2/par";

#[tokio::test]
async fn section_2_2_what_is_pushed_is_what_holds_and_nothing_beside_it_counts() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (asks, verifier) = software.asks(&json!({}));
    let answer = software.push(&asks).await;
    let uri = answer.expect(201).string("request_uri");
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:") && uri.len() > 76, "{uri}");
    assert_eq!(answer.json()["expires_in"], 90);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let outside = "&state=another&redirect_uri=https%3A%2F%2Fevil.example&scope=operator.admin&x=y";
    let start = format!("{}{outside}", software.at_uri(&uri));
    let visitor = house.visitor();
    let answer = visitor.pass(&start, PAT).await;
    let to = answer.location();
    assert!(to.starts_with(CALLBACK) && to.contains("state=a+state+%26+more"), "{to}");
    let code = to.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let tokens = software.redeem(code, &verifier).await;
    assert_eq!(tokens.expect(200).string("scope"), "openid");
}

#[tokio::test]
async fn section_2_3_everything_is_checked_when_it_is_pushed() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    for (other, code) in [
        (json!({"code_challenge": null}), "invalid_request"),
        (json!({"code_challenge_method": null}), "invalid_request"),
        (json!({"code_challenge_method": "plain"}), "invalid_request"),
        (json!({"redirect_uri": null}), "invalid_request"),
        (json!({"redirect_uri": "https://evil.example/"}), "invalid_request"),
        (json!({"redirect_uri": format!("{CALLBACK}/")}), "invalid_request"),
        (json!({"response_type": null}), "unsupported_response_type"),
        (json!({"response_type": "token"}), "unsupported_response_type"),
        (json!({"response_type": "code id_token"}), "unsupported_response_type"),
        (json!({"scope": "a  b"}), "invalid_scope"),
        (json!({"prompt": "none login"}), "invalid_request"),
        (json!({"dpop_jkt": "x"}), "invalid_request"),
        (json!({"state": "x".repeat(2049)}), "invalid_request"),
        (json!({"request_uri": "https://elsewhere.example"}), "invalid_request"),
        (
            json!({"request_uri": format!("urn:ietf:params:oauth:request_uri:{}", "x".repeat(43))}),
            "invalid_request",
        ),
        (json!({"request": "x"}), "invalid_request_object"),
    ] {
        software.push(&software.asks(&other).0).await.oauth_error(400, code);
    }
    software.push(&software.asks(&json!({})).0).await.expect(201);
    let other = house.software(Profile::Fapi2, |_| {}).await;
    let (foreign, _) = software.asks(&json!({"client_id": other.id}));
    software.push(&foreign).await.oauth_error(401, "invalid_client");
    let barred = house.software(Profile::Fapi2, |client| client.grant_types.clear()).await;
    barred.push(&barred.asks(&json!({})).0).await.oauth_error(400, "unauthorized_client");
    let put = send(http().put(at(&house, PAR)).body("x")).await;
    put.oauth_error(405, "invalid_request");
    let (asks, _) = software.asks(&json!({}));
    let fields: Vec<_> =
        asks.as_object().unwrap().iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())).collect();
    software.post_bare(PAR, &fields, &[]).await.oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn section_2_clients_with_a_secret_push_too() {
    let house = House::start();
    let (id, secret) = credentials(&house, "portal");
    let visitor = house.visitor();
    let (url, _) = visitor.start();
    let fields: Vec<_> = url.query_pairs().into_owned().collect();
    let request = http().post(at(&house, PAR)).basic_auth(id, Some(secret)).form(&fields);
    let uri = send(request).await.expect(201).string("request_uri");
    let query = [("client_id", id), ("request_uri", &uri)];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    visitor.code_by(&format!("/oauth2/authorize?{query}"), PAT).await;
}

#[tokio::test]
async fn section_4_a_request_uri_is_answered_once_and_may_be_looked_at_before() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let (start, verifier) = software.pushed(&json!({})).await;
    let (visitor, second) = (house.visitor(), house.visitor());
    // Whoever reloads the page, or opens it in another browser, is shown the login again.
    for visitor in [&visitor, &visitor, &second] {
        assert!(visitor.visit(&start).await.location().starts_with("/login"));
    }
    let waiting = second.visit(&start).await;
    let waiting = second.visit(waiting.location()).await;
    let code = visitor.code_by(&start, PAT).await;
    software.redeem(&code, &verifier).await.expect(200);
    for visitor in [&visitor, &second] {
        let page = visitor.visit(&start).await;
        assert!(page.expect(400).text.contains("invalid_request_uri"), "{}", page.text);
    }
    // The other browser had the form open all the time.
    let login = form(&waiting.text, "login-form").with("email", PAT);
    let login = login.with("password", &house.demo().password);
    let answer = second.submit(&login).await;
    let late = if answer.location().starts_with('/') {
        let page = second.visit(answer.location()).await;
        second.submit(&form(&page.text, "consent-form").press("decision", "allow")).await
    } else {
        answer
    };
    assert!(late.location().contains("error=invalid_request_uri"), "{}", late.location());
    // A refusal is an answer as well.
    let (start, _) = software.pushed(&json!({"prompt": "consent"})).await;
    let page = visitor.visit(visitor.visit(&start).await.location()).await;
    let deny = form(&page.text, "consent-form").press("decision", "deny");
    let answer = visitor.submit(&deny).await;
    assert!(answer.location().contains("error=access_denied"), "{}", answer.location());
    assert!(visitor.visit(&start).await.expect(400).text.contains("invalid_request_uri"));
}

#[tokio::test]
async fn section_4_a_request_uri_is_bound_to_its_client() {
    let house = House::start();
    let software = house.software(Profile::Fapi2, |_| {}).await;
    let other = house.software(Profile::Fapi2, |_| {}).await;
    let uri = software.push(&software.asks(&json!({})).0).await.expect(201).string("request_uri");
    let visitor = house.visitor();
    let cut = uri[..uri.len() - 1].to_owned();
    for bad in [
        other.at_uri(&uri),
        software.at_uri(&cut),
        software.at_uri(&format!("{uri}x")),
        software.at_uri(&uri.to_uppercase()),
        software.at_uri("urn:ietf:params:oauth:request_uri:"),
    ] {
        let page = visitor.visit(&bad).await;
        assert_eq!(page.status, 400, "{bad}");
        assert!(page.header("location").is_none());
    }
    for (uri, code) in [
        ("https://elsewhere.example/request", "request_uri_not_supported"),
        ("http://127.0.0.1:1/", "request_uri_not_supported"),
        ("urn:example:other", "request_uri_not_supported"),
    ] {
        let page = visitor.visit(&software.at_uri(uri)).await;
        assert!(page.expect(400).text.contains(code), "{}", page.text);
    }
    assert!(visitor.visit(&software.at_uri(&uri)).await.location().starts_with("/login"));
}

#[tokio::test]
async fn section_6_clients_that_must_push_cannot_ask_otherwise() {
    let house = House::start();
    let fapi = house.software(Profile::Fapi2, |_| {}).await;
    let must = house.software(Profile::Oauth21, |client| {
        client.registration.require_pushed_authorization_requests = true;
    });
    let must = must.await;
    let may = house.software(Profile::Oauth21, |_| {}).await;
    let visitor = house.visitor();
    for software in [&fapi, &must] {
        let (url, _) = visitor.request_of(&software.id, CALLBACK, &[]);
        let answer = visitor.visit(url.as_str()).await;
        assert!(answer.location().contains("error=invalid_request"), "{}", answer.location());
        visitor.code_by(&software.pushed(&json!({})).await.0, PAT).await;
    }
    let (url, _) = visitor.request_of(&may.id, CALLBACK, &[]);
    visitor.code_by(url.as_str(), PAT).await;
}

#[tokio::test]
async fn rfc_9449_section_10_1_a_proof_at_the_push_binds_the_code() {
    let house = House::start();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (asks, verifier) = software.asks(&json!({}));
    let proof = software.proof(PAR);
    let uri = software.push_with(&asks, &[&proof]).await.expect(201).string("request_uri");
    let code = house.visitor().code_by(&software.at_uri(&uri), PAT).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", verifier.as_str()),
    ];
    let stranger = Signer::new("ES256").proof("POST", &software.uri("/oauth2/token"), &json!({}));
    for proofs in [vec![], vec![stranger.as_str()]] {
        let answer = software.post("/oauth2/token", &form, &proofs).await;
        answer.oauth_error(400, "invalid_grant");
    }
    software.token(&form).await.expect(200);
    // The parameter and the proof must say the same.
    let thumbprint = software.holder.thumbprint();
    let (same, _) = software.asks(&json!({"dpop_jkt": thumbprint}));
    software.push_with(&same, &[&software.proof(PAR)]).await.expect(201);
    let other = Signer::new("ES256").thumbprint();
    let (differs, _) = software.asks(&json!({"dpop_jkt": other}));
    let answer = software.push_with(&differs, &[&software.proof(PAR)]).await;
    answer.oauth_error(400, "invalid_dpop_proof");
    // A proof for another endpoint, or a used one, is none.
    for proof in [software.proof("/oauth2/token"), proof] {
        let answer = software.push_with(&asks, &[&proof]).await;
        answer.oauth_error(400, "invalid_dpop_proof");
    }
}
