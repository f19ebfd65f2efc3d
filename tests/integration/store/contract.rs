//! The contract of the store, as sentences.
use std::{collections::BTreeSet, sync::Arc};

use procura_domain::{Access, Refusal, Relationship, RelationshipState};
use procura_store::{
    Error, Store,
    audit::{Entry, Filter, genesis},
    clients::Client,
    codes::Code,
    ledger::Exchange,
};
use procura_token::{AuditId, DelegationId, Key, RelationshipId, Seq};

use super::{
    Empty, on_both,
    world::{self, CUSTOMER, EDGE, NOW, PARTNER, SESSION, USER, client, edge, portal},
};

/// An open store with something in it.
struct World {
    store: Store,
    client: Arc<Client>,
}

async fn world(empty: &Empty) -> World {
    World { store: world::world(empty).await, client: Arc::new(client("cli_portal")) }
}

impl World {
    fn exchange(&self, n: u128) -> Exchange {
        world::exchange(n, &self.client)
    }

    async fn outcome(&self, exchange: Exchange) -> Result<DelegationId, Refusal> {
        let recorded = self.store.exchange(exchange).await.unwrap();
        recorded.outcome.map(|(_, delegation)| delegation)
    }

    async fn assert_chain_is_whole(&self) -> i64 {
        let (mut seq, mut tail) = (0, genesis());
        for chained in self.store.read_audit(0, i64::MAX).await.unwrap() {
            assert_eq!((chained.seq, &chained.prev_hash), (seq + 1, &tail.to_string()));
            tail = chained.entry.hash(chained.seq, tail);
            assert_eq!(chained.hash, tail.to_string());
            seq = chained.seq;
        }
        assert_eq!(self.store.audit_tail().await.unwrap(), (seq, tail));
        seq
    }
}

on_both! {
    async fn an_exchange_is_decided_and_recorded_with_its_delegation(empty: &Empty) {
        let world = world(empty).await;
        let recorded = world.store.exchange(world.exchange(1)).await.unwrap();
        let (mandate, delegation) = recorded.outcome.unwrap();
        assert_eq!((mandate.tenant, mandate.relationship), (CUSTOMER, EDGE));
        let issue = world.store.find_issue("jti-1").await.unwrap().unwrap();
        assert_eq!((issue.delegation_id, issue.target_tenant_id), (Some(delegation), Some(CUSTOMER)));
        let running = world.store.find_delegation(CUSTOMER, delegation).await.unwrap().unwrap();
        assert_eq!((running.user, running.ended_at), (USER, None));
        assert!(world.store.find_delegation(PARTNER, delegation).await.unwrap().is_none());
    }
}

on_both! {
    async fn a_running_delegation_is_reused_and_an_ended_one_is_not(empty: &Empty) {
        let world = Arc::new(world(empty).await);
        let many = (1..=32).map(|n| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.outcome(world.exchange(n)).await.unwrap() })
        });
        let mut delegations = BTreeSet::new();
        for one in many.collect::<Vec<_>>() {
            delegations.insert(one.await.unwrap());
        }
        assert_eq!(delegations.len(), 1, "one session, relationship and client: one delegation");
        let mut tx = world.store.begin(NOW).await.unwrap();
        assert_eq!(tx.end_delegations_under(EDGE).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let next = world.outcome(world.exchange(99)).await.unwrap();
        assert!(!delegations.contains(&next));
        world.assert_chain_is_whole().await;
    }
}

