//! Corners of the store: strange texts, one-time values, hints for menus, a
//! delegation whose end moves, one unreadable row.
use std::sync::Arc;

use procura_domain::{
    Access, Relationship, RelationshipKind, RelationshipState, TenantStatus,
    relationship::Conditions,
};
use procura_store::{
    Error, Store,
    audit::Entry,
    ledger::Exchange,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{AuditId, RelationshipId, UserId};
use proptest::prelude::*;

use super::{
    Empty, on_both,
    world::{
        self, AUDIENCE, NOW, PARTNER, USER, add_audience, client, customer, edge, tenant, world,
    },
};

const KINDS: &[RelationshipKind] = &[RelationshipKind::Manages, RelationshipKind::Trust];

fn user(id: UserId, status: UserStatus) -> User {
    User { status, ..world::user(id, PARTNER) }
}

fn exchange(n: u128, audience: &str) -> Exchange {
    let client = Arc::new(client("cli_portal"));
    Exchange { audience: audience.into(), ..world::exchange(n, &client) }
}

on_both! {
    async fn a_delegation_keeps_its_id_when_its_end_moves(empty: &Empty) {
        let store = world(empty).await;
        let (_, first) = store.exchange(exchange(1, AUDIENCE)).await.unwrap().outcome.unwrap();
        let mut tx = store.begin(NOW).await.unwrap();
        let end = NOW.plus_secs(60);
        let sooner = Relationship { ends_at: Some(end), ..edge(1) };
        tx.update_relationship(&sooner).await.unwrap();
        tx.commit().await.unwrap();
        let (mandate, second) = store.exchange(exchange(2, AUDIENCE)).await.unwrap().outcome.unwrap();
        assert_eq!((second, mandate.delegation_ends_at), (first, end));
        let kept = store.find_delegation(customer(1), first).await.unwrap().unwrap();
        assert_eq!((kept.ends_at, kept.ended_at), (end, None));
    }
}

on_both! {
    async fn one_unreadable_row_fails_its_own_exchange_and_no_other(empty: &Empty) {
        let store = world(empty).await;
        add_audience(&store, "cli_bad", "bad", "NOT A PERMISSION").await;
        let both = [
            tokio::spawn({
                let store = store.clone();
                async move { store.exchange(exchange(1, "bad")).await }
            }),
            tokio::spawn({
                let store = store.clone();
                async move { store.exchange(exchange(2, AUDIENCE)).await }
            }),
        ];
        let [bad, good] = both;
        assert_eq!(bad.await.unwrap().err(), Some(Error::Unavailable));
        assert!(good.await.unwrap().unwrap().outcome.is_ok());
        assert_eq!(store.audit_tail().await.unwrap().0, 1, "what was not decided is not recorded");
    }
}

on_both! {
    async fn a_menu_lists_what_can_be_entered_now_and_nothing_else(empty: &Empty) {
        let store = world(empty).await;
        let off = |n| Tenant { partner_access: Access::Off, ..tenant(customer(n)) };
        let suspended = |n| Tenant { status: TenantStatus::Suspended, ..tenant(customer(n)) };
        let assigned = |to| Conditions { assigned_to: Some(vec![to]), ..Conditions::default() };
        let cases = [
            (tenant(customer(2)), Relationship { access: Access::Restricted, ..edge(2) }),
            (tenant(customer(3)), Relationship { access: Access::Off, ..edge(3) }),
            (off(4), edge(4)),
            (suspended(5), edge(5)),
            (tenant(customer(6)), Relationship { state: RelationshipState::Suspended, ..edge(6) }),
            (tenant(customer(7)), Relationship { starts_at: Some(NOW.plus_secs(1)), ..edge(7) }),
            (tenant(customer(8)), Relationship { ends_at: Some(NOW), ..edge(8) }),
            (tenant(customer(9)), Relationship { conditions: assigned(USER), ..edge(9) }),
            (
                tenant(customer(10)),
                Relationship { conditions: assigned(UserId::from_bits(99)), ..edge(10) },
            ),
            (tenant(customer(11)), Relationship { kind: RelationshipKind::Trust, ..edge(11) }),
        ];
        let mut tx = store.begin(NOW).await.unwrap();
        for (tenant, edge) in &cases {
            tx.insert_tenant(tenant).await.unwrap();
            tx.insert_relationship(edge, None).await.unwrap();
        }
        let second = Relationship {
            id: RelationshipId::from_bits(21),
            kind: RelationshipKind::Trust,
            ..edge(1)
        };
        tx.insert_relationship(&second, None).await.unwrap();
        let of = |ns: &[u128]| ns.iter().copied().map(customer).collect::<Vec<_>>();
        let all = tx.list_enterable(PARTNER, USER, KINDS).await.unwrap();
        assert_eq!(all, of(&[1, 2, 9, 11]), "each once, also under an edge of each kind");
        let managed = tx.list_enterable(PARTNER, USER, &KINDS[..1]).await.unwrap();
        assert_eq!(managed, of(&[1, 2, 9]));
        assert_eq!(tx.list_enterable(PARTNER, USER, &[]).await.unwrap(), []);
        assert_eq!(tx.list_enterable(customer(1), USER, KINDS).await.unwrap(), [], "one way only");
    }
}

on_both! {
    async fn an_invitation_is_good_once_and_not_for_ever(empty: &Empty) {
        let store = world(empty).await;
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_invitation("once", USER, NOW.plus_secs(60)).await.unwrap();
        tx.insert_invitation("late", USER, NOW).await.unwrap();
        tx.commit().await.unwrap();
        let many = (0..32).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin(NOW).await.unwrap();
                let who = tx.redeem_invitation("once").await.unwrap();
                tx.commit().await.unwrap();
                who
            })
        });
        let mut winners = Vec::new();
        for one in many.collect::<Vec<_>>() {
            winners.extend(one.await.unwrap());
        }
        assert_eq!(winners, [USER]);
        let mut tx = store.begin(NOW).await.unwrap();
        assert_eq!(tx.redeem_invitation("late").await.unwrap(), None);
        assert_eq!(tx.redeem_invitation("never").await.unwrap(), None);
    }
}

