//! The view as all tasks of one verifier share it: a lock around it, and a bell when it changes.

use std::{
    sync::{PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use procura_token::{KeyHash, Seq};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use crate::{
    clock::Moment,
    view::{Asked, Verdict, View},
};

/// So long a delegated token waits for entries that are known to be on their way.
const CATCH_UP_WITHIN: Duration = Duration::from_millis(50);

/// The shared view.
pub struct Standing {
    view: RwLock<View>,
    changed: watch::Sender<()>,
    /// The version of the issuer's public keys, as the feed told it last.
    keys: watch::Sender<i64>,
    /// Rings when there is something new to acknowledge.
    pub applied: Notify,
}

impl Standing {
    /// Shares the view.
    pub fn new(view: View) -> Self {
        Self {
            view: RwLock::new(view),
            changed: watch::Sender::new(()),
            keys: watch::Sender::new(0),
            applied: Notify::new(),
        }
    }

    /// The view. Never held across an await.
    pub fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver that is told of every change, other than the renewal of a running lease.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The feed told of the issuer's public keys. A version only grows, except after a restore.
    pub fn announce_keys(&self, version: i64) {
        self.keys.send_replace(version);
    }

    /// Follows what [`Standing::announce_keys`] is told.
    pub fn announced_keys(&self) -> watch::Receiver<i64> {
        self.keys.subscribe()
    }

    /// Changes the view, and rings both bells.
    pub fn update<T>(&self, change: impl FnOnce(&mut View) -> T) -> T {
        let outcome = change(&mut self.view.write().unwrap_or_else(PoisonError::into_inner));
        self.applied.notify_one();
        self.changed.send_replace(());
        outcome
    }

    /// Takes the answer to an acknowledgement.
    pub fn grant(&self, asked: &Asked, head: Seq, length: Duration) {
        let now = Moment::now();
        let has_begun = {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            let had_lease = view.lease_end(now).is_some();
            view.grant(asked, head, length);
            !had_lease && view.lease_end(now).is_some()
        };
        // Renewals ring no bell: long-lived responses would all wake up twice a second.
        if has_begun {
            self.changed.send_replace(());
        }
    }

    /// Judges a delegated token; one for which this verifier is behind waits a moment for the feed.
    /// Never answers [`Verdict::Behind`].
    pub async fn settle(&self, rvs: Seq, keys: &[KeyHash]) -> Verdict {
        let judge = || self.view().judge(rvs, keys, Moment::now());
        let first = judge();
        if first != Verdict::Behind {
            return first;
        }
        let deadline = Instant::now() + CATCH_UP_WITHIN;
        let mut changed = self.subscribe();
        loop {
            changed.borrow_and_update();
            match judge() {
                Verdict::Behind => {}
                settled => return settled,
            }
            if timeout_at(deadline, changed.changed()).await.is_err() {
                return Verdict::Blind;
            }
        }
    }
}
