//! The issuer's keys: fetched by one task, shared by all, the last good set kept.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use procura_token::KeySet;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::wire::{Failed, Wire, fetch};

/// Largest key set that is read.
const MAX_BYTES: usize = 1024 * 1024;
/// A fetch may take so long.
const FETCH_WITHIN: Duration = Duration::from_secs(2);
/// Unknown key ids cause at most one fetch in this time.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// The set is refreshed this often.
const REFRESH: Duration = Duration::from_mins(5);
/// Until the first set is here, it is asked for this often.
const RETRY: Duration = Duration::from_secs(1);

/// What became of the fetches so far.
#[derive(Clone, Copy, Debug, Default)]
struct Fetches {
    last_start: Option<Instant>,
    is_running: bool,
    finished: u64,
    has_last_succeeded: bool,
}

/// The key that a token names is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// The issuer was asked and does not publish it.
    Unknown,
    /// The issuer could not be asked.
    Unavailable,
}

/// The key cache.
pub struct Keys {
    set: RwLock<Option<Arc<KeySet>>>,
    wanted: Notify,
    fetches: watch::Sender<Fetches>,
}

impl Keys {
    /// An empty cache; [`Keys::run`] fills it.
    pub fn new() -> Self {
        let fetches = watch::Sender::new(Fetches::default());
        Self { set: RwLock::new(None), wanted: Notify::new(), fetches }
    }

    /// The last good set.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is a set at all.
    pub fn is_loaded(&self) -> bool {
        self.current().is_some()
    }

    /// Resolves once there is a set.
    pub async fn loaded(&self) {
        let mut fetches = self.fetches.subscribe();
        // The sender lives in `self`, so the channel cannot close meanwhile.
        let _ = fetches.wait_for(|_| self.is_loaded()).await;
    }

    /// A set that has this key. For an unknown key the issuer is asked, at most once in
    /// [`COOL_DOWN`] however many ask; callers share one fetch.
    pub async fn with(&self, kid: &str) -> Result<Arc<KeySet>, NoKey> {
        if let Some(set) = self.current().filter(|set| set.knows(kid)) {
            return Ok(set);
        }
        let mut fetches = self.fetches.subscribe();
        let before = *fetches.borrow_and_update();
        if before.is_running || !is_cooling(&before) {
            self.wanted.notify_one();
            let is_done = fetches.wait_for(|now| now.finished > before.finished);
            // Should the task be slower than its own limit, the old set decides.
            let _ = timeout(FETCH_WITHIN + COOL_DOWN / 10, is_done).await;
        }
        match self.current().filter(|set| set.knows(kid)) {
            Some(set) => Ok(set),
            None if self.fetches.borrow().has_last_succeeded => Err(NoKey::Unknown),
            None => Err(NoKey::Unavailable),
        }
    }

    /// Fetches at once, then every [`REFRESH`] and when a key is wanted. It alone fetches, so a
    /// caller that goes away cannot cut a fetch short that others wait for.
    pub async fn run(&self, wire: &Wire) {
        loop {
            self.fetches.send_modify(|fetches| {
                fetches.last_start = Some(Instant::now());
                fetches.is_running = true;
            });
            let fetched = read(wire).await;
            if let Err(reason) = &fetched {
                tracing::warn!(%reason, "the issuer's keys were not fetched");
            }
            let has_last_succeeded = fetched.is_ok();
            if let Ok(set) = fetched {
                *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
            }
            self.fetches.send_modify(|fetches| {
                fetches.is_running = false;
                fetches.finished += 1;
                fetches.has_last_succeeded = has_last_succeeded;
            });
            self.pause(has_last_succeeded).await;
        }
    }

    async fn pause(&self, has_succeeded: bool) {
        let idle = match (has_succeeded, self.is_loaded()) {
            (true, _) => REFRESH,
            (false, true) => COOL_DOWN,
            (false, false) => RETRY,
        };
        let wanted = async {
            loop {
                self.wanted.notified().await;
                if !is_cooling(&self.fetches.borrow()) {
                    break;
                }
            }
        };
        tokio::select! {
            () = sleep(idle) => {}
            () = wanted => {}
        }
    }
}

fn is_cooling(fetches: &Fetches) -> bool {
    fetches.last_start.is_some_and(|start| start.elapsed() < COOL_DOWN)
}

async fn read(wire: &Wire) -> Result<KeySet, Failed> {
    let body = fetch(wire.get_public("/oauth2/jwks"), MAX_BYTES, FETCH_WITHIN).await?;
    let set = KeySet::from_json(&body).map_err(|_| Failed::Malformed)?;
    // An issuer always publishes keys: an empty set is a fault and must not replace a good one.
    if set.is_empty() { Err(Failed::Malformed) } else { Ok(set) }
}
