//! Values that mean nothing to whoever holds them: whole they are something, and in no other shape (S39).

use procura_domain::Profile;
use procura_tests::{House, form};
use reqwest::{
    Method,
    header::{COOKIE, SET_COOKIE},
};
use serde_json::json;

use super::{ADA, CUSTOMERS, PAT, at, credentials, http, patient_house_of_openid, send};
use crate::protocol::relying_party::{SCOPE, authorize, redeem, refresh, request, tokens, value};

/// Everything that is nearly this value: cut off, bent, longer, and written in another way.
fn mutants(value: &str) -> Vec<String> {
    let mut all = Vec::new();
    for at in 0..value.len() {
        let (before, after) = value.split_at(at);
        all.push(before.to_owned());
        all.push(after.to_owned());
        all.push(format!("{before}{}", &after[1..]));
        // One that is close in base64, one that is far, and one that is none.
        let own = after.as_bytes()[0];
        let next = if own == b'z' { b'a' } else { own + 1 };
        for other in [char::from(next), char::from(own ^ 1), 'A', '-', '~'] {
            all.push(format!("{before}{other}{}", &after[1..]));
        }
        let turned = char::from(own);
        let turned = if turned.is_lowercase() {
            turned.to_ascii_uppercase()
        } else {
            turned.to_ascii_lowercase()
        };
        all.push(format!("{before}{turned}{}", &after[1..]));
    }
    let tails = [
        "=", "==", "A", "AA", "AAAA", ".", "/", "\n", "\r\n", " ", "\t", "%00", "\u{0}", "\u{e9}",
        "+", "-", "_",
    ];
    all.extend(tails.iter().map(|tail| format!("{value}{tail}")));
    all.extend(tails.iter().map(|head| format!("{head}{value}")));
    all.extend([
        value.to_uppercase(),
        value.to_lowercase(),
        value.replace('-', "+").replace('_', "/"),
        value.chars().rev().collect(),
        format!("{value}{value}"),
        format!("{value},{value}"),
        format!("\"{value}\""),
    ]);
    all.retain(|mutant| mutant != value);
    all.sort();
    all.dedup();
    all
}

#[tokio::test]
async fn a_code_or_a_refresh_token_is_good_whole_or_not_at_all() {
    let house = patient_house_of_openid().await;
    let visitor = house.visitor();
    let asked = [("scope", SCOPE), ("prompt", "consent")];
    let refresh_token = tokens(&house, &visitor, &asked, PAT).await.string("refresh_token");
    let all = mutants(&refresh_token);
    assert!(all.len() > 300, "{}", all.len());
    for mutant in &all {
        let answer = refresh(&house, mutant).await;
        let is_refused =
            matches!(answer.string("error").as_str(), "invalid_grant" | "invalid_request");
        assert!(answer.status == 400 && is_refused, "{mutant:?}: {}", answer.text);
    }
    // Not one of them was taken for a replay.
    refresh(&house, &refresh_token).await.expect(200);
    let back = authorize(&house, &visitor, &request(&house, &[]), PAT).await;
    let code = value(&back, "code").unwrap();
    for mutant in mutants(&code) {
        let answer = redeem(&house, &mutant).await;
        let is_refused =
            matches!(answer.string("error").as_str(), "invalid_grant" | "invalid_request");
        assert!(answer.status == 400 && is_refused, "{mutant:?}: {}", answer.text);
    }
    redeem(&house, &code).await.expect(200);
}

#[tokio::test]
async fn a_pushed_request_or_a_page_is_found_by_its_whole_name() {
    let house = patient_house_of_openid().await;
    let software = house.software(Profile::Oauth21, |_| {}).await;
    let (asks, _) = software.asks(&json!({}));
    let uri = software.push(&asks).await.expect(201).string("request_uri");
    let visitor = house.visitor();
    for mutant in mutants(&uri) {
        let answer = visitor.visit(&software.at_uri(&mutant)).await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{mutant:?}");
    }
    let page = visitor.visit(&software.at_uri(&uri)).await.location().to_owned();
    let (path, interaction) = page.split_once("interaction=").unwrap();
    for mutant in mutants(interaction) {
        let query = url::form_urlencoded::byte_serialize(mutant.as_bytes()).collect::<String>();
        let answer = visitor.visit(&format!("{path}interaction={query}")).await;
        assert_eq!(answer.status, 400, "{mutant:?}");
    }
    let shown = visitor.visit(&page).await;
    let login = form(&shown.expect(200).text, "login-form").with("email", PAT);
    let login = login.with("password", &house.demo().password);
    let form_token = login.fields.iter().find(|(name, _)| name == "form_token").unwrap().1.clone();
    for mutant in mutants(&form_token) {
        let answer = visitor.submit(&login.clone().with("form_token", &mutant)).await;
        assert_eq!(answer.status, 400, "{mutant:?}");
    }
    assert_eq!(visitor.submit(&login).await.status, 303);
}

