//! Keys of clients by URL, fetched from real servers: how often, for how long, and at whose cost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use procura_domain::Limits;
use procura_issuer::{
    Environment, Error, Issuer, Settings,
    client_keys::Documents,
    keys::{MasterKey, Secrets},
    rotation::Plan,
};
use procura_outbound::Outbound;
use procura_store::{Location, Store};
use procura_token::ClientId;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What a host does with whoever asks.
#[derive(Clone)]
enum Mood {
    Answers(Value),
    Hangs,
    Fails,
}

/// A client's own server.
struct Host {
    url: String,
    mood: watch::Sender<Mood>,
    asked: Arc<AtomicUsize>,
}

impl Host {
    async fn with(document: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (mood, moods) = watch::channel(Mood::Answers(document));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(answer(stream, moods.clone()));
            }
        });
        Self { url, mood, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn is_now(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

async fn answer(mut stream: TcpStream, mut moods: watch::Receiver<Mood>) {
    let _ = stream.read(&mut [0; 4096]).await;
    // One that hangs answers when its mood gets better.
    let mood = moods.wait_for(|mood| !matches!(mood, Mood::Hangs)).await.unwrap().clone();
    let Mood::Answers(document) = mood else { return };
    let body = document.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

fn settings(allow: &str) -> procura_outbound::Settings {
    let settings = procura_outbound::Settings::default().allowing(&[allow.to_owned()]);
    let mut settings = settings.unwrap();
    settings.allows_http = true;
    settings
}

/// Documents as one node keeps them.
struct Node {
    documents: Documents<Value>,
    outbound: Outbound,
}

impl Node {
    fn new() -> Arc<Self> {
        let outbound = Outbound::new(settings("127.0.0.1"));
        Arc::new(Self { documents: Documents::new(keys_only), outbound })
    }

    /// The names of the keys that a client is known by, where this one is wanted.
    async fn keys(&self, client: &str, host: &Host, kid: &str) -> Option<String> {
        let id: ClientId = client.parse().unwrap();
        let has = |set: &Value| set["keys"].as_array().unwrap().contains(&json!(kid));
        let found = self.documents.find(&self.outbound, (&id, &host.url), has).await;
        found.map(|set| set["keys"].to_string())
    }
}

fn keys_only(json: &Value) -> Option<Value> {
    json["keys"].is_array().then(|| json.clone())
}

fn named(kids: &[&str]) -> Value {
    json!({ "keys": kids })
}

/// The clock moves on.
async fn pass(secs: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(secs)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_document_is_fetched_once_for_all_who_want_it_and_again_when_it_is_old() {
    let (node, host) = (Node::new(), Host::with(named(&["a"])).await);
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let (node, url) = (Arc::clone(&node), host.url.clone());
            tokio::spawn(async move {
                let id = "cli_one".parse().unwrap();
                node.documents.find(&node.outbound, (&id, &url), |_| true).await.is_some()
            })
        })
        .collect();
    for one in crowd {
        assert!(one.await.unwrap());
    }
    pass(299).await;
    assert_eq!(node.keys("cli_one", &host, "a").await.unwrap(), r#"["a"]"#);
    assert_eq!(host.asked(), 1);
    host.is_now(Mood::Answers(named(&["b"])));
    pass(1).await;
    assert_eq!(node.keys("cli_one", &host, "a").await.unwrap(), r#"["b"]"#, "a was taken out");
    assert_eq!(host.asked(), 2);
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_at_most_once_in_ten_seconds() {
    let (node, host) = (Node::new(), Host::with(named(&["a"])).await);
    for _ in 0..5 {
        assert_eq!(node.keys("cli_one", &host, "b").await.unwrap(), r#"["a"]"#);
    }
    assert_eq!(host.asked(), 1);
    host.is_now(Mood::Answers(named(&["a", "b"])));
    pass(10).await;
    assert_eq!(node.keys("cli_one", &host, "b").await.unwrap(), r#"["a","b"]"#);
    for _ in 0..5 {
        node.keys("cli_one", &host, "c").await;
    }
    assert_eq!(host.asked(), 2);
    // Another client has its own count, and its own copy, also of the same URL.
    node.keys("cli_two", &host, "b").await.unwrap();
    assert_eq!(host.asked(), 3);
}

#[tokio::test]
async fn while_a_host_is_dead_its_last_document_is_used_for_an_hour_and_no_longer() {
    let (node, host) = (Node::new(), Host::with(named(&["a"])).await);
    node.keys("cli_one", &host, "a").await.unwrap();
    for broken in [Mood::Fails, Mood::Answers(json!("no set"))] {
        host.is_now(broken);
        pass(1000).await;
        assert_eq!(node.keys("cli_one", &host, "a").await.unwrap(), r#"["a"]"#);
    }
    host.is_now(Mood::Fails);
    pass(1600).await;
    assert_eq!(node.keys("cli_one", &host, "a").await, None);
    assert_eq!(node.keys("cli_one", &host, "a").await, None, "and is not asked again so soon");
    assert_eq!(host.asked(), 4);
    host.is_now(Mood::Answers(named(&["a"])));
    pass(10).await;
    assert!(node.keys("cli_one", &host, "a").await.is_some());
}

#[tokio::test]
async fn a_slow_host_costs_only_its_own_client_and_its_answer_is_not_lost() {
    let (node, slow) = (Node::new(), Host::with(named(&["a"])).await);
    let quick = Host::with(named(&["a"])).await;
    slow.is_now(Mood::Hangs);
    let waiting = tokio::spawn({
        let (node, url) = (Arc::clone(&node), slow.url.clone());
        async move {
            let id = "cli_slow".parse().unwrap();
            node.documents.find(&node.outbound, (&id, &url), |_| true).await
        }
    });
    while slow.asked() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(node.keys("cli_quick", &quick, "a").await.is_some());
    // Whoever asked has gone away; somebody else gets what was fetched for him.
    waiting.abort();
    let (again, ()) = tokio::join!(node.keys("cli_slow", &slow, "a"), async {
        slow.is_now(Mood::Answers(named(&["a"])));
    });
    assert_eq!(again.unwrap(), r#"["a"]"#);
    assert_eq!(slow.asked(), 1);
}

#[tokio::test]
async fn another_url_counts_at_once() {
    let (node, old, new) =
        (Node::new(), Host::with(named(&["a"])).await, Host::with(named(&["b"])).await);
    assert_eq!(node.keys("cli_one", &old, "a").await.unwrap(), r#"["a"]"#);
    assert_eq!(node.keys("cli_one", &new, "b").await.unwrap(), r#"["b"]"#);
}

/// An issuer that may call these networks.
async fn issuer(allow: &str) -> Issuer {
    let store = Store::open(Location::Memory).await.unwrap();
    let environment = Environment::default();
    let settings = Settings {
        stranger_failures_per_minute: 60,
        issuer: "https://auth.example".into(),
        home_ttl_secs: 600,
        limits: Limits { ttl_secs: 300 },
        session_ttl_secs: 3600,
        refresh: procura_issuer::RefreshLife { ttl_secs: 3600, idle_secs: 600 },
        is_dpop_nonce_required: false,
        mail_dir: "/nowhere".into(),
        keys: Plan::default(),
        outbound: settings(allow),
        self_registration: None,
        rate_limits: None,
        quotas: procura_domain::Quotas::default(),
    };
    let master = MasterKey::from_hex(&"7".repeat(64)).unwrap();
    let secrets = Secrets::open(&store, &master, &environment).await.unwrap();
    Issuer::open(store, settings, environment, secrets).await.unwrap()
}

#[tokio::test]
async fn a_sector_lists_every_redirect_uri_byte_by_byte() {
    let issuer = issuer("127.0.0.1").await;
    let host = Host::with(json!(["https://a.example/cb", "https://b.example/cb"])).await;
    let uris = |uris: &[&str]| uris.iter().map(ToString::to_string).collect::<Vec<_>>();
    let both = uris(&["https://b.example/cb", "https://a.example/cb"]);
    assert_eq!(issuer.check_sector(&host.url, &both).await, Ok(()));
    let refused = Err(Error::Invalid("sector_identifier_uri"));
    for other in ["https://c.example/cb", "https://a.example/cb/", "https://A.example/cb"] {
        let uris = uris(&["https://a.example/cb", other]);
        assert_eq!(issuer.check_sector(&host.url, &uris).await, refused, "{other}");
    }
    for document in [json!({}), json!([1]), json!({ "uris": ["https://a.example/cb"] })] {
        host.is_now(Mood::Answers(document));
        assert_eq!(issuer.check_sector(&host.url, &both).await, refused);
    }
}

#[tokio::test]
async fn nobody_inside_is_asked_for_a_client() {
    let inside = Host::with(json!(["https://a.example/cb"])).await;
    let url = inside.url.replace("127.0.0.1", "localhost");
    let closed = issuer("10.0.0.0/8").await;
    assert!(closed.check_sector(&inside.url, &[]).await.is_err());
    assert!(closed.check_sector(&url, &[]).await.is_err());
    assert_eq!(closed.check_url("jwks_uri", &inside.url), Err(Error::Invalid("jwks_uri")));
    assert_eq!(inside.asked(), 0);
    let open = issuer("127.0.0.0/8").await;
    assert_eq!(open.check_url("jwks_uri", &inside.url), Ok(()));
    assert_eq!(open.check_sector(&url, &[]).await, Ok(()));
}
