//! The protocol, document by document: what each RFC demands, and what bad input gets.

mod backchannel_logout;
mod fapi2;
mod form_post;
mod independent_clients;
mod independent_rust;
mod input;
mod jarm;
mod kinds;
mod meanwhile;
mod oidc_core;
mod oidc_logout;
mod overage;
mod registering;
pub mod relying_party;
mod rfc6749;
mod rfc6749_refresh;
mod rfc7009;
mod rfc7523;
mod rfc7591;
mod rfc7592;
mod rfc7636;
mod rfc7662;
mod rfc8414;
mod rfc8628;
mod rfc8693;
mod rfc8707;
mod rfc9068;
mod rfc9101;
mod rfc9126;
mod rfc9207;
mod rfc9396;
mod rfc9449;
mod rfc9449_resource;
mod rfc9470;
mod rfc9701;
mod rfc9728;
mod stream;
mod upstream;

use procura_tests::{Answer, House};
use reqwest::{Client, RequestBuilder};

const PAT: &str = "pat@northwind.test";
const ADA: &str = "ada@acme.test";
const READ_BILLING: &str = "partner.billing.read";

fn http() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Sends whatever it is to a path of the server.
async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn at(house: &House, path: &str) -> String {
    format!("{}{path}", house.issuer())
}

/// The credentials of a client of the demo.
fn credentials<'a>(house: &'a House, name: &str) -> (&'a str, &'a str) {
    let client = &house.demo().clients[name];
    (&client.client_id, client.client_secret.as_deref().unwrap())
}