on_both! {
    async fn what_changed_since_the_request_came_is_seen_in_the_transaction(empty: &Empty) {
        let world = world(empty).await;
        let id = portal();
        let mut tx = world.store.begin(NOW).await.unwrap();
        tx.update_client_status(&id, true, false).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(world.outcome(world.exchange(1)).await, Err(Refusal::ClientUnusable));
        let mut exchange = world.exchange(2);
        exchange.client = Arc::new(world.store.find_client(&id).await.unwrap().unwrap());
        assert!(world.outcome(exchange).await.is_ok(), "the honest twin");

        let mut tx = world.store.begin(NOW).await.unwrap();
        tx.revoke(&Key::Session(SESSION), "test");
        let head = tx.commit().await.unwrap().head;
        let mut exchange = world.exchange(3);
        exchange.client = Arc::new(world.store.find_client(&id).await.unwrap().unwrap());
        assert_eq!(world.outcome(exchange).await, Err(Refusal::SubjectRevoked));
        let mut exchange = world.exchange(4);
        exchange.client = Arc::new(world.store.find_client(&id).await.unwrap().unwrap());
        exchange.subject_rvs = head;
        let recorded = world.store.exchange(exchange).await.unwrap();
        assert!(recorded.outcome.is_ok(), "a token from after the revocation lives");
        assert_eq!(recorded.rvs, head, "and what comes of it carries the head");
        let refused = Filter { action: Some("token.exchange".into()), ..Filter::default() };
        let reasons: Vec<_> = world.store.list_audit(&refused).await.unwrap();
        let reasons: Vec<_> = reasons.iter().filter_map(|l| l.chained.entry.reason.clone()).collect();
        assert_eq!(reasons, ["subject_token_revoked", "client_unusable"]);
    }
}

on_both! {
    async fn the_chain_and_the_log_stay_whole_under_parallel_writers(empty: &Empty) {
        let world = Arc::new(world(empty).await);
        let follower = {
            let (log, mut head) =
                (Arc::clone(world.store.revocations()), world.store.revocations().follow());
            tokio::spawn(async move {
                let (mut at, mut seen) = (Seq(0), 0);
                while seen < 64 {
                    head.changed().await.unwrap();
                    for entry in log.after(at).expect("no position is ever lost") {
                        assert_eq!(entry.prev, at, "no gap");
                        at = entry.seq;
                        seen += 1;
                    }
                }
            })
        };
        let writers = (0..64_u128).map(|n| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                world.outcome(world.exchange(n)).await.unwrap();
                let entry = Entry::new(AuditId::from_bits(1000 + n), NOW, "login", "ok");
                world.store.record(entry).await.unwrap();
                let mut tx = world.store.begin(NOW).await.unwrap();
                tx.revoke(&Key::Delegation(DelegationId::from_bits(n)), "test");
                tx.audit(Entry::new(AuditId::from_bits(2000 + n), NOW, "test", "ok"));
                tx.commit().await.unwrap();
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        follower.await.unwrap();
        assert_eq!(world.assert_chain_is_whole().await, 3 * 64);
        let snapshot = world.store.revocations().snapshot();
        assert_eq!(snapshot.entries.len(), 64);
        assert_eq!(snapshot.head, world.store.revocation_head().await.unwrap());
    }
}

on_both! {
    async fn a_node_that_is_behind_lets_its_own_revocation_out_at_once(empty: &Empty) {
        let (ahead, behind) = (world::world(empty).await, empty.open().await);
        for store in [&ahead, &behind] {
            let mut tx = store.begin(NOW).await.unwrap();
            tx.revoke(&Key::Session(SESSION), "test");
            let head = tx.commit().await.unwrap().head;
            assert_eq!(store.revocations().head(), head, "it does not wait for the next heartbeat");
        }
        let all = behind.revocations().after(Seq(0)).map(|entries| entries.len());
        assert_eq!(all, Some(2), "and it leaves nothing out");
    }
}

on_both! {
    async fn a_transaction_that_is_dropped_leaves_nothing(empty: &Empty) {
        let world = world(empty).await;
        let mut tx = world.store.begin(NOW).await.unwrap();
        tx.update_partner_access(CUSTOMER, Access::Off).await.unwrap();
        tx.revoke(&Key::All, "test");
        tx.audit(Entry::new(AuditId::from_bits(9), NOW, "test", "ok"));
        drop(tx);
        let tenant = world.store.find_tenant(CUSTOMER).await.unwrap().unwrap();
        assert_eq!(tenant.partner_access, Access::On);
        assert_eq!(world.store.revocation_head().await.unwrap(), Seq(0));
        assert_eq!(world.assert_chain_is_whole().await, 0);
    }
}

on_both! {
    async fn a_code_is_redeemed_once_by_64_at_the_same_time(empty: &Empty) {
        let world = Arc::new(world(empty).await);
        let mut tx = world.store.begin(NOW).await.unwrap();
        let code = Code {
            session: SESSION,
            client: portal(),
            grant_json: "{}".into(),
            expires_at: NOW.plus_secs(60),
            used_at: None,
            jti: None,
        };
        tx.insert_code("hash", &code).await.unwrap();
        tx.commit().await.unwrap();
        let many = (0..64).map(|n| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut tx = world.store.begin(NOW).await.unwrap();
                let is_first = tx.redeem_code("hash", &format!("jti {n}")).await.unwrap();
                tx.commit().await.unwrap();
                usize::from(is_first)
            })
        });
        let mut winners = 0;
        for one in many.collect::<Vec<_>>() {
            winners += one.await.unwrap();
        }
        assert_eq!(winners, 1);
    }
}

