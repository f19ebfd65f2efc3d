//! The cases of `docs/SECURITY-CASES.md` that are no other module's subject: what has been done to servers
//! like this one, tried here, each beside what an honest caller does.

mod algorithms;
mod bodies;
mod cases;
mod ends;
mod foreign;
mod hosts;
mod limits;
mod names;
mod opaque;
mod outage;
mod pages;
mod redirects;
mod secrets;
mod sessions;
mod sources;
mod step_up;
mod tenants;
mod words;

use procura_tests::{Answer, House, HouseOptions};
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::json;

use crate::protocol::relying_party::register;

const ROOT: &str = "root@procura.test";
const PAT: &str = "pat@northwind.test";
const SAM: &str = "sam@northwind.test";
const TOM: &str = "tom@northwind.test";
const ADA: &str = "ada@acme.test";
const READ_BILLING: &str = "partner.billing.read";
const BILLING: &str = "/api/v1/partner/billing/summary";
const CUSTOMERS: &str = "/api/v1/partner/customers";

/// Whoever tries a thousand times is heard a thousand times: what bounds strangers has tests of its own.
const PATIENT: (&str, &str) = ("PROCURA__LIMITS__UNAUTHENTICATED_FAILURES_PER_MINUTE", "100000");

/// A house that hears out whoever fails.
fn patient_house() -> House {
    let environment = vec![(PATIENT.0, PATIENT.1.to_owned())];
    House::start_with(HouseOptions { environment, ..HouseOptions::default() })
}

/// The same, whose portal refreshes, and may leave out PKCE.
async fn patient_house_of_openid() -> House {
    let house = patient_house();
    register(&house, "portal", "oidc", json!({})).await;
    house
}

/// Software that follows nothing and keeps nothing.
fn http() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn at(house: &House, path: &str) -> String {
    format!("{}{path}", house.url())
}

/// The credentials of a client of the demo.
fn credentials<'a>(house: &'a House, name: &str) -> (&'a str, &'a str) {
    let client = &house.demo().clients[name];
    (&client.client_id, client.client_secret.as_deref().unwrap())
}

/// Whether a home token is anything to the management API.
async fn is_good_at_home(house: &House, token: &str) -> bool {
    house.api(token, Method::GET, CUSTOMERS, None).await.status == 200
}
