//! Cookies that somebody planted, and what is left in a browser after somebody (S43, S44).

use std::collections::BTreeMap;

use procura_tests::{Answer, House, claims, form};
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};

use super::{PAT, SAM, at, http, patient_house, send};
use crate::protocol::relying_party::ask;

const SESSION: &str = "procura-session";
const BROWSER: &str = "procura-browser";

/// A browser whose cookies everybody can reach.
#[derive(Clone, Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn header(&self) -> String {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    /// Takes over what the answer sets, as a browser does.
    fn take(&mut self, answer: &Answer) {
        for set in answer.headers.get_all(SET_COOKIE) {
            let set = set.to_str().unwrap();
            for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
                assert!(set.split("; ").any(|part| part == attribute), "{set}");
            }
            assert!(!set.contains("Domain"), "no sibling host is shown it: {set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    async fn visit(&mut self, house: &House, path: &str) -> Answer {
        let to = if path.starts_with('/') { at(house, path) } else { path.to_owned() };
        let answer = send(http().get(to).header(COOKIE, self.header())).await;
        self.take(&answer);
        answer
    }

    async fn submit(&mut self, house: &House, form: &procura_tests::Form) -> Answer {
        let request = http().post(at(house, &form.action)).header(COOKIE, self.header());
        let answer = send(request.header(ORIGIN, house.issuer()).form(&form.fields)).await;
        self.take(&answer);
        answer
    }

    /// Comes from the portal and logs in; agrees where it is asked to. Answers the last answer, and the verifier.
    async fn log_in(&mut self, house: &House, email: &str) -> (Answer, String) {
        let (start, verifier) = house.visitor().start();
        let mut answer = self.visit(house, start.as_str()).await;
        for _ in 0..2 {
            let to = answer.location().to_owned();
            let page = self.visit(house, &to).await;
            let filled = if to.starts_with("/login") {
                form(&page.expect(200).text, "login-form")
                    .with("email", email)
                    .with("password", &house.demo().password)
            } else if to.starts_with("/consent") {
                form(&page.expect(200).text, "consent-form").press("decision", "allow")
            } else {
                break;
            };
            answer = self.submit(house, &filled).await;
            if !answer.location().starts_with('/') {
                break;
            }
        }
        (answer, verifier)
    }

    /// Whether a request of the portal is answered without any page.
    async fn is_logged_in(&self, house: &House) -> bool {
        let mut jar = self.clone();
        let (start, _) = house.visitor().start();
        !jar.visit(house, start.as_str()).await.location().starts_with("/login")
    }

    fn session(&self) -> Option<String> {
        self.0.get(SESSION).cloned()
    }
}

#[tokio::test]
async fn a_planted_cookie_is_never_a_login() {
    let house = patient_house();
    // Chosen by somebody, and one that was given out to somebody: a login makes a new one in any case.
    let mut mallory = Jar::default();
    mallory.log_in(&house, SAM).await;
    let of_mallory = mallory.session().unwrap();
    for planted in ["x".repeat(43), of_mallory.clone(), String::new(), "x".repeat(4000)] {
        let mut jar = Jar::default();
        jar.0.insert(SESSION.to_owned(), planted.clone());
        let is_sams = planted == of_mallory;
        assert_eq!(jar.is_logged_in(&house).await, is_sams, "{planted}");
        let (start, _) = house.visitor().start();
        let url = format!("{start}&prompt=login");
        let page = jar.visit(&house, &url).await;
        let page = jar.visit(&house, page.location()).await;
        let login = form(&page.expect(200).text, "login-form")
            .with("email", PAT)
            .with("password", &house.demo().password);
        jar.submit(&house, &login).await;
        let new = jar.session().unwrap();
        assert_ne!(new, planted);
        assert_eq!(new.len(), 43);
        // Whoever planted it has nothing of that login.
        let mut other = Jar::default();
        other.0.insert(SESSION.to_owned(), planted.clone());
        assert_eq!(other.is_logged_in(&house).await, is_sams, "{planted}");
    }
    // Two of a name: one of them was planted, and nobody knows which.
    let mut jar = Jar::default();
    jar.log_in(&house, PAT).await;
    assert!(jar.is_logged_in(&house).await);
    let (start, _) = house.visitor().start();
    let both = format!("{SESSION}={}; {}", "x".repeat(43), jar.header());
    let answer = send(http().get(start).header(COOKIE, both)).await;
    assert!(answer.location().starts_with("/login"));
}

