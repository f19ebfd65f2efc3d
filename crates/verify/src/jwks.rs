//! The issuer's keys: fetched by one task, shared by all, the last good set kept for a day.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use procura_token::{KeyHash, KeySet};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::{
    clock::Moment,
    standing::Standing,
    wire::{Failed, Wire, fetch_tagged},
};

/// Largest key set that is read.
const MAX_BYTES: usize = 1024 * 1024;
/// A fetch may take so long.
const FETCH_WITHIN: Duration = Duration::from_secs(2);
/// Unknown key ids cause at most one fetch in this time.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// The set is refreshed this often.
const REFRESH: Duration = Duration::from_mins(5);
/// Until the first set is here, or the one that the feed told of, it is asked for this often.
const RETRY: Duration = Duration::from_secs(1);
/// An older set is worth nothing: what the issuer says of stolen keys is kept for a little longer than
/// this, and then forgotten.
const MAX_AGE: Duration = Duration::from_hours(24);

/// A set, when it was asked for, and its version where the issuer told it.
struct Fetched {
    set: Arc<KeySet>,
    good_until: Moment,
    version: Option<i64>,
}

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
    set: RwLock<Option<Fetched>>,
    /// Keys that were stolen: a set that still has them was fetched from a node that had not heard.
    dead: RwLock<Vec<KeyHash>>,
    /// The version that the feed told of.
    announced: AtomicI64,
    wanted: Notify,
    fetches: watch::Sender<Fetches>,
}

impl Keys {
    /// An empty cache; [`Keys::run`] fills it.
    pub fn new() -> Self {
        let fetches = watch::Sender::new(Fetches::default());
        let (set, announced) = (RwLock::new(None), AtomicI64::new(0));
        Self { set, dead: RwLock::default(), announced, wanted: Notify::new(), fetches }
    }

    /// The last good set, if it is not too old.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        let now = Moment::now();
        let fetched = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let good = fetched.as_ref().filter(|fetched| now.is_before(fetched.good_until));
        good.map(|fetched| Arc::clone(&fetched.set))
    }

    /// Heeds the feed for ever: fetches the set when it tells of another one, and drops a key at once
    /// that it tells was stolen.
    pub async fn heed(&self, standing: &Standing) {
        let (mut announced, mut changed) = (standing.announced_keys(), standing.subscribe());
        let mut dropped = Vec::new();
        loop {
            let dead = standing.view().dead_keys().to_vec();
            if dead != dropped {
                self.drop_keys(&dead);
                self.fetch_now();
                dropped = dead;
            }
            // Both senders live as long as the verifier.
            tokio::select! {
                _ = changed.changed() => {}
                _ = announced.changed() => {
                    let version = *announced.borrow_and_update();
                    if self.announced.swap(version, Ordering::Relaxed) != version
                        && self.version() != Some(version)
                    {
                        self.fetch_now();
                    }
                }
            }
        }
    }

    fn version(&self) -> Option<i64> {
        let fetched = self.set.read().unwrap_or_else(PoisonError::into_inner);
        fetched.as_ref().and_then(|fetched| fetched.version)
    }

    /// What the feed says is worth a fetch of its own, however short the last one is ago.
    fn fetch_now(&self) {
        self.fetches.send_modify(|fetches| fetches.last_start = None);
        self.wanted.notify_one();
    }

    fn drop_keys(&self, dead: &[KeyHash]) {
        *self.dead.write().unwrap_or_else(PoisonError::into_inner) = dead.to_vec();
        let mut fetched = self.set.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(fetched) = fetched.as_mut()
            && let Some(left) = fetched.set.without(dead)
        {
            fetched.set = Arc::new(left);
        }
    }

    /// Whether the set is older than what the feed told of: fetched from a node that had not heard.
    fn is_behind(&self) -> bool {
        self.version().is_some_and(|version| version < self.announced.load(Ordering::Relaxed))
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
            let asked = Moment::now();
            let fetched = read(wire).await;
            if let Err(reason) = &fetched {
                tracing::warn!(%reason, "the issuer's keys were not fetched");
            }
            let has_last_succeeded = fetched.is_ok();
            if let Ok((set, version)) = fetched {
                let good_until = asked.plus(MAX_AGE);
                let dead = self.dead.read().unwrap_or_else(PoisonError::into_inner).clone();
                let set = set.without(&dead).unwrap_or(set);
                let fetched = Fetched { set: Arc::new(set), good_until, version };
                *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
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
            (true, _) if self.is_behind() => RETRY,
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

async fn read(wire: &Wire) -> Result<(KeySet, Option<i64>), Failed> {
    let request = wire.get_public("/oauth2/jwks");
    let (body, tag) = fetch_tagged(request, MAX_BYTES, FETCH_WITHIN).await?;
    let set = KeySet::from_json(&body).map_err(|_| Failed::Malformed)?;
    // An issuer always publishes keys: an empty set is a fault and must not replace a good one.
    if set.is_empty() {
        return Err(Failed::Malformed);
    }
    Ok((set, tag.as_deref().and_then(version_of)))
}

/// `"keys-7"`, also where a proxy made it weak (RFC 9110 §8.8.3).
fn version_of(tag: &str) -> Option<i64> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix("\"keys-")?.strip_suffix('"')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use procura_token::{Jwk, Jwks, Key};

    use super::*;

    fn keys(good_until: Moment) -> Keys {
        let jwks = ["a", "b"].map(|kid| Jwk::ed25519(kid.to_owned(), &[7; 32]));
        let set = KeySet::new(&Jwks { keys: jwks.to_vec() });
        let keys = Keys::new();
        if let Ok(set) = set {
            let fetched = Fetched { set: Arc::new(set), good_until, version: None };
            *keys.set.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        }
        keys
    }

    #[test]
    fn a_set_is_good_for_a_day_on_either_clock() {
        let now = Moment::now();
        assert!(keys(now.plus(MAX_AGE)).is_loaded());
        assert!(!keys(now).is_loaded());
        let asleep = Moment { wall: now.wall, ..now.plus(MAX_AGE) };
        assert!(!keys(asleep).is_loaded());
    }

    #[test]
    fn a_stolen_key_is_dropped_and_the_others_stay() {
        let keys = keys(Moment::now().plus(MAX_AGE));
        keys.drop_keys(&[Key::SigningKey("a").hash(), Key::Jti("b").hash()]);
        let left = keys.current();
        assert!(left.is_some_and(|set| !set.knows("a") && set.knows("b")));
    }

    #[test]
    fn a_version_is_read_from_the_tag_and_from_nothing_else() {
        assert_eq!(version_of("\"keys-7\""), Some(7));
        assert_eq!(version_of("W/\"keys-7\""), Some(7));
        for other in ["", "keys-7", "\"keys-\"", "\"7\"", "\"keys-x\""] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }
}
