//! Calls to real servers that behave badly, and to one that does not.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use procura_outbound::{Error, Outbound, Settings};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server on loopback that keeps what it was asked and answers the same to everybody.
struct Host {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Host {
    /// Answers these bytes and closes.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Answers these bytes and then leaves the connection open, for ever.
    async fn hanging_after(answer: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
            std::future::pending::<()>().await;
        })
        .await
    }

    async fn start<F: Future<Output = ()> + Send>(
        answer: impl Fn(TcpStream) -> F + Send + Sync + Clone + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), answer.clone());
                tokio::spawn(async move {
                    let request = request(&mut stream).await;
                    kept.lock().unwrap().push(request);
                    answer(stream).await;
                });
            }
        });
        Self { port, asked }
    }

    fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/keys", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request, with a body where its length says so.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

fn json(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// What may be called in these tests, over plain http.
fn settings(networks: &[&str]) -> Settings {
    let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
    let mut settings = Settings::default().allowing(&networks).unwrap();
    settings.allows_http = true;
    settings
}

fn allowing(networks: &[&str]) -> Outbound {
    Outbound::new(settings(networks))
}

/// The same, with an end that comes soon: for servers that are slow on purpose.
fn impatient() -> Outbound {
    let mut settings = settings(&["127.0.0.0/8"]);
    settings.answer_within = Duration::from_millis(300);
    Outbound::new(settings)
}

#[tokio::test]
async fn json_is_fetched_plainly() {
    let host = Host::answering(json(r#"{"keys":[]}"#)).await;
    let outbound = allowing(&["127.0.0.1"]);
    let answer = outbound.get_json(&host.url("127.0.0.1")).await;
    assert_eq!(answer.unwrap(), serde_json::json!({ "keys": [] }));
    let asked = host.asked().concat().to_ascii_lowercase();
    assert!(asked.starts_with("get /keys http/1.1\r\n"), "{asked}");
    for header in ["accept-encoding", "cookie", "referer", "authorization", "traceparent"] {
        assert!(!asked.contains(&format!("\r\n{header}:")), "{header} in {asked}");
    }
}

#[tokio::test]
async fn a_form_is_posted_and_its_status_told() {
    let host = Host::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let fields = [("logout_token", "a.b+c=&d")];
    let posted = allowing(&["127.0.0.1"]).post_form(&host.url("127.0.0.1"), &fields).await;
    assert_eq!(posted, Ok(204));
    let asked = host.asked().concat();
    assert!(asked.starts_with("POST /keys HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/x-www-form-urlencoded\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\nlogout_token=a.b%2Bc%3D%26d"), "{asked}");
}

#[tokio::test]
async fn a_name_is_judged_by_where_it_leads_and_nobody_there_is_asked() {
    let host = Host::answering(json("{}")).await;
    let inside = allowing(&["10.0.0.0/8"]);
    let refused = Err(Error::AddressRefused);
    assert_eq!(inside.get_json(&host.url("localhost")).await, refused);
    assert_eq!(inside.get_json(&host.url("127.0.0.1")).await, refused);
    let url = host.url("localhost").replace("http:", "https:");
    assert_eq!(Outbound::new(Settings::default()).get_json(&url).await, refused, "over TLS too");
    assert!(host.asked().is_empty());
    let allowed = allowing(&["127.0.0.0/8"]);
    assert!(allowed.get_json(&host.url("localhost")).await.is_ok());
}

#[tokio::test]
async fn a_name_that_nobody_has_and_a_port_where_nobody_listens() {
    let outbound = allowing(&["127.0.0.0/8"]);
    let unknown = outbound.get_json("https://nobody.invalid/keys").await;
    assert_eq!(unknown, Err(Error::NameUnknown));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(outbound.get_json(&url).await, Err(Error::Unreachable));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let inner = Host::answering(json("{}")).await;
    let to = inner.url("127.0.0.1");
    let host = Host::answering(format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let outbound = allowing(&["127.0.0.0/8"]);
    assert_eq!(outbound.get_json(&host.url("127.0.0.1")).await, Err(Error::Status(302)));
    assert_eq!(outbound.post_form(&host.url("127.0.0.1"), &[]).await, Ok(302));
    assert!(inner.asked().is_empty());
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_bound_whatever_it_says_of_its_length() {
    let outbound = allowing(&["127.0.0.0/8"]);
    let most = format!("\"{}\"", "x".repeat(256 * 1024 - 2));
    let host = Host::answering(json(&most)).await;
    assert!(outbound.get_json(&host.url("127.0.0.1")).await.is_ok());
    let host = Host::answering(json(&format!("{most} "))).await;
    let too_large = Err(Error::TooLarge);
    assert_eq!(outbound.get_json(&host.url("127.0.0.1")).await, too_large);
    let mut chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for _ in 0..300 {
        let _ = write!(chunks, "400\r\n{}\r\n", " ".repeat(1024));
    }
    let host = Host::answering(chunks).await;
    assert_eq!(outbound.get_json(&host.url("127.0.0.1")).await, too_large);
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error() {
    let outbound = allowing(&["127.0.0.0/8"]);
    for (answer, error) in [
        (json("nonsense"), Error::Malformed),
        // Packed, which nobody asked for.
        (
            json("{}").replace("\r\n\r\n{}", "\r\ncontent-encoding: gzip\r\n\r\n\u{1f}\u{8b}"),
            Error::Malformed,
        ),
        (json("{}").replace("200 OK", "500 Oops"), Error::Status(500)),
        (json("{}").replace("200 OK", "201 Made"), Error::Status(201)),
        (json("{}").replace("length: 2", "length: 20"), Error::Unreachable),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), Error::Unreachable),
        (String::new(), Error::Unreachable),
    ] {
        let host = Host::answering(answer.clone()).await;
        let answered = outbound.get_json(&host.url("127.0.0.1")).await;
        assert_eq!(answered, Err(error), "{answer}");
    }
}

#[tokio::test]
async fn who_hangs_is_left_wherever_it_hangs() {
    let outbound = impatient();
    for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let host = Host::hanging_after(part).await;
        let answered = outbound.get_json(&host.url("127.0.0.1")).await;
        assert_eq!(answered, Err(Error::Slow), "{part:?}");
    }
}

#[tokio::test]
async fn a_host_that_hangs_takes_nobodys_turn_but_its_own() {
    let slow = Host::hanging_after("").await;
    let quick = Host::answering(json("{}")).await;
    let outbound = allowing(&["127.0.0.0/8"]);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (outbound, url) = (outbound.clone(), slow.url("127.0.0.1"));
            tokio::spawn(async move { outbound.get_json(&url).await })
        })
        .collect();
    // The four turns of the slow one are taken when it has been asked four times.
    while slow.asked().len() < 4 {
        tokio::task::yield_now().await;
    }
    assert!(outbound.get_json(&quick.url("127.0.0.1")).await.is_ok());
    assert_eq!(slow.asked().len(), 4);
    calls.iter().for_each(tokio::task::JoinHandle::abort);
}
