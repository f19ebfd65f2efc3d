//! The verifiers that follow the feed: how far each is, and how long it may still believe what it
//! knows. So the answer to a revocation can say who has applied it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use procura_store::clients::ResourceServer;
use procura_token::{ClientId, Seq};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{Error, Issuer, Result};

/// A verifier may go on for so long after it asked.
pub const LEASE: Duration = Duration::from_secs(2);
/// Nobody waits longer for a confirmation; by then every lease from before has run out.
const PATIENCE: Duration = Duration::from_secs(3);
/// As many verifiers are remembered.
const MAX_VERIFIERS: usize = 10_000;

#[derive(Clone, Copy)]
struct State {
    applied: Seq,
    /// Counted from when the request came in, which is later than when it was sent: the verifier's
    /// own lease is over by then.
    lease_until: Instant,
}

/// One running verifier: a restart is another one, with no lease from before.
type Key = (ClientId, String, String);

/// All verifiers that hold, or may still hold, a lease.
#[derive(Default)]
pub struct Registry {
    states: Mutex<HashMap<Key, State>>,
    changed: Notify,
}

/// How many verifiers count, and how many of them are far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Verifiers with a lease that may still run.
    pub live: usize,
    /// Those that have applied the position.
    pub confirmed: usize,
}

/// What a verifier says of itself.
#[derive(Clone, Debug)]
pub struct Ack<'a> {
    /// Its name, chosen by its operator.
    pub verifier: &'a str,
    /// A random text of this start of the process.
    pub incarnation: &'a str,
    /// How far it has applied the log.
    pub applied: Seq,
}

impl Issuer {
    /// Takes an acknowledgement and grants a lease: answers the head, read from the database.
    ///
    /// The lease is noted **before** the head is read. The other way round, a revocation could commit
    /// in between, count no live verifier, and be reported as applied while this one goes on.
    pub async fn acknowledge(&self, server: &ResourceServer, ack: &Ack<'_>) -> Result<Seq> {
        let is_name = |text: &str| {
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if !is_name(ack.verifier) {
            return Err(Error::Invalid("verifier"));
        }
        if !is_name(ack.incarnation) {
            return Err(Error::Invalid("incarnation"));
        }
        let key = (server.client.clone(), ack.verifier.to_owned(), ack.incarnation.to_owned());
        self.0.verifiers.note(key, ack.applied)?;
        Ok(self.0.store.revocation_head().await?)
    }
}

impl Registry {
    fn note(&self, key: Key, applied: Seq) -> Result<()> {
        let now = Instant::now();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|_, state| state.lease_until > now);
        if states.len() >= MAX_VERIFIERS && !states.contains_key(&key) {
            return Err(Error::Busy);
        }
        let state = State { applied, lease_until: now + LEASE };
        states.insert(key, state);
        drop(states);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Counts the live verifiers and those that have applied `seq`.
    #[must_use]
    pub fn count(&self, seq: Seq) -> Counted {
        let now = Instant::now();
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let live = states.values().filter(|state| state.lease_until > now);
        live.fold(Counted { live: 0, confirmed: 0 }, |c, state| Counted {
            live: c.live + 1,
            confirmed: c.confirmed + usize::from(state.applied >= seq),
        })
    }

    /// Counts at once, or waits until every live verifier has applied `seq` or lost its lease.
    pub(crate) async fn confirm(&self, seq: Seq, is_waiting: bool) -> Counted {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let changed = self.changed.notified();
            let counted = self.count(seq);
            if !is_waiting || counted.live == counted.confirmed || Instant::now() >= deadline {
                return counted;
            }
            // Woken by an acknowledgement, or by the end of the next lease.
            let wake = self.next_lease_end(seq).unwrap_or(deadline).min(deadline);
            let _ = timeout_at(wake, changed).await;
        }
    }

    fn next_lease_end(&self, seq: Seq) -> Option<Instant> {
        let now = Instant::now();
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = states.values().filter(|s| s.applied < seq && s.lease_until > now);
        behind.map(|state| state.lease_until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        ("cli_isp".parse().unwrap(), name.to_owned(), "i".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_verifier_that_died_counts_as_closed_once_its_lease_has_run_out() {
        let registry = Registry::default();
        registry.note(key("alive"), Seq(10)).unwrap();
        registry.note(key("dead"), Seq(5)).unwrap();
        assert_eq!(registry.confirm(Seq(10), false).await, Counted { live: 2, confirmed: 1 });
        let before = Instant::now();
        let counted = registry.confirm(Seq(10), true).await;
        assert_eq!(counted.live, counted.confirmed);
        assert_eq!(before.elapsed().as_secs(), LEASE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgement_ends_the_wait() {
        let registry = std::sync::Arc::new(Registry::default());
        registry.note(key("a"), Seq(5)).unwrap();
        let waiting = tokio::spawn({
            let registry = std::sync::Arc::clone(&registry);
            async move { registry.confirm(Seq(10), true).await }
        });
        tokio::task::yield_now().await;
        registry.note(key("a"), Seq(10)).unwrap();
        assert_eq!(waiting.await.unwrap(), Counted { live: 1, confirmed: 1 });
    }
}
