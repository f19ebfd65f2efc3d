//! Health: what a node says of itself to load balancers, and to everybody.

use std::fs;

use procura_tests::{Answer, House, Scratch, eventually, procura};
use serde_json::json;

use super::{HEALTH, connect, get, get_private, house_with};

const PRIVATE: (&str, &str) = ("PROCURA__METRICS__LISTEN", "127.0.0.1:0");

#[tokio::test]
async fn a_healthy_node_is_alive_ready_and_says_its_version() {
    let house = house_with(&[PRIVATE]);
    for path in ["/livez", "/readyz", HEALTH] {
        get(&house, path).await.expect(200);
    }
    let health = get(&house, HEALTH).await.json();
    assert_eq!(health, json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }));
    let private = house.private_url();
    get_private(private, "/livez").await.expect(200);
    assert_eq!(get_private(private, "/readyz").await.expect(200).json()["status"], "ready");
    // What is private is not public, and the other way round.
    get(&house, "/metrics").await.problem(404, "not_found");
    get_private(private, "/oauth2/jwks").await.expect(404);
}

#[tokio::test]
async fn a_node_that_stops_says_so_until_the_end() {
    let mut house = house_with(&[PRIVATE]);
    let private = house.private_url().to_owned();
    // Its body never comes, so that the stop takes a moment.
    let head = "POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    let _slow = connect(&house, head).await;
    let stopping = tokio::task::spawn_blocking(move || house.stop());
    let answer = eventually("it says that it stops", async || {
        let answer = get_private(&private, "/readyz").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(missing(&answer), ["stopping"]);
    get_private(&private, "/livez").await.expect(200);
    assert!(stopping.await.unwrap().status.success());
}

/// A database that vanishes under the server, and comes back.
#[tokio::test]
async fn a_node_without_its_database_is_not_ready_and_recovers_by_itself() {
    let house = House::start();
    let lock = Lock::take(&house).await;
    let answer = eventually("it misses the database", async || {
        let answer = get(&house, "/readyz").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert!(missing(&answer).iter().all(|word| word.starts_with("database_")), "{}", answer.text);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let health = get(&house, HEALTH).await;
    assert_eq!(health.expect(503).json()["status"], "unavailable");
    assert!(health.json()["missing"].is_null(), "strangers learn no more than whether");
    assert_eq!(health.header("retry-after"), Some("1"));
    get(&house, "/livez").await.expect(200);
    // An entry that cannot be written: no answer that could pass for one, and not for long.
    house.token_by(None, &[]).await.oauth_error(503, "temporarily_unavailable");
    lock.release().await;
    eventually("it is ready again", async || {
        (get(&house, "/readyz").await.status == 200).then_some(())
    })
    .await;
    house.token_by(None, &[]).await.oauth_error(401, "invalid_client");
}

#[test]
fn a_private_listener_that_is_not_private_is_refused() {
    let folder = Scratch::new();
    let file = folder.path().join("procura.toml");
    for (public, private, is_good) in [
        ("127.0.0.1:5000", "127.0.0.1:5000", false),
        ("127.0.0.1:5000", "0.0.0.0:5000", false),
        ("127.0.0.1:5000", "nowhere", false),
        ("127.0.0.1:5000", "127.0.0.1:5001", true),
        ("127.0.0.1:5000", "", true),
    ] {
        let text = format!("[server]\nlisten = {public:?}\n[metrics]\nlisten = {private:?}\n");
        fs::write(&file, text).unwrap();
        let ended = procura(&["config", "check", "--config", file.to_str().unwrap()]);
        if is_good {
            assert!(ended.status.success(), "{ended:?}");
        } else {
            assert!(ended.refused().contains("metrics.listen"), "{ended:?}");
        }
    }
}

fn missing(answer: &Answer) -> Vec<String> {
    serde_json::from_value(answer.expect(503).json()["missing"].clone()).expect("a list of words")
}

/// Somebody else's transaction that keeps the server from writing.
pub(super) struct Lock(sqlx::SqliteConnection);

impl Lock {
    pub(super) async fn take(house: &House) -> Self {
        use sqlx::Connection;
        let file = house.data().join("procura.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
        Self(connection)
    }

    pub(super) async fn release(mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}
