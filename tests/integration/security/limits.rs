//! Much of everything: refused early, and the others notice nothing (S73, S74).

use std::time::Duration;

use procura_domain::Profile;
use procura_tests::{ASSERTION, House, in_time};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{at, credentials, http, patient_house, send};

const OPEN_ROUTES: &[&str] = &[
    "/oauth2/token",
    "/oauth2/par",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/userinfo",
    "/oauth2/authorize",
    "/oauth2/logout",
    "/login",
    "/consent",
    "/invitation",
    "/api/audit-events",
    "/api/clients",
    "/revocations/ack",
    "/api/partners/tenants",
];

/// Bodies that are small to send and large to read.
fn bodies() -> Vec<(&'static str, String)> {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    let many: Vec<String> = (0..5000).map(|n| format!("k{n}=v")).collect();
    let members: Vec<String> = (0..4000).map(|n| format!("\"k{n}\":1")).collect();
    vec![
        (json, "[".repeat(60_000)),
        (json, "{\"a\":".repeat(12_000)),
        (json, format!("{}{}", "[".repeat(30_000), "]".repeat(30_000))),
        (json, format!("{{{}}}", members.join(","))),
        (json, format!("{{\"mode\":1{}}}", "0".repeat(60_000))),
        (json, "{\"mode\":1e999999999}".to_owned()),
        (json, "{\"mode\":\"off\",\"mode\":\"on\"}".to_owned()),
        (json, format!("{{\"mode\":\"{}\"}}", "\\u0000".repeat(10_000))),
        (json, format!("{{\"mode\":\"{}", "\\ud800".repeat(10_000))),
        (form, many.join("&")),
        (form, "&".repeat(64_000)),
        (form, "%41=".repeat(16_000)),
        (form, format!("client_id={}", ".".repeat(60_000))),
        (form, "a=b&".repeat(16_000)),
        (form, "x".repeat(70_000)),
        (json, "x".repeat(200_000)),
    ]
}

#[tokio::test]
async fn what_is_large_to_read_is_refused_and_nobody_waits_for_it() {
    let house = patient_house();
    for (kind, body) in bodies() {
        for route in OPEN_ROUTES {
            let request = http().post(at(&house, route)).header("content-type", kind);
            let answer = in_time(request.body(body.clone()).send()).await;
            // Where the rest is not read the connection may be gone before the answer is.
            if let Ok(answer) = answer {
                let status = answer.status();
                let is_page = matches!(*route, "/oauth2/logout" | "/oauth2/authorize");
                assert!(status.is_client_error() || (is_page && status == 303), "{route} {status}");
            }
        }
        house.token(&[("grant_type", "client_credentials")]).await.expect(200);
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_not_read_to_the_end() {
    let house = patient_house();
    let address = house.url().strip_prefix("http://").unwrap().to_owned();
    for route in OPEN_ROUTES {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST {route} HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("1000\r\n{}\r\n", "a".repeat(0x1000));
        let mut sent = 0_usize;
        // Far beyond the limit, as long as anybody takes it.
        let pour = async {
            while sent < 64 * 1024 * 1024 && stream.write_all(chunk.as_bytes()).await.is_ok() {
                sent += 0x1000;
                let mut answer = [0; 64];
                let told = timeout(Duration::from_micros(1), stream.read(&mut answer)).await;
                if let Ok(Ok(_)) = told {
                    break;
                }
            }
        };
        in_time(pour).await;
        assert!(sent < 16 * 1024 * 1024, "{route} took {sent} bytes");
    }
    house.token(&[("grant_type", "client_credentials")]).await.expect(200);
}

#[tokio::test]
async fn a_flood_of_dots_is_refused_wherever_a_token_goes() {
    let house = patient_house();
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (id, secret) = credentials(&house, "portal");
    let grant = ("grant_type", "client_credentials");
    for flood in [".".repeat(60_000), "a.".repeat(8_000), "e30.".repeat(8_000), "-".repeat(60_000)]
    {
        let kind = ("client_assertion_type", ASSERTION);
        let form = [grant, kind, ("client_assertion", flood.as_str())];
        software.post_bare("/oauth2/token", &form, &[]).await.oauth_error(401, "invalid_client");
        let form = procura_tests::exchange_form(&flood, "acme-corp", "");
        house.token(&form).await.oauth_error(400, "invalid_request");
        house.revoke(&flood).await.expect(200);
        assert!(!house.is_alive(&flood).await);
        let form = [("client_id", id), ("request", flood.as_str())];
        let push = http().post(at(&house, "/oauth2/par")).basic_auth(id, Some(secret)).form(&form);
        send(push).await.oauth_error(400, "invalid_request_object");
        // In a head there is less room.
        for size in [8_000, 15_000, 60_000, 1 << 20] {
            let value = &flood.repeat(size / flood.len() + 1)[..size];
            for header in ["authorization", "dpop"] {
                let value =
                    if header == "dpop" { value.to_owned() } else { format!("Bearer {value}") };
                let request = http().get(at(&house, "/oauth2/userinfo")).header(header, value);
                // Beyond all bounds the connection ends with the answer, or before it.
                if let Ok(answer) = request.send().await {
                    assert!(
                        matches!(answer.status().as_u16(), 400 | 401 | 431),
                        "{}",
                        answer.status()
                    );
                }
            }
        }
    }
    works(&house).await;
}

async fn works(house: &House) {
    house.token(&[("grant_type", "client_credentials")]).await.expect(200);
}
