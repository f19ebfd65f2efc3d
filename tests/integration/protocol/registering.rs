//! Software that registers itself, and the houses that let it.

use procura_tests::{Answer, House, HouseOptions, Person, Visitor, token_hash, unique};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    at, http,
    relying_party::{authorize, request, value},
    send,
};

/// An admin of the tenant for which it registers.
pub const TOM: &str = "tom@northwind.test";
/// The operator.
pub const ROOT: &str = "root@procura.test";
/// Where its codes go.
pub const CALLBACK: &str = "https://app.example/callback";
const REGISTER: &str = "/oauth2/register";

/// A house that lets software register itself, with these settings besides.
pub fn house_with(more: &[(&'static str, &str)]) -> House {
    let enabled = ("PROCURA__REGISTRATION__ENABLED", "true".to_owned());
    let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let environment = [enabled].into_iter().chain(more).collect();
    House::start_with(HouseOptions { environment, ..HouseOptions::default() })
}

/// One without any.
pub fn house() -> House {
    house_with(&[])
}

/// An initial access token for so many uses, made by an admin: its id, and the token.
pub async fn initial_token(house: &House, admin: &Person, uses: u32) -> (String, String) {
    let body = json!({ "name": "For a test", "uses": uses });
    let path = "/api/initial-access-tokens";
    let made = house.api(&admin.home, Method::POST, path, Some(&body)).await;
    made.expect(201);
    (made.string("id"), made.string("token"))
}

/// Registers, with a token or without.
pub async fn register(house: &House, token: Option<&str>, metadata: &Value) -> Answer {
    let request = http().post(at(house, REGISTER)).json(metadata);
    send(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
}

/// What an ordinary application says of itself, with these members instead of the usual ones.
pub fn application(other: &Value) -> Value {
    let usual = json!({
        "client_name": "A new application",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let mut all = usual.as_object().expect("an object").clone();
    all.extend(other.as_object().expect("an object").clone());
    Value::Object(all)
}

/// A client that registered itself.
pub struct Itself {
    pub id: String,
    pub secret: Option<String>,
    /// By which it looks after itself.
    pub token: String,
    pub path: String,
}

impl Itself {
    /// What an answer to a registration says.
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        let id = answer.string("client_id");
        let secret = answer.json()["client_secret"].as_str().map(ToOwned::to_owned);
        let path = format!("{REGISTER}/{id}");
        assert!(answer.string("registration_client_uri").ends_with(&path));
        Self { id, secret, token: answer.string("registration_access_token"), path }
    }

    /// Registers an ordinary application, with these members besides.
    pub async fn new(house: &House, admin: &Person, other: &Value) -> Self {
        let (_, token) = initial_token(house, admin, 1).await;
        let answer = register(house, Some(&token), &application(other)).await;
        Self::of(answer.expect(201))
    }

    /// Asks at its own address, with a token, or without.
    pub async fn ask(&self, house: &House, method: Method, body: Option<&Value>) -> Answer {
        ask(house, (method, &self.path), Some(&self.token), body).await
    }

    /// Says what it is from now on, with these members besides; goes on with the new token.
    pub async fn update(&mut self, house: &House, other: &Value) -> Answer {
        let body = self.with_id(other);
        let answer = self.ask(house, Method::PUT, Some(&body)).await;
        if answer.status == 200 {
            self.token = answer.string("registration_access_token");
        }
        answer
    }

    /// An ordinary application with its own id.
    pub fn with_id(&self, other: &Value) -> Value {
        let mut body = application(&json!({ "client_id": self.id }));
        let more = other.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        body
    }

    /// Where it sends a browser, and its PKCE verifier.
    pub fn request(&self, house: &House, scope: &str) -> (url::Url, String) {
        let verifier = format!("{}{}", unique(), unique());
        let more = [
            ("client_id", self.id.as_str()),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("code_challenge", &token_hash(&verifier)),
            ("code_challenge_method", "S256"),
        ];
        (request(house, &more), verifier)
    }

    /// Lets this person log in and agree, and gets the tokens.
    pub async fn log_in(&self, house: &House, visitor: &Visitor, scope: &str) -> Answer {
        let (url, verifier) = self.request(house, scope);
        let back = authorize(house, visitor, &url, super::PAT).await;
        let code = value(&back, "code").unwrap_or_else(|| panic!("no code: {back}"));
        self.redeem(house, &code, &verifier).await
    }

    pub async fn redeem(&self, house: &House, code: &str, verifier: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.token(house, &form).await
    }

    /// Asks the token endpoint, as it is registered: by its secret, or as a public client.
    pub async fn token(&self, house: &House, form: &[(&str, &str)]) -> Answer {
        if let Some(secret) = &self.secret {
            return house.token_by(Some((&self.id, secret)), form).await;
        }
        let form = [form, &[("client_id", &self.id)]].concat();
        house.token_by(None, &form).await
    }
}

/// A request about a registration.
pub async fn ask(
    house: &House,
    (method, path): (Method, &str),
    token: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    let mut request = http().request(method, at(house, path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    send(request).await
}

/// The newest audit entry of an action, as the operator sees it.
pub async fn entry(root: &Person, action: &str) -> Value {
    let listed = root.get(&format!("/api/audit-logs?action={action}")).await;
    let listed = listed.expect(200).json();
    listed.as_array().and_then(|list| list.first()).cloned().unwrap_or_default()
}
