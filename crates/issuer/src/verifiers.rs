//! The verifiers that follow the log: how far each is, and how long it may still believe what it
//! knows. So the answer to a revocation can say who has applied it.
//!
//! Two witnesses count, and a verifier is waited for as long as either says that its lease can run:
//! SQL, which knows what was acknowledged to other nodes, by the database's clock; and this process,
//! by its own monotonic clock, which wakes whoever waits at once and needs no clock to be right.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use procura_store::{
    Store,
    clients::ResourceServer,
    verifiers::{Holder, Running},
};
use procura_token::Seq;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{Error, Issuer, Result};

/// A verifier may go on for so long after it asked.
pub const LEASE: Duration = Duration::from_secs(2);
/// Nobody waits longer for a confirmation; by then every lease from before has run out, also one that
/// could not be counted because SQL could not be read.
const PATIENCE: Duration = Duration::from_secs(3);
/// Who only wants to know how many there are waits no longer than this for SQL.
const GLANCE: Duration = Duration::from_millis(250);
/// While somebody waits, SQL is read again this often for what other nodes have heard.
const READ_AGAIN: Duration = Duration::from_millis(10);
/// As many verifiers are remembered.
const MAX_VERIFIERS: usize = 10_000;

#[derive(Clone, Copy)]
struct State {
    applied: Seq,
    /// Counted from when the request came in, which is later than when it was sent: the verifier's
    /// own lease is over by then.
    lease_until: Instant,
}

/// The verifiers that acknowledged to this node and hold, or may still hold, a lease. A restart of one
/// is another one, with no lease from before.
#[derive(Default)]
pub struct Registry {
    states: Mutex<HashMap<Holder, State>>,
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
    /// in between, count no live verifier, and be reported as applied while this one goes on. Noted
    /// means: in SQL, where every node counts it.
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
        let holder = Holder {
            client: server.client.clone(),
            name: ack.verifier.to_owned(),
            incarnation: ack.incarnation.to_owned(),
        };
        self.0.verifiers.note(holder.clone(), ack.applied)?;
        self.0.leases.note(Running { holder, applied: ack.applied }).await?;
        Ok(self.0.store.revocation_head().await?)
    }
}

impl Registry {
    fn note(&self, holder: Holder, applied: Seq) -> Result<()> {
        let now = Instant::now();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|_, state| state.lease_until > now);
        if states.len() >= MAX_VERIFIERS && !states.contains_key(&holder) {
            return Err(Error::Busy);
        }
        let state = State { applied, lease_until: now + LEASE };
        states.insert(holder, state);
        drop(states);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Counts the live verifiers and those that have applied `seq`; `shared` are those in SQL.
    pub(crate) fn count(&self, seq: Seq, shared: Vec<Running>) -> Counted {
        let now = Instant::now();
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let mut live: HashMap<_, _> =
            shared.into_iter().map(|running| (running.holder, running.applied)).collect();
        for (holder, state) in states.iter() {
            match live.get_mut(holder) {
                // What it said here may be newer than what it said elsewhere, and the other way round.
                Some(applied) => *applied = state.applied.max(*applied),
                None if state.lease_until > now => {
                    live.insert(holder.clone(), state.applied);
                }
                None => {}
            }
        }
        let confirmed = live.values().filter(|applied| **applied >= seq).count();
        Counted { live: live.len(), confirmed }
    }

