//! What this verifier knows about revocation. Pure: no I/O, no clock, no lock.
//!
//! Everything here only grows: a key's seq, `applied` and the known head never go down, whatever
//! arrives, in whatever order, however often. So a token that was refused is never accepted again.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use procura_token::{KeyHash, Seq, Ts};

use crate::clock::Moment;

/// For how long after an entry's end it is kept nevertheless, in seconds. The same wall clock that
/// judges it judges `exp`, so this only has to outlast a clock that is set back.
pub const FORGET_MARGIN_SECS: i64 = 600;

/// So many leases may wait for the entries that they depend on.
const MAX_WAITING_LEASES: usize = 8;

/// One revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The blinded key that died.
    pub key: KeyHash,
    /// Tokens with an `rvs` below this are dead.
    pub seq: Seq,
    /// Unix second from which the entry can kill nothing any more.
    pub forget_at: i64,
    /// Whether it kills whatever `rvs` a token claims.
    pub is_absolute: bool,
}

/// What [`View::apply`] made of an entry of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one.
    InOrder,
    /// It was known already.
    Known,
    /// Entries are missing before it: the snapshot must be read.
    Gap,
}

/// What the view says of a delegated token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not revoked, as far as the lease reaches.
    Live,
    /// Revoked, for ever.
    Revoked,
    /// This verifier knows that it misses something that is on its way.
    Behind,
    /// This verifier cannot tell.
    Blind,
}

/// Which incarnation asked for a lease, and when. Only that incarnation can redeem it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    incarnation: String,
    at: Moment,
    /// The position that is reported.
    pub applied: Seq,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    seq: Seq,
    forget_at: i64,
    is_absolute: bool,
}

/// The revocation view of one incarnation of a verifier.
#[derive(Debug)]
pub struct View {
    incarnation: String,
    entries: HashMap<KeyHash, Known>,
    /// Everything up to here is in `entries`; `None` before the first snapshot.
    applied: Option<Seq>,
    /// The greatest head that anybody told of. Beyond `applied` means: something is missing.
    head: Seq,
    /// The server does not know our position: only a snapshot helps.
    is_lost: bool,
    lease_end: Option<Moment>,
    waiting: VecDeque<(Seq, Moment)>,
    /// The signing keys among the entries.
    dead_keys: Vec<KeyHash>,
}

impl View {
    /// A view that knows nothing and holds no lease. The incarnation must be random per start.
    #[must_use]
    pub fn new(incarnation: String) -> Self {
        Self {
            incarnation,
            entries: HashMap::new(),
            applied: None,
            head: Seq::default(),
            is_lost: true,
            lease_end: None,
            waiting: VecDeque::new(),
            dead_keys: Vec::new(),
        }
    }

    /// The random name of this start.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// How far the log is applied without a gap; `None` before the first snapshot.
    #[must_use]
    pub const fn applied(&self) -> Option<Seq> {
        self.applied
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether everything that this verifier has heard of is applied.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        !self.is_lost && self.applied.is_some_and(|applied| applied >= self.head)
    }

    /// Whether only a snapshot can bring this view up to date.
    #[must_use]
    pub const fn needs_snapshot(&self) -> bool {
        self.is_lost
    }

    /// The end of the lease, if it has not passed.
    #[must_use]
    pub fn lease_end(&self, now: Moment) -> Option<Moment> {
        self.lease_end.filter(|end| now.is_before(*end))
    }

    /// Takes an entry of the stream; `previous` is the head before it. The entry itself always
    /// counts, also where something is missing before it.
    pub fn apply(&mut self, entry: Entry, previous: Seq) -> Applied {
        self.insert(entry);
        self.head = self.head.max(entry.seq);
        let Some(applied) = self.applied else {
            self.is_lost = true;
            return Applied::Gap;
        };
        if entry.seq <= applied {
            Applied::Known
        } else if previous == applied {
            self.advance(entry.seq);
            Applied::InOrder
        } else {
            self.is_lost = true;
            Applied::Gap
        }
    }

