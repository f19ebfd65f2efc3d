//! Tokens of a day: counted for both tenants in the transaction that gives them out, and no more of them than
//! both quotas allow, however many ask at once.

use std::sync::Arc;

use procura_domain::{
    Quotas, Refusal, Relationship, RelationshipState, quota::UtcDay, relationship::Side,
};
use procura_store::{
    Store, ledger::Exchange, quotas::OwnQuotas, sessions::Session, token_counts::Days,
};
use procura_token::{SessionId, TenantId, Ts};

use super::{
    Empty, on_both,
    world::{self, CUSTOMER, NOW, PARTNER, client, customer, edge, tenant},
};

const DAY_SECS: i64 = 86_400;

/// The wish to act in the `n`th customer's tenant at that time.
fn exchange(n: u128, (target, at): (TenantId, Ts)) -> Exchange {
    let mut exchange = world::exchange(n, &Arc::new(client("cli_portal")));
    exchange.wish.target = Some(target);
    exchange.entry.at = at;
    exchange
}

async fn outcome(store: &Store, exchange: Exchange) -> Result<(), Refusal> {
    store.exchange(exchange).await.unwrap().outcome.map(drop)
}

/// A world with two customers.
async fn world(empty: &Empty) -> Store {
    let store = world::world(empty).await;
    let mut tx = store.begin(NOW).await.unwrap();
    tx.insert_tenant(&tenant(customer(2))).await.unwrap();
    tx.insert_relationship(&edge(2), None).await.unwrap();
    tx.commit().await.unwrap();
    store
}

async fn put(store: &Store, tenant: TenantId, (given, received): (Option<u64>, Option<u64>)) {
    let mut tx = store.begin(NOW).await.unwrap();
    let quotas = Quotas {
        delegated_tokens_per_day: given,
        delegated_tokens_received_per_day: received,
        ..Quotas::default()
    };
    tx.put_quotas(tenant, &OwnQuotas { quotas, version: 1, ..OwnQuotas::default() }).await.unwrap();
    tx.commit().await.unwrap();
}

/// The rows of a side, as (day since now, the other end, tokens).
async fn rows(store: &Store, side: Side, tenant: TenantId) -> Vec<(i64, TenantId, u64)> {
    let today = UtcDay::of(NOW);
    let days = Days { from: today.plus(-500), to: today.plus(5), after: None, limit: 100 };
    let listed = store.list_used((side, tenant), &days).await.unwrap();
    listed.iter().map(|used| (used.day.0 - today.0, used.other(side), used.tokens)).collect()
}

on_both! {
    async fn as_many_tokens_are_given_out_as_the_customers_quota_allows(empty: &Empty) {
        let store = world(empty).await;
        put(&store, CUSTOMER, (None, Some(3))).await;
        for n in 1..=3 {
            assert_eq!(outcome(&store, exchange(n, (CUSTOMER, NOW))).await, Ok(()));
        }
        for n in 4..=6 {
            let refused = outcome(&store, exchange(n, (CUSTOMER, NOW))).await;
            assert_eq!(refused, Err(Refusal::CustomerQuotaUsedUp));
        }
        assert_eq!(outcome(&store, exchange(7, (customer(2), NOW))).await, Ok(()), "elsewhere they go on");
        // What was refused counts for nobody.
        let today = UtcDay::of(NOW);
        assert_eq!(store.count_tokens(CUSTOMER, today).await.unwrap(), (0, 3));
        assert_eq!(store.count_tokens(PARTNER, today).await.unwrap(), (4, 0));
    }
}

on_both! {
    async fn the_partners_quota_holds_for_all_its_customers(empty: &Empty) {
        let store = world(empty).await;
        put(&store, PARTNER, (Some(2), None)).await;
        assert_eq!(outcome(&store, exchange(1, (CUSTOMER, NOW))).await, Ok(()));
        assert_eq!(outcome(&store, exchange(2, (customer(2), NOW))).await, Ok(()));
        for (n, target) in [(3, CUSTOMER), (4, customer(2))] {
            let refused = outcome(&store, exchange(n, (target, NOW))).await;
            assert_eq!(refused, Err(Refusal::PartnerQuotaUsedUp));
        }
        // Whoever may not come in at all does not hear of it.
        let mut tx = store.begin(NOW).await.unwrap();
        let ended = Relationship { state: RelationshipState::Ended, ..edge(2) };
        tx.update_relationship(&ended).await.unwrap();
        tx.commit().await.unwrap();
        let refused = outcome(&store, exchange(5, (customer(2), NOW))).await;
        assert_eq!(refused, Err(Refusal::RelationshipEnded));
        // And where the deployment has a default, a tenant's own number stands above it.
        let with = |n, most| {
            let defaults = Quotas { delegated_tokens_per_day: Some(most), ..Quotas::default() };
            Exchange { quotas: defaults, ..exchange(n, (CUSTOMER, NOW)) }
        };
        assert_eq!(outcome(&store, with(6, 100)).await, Err(Refusal::PartnerQuotaUsedUp));
        put(&store, PARTNER, (None, None)).await;
        assert_eq!(outcome(&store, with(7, 2)).await, Err(Refusal::PartnerQuotaUsedUp));
        assert_eq!(outcome(&store, with(8, 3)).await, Ok(()));
    }
}

