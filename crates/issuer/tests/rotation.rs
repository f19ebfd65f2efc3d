//! The schedule of the keys with a moved clock, and several nodes on one database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use procura_domain::Limits;
use procura_issuer::{
    Clock, Environment, Error, Issuer, Settings, Via,
    clients::Credential,
    keys::{MasterKey, OpenError, Secrets},
    rotation::{Listed, Plan, Retirement},
};
use procura_store::{Location, Store, keys::KeyState};
use procura_token::{Algorithm, KeyId, Scope, Ts, jws::kid_of};

const START: Ts = Ts::from_secs(1_800_000_000);
const AUDIENCE: &str = "https://api.example";
const DAY: i64 = 86_400;

/// A folder with one database, and a clock that all its nodes share.
struct World {
    folder: PathBuf,
    clock: Arc<AtomicI64>,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("procura-rotation-{}-{n}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, clock: Arc::new(AtomicI64::new(START.0)) }
    }

    fn environment(&self) -> Environment {
        Environment::new(Clock::Moved(Arc::clone(&self.clock)))
    }

    fn pass(&self, secs: i64) {
        self.clock.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }

    async fn store(&self) -> Store {
        Store::open(Location::File(self.folder.join("procura.db"))).await.unwrap()
    }

    /// A node of its own: nothing in memory is shared with the others.
    async fn node(&self) -> Issuer {
        self.node_on(self.store().await).await
    }

    async fn node_on(&self, store: Store) -> Issuer {
        let settings = Settings {
            stranger_failures_per_minute: 60,
            issuer: "https://auth.example".into(),
            home_ttl_secs: 600,
            limits: Limits { ttl_secs: 300 },
            refresh: procura_issuer::RefreshLife { ttl_secs: 3600, idle_secs: 600 },
            session_ttl_secs: 3600,
            mail_dir: self.folder.join("mail"),
            keys: Plan::default(),
        };
        let secrets = Secrets::open(&store, &master('7'), &self.environment()).await.unwrap();
        Issuer::open(store, settings, self.environment(), secrets).await.unwrap()
    }
}

fn master(digit: char) -> MasterKey {
    MasterKey::from_hex(&String::from(digit).repeat(64)).unwrap()
}

/// The states of the access keys, oldest first.
async fn states(issuer: &Issuer) -> Vec<KeyState> {
    let keys = issuer.list_keys().await.unwrap();
    keys.iter().filter(|key| key.alg == Algorithm::Es256).map(|key| key.state).collect()
}

async fn active(issuer: &Issuer) -> KeyId {
    let keys = issuer.list_keys().await.unwrap();
    let is_it = |key: &&Listed| key.alg == Algorithm::Es256 && key.state == KeyState::Active;
    keys.iter().find(is_it).unwrap().kid
}

#[tokio::test]
async fn the_schedule_takes_a_key_through_its_life() {
    use KeyState::{Active, Gone, Next, Retired};
    let world = World::new();
    let issuer = world.node().await;
    assert_eq!(states(&issuer).await, [Active]);
    world.pass(1);
    issuer.tend_keys().await.unwrap();
    assert_eq!(states(&issuer).await, [Active, Next]);
    world.pass(30 * DAY - 2);
    issuer.tend_keys().await.unwrap();
    assert_eq!(states(&issuer).await, [Active, Next], "not a second early");
    world.pass(1);
    issuer.tend_keys().await.unwrap();
    assert_eq!(states(&issuer).await, [Retired, Active, Next]);
    // Both algorithms; the retired ones are published still.
    assert_eq!(issuer.keys().public().keys.len(), 6);
    world.pass(20 * 60 - 1);
    issuer.tend_keys().await.unwrap();
    assert_eq!(issuer.keys().public().keys.len(), 6);
    world.pass(1);
    issuer.tend_keys().await.unwrap();
    assert_eq!(states(&issuer).await, [Gone, Active, Next]);
    assert_eq!(issuer.keys().public().keys.len(), 4);
    // The private part went when it signed no more.
    let stored = issuer.store().list_keys().await.unwrap();
    for key in stored {
        assert_eq!(key.sealed.is_empty(), key.state == Gone, "{}", key.state);
    }
    issuer.tend_keys().await.unwrap();
    assert_eq!(states(&issuer).await, [Gone, Active, Next], "nothing is due");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_come_at_the_same_moment_take_one_step() {
    let world = Arc::new(World::new());
    let (mut first, mut nodes) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (world, store) = (Arc::clone(&world), world.store().await);
        first.push(async move { world.node_on(store).await });
    }
    for node in first.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        nodes.push(node.await.unwrap());
    }
    assert_eq!(states(&nodes[0]).await, [KeyState::Active]);
    for days in [0, 30, 60] {
        let tending: Vec<_> = nodes
            .iter()
            .map(|node| {
                let node = node.clone();
                tokio::spawn(async move { node.tend_keys().await })
            })
            .collect();
        for one in tending {
            one.await.unwrap().unwrap();
        }
        let all = states(&nodes[0]).await;
        let of = |state| all.iter().filter(|known| **known == state).count();
        assert_eq!((of(KeyState::Active), of(KeyState::Next)), (1, 1), "day {days}: {all:?}");
        world.pass(30 * DAY);
    }
    let kids: Vec<_> = nodes[0].keys().public().keys.iter().map(|key| key.kid.clone()).collect();
    for node in &nodes {
        let known: Vec<_> = node.keys().public().keys.iter().map(|key| key.kid.clone()).collect();
        assert_eq!(known, kids, "all publish the same");
    }
}

