//! Nodes and databases that die in the middle of things.

use std::collections::BTreeSet;

use procura_tests::{House, HouseOptions, Person, Postgres, claims, eventually};
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinSet;

use super::{ADA, PAT, READ_BILLING, ROOT};

/// Exchanges in eight tasks until the node is gone: the ids of the tokens that were seen.
async fn exchange_until_the_end(pat: &Person, has_begun: &tokio::sync::Notify) -> BTreeSet<String> {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let pat = pat.clone();
        tasks.spawn(async move {
            let mut seen = Vec::new();
            while let Some(answer) = pat.try_exchange("acme-corp", READ_BILLING).await {
                if answer.status != 200 {
                    break;
                }
                let jti = claims(&answer.string("access_token"))["jti"].clone();
                seen.push(jti.as_str().unwrap().to_owned());
            }
            seen
        });
    }
    has_begun.notify_one();
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn issued(database: &str) -> BTreeSet<String> {
    let mut connection = PgConnection::connect(database).await.unwrap();
    let mut open = connection.begin().await.unwrap();
    sqlx::query("SELECT set_config('procura.tenant', '*', true)")
        .execute(&mut *open)
        .await
        .unwrap();
    let rows =
        sqlx::query("SELECT jti FROM audit WHERE action = 'token.exchange' AND result = 'ok'");
    rows.fetch_all(&mut *open).await.unwrap().iter().map(|row| row.get("jti")).collect()
}

#[tokio::test]
async fn a_node_that_dies_in_the_middle_leaves_no_token_without_its_audit_entry() {
    let database = Postgres::shared().database();
    let one = House::start_with(HouseOptions {
        database: Some(database.clone()),
        ..HouseOptions::default()
    });
    let pat = one.log_in(PAT).await;
    for _ in 0..3 {
        let mut two = one.another_node();
        let enough = issued(&database).await.len() + 40;
        let pat = pat.at(&two);
        let has_begun = tokio::sync::Notify::new();
        let kill = async {
            has_begun.notified().await;
            // When it is well under way.
            let many = async || (issued(&database).await.len() > enough).then_some(());
            eventually("tokens are issued", many).await;
            two.kill();
        };
        let (seen, ()) = tokio::join!(exchange_until_the_end(&pat, &has_begun), kill);
        assert!(!seen.is_empty());
        let recorded = issued(&database).await;
        assert_eq!(seen.difference(&recorded).count(), 0, "every token that was seen is recorded");
        // The other node goes on, and the chain is whole.
        one.log_in(ROOT).await.get("/api/audit-logs").await.expect(200);
        pat.at(&one).switch("acme-corp", READ_BILLING).await;
    }
}

#[tokio::test]
async fn when_postgres_loses_its_power_nothing_acknowledged_is_lost_and_issuing_goes_on() {
    let mut postgres = Postgres::start();
    let database = postgres.database();
    let house = House::start_with(HouseOptions {
        database: Some(database.clone()),
        ..HouseOptions::default()
    });
    let (pat, ada) = (house.log_in(PAT).await, house.log_in(ADA).await);
    let before = pat.switch("acme-corp", READ_BILLING).await;
    ada.put("/api/tenants/partner-access", &json!({ "mode": "off" })).await.expect(200);
    postgres.restart();
    // The switch was acknowledged: it stands. Every answer until then is a refusal or "try later".
    let back = async || {
        let answer = pat.exchange("acme-corp", READ_BILLING).await;
        assert!(matches!(answer.status, 400 | 503), "{answer:?}");
        (answer.status == 400).then_some(())
    };
    eventually("the node answers again", back).await;
    assert!(!house.is_alive(&before).await);
    ada.put("/api/tenants/partner-access", &json!({ "mode": "on" })).await.expect(200);
    let after = pat.switch("acme-corp", READ_BILLING).await;
    let jti = claims(&after)["jti"].as_str().unwrap().to_owned();
    assert!(issued(&database).await.contains(&jti));
}

#[tokio::test]
async fn a_change_of_a_relationship_that_was_acknowledged_outlives_its_node() {
    let one = House::start_with(HouseOptions {
        database: Some(Postgres::shared().database()),
        is_restarted: true,
        ..HouseOptions::default()
    });
    let mut two = one.another_node();
    let (pat, ada) = (one.log_in(PAT).await, one.log_in(ADA).await);
    let token = pat.switch("acme-corp", READ_BILLING).await;
    let edge = one.relationship("northwind>acme-corp");
    for (step, state, issues) in [("suspend", "suspended", 400), ("resume", "active", 200)] {
        ada.at(&two).step(&format!("{edge}/{step}")).await.expect(200);
        two.kill();
        assert_eq!(ada.get(&edge).await.expect(200).string("state"), state);
        pat.exchange("acme-corp", READ_BILLING).await.expect(issues);
        assert!(!one.is_alive(&token).await, "what it took away stays away");
        two.start_again();
        assert_eq!(ada.at(&two).get(&edge).await.expect(200).string("state"), state);
        pat.at(&two).exchange("acme-corp", READ_BILLING).await.expect(issues);
        assert!(!two.is_alive(&token).await);
    }
}
