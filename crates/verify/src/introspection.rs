//! Introspection (RFC 7662): what a verifier asks when it is blind, behind a circuit breaker.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;

use crate::wire::{Failed, Wire, fetch};

/// An answer may take so long.
const WITHIN: Duration = Duration::from_millis(250);
/// Largest answer that is read.
const MAX_BYTES: usize = 64 * 1024;
/// So many failures in a row open the circuit.
const MAX_FAILURES: u32 = 3;
/// For so long.
const OPEN_FOR: Duration = Duration::from_secs(1);

/// The issuer could not be asked, so nothing is known about the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// Lets calls through until several fail in a row; then one call per [`OPEN_FOR`].
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    fn may_call(&mut self, now: Instant) -> bool {
        if self.open_until.is_some_and(|until| now < until) {
            return false;
        }
        if self.failures >= MAX_FAILURES {
            // One trial; the next must wait again unless this one succeeds.
            self.open_until = now.checked_add(OPEN_FOR);
        }
        true
    }

    fn record(&mut self, is_success: bool, now: Instant) {
        if is_success {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= MAX_FAILURES {
            self.open_until = now.checked_add(OPEN_FOR);
        }
    }
}

/// The way to the introspection endpoint.
#[derive(Debug, Default)]
pub struct Introspection {
    breaker: Mutex<Breaker>,
}

#[derive(Deserialize)]
struct Answer {
    active: bool,
}

impl Introspection {
    /// Whether the issuer says that the token is active.
    pub async fn is_active(&self, wire: &Wire, token: &str) -> Result<bool, Unavailable> {
        if !self.breaker().may_call(Instant::now()) {
            return Err(Unavailable);
        }
        let request = wire.post("/oauth2/introspect").form(&[("token", token)]);
        let answer = fetch(request, MAX_BYTES, WITHIN).await.and_then(|body| {
            serde_json::from_slice::<Answer>(&body).map_err(|_| Failed::Malformed)
        });
        self.breaker().record(answer.is_ok(), Instant::now());
        match answer {
            Ok(answer) => Ok(answer.active),
            Err(reason) => {
                tracing::warn!(%reason, "a token was not introspected");
                Err(Unavailable)
            }
        }
    }

    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_the_circuit_for_a_second() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..MAX_FAILURES {
            assert!(breaker.may_call(start));
            breaker.record(false, start);
        }
        assert!(!breaker.may_call(start));
        assert!(!breaker.may_call(start + OPEN_FOR / 2));
        assert!(breaker.may_call(start + OPEN_FOR));
    }

    #[test]
    fn an_open_circuit_tries_once_and_closes_on_success() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..MAX_FAILURES {
            breaker.record(false, start);
        }
        let later = start + OPEN_FOR;
        assert!(breaker.may_call(later));
        assert!(!breaker.may_call(later));
        breaker.record(true, later);
        assert!(breaker.may_call(later) && breaker.may_call(later));
    }

    #[test]
    fn a_success_in_between_forgives() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for is_success in [false, false, true, false, false] {
            breaker.record(is_success, now);
        }
        assert!(breaker.may_call(now));
    }
}
