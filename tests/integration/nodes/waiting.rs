//! Changes that wait for each other: whoever comes second is judged by what the first has left.

use procura_tests::{Answer, House, Person, eventually};
use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinHandle;

use super::{ADA, PAT, first_node};

const TOM: &str = "tom@northwind.test";
/// Pat's side may suspend it.
const EDGE: &str = "northwind>acme-corp";

/// Somebody else's lock on the row that all changes take first.
struct Held(PgConnection);

impl Held {
    async fn take(house: &House) -> Self {
        let mut connection = connect(house).await;
        let held = sqlx::raw_sql("BEGIN; SELECT id FROM head WHERE id = 1 FOR UPDATE");
        held.execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn release(mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}

async fn connect(house: &House) -> PgConnection {
    PgConnection::connect(house.database().expect("Postgres")).await.unwrap()
}

/// Sends a change, and answers when so many wait for the lock.
async fn send(house: &House, by: &Person, path: String, waiting: i64) -> JoinHandle<Answer> {
    // Those that take something away have connections of their own.
    const WAITING: &str = "SELECT count(*) AS waiting FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'procura urgent' \
        AND wait_event_type = 'Lock'";
    let by = by.clone();
    let sent = tokio::spawn(async move { by.step(&path).await });
    let mut connection = connect(house).await;
    eventually("the change waits", async || {
        let row = sqlx::query(WAITING).fetch_one(&mut connection).await.unwrap();
        (row.get::<i64, _>("waiting") == waiting).then_some(())
    })
    .await;
    sent
}

async fn state(house: &House, by: &Person) -> String {
    by.get(&house.relationship(EDGE)).await.expect(200).string("state")
}

#[tokio::test]
async fn whoever_is_disabled_while_a_change_waits_changes_nothing() {
    let house = first_node();
    let (pat, tom, ada) =
        (house.log_in(PAT).await, house.log_in(TOM).await, house.log_in(ADA).await);
    let before = state(&house, &ada).await;
    let disable = format!("/api/tenants/users/{}/disable", house.user(PAT));
    let suspend = format!("{}/suspend", house.relationship(EDGE));

    let held = Held::take(&house).await;
    let first = send(&house, &tom, disable, 1).await;
    let second = send(&house, &pat, suspend.clone(), 2).await;
    held.release().await;
    first.await.unwrap().expect(200);
    // Pat was somebody when the request came, and is nobody when its turn has come.
    second.await.unwrap().problem(401, "unauthenticated");
    assert_eq!(state(&house, &ada).await, before);
    pat.step(&suspend).await.expect(401);
}

#[tokio::test]
async fn whoever_is_still_somebody_when_the_turn_comes_changes_what_was_asked() {
    let house = first_node();
    let (pat, tom, ada) =
        (house.log_in(PAT).await, house.log_in(TOM).await, house.log_in(ADA).await);
    let before = state(&house, &ada).await;
    let disable = format!("/api/tenants/users/{}/disable", house.user("sam@northwind.test"));

    let held = Held::take(&house).await;
    let first = send(&house, &tom, disable, 1).await;
    let second = send(&house, &pat, format!("{}/suspend", house.relationship(EDGE)), 2).await;
    held.release().await;
    first.await.unwrap().expect(200);
    second.await.unwrap().expect(200);
    let after = state(&house, &ada).await;
    assert_ne!(after, before);
    assert_eq!(after, "suspended");
}
