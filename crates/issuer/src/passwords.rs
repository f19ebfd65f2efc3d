//! Passwords: argon2id (RFC 9106) off the async threads, behind a bounded queue, so that a flood of
//! logins cannot eat the machine.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// As many hashes run at once, and as many more may wait. Each takes 19 MiB and about 20 ms.
const RUNNING: usize = 2;
const WAITING: usize = 64;

/// Longer passwords are refused before they are hashed.
pub const MAX_BYTES: usize = 256;
/// Shorter ones are refused when they are set (ASVS 5.0 6.2.1).
pub const MIN_CHARS: usize = 12;

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Checked where there is no such user, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Hasher {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            running: Arc::new(Semaphore::new(RUNNING)),
            waiting: Arc::new(Semaphore::new(RUNNING + WAITING)),
            decoy: hash(b"nobody has this password").map(Into::into)?,
        })
    }

    /// The PHC string to store. `Busy` where too many wait already.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        self.run(move || hash(&password)).await?
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
        let place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| Error::Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Broken)?;
        // The work goes on when its caller has hung up, so both places go with it.
        let work = move || {
            let _held = (place, turn);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken)
    }
}

fn hash(password: &[u8]) -> Result<String> {
    let hash = Argon2::default().hash_password(password).map_err(|_| Error::Broken)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(hasher.running.available_permits(), RUNNING - 1);
        finish.send(()).unwrap();
        let all = u32::try_from(RUNNING).unwrap();
        drop(hasher.running.acquire_many(all).await.unwrap());
    }
}
