//! A folder with one database, and nodes on it whose clock the test moves.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use procura_domain::Limits;
use procura_issuer::{
    Clock, Environment, Issuer, Settings,
    keys::{MasterKey, Secrets},
    rotation::Plan,
};
use procura_store::{Location, Store};
use procura_token::Ts;

pub const START: Ts = Ts::from_secs(1_800_000_000);
pub const DAY: i64 = 86_400;

/// A folder with one database, and a clock that all its nodes share.
pub struct World {
    pub folder: PathBuf,
    pub clock: Arc<AtomicI64>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("procura-issuer-{}-{n}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, clock: Arc::new(AtomicI64::new(START.0)) }
    }

    pub fn environment(&self) -> Environment {
        Environment::new(Clock::Moved(Arc::clone(&self.clock)))
    }

    pub fn pass(&self, secs: i64) {
        self.clock.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }

    pub async fn store(&self) -> Store {
        Store::open(Location::File(self.folder.join("procura.db"))).await.unwrap()
    }

    /// A node of its own: nothing in memory is shared with the others.
    pub async fn node(&self) -> Issuer {
        self.node_on(self.store().await).await
    }

    pub async fn node_on(&self, store: Store) -> Issuer {
        let settings = Settings {
            stranger_failures_per_minute: 60,
            issuer: "https://auth.example".into(),
            home_ttl_secs: 600,
            limits: Limits { ttl_secs: 300 },
            session_ttl_secs: 3600,
            refresh: procura_issuer::RefreshLife { ttl_secs: 3600, idle_secs: 600 },
            is_dpop_nonce_required: false,
            mail_dir: self.folder.join("mail"),
            keys: Plan::default(),
            outbound: procura_outbound::Settings::default(),
            self_registration: None,
            rate_limits: None,
            quotas: procura_domain::Quotas::default(),
        };
        let secrets = Secrets::open(&store, &master('7'), &self.environment()).await.unwrap();
        Issuer::open(store, settings, self.environment(), secrets).await.unwrap()
    }
}

pub fn master(digit: char) -> MasterKey {
    MasterKey::from_hex(&String::from(digit).repeat(64)).unwrap()
}
