//! Whose turn it is. A host that hangs holds its own few turns and nobody else's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Calls at once.
const MAX_CALLS: usize = 32;
/// Calls at once to one host.
const MAX_CALLS_OF_HOST: usize = 4;
/// Calls that are under way or wait for their turn; one more is refused at once.
const MAX_WAITING: usize = 256;

type Hosts = Arc<Mutex<HashMap<String, Arc<Semaphore>>>>;

/// All turns.
pub(crate) struct Turns {
    waiting: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    hosts: Hosts,
}

/// One turn; it is over when this is dropped.
pub(crate) struct Turn {
    // Dropped in this order: the permits before the entry that is looked at for being unused.
    _call: OwnedSemaphorePermit,
    _of_host: OwnedSemaphorePermit,
    _entry: Entry,
    _place: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        let turns = |n| Arc::new(Semaphore::new(n));
        Self { waiting: turns(MAX_WAITING), calls: turns(MAX_CALLS), hosts: Hosts::default() }
    }
}

impl Turns {
    /// Waits for a turn with this host (`name:port`).
    pub async fn take(&self, host: String) -> Result<Turn, Error> {
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Error::Busy)?;
        let entry = Entry::of(&self.hosts, host);
        // First the host's: whoever waits for a slow host holds nobody else up.
        let of_host = Arc::clone(&entry.turns).acquire_owned().await.map_err(|_| Error::Busy)?;
        let call = Arc::clone(&self.calls).acquire_owned().await.map_err(|_| Error::Busy)?;
        Ok(Turn { _call: call, _of_host: of_host, _entry: entry, _place: place })
    }
}

/// The turns of one host, known for as long as somebody has one or waits for one.
struct Entry {
    host: String,
    turns: Arc<Semaphore>,
    hosts: Hosts,
}

impl Entry {
    fn of(hosts: &Hosts, host: String) -> Self {
        let mut known = hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(MAX_CALLS_OF_HOST));
        let turns = Arc::clone(known.entry(host.clone()).or_insert_with(new));
        Self { host, turns, hosts: Arc::clone(hosts) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut known = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one: nobody else has a turn or waits for one.
        if Arc::strong_count(&self.turns) <= 2 {
            known.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_free(turns: &Turns, host: &str) -> bool {
        let known = turns.hosts.lock().unwrap();
        known.get(host).is_none_or(|turns| turns.available_permits() > 0)
    }

    #[tokio::test]
    async fn a_host_has_its_own_few_turns_and_leaves_nothing_behind() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for _ in 0..MAX_CALLS_OF_HOST {
            taken.push(turns.take("a:443".to_owned()).await.unwrap());
        }
        assert!(!is_free(&turns, "a:443") && is_free(&turns, "b:443"));
        let other = turns.take("b:443".to_owned()).await.unwrap();
        drop(taken.pop());
        assert!(is_free(&turns, "a:443"));
        let again = turns.take("a:443".to_owned()).await.unwrap();
        drop((taken, other, again));
        assert!(turns.hosts.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn beyond_the_queue_a_call_is_refused_at_once() {
        let turns = Turns::default();
        let crowd = Arc::clone(&turns.waiting).acquire_many_owned(255).await.unwrap();
        let last = turns.take("a:443".to_owned()).await.unwrap();
        assert_eq!(turns.take("b:443".to_owned()).await.err(), Some(Error::Busy));
        drop((crowd, last));
        assert!(turns.take("b:443".to_owned()).await.is_ok());
    }
}
