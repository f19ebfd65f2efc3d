//! What registered itself and nobody uses goes by itself, with a moved clock.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use procura_domain::{Limits, self_registration::Policy};
use procura_issuer::{
    Clock, Environment, Error, Issuer, RefreshLife, Settings, Via,
    hand::Hand,
    initial_tokens::Offer,
    keys::{MasterKey, Secrets},
    rotation::Plan,
    self_registration::{Itself, Rules},
};
use procura_store::{Location, Store};
use procura_token::Ts;
use serde_json::{Map, Value, json};

const START: Ts = Ts::from_secs(1_800_000_000);
const DAY: i64 = 86_400;

/// An issuer where clients go after 30 days, and its clock.
async fn issuer() -> (Issuer, Arc<AtomicI64>) {
    issuer_with(None, 100).await
}

/// The same with the door open for a tenant or shut, and so many registrations a minute.
async fn issuer_with(open_for: Option<&str>, per_minute: u32) -> (Issuer, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(START.0));
    let environment = Environment::new(Clock::Moved(Arc::clone(&clock)));
    let store = Store::open(Location::Memory).await.unwrap();
    let master = MasterKey::from_hex(&"7".repeat(64)).unwrap();
    let secrets = Secrets::open(&store, &master, &environment).await.unwrap();
    let settings = Settings {
        stranger_failures_per_minute: 60,
        issuer: "https://auth.example".into(),
        home_ttl_secs: 600,
        limits: Limits { ttl_secs: 300 },
        session_ttl_secs: 3600,
        refresh: RefreshLife { ttl_secs: 3600, idle_secs: 600 },
        mail_dir: std::env::temp_dir(),
        is_dpop_nonce_required: false,
        outbound: procura_outbound::Settings::default(),
        rate_limits: None,
        quotas: procura_domain::Quotas::default(),
        self_registration: Some(Rules {
            policy: Policy::default(),
            open_for: open_for.map(str::to_owned),
            per_minute,
            max_clients: 100,
            unused_secs: 30 * DAY,
        }),
        keys: Plan::default(),
    };
    (Issuer::open(store, settings, environment, secrets).await.unwrap(), clock)
}

fn metadata(other: &Value) -> Map<String, Value> {
    let mut all = Map::from_iter([("redirect_uris".into(), json!(["https://app.example/cb"]))]);
    all.extend(other.as_object().unwrap().clone());
    all
}

async fn registered(issuer: &Issuer, token: Option<&str>) -> Itself {
    let admission = issuer.admit_software(token).await.unwrap();
    issuer.register_itself(admission, &metadata(&json!({})), &Via::default()).await.unwrap()
}

#[tokio::test]
async fn what_nobody_agreed_to_goes_and_what_somebody_uses_or_took_over_stays() {
    let (issuer, clock) = issuer().await;
    let demo = issuer.seed_demo("https://api.example").await.unwrap();
    let offer = Offer {
        tenant: demo.tenants["northwind"],
        name: "For a test".into(),
        uses: 10,
        life_secs: DAY,
    };
    let (_, token) = issuer.make_initial_token(Hand::CommandLine, offer).await.unwrap();
    let (unused, agreed_to, taken_over) = (
        registered(&issuer, Some(&token)).await,
        registered(&issuer, Some(&token)).await,
        registered(&issuer, Some(&token)).await,
    );
    let mut tx = issuer.store().begin(START).await.unwrap();
    let person = demo.users["pat@northwind.test"];
    tx.insert_consent(person, &agreed_to.client.id, &"openid".parse().unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    let wider = json!({ "permissions": "billing.read" });
    let id = &taken_over.client.id;
    issuer.update_client(Hand::CommandLine, id, &wider, None).await.unwrap();

    let pass = |days: i64| clock.fetch_add(days * DAY * 1_000_000, Ordering::SeqCst);
    let there = async |own: &Itself| issuer.find_itself(&own.client.id, &own.token).await.err();
    pass(29);
    issuer.tend_self_registered().await.unwrap();
    for own in [&unused, &agreed_to, &taken_over] {
        assert_eq!(there(own).await, None);
    }
    pass(2);
    issuer.tend_self_registered().await.unwrap();
    assert_eq!(there(&unused).await, Some(Error::Unauthenticated));
    assert!(issuer.find_client(None, &unused.client.id).await.is_err());
    for own in [&agreed_to, &taken_over] {
        assert_eq!(there(own).await, None);
    }
    // The token that let them come is over by now.
    assert_eq!(issuer.admit_software(Some(&token)).await.err(), Some(Error::Unauthenticated));
    // Whoever takes the agreement back is the last one to use it.
    let mut tx = issuer.store().begin(START.plus_secs(31 * DAY)).await.unwrap();
    assert!(tx.delete_consent(person, &agreed_to.client.id).await.unwrap());
    tx.commit().await.unwrap();
    issuer.tend_self_registered().await.unwrap();
    assert_eq!(there(&agreed_to).await, None, "not at once");
    pass(31);
    issuer.tend_self_registered().await.unwrap();
    assert_eq!(there(&agreed_to).await, Some(Error::Unauthenticated));
    assert_eq!(there(&taken_over).await, None);
}

#[tokio::test]
async fn what_changes_itself_over_and_over_is_bounded_like_what_registers() {
    let (issuer, clock) = issuer_with(Some("northwind"), 3).await;
    issuer.seed_demo("https://api.example").await.unwrap();
    let mut own = registered(&issuer, None).await;
    let id = own.client.id.clone();
    let anew = metadata(&json!({ "client_id": id }));
    let via = Via::default();
    for _ in 0..2 {
        own = issuer.update_itself(&id, &own.token, &anew, &via).await.unwrap();
    }
    let refused = issuer.update_itself(&id, &own.token, &anew, &via).await.err();
    assert_eq!(refused, Some(Error::TooManyFailures { wait_secs: 60 }));
    assert!(issuer.find_itself(&id, &own.token).await.is_ok(), "it has changed nothing");
    clock.fetch_add(60_000_000, Ordering::SeqCst);
    own = issuer.update_itself(&id, &own.token, &anew, &via).await.unwrap();
    issuer.delete_itself(&id, &own.token, &via).await.unwrap();
}

#[tokio::test]
async fn a_secret_that_anybody_gets_makes_nobodys_failures_free() {
    for (open_for, is_bounded) in [(Some("northwind"), true), (None, false)] {
        let (issuer, _) = issuer_with(open_for, 100).await;
        let demo = issuer.seed_demo("https://api.example").await.unwrap();
        let offer = Offer {
            tenant: demo.tenants["northwind"],
            name: "For a test".into(),
            uses: 1,
            life_secs: DAY,
        };
        let (_, token) = issuer.make_initial_token(Hand::CommandLine, offer).await.unwrap();
        let own = registered(&issuer, Some(&token)).await.client;
        // What people have given more is more than anybody gets.
        let portal = issuer.find_client(None, &demo.clients["portal"].client_id).await.unwrap();
        let via = Via::default();
        let mut last = Ok(());
        for _ in 0..=60 {
            issuer.note_malformed("token.issue", &portal, &via).await.unwrap();
            last = issuer.note_malformed("token.issue", &own, &via).await;
        }
        assert_eq!(last.is_err(), is_bounded, "{open_for:?}");
    }
}
