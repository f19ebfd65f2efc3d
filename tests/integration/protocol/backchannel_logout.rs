//! OpenID Connect Back-Channel Logout 1.0: a client hears, on a server of its own, that a login is over.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use procura_tests::{House, HouseOptions, claims, eventually, header};
use procura_token::{Algorithm, KeySet, jws};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::{credentials, http};

const SAM: &str = "sam@northwind.test";
const TOM: &str = "tom@northwind.test";

/// A client's own server.
#[derive(Clone, Default)]
struct Receiver {
    heard: Arc<Mutex<Vec<String>>>,
    says: Arc<Mutex<StatusCode>>,
}

impl Receiver {
    /// Starts it: its URL.
    async fn start(&self) -> String {
        let take = async |State(own): State<Self>, body: String| {
            own.heard.lock().unwrap().push(body);
            *own.says.lock().unwrap()
        };
        let routes = Router::new().route("/logout", post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/logout", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// A house that may call these networks, and the portal that wants to hear of logouts.
async fn house(receiver: &Receiver, allow: &str) -> House {
    let house = House::start_with(HouseOptions {
        environment: vec![
            ("PROCURA__OUTBOUND__ALLOW", allow.to_owned()),
            ("PROCURA__OUTBOUND__ALLOW_HTTP", "true".to_owned()),
        ],
        ..HouseOptions::default()
    });
    let registration = json!({ "backchannel_logout_uri": receiver.start().await });
    let (id, _) = credentials(&house, "portal");
    let change = format!(
        "UPDATE clients SET registration = '{registration}', version = version + 1 WHERE id = '{id}'"
    );
    ask(&house, change).await;
    house
}

/// What stands in the first column, or what is changed.
async fn ask(house: &House, statement: String) -> Vec<String> {
    let statement = AssertSqlSafe(statement);
    if let Some(url) = house.database() {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let enter = sqlx::query("SELECT set_config('procura.tenant', '*', false)");
        enter.execute(&mut connection).await.unwrap();
        let rows = sqlx::query(statement).fetch_all(&mut connection).await.unwrap();
        return rows.iter().map(|row| row.get(0)).collect();
    }
    let options = SqliteConnectOptions::new().filename(house.data().join("procura.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query(statement).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Somebody logs in at the portal, and an admin ends that: what the login's token said.
async fn come_and_go(house: &House) -> Value {
    let sam = house.log_in(SAM).await;
    let login = claims(&sam.home);
    let (sid, (id, _)) = (login["sid"].as_str().unwrap(), credentials(house, "portal"));
    let told = format!(
        "INSERT INTO session_clients (session_id, client_id) VALUES ('{sid}', '{id}') \
         ON CONFLICT (session_id, client_id) DO NOTHING"
    );
    ask(house, told).await;
    let path = format!("/api/tenants/users/{}/disable", house.user(SAM));
    house.log_in(TOM).await.step(&path).await.expect(200);
    login
}

/// How the deliveries ended, as the audit log has it.
async fn ends(house: &House) -> Vec<String> {
    let list = "SELECT result || ' ' || COALESCE(reason, '-') FROM audit \
                WHERE action = 'logout.notify' ORDER BY seq";
    ask(house, list.to_owned()).await
}

#[tokio::test]
async fn section_2_5_the_client_of_a_login_gets_one_logout_token() {
    let receiver = Receiver::default();
    let house = house(&receiver, "127.0.0.1").await;
    let login = come_and_go(&house).await;
    eventually("the audit log says it", async || (!ends(&house).await.is_empty()).then_some(()))
        .await;
    assert_eq!(ends(&house).await, ["ok -"]);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 1);
    let pairs: Vec<_> = url::form_urlencoded::parse(heard[0].as_bytes()).into_owned().collect();
    let [(name, token)] = &pairs[..] else { panic!("not one parameter: {pairs:?}") };
    assert_eq!(
        (name.as_str(), header(token)["typ"].as_str()),
        ("logout_token", Some("logout+jwt"))
    );
    // Section 2.4, and signed as ID tokens are.
    let jwks = http().get(format!("{}/oauth2/jwks", house.issuer())).send().await.unwrap();
    let keys = KeySet::from_json(&jwks.bytes().await.unwrap()).unwrap();
    let signed = jws::verify(token, "logout+jwt", &keys, &[Algorithm::Rs256]).unwrap();
    let said: Value = serde_json::from_slice(&signed.payload).unwrap();
    let events = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    assert_eq!(said["events"], events);
    let (id, _) = credentials(&house, "portal");
    assert_eq!((&said["iss"], &said["aud"]), (&house.issuer().into(), &id.into()));
    assert_eq!((&said["sub"], &said["sid"]), (&login["sub"], &login["sid"]));
    assert!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap() <= 120);
    assert!(said["jti"].is_string() && said.get("nonce").is_none(), "{said}");
}

#[tokio::test]
async fn section_2_8_a_client_that_refuses_the_token_is_not_asked_again() {
    let receiver = Receiver::default();
    *receiver.says.lock().unwrap() = StatusCode::BAD_REQUEST;
    let house = house(&receiver, "127.0.0.0/8").await;
    come_and_go(&house).await;
    eventually("it is given up", async || (!ends(&house).await.is_empty()).then_some(())).await;
    assert_eq!(ends(&house).await, ["failed refused_by_client"]);
    assert_eq!(ask(&house, "SELECT client_id FROM logout_notices".to_owned()).await, [""; 0]);
    assert_eq!(receiver.heard().len(), 1);
}

#[tokio::test]
async fn a_logout_uri_that_leads_inside_is_not_called() {
    let receiver = Receiver::default();
    let house = house(&receiver, "10.0.0.0/8").await;
    come_and_go(&house).await;
    let tried = "SELECT client_id FROM logout_notices WHERE attempts > 0".to_owned();
    eventually("it was tried", async || {
        house.stderr().contains("address_not_allowed").then_some(())
    })
    .await;
    assert_eq!(ask(&house, tried).await.len(), 1);
    assert!(receiver.heard().is_empty());
}