#[tokio::test]
async fn a_node_whose_copy_is_old_does_not_sign_with_a_stolen_key() {
    let world = World::new();
    let (here, there) = (world.node().await, world.node().await);
    here.tend_keys().await.unwrap();
    let demo = here.seed_demo(AUDIENCE).await.unwrap();
    let portal = &demo.clients["portal"];
    let secret = Credential::Secret(portal.client_secret.as_deref().unwrap());
    let client = there.authenticate_client(&portal.client_id, secret).await.unwrap();
    let via = Via::default();
    let issue = async || {
        let scope = Scope::default();
        there.issue_to_client(&client, None, &scope, &via).await.unwrap().access_token
    };
    let before = kid_of(&issue().await).unwrap();
    let stolen = active(&here).await;
    assert_eq!(before, stolen.to_string());
    let successor = here.retire_key(stolen, Retirement::Emergency).await.unwrap().unwrap();
    // Nobody told the other node: it sees it in the transaction from which the token comes.
    assert_eq!(kid_of(&issue().await).unwrap(), successor.to_string());
    assert!(!there.keys().public().keys.iter().any(|key| key.kid == before));
}

#[tokio::test]
async fn a_stolen_key_stays_dead_for_longer_than_anybody_keeps_it() {
    let world = World::new();
    let issuer = world.node().await;
    let stolen = active(&issuer).await;
    issuer.retire_key(stolen, Retirement::Emergency).await.unwrap();
    let entry = issuer.store().revocations().snapshot().entries.pop().unwrap();
    assert_eq!(entry.kind, "kid");
    assert!(entry.expires_at >= START.plus_secs(25 * 3600));
    // Whatever dies in between is forgotten in its own time, and the entry stays.
    let mut tx = issuer.store().begin(START).await.unwrap();
    tx.revoke(&procura_token::Key::All, "test");
    tx.commit().await.unwrap();
    issuer.store().forget_revocations(START.plus_secs(24 * 3600)).await.unwrap();
    let log = issuer.store().revocations();
    assert!(log.is_dead(&[entry.key], procura_token::Seq(i64::MAX)));
    assert_eq!(log.snapshot().entries.len(), 1);
    // So it is after a restart.
    let again = world.store().await;
    assert!(again.revocations().is_dead(&[entry.key], procura_token::Seq(i64::MAX)));
    assert_eq!(again.revocations().head(), again.revocation_head().await.unwrap());
    again.forget_revocations(START.plus_secs(25 * 3600)).await.unwrap();
    assert!(again.revocations().snapshot().entries.is_empty());
}

#[tokio::test]
async fn another_master_key_opens_nothing_until_everything_is_sealed_under_it() {
    let world = World::new();
    let issuer = world.node().await;
    let open = async |digit| {
        Secrets::open(&world.store().await, &master(digit), &world.environment()).await.map(drop)
    };
    assert_eq!(open('8').await, Err(OpenError::WrongMasterKey));
    issuer.rewrap_keys(&master('8')).await.unwrap();
    assert_eq!(open('7').await, Err(OpenError::WrongMasterKey));
    assert_eq!(open('8').await, Ok(()));
    // Who runs on is closed as soon as a key changes: it could not open the new one.
    assert_eq!(
        issuer.rotate_keys(&[Algorithm::Es256], Retirement::Now).await.err(),
        Some(Error::Busy)
    );
}