on_both! {
    async fn a_password_lets_an_invited_person_in_and_no_disabled_one(empty: &Empty) {
        let store = world(empty).await;
        let (invited, disabled) = (UserId::from_bits(31), UserId::from_bits(32));
        let mut tx = store.begin(NOW).await.unwrap();
        tx.insert_user(&user(invited, UserStatus::Invited)).await.unwrap();
        tx.insert_user(&user(disabled, UserStatus::Disabled)).await.unwrap();
        for id in [invited, disabled] {
            tx.update_password(PARTNER, id, "hash").await.unwrap();
            tx.update_password(customer(1), id, "of another tenant").await.unwrap();
        }
        let now = async |tx: &mut procura_store::Tx, id| {
            let user = tx.find_user(PARTNER, id).await.unwrap().unwrap();
            (user.status, user.password_hash)
        };
        assert_eq!(now(&mut tx, invited).await, (UserStatus::Active, Some("hash".to_owned())));
        assert_eq!(now(&mut tx, disabled).await, (UserStatus::Disabled, None));
    }
}

/// Any letter that a client can send may stand in an entry: quotes, brackets, emoji. What comes back
/// must be what was hashed, or one request could break the chain for ever. NUL, which Postgres cannot
/// keep, is replaced before that.
async fn no_text_breaks_the_chain(store: &Store, texts: &[String]) {
    let (before, mut tail) = store.audit_tail().await.unwrap();
    for (n, text) in texts.iter().enumerate() {
        let entry = Entry {
            reason: Some(text.clone()),
            resource_id: Some(text.clone()),
            purpose: Some(text.clone()),
            details: Some(text.clone()),
            ..Entry::new(AuditId::from_bits(n as u128), NOW, text, text)
        };
        store.record(entry).await.unwrap();
    }
    let all = store.read_audit(before, i64::MAX).await.unwrap();
    assert_eq!(all.len(), texts.len());
    for (chained, text) in all.iter().zip(texts) {
        assert_eq!(chained.entry.resource_id, Some(text.replace('\0', "\u{fffd}")));
        tail = chained.entry.hash(chained.seq, tail);
        assert_eq!(chained.hash, tail.to_string());
    }
}

fn texts_on(empty: &Empty) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(empty.open());
    let text = prop_oneof![
        any::<String>(),
        Just("\0".into()),
        Just("a\0b".into()),
        Just("1e9".into()),
        Just("\"\\u0000".into()),
        Just("null".into()),
        Just("[1]".into()),
        Just(String::new())
    ];
    proptest!(ProptestConfig::with_cases(64), |(texts in prop::collection::vec(text, 1..8))| {
        runtime.block_on(no_text_breaks_the_chain(&store, &texts));
    });
}

#[test]
fn no_text_breaks_the_chain_on_sqlite() {
    texts_on(&Empty::sqlite());
}

#[test]
fn no_text_breaks_the_chain_on_postgres() {
    texts_on(&Empty::postgres());
}

on_both! {
    async fn a_person_has_changed_when_others_can_see_it(empty: &Empty) {
        let store = world(empty).await;
        let changed_at = async || store.find_user(PARTNER, USER).await.unwrap().unwrap().changed_at;
        assert_eq!(changed_at().await, NOW);
        let mut before = store.find_user(PARTNER, USER).await.unwrap().unwrap();
        before.roles.clear();
        for (name, secs, expected) in [("Patricia", 10, NOW.plus_secs(10)), ("Patricia", 20, NOW.plus_secs(10))] {
            let mut tx = store.begin(NOW.plus_secs(secs)).await.unwrap();
            name.clone_into(&mut before.name);
            tx.update_user(&before).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(changed_at().await, expected);
        }
    }
}
