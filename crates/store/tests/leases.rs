//! The leases of verifiers: what is noted is counted by whoever asks, until it is over.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::time::Duration;

use procura_store::{
    Location, Store,
    verifiers::{Holder, Leases, Running},
};
use procura_token::Seq;

const HOUR: Duration = Duration::from_hours(1);

fn running(name: &str, incarnation: &str, applied: i64) -> Running {
    let holder = Holder {
        client: "cli_isp".parse().unwrap(),
        name: name.to_owned(),
        incarnation: incarnation.to_owned(),
    };
    Running { holder, applied: Seq(applied) }
}

async fn listed(store: &Store) -> Vec<(String, String, i64)> {
    let mut listed: Vec<_> = store
        .list_leases()
        .await
        .unwrap()
        .into_iter()
        .map(|r| (r.holder.name, r.holder.incarnation, r.applied.0))
        .collect();
    listed.sort();
    listed
}

fn row(name: &str, incarnation: &str, applied: i64) -> (String, String, i64) {
    (name.to_owned(), incarnation.to_owned(), applied)
}

#[tokio::test]
async fn every_node_sees_what_was_acknowledged_to_another() {
    let store = Store::open(Location::Memory).await.unwrap();
    // Two nodes on one database.
    let (here, there) = (Leases::start(&store, HOUR), Leases::start(&store, HOUR));
    here.note(running("a", "1", 5)).await.unwrap();
    there.note(running("b", "1", 7)).await.unwrap();
    there.note(running("a", "1", 9)).await.unwrap();
    here.note(running("a", "1", 8)).await.unwrap();
    // A restart is another verifier.
    here.note(running("a", "2", 1)).await.unwrap();
    assert_eq!(listed(&store).await, [row("a", "1", 9), row("a", "2", 1), row("b", "1", 7)]);
}

#[tokio::test]
async fn a_lease_that_is_over_is_not_counted() {
    let store = Store::open(Location::Memory).await.unwrap();
    Leases::start(&store, Duration::ZERO).note(running("a", "1", 5)).await.unwrap();
    assert_eq!(listed(&store).await, []);
    Leases::start(&store, HOUR).note(running("a", "1", 5)).await.unwrap();
    assert_eq!(listed(&store).await, [row("a", "1", 5)]);
}

#[tokio::test]
async fn many_at_once_are_all_written() {
    let store = Store::open(Location::Memory).await.unwrap();
    let leases = Leases::start(&store, HOUR);
    let names: Vec<_> = (0..300).map(|n| format!("v{:03}", n % 150)).collect();
    let noting = names.iter().zip(0..).map(|(name, n)| leases.note(running(name, "1", n)));
    for noted in futures_util::future::join_all(noting).await {
        noted.unwrap();
    }
    let listed = listed(&store).await;
    assert_eq!(listed.len(), 150);
    assert!(listed.iter().all(|(_, _, applied)| *applied >= 150), "the furthest counts");
}

#[tokio::test]
async fn no_lease_is_noted_where_nothing_can_be_written() {
    let store = Store::open(Location::Memory).await.unwrap();
    let leases = Leases::start(&store, HOUR);
    store.close().await;
    assert!(leases.note(running("a", "1", 5)).await.is_err());
}