on_both! {
    async fn of_many_at_once_at_two_nodes_exactly_as_many_get_a_token_as_the_quota_allows(empty: &Empty) {
        let one = world(empty).await;
        let two = empty.open().await;
        put(&one, CUSTOMER, (None, Some(20))).await;
        put(&one, PARTNER, (Some(30), None)).await;
        let many = (0..96_u128).map(|n| {
            let store = if n % 2 == 0 { one.clone() } else { two.clone() };
            let target = if n % 3 == 0 { customer(2) } else { CUSTOMER };
            tokio::spawn(async move { (target, outcome(&store, exchange(n, (target, NOW))).await) })
        });
        let (mut first, mut second) = (0, 0);
        for one in many.collect::<Vec<_>>() {
            match one.await.unwrap() {
                (CUSTOMER, Ok(())) => first += 1,
                (_, Ok(())) => second += 1,
                (_, Err(refusal)) => assert!(matches!(
                    refusal,
                    Refusal::PartnerQuotaUsedUp | Refusal::CustomerQuotaUsedUp
                )),
            }
        }
        assert_eq!(first + second, 30, "as many as the partner's quota allows");
        assert!(first <= 20, "{first}");
        let today = UtcDay::of(NOW);
        assert_eq!(one.count_tokens(PARTNER, today).await.unwrap(), (30, 0));
        assert_eq!(two.count_tokens(CUSTOMER, today).await.unwrap(), (0, first));
    }
}

on_both! {
    async fn a_day_begins_at_midnight_and_old_days_are_forgotten(empty: &Empty) {
        let store = world(empty).await;
        put(&store, CUSTOMER, (None, Some(1))).await;
        let midnight = UtcDay::of(NOW).ends_at();
        let (evening, morning) = (Ts(midnight.0 - 1), midnight);
        let mut tx = store.begin(NOW).await.unwrap();
        // A login that sees the next day.
        let session = Session {
            id: SessionId::from_bits(5),
            user: world::USER,
            tenant: PARTNER,
            auth_time: NOW,
            started_at: NOW,
            acr: "urn:procura:acr:pwd".into(),
            amr: Vec::new(),
            idp: "local".into(),
            expires_at: NOW.plus_secs(2 * DAY_SECS),
            ended_at: None,
        };
        tx.insert_session(&session, "another cookie").await.unwrap();
        tx.commit().await.unwrap();
        let at = |n, when| Exchange { session: session.id, ..exchange(n, (CUSTOMER, when)) };
        assert_eq!(outcome(&store, at(1, evening)).await, Ok(()));
        let recorded = store.exchange(at(2, evening)).await.unwrap();
        assert_eq!(recorded.outcome.map(drop), Err(Refusal::CustomerQuotaUsedUp));
        assert_eq!(UtcDay::of(recorded.at).ends_at(), midnight);
        assert_eq!(outcome(&store, at(3, morning)).await, Ok(()));
        assert_eq!(outcome(&store, at(4, morning)).await, Err(Refusal::CustomerQuotaUsedUp));

        assert_eq!(rows(&store, Side::Customer, CUSTOMER).await, [(1, PARTNER, 1), (0, PARTNER, 1)]);
        assert_eq!(rows(&store, Side::Partner, PARTNER).await, [(1, CUSTOMER, 1), (0, CUSTOMER, 1)]);
        assert_eq!(rows(&store, Side::Customer, customer(2)).await, []);
        assert_eq!(rows(&store, Side::Partner, CUSTOMER).await, []);
        store.forget_token_counts(NOW.plus_secs(400 * DAY_SECS)).await.unwrap();
        assert_eq!(rows(&store, Side::Customer, CUSTOMER).await.len(), 2, "13 months");
        store.forget_token_counts(NOW.plus_secs(401 * DAY_SECS)).await.unwrap();
        assert_eq!(rows(&store, Side::Customer, CUSTOMER).await, [(1, PARTNER, 1)]);
    }
}

on_both! {
    async fn days_are_read_in_pages_and_each_row_once(empty: &Empty) {
        let store = world(empty).await;
        for n in 1..=5 {
            let target = if n % 2 == 0 { customer(2) } else { CUSTOMER };
            outcome(&store, exchange(n, (target, NOW))).await.unwrap();
        }
        let today = UtcDay::of(NOW);
        let mut days = Days { from: today, to: today, after: None, limit: 1 };
        let mut seen = Vec::new();
        while let [used] = &store.list_used((Side::Partner, PARTNER), &days).await.unwrap()[..] {
            seen.push((used.customer, used.tokens, used.partner_name.clone()));
            days.after = Some((used.day, used.customer));
        }
        let name = Some(PARTNER.to_string());
        assert_eq!(seen, [(CUSTOMER, 3, name.clone()), (customer(2), 2, name)]);
    }
}
