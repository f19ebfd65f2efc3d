//! Requests to be let in, as time passes: the ledger puts each before the customer once, and goes by the
//! customer's answer.

use std::sync::Arc;

use procura_domain::{
    AccessRequest, Refusal, Relationship, RelationshipKind,
    access_request::{Answer, ApprovalTerms, Given},
    relationship::Approval,
};
use procura_store::{Store, clients::Client, sessions::Session};
use procura_token::{AccessRequestId, Purpose, RelationshipId, Ts};

use super::{
    Empty, on_both,
    world::{self, CUSTOMER, EDGE, NOW, SESSION, client},
};

struct World {
    store: Store,
    client: Arc<Client>,
}

/// The customer approves each time.
async fn world(empty: &Empty) -> World {
    let store = world::world(empty).await;
    let mut tx = store.begin(NOW).await.unwrap();
    let mut edge = tx.find_relationship(EDGE).await.unwrap().unwrap();
    edge.approval = Approval::EachTime;
    tx.update_relationship(&edge).await.unwrap();
    tx.commit().await.unwrap();
    World { store, client: Arc::new(client("cli_portal")) }
}

impl World {
    /// The nth exchange, so many seconds later, for this purpose.
    async fn outcome(&self, n: u128, later: i64, purpose: &str) -> Result<Ts, Refusal> {
        let mut exchange = world::exchange(n, &self.client);
        exchange.entry.at = NOW.plus_secs(later);
        exchange.wish.purpose = Some(Purpose { code: purpose.into(), r#ref: None });
        let recorded = self.store.exchange(exchange).await.unwrap();
        recorded.outcome.map(|(mandate, _)| mandate.delegation_ends_at)
    }

    /// The login goes on for so many seconds.
    async fn log_in_until(&self, secs: i64) {
        let mut tx = self.store.begin(NOW).await.unwrap();
        let session = tx.find_session(SESSION).await.unwrap().unwrap();
        let longer = Session { expires_at: NOW.plus_secs(secs), ..session };
        tx.renew_session(&longer, "cookie").await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn requests(&self) -> Vec<AccessRequest> {
        let listed = self.store.list_access_requests(CUSTOMER, None, 100).await.unwrap();
        listed.into_iter().map(|listed| listed.request).collect()
    }

    async fn answer(&self, id: AccessRequestId, later: i64, given: Option<Given>) {
        let mut tx = self.store.begin(NOW.plus_secs(later)).await.unwrap();
        let answer = Answer { at: tx.now(), by: None, given };
        tx.answer_access_request(id, &answer).await.unwrap();
        tx.commit().await.unwrap();
    }
}

on_both! {
    async fn what_nobody_answers_is_refused_and_may_be_asked_again_after_a_while(empty: &Empty) {
        let world = world(empty).await;
        for (n, (later, refusal)) in [
            (0, Refusal::ApprovalRequired),
            (899, Refusal::ApprovalPending),
            (900, Refusal::ApprovalUnanswered),
            (1199, Refusal::ApprovalUnanswered),
            (1200, Refusal::ApprovalRequired),
            (1201, Refusal::ApprovalPending),
        ].into_iter().enumerate() {
            let outcome = world.outcome(n as u128, later, "support").await;
            assert_eq!(outcome, Err(refusal), "after {later} s");
        }
        assert_eq!(world.requests().await.len(), 2);
    }

    async fn a_yes_lasts_as_long_as_the_customer_said(empty: &Empty) {
        let world = world(empty).await;
        assert_eq!(world.outcome(1, 0, "support").await, Err(Refusal::ApprovalRequired));
        let request = world.requests().await.remove(0);
        assert_eq!((request.relationship, request.customer), (EDGE, CUSTOMER));
        let until = NOW.plus_secs(1800);
        let given = Given { scope: request.scope.clone(), until, ended_at: None };
        world.answer(request.id, 10, Some(given)).await;
        assert_eq!(world.requests().await[0].answer.as_ref().unwrap().at, NOW.plus_secs(10));
        assert_eq!(world.outcome(2, 20, "support").await, Ok(until));
        assert_eq!(world.outcome(3, 1799, "support").await, Ok(until));
        assert_eq!(world.outcome(4, 20, "billing").await, Err(Refusal::ApprovalRequired));
        assert_eq!(world.outcome(5, 1800, "support").await, Err(Refusal::ApprovalRequired));
    }

    async fn the_latest_and_longest_yes_there_can_be_lasts_to_its_end(empty: &Empty) {
        let world = world(empty).await;
        assert_eq!(world.outcome(1, 0, "support").await, Err(Refusal::ApprovalRequired));
        let request = world.requests().await.remove(0);
        let answered = AccessRequest::WAITS_SECS - 1;
        let end = answered + ApprovalTerms::MAX_MINUTES * 60;
        let given = Given { scope: request.scope.clone(), until: NOW.plus_secs(end), ended_at: None };
        world.answer(request.id, answered, Some(given)).await;
        world.log_in_until(end + 3600).await;
        assert_eq!(world.outcome(2, end - 1, "support").await, Ok(NOW.plus_secs(end)));
        assert_eq!(world.outcome(3, end, "support").await, Err(Refusal::ApprovalRequired));
    }

    async fn exchanges_of_one_batch_ask_once(empty: &Empty) {
        let world = Arc::new(world(empty).await);
        let asking = (1..=20).map(|n| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.outcome(n, 0, "support").await })
        });
        let mut first = 0;
        for asked in asking.collect::<Vec<_>>() {
            match asked.await.unwrap() {
                Err(Refusal::ApprovalRequired) => first += 1,
                other => assert_eq!(other, Err(Refusal::ApprovalPending)),
            }
        }
        assert_eq!((first, world.requests().await.len()), (1, 1));
    }

