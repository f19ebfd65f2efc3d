//! Names and addresses in a request that say where we are: none of them is believed (S57, S58, S62, S63, S72).

use std::{collections::BTreeSet, fs, net::TcpListener};

use procura_domain::Profile;
use procura_tests::{Signer, proof_claims};
use reqwest::header::{HOST, ORIGIN};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{PAT, at, credentials, http, patient_house, send};

/// Headers by which others have been told another name.
const LIES: &[(&str, &str)] = &[
    ("host", "evil.test"),
    ("x-forwarded-host", "evil.test"),
    ("x-forwarded-server", "evil.test"),
    ("x-host", "evil.test"),
    ("x-original-host", "evil.test"),
    ("forwarded", "for=192.0.2.1;host=evil.test;proto=https"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-scheme", "https"),
    ("x-forwarded-port", "444"),
    ("x-forwarded-prefix", "/evil"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
    ("origin", "https://evil.test"),
    ("referer", "https://evil.test/"),
];

const PAGES: &[&str] = &[
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/oauth2/jwks",
    "/logout",
    "/invitation?token=x",
    "/api/nowhere",
];

#[tokio::test]
async fn no_header_says_who_we_are() {
    let house = patient_house();
    let pat = house.log_in(PAT).await;
    let (start, _) = pat.visitor.start();
    for page in PAGES.iter().map(|page| at(&house, page)).chain([start.to_string()]) {
        let honest = send(http().get(&page)).await;
        for (name, value) in LIES {
            let answer = send(http().get(&page).header(*name, *value)).await;
            let shown = format!("{:?} {}", answer.headers, answer.text);
            assert!(!shown.contains("evil"), "{page} {name}: {shown}");
            assert!(!shown.contains("set-cookie: __Host"), "{page} {name}");
            assert_eq!(answer.status, honest.status, "{page} {name}");
            if page.contains(".well-known") || page.contains("jwks") {
                assert_eq!(answer.text, honest.text, "{page} {name}");
            }
        }
    }
    // The link in a mail.
    for (n, (name, value)) in LIES.iter().enumerate() {
        let new =
            json!({ "name": format!("Zenith {n}"), "admin_email": format!("z{n}@zenith.test") });
        let request = http().post(at(&house, "/api/partners/tenants")).bearer_auth(&pat.home);
        let made = send(request.header(*name, *value).json(&new)).await;
        let admin = made.expect(201).json()["admin"]["id"].as_str().unwrap().to_owned();
        let mail = fs::read_to_string(house.data().join(format!("mail/invitation-{admin}.eml")));
        let mail = mail.unwrap();
        assert!(
            mail.contains(&format!("\n{}/invitation?token=", house.issuer())),
            "{name}: {mail}"
        );
        assert!(!mail.contains("evil"), "{name}: {mail}");
    }
}

#[tokio::test]
async fn a_proof_is_for_our_own_address_and_not_for_that_in_the_request() {
    let house = patient_house();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let grant = [("grant_type", "client_credentials")];
    for (uri, host) in [
        ("http://evil.test/oauth2/token", "evil.test"),
        ("https://evil.test/oauth2/token", "evil.test"),
    ] {
        let proof = software.holder.proof_with(&json!({}), &proof_claims("POST", uri));
        let (id, secret) = credentials(&house, "portal");
        let request = http().post(at(&house, "/oauth2/token")).basic_auth(id, Some(secret));
        let request = request.header(HOST, host).header("x-forwarded-host", host);
        let answer = send(request.header("DPoP", proof).form(&grant)).await;
        answer.oauth_error(400, "invalid_dpop_proof");
    }
    software.token(&grant).await.expect(200);
}

#[tokio::test]
async fn a_request_line_or_two_hosts_change_nothing() {
    let house = patient_house();
    let address = house.url().strip_prefix("http://").unwrap().to_owned();
    let ask = async |head: String| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // It may be closed without an answer.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let path = "/.well-known/openid-configuration";
    let issuer = format!("\"issuer\":\"{}\"", house.issuer());
    for head in [
        format!(
            "GET http://evil.test{path} HTTP/1.1\r\nhost: evil.test\r\nconnection: close\r\n\r\n"
        ),
        format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nhost: evil.test\r\nconnection: close\r\n\r\n"
        ),
        format!("GET {path} HTTP/1.0\r\nconnection: close\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: evil.test:80@x\r\nconnection: close\r\n\r\n"),
        format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
    ] {
        let answer = ask(head.clone()).await;
        assert!(!answer.contains("evil"), "{head}{answer}");
        let is_answered = answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200");
        assert_eq!(is_answered, answer.replace(' ', "").contains(&issuer), "{head}{answer}");
    }
}

#[tokio::test]
async fn no_other_site_reads_an_answer() {
    let house = patient_house();
    let pat = house.log_in(PAT).await;
    let signer = Signer::new("ES256");
    let (portal, _) = credentials(&house, "portal");
    let forged =
        signer.jwt(&json!({"typ": "at+jwt"}), &json!({"azp": portal, "client_id": portal}));
    let own = "http://127.0.0.1:8400";
    for token in ["", forged.as_str(), pat.home.as_str()] {
        for path in [
            "/oauth2/userinfo",
            "/oauth2/token",
            "/oauth2/jwks",
            "/.well-known/openid-configuration",
            "/api/audit-logs",
            "/oauth2/authorize",
            "/login",
            "/revocations/stream",
        ] {
            for origin in [own, "https://evil.test", "null"] {
                for method in [reqwest::Method::GET, reqwest::Method::OPTIONS] {
                    let request = http().request(method, at(&house, path)).header(ORIGIN, origin);
                    let request = request.header("access-control-request-method", "POST");
                    let answer = send(request.bearer_auth(token)).await;
                    let names: BTreeSet<_> =
                        answer.headers.keys().map(ToString::to_string).collect();
                    assert!(
                        !names.iter().any(|name| name.starts_with("access-control-")),
                        "{path} {origin}: {names:?}"
                    );
                }
            }
        }
    }
    // The honest twin is no browser's business.
    send(http().get(at(&house, "/api/audit-logs")).bearer_auth(&pat.home)).await.expect(200);
}

#[tokio::test]
async fn nothing_in_a_request_or_a_token_makes_us_call_anybody() {
    let house = patient_house();
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x", canary.local_addr().unwrap());
    let visitor = house.visitor();
    let (portal, _) = credentials(&house, "portal");
    let uri = "http://127.0.0.1:8400/callback";
    for (name, value) in [("request_uri", url.as_str()), ("redirect_uri", &url)] {
        let (start, _) = visitor.request_of(portal, uri, &[(name, value)]);
        visitor.visit(start.as_str()).await.expect(400);
    }
    let software = house.software(Profile::Oauth21, |client| {
        client.registration.jwks = None;
        client.registration.jwks_uri = Some(url.clone());
    });
    let software = software.await;
    let grant = [("grant_type", "client_credentials")];
    software.post("/oauth2/token", &grant, &[]).await.oauth_error(401, "invalid_client");
    let good = house.software(Profile::Oauth21, |_| {}).await;
    for header in [json!({"jku": url}), json!({"x5u": url}), json!({"kid": url})] {
        let claims = json!({"iss": good.id, "sub": good.id, "aud": house.issuer(), "jti": "j",
            "exp": procura_tests::now() + 60});
        let assertion = good.signer.jwt(&header, &claims);
        let form = [
            grant[0],
            ("client_assertion_type", procura_tests::ASSERTION),
            ("client_assertion", assertion.as_str()),
        ];
        good.post_bare("/oauth2/token", &form, &[]).await.oauth_error(401, "invalid_client");
        let proof =
            good.holder.proof_with(&header, &proof_claims("POST", &good.uri("/oauth2/token")));
        let answer = good.post("/oauth2/token", &grant, &[&proof]).await;
        // A proof brings its key; what it is called is nobody's business.
        assert_eq!(answer.status, if header["kid"].is_null() { 400 } else { 200 }, "{header}");
        let token = good.signer.jwt(&header, &json!({"iss": url, "aud": house.issuer()}));
        house.token(&procura_tests::exchange_form(&token, "acme-corp", "")).await.expect(400);
        let (asks, _) = good.asks(&json!({}));
        let now = procura_tests::now();
        let claims = json!({"iss": good.id, "aud": house.issuer(), "nbf": now, "exp": now + 300});
        let asks = procura_tests::merged(&asks, &claims);
        let request = good.signer.jwt(&header, &asks);
        let pushed = good.push(&json!({"client_id": good.id, "request": request})).await;
        pushed.oauth_error(400, "invalid_request_object");
    }
    let none = canary.accept().expect_err("somebody was called");
    assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock);
    // The listener hears whoever does call.
    TcpStream::connect(canary.local_addr().unwrap()).await.unwrap();
    assert!(canary.accept().is_ok());
    good.post("/oauth2/token", &grant, &[]).await.expect(200);
}

#[tokio::test]
async fn nothing_on_a_houses_own_machine_is_called_without_leave() {
    // All the ways in which a registered address leads inside.
    let house = patient_house();
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ] {
        for scheme in ["http", "https"] {
            let software = house.software(Profile::Oauth21, |client| {
                client.registration.jwks = None;
                client.registration.jwks_uri = Some(format!("{scheme}://{host}:{port}/keys"));
            });
            let form = [("grant_type", "client_credentials")];
            let answer = software.await.post("/oauth2/token", &form, &[]).await;
            answer.oauth_error(401, "invalid_client");
        }
    }
    let none = canary.accept().expect_err("somebody was called");
    assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock);
}
