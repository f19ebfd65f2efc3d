//! People: a browser that logs in by the real pages, and what its owner does with the tokens.

use std::sync::Arc;

use aws_lc_rs::{digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{
    Method,
    header::{ACCEPT, HeaderMap, HeaderValue, IF_MATCH, ORIGIN},
    redirect::Policy,
};
use serde_json::Value;
use url::Url;

use crate::{Answer, Form, House, form, house::World};

/// The grant type of a token exchange (RFC 8693).
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// What the portal asks for at login.
pub const HOME_SCOPE: &str = "openid profile email partner.tenants.list \
                              partner.tenants.switch_context tenant.admin operator.admin";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A browser with a cookie jar. It follows no redirect by itself, and runs no scripts.
#[derive(Clone, Debug)]
pub struct Visitor {
    world: Arc<World>,
    http: reqwest::Client,
}

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub struct Person {
    /// The browser, with its session.
    pub visitor: Visitor,
    /// The home access token.
    pub home: String,
    /// The ID token.
    pub id_token: String,
    world: Arc<World>,
}

/// A client for one browser, or for software (no cookies). No proxy stands between tests and servers.
pub(crate) fn http(issuer: &str, is_browser: bool) -> reqwest::Client {
    let mut headers = HeaderMap::new();
    if is_browser {
        headers.insert(ORIGIN, HeaderValue::from_str(issuer).expect("an origin"));
    }
    reqwest::Client::builder()
        .cookie_store(is_browser)
        .default_headers(headers)
        .redirect(Policy::none())
        .no_proxy()
        // A connection that is kept outlives a server that restarts.
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client")
}

impl Visitor {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let http = http(&world.issuer, true);
        Self { world, http }
    }

    /// Visits a page of the server: a path, or a whole URL.
    pub async fn visit(&self, at: &str) -> Answer {
        Answer::of(self.http.get(self.url(at)).send().await.expect("the server answers")).await
    }

    /// Submits a form of a page.
    pub async fn submit(&self, form: &Form) -> Answer {
        let request = self.http.post(self.url(&form.action)).form(&form.fields);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    fn url(&self, at: &str) -> Url {
        let root = Url::parse(&self.world.url).expect("an issuer");
        root.join(at).expect("a path or a URL")
    }

    /// Where the portal sends a browser to log in, with its PKCE verifier.
    pub fn start(&self) -> (Url, String) {
        let portal = self.world.client("portal");
        let uri = portal.redirect_uri.as_deref().unwrap_or_default();
        self.request_of(&portal.client_id, uri, &[])
    }

    /// Where any client sends a browser to log in, with its PKCE verifier.
    pub fn request_of(&self, client: &str, uri: &str, more: &[(&str, &str)]) -> (Url, String) {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("randomness");
        let verifier = URL_SAFE_NO_PAD.encode(bytes);
        let challenge = digest::digest(&digest::SHA256, verifier.as_bytes());
        let mut url = self.url("/oauth2/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", client)
            .append_pair("redirect_uri", uri)
            .append_pair("response_type", "code")
            .append_pair("scope", HOME_SCOPE)
            .append_pair("state", "a state & more")
            .append_pair("nonce", "a nonce")
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(more);
        (url, verifier)
    }

    /// Goes where a client has sent the browser, logs in and agrees where it is asked to, and shows the
    /// answer that leads to no page of the server any more.
    pub async fn pass(&self, at: &str, email: &str) -> Answer {
        let mut answer = self.visit(at).await;
        for _ in 0..3 {
            let Some(to) = answer.header("location").map(ToOwned::to_owned) else { break };
            let path = self.url(&to).path().to_owned();
            if !to.starts_with('/') {
                break;
            }
            let page = self.visit(&to).await;
            let form = match path.as_str() {
                "/login" => form(&page.expect(200).text, "login-form")
                    .with("email", email)
                    .with("password", &self.world.demo.password),
                _ => form(&page.expect(200).text, "consent-form").press("decision", "allow"),
            };
            answer = self.submit(&form).await;
        }
        answer
    }

    /// The code that comes of that.
    pub async fn code_by(&self, at: &str, email: &str) -> String {
        let answer = self.pass(at, email).await;
        let to = Url::parse(answer.location()).expect("a URL");
        let mut pairs = to.query_pairs();
        let code = pairs.find(|(name, _)| name == "code");
        code.unwrap_or_else(|| panic!("no code: {to}")).1.into_owned()
    }

    /// Comes from the portal, fills in the login form, and shows what came of it.
    pub async fn try_log_in(&self, email: &str, password: &str) -> (Answer, String) {
        let (url, verifier) = self.start();
        let page = self.visit(self.visit(url.as_str()).await.location()).await;
        page.expect(200);
        let login = form(&page.text, "login-form").with("email", email).with("password", password);
        (self.submit(&login).await, verifier)
    }

    /// Logs in and agrees: the code that the portal gets, and its verifier.
    pub async fn code(&self, email: &str, password: &str) -> (String, String) {
        let (mut answer, verifier) = self.try_log_in(email, password).await;
        if self.url(answer.location()).path() == "/consent" {
            let page = self.visit(answer.location()).await;
            let consent = form(&page.expect(200).text, "consent-form").press("decision", "allow");
            answer = self.submit(&consent).await;
        }
        (self.code_of(answer.location()), verifier)
    }

    /// Logs in, agrees, and gets the tokens, as the portal would.
    pub async fn log_in(&self, email: &str, password: &str) -> Person {
        let (code, verifier) = self.code(email, password).await;
        let tokens = self.redeem(&code, &verifier).await;
        tokens.expect(200);
        Person {
            visitor: self.clone(),
            home: tokens.string("access_token"),
            id_token: tokens.string("id_token"),
            world: Arc::clone(&self.world),
        }
    }

    /// The code in the redirect to the portal; the rest of it is checked as a client must.
    fn code_of(&self, location: &str) -> String {
        let uri = self.world.client("portal").redirect_uri.as_deref().expect("a redirect URI");
        assert!(location.starts_with(&format!("{uri}?")), "to somebody else: {location}");
        let location = Url::parse(location).expect("a URL");
        let value = |name: &str| {
            let mut pairs = location.query_pairs();
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        assert_eq!(value("error"), None);
        assert_eq!(value("state").as_deref(), Some("a state & more"));
        assert_eq!(value("iss").as_deref(), Some(self.world.issuer.as_str()));
        value("code").expect("a code")
    }

    /// Redeems a code, as the portal would.
    pub async fn redeem(&self, code: &str, verifier: &str) -> Answer {
        let uri = self.world.client("portal").redirect_uri.clone().unwrap_or_default();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &uri),
            ("code_verifier", verifier),
        ];
        self.world.token(&form).await
    }
}

