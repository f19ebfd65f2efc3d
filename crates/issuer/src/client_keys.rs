//! Public keys of clients, by value or by URL. What is fetched is kept for a while; a host that is slow or
//! dead costs only the client that named it.

use std::{
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use procura_domain::Registration;
use procura_outbound::{Error as CallFailed, Outbound};
use procura_store::{clients::Client, patience};
use procura_token::{ClientId, ForeignKeys, foreign::unverified_kid};
use quick_cache::sync::Cache;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use crate::{Error, Issuer, Result};

/// As many clients have their document kept.
const MAX_DOCUMENTS: usize = 1024;
/// A younger document is used without asking: a key that its owner took out is gone after this.
const FRESH: Duration = Duration::from_mins(5);
/// While its host cannot be reached, an older one is used up to this age. Then there is none.
const STALE: Duration = Duration::from_hours(1);
/// One client causes at most one fetch in this time, whatever it sends.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// A request waits no longer for a fetch. The fetch goes on, and the next request has it.
const WAIT: Duration = Duration::from_millis(2500);

/// Documents of clients, or of whoever else registered a URL; fetched and parsed once.
pub struct Documents<T, O = ClientId> {
    entries: Cache<(O, String), Arc<Entry<T>>>,
    parse: fn(&Value) -> Option<T>,
}

/// The document of one client at one URL. Another URL is another entry, so that a change of the
/// registration counts at once.
struct Entry<T> {
    state: Mutex<State<T>>,
    finished: watch::Sender<()>,
}

struct State<T> {
    /// The last good one, and when it was asked for.
    document: Option<(Arc<T>, Instant)>,
    last_start: Option<Instant>,
    is_running: bool,
}

impl<T: Send + Sync + 'static, O: Clone + Eq + Hash> Documents<T, O> {
    /// None yet. `parse` answers `None` where the JSON is no such document.
    #[must_use]
    pub fn new(parse: fn(&Value) -> Option<T>) -> Self {
        Self { entries: Cache::new(MAX_DOCUMENTS), parse }
    }

    /// The document of this owner at this URL; `None` where there is none to be had. A document that does
    /// not suit, for example because it lacks a key, is fetched again, at most once in ten seconds; what
    /// comes then is answered whether it suits or not.
    pub async fn find(
        &self,
        outbound: &Outbound,
        (owner, url): (&O, &str),
        suits: impl Fn(&T) -> bool,
    ) -> Option<Arc<T>> {
        let entry = self.entry(owner, url);
        // Before the look, so that an end that comes in between is not missed.
        let mut finished = entry.finished.subscribe();
        if let Some(document) = entry.younger_than(FRESH).filter(|document| suits(document)) {
            return Some(document);
        }
        match entry.begin() {
            Begun::Started(running) => {
                let (outbound, url, parse) = (outbound.clone(), url.to_owned(), self.parse);
                // A task of its own: a request that goes away cannot cut it short for the others.
                tokio::spawn(async move { running.fetch(&outbound, &url, parse).await });
                let _ = patience::wait(WAIT, finished.changed()).await;
            }
            Begun::RunsAlready => {
                let _ = patience::wait(WAIT, finished.changed()).await;
            }
            Begun::TooSoon => {}
        }
        entry.younger_than(STALE)
    }

    fn entry(&self, owner: &O, url: &str) -> Arc<Entry<T>> {
        let made = self.entries.get_or_insert_with(&(owner.clone(), url.to_owned()), || {
            let state = State { document: None, last_start: None, is_running: false };
            let (state, finished) = (Mutex::new(state), watch::Sender::new(()));
            Ok::<_, std::convert::Infallible>(Arc::new(Entry { state, finished }))
        });
        made.unwrap_or_else(|never| match never {})
    }
}

/// What became of the wish to fetch.
enum Begun<T> {
    Started(Running<T>),
    RunsAlready,
    TooSoon,
}

impl<T> Entry<T> {
    fn younger_than(&self, age: Duration) -> Option<Arc<T>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let document = state.document.as_ref().filter(|(_, at)| at.elapsed() < age);
        document.map(|(document, _)| Arc::clone(document))
    }

    fn begin(self: &Arc<Self>) -> Begun<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_running {
            return Begun::RunsAlready;
        }
        let now = Instant::now();
        if state.last_start.is_some_and(|start| now.duration_since(start) < COOL_DOWN) {
            return Begun::TooSoon;
        }
        state.last_start = Some(now);
        state.is_running = true;
        Begun::Started(Running { entry: Arc::clone(self), asked: now })
    }
}

/// A fetch under way. However it ends, those who wait hear of it.
struct Running<T> {
    entry: Arc<Entry<T>>,
    asked: Instant,
}

impl<T> Running<T> {
    async fn fetch(self, outbound: &Outbound, url: &str, parse: fn(&Value) -> Option<T>) {
        let answer = outbound.get_json(url).await;
        let document = answer.and_then(|json| parse(&json).ok_or(CallFailed::Malformed));
        match document {
            Ok(document) => {
                let mut state = self.entry.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.document = Some((Arc::new(document), self.asked));
            }
            // Not the URL: its path can be a secret.
            Err(reason) => tracing::info!(%reason, "a registered document was not fetched"),
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        let mut state = self.entry.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_running = false;
        drop(state);
        self.entry.finished.send_replace(());
    }
}

impl Issuer {
    /// The public keys that this client registered (RFC 7517 §5), by value or by URL. Where they lack the
    /// `kid` of this token they are fetched again, at most once in ten seconds. The error is for the audit
    /// log: whoever chose the URL hears no more than of a wrong signature.
    pub(crate) async fn client_keys(
        &self,
        client: &Client,
        token: &str,
    ) -> Result<Arc<ForeignKeys>, &'static str> {
        let Registration { jwks, jwks_uri, .. } = &client.registration;
        let keys = match (jwks, jwks_uri) {
            (Some(jwks), _) => {
                let keys = ForeignKeys::read(jwks).map_err(|_| "client_keys_unusable")?;
                Arc::new(keys)
            }
            (None, Some(url)) => {
                let kid = unverified_kid(token);
                let suits = |set: &ForeignKeys| kid.as_ref().is_none_or(|kid| set.may_have(kid));
                let at = (&client.id, url.as_str());
                let found = self.0.client_keys.find(&self.0.outbound, at, suits).await;
                found.ok_or("client_keys_unreachable")?
            }
            (None, None) => return Err("client_without_keys"),
        };
        if keys.is_empty() { Err("client_without_keys") } else { Ok(keys) }
    }

    /// Whether a URL that somebody wants to register can be called: `Invalid` with the member's name where
    /// it cannot. What its name leads to is found out at each call.
    pub fn check_url(&self, member: &'static str, url: &str) -> Result<()> {
        self.0.outbound.check(url).map(drop).map_err(|_| Error::Invalid(member))
    }

    /// Whether the document at a `sector_identifier_uri` names all of these redirect URIs, byte by byte
    /// (OpenID Connect Registration 1.0 §5).
    pub async fn check_sector(&self, url: &str, redirect_uris: &[String]) -> Result<()> {
        let answer = self.0.outbound.get_json(url).await;
        let listed = answer.ok().and_then(|json| serde_json::from_value::<Vec<String>>(json).ok());
        match listed {
            Some(listed) if redirect_uris.iter().all(|uri| listed.contains(uri)) => Ok(()),
            _ => Err(Error::Invalid("sector_identifier_uri")),
        }
    }
}

/// What a document of keys is parsed to.
pub(crate) fn key_set(json: &Value) -> Option<ForeignKeys> {
    ForeignKeys::read(json).ok()
}
