//! The machine that all tests share. Most of them run beside each other; those that keep it busy, or that
//! count on many processes at once, have it for themselves, so that none fails for what another does.

use std::{
    collections::HashMap,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
};

static TURNS: LazyLock<Mutex<Turns>> = LazyLock::new(Mutex::default);
static CHANGED: Condvar = Condvar::new();

/// Who runs. A test is known by its thread, so that one which holds a share of the machine gets more of it
/// although somebody waits for the whole.
#[derive(Default)]
struct Turns {
    /// How many shares each test holds.
    shares: HashMap<ThreadId, usize>,
    /// Whose the whole is.
    alone: Option<ThreadId>,
    /// How many wait for the whole: nobody begins before them.
    waiting: usize,
}

impl Turns {
    fn may_begin(&self, who: ThreadId) -> bool {
        let is_free = self.alone.is_none() && self.waiting == 0;
        is_free || self.alone == Some(who) || self.shares.contains_key(&who)
    }

    fn may_be_alone(&self) -> bool {
        self.alone.is_none() && self.shares.is_empty()
    }
}

/// The machine for one test alone, until this is dropped. Asked for first, before any house.
#[derive(Debug)]
pub struct Alone(());

/// A share of the machine, as every house has one.
#[derive(Debug)]
pub(crate) struct Share(Option<ThreadId>);

impl Alone {
    /// Waits until no other test has a house; none gets one until this is dropped.
    #[must_use]
    pub fn on_the_machine() -> Self {
        let who = thread::current().id();
        assert!(!lock().shares.contains_key(&who), "it is asked for before any house");
        change(|turns| turns.waiting += 1);
        let mut turns = wait(Turns::may_be_alone);
        turns.waiting -= 1;
        turns.alone = Some(who);
        Self(())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        change(|turns| turns.alone = None);
    }
}

impl Share {
    /// Waits while another test has the machine alone, or is about to.
    pub(crate) fn of_the_machine() -> Self {
        let who = test();
        if let Some(who) = who {
            *wait(|turns| turns.may_begin(who)).shares.entry(who).or_default() += 1;
        }
        Self(who)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(who) = self.0 else { return };
        change(|turns| {
            let left = turns.shares.entry(who).or_default();
            *left -= 1;
            if *left == 0 {
                turns.shares.remove(&who);
            }
        });
    }
}

/// The test that runs on this thread, which is called as the test is. Another thread was started by a test
/// that has begun: what begins there waits for nobody, or its test would wait for ever.
fn test() -> Option<ThreadId> {
    let current = thread::current();
    current.name().is_some_and(|name| name.contains("::")).then(|| current.id())
}

fn change(how: impl FnOnce(&mut Turns)) {
    how(&mut lock());
    CHANGED.notify_all();
}

fn wait(until: impl Fn(&Turns) -> bool) -> MutexGuard<'static, Turns> {
    CHANGED.wait_while(lock(), |turns| !until(turns)).unwrap_or_else(PoisonError::into_inner)
}

/// A test that failed leaves nothing half done in here.
fn lock() -> MutexGuard<'static, Turns> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}