#[tokio::test]
async fn the_session_changes_with_every_login_and_the_old_value_is_nothing() {
    let house = patient_house();
    let mut jar = Jar::default();
    let mut before: Vec<Jar> = Vec::new();
    for prompt in ["", "&prompt=login", "&prompt=login"] {
        let (start, _) = house.visitor().start();
        let page = jar.visit(&house, &format!("{start}{prompt}")).await;
        let page = jar.visit(&house, page.location()).await;
        let login = form(&page.expect(200).text, "login-form")
            .with("email", PAT)
            .with("password", &house.demo().password);
        jar.submit(&house, &login).await;
        assert!(jar.is_logged_in(&house).await);
        for old in &before {
            assert_ne!(old.session(), jar.session());
            assert!(!old.is_logged_in(&house).await, "the value from before");
        }
        before.push(jar.clone());
    }
    let page = jar.visit(&house, "/logout").await;
    let confirm = form(&page.expect(200).text, "logout-form");
    jar.submit(&house, &confirm).await.expect(200);
    assert_eq!(jar.session(), None);
    for old in &before {
        assert!(!old.is_logged_in(&house).await, "after the logout");
    }
}

#[tokio::test]
async fn whoever_leaves_by_halves_leaves_nothing_to_the_next_one() {
    let house = patient_house();
    for is_browser_kept in [true, false] {
        for is_session_kept in [true, false] {
            let mut jar = Jar::default();
            let (answer, verifier) = jar.log_in(&house, PAT).await;
            let visitor = house.visitor();
            let code = code(&answer);
            let pat = visitor.redeem(&code, &verifier).await;
            assert_eq!(claims(&pat.expect(200).string("access_token"))["sub"], house.user(PAT));
            // Pat has a consent page of another request open, and closes the browser by halves.
            let (open, _) = visitor.start();
            let pending = jar.visit(&house, &format!("{open}&prompt=consent")).await;
            let page = jar.visit(&house, pending.location()).await;
            let left = form(&page.expect(200).text, "consent-form").press("decision", "allow");
            if !is_session_kept {
                jar.0.remove(SESSION);
            }
            if !is_browser_kept {
                jar.0.remove(BROWSER);
            }
            let (start, verifier) = visitor.start();
            let page = jar.visit(&house, &format!("{start}&prompt=login")).await;
            let page = jar.visit(&house, page.location()).await;
            let login = form(&page.expect(200).text, "login-form")
                .with("email", SAM)
                .with("password", &house.demo().password);
            let next = jar.submit(&house, &login).await;
            // What Pat had before them is not Sam's to send.
            jar.submit(&house, &left).await.expect(400);
            let next = if next.location().starts_with("/consent") {
                let page = jar.visit(&house, next.location()).await;
                let consent = form(&page.expect(200).text, "consent-form");
                jar.submit(&house, &consent.press("decision", "allow")).await
            } else {
                next
            };
            let sam = visitor.redeem(&self::code(&next), &verifier).await;
            let sam = claims(&sam.expect(200).string("access_token"));
            assert_eq!(sam["sub"], house.user(SAM));
            let pat = claims(&pat.string("access_token"));
            assert_ne!(sam["sid"], pat["sid"]);
        }
    }
}

#[tokio::test]
async fn a_logout_without_cookies_ends_the_login_that_the_client_knows() {
    let house = patient_house();
    let mut jar = Jar::default();
    let (answer, verifier) = jar.log_in(&house, PAT).await;
    let tokens = house.visitor().redeem(&code(&answer), &verifier).await;
    let hint = tokens.expect(200).string("id_token");
    // From a place where the browser sends no cookie along.
    let gone = Jar::default().visit(&house, &format!("/oauth2/logout?id_token_hint={hint}")).await;
    gone.expect(200);
    assert!(!jar.is_logged_in(&house).await, "the cookie that stayed behind is nobody");
    let (answer, _) = jar.log_in(&house, SAM).await;
    assert!(!answer.location().is_empty());
    let ended = "SELECT CASE WHEN ended_at IS NULL THEN 'open' ELSE 'ended' END FROM sessions ORDER BY auth_time";
    assert_eq!(ask(&house, ended.to_owned()).await, ["ended", "open"]);
}

/// The code in the redirect to the portal.
fn code(answer: &Answer) -> String {
    let to = url::Url::parse(answer.location()).unwrap();
    to.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}