    /// Takes a heartbeat. Answers whether entries are missing, so that the snapshot must be read.
    pub fn heartbeat(&mut self, head: Seq) -> bool {
        self.head = self.head.max(head);
        if !self.is_synced() {
            self.is_lost = true;
        }
        self.is_lost
    }

    /// The server does not know our position.
    pub const fn reset(&mut self) {
        self.is_lost = true;
    }

    /// Takes a snapshot, complete up to `head`. It adds; it takes nothing away.
    pub fn snapshot(&mut self, head: Seq, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.insert(entry);
        }
        self.head = self.head.max(head);
        self.advance(head);
        // A snapshot older than what was heard of leaves the view lost.
        self.is_lost = self.applied < Some(self.head);
    }

    /// What an acknowledgement sent now says; `None` while there is nothing to acknowledge.
    #[must_use]
    pub fn ask(&self, now: Moment) -> Option<Asked> {
        let applied = self.applied?;
        Some(Asked { incarnation: self.incarnation.clone(), at: now, applied })
    }

    /// Takes the answer to an acknowledgement: a lease of `length` that began when the request was
    /// sent, good once everything up to `head` is applied.
    pub fn grant(&mut self, asked: &Asked, head: Seq, length: Duration) {
        if asked.incarnation != self.incarnation {
            return;
        }
        self.head = self.head.max(head);
        self.waiting.push_back((head, asked.at.plus(length)));
        if self.waiting.len() > MAX_WAITING_LEASES {
            self.waiting.pop_front();
        }
        self.redeem();
    }

    /// Whether a token is known to be revoked.
    #[must_use]
    pub fn is_revoked(&self, rvs: Seq, keys: &[KeyHash]) -> bool {
        let is_dead = |known: &Known| known.is_absolute || known.seq > rvs;
        keys.iter().any(|key| self.entries.get(key).is_some_and(is_dead))
    }

    /// The blinded ids of signing keys that were stolen. Nothing that they sign is worth anything.
    #[must_use]
    pub fn dead_keys(&self) -> &[KeyHash] {
        &self.dead_keys
    }

    /// Judges a delegated token.
    #[must_use]
    pub fn judge(&self, rvs: Seq, keys: &[KeyHash], now: Moment) -> Verdict {
        if self.is_revoked(rvs, keys) {
            return Verdict::Revoked;
        }
        let (Some(applied), Some(_)) = (self.applied, self.lease_end(now)) else {
            return Verdict::Blind;
        };
        // `rvs` is the head that the issuer had read: beyond `applied` it proves that we are behind.
        if !self.is_synced() || rvs > applied { Verdict::Behind } else { Verdict::Live }
    }

    /// Forgets what can kill nothing any more.
    pub fn forget(&mut self, now: Ts) {
        let now = now.secs();
        self.entries.retain(|_, known| known.forget_at.saturating_add(FORGET_MARGIN_SECS) > now);
        self.dead_keys.retain(|key| self.entries.contains_key(key));
    }

    fn insert(&mut self, entry: Entry) {
        let known = self.entries.entry(entry.key).or_insert(Known {
            seq: entry.seq,
            forget_at: entry.forget_at,
            is_absolute: false,
        });
        if entry.is_absolute && !known.is_absolute {
            self.dead_keys.push(entry.key);
        }
        known.is_absolute |= entry.is_absolute;
        known.seq = known.seq.max(entry.seq);
        known.forget_at = known.forget_at.max(entry.forget_at);
    }

    fn advance(&mut self, to: Seq) {
        self.applied = self.applied.max(Some(to));
        self.redeem();
    }

    fn redeem(&mut self) {
        let Some(applied) = self.applied else { return };
        let lease_end = &mut self.lease_end;
        self.waiting.retain(|(head, end)| {
            let is_reached = applied >= *head;
            if is_reached && lease_end.is_none_or(|known| known.mono < end.mono) {
                *lease_end = Some(*end);
            }
            !is_reached
        });
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