/// The form of an exchange; an empty scope is left out.
pub fn exchange_form<'a>(
    subject: &'a str,
    tenant: &'a str,
    scope: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let mut form = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", subject),
        ("subject_token_type", ACCESS_TOKEN),
        ("tenant_id", tenant),
    ];
    if !scope.is_empty() {
        form.push(("scope", scope));
    }
    form
}

impl Person {
    /// The same login, with all requests to another node.
    #[must_use]
    pub fn at(&self, node: &House) -> Self {
        Self {
            visitor: self.visitor.clone(),
            home: self.home.clone(),
            id_token: self.id_token.clone(),
            world: node.world(),
        }
    }

    /// The entry of the audit log, as this person may see it, about the request with this id.
    pub async fn entry_of(&self, request_id: &str) -> Value {
        let log = self.get("/api/audit-logs").await.expect(200).json();
        let entries = log.as_array().expect("a list").iter();
        let mut found = entries.filter(|entry| entry["request_id"] == request_id);
        let entry = found.next().unwrap_or_else(|| panic!("nothing about {request_id} in {log}"));
        assert!(found.next().is_none(), "more than one entry about {request_id}");
        entry.clone()
    }

    /// The reason in that entry, of a refusal.
    pub async fn reason_of(&self, request_id: &str) -> String {
        let entry = self.entry_of(request_id).await;
        assert_eq!(entry["result"], "refused", "{entry}");
        entry["reason"].as_str().expect("a refusal has a reason").to_owned()
    }