    async fn a_full_batch_where_every_pair_has_two_relationships_is_decided(empty: &Empty) {
        let world = world(empty).await;
        let mut tx = world.store.begin(NOW).await.unwrap();
        let trust = Relationship {
            id: RelationshipId::from_bits(2),
            kind: RelationshipKind::Trust,
            approval: Approval::EachTime,
            ..world::edge(1)
        };
        tx.insert_relationship(&trust, None).await.unwrap();
        tx.commit().await.unwrap();
        // All at once, so that the ledger takes them into one transaction.
        let asked = (1..=256).map(|n| world.outcome(n, 0, "support"));
        let outcomes = futures_util::future::join_all(asked).await;
        let asking = outcomes.iter().filter(|o| **o == Err(Refusal::ApprovalRequired)).count();
        let waiting = outcomes.iter().filter(|o| **o == Err(Refusal::ApprovalPending)).count();
        assert_eq!((asking, waiting, world.requests().await.len()), (1, 255, 1));
    }

    async fn nobody_floods_the_customer_with_requests(empty: &Empty) {
        let world = world(empty).await;
        for n in 0..2 * AccessRequest::MAX_COUNTED as u128 {
            let outcome = world.outcome(n, 0, &format!("reason{n}")).await;
            assert_eq!(outcome, Err(Refusal::ApprovalRequired));
        }
        assert_eq!(world.requests().await.len(), AccessRequest::MAX_COUNTED);
        // What was put before the customer waits; it is only not joined by more.
        assert_eq!(world.outcome(99, 1, "reason0").await, Err(Refusal::ApprovalPending));
    }

    async fn old_requests_are_forgotten_and_what_still_runs_is_not(empty: &Empty) {
        let world = world(empty).await;
        assert!(world.outcome(1, 0, "support").await.is_err());
        assert!(world.outcome(2, 1, "billing").await.is_err());
        let requests = world.requests().await;
        let given = Given { scope: requests[0].scope.clone(), until: NOW.plus_secs(43_200), ended_at: None };
        world.answer(requests[0].id, 10, Some(given)).await;
        let kept = AccessRequest::KEPT_SECS;
        world.store.forget_access_requests(NOW.plus_secs(kept)).await.unwrap();
        assert_eq!(world.requests().await.len(), 2);
        world.store.forget_access_requests(NOW.plus_secs(901 + kept)).await.unwrap();
        assert_eq!(world.requests().await.iter().map(|r| r.id).collect::<Vec<_>>(), [requests[0].id]);
        world.store.forget_access_requests(NOW.plus_secs(43_200 + kept)).await.unwrap();
        assert!(world.requests().await.is_empty());
    }
}
