//! A small world to put into an empty store: one partner with a person who is logged in, one customer,
//! an edge between them, a client, and a resource server.

use std::{collections::BTreeSet, sync::Arc};

use procura_domain::{
    Access, Limits, Permissions, Profile, Quotas, Registration, Relationship, RelationshipKind,
    RelationshipRole, RelationshipState, StandardClaims, TenantStatus, UserRole, Wish,
    relationship::{Approval, Conditions, Origin},
};
use procura_store::{
    Store,
    audit::Entry,
    clients::{Client, ResourceServer},
    ledger::Exchange,
    sessions::Session,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{
    AccessRequestId, AuditId, ClientId, DelegationId, Key, RelationshipId, Scope, Seq, SessionId,
    TenantId, Ts, UserId,
};

use super::Empty;

pub const NOW: Ts = Ts::from_secs(1_800_000_000);
pub const PARTNER: TenantId = TenantId::from_bits(1);
pub const CUSTOMER: TenantId = customer(1);
pub const USER: UserId = UserId::from_bits(3);
pub const SESSION: SessionId = SessionId::from_bits(4);
pub const EDGE: RelationshipId = RelationshipId::from_bits(1);
pub const AUDIENCE: &str = "https://api.example";

pub const fn customer(n: u128) -> TenantId {
    TenantId::from_bits(100 + n)
}

pub fn tenant(id: TenantId) -> Tenant {
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

pub fn user(id: UserId, tenant: TenantId) -> User {
    User {
        id,
        tenant,
        email: format!("{id}@people.test"),
        name: "Pat".into(),
        roles: vec![UserRole::PartnerAdmin],
        status: UserStatus::Active,
        password_hash: None,
        ends_at: None,
        claims: StandardClaims::default(),
        created_at: NOW,
        changed_at: NOW,
    }
}

/// From the partner to its `n`th customer.
pub fn edge(n: u128) -> Relationship {
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
        renews_for_days: None,
        access: Access::On,
        approval: Approval::Standing,
        conditions: Conditions::default(),
        version: 1,
    }
}

pub fn client(id: &str) -> Client {
    Client {
        id: id.parse().unwrap(),
        tenant: PARTNER,
        name: "Portal".into(),
        secrets: Vec::new(),
        is_enabled: true,
        is_stopped_by_operator: false,
        version: 1,
        redirect_uris: Vec::new(),
        grant_types: BTreeSet::new(),
        scope: Scope::default(),
        permissions: Permissions::everything(),
        audiences: vec![AUDIENCE.into(), "bad".into()],
        default_audience: None,
        exchange_for: Vec::new(),
        profile: Profile::Oauth21,
        registration: Registration::default(),
        created_at: NOW,
    }
}

pub fn portal() -> ClientId {
    "cli_portal".parse().unwrap()
}

/// Opens the store and puts the world into it.
pub async fn world(empty: &Empty) -> Store {
    let store = empty.open().await;
    let mut tx = store.begin(NOW).await.unwrap();
    tx.insert_tenant(&tenant(PARTNER)).await.unwrap();
    tx.insert_tenant(&tenant(CUSTOMER)).await.unwrap();
    tx.insert_user(&user(USER, PARTNER)).await.unwrap();
    let session = Session {
        id: SESSION,
        user: USER,
        tenant: PARTNER,
        auth_time: NOW,
        started_at: NOW,
        acr: "urn:procura:acr:pwd".into(),
        amr: vec!["pwd".into()],
        idp: "local".into(),
        expires_at: NOW.plus_secs(3600),
        ended_at: None,
    };
    tx.insert_session(&session, "cookie").await.unwrap();
    tx.insert_client(&client("cli_portal")).await.unwrap();
    tx.insert_relationship(&edge(1), None).await.unwrap();
    tx.commit().await.unwrap();
    add_audience(&store, "cli_api", AUDIENCE, "*").await;
    store
}

/// A resource server, and the client that it is.
pub async fn add_audience(store: &Store, id: &str, audience: &str, permissions: &str) {
    let mut tx = store.begin(NOW).await.unwrap();
    let client = client(id);
    tx.insert_client(&client).await.unwrap();
    let server = ResourceServer {
        audience: audience.into(),
        client: client.id,
        accepts_delegated: true,
        permissions: [permissions].into_iter().collect(),
        version: 1,
    };
    tx.insert_resource_server(&server).await.unwrap();
    tx.commit().await.unwrap();
}

/// The person wants into the customer's tenant, as the client is known to be.
pub fn exchange(n: u128, client: &Arc<Client>) -> Exchange {
    Exchange {
        wish: Wish {
            user: USER,
            home: PARTNER,
            target: Some(CUSTOMER),
            may_switch: true,
            scope: Some("partner.billing.read".parse().unwrap()),
            purpose: None,
            acr: None,
            auth_time: Some(NOW),
            idp: None,
            ip: None,
            key: None,
        },
        target_slug: None,
        client: Arc::clone(client),
        subject_client: client.id.clone(),
        audience: AUDIENCE.into(),
        session: SESSION,
        subject_keys: vec![Key::Session(SESSION).hash()],
        subject_rvs: Seq(0),
        limits: Limits { ttl_secs: 300 },
        quotas: Quotas::default(),
        new_delegation: DelegationId::from_bits(100 + n),
        new_access_request: AccessRequestId::from_bits(100 + n),
        entry: Entry {
            jti: Some(format!("jti-{n}")),
            ..Entry::new(AuditId::from_bits(n), NOW, "token.exchange", "pending")
        },
    }
}
