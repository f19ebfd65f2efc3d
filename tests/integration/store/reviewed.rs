//! What was used of a relationship, read from the audit log, and when somebody wants to look at it again.

use std::sync::Arc;

use procura_store::Store;
use procura_token::{TenantId, Ts};

use super::{
    Empty, on_both,
    world::{self, CUSTOMER, EDGE, NOW, client, customer},
};

/// A token is given out, so many seconds later.
async fn exchange(store: &Store, n: u128, later: i64) {
    let mut exchange = world::exchange(n, &Arc::new(client("cli_portal")));
    exchange.entry.at = NOW.plus_secs(later);
    assert!(store.exchange(exchange).await.unwrap().outcome.is_ok());
}

async fn uses(store: &Store, customer: TenantId) -> Vec<(String, Ts)> {
    let reviews = store.list_reviews(customer).await.unwrap();
    reviews.into_iter().flat_map(|review| review.uses).collect()
}

on_both! {
    async fn the_log_is_read_once_to_its_end_whoever_reads(empty: &Empty) {
        let here = world::world(empty).await;
        let there = empty.open().await;
        let used = |at| vec![("partner.billing.read".to_owned(), NOW.plus_secs(at))];
        exchange(&here, 1, 0).await;
        assert!(uses(&here, CUSTOMER).await.is_empty(), "nobody has read yet");
        let read = async |store: &Store| while !store.read_uses().await.unwrap() {};
        tokio::join!(read(&here), read(&there));
        assert_eq!(uses(&here, CUSTOMER).await, used(0));
        exchange(&there, 2, 10).await;
        read(&there).await;
        read(&here).await;
        assert_eq!(uses(&here, CUSTOMER).await, used(10));
        assert!(uses(&here, customer(2)).await.is_empty());
    }

    async fn who_uses_endless_names_hides_none_behind_them(empty: &Empty) {
        let store = world::world(empty).await;
        world::add_audience(&store, "cli_more", "https://more.example", "a.b.*").await;
        let mut tx = store.begin(NOW).await.unwrap();
        let mut edge = tx.find_relationship(EDGE).await.unwrap().unwrap();
        edge.custom_permissions = Some("a.* partner.billing.read x.*".parse().unwrap());
        tx.update_relationship(&edge).await.unwrap();
        tx.commit().await.unwrap();
        let ask = async |n: u128, scope: String| {
            let mut exchange = world::exchange(n, &Arc::new(client("cli_portal")));
            exchange.wish.scope = Some(scope.parse().unwrap());
            assert!(store.exchange(exchange).await.unwrap().outcome.is_ok());
        };
        let names = |from: u32| (from..from + 40).map(|n| format!("a.b.n{n:03}")).collect::<Vec<_>>();
        for (n, from) in (10..).zip([0, 40, 80]) {
            ask(n, names(from).join(" ")).await;
            while !store.read_uses().await.unwrap() {}
        }
        ask(20, "a.later partner.billing.read x.y".into()).await;
        while !store.read_uses().await.unwrap() {}
        let used: Vec<_> = uses(&store, CUSTOMER).await.into_iter().map(|(name, _)| name).collect();
        let mut expected: Vec<_> = names(0).into_iter().chain(names(40).into_iter().take(10)).collect();
        // What does not fit goes by what is declared, and what nobody declares by what is given.
        for one in ["a.*", "a.b.*", "partner.billing.read", "x.y"] {
            expected.push(one.to_owned());
        }
        expected.sort();
        assert_eq!(used, expected);
    }

    async fn a_date_is_kept_until_there_is_another(empty: &Empty) {
        let store = world::world(empty).await;
        let review = async || store.list_reviews(CUSTOMER).await.unwrap().remove(0);
        let before = review().await;
        assert_eq!((before.relationship.id, before.due_at, before.agreed_at), (EDGE, None, NOW));
        for later in [5, 3] {
            let mut tx = store.begin(NOW).await.unwrap();
            tx.put_review(EDGE, NOW.plus_secs(later)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(review().await.due_at, Some(NOW.plus_secs(later)));
        }
    }
}
