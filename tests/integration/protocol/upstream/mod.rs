//! Logging in by an identity provider of one's own tenant (OpenID Connect Core §3.1 from the other side):
//! against a real provider, which is another Procura, and against one that says whatever a test wants.

mod answers;
mod company;
mod journeys;
mod kept;
mod linking;
mod policies;
mod provider;

use procura_tests::{Answer, House, HouseOptions, Person, Visitor, form};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

const SAM: &str = "sam@northwind.test";
const TOM: &str = "tom@northwind.test";
const PAT: &str = "pat@northwind.test";
const ADA: &str = "ada@acme.test";
const ROOT: &str = "root@procura.test";
const PROVIDERS: &str = "/api/identity-providers";

/// A house that may call this machine, where the providers of these tests are.
fn house() -> House {
    House::start_with(options())
}

fn options() -> HouseOptions {
    HouseOptions {
        environment: vec![
            ("PROCURA__OUTBOUND__ALLOW", "127.0.0.1".to_owned()),
            ("PROCURA__OUTBOUND__ALLOW_HTTP", "true".to_owned()),
        ],
        ..HouseOptions::default()
    }
}

/// Registers a provider; what the API shows of it.
async fn add(house: &House, person: &Person, body: &Value) -> Value {
    let made = house.api(&person.home, Method::POST, PROVIDERS, Some(body)).await;
    made.expect(201).json()
}

/// What a provider of the person's own tenant is registered with.
fn own(issuer: &str) -> Value {
    json!({
        "name": "own",
        "title": "Northwind <Login>",
        "issuer": issuer,
        "client_id": "procura",
        "client_secret": "a secret: with%signs",
    })
}

/// Links somebody there to a person here.
async fn link(person: &Person, provider: &Value, subject: &str, user: &str) {
    let path = format!("{PROVIDERS}/{}/links", provider["id"].as_str().unwrap());
    person.post(&path, &json!({ "subject": subject, "user_id": user })).await.expect(201);
}

fn path(provider: &Value) -> String {
    format!("{PROVIDERS}/{}", provider["id"].as_str().unwrap())
}

/// A browser on its way: where the portal's login page sends it, and the portal's PKCE verifier.
struct Journey {
    browser: Visitor,
    to: Url,
    verifier: String,
}

impl Journey {
    /// Begins at the portal and names a provider on the login page.
    async fn to(house: &House, named: &str) -> Self {
        Self::asking(house, house.visitor(), named, &[]).await
    }

    /// The same in this browser, with more parameters of the portal's request.
    async fn asking(house: &House, browser: Visitor, named: &str, more: &[(&str, &str)]) -> Self {
        let (page, verifier) = login_page(house, &browser, more).await;
        let form = form(&page.text, "upstream-form").with("organisation", named);
        let to = next(&browser.submit(&form).await);
        Self { browser, to, verifier }
    }

    fn sent(&self, name: &str) -> Option<String> {
        let mut pairs = self.to.query_pairs();
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// Comes back with these parameters besides the state.
    async fn back(&self, more: &[(&str, &str)]) -> Answer {
        let mut url = Url::parse(&self.sent("redirect_uri").unwrap()).unwrap();
        url.query_pairs_mut().append_pair("state", &self.sent("state").unwrap());
        url.query_pairs_mut().extend_pairs(more);
        self.browser.visit(url.as_str()).await
    }

    /// What the portal gets in the end.
    async fn tokens(&self, answer: &Answer) -> Answer {
        let code = self.code(answer).await;
        self.browser.redeem(&code, &self.verifier).await.expect(200).clone()
    }

    /// The code that the browser brings to the portal.
    async fn code(&self, answer: &Answer) -> String {
        let mut to = answer.location().to_owned();
        if to.starts_with("/consent") {
            let page = self.browser.visit(&to).await;
            let consent = form(&page.expect(200).text, "consent-form").press("decision", "allow");
            self.browser.submit(&consent).await.location().clone_into(&mut to);
        }
        let to = Url::parse(&to).unwrap();
        let code = to.query_pairs().find(|(name, _)| name == "code");
        code.unwrap_or_else(|| panic!("no code: {to}")).1.into_owned()
    }
}

/// The page to which the portal sends a browser to log in.
async fn login_page(house: &House, browser: &Visitor, more: &[(&str, &str)]) -> (Answer, String) {
    let portal = &house.demo().clients["portal"];
    let uri = portal.redirect_uri.as_deref().unwrap();
    let (url, verifier) = browser.request_of(&portal.client_id, uri, more);
    let page = browser.visit(browser.visit(url.as_str()).await.location()).await;
    (page.expect(200).clone(), verifier)
}

/// Where a page leads on to: by itself, and by its link.
fn next(page: &Answer) -> Url {
    let (_, rest) = page.expect(200).text.split_once("id=\"upstream-continue\" href=\"").unwrap();
    let link = rest.split_once('"').unwrap().0;
    assert!(page.text.contains(&format!("content=\"0;url={link}\"")), "{}", page.text);
    Url::parse(&link.replace("&#38;", "&").replace("&amp;", "&")).unwrap()
}

/// The login page again, with a message; answers that.
fn message(answer: &Answer) -> String {
    let (_, rest) = answer.text.split_once("id=\"login-message\">").unwrap();
    assert!(answer.text.contains("id=\"login-form\""), "one can try again");
    rest.split_once('<').unwrap().0.to_owned()
}
