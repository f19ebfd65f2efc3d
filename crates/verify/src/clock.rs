//! The two clocks of a verifier, read together. The only place in this crate that reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use procura_token::Ts;

/// One instant on both clocks.
///
/// Leases are measured on the monotonic clock, which nobody can set. It stands still while a
/// machine sleeps, though, so a lease ends as soon as either clock says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic.
    pub mono: Instant,
    /// Wall time; `exp` and the forgetting of entries are judged by it.
    pub wall: Ts,
}

impl Moment {
    /// Both clocks, now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock module of the verifier")]
    #[must_use]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { mono: Instant::now(), wall: Ts(micros(since_epoch)) }
    }

    /// This moment moved forward on both clocks.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self {
            // An instant beyond what the clock can hold is treated as already reached.
            mono: self.mono.checked_add(by).unwrap_or(self.mono),
            wall: Ts(self.wall.0.saturating_add(micros(by))),
        }
    }

    /// Whether neither clock has reached `end`.
    #[must_use]
    pub fn is_before(self, end: Self) -> bool {
        self.mono < end.mono && self.wall < end.wall
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
