//! Where a browser is sent: to what was registered, byte by byte, or nowhere (S23 to S28).

use std::collections::BTreeSet;

use procura_tests::{Answer, House, Visitor};
use serde_json::{Value, json};
use url::Url;

use super::{PAT, ROOT, at, credentials, http, patient_house, send};
use crate::protocol::relying_party::change;

const REGISTERED: &[&str] = &[
    "https://app.example/Callback/in?Kept=One&two=%2F",
    "https://app.example:8443/a/b/",
    "http://127.0.0.1:8400/callback",
    "http://localhost:8400/callback",
];

/// What is put in at every border of a URI.
const INSERTED: &[&str] = &[
    "\t",
    "\n",
    "\r",
    "\0",
    " ",
    "%00",
    "%09",
    "%0d%0a",
    "%20",
    "\\",
    "/",
    "//",
    "/.",
    "/..",
    "/../",
    "..;/",
    "%2e%2e/",
    "%2e/",
    "%2f",
    "%5c",
    ";",
    "?",
    "&",
    "=",
    "#",
    "#x",
    "%23",
    ".",
    ":",
    ":443",
    "@",
    "@evil.test",
    "@evil.test/",
    ".evil.test",
    "evil.test",
    "%40evil.test",
    "\u{200b}",
    "\u{ad}",
    "\u{3002}",
    "\u{ff0f}",
    "\u{ff0e}",
    "\u{2024}",
    "\u{feff}",
    "*",
    "x",
];

/// What is put before it.
const BEFORE: &[&str] = &[
    " ",
    "\t",
    "\n",
    "/",
    "//",
    "/\\",
    "\\\\",
    "https:",
    "https://evil.test/",
    "https://evil.test?",
    "https://evil.test#",
    "https://evil.test\\",
    "https://evil.test@",
    "javascript:",
    "JaVaScRiPt:",
    "data:text/html,",
    "blob:",
    "view-source:",
    "feed:",
    "vbscript:",
    "\u{1}",
];

/// Hosts that are written like one of ours, or are the same place under another name.
const HOSTS: &[&str] = &[
    "app.example.",
    "APP.EXAMPLE",
    "app.example.evil.test",
    "evil.test",
    "xapp.example",
    "www.app.example",
    "\u{430}pp.example",
    "xn--pp-6kc.example",
    "app\u{3002}example",
    "app%2eexample",
    "app.example%00.evil.test",
    "user@app.example",
    "user:pw@app.example",
    "app.example:443",
    "app.example:8443@evil.test",
    "127.0.0.1.evil.test:8400",
    "127.0.0.1@evil.test",
    "localhost@evil.test",
    "localhost.evil.test:8400",
    "127.1:8400",
    "127.0.0.2:8400",
    "0x7f000001:8400",
    "2130706433:8400",
    "0177.0.0.1:8400",
    "[::1]:8400",
    "[::ffff:127.0.0.1]:8400",
    "localhost.:8400",
    "LOCALHOST:8400",
    "127.0.0.1:8401",
    "127.0.0.1:08400",
    "127.0.0.1",
    "127.0.0.1:",
    "localhost:80",
    "0.0.0.0:8400",
    "127.0.0.1:8400:80",
    "127.0.0.1%2f:8400",
];

/// Everything that is nearly this URI.
fn mutants(uri: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (at, letter) in uri.char_indices() {
        let (before, after) = (&uri[..at], &uri[at + letter.len_utf8()..]);
        all.insert(before.to_owned());
        all.insert(format!("{before}{after}"));
        all.insert(format!("{before}%{:02x}{after}", u32::from(letter)));
        all.insert(format!("{before}%25{:02x}{after}", u32::from(letter)));
        let other = if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        all.insert(format!("{before}{other}{after}"));
    }
    let borders = uri.match_indices(['/', ':', '?', '&', '.']).flat_map(|(at, _)| [at, at + 1]);
    for border in borders.chain([uri.len()]) {
        let (before, after) = uri.split_at(border);
        all.extend(INSERTED.iter().map(|inserted| format!("{before}{inserted}{after}")));
    }
    all.extend(BEFORE.iter().map(|before| format!("{before}{uri}")));
    let (scheme, rest) = uri.split_once("://").unwrap();
    let path = rest.find('/').map_or("", |slash| &rest[slash..]);
    for scheme in [scheme, "https", "http", "ftp", "ws"] {
        all.extend(HOSTS.iter().map(|host| format!("{scheme}://{host}{path}")));
        all.insert(format!("{scheme}://{rest}"));
        all.insert(format!("{scheme}:{rest}"));
    }
    all.retain(|mutant| !REGISTERED.contains(&mutant.as_str()));
    all
}

