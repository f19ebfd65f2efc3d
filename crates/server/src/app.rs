//! What every handler holds.

use std::sync::Arc;

use procura_issuer::Issuer;
use procura_token::Seq;
use tokio::sync::{Semaphore, watch};

use crate::{
    metrics::Metrics, proxies::Proxies, readiness::Readiness, serve::Bounds, telemetry::Telemetry,
    tls::Tls,
};

/// As many feeds are served at once; each is one connection.
const MAX_FEEDS: usize = 2048;

/// The state of the server. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What it is put together from.
pub struct Parts {
    /// The verbs.
    pub issuer: Issuer,
    /// The head as last read from the database.
    pub heartbeat: watch::Receiver<Option<Seq>>,
    /// Turns true once.
    pub stopping: watch::Receiver<bool>,
    /// Whose word about a client's address counts.
    pub proxies: Proxies,
    /// Where traces go, if anywhere.
    pub telemetry: Option<Telemetry>,
    /// How much the public listener takes on.
    pub bounds: Bounds,
    /// What ends its TLS, where it does so itself.
    pub tls: Option<Tls>,
}

struct Inner {
    parts: Parts,
    readiness: Readiness,
    metrics: Metrics,
    feeds: Arc<Semaphore>,
}

impl App {
    /// Puts it together, and starts to look after its readiness.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let feeds = Arc::new(Semaphore::new(MAX_FEEDS));
        let readiness = Readiness::start(parts.issuer.clone());
        let metrics = Metrics::new(&parts.issuer);
        Self(Arc::new(Inner { parts, readiness, metrics, feeds }))
    }

    /// The verbs.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.parts.issuer
    }

    /// The issuer's name: the root of every URL that is ever sent out. No header decides it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.issuer().settings().issuer
    }

    /// Whether cookies can demand TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.origin().starts_with("https://")
    }

    /// What this node misses to do its work; nothing where it is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = self.0.readiness.missing();
        if *self.0.parts.stopping.borrow() {
            missing.push("stopping");
        }
        missing
    }

    /// Whose word about a client's address counts.
    #[must_use]
    pub fn proxies(&self) -> &Proxies {
        &self.0.parts.proxies
    }

    /// Where traces go, if anywhere.
    #[must_use]
    pub fn telemetry(&self) -> Option<&Telemetry> {
        self.0.parts.telemetry.as_ref()
    }

    /// The figures.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Open connections of the public listener.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.parts.bounds.open()
    }

    /// Whether the public listener speaks TLS itself.
    #[must_use]
    pub fn ends_tls(&self) -> bool {
        self.0.parts.tls.is_some()
    }

    /// When the certificate of the public listener expires, in seconds of the Unix epoch; 0 where it has
    /// none.
    #[must_use]
    pub fn certificate_end(&self) -> i64 {
        self.0.parts.tls.as_ref().map_or(0, Tls::not_after)
    }

    /// Open feeds.
    #[must_use]
    pub fn feeds_open(&self) -> usize {
        MAX_FEEDS.saturating_sub(self.0.feeds.available_permits())
    }

    pub(crate) fn heartbeat(&self) -> watch::Receiver<Option<Seq>> {
        self.0.parts.heartbeat.clone()
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.parts.stopping.clone()
    }

    pub(crate) fn feeds(&self) -> &Arc<Semaphore> {
        &self.0.feeds
    }
}
