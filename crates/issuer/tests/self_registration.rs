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
use serde_json::{Value, json};

const START: Ts = Ts::from_secs(1_800_000_000);
const DAY: i64 = 86_400;

/// An issuer where clients go after 30 days, and its clock.
async fn issuer() -> (Issuer, Arc<AtomicI64>) {
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
        self_registration: Some(Rules {
            policy: Policy::default(),
            open_for: None,
            per_minute: 100,
            max_clients: 100,
            unused_secs: 30 * DAY,
        }),
        keys: Plan::default(),
    };
    (Issuer::open(store, settings, environment, secrets).await.unwrap(), clock)
}

async fn registered(issuer: &Issuer, token: &str) -> Itself {
    let admission = issuer.admit_software(Some(token)).await.unwrap();
    let Value::Object(metadata) = json!({ "redirect_uris": ["https://app.example/cb"] }) else {
        unreachable!()
    };
    issuer.register_itself(admission, &metadata, &Via::default()).await.unwrap()
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
        registered(&issuer, &token).await,
        registered(&issuer, &token).await,
        registered(&issuer, &token).await,
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
