//! The token by which clients hear that a login is over (OpenID Connect Back-Channel Logout 1.0 §2.4).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::sync::{Arc, atomic::AtomicI64};

use procura_domain::Limits;
use procura_issuer::{
    Clock, Environment, Error, Issuer, RefreshLife, Settings,
    keys::{MasterKey, Secrets},
    rotation::Plan,
};
use procura_store::{Location, Store, logout::Notice};
use procura_token::{Algorithm, SessionId, Ts, UserId, jws};
use serde_json::{Value, json};

const NOW: Ts = Ts::from_secs(1_800_000_000);
const USER: UserId = UserId::from_bits(1);
const SESSION: SessionId = SessionId::from_bits(2);

async fn issuer() -> Issuer {
    let environment = Environment::new(Clock::Moved(Arc::new(AtomicI64::new(NOW.0))));
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
        self_registration: None,
        rate_limits: None,
        quotas: procura_domain::Quotas::default(),
        keys: Plan::default(),
    };
    Issuer::open(store, settings, environment, secrets).await.unwrap()
}

#[tokio::test]
async fn a_logout_token_names_login_and_person_and_is_no_other_kind_of_token() {
    let issuer = issuer().await;
    let demo = issuer.seed_demo("https://api.example").await.unwrap();
    let client = demo.clients["portal"].client_id.clone();
    let notice = Notice {
        id: 1,
        client: client.clone(),
        user: USER,
        session: SESSION,
        attempts: 0,
        next_at: NOW,
        created_at: NOW,
    };
    let token = issuer.logout_token(&notice).await.unwrap();
    let verify = |typ| jws::verify(&token, typ, &issuer.keys().verifying(), &[Algorithm::Rs256]);
    let signed = verify("logout+jwt").unwrap();
    let mut claims: Value = serde_json::from_slice(&signed.payload).unwrap();
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 32);
    let wanted = json!({
        "iss": "https://auth.example",
        "aud": client,
        "iat": NOW.secs(),
        "exp": NOW.secs() + 120,
        "sub": USER,
        "sid": SESSION,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    assert_eq!(claims, wanted, "and no nonce");
    assert!(verify("JWT").is_err() && verify("at+jwt").is_err());
    let unknown = Notice { client: "cli_nobody".parse().unwrap(), ..notice };
    assert_eq!(issuer.logout_token(&unknown).await.err(), Some(Error::NotFound));
}
