//! Pages that show what somebody sent: as text, under a policy that would stop anything else (S70, S71).

use std::collections::BTreeSet;

use procura_tests::{Answer, form};
use serde_json::json;
use url::Url;

use super::{PAT, SAM, at, credentials, http, patient_house, send};
use crate::protocol::relying_party::change;

/// Closes whatever it stands in.
const MARK: &str = "'\"></title></style></textarea></script><svg/onload=alert(1)><img src=x onerror=alert(2)>{{7*7}}";

#[track_caller]
fn is_harmless(what: &str, answer: &Answer) {
    for raw in ["<svg", "<img", "</textarea><", "onerror=alert(2)>", "{{49}}", "\"></title>"] {
        assert!(!answer.text.contains(raw), "{what} shows {raw}: {}", answer.text);
    }
    let kind = answer.header("content-type").unwrap_or_default();
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
    if kind.starts_with("text/html") {
        let policy =
            answer.header("content-security-policy").unwrap_or_else(|| panic!("{what}: no policy"));
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{what}: {policy}");
        }
        assert!(!policy.contains("unsafe-") && !policy.contains('*'), "{what}: {policy}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{what}");
    }
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains("<svg") && !value.contains("onerror="), "{what} {name}: {value}");
    }
}

const PARAMETERS: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "claims",
    "display",
    "ui_locales",
    "acr_values",
    "request",
    "request_uri",
    "dpop_jkt",
    "interaction",
    "token",
    "error",
    "error_description",
    "error_hint",
    "post_logout_redirect_uri",
    "email",
    "password",
    "form_token",
    "decision",
    "anything",
];

#[tokio::test]
async fn no_page_shows_what_was_sent_as_anything_but_text() {
    let house = patient_house();
    let known = house.log_in(PAT).await.visitor;
    for visitor in [&house.visitor(), &known] {
        let (honest, _) = visitor.start();
        for name in PARAMETERS {
            let rest = honest.query_pairs().filter(|(known, _)| known != name);
            let pairs: Vec<_> = rest.chain([((*name).into(), MARK.into())]).collect();
            let mut bent = honest.clone();
            bent.query_pairs_mut().clear().extend_pairs(&pairs);
            let answer = visitor.visit(bent.as_str()).await;
            is_harmless(bent.as_str(), &answer);
            if answer.status == 303 && answer.location().starts_with('/') {
                is_harmless(name, &visitor.visit(answer.location()).await);
            }
            // And where the answer would be a form that posts itself.
            bent.query_pairs_mut().append_pair("response_mode", "form_post");
            is_harmless(bent.as_str(), &visitor.visit(bent.as_str()).await);
            for page in [
                "/login",
                "/consent",
                "/logout",
                "/invitation",
                "/oauth2/logout",
                "/oauth2/authorize",
                "/nowhere",
            ] {
                let mut url = Url::parse(&at(&house, page)).unwrap();
                url.query_pairs_mut().append_pair(name, MARK);
                is_harmless(page, &visitor.visit(url.as_str()).await);
                let posted = http().post(at(&house, page)).form(&[(name, MARK)]);
                is_harmless(page, &send(posted).await);
            }
        }
    }
    for path in [format!("/{MARK}"), format!("/api/{MARK}"), format!("/login/{MARK}")] {
        is_harmless(&path, &send(http().get(at(&house, &path))).await);
    }
}

#[tokio::test]
async fn a_name_is_shown_as_a_name_whatever_it_is() {
    let house = patient_house();
    let (id, _) = credentials(&house, "portal");
    let text = MARK.replace('\'', "''");
    let links =
        json!({"client_uri": "javascript:alert(1)", "logo_uri": format!("https://x.test/{MARK}")});
    let links = links.to_string().replace('\'', "''");
    for statement in [
        format!(
            "UPDATE clients SET name = '{text}', registration = '{links}', version = version + 1 WHERE id = '{id}'"
        ),
        format!("UPDATE tenants SET name = '{text}'"),
        format!("UPDATE users SET name = '{text}'"),
    ] {
        change(&house, statement).await;
    }
    let visitor = house.visitor();
    let (start, _) = visitor.start();
    let page = visitor.visit(visitor.visit(start.as_str()).await.location()).await;
    is_harmless("login", page.expect(200));
    let login = form(&page.text, "login-form");
    let wrong = visitor.submit(&login.clone().with("email", MARK).with("password", MARK)).await;
    is_harmless("a login that failed", wrong.expect(401));
    let shown = form(&wrong.text, "login-form").fields;
    assert!(shown.iter().any(|(_, value)| value == MARK), "what was typed stands there, as text");
    let login = login.with("email", SAM).with("password", &house.demo().password);
    let consent = visitor.visit(visitor.submit(&login).await.location()).await;
    is_harmless("consent", consent.expect(200));
    assert!(!consent.text.contains("href=\"javascript"), "{}", consent.text);
    let leave = visitor.visit("/logout").await;
    is_harmless("logout", leave.expect(200));
    let allowed =
        visitor.submit(&form(&consent.text, "consent-form").press("decision", "allow")).await;
    assert!(allowed.location().contains("code="), "the pages still do their work");
}

#[tokio::test]
async fn an_error_is_said_in_words_that_were_there_before() {
    let house = patient_house();
    let mut texts = BTreeSet::new();
    for name in PARAMETERS {
        for path in ["/oauth2/token", "/oauth2/par", "/oauth2/revoke", "/oauth2/introspect"] {
            let (id, secret) = credentials(&house, "portal");
            let request = http().post(at(&house, path)).basic_auth(id, Some(secret));
            let form = [("grant_type", "authorization_code"), (name, MARK)];
            let answer = send(request.form(&form)).await;
            is_harmless(path, &answer);
            if answer.status >= 400 {
                let text = answer.string("error_description");
                assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
                texts.insert(text);
            }
        }
    }
    assert!(texts.len() > 1);
}
