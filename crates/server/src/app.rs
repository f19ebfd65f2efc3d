//! What every handler holds.

use std::sync::Arc;

use procura_issuer::Issuer;
use procura_token::Seq;
use tokio::sync::{Semaphore, watch};

/// As many feeds are served at once; each is one connection.
const MAX_FEEDS: usize = 2048;

/// The state of the server. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    issuer: Issuer,
    heartbeat: watch::Receiver<Option<Seq>>,
    stopping: watch::Receiver<bool>,
    feeds: Arc<Semaphore>,
}

impl App {
    /// Puts it together. `heartbeat` carries the head as last read from the database; `stopping`
    /// turns true once.
    #[must_use]
    pub fn new(
        issuer: Issuer,
        heartbeat: watch::Receiver<Option<Seq>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let feeds = Arc::new(Semaphore::new(MAX_FEEDS));
        Self(Arc::new(Inner { issuer, heartbeat, stopping, feeds }))
    }

    /// The verbs.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// The issuer's name: the root of every URL that is ever sent out. No header decides it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.issuer.settings().issuer
    }

    /// Whether cookies can demand TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.origin().starts_with("https://")
    }

    pub(crate) fn heartbeat(&self) -> watch::Receiver<Option<Seq>> {
        self.0.heartbeat.clone()
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.clone()
    }

    pub(crate) fn feeds(&self) -> &Arc<Semaphore> {
        &self.0.feeds
    }
}
