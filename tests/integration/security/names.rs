//! Who is there and who is not, and one name under many spellings (S65, S67, S68, S76).

use std::{collections::BTreeSet, fs};

use procura_tests::{House, form};
use serde_json::json;

use super::{PAT, ROOT, at, credentials, http, patient_house, send};

/// The answer of the login page to this name and password, without what differs by itself.
async fn answer(house: &House, email: &str, password: &str) -> String {
    let visitor = house.visitor();
    let (start, _) = visitor.start();
    let page = visitor.visit(visitor.visit(start.as_str()).await.location()).await;
    let empty = form(&page.expect(200).text, "login-form");
    let login = empty.clone().with("email", email).with("password", password);
    let answer = visitor.submit(&login).await;
    let mut shown = answer.text.replace(email, "NAME");
    for (name, value) in &empty.fields {
        if !value.is_empty() {
            shown = shown.replace(value.as_str(), name);
        }
    }
    let names: BTreeSet<_> = answer.headers.keys().map(ToString::to_string).collect();
    format!("{} {names:?} {shown}", answer.status)
}

#[tokio::test]
async fn the_login_page_tells_nobody_who_is_there() {
    let house = patient_house();
    let tom = house.log_in("tom@northwind.test").await;
    let sam = format!("/api/tenants/users/{}/disable", house.user("sam@northwind.test"));
    tom.step(&sam).await.expect(200);
    let invited = json!({ "name": "Zenith", "admin_email": "zoe@zenith.test" });
    house.log_in(PAT).await.post("/api/partners/tenants", &invited).await.expect(201);
    let password = house.demo().password.clone();
    let mut shown = BTreeSet::new();
    for (email, password) in [
        (PAT, "wrong"),
        ("nobody@northwind.test", "wrong"),
        ("nobody@nowhere.test", password.as_str()),
        ("sam@northwind.test", password.as_str()),
        ("sam@northwind.test", "wrong"),
        ("zoe@zenith.test", password.as_str()),
        ("no name at all", "wrong"),
        (PAT, ""),
        (PAT, &"x".repeat(5000)),
    ] {
        shown.insert(answer(&house, email, password).await);
    }
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert!(shown.iter().all(|shown| shown.starts_with("401")));
    assert!(answer(&house, PAT, &password).await.starts_with("303"), "who is right gets in");
}

/// Spellings of Pat's name, some of which are Pat's and some nobody's.
const SPELLINGS: &[&str] = &[
    "pat@northwind.test",
    "PAT@NORTHWIND.TEST",
    "Pat@Northwind.Test",
    " pat@northwind.test",
    "pat@northwind.test ",
    "\tpat@northwind.test\n",
    "\u{a0}pat@northwind.test",
    "pat@northwind.test\u{2003}",
    "pat @northwind.test",
    "pat@northwind.test\u{0}",
    "p\u{e1}t@northwind.test",
    "pa\u{301}t@northwind.test",
    "\u{ff50}at@northwind.test",
    "pat@northwind.test.",
    "pat+x@northwind.test",
    "pat\u{200b}@northwind.test",
    "\"pat\"@northwind.test",
    "pat@northw\u{131}nd.test",
    "pat@NORTHW\u{130}ND.test",
    "Pat Partner",
    "pat",
];

#[tokio::test]
async fn every_spelling_that_is_somebody_waits_with_the_name() {
    let house = patient_house();
    let password = house.demo().password.clone();
    let mut is_pats = Vec::new();
    for spelling in SPELLINGS {
        let (answer, _) = house.visitor().try_log_in(spelling, &password).await;
        assert!(matches!(answer.status, 303 | 400 | 401), "{spelling:?}: {}", answer.status);
        if answer.status == 303 {
            is_pats.push(*spelling);
        }
    }
    assert!(is_pats.len() >= 5, "{is_pats:?}");
    // Ten failures, never twice the same way in a row.
    for n in 0..10 {
        let (answer, _) = house.visitor().try_log_in(is_pats[n % is_pats.len()], "wrong").await;
        assert_eq!(answer.status, 401);
    }
    for spelling in SPELLINGS {
        let (answer, _) = house.visitor().try_log_in(spelling, &password).await;
        assert!(matches!(answer.status, 400 | 401), "{spelling:?} gets around the wait");
    }
    // Nobody else waits.
    house.log_in(ROOT).await;
}

#[tokio::test]
async fn a_secret_counts_with_every_byte_of_it_however_long_it_is() {
    let house = patient_house();
    let pat = house.log_in(PAT).await;
    // Beyond what bcrypt would look at, and as long as it may be.
    for length in [71, 72, 73, 100, 255, 256] {
        let email = format!("{}@y{length}.{}.test", "z".repeat(60), "y".repeat(60));
        let new = json!({ "name": format!("Zenith {length}"), "admin_email": email });
        let made = pat.post("/api/partners/tenants", &new).await;
        let admin = made.expect(201).json()["admin"]["id"].as_str().unwrap().to_owned();
        let mail = house.data().join("mail").join(format!("invitation-{admin}.eml"));
        let mail = fs::read_to_string(mail).unwrap();
        let link = mail.lines().find(|line| line.starts_with("http")).unwrap();
        let visitor = house.visitor();
        let page = visitor.visit(link).await;
        let password: String = "aB3-".chars().cycle().take(length).collect();
        let accept = form(&page.expect(200).text, "invitation-form").with("password", &password);
        visitor.submit(&accept.press("partner_access", "keep")).await.expect(200);
        let log_in =
            async |password: &str| house.visitor().try_log_in(&email, password).await.0.status;
        let bent = |at: usize| format!("{}x{}", &password[..at], &password[at + 1..]);
        let cut = password[..length - 1].to_owned();
        for wrong in [bent(length - 1), bent(length / 2), bent(0), cut, format!("{password}x")] {
            assert_eq!(log_in(&wrong).await, 401, "{length}");
        }
        assert_eq!(log_in(&password).await, 303, "{length}");
    }
    let (id, secret) = credentials(&house, "portal");
    let ask = async |id: &str, secret: &str| {
        let form = [("grant_type", "client_credentials")];
        let request = http().post(at(&house, "/oauth2/token")).basic_auth(id, Some(secret));
        send(request.form(&form)).await.status
    };
    for more in [1, 8, 29, 30, 72, 128, 300, 4000] {
        assert_eq!(ask(id, &format!("{secret}{}", "x".repeat(more))).await, 401, "{more}");
        assert_eq!(ask(&format!("{id}{}", "x".repeat(more)), secret).await, 401, "{more}");
        assert_eq!(ask(&"x".repeat(more), secret).await, 401, "{more}");
    }
    // The border between the two belongs to neither.
    let (name, last) = id.split_at(id.len() - 1);
    assert_eq!(ask(name, &format!("{last}{secret}")).await, 401);
    assert_eq!(ask(&format!("{id}{}", &secret[..1]), &secret[1..]).await, 401);
    assert_eq!(ask(id, secret).await, 200);
}
