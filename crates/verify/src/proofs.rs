//! Proofs of possession that were used here, so that each is used once (RFC 9449 §11.1). In the memory
//! of this process and bounded: verifiers that share an address do not know of each other's, and a full
//! memory refuses instead of forgetting.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use procura_token::dpop::{MAX_AGE_SECS, MAX_AHEAD_SECS};

/// Longer than any proof is accepted.
const GENERATION: Duration = Duration::from_secs((MAX_AGE_SECS + MAX_AHEAD_SECS).unsigned_abs());

/// What using a proof comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It was not used here before.
    First,
    /// It was.
    Again,
    /// Nobody can tell: too many are in use.
    Full,
}

/// Digests in two generations: what was put into one is there until the next one has gone by too.
pub(crate) struct UsedProofs {
    most: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    since: Instant,
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}

impl UsedProofs {
    /// With room for so many in one generation.
    pub(crate) fn new(most: usize) -> Self {
        let kept = Kept { since: Instant::now(), young: HashSet::new(), old: HashSet::new() };
        Self { most, kept: Mutex::new(kept) }
    }

    pub(crate) fn take(&self, id: [u8; 32], now: Instant) -> Use {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.turn(now);
        if kept.young.contains(&id) || kept.old.contains(&id) {
            return Use::Again;
        }
        if kept.young.len() >= self.most {
            return Use::Full;
        }
        kept.young.insert(id);
        Use::First
    }
}

impl Kept {
    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        if passed < GENERATION {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if passed >= 2 * GENERATION {
            self.old.clear();
        }
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_used_once_for_as_long_as_it_is_accepted() {
        let used = UsedProofs::new(2);
        let start = Instant::now();
        let after = |secs: u64| start + Duration::from_secs(secs);
        assert_eq!(used.take([1; 32], after(74)), Use::First);
        for secs in [74, 75, 100, 149] {
            assert_eq!(used.take([1; 32], after(secs)), Use::Again, "{secs}");
        }
        assert_eq!(used.take([1; 32], after(400)), Use::First, "nobody accepts it any more");
    }

    #[test]
    fn a_full_memory_refuses_and_forgets_nothing() {
        let used = UsedProofs::new(2);
        let now = Instant::now();
        assert_eq!(used.take([1; 32], now), Use::First);
        assert_eq!(used.take([2; 32], now), Use::First);
        assert_eq!(used.take([3; 32], now), Use::Full);
        assert_eq!(used.take([1; 32], now), Use::Again);
        assert_eq!(used.take([3; 32], now + GENERATION), Use::First);
    }
}
