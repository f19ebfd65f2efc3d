//! Clients, resource servers and the import of files: by the API, on the command line, at the start.

mod clients;
mod command_line;
mod identity_providers;
mod import;
mod import_last;
mod initial_tokens;
mod resource_servers;
mod secrets;

use procura_tests::{Answer, House, Person};
use reqwest::Method;
use serde_json::{Value, json};

const ROOT: &str = "root@procura.test";
const PAT: &str = "pat@northwind.test";
const TOM: &str = "tom@northwind.test";
const ADA: &str = "ada@acme.test";
const BILLING: &str = "partner.billing.read";

/// `aud` of the sample resource server.
fn audience(house: &House) -> String {
    house.demo().clients["isp"].audience.clone().expect("an audience")
}

/// What a machine is registered with that reads bills.
fn machine(house: &House) -> Value {
    let audience = audience(house);
    json!({
        "name": "A machine",
        "grant_types": ["client_credentials"],
        "permissions": BILLING,
        "audiences": [audience],
        "default_audience": audience,
    })
}

/// Registers a client; answers its id and secret.
async fn registered(house: &House, person: &Person, body: &Value) -> (String, String) {
    let made = house.api(&person.home, Method::POST, "/api/clients", Some(body)).await;
    made.expect(201);
    (made.string("id"), made.string("client_secret"))
}

/// Asks for a token by client credentials.
async fn ask(house: &House, (id, secret): (&str, &str)) -> Answer {
    let form = [("grant_type", "client_credentials"), ("scope", BILLING)];
    house.token_by(Some((id, secret)), &form).await
}

/// The token that these credentials get.
async fn token(house: &House, credentials: (&str, &str)) -> String {
    ask(house, credentials).await.expect(200).string("access_token")
}

/// These credentials open nothing.
async fn shut(house: &House, credentials: (&str, &str)) {
    ask(house, credentials).await.oauth_error(401, "invalid_client");
}

/// A request that is only good for the version that was seen.
async fn if_match(
    house: &House,
    person: &Person,
    (method, path): (Method, &str),
    tag: &str,
    body: Option<&Value>,
) -> Answer {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = http.request(method, format!("{}{path}", house.url()));
    let request = request.bearer_auth(&person.home).header("if-match", tag);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    Answer::of(request.send().await.expect("the server answers")).await
}

/// The newest audit entry of an action, as the operator sees it.
async fn entry(house: &House, root: &Person, action: &str) -> Value {
    let path = format!("/api/audit-logs?action={action}");
    let listed = house.api(&root.home, Method::GET, &path, None).await;
    let listed = listed.expect(200).json();
    listed.as_array().and_then(|list| list.first()).cloned().unwrap_or_default()
}