on_both! {
    async fn at_most_one_relationship_is_live_between_two_tenants(empty: &Empty) {
        let world = Arc::new(world(empty).await);
        let insert = |n: u128| {
            let world = Arc::clone(&world);
            async move {
                let mut tx = world.store.begin(NOW).await.unwrap();
                tx.insert_relationship(&Relationship { id: RelationshipId::from_bits(n), ..edge(1) }, None).await?;
                tx.commit().await.map(|_| ())
            }
        };
        assert_eq!(insert(50).await, Err(Error::Conflict));
        let mut tx = world.store.begin(NOW).await.unwrap();
        let ended = Relationship { state: RelationshipState::Ended, ..edge(1) };
        let ended = tx.update_relationship(&ended).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = world.store.begin(NOW).await.unwrap();
        assert_eq!(tx.update_relationship(&edge(1)).await, Err(Error::Conflict), "a stale version");
        drop(tx);
        assert_eq!(ended.version, 2);
        let many: Vec<_> = (51..83).map(|n| tokio::spawn(insert(n))).collect();
        let mut made = 0;
        for one in many {
            made += usize::from(one.await.unwrap().is_ok());
        }
        assert_eq!(made, 1, "a new one took the place of the ended one, once");
    }
}

on_both! {
    async fn the_head_survives_a_restart_and_forgetting_leaves_the_chain_usable(empty: &Empty) {
        let world = world(empty).await;
        let mut tx = world.store.begin(NOW).await.unwrap();
        tx.revoke(&Key::Relationship(EDGE), "test");
        tx.revoke(&Key::Tenant(CUSTOMER), "test");
        let head = tx.commit().await.unwrap().head;
        world.store.close().await;

        let store = empty.open().await;
        assert_eq!(store.revocation_head().await.unwrap(), head);
        assert!(store.revocations().is_dead(&[Key::Relationship(EDGE).hash()], Seq(0)));
        assert!(!store.revocations().is_dead(&[Key::Relationship(EDGE).hash()], head));
        assert_eq!(store.revocations().after(Seq(0)).map(|new| new.len()), Some(2));
        assert_eq!(store.revocations().after(Seq(7)), None, "nobody ever stood there");

        store.forget_revocations(NOW.plus_secs(3600)).await.unwrap();
        assert_eq!(store.revocations().after(Seq(0)), None, "too long ago: read the snapshot");
        assert_eq!(store.revocations().after(head), Some(Vec::new()));
        let mut tx = store.begin(NOW).await.unwrap();
        tx.revoke(&Key::All, "test");
        let next = tx.commit().await.unwrap().head;
        assert!(next > head, "the log never goes back, whatever the clock says");
        assert_eq!(store.revocations().after(head).map(|new| new.len()), Some(1));
        store.close().await;
    }
}
