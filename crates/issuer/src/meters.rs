//! What the verbs count. Every label is one word out of a list of constants, so that no tenant, person
//! or client can be read from a figure; the server gives the figures their names.

use prometheus_client::metrics::{counter::Counter, family::Family};

use crate::{Issuer, Result, exchange::Granted, rate_limits::Limit};

/// Counted by one word.
pub type Words = Family<[(&'static str, &'static str); 1], Counter>;

/// The meters of the verbs. What every exchange touches is resolved once.
#[derive(Debug)]
pub struct Meters {
    /// Exchanges by outcome: `ok`, or the code of the refusal.
    pub exchanges: Words,
    /// Tokens that were handed out, by kind.
    pub tokens: Words,
    /// Logins by outcome: `ok`, or why not.
    pub logins: Words,
    /// Failures of strangers that were refused without an entry of their own.
    pub unrecorded: Counter,
    /// Requests that were refused beyond a limit, by limit.
    pub limited: Words,
    granted: Counter,
    delegated: Counter,
}

impl Default for Meters {
    fn default() -> Self {
        let (exchanges, tokens) = (Words::default(), Words::default());
        let granted = exchanges.get_or_create_owned(&[("outcome", "ok")]);
        let delegated = tokens.get_or_create_owned(&[("kind", "delegated")]);
        let (logins, unrecorded) = (Words::default(), Counter::default());
        let limited = Words::default();
        // A limit that has refused nobody says so: all are there from the start.
        for limit in Limit::ALL {
            limited.get_or_create(&[("limit", limit.name())]).inc_by(0);
        }
        Self { exchanges, tokens, logins, unrecorded, limited, granted, delegated }
    }
}

impl Meters {
    pub(crate) fn exchange(&self, outcome: &Result<Granted>) {
        match outcome {
            Ok(_) => {
                self.granted.inc();
                self.delegated.inc();
            }
            Err(error) => {
                self.exchanges.get_or_create(&[("outcome", error.code())]).inc();
            }
        }
    }

    pub(crate) fn token(&self, kind: &'static str) {
        self.tokens.get_or_create(&[("kind", kind)]).inc();
    }

    pub(crate) fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&[("limit", limit)]).inc();
    }

    pub(crate) fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&[("outcome", outcome)]).inc();
    }
}

impl Issuer {
    /// What the verbs count.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// Verifiers whose lease may still run.
    #[must_use]
    pub fn verifiers_live(&self) -> usize {
        self.0.verifiers.count(procura_token::Seq(0), Vec::new()).live
    }
}
