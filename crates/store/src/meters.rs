//! What the store counts and measures of its own work. It names no tenant, and the server gives the
//! figures their names.

use prometheus_client::metrics::{
    counter::Counter,
    family::Family,
    gauge::Gauge,
    histogram::{Histogram, exponential_buckets},
};

use crate::{Store, revocations::Entry, sql::Pool};

/// Counted by one word out of a list of constants.
pub type Words = Family<[(&'static str, String); 1], Counter>;

/// The meters of one store. Cheap to clone: the copies count together.
#[derive(Clone, Debug)]
pub struct Meters {
    /// Jobs in each commit of the ledger.
    pub batch_jobs: Histogram,
    /// How long each of those commits took, with reading and deciding, in seconds.
    pub commit_seconds: Histogram,
    /// Commits of the ledger that failed: nobody in the batch was answered.
    pub commit_failures: Counter,
    /// Revocations that were written, by cause.
    pub revocations: Words,
    /// 1 where the copy in Redis was reached, and had everything, when it was last looked at. Absent
    /// without Redis.
    pub copy_in_step: Family<[(&'static str, &'static str); 0], Gauge>,
    /// Entries that were appended to the copy.
    pub copy_appended: Counter,
    /// How often the copy was not ours, or not whole, and was written anew.
    pub copy_rewritten: Counter,
    /// 1 where budgets are shared through Redis now. Absent without Redis.
    pub budgets_shared: Family<[(&'static str, &'static str); 0], Gauge>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            batch_jobs: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 14)),
            commit_failures: Counter::default(),
            revocations: Family::default(),
            copy_in_step: Family::default(),
            copy_appended: Counter::default(),
            copy_rewritten: Counter::default(),
            budgets_shared: Family::default(),
        }
    }
}

impl Meters {
    pub(crate) fn count_revocations(&self, written: &[Entry]) {
        for entry in written {
            // Every cause is a constant of the verb that revokes.
            self.revocations.get_or_create(&[("cause", entry.cause.clone())]).inc();
        }
    }
}

/// One pool of connections, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// What it is for.
    pub name: &'static str,
    /// Connections in use.
    pub used: i64,
    /// Connections at rest.
    pub idle: i64,
}

impl Store {
    /// What it counts and measures.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Its pools, each once: SQLite has one that writes, whatever it writes.
    pub fn pools(&self) -> impl Iterator<Item = PoolState> {
        let apart = matches!(self.writer, Pool::Postgres(_)).then(|| {
            [("urgent", &self.urgent), ("leases", &self.leases), ("ledger", self.ledger.pool())]
        });
        let pools = [("readers", &self.readers), ("writer", &self.writer)];
        pools.into_iter().chain(apart.into_iter().flatten()).map(|(name, pool)| {
            let (open, idle) = pool.size();
            PoolState { name, used: open.saturating_sub(idle).max(0), idle }
        })
    }
}