/// A house whose portal has all of them.
async fn house() -> House {
    let house = patient_house();
    let (id, _) = credentials(&house, "portal");
    let uris = json!(REGISTERED).to_string();
    change(
        &house,
        format!(
            "UPDATE clients SET redirect_uris = '{uris}', version = version + 1 WHERE id = '{id}'"
        ),
    )
    .await;
    house
}

fn request(house: &House, visitor: &Visitor, uri: &str) -> Url {
    visitor.request_of(credentials(house, "portal").0, uri, &[]).0
}

#[tokio::test]
async fn of_all_that_is_nearly_a_registered_address_nothing_is_redirected_to() {
    let house = house().await;
    let visitor = house.visitor();
    // With a login and a consent everything else would be answered at once.
    visitor.pass(request(&house, &visitor, REGISTERED[0]).as_str(), PAT).await;
    let all: BTreeSet<String> = REGISTERED.iter().flat_map(|uri| mutants(uri)).collect();
    assert!(all.len() >= 2000, "{} mutants", all.len());
    for mutant in all.iter().step_by(4) {
        let answer = visitor.visit(request(&house, &visitor, mutant).as_str()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{mutant:?}");
        assert!(answer.text.contains("id=\"oauth-error\""), "{mutant:?}");
        assert!(!answer.text.contains("evil.test"), "{mutant:?}");
    }
    // Those themselves are taken, and nothing in them is changed.
    for uri in REGISTERED {
        let answer = visitor.visit(request(&house, &visitor, uri).as_str()).await;
        let rest = answer.location().strip_prefix(uri).expect(uri);
        assert!(rest.starts_with(['?', '&']) && rest[1..].starts_with("code="), "{rest}");
    }
}

#[tokio::test]
async fn neither_a_push_nor_the_token_endpoint_takes_what_is_nearly_right() {
    let house = house().await;
    let (id, secret) = credentials(&house, "portal");
    let visitor = house.visitor();
    let uri = REGISTERED[2];
    let push = async |uri: &str| {
        let (url, _) = visitor.request_of(id, uri, &[]);
        let form: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        send(http().post(at(&house, "/oauth2/par")).basic_auth(id, Some(secret)).form(&form)).await
    };
    let all = mutants(uri);
    assert!(all.len() >= 300, "{} mutants", all.len());
    let tried: Vec<_> = all.iter().step_by(all.len() / 320).collect();
    for mutants in tried.chunks(40) {
        // A code lives for a minute.
        let (start, verifier) = visitor.request_of(id, uri, &[]);
        let code = visitor.code_by(start.as_str(), PAT).await;
        let redeem = async |uri: &str| {
            let form = [
                ("grant_type", "authorization_code"),
                ("code", code.as_str()),
                ("redirect_uri", uri),
                ("code_verifier", verifier.as_str()),
            ];
            house.token(&form).await
        };
        for mutant in mutants {
            push(mutant).await.oauth_error(400, "invalid_request");
            let is_none = mutant.contains('\0') || mutant.is_empty();
            let code = if is_none { "invalid_request" } else { "invalid_grant" };
            redeem(mutant).await.oauth_error(400, code);
        }
        redeem(uri).await.expect(200);
    }
    push(uri).await.expect(201);
}

/// What can be no address of a client.
const BAD: &[&str] = &[
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "\tjavascript:alert(1)",
    "java\nscript:alert(1)",
    "javascript&colon;alert(1)",
    "data:text/html,x",
    "DATA:text/html;base64,eA==",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://app.example/x",
    "//app.example/cb",
    "/cb",
    "",
    "http://app.example/cb",
    "http://127.0.0.1.evil.test/cb",
    "http://localhost.evil.test/cb",
    "http://localhost@evil.test/cb",
    "https://app.example\\@evil.test/",
    "https://app.example/\u{0}cb",
    "https://user:pw@app.example/cb",
    "https:app.example/cb",
];

/// Where a client is registered with addresses.
const NAMES: &[&str] = &[
    "redirect_uris",
    "post_logout_redirect_uris",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "jwks_uri",
    "backchannel_logout_uri",
    "sector_identifier_uri",
];

#[tokio::test]
async fn no_client_is_registered_with_an_address_that_is_not_one_thing_to_everybody() {
    let house = patient_house();
    let root = house.log_in(ROOT).await;
    let client = |uri: &str, name: &str| {
        let mut body = json!({"name": "An app", "grant_types": ["authorization_code"], "scope": "openid",
            "redirect_uris": ["https://app.example/cb"], "tenant_id": "northwind", "registration": {}});
        match name {
            "redirect_uris" => body[name] = json!([uri]),
            "post_logout_redirect_uris" => body["registration"][name] = json!([uri]),
            _ => body["registration"][name] = json!(uri),
        }
        body
    };
    for name in NAMES {
        for uri in BAD {
            let answer = root.post("/api/clients", &client(uri, name)).await;
            assert_eq!(answer.status, 400, "{name} {uri:?}: {}", answer.text);
            answer.problem(400, "invalid_request");
        }
    }
    let good =
        root.post("/api/clients", &client("https://app.example/in?a=b", "redirect_uris")).await;
    let path = format!("/api/clients/{}", good.expect(201).string("id"));
    // A change is held to the same.
    for uri in BAD {
        let other = json!({ "redirect_uris": [uri] });
        root.patch(&path, &other).await.problem(400, "invalid_request");
    }
    let kept: Value = root.get(&path).await.expect(200).json();
    assert_eq!(kept["redirect_uris"], json!(["https://app.example/in?a=b"]));
    root.patch(&path, &json!({ "redirect_uris": ["http://[::1]:7/cb"] })).await.expect(200);
}

/// Names under which somewhere else is a place to go on to.
const ONWARDS: &[&str] = &[
    "next",
    "url",
    "to",
    "continue",
    "return_to",
    "returnUrl",
    "redirect",
    "redirect_uri",
    "redirect_to",
    "post_logout_redirect_uri",
    "target_link_uri",
    "RelayState",
    "iss",
    "login_hint",
    "state",
    "token",
    "interaction",
    "client_id",
    "id_token_hint",
    "request_uri",
];
const PLACES: &[&str] = &[
    "",
    "/",
    "/login",
    "/consent",
    "/logout",
    "/invitation",
    "/oauth2/authorize",
    "/oauth2/logout",
    "/oauth2/token",
    "/oauth2/par",
    "/oauth2/jwks",
    "/oauth2/userinfo",
    "/.well-known/openid-configuration",
    "/assets/procura.css",
    "/api/health",
    "/api/me/consents",
    "/api/audit-logs",
    "/revocations/stream",
    "/livez",
    "/readyz",
    "//evil.test",
    "//evil.test/%2e%2e",
    "/\\evil.test",
    "/%2f%2fevil.test",
    "/login/",
    "/login//evil.test",
    "/.//evil.test",
];

#[tokio::test]
async fn every_redirect_leads_to_our_own_pages_or_where_somebody_registered() {
    let house = house().await;
    let known = house.visitor();
    known.pass(request(&house, &known, REGISTERED[0]).as_str(), PAT).await;
    let mut redirects = 0;
    let mut check = |what: &str, answer: &Answer| {
        let Some(to) = answer.header("location") else { return };
        redirects += 1;
        let is_own = to.starts_with('/') && !to.starts_with("//") && !to.contains('\\');
        let is_registered = REGISTERED.iter().any(|uri| to.starts_with(uri));
        assert!(is_own || is_registered, "{what} leads to {to}");
        assert!(answer.status == 303, "{what}: {}", answer.status);
    };
    for visitor in [&house.visitor(), &known] {
        let honest = request(&house, visitor, REGISTERED[1]);
        check("the honest request", &visitor.visit(honest.as_str()).await);
        for place in PLACES {
            let base = format!("{}{place}", house.url());
            check(place, &send(http().get(&base)).await);
            for name in ONWARDS {
                let Ok(mut url) = Url::parse(&base) else { continue };
                url.query_pairs_mut().append_pair(name, "https://evil.test/");
                check(url.as_str(), &visitor.visit(url.as_str()).await);
            }
        }
        for name in ONWARDS {
            for evil in ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"]
            {
                let mut url = honest.clone();
                url.query_pairs_mut().append_pair(name, evil);
                check(url.as_str(), &visitor.visit(url.as_str()).await);
            }
        }
    }
    assert!(redirects > 20, "{redirects} redirects");
}
