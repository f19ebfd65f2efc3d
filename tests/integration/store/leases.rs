//! The leases of verifiers: what is noted is counted by whoever asks, until it is over.
use std::time::Duration;

use procura_store::{
    Store,
    verifiers::{Holder, Leases, Running},
};
use procura_token::Seq;

use super::{Empty, on_both};

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

on_both! {
    async fn every_node_sees_what_was_acknowledged_to_another(empty: &Empty) {
        let store = empty.open().await;
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
}

on_both! {
    async fn a_lease_that_is_over_is_not_counted(empty: &Empty) {
        let store = empty.open().await;
        Leases::start(&store, Duration::ZERO).note(running("a", "1", 5)).await.unwrap();
        assert_eq!(listed(&store).await, []);
        Leases::start(&store, HOUR).note(running("a", "1", 5)).await.unwrap();
        assert_eq!(listed(&store).await, [row("a", "1", 5)]);
    }
}

on_both! {
    async fn many_at_once_are_all_written(empty: &Empty) {
        let store = empty.open().await;
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
}

on_both! {
    async fn no_lease_is_noted_where_nothing_can_be_written(empty: &Empty) {
        let store = empty.open().await;
        let leases = Leases::start(&store, HOUR);
        store.close().await;
        assert!(leases.note(running("a", "1", 5)).await.is_err());
    }
}

on_both! {
    /// A node that stalled between reading the clock and writing must not take away what another one
    /// granted meanwhile.
    async fn a_lease_is_never_shortened(empty: &Empty) {
        let store = empty.open().await;
        let (late, early) = (Leases::start(&store, Duration::ZERO), Leases::start(&store, HOUR));
        early.note(running("a", "1", 5)).await.unwrap();
        late.note(running("a", "1", 5)).await.unwrap();
        assert_eq!(listed(&store).await, [row("a", "1", 5)]);
        late.note(running("b", "1", 5)).await.unwrap();
        assert_eq!(listed(&store).await, [row("a", "1", 5)], "the twin: its only lease is over");
    }
}