    /// Counts at once, or waits until every live verifier has applied `seq` or lost its lease.
    pub(crate) async fn confirm(
        &self,
        seq: Seq,
        is_waiting: bool,
        store: Option<&Store>,
    ) -> Counted {
        let deadline = Instant::now() + if is_waiting { PATIENCE } else { GLANCE };
        loop {
            let changed = self.changed.notified();
            let shared = match store {
                Some(store) => timeout_at(deadline, store.list_leases()).await.ok(),
                None => Some(Ok(Vec::new())),
            };
            let shared = shared.and_then(std::result::Result::ok);
            // Where SQL cannot be read nothing is confirmed before the leases must be over.
            let is_known = shared.is_some();
            let counted = self.count(seq, shared.unwrap_or_default());
            let is_done = is_known && counted.live == counted.confirmed;
            if !is_waiting || is_done || Instant::now() >= deadline {
                return counted;
            }
            // Woken by an acknowledgement to this node, by the end of the next lease, and now and then
            // for the sake of the other nodes.
            let again = store.map_or(deadline, |_| Instant::now() + READ_AGAIN);
            let wake = self.next_lease_end(seq).unwrap_or(deadline).min(again).min(deadline);
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

    fn key(name: &str) -> Holder {
        let client = "cli_isp".parse().unwrap();
        Holder { client, name: name.to_owned(), incarnation: "i".to_owned() }
    }

    fn elsewhere(name: &str, applied: i64) -> Running {
        Running { holder: key(name), applied: Seq(applied) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_verifier_counts_once_and_as_far_as_it_said_anywhere() {
        let registry = Registry::default();
        registry.note(key("a"), Seq(10)).unwrap();
        registry.note(key("b"), Seq(5)).unwrap();
        let shared = vec![elsewhere("a", 5), elsewhere("b", 10), elsewhere("c", 5)];
        let counted = registry.count(Seq(10), shared);
        assert_eq!(counted, Counted { live: 3, confirmed: 2 });
        // Over here by our clock, and running by that of the database: still waited for.
        tokio::time::advance(LEASE).await;
        assert_eq!(registry.count(Seq(10), vec![elsewhere("b", 5)]).live, 1);
        assert_eq!(registry.count(Seq(10), Vec::new()).live, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_verifier_that_died_counts_as_closed_once_its_lease_has_run_out() {
        let registry = Registry::default();
        registry.note(key("alive"), Seq(10)).unwrap();
        registry.note(key("dead"), Seq(5)).unwrap();
        assert_eq!(registry.confirm(Seq(10), false, None).await, Counted { live: 2, confirmed: 1 });
        let before = Instant::now();
        let counted = registry.confirm(Seq(10), true, None).await;
        assert_eq!(counted.live, counted.confirmed);
        assert_eq!(before.elapsed().as_secs(), LEASE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_acknowledgement_ends_the_wait() {
        let registry = std::sync::Arc::new(Registry::default());
        registry.note(key("a"), Seq(5)).unwrap();
        let waiting = tokio::spawn({
            let registry = std::sync::Arc::clone(&registry);
            async move { registry.confirm(Seq(10), true, None).await }
        });
        tokio::task::yield_now().await;
        registry.note(key("a"), Seq(10)).unwrap();
        assert_eq!(waiting.await.unwrap(), Counted { live: 1, confirmed: 1 });
    }

    #[tokio::test]
    async fn what_is_acknowledged_to_another_node_is_waited_for_and_ends_the_wait() {
        let store = Store::open(procura_store::Location::Memory).await.unwrap();
        let there = procura_store::verifiers::Leases::start(&store, Duration::from_mins(1));
        there.note(elsewhere("a", 5)).await.unwrap();
        let here = std::sync::Arc::new(Registry::default());
        let counted = here.confirm(Seq(10), false, Some(&store)).await;
        assert_eq!(counted, Counted { live: 1, confirmed: 0 });
        let waiting = tokio::spawn({
            let (here, store) = (std::sync::Arc::clone(&here), store.clone());
            async move { here.confirm(Seq(10), true, Some(&store)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        there.note(elsewhere("a", 10)).await.unwrap();
        assert_eq!(waiting.await.unwrap(), Counted { live: 1, confirmed: 1 });
    }

    #[tokio::test]
    async fn while_sql_cannot_be_read_nothing_is_confirmed_before_every_lease_is_over() {
        let store = Store::open(procura_store::Location::Memory).await.unwrap();
        store.close().await;
        let before = Instant::now();
        let counted = Registry::default().confirm(Seq(10), true, Some(&store)).await;
        assert_eq!(counted, Counted { live: 0, confirmed: 0 });
        assert!(before.elapsed() > LEASE);
    }
}
