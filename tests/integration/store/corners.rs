//! Corners of the store: strange texts, one-time values, hints for menus, a
//! delegation whose end moves, one unreadable row.
use std::{collections::BTreeSet, sync::Arc};

use procura_domain::{
    Access, Limits, Permissions, Relationship, RelationshipKind, RelationshipRole,
    RelationshipState, TenantStatus, UserRole, Wish,
    relationship::{Approval, Conditions, Origin},
};
use procura_store::{
    Error, Store,
    audit::Entry,
    clients::{Client, ResourceServer},
    ledger::Exchange,
    sessions::Session,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{
    AuditId, DelegationId, Key, RelationshipId, Scope, Seq, SessionId, TenantId, Ts, UserId,
};
use proptest::prelude::*;

use super::{Empty, on_both};

const NOW: Ts = Ts::from_secs(1_800_000_000);
const PARTNER: TenantId = TenantId::from_bits(1);
const USER: UserId = UserId::from_bits(3);
const SESSION: SessionId = SessionId::from_bits(4);
const KINDS: &[RelationshipKind] = &[RelationshipKind::Manages, RelationshipKind::Trust];

fn customer(n: u128) -> TenantId {
    TenantId::from_bits(100 + n)
}

fn tenant(id: TenantId) -> Tenant {
    Tenant {
        id,
        slug: id.to_string(),
        name: id.to_string(),
        status: TenantStatus::Active,
        plan: "standard".into(),
        partner_access: Access::On,
        partner_code: format!("code of {id}"),
        created_at: NOW,
    }
}

fn edge(n: u128) -> Relationship {
    Relationship {
        id: RelationshipId::from_bits(n),
        partner: PARTNER,
        customer: customer(n),
        kind: RelationshipKind::Manages,
        origin: Origin::Granted,
        role: RelationshipRole::MspFull,
        custom_permissions: None,
        state: RelationshipState::Active,
        suspended_by: None,
        starts_at: None,
        ends_at: None,
        access: Access::On,
        approval: Approval::Standing,
        conditions: Conditions::default(),
        version: 1,
    }
}

fn client() -> Client {
    Client {
        id: "cli_portal".parse().unwrap(),
        tenant: PARTNER,
        name: "Portal".into(),
        secret_hash: None,
        is_enabled: true,
        version: 1,
        redirect_uris: Vec::new(),
        grant_types: BTreeSet::new(),
        scope: Scope::default(),
        permissions: Permissions::everything(),
        audiences: vec!["good".into(), "bad".into()],
        default_audience: None,
        exchange_for: Vec::new(),
        created_at: NOW,
    }
}

fn user(id: UserId, status: UserStatus) -> User {
    User {
        id,
        tenant: PARTNER,
        email: format!("{id}@northwind.test"),
        name: "Pat".into(),
        roles: vec![UserRole::PartnerAdmin],
        status,
        password_hash: None,
        ends_at: None,
        created_at: NOW,
    }
}

/// A partner with a user who is logged in, a client, and one customer.
async fn store(empty: &Empty) -> Store {
    let store = empty.open().await;
    let mut tx = store.begin(NOW).await.unwrap();
    tx.insert_tenant(&tenant(PARTNER)).await.unwrap();
    tx.insert_tenant(&tenant(customer(1))).await.unwrap();
    tx.insert_user(&user(USER, UserStatus::Active)).await.unwrap();
    let session = Session {
        id: SESSION,
        user: USER,
        tenant: PARTNER,
        auth_time: NOW,
        acr: "urn:procura:acr:pwd".into(),
        amr: vec!["pwd".into()],
        idp: "local".into(),
        expires_at: NOW.plus_secs(3600),
        ended_at: None,
    };
    tx.insert_session(&session, "cookie").await.unwrap();
    tx.insert_client(&client()).await.unwrap();
    tx.insert_relationship(&edge(1), None).await.unwrap();
    tx.commit().await.unwrap();
    store
}

async fn add_audience(store: &Store, audience: &str, permissions: &str) {
    let mut tx = store.begin(NOW).await.unwrap();
    let id = format!("cli_{audience}");
    tx.insert_client(&Client { id: id.parse().unwrap(), ..client() }).await.unwrap();
    let server = ResourceServer {
        audience: audience.into(),
        client: id.parse().unwrap(),
        accepts_delegated: true,
        permissions: [permissions].into_iter().collect(),
    };
    tx.insert_resource_server(&server).await.unwrap();
    tx.commit().await.unwrap();
}

fn exchange(n: u128, audience: &str) -> Exchange {
    Exchange {
        wish: Wish {
            user: USER,
            home: PARTNER,
            target: Some(customer(1)),
            may_switch: true,
            scope: Some("partner.billing.read".parse().unwrap()),
            purpose: None,
            acr: None,
            auth_time: Some(NOW),
            idp: None,
        },
        target_slug: None,
        client: Arc::new(client()),
        audience: audience.into(),
        session: SESSION,
        subject_keys: vec![Key::Session(SESSION).hash()],
        subject_rvs: Seq(0),
        limits: Limits { ttl_secs: 300 },
        new_delegation: DelegationId::from_bits(n),
        entry: Entry::new(AuditId::from_bits(n), NOW, "token.exchange", "pending"),
    }
}

on_both! {
    async fn a_delegation_keeps_its_id_when_its_end_moves(empty: &Empty) {
        let store = store(empty).await;
        add_audience(&store, "good", "*").await;
        let (_, first) = store.exchange(exchange(1, "good")).await.unwrap().outcome.unwrap();
        let mut tx = store.begin(NOW).await.unwrap();
        let end = NOW.plus_secs(60);
        let sooner = Relationship { ends_at: Some(end), ..edge(1) };
        tx.update_relationship(&sooner).await.unwrap();
        tx.commit().await.unwrap();
        let (mandate, second) = store.exchange(exchange(2, "good")).await.unwrap().outcome.unwrap();
        assert_eq!((second, mandate.delegation_ends_at), (first, end));
        let kept = store.find_delegation(customer(1), first).await.unwrap().unwrap();
        assert_eq!((kept.ends_at, kept.ended_at), (end, None));
    }
}

on_both! {
    async fn one_unreadable_row_fails_its_own_exchange_and_no_other(empty: &Empty) {
        let store = store(empty).await;
        add_audience(&store, "good", "*").await;
        add_audience(&store, "bad", "NOT A PERMISSION").await;
        let both = [
            tokio::spawn({
                let store = store.clone();
                async move { store.exchange(exchange(1, "bad")).await }
            }),
            tokio::spawn({
                let store = store.clone();
                async move { store.exchange(exchange(2, "good")).await }
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
        let store = store(empty).await;
        let off = |n| Tenant { partner_access: Access::Off, ..tenant(customer(n)) };
        let suspended = |n| Tenant { status: TenantStatus::Suspended, ..tenant(customer(n)) };
        let assigned = |to| Conditions { assigned_to: vec![to], ..Conditions::default() };
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
        let store = store(empty).await;
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
        let store = store(empty).await;
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