    /// Asks for a delegated token; an empty scope is left out.
    pub async fn exchange(&self, tenant: &str, scope: &str) -> Answer {
        self.exchange_with(tenant, scope, &[]).await
    }

    /// The same; `None` where the server is gone.
    pub async fn try_exchange(&self, tenant: &str, scope: &str) -> Option<Answer> {
        self.world.try_token(&exchange_form(&self.home, tenant, scope)).await
    }

    /// Asks for a delegated token with more parameters.
    pub async fn exchange_with(&self, tenant: &str, scope: &str, more: &[(&str, &str)]) -> Answer {
        let mut form = exchange_form(&self.home, tenant, scope);
        form.extend_from_slice(more);
        self.world.token(&form).await
    }

    /// Acts in a tenant from now on: the delegated token.
    pub async fn switch(&self, tenant: &str, scope: &str) -> String {
        let answer = self.exchange(tenant, scope).await;
        answer.expect(200).string("access_token")
    }

    /// Asks the management API.
    pub async fn get(&self, path: &str) -> Answer {
        self.world.api(&self.home, Method::GET, path, None).await
    }

    /// Asks the management API for a certain media type.
    pub async fn get_as(&self, path: &str, media_type: &'static str) -> Answer {
        let request = self.world.request(&self.home, Method::GET, path);
        let request = request.header(ACCEPT, media_type);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Changes something by POST.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.world.api(&self.home, Method::POST, path, Some(body)).await
    }

    /// Changes something by POST, once however often it is asked with this key.
    pub async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> Answer {
        let request = self.world.request(&self.home, Method::POST, path).json(body);
        let key = HeaderValue::from_bytes(key.as_bytes()).expect("bytes of a header");
        let request = request.header("idempotency-key", key);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Takes a step that needs no body, by POST.
    pub async fn step(&self, path: &str) -> Answer {
        self.world.api(&self.home, Method::POST, path, None).await
    }

    /// Changes something by PUT.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.world.api(&self.home, Method::PUT, path, Some(body)).await
    }

    /// Puts something that needs no body.
    pub async fn put_bare(&self, path: &str) -> Answer {
        self.world.api(&self.home, Method::PUT, path, None).await
    }

    /// Changes something by PATCH.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.world.api(&self.home, Method::PATCH, path, Some(body)).await
    }

    /// Changes something by PUT, if it is still the version with this tag.
    pub async fn put_if(&self, path: &str, body: &Value, tag: &str) -> Answer {
        let request = self.world.request(&self.home, Method::PUT, path).json(body);
        let request = request.header(IF_MATCH, tag);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Changes something by PATCH, if it is still the version with this tag.
    pub async fn patch_if(&self, path: &str, body: &Value, tag: &str) -> Answer {
        let request = self.world.request(&self.home, Method::PATCH, path).json(body);
        let request = request.header(IF_MATCH, tag);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Changes something by POST, if it is still the version with this tag.
    pub async fn post_if(&self, path: &str, body: &Value, tag: &str) -> Answer {
        let request = self.world.request(&self.home, Method::POST, path).json(body);
        let request = request.header(IF_MATCH, tag);
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Asks for anything, with or without a body, if it is still the version with this tag, where there is one.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        (body, tag): (Option<&Value>, Option<&str>),
    ) -> Answer {
        let mut request = self.world.request(&self.home, method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(tag) = tag {
            request = request.header(IF_MATCH, tag);
        }
        Answer::of(request.send().await.expect("the server answers")).await
    }

    /// Changes something by POST, as the version that is there now.
    pub async fn post_seen(&self, thing: &str, step: &str, body: &Value) -> Answer {
        let seen = self.get(thing).await;
        let tag = seen.header("etag").unwrap_or_default();
        self.post_if(&format!("{thing}/{step}"), body, tag).await
    }

    /// Ends something by DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.world.api(&self.home, Method::DELETE, path, None).await
    }
}
