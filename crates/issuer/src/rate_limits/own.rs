//! What this node counts by itself: always, so that it never lets more through than it should where nobody
//! shares the count, and knows without asking who is far beyond a limit.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};

use super::{Key, Limit, Rules};

/// As many budgets of one limit are kept apart. While there are more who are not at rest, which takes a flood
/// of addresses that nobody has proven to be anybody's, all share one.
const MOST_KEYS: usize = 65_536;
/// Below this nobody is forgotten: it would not be worth the look.
const FEW_KEYS: usize = 1024;
/// Where no place is left, one of so many requests looks for those who need theirs no more.
const LOOK_EVERY: usize = 512;

/// The counts of all limits.
pub(super) struct Own<C: Clock = DefaultClock> {
    rules: Rules,
    clock: C,
    limits: Vec<Counts<C>>,
}

/// The counts of one limit.
struct Counts<C: Clock> {
    limiter: RateLimiter<Key, HashMapStateStore<Key>, C, StateInformationMiddleware>,
    /// With as many budgets those that are full again are forgotten.
    tidy_at: AtomicUsize,
    crowded: AtomicUsize,
}

impl Own {
    /// None are used up.
    pub fn new(rules: Rules) -> Option<Self> {
        Self::with_clock(rules, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Own<C> {
    /// The same by another clock; `None` where a limit is none.
    pub fn with_clock(rules: Rules, clock: C) -> Option<Self> {
        let counts = |limit: &Limit| {
            let rate = rules.rate(*limit);
            let quota = Quota::with_period(Duration::from_micros(rate.interval_micros))?;
            let quota = quota.allow_burst(rate.burst.try_into().ok()?);
            let limiter = RateLimiter::hashmap_with_clock(quota, clock.clone());
            Some(Counts {
                limiter: limiter.with_middleware(),
                tidy_at: AtomicUsize::new(FEW_KEYS),
                crowded: AtomicUsize::new(0),
            })
        };
        let limits = Limit::ALL.iter().map(counts).collect::<Option<Vec<_>>>()?;
        Some(Self { rules, clock, limits })
    }

    /// How the budgets fill up.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Takes one from the budget: what is left, or how long to wait for one.
    pub fn take(&self, limit: Limit, key: &Key) -> Result<u32, Duration> {
        let Some(counts) = self.limits.get(limit.index()) else { return Ok(0) };
        let key = if counts.has_place() { key } else { &Key::Others };
        match counts.limiter.check_key(key) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(self.clock.now())),
        }
    }

    #[cfg(test)]
    fn kept(&self, limit: Limit) -> usize {
        self.limits[limit.index()].limiter.len()
    }
}

impl<C: Clock> Counts<C> {
    /// Whether one more may have a budget of its own. Forgets those that are full again whenever there are
    /// twice as many as were left the last time.
    fn has_place(&self) -> bool {
        let kept = self.limiter.len();
        if kept < self.tidy_at.load(Ordering::Relaxed) {
            return true;
        }
        let is_crowded = kept >= MOST_KEYS;
        let count = || self.crowded.fetch_add(1, Ordering::Relaxed);
        if is_crowded && !count().is_multiple_of(LOOK_EVERY) {
            return false;
        }
        self.limiter.retain_recent();
        let left = self.limiter.len();
        let next = left.saturating_mul(2).clamp(FEW_KEYS, MOST_KEYS);
        self.tidy_at.store(next, Ordering::Relaxed);
        left < MOST_KEYS
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use procura_token::{TenantId, UserId};
    use proptest::prelude::*;

    use super::*;

    fn person(bits: u128) -> Key {
        Key::Person(TenantId::from_bits(1), UserId::from_bits(bits))
    }

    fn own(per_minute: u32, burst_secs: u32) -> (Own<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rules = Rules { cross_user: per_minute, burst_secs, ..Rules::default() };
        (Own::with_clock(rules, clock.clone()).unwrap(), clock)
    }

    #[test]
    fn a_budget_is_used_up_and_fills_again_and_is_nobody_elses() {
        let (own, clock) = own(60, 3);
        for left in [2, 1, 0] {
            assert_eq!(own.take(Limit::CrossUser, &person(1)), Ok(left));
        }
        assert_eq!(own.take(Limit::CrossUser, &person(1)), Err(Duration::from_secs(1)));
        assert_eq!(own.take(Limit::CrossUser, &person(2)), Ok(2), "another one");
        assert!(own.take(Limit::HomeUser, &person(1)).is_ok(), "another limit");
        clock.advance(Duration::from_millis(999));
        assert_eq!(own.take(Limit::CrossUser, &person(1)), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(own.take(Limit::CrossUser, &person(1)), Ok(0));
    }

    #[test]
    fn a_crowd_takes_no_memory_without_end_and_is_not_let_through() {
        let (own, clock) = own(1, 60);
        let crowd = 70_000_u32;
        let admitted =
            (0..crowd).filter(|n| own.take(Limit::CrossUser, &person((*n).into())).is_ok());
        let admitted = admitted.count();
        assert!((MOST_KEYS..=MOST_KEYS + 1).contains(&admitted), "{admitted}");
        assert!(own.kept(Limit::CrossUser) <= MOST_KEYS + 1);
        // They are forgotten when they are full, and one more would have come.
        clock.advance(Duration::from_secs(121));
        let again = (0..1000).filter(|n| own.take(Limit::CrossUser, &person(*n)).is_ok()).count();
        assert!(again > 400, "places are found again: {again}");
        assert!(own.kept(Limit::CrossUser) < 1100, "and those who left are forgotten");
    }

    proptest! {
        /// In any stretch of time no more comes through than a burst and what fills up meanwhile; and who
        /// keeps to the pace is never refused.
        #[test]
        fn no_more_than_a_burst_and_the_pace(
            per_minute in 1_u32..6000,
            burst_secs in 1_u32..120,
            gaps in prop::collection::vec(0_u64..2_000_000, 1..400),
        ) {
            let (own, clock) = own(per_minute, burst_secs);
            let rate = own.rules().rate(Limit::CrossUser);
            let (mut elapsed, mut admitted) = (0_u64, 0_u64);
            for gap in gaps {
                clock.advance(Duration::from_micros(gap));
                elapsed += gap;
                match own.take(Limit::CrossUser, &person(1)) {
                    Ok(left) => {
                        admitted += 1;
                        prop_assert!(left < rate.burst);
                    }
                    Err(wait) => {
                        prop_assert!(wait <= Duration::from_micros(rate.interval_micros));
                        prop_assert!(gap < rate.interval_micros, "at the pace: never refused");
                    }
                }
                let most = u64::from(rate.burst) + elapsed / rate.interval_micros;
                prop_assert!(admitted <= most, "{admitted} of {most}");
            }
        }
    }
}
