//! One-time values that others choose: each is used once, whichever node it comes to.

use procura_token::{Ts, crypto::hex};

use crate::{Result, Store, sql::query};

impl Store {
    /// Uses a value up; whether this was the first time. A statement of its own: strangers may cause it,
    /// and it has no place in the order of all writers.
    pub async fn use_value(&self, digest: &[u8; 32], until: Ts) -> Result<bool> {
        const USE: &str = "INSERT INTO used_values (digest, expires_at) VALUES ($1, $2) \
                           ON CONFLICT (digest) DO NOTHING";
        let done = query(USE).bind(hex(digest)).bind(until.0).execute(&self.writer).await?;
        Ok(done == 1)
    }

    /// Forgets values that are too old to be accepted.
    pub async fn forget_used_values(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM used_values WHERE expires_at <= $1";
        query(FORGET).bind(now.0).execute(&self.writer).await?;
        Ok(())
    }
}
