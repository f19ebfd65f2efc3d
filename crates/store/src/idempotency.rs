//! Keys by which somebody who asks for a change can ask again without it happening twice: who has claimed one,
//! for which request, whether its change is committed, and what was answered.

use procura_token::{Ts, UserId};

use crate::{Result, Store, Tx, row::Columns, sql::query};

/// A key is good for so long, in seconds.
pub const KEPT_SECS: i64 = 24 * 3600;
/// Whoever has claimed one and committed nothing in so many seconds never will.
const STALE_SECS: i64 = 60;
/// So many keys one person has at once.
const MOST_KEYS: i64 = 1000;

/// One claim of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose key it is.
    pub user: UserId,
    /// The hash of the key and of what else it belongs to.
    pub key_hash: String,
    /// The hash of the request.
    pub request_hash: String,
    /// Tells this claim from any other one of the same key.
    pub id: String,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the first: go on.
    First,
    /// Somebody else is at it.
    Running,
    /// The key belongs to another request.
    OfAnother,
    /// It is done, and this was the answer, sealed; `None` where it is lost.
    Done(Option<String>),
    /// The person has too many keys.
    TooMany,
}

impl Store {
    /// Claims a key, where nobody has it, or had it and committed nothing.
    pub async fn claim_key(&self, claim: &Claim, now: Ts) -> Result<Claimed> {
        const COUNT: &str = "SELECT count(*) AS n FROM idempotency_keys WHERE user_id = $1";
        const CLAIM: &str = "INSERT INTO idempotency_keys (user_id, key_hash, request_hash, claim, \
                             claimed_at) VALUES ($1, $2, $3, $4, $5) \
                             ON CONFLICT (user_id, key_hash) DO UPDATE SET \
                             request_hash = excluded.request_hash, claim = excluded.claim, \
                             claimed_at = excluded.claimed_at, done_at = NULL, answer = NULL \
                             WHERE idempotency_keys.claimed_at <= $6 \
                             OR (idempotency_keys.done_at IS NULL \
                             AND idempotency_keys.claimed_at <= $7)";
        const FIND: &str = "SELECT request_hash, claimed_at, done_at, answer \
                            FROM idempotency_keys WHERE user_id = $1 AND key_hash = $2";
        let user = claim.user.to_string();
        let held = query(COUNT).bind(&user).fetch_one(&self.readers).await?.int("n")?;
        if held < MOST_KEYS {
            let done = query(CLAIM)
                .bind(&user)
                .bind(&claim.key_hash)
                .bind(&claim.request_hash)
                .bind(&claim.id)
                .bind(now.0)
                .bind(now.plus_secs(-KEPT_SECS).0)
                .bind(now.plus_secs(-STALE_SECS).0)
                .execute(&self.writer)
                .await?;
            if done == 1 {
                return Ok(Claimed::First);
            }
        }
        let found = query(FIND).bind(&user).bind(&claim.key_hash).fetch_optional(&self.writer);
        let Some(found) = found.await? else {
            return Ok(if held < MOST_KEYS { Claimed::Running } else { Claimed::TooMany });
        };
        if found.str("request_hash")? != claim.request_hash {
            return Ok(Claimed::OfAnother);
        }
        // Between the commit and its answer there is a moment, in which it is not lost yet.
        let is_recent = now < found.ts("claimed_at")?.plus_secs(STALE_SECS);
        Ok(match (found.opt_ts("done_at")?, found.opt_text("answer")?) {
            (None, _) => Claimed::Running,
            (Some(_), None) if is_recent => Claimed::Running,
            (Some(_), answer) => Claimed::Done(answer),
        })
    }

    /// Keeps the answer, sealed, of what is done.
    pub async fn keep_answer(&self, claim: &Claim, answer: &str, now: Ts) -> Result<()> {
        const KEEP: &str = "UPDATE idempotency_keys SET answer = $4, \
                            done_at = COALESCE(done_at, $5) \
                            WHERE user_id = $1 AND key_hash = $2 AND claim = $3";
        let kept = query(KEEP).bind(claim.user.to_string()).bind(&claim.key_hash).bind(&claim.id);
        kept.bind(answer).bind(now.0).execute(&self.writer).await?;
        Ok(())
    }

    /// Lets a key go whose request was refused or failed, unless its change is committed after all. What is on
    /// its way to be committed then no longer is: it finds its claim gone.
    pub async fn release_key(&self, claim: &Claim) -> Result<()> {
        const RELEASE: &str = "DELETE FROM idempotency_keys WHERE user_id = $1 AND key_hash = $2 \
                               AND claim = $3 AND done_at IS NULL";
        let done = query(RELEASE).bind(claim.user.to_string()).bind(&claim.key_hash);
        done.bind(&claim.id).execute(&self.writer).await?;
        Ok(())
    }

    /// Forgets keys that are good no more.
    pub async fn forget_idempotency_keys(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM idempotency_keys WHERE claimed_at <= $1 \
                              OR (done_at IS NULL AND claimed_at <= $2)";
        let (old, stale) = (now.plus_secs(-KEPT_SECS), now.plus_secs(-STALE_SECS));
        query(FORGET).bind(old.0).bind(stale.0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Writes down, with the commit, that what the key was claimed for is done; whether the claim still
    /// holds.
    pub async fn fulfil(&mut self, claim: &Claim) -> Result<bool> {
        const FULFIL: &str = "UPDATE idempotency_keys SET done_at = $4 \
                              WHERE user_id = $1 AND key_hash = $2 AND claim = $3";
        let now = self.now();
        let done = query(FULFIL).bind(claim.user.to_string()).bind(&claim.key_hash);
        let done = done.bind(&claim.id).bind(now.0).execute(self.connection()).await?;
        Ok(done == 1)
    }
}