#[tokio::test]
async fn a_session_is_its_whole_cookie() {
    let house = patient_house_of_openid().await;
    let visitor = house.visitor();
    let start = request(&house, &[]);
    let page = visitor.visit(visitor.visit(start.as_str()).await.location()).await;
    let login = form(&page.expect(200).text, "login-form")
        .with("email", PAT)
        .with("password", &house.demo().password);
    let answer = visitor.submit(&login).await;
    let set = answer.headers.get(SET_COOKIE).unwrap().to_str().unwrap();
    let (name, cookie) = set.split(';').next().unwrap().split_once('=').unwrap();
    let is_somebody = async |cookie: &str| {
        let request = http().get(at(&house, "/logout")).header(COOKIE, format!("{name}={cookie}"));
        send(request).await.expect(200).text.contains("logout-confirm")
    };
    let all = mutants(cookie);
    // What stands around a cookie's value is not part of it (RFC 6265 §5.2).
    let sendable = |mutant: &&String| {
        let is_text = mutant.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        is_text && mutant.trim() == mutant.as_str()
    };
    for mutant in all.iter().filter(sendable) {
        assert!(!is_somebody(mutant).await, "{mutant:?}");
    }
    assert!(is_somebody(cookie).await);
}

#[tokio::test]
async fn a_secret_an_invitation_and_a_partner_code_count_with_every_byte() {
    let house = patient_house_of_openid().await;
    let (id, secret) = credentials(&house, "portal");
    let grant = [("grant_type", "client_credentials")];
    for mutant in mutants(secret) {
        let form = [grant[0], ("client_id", id), ("client_secret", mutant.as_str())];
        let status = house.token_by(None, &form).await.status;
        assert!(matches!(status, 400 | 401), "{mutant:?}: {status}");
    }
    house.token(&grant).await.expect(200);

    let asked = [("scope", SCOPE)];
    let pat = tokens(&house, &house.visitor(), &asked, PAT).await.string("access_token");
    let new = json!({ "name": "Zenith", "admin_email": "zoe@zenith.test" });
    let made = house.api(&pat, Method::POST, "/api/partners/tenants", Some(&new)).await;
    let admin = made.expect(201).json()["admin"]["id"].as_str().unwrap().to_owned();
    let mail = house.data().join("mail").join(format!("invitation-{admin}.eml"));
    let mail = std::fs::read_to_string(mail).unwrap();
    let link = mail.lines().find(|line| line.starts_with("http")).unwrap();
    let (path, token) = link.split_once("token=").unwrap();
    let visitor = house.visitor();
    for mutant in mutants(token) {
        let query = url::form_urlencoded::byte_serialize(mutant.as_bytes()).collect::<String>();
        let answer = visitor.visit(&format!("{path}token={query}")).await;
        assert_eq!(answer.status, 400, "{mutant:?}");
    }
    visitor.visit(link).await.expect(200);

    let code = &house.demo().partner_codes["umbrella"];
    let ask = async |code: &str| {
        let body = json!({ "partner_code": code });
        house.api(&pat, Method::POST, "/api/v1/partner/relationships", Some(&body)).await
    };
    for mutant in mutants(code) {
        let answer = ask(&mutant).await;
        assert!(matches!(answer.status, 400 | 404), "{mutant:?}: {}", answer.text);
    }
    ask(code).await.expect(201);
}

#[tokio::test]
async fn of_a_token_nothing_can_be_left_out_or_changed() {
    let house: House = patient_house_of_openid().await;
    let asked = [("scope", SCOPE)];
    let home = tokens(&house, &house.visitor(), &asked, ADA).await.string("access_token");
    let all = mutants(&home);
    // In-process there are more of them (`crates/token/tests/attacks.rs`); here it is the whole way.
    let few = all.iter().step_by(all.len() / 400 + 1);
    for mutant in
        few.filter(|mutant| !mutant.is_empty() && mutant.bytes().all(|b| b.is_ascii_graphic()))
    {
        let answer = house.api(mutant, Method::GET, "/api/tenants/users", None).await;
        assert_eq!(answer.status, 401, "{mutant:?}");
        house.revoke(mutant).await.expect(200);
    }
    house.api(&home, Method::GET, "/api/tenants/users", None).await.expect(200);
    house.api(&home, Method::GET, CUSTOMERS, None).await.expect(200);
}
