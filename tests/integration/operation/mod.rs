//! What whoever runs a node relies on: its listener, its health, its figures, its bounds.

mod deploy;
mod disk_full;
mod figures;
mod health;
mod listener;
mod mail;
mod rate_limits;
mod strangers;
mod tls;
mod traces;
mod unavailable;

use procura_tests::{Answer, House, HouseOptions};
use reqwest::{Client, RequestBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const ROOT: &str = "root@procura.test";
const PAT: &str = "pat@northwind.test";
const ADA: &str = "ada@acme.test";
const HEALTH: &str = "/api/health";

/// A house with these settings.
fn house_with(environment: &[(&'static str, &str)]) -> House {
    House::start_with(HouseOptions {
        environment: environment.iter().map(|(name, value)| (*name, (*value).into())).collect(),
        ..HouseOptions::default()
    })
}

fn http() -> Client {
    Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.expect("the server answers")).await
}

async fn get(house: &House, path: &str) -> Answer {
    send(http().get(format!("{}{path}", house.issuer()))).await
}

/// Of the private listener.
async fn get_private(url: &str, path: &str) -> Answer {
    send(http().get(format!("{url}{path}"))).await
}

/// A connection of its own, on which these bytes were sent.
async fn connect(house: &House, bytes: &str) -> TcpStream {
    let address = house.issuer().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(bytes.as_bytes()).await.expect("the server reads");
    stream
}

/// What comes until the server closes; a reset says the same as an end.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}
