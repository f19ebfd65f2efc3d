//! What nobody but its holder may know stands nowhere in clear (S77).

use std::{fs, path::Path};

use procura_domain::Profile;
use procura_tests::{Answer, House, HouseOptions, exchange_form, form};
use reqwest::header::SET_COOKIE;
use serde_json::json;

use super::{ADA, PAT, PATIENT, READ_BILLING, credentials, http, send};
use crate::protocol::relying_party::{
    SCOPE, authorize, redeem, refresh, register, request, tokens, value,
};

/// Every file below a folder, but for what is meant to hold secrets: mails, the demo's own notes, and the keys.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "mail" && name != "keys" {
                files(&path, found);
            }
        } else if !name.starts_with("demo.") {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// What was kept secret, and what it was.
#[derive(Default)]
struct Kept(Vec<(&'static str, String)>);

impl Kept {
    fn keep(&mut self, what: &'static str, value: &str) {
        assert!(value.len() >= 16, "{what}: {value}");
        self.0.push((what, value.to_owned()));
    }
}

fn cookie(answer: &Answer) -> String {
    let set = answer.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
    set.split(';').next().unwrap().split_once('=').unwrap().1.to_owned()
}

/// A person's: tokens, codes, cookies and passwords, used and unused.
async fn by_a_person(house: &House, kept: &mut Kept) {
    let visitor = house.visitor();
    let asked = [("scope", SCOPE), ("prompt", "consent")];
    let first = tokens(house, &visitor, &asked, PAT).await;
    kept.keep("refresh token", &first.string("refresh_token"));
    let next = refresh(house, &first.string("refresh_token")).await;
    kept.keep("next refresh token", &next.expect(200).string("refresh_token"));
    let home = next.string("access_token");
    kept.keep("home token", &home);
    kept.keep("ID token", &next.string("id_token"));
    let delegated = house.token(&exchange_form(&home, "acme-corp", READ_BILLING)).await;
    kept.keep("delegated token", &delegated.expect(200).string("access_token"));
    for is_used in [true, false] {
        let back = authorize(house, &visitor, &request(house, &[]), PAT).await;
        let code = value(&back, "code").unwrap();
        kept.keep("code", &code);
        if is_used {
            redeem(house, &code).await.expect(200);
        }
    }
    let key = json!({ "client_id": house.demo().clients["portal"].client_id, "name": "nightly",
        "permissions": "partner.tenants.list partner.tenants.switch_context" });
    let key = house.api(&home, reqwest::Method::POST, "/api/api-keys", Some(&key)).await;
    let key = key.expect(201).string("key");
    kept.keep("API key", &key);
    kept.keep("secret of an API key", &key[36..]);
    house.api(&key, reqwest::Method::GET, "/api/partners/tenants", None).await.expect(200);
    let mut by_key = exchange_form(&key, "acme-corp", READ_BILLING);
    by_key[2].1 = "urn:procura:token-type:api-key";
    house.token(&by_key).await.expect(400);
    let other = house.visitor();
    let page = other.visit(request(house, &[]).as_str()).await;
    kept.keep("browser cookie", &cookie(&page));
    let page = other.visit(page.location()).await;
    let login = form(&page.text, "login-form").with("email", PAT);
    let wrong = "a wrong password, typed by hand";
    other.submit(&login.clone().with("password", wrong)).await.expect(401);
    kept.keep("wrong password", wrong);
    let logged_in = other.submit(&login.with("password", &house.demo().password)).await;
    kept.keep("session cookie", &cookie(&logged_in));
    kept.keep("password", &house.demo().password);
    let new = json!({ "name": "Zenith", "admin_email": "zoe@zenith.test" });
    let made = house.api(&home, reqwest::Method::POST, "/api/partners/tenants", Some(&new)).await;
    let admin = made.expect(201).json()["admin"]["id"].as_str().unwrap().to_owned();
    let mail = house.data().join(format!("mail/invitation-{admin}.eml"));
    let mail = fs::read_to_string(mail).unwrap();
    kept.keep("invitation", mail.split("token=").nth(1).unwrap().trim());
}

/// A client's: secrets, assertions and proofs, good and wrong.
async fn by_a_client(house: &House, kept: &mut Kept) {
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (assertion, proof) = (software.assertion(), software.proof("/oauth2/token"));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", procura_tests::ASSERTION),
        ("client_assertion", assertion.as_str()),
    ];
    let token = software.post_bare("/oauth2/token", &form, &[&proof]).await;
    kept.keep("client's token", &token.expect(200).string("access_token"));
    kept.keep("assertion", &assertion);
    kept.keep("proof", &proof);
    let (asks, verifier) = software.asks(&json!({}));
    let uri = software.push(&asks).await.expect(201).string("request_uri");
    kept.keep("request URI", uri.rsplit(':').next().unwrap());
    kept.keep("PKCE verifier", &verifier);
    let (id, secret) = credentials(house, "portal");
    kept.keep("client secret", secret);
    let wrong = "a-wrong-client-secret-0123456789";
    house.token_by(Some((id, wrong)), &form[..1]).await.expect(401);
    kept.keep("wrong client secret", wrong);
    let wrong = "a-wrong-subject-token-0123456789";
    house.token(&exchange_form(wrong, "acme-corp", "")).await.expect(400);
    kept.keep("wrong subject token", wrong);
}

/// A customer's, on paper: used, unused and mistyped, as they are written and as they are read.
async fn on_paper(house: &House, kept: &mut Kept) {
    let ada = house.log_in(ADA).await;
    let made = ada.step("/api/tenants/break-glass-codes").await.expect(201).json();
    let mut codes: Vec<_> = made["codes"].as_array().unwrap().iter().collect();
    let typed = json!(format!("9{}", &codes[1].as_str().unwrap()[1..]));
    for (code, status) in [(codes[0], 200), (codes[0], 403), (&typed, 403)] {
        let said = json!({ "tenant": "acme-corp", "code": code });
        send(http().post(format!("{}/break-glass", house.url())).json(&said)).await.expect(status);
    }
    codes.push(&typed);
    for code in codes {
        let (_, letters) = code.as_str().unwrap().split_once('-').unwrap();
        kept.keep("break-glass code", letters);
        kept.keep("break-glass code in one", &letters.replace('-', ""));
        kept.keep("break-glass code in small letters", &letters.replace('-', "").to_lowercase());
    }
}

#[tokio::test]
async fn no_secret_stands_in_the_database_a_backup_a_log_or_a_figure() {
    let environment = vec![
        (PATIENT.0, PATIENT.1.to_owned()),
        ("PROCURA__METRICS__LISTEN", "127.0.0.1:0".to_owned()),
        ("PROCURA__LOG__FILTER", "debug".to_owned()),
    ];
    let mut house = House::on_a_file_with(HouseOptions { environment, ..HouseOptions::default() });
    register(&house, "portal", "oidc", json!({})).await;
    let mut kept = Kept::default();
    by_a_person(&house, &mut kept).await;
    by_a_client(&house, &mut kept).await;
    on_paper(&house, &mut kept).await;
    let master = fs::read_to_string(house.data().join("keys/master.key")).unwrap();
    kept.keep("master key", master.trim());

    let audit = house.command(&["audit", "verify"]);
    let figures = send(http().get(format!("{}/metrics", house.private_url()))).await;
    let backup = house.data().join("backup");
    let made = house.command(&["backup", "create", "--to", backup.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    let mut places = vec![
        ("standard error".to_owned(), house.stderr().into_bytes()),
        ("figures".to_owned(), figures.expect(200).text.clone().into_bytes()),
        ("audit verify".to_owned(), format!("{audit:?}").into_bytes()),
    ];
    house.stop();
    files(&house.data(), &mut places);
    for (place, bytes) in &places {
        for (what, secret) in &kept.0 {
            assert!(!holds(bytes, secret), "the {what} stands in {place}");
        }
    }
    let (_, codes) =
        places.iter().find(|(name, _)| name.ends_with("-break_glass_codes.jsonl")).unwrap();
    let codes = String::from_utf8_lossy(codes);
    assert_eq!(codes.lines().filter(|row| row.contains("$argon2id$")).count(), 8, "{codes}");
    // What is no secret is found, so the search finds things.
    let (_, database) = places.iter().find(|(name, _)| name == "procura.db").unwrap();
    assert!(holds(database, PAT));
}
