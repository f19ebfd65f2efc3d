//! Delivery of logout tokens to real servers of clients, by one node and by two on one database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_domain::{
    Access, Limits, Permissions, Profile, Registration, StandardClaims, TenantStatus,
};
use procura_issuer::{
    Clock, Environment, Issuer, Settings,
    keys::{MasterKey, Secrets},
    logout_notices::Deliveries,
    rotation::Plan,
};
use procura_store::{
    Location, Store,
    audit::{Entry, Filter},
    clients::Client,
    sessions::Session,
    tenants::Tenant,
    users::{User, UserStatus},
};
use procura_token::{ClientId, Scope, SessionId, TenantId, Ts, UserId};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const NOW: Ts = Ts::from_secs(1_800_000_000);
const TENANT: TenantId = TenantId::from_bits(1);
const USER: UserId = UserId::from_bits(2);

/// A client's own server.
struct Host {
    url: String,
    status: Arc<AtomicU32>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Answers with this status; with 0 never.
    async fn answering(status: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/logout", listener.local_addr().unwrap());
        let (status, heard) = (Arc::new(AtomicU32::new(status)), Arc::new(Mutex::new(Vec::new())));
        let (is_now, keeps) = (Arc::clone(&status), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (is_now, keeps) = (Arc::clone(&is_now), Arc::clone(&keeps));
                tokio::spawn(async move {
                    let mut request = String::new();
                    while !is_whole(&request) {
                        let mut buffer = [0; 4096];
                        let read = stream.read(&mut buffer).await.unwrap_or_default();
                        if read == 0 {
                            return;
                        }
                        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    }
                    let body = request.split_once("\r\n\r\n").unwrap().1;
                    keeps.lock().unwrap().push(body.to_owned());
                    let status = is_now.load(Ordering::SeqCst);
                    if status == 0 {
                        std::future::pending::<()>().await;
                    }
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, status, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn is_now(&self, status: u32) {
        self.status.store(status, Ordering::SeqCst);
    }
}

/// Whether a request has all of its body.
fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

/// A deployment: one database, one clock, any number of nodes.
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
    async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("procura-notices-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let world = Self { folder, clock: Arc::new(AtomicI64::new(NOW.0)) };
        let mut tx = world.store().await.begin(NOW).await.unwrap();
        tx.insert_tenant(&tenant()).await.unwrap();
        tx.insert_user(&user()).await.unwrap();
        tx.commit().await.unwrap();
        world
    }

    async fn store(&self) -> Store {
        Store::open(Location::File(self.folder.join("procura.db"))).await.unwrap()
    }

    async fn node(&self) -> Node {
        let store = self.store().await;
        let environment = Environment::new(Clock::Moved(Arc::clone(&self.clock)));
        let allow = ["127.0.0.1".to_owned()];
        let mut outbound = procura_outbound::Settings::default().allowing(&allow).unwrap();
        outbound.allows_http = true;
        outbound.answer_within = Duration::from_secs(2);
        let settings = Settings {
            stranger_failures_per_minute: 60,
            issuer: "https://auth.example".into(),
            home_ttl_secs: 600,
            limits: Limits { ttl_secs: 300 },
            is_dpop_nonce_required: false,
            refresh: procura_issuer::RefreshLife { ttl_secs: 3600, idle_secs: 600 },
            session_ttl_secs: 3600,
            mail_dir: "/nowhere".into(),
            keys: Plan::default(),
            outbound,
            self_registration: None,
            rate_limits: None,
            quotas: procura_domain::Quotas::default(),
        };
        let master = MasterKey::from_hex(&"7".repeat(64)).unwrap();
        let secrets = Secrets::open(&store, &master, &environment).await.unwrap();
        let issuer = Issuer::open(store, settings, environment, secrets).await.unwrap();
        Node { issuer, deliveries: Deliveries::default() }
    }

    fn pass(&self, secs: i64) {
        self.clock.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
}

struct Node {
    issuer: Issuer,
    deliveries: Deliveries,
}

impl Node {
    /// A client that wants to hear of logouts at this URL.
    async fn add_client(&self, id: &str, url: Option<&str>) {
        let mut tx = self.issuer.store().begin(NOW).await.unwrap();
        tx.insert_client(&client(id, url)).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A login that these clients were told of, and its end.
    async fn log_in_and_out(&self, n: u128, clients: &[&str]) {
        let mut tx = self.issuer.store().begin(NOW).await.unwrap();
        let session = session(n);
        tx.insert_session(&session, &format!("cookie {n}")).await.unwrap();
        for client in clients {
            tx.insert_session_client(session.id, &client.parse().unwrap()).await.unwrap();
        }
        assert!(tx.end_session(session.id).await.unwrap());
        tx.commit().await.unwrap();
    }

    async fn begin(&mut self) {
        self.deliveries.begin(&self.issuer).await.unwrap();
    }

    /// Delivers what is due now.
    async fn deliver(&mut self) {
        self.begin().await;
        self.deliveries.finish().await;
    }

    /// What the audit log says of deliveries, oldest first: result, reason, client and attempts.
    async fn told(&self) -> Vec<String> {
        let filter = Filter { action: Some("logout.notify".into()), ..Filter::default() };
        let listed = self.issuer.store().list_audit(&filter).await.unwrap();
        let line = |entry: &Entry| {
            let client = entry.client_id.as_ref().map_or("", ClientId::as_str);
            let (reason, details) = (entry.reason.as_deref(), entry.details.as_deref());
            assert!(entry.resource_id.is_some());
            format!("{} {} {client} {}", entry.result, reason.unwrap_or("-"), details.unwrap())
        };
        listed.iter().rev().map(|listed| line(&listed.chained.entry)).collect()
    }
}

/// Whom the one parameter of a form is for: the audience of its token.
fn audience(form: &str) -> String {
    let token = form.strip_prefix("logout_token=").expect("one parameter");
    let payload = token.split('.').nth(1).expect("a JWS");
    let claims: Value = serde_json::from_slice(&B64.decode(payload).unwrap()).unwrap();
    claims["aud"].as_str().unwrap().to_owned()
}

fn tenant() -> Tenant {
    Tenant {
        id: TENANT,
        slug: "northwind".into(),
        name: "Northwind".into(),
        status: TenantStatus::Active,
        plan: "standard".into(),
        partner_access: Access::On,
        partner_code: "code".into(),
        created_at: NOW,
    }
}

fn user() -> User {
    User {
        id: USER,
        tenant: TENANT,
        email: "pat@northwind.test".into(),
        name: "Pat".into(),
        roles: Vec::new(),
        status: UserStatus::Active,
        password_hash: None,
        ends_at: None,
        claims: StandardClaims::default(),
        created_at: NOW,
        changed_at: NOW,
    }
}

fn session(n: u128) -> Session {
    Session {
        id: SessionId::from_bits(n),
        user: USER,
        tenant: TENANT,
        auth_time: NOW,
        started_at: NOW,
        acr: "urn:procura:acr:pwd".into(),
        amr: vec!["pwd".into()],
        idp: "local".into(),
        expires_at: NOW.plus_secs(36_000),
        ended_at: None,
    }
}

fn client(id: &str, url: Option<&str>) -> Client {
    Client {
        id: id.parse().unwrap(),
        tenant: TENANT,
        name: "Portal".into(),
        secrets: Vec::new(),
        is_stopped_by_operator: false,
        is_enabled: true,
        version: 1,
        redirect_uris: Vec::new(),
        grant_types: BTreeSet::new(),
        scope: Scope::default(),
        permissions: Permissions::everything(),
        audiences: Vec::new(),
        default_audience: None,
        exchange_for: Vec::new(),
        profile: Profile::Oidc,
        registration: Registration {
            backchannel_logout_uri: url.map(ToOwned::to_owned),
            ..Registration::default()
        },
        created_at: NOW,
    }
}

#[tokio::test]
async fn each_client_of_a_login_hears_once_that_it_is_over() {
    let world = World::new().await;
    let mut node = world.node().await;
    let (a, b) = (Host::answering(200).await, Host::answering(204).await);
    node.add_client("cli_a", Some(&a.url)).await;
    node.add_client("cli_b", Some(&b.url)).await;
    node.add_client("cli_deaf", None).await;
    node.log_in_and_out(1, &["cli_a", "cli_b", "cli_deaf"]).await;
    // Two nodes look at the same time.
    let mut other = world.node().await;
    tokio::join!(node.deliver(), other.deliver());
    for (host, client) in [(&a, "cli_a"), (&b, "cli_b")] {
        let heard: Vec<_> = host.heard().iter().map(|form| audience(form)).collect();
        assert_eq!(heard, [client]);
    }
    let mut told = node.told().await;
    told.sort();
    assert_eq!(told, ["ok - cli_a {\"attempts\":1}", "ok - cli_b {\"attempts\":1}"]);
    world.pass(600);
    tokio::join!(node.deliver(), other.deliver());
    assert_eq!((a.heard().len(), b.heard().len(), node.told().await.len()), (1, 1, 2));
}

#[tokio::test]
async fn a_client_that_says_no_is_not_asked_again() {
    let world = World::new().await;
    let mut node = world.node().await;
    let host = Host::answering(400).await;
    node.add_client("cli_a", Some(&host.url)).await;
    node.log_in_and_out(1, &["cli_a"]).await;
    for _ in 0..3 {
        node.deliver().await;
        world.pass(600);
    }
    assert_eq!(host.heard().len(), 1);
    assert_eq!(node.told().await, ["failed refused_by_client cli_a {\"attempts\":1}"]);
}

#[tokio::test]
async fn one_that_fails_is_asked_five_times_within_ten_minutes() {
    let world = World::new().await;
    let mut node = world.node().await;
    let (ill, moody) = (Host::answering(500).await, Host::answering(302).await);
    node.add_client("cli_ill", Some(&ill.url)).await;
    node.add_client("cli_moody", Some(&moody.url)).await;
    node.log_in_and_out(1, &["cli_ill", "cli_moody"]).await;
    node.deliver().await;
    for (attempt, pause) in [10, 30, 120, 300].into_iter().enumerate() {
        world.pass(pause - 1);
        node.deliver().await;
        assert_eq!(ill.heard().len(), attempt + 1, "too early");
        if attempt == 2 {
            moody.is_now(200);
        }
        world.pass(1);
        node.deliver().await;
        assert_eq!(ill.heard().len(), attempt + 2);
    }
    world.pass(3600);
    node.deliver().await;
    assert_eq!((ill.heard().len(), moody.heard().len()), (5, 4));
    let told = node.told().await;
    let expected =
        ["ok - cli_moody {\"attempts\":4}", "failed failed_at_client cli_ill {\"attempts\":5}"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_client_that_hangs_or_has_a_long_list_keeps_nobody_waiting() {
    let world = World::new().await;
    let mut node = world.node().await;
    let (slow, quick) = (Host::answering(0).await, Host::answering(200).await);
    node.add_client("cli_slow", Some(&slow.url)).await;
    node.add_client("cli_quick", Some(&quick.url)).await;
    for n in 1..=100 {
        node.log_in_and_out(n, &["cli_slow"]).await;
    }
    node.log_in_and_out(101, &["cli_quick"]).await;
    node.begin().await;
    while quick.heard().is_empty() || slow.heard().len() < 4 {
        tokio::task::yield_now().await;
    }
    // The next look takes nothing more of the one that still hangs.
    node.begin().await;
    node.deliveries.finish().await;
    assert_eq!((slow.heard().len(), quick.heard().len()), (4, 1));
    assert_eq!(node.told().await, ["ok - cli_quick {\"attempts\":1}"]);
}

#[tokio::test]
async fn what_a_dead_node_had_taken_another_one_delivers() {
    let world = World::new().await;
    let (mut dying, mut node) = (world.node().await, world.node().await);
    let host = Host::answering(0).await;
    node.add_client("cli_a", Some(&host.url)).await;
    node.log_in_and_out(1, &["cli_a"]).await;
    dying.begin().await;
    while host.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(dying);
    host.is_now(200);
    world.pass(59);
    node.deliver().await;
    assert_eq!(host.heard().len(), 1, "it may still be at work");
    world.pass(1);
    node.deliver().await;
    assert_eq!(host.heard().len(), 2);
    assert_eq!(node.told().await, ["ok - cli_a {\"attempts\":2}"]);
}

#[tokio::test]
async fn a_client_that_is_switched_off_or_leads_inside_hears_nothing() {
    let world = World::new().await;
    let mut node = world.node().await;
    let host = Host::answering(200).await;
    let inside = host.url.replace("127.0.0.1", "127.0.0.2");
    node.add_client("cli_off", Some(&host.url)).await;
    node.add_client("cli_inside", Some(&inside)).await;
    node.log_in_and_out(1, &["cli_off", "cli_inside"]).await;
    let mut tx = node.issuer.store().begin(NOW).await.unwrap();
    tx.update_client_status(&"cli_off".parse().unwrap(), false, false).await.unwrap();
    tx.commit().await.unwrap();
    for pause in [0, 10, 30, 120, 300] {
        world.pass(pause);
        node.deliver().await;
    }
    assert!(host.heard().is_empty());
    let expected = [
        "failed client_gone cli_off {\"attempts\":1}",
        "failed address_not_allowed cli_inside {\"attempts\":5}",
    ];
    assert_eq!(node.told().await, expected);
}
