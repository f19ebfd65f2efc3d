//! Passwords: argon2id (RFC 9106) off the async threads, behind a bounded queue, so that a flood of
//! logins cannot eat the machine.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// As many hashes may wait. Each takes about 20 ms.
const WAITING: usize = 64;

/// As many hashes run at once, 19 MiB each: half of the cores, so that a flood of logins leaves the
/// other half to the exchanges.
fn running() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, 8))
}

/// Longer passwords are refused before they are hashed.
pub const MAX_BYTES: usize = 256;
/// Shorter ones are refused when they are set (ASVS 5.0 6.2.1).
pub const MIN_CHARS: usize = 12;

type Job = Box<dyn FnOnce() + Send>;

/// Hashes and checks passwords, on threads of its own: an allocator keeps what each thread once
/// needed, and among all the blocking threads of the runtime that would add up to a gigabyte.
#[derive(Clone)]
pub struct Hasher {
    jobs: mpsc::Sender<Job>,
    /// Places for what runs and what waits; a job gives its place back when it is done.
    places: Arc<Semaphore>,
    /// Checked where there is no such user, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Hasher {
    pub(crate) fn new() -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..running() {
            let waiting = Arc::clone(&waiting);
            let run = move || {
                // Ends with the last hasher.
                while let Ok(job) = next(&waiting) {
                    job();
                }
            };
            thread::Builder::new().name("argon2".into()).spawn(run).map_err(|_| Error::Broken)?;
        }
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(running() + WAITING)),
            decoy: hash(b"nobody has this password").map(Into::into)?,
        })
    }

    /// The PHC string to store. `Busy` where too many wait already.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        self.run(move || hash(&password)).await?
    }

    /// Whether a hash from elsewhere can be stored: argon2id (RFC 9106), and no login with it takes more
    /// than a server has to spare.
    #[must_use]
    pub fn is_usable_hash(text: &str) -> bool {
        const MAX_MEMORY_KIB: u32 = 64 * 1024;
        const MAX_PASSES: u32 = 10;
        let Ok(parsed) = PasswordHash::new(text) else { return false };
        let Ok(params) = argon2::Params::try_from(&parsed) else { return false };
        parsed.algorithm.as_str() == "argon2id"
            && parsed.hash.is_some()
            && params.m_cost() <= MAX_MEMORY_KIB
            && params.t_cost() <= MAX_PASSES
            && params.p_cost() <= 4
    }

    /// Whether the password fits. Takes as long where there is no stored hash.
    pub async fn is_match(&self, stored: Option<&str>, password: &str) -> Result<bool> {
        let (is_known, stored): (bool, Arc<str>) = match stored {
            Some(stored) => (true, stored.into()),
            None => (false, Arc::clone(&self.decoy)),
        };
        let password = Zeroizing::new(password.as_bytes().to_vec());
        let is_match = self
            .run(move || {
                PasswordHash::new(&stored).is_ok_and(|stored| {
                    Argon2::default().verify_password(&password, &stored).is_ok()
                })
            })
            .await?;
        Ok(is_known && is_match)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Busy)?;
        let (answer, answered) = oneshot::channel();
        // The work goes on when its caller has hung up, so the place goes with it.
        let job = move || {
            let _held = place;
            let _ = answer.send(work());
        };
        self.jobs.send(Box::new(job)).map_err(|_| Error::Broken)?;
        answered.await.map_err(|_| Error::Broken)
    }
}

fn next(waiting: &Mutex<mpsc::Receiver<Job>>) -> Result<Job, mpsc::RecvError> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).recv()
}

fn hash(password: &[u8]) -> Result<String> {
    let hash = Argon2::default().hash_password(password).map_err(|_| Error::Broken)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_from_elsewhere_is_taken_if_a_login_with_it_is_affordable() {
        let hasher = Hasher::new().unwrap();
        let hash = hasher.hash("correct horse battery").await.unwrap();
        assert!(Hasher::is_usable_hash(&hash));
        for bad in [
            "correct horse battery",
            "",
            &hash.replace("argon2id", "argon2d"),
            &hash.replace("m=19456", "m=4194304"),
            &hash.replace("t=2", "t=1000"),
            hash.rsplit_once('$').unwrap().0,
        ] {
            assert!(!Hasher::is_usable_hash(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn who_hangs_up_leaves_the_place_to_the_work_that_goes_on() {
        let hasher = Hasher::new().unwrap();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, may_finish) = std::sync::mpsc::channel::<()>();
        let caller = tokio::spawn({
            let hasher = hasher.clone();
            async move {
                let work = move || {
                    started.send(()).unwrap();
                    may_finish.recv().unwrap();
                };
                hasher.run(work).await
            }
        });
        has_started.await.unwrap();
        caller.abort();
        assert!(caller.await.is_err());
        assert_eq!(hasher.places.available_permits(), running() + WAITING - 1);
        finish.send(()).unwrap();
        let all = u32::try_from(running() + WAITING).unwrap();
        drop(hasher.places.acquire_many(all).await.unwrap());
    }
}
