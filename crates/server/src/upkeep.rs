//! What is done every minute, and at the end: keys, mail and the calendar are looked after, the audit log is
//! sealed, and what can be forgotten is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use procura_issuer::{Issuer, Result};
use tokio::sync::watch;

use crate::{audit::keep_checkpoint, database};

const EVERY: Duration = Duration::from_mins(1);

/// Until the server stops. What fails is tried again a minute later.
pub async fn run(issuer: Issuer, data: PathBuf, mut stopping: watch::Receiver<bool>) {
    let mut sealed = 0;
    loop {
        tell(issuer.tend_keys().await, "the signing keys could not be looked after");
        tell(issuer.tend_mail().await, "mail that waits could not be looked after");
        tell(issuer.send_notices().await, "admins could not be told what they should know");
        let is_stopping = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            _ = stopping.wait_for(|is_stopping| *is_stopping) => true,
        };
        tell(issuer.turn_calendar().await, "the calendar of relationships could not be turned");
        tell(issuer.read_uses().await.map(drop), "what is used of relationships could not be read");
        tell(issuer.note_dropped().await, "refused failures could not be summed up");
        tell(issuer.note_limited().await, "what the limits refused could not be summed up");
        sealed = seal(&issuer, &data, sealed).await;
        if is_stopping {
            return;
        }
        forget(&issuer).await;
    }
}

fn tell(done: Result<()>, what: &'static str) {
    if let Err(error) = done {
        tracing::error!(%error, "{what}");
    }
}

/// Answers how far the log is sealed now.
async fn seal(issuer: &Issuer, data: &Path, sealed: i64) -> i64 {
    match issuer.checkpoint(sealed).await {
        Ok(Some((seq, statement))) => {
            if let Err(error) = keep_checkpoint(data, &statement) {
                tracing::error!(%error, "a checkpoint could not be kept beside the database");
            }
            seq
        }
        Ok(None) => sealed,
        Err(error) => {
            tracing::error!(%error, "the audit log could not be sealed");
            sealed
        }
    }
}

async fn forget(issuer: &Issuer) {
    let (store, now) = (issuer.store(), issuer.environment().now());
    // A clock that runs ahead would forget, for all nodes, what still has to kill tokens.
    if database::is_clock_off(store, now).await {
        tracing::error!("this clock and the database's are more than 30 s apart");
        return;
    }
    tell(issuer.tend_self_registered().await, "clients that nobody uses could not be looked after");
    let forgotten = store.forget_revocations(now).await;
    let forgotten = forgotten.and(store.forget_interactions(now).await);
    let forgotten = forgotten.and(store.forget_used_values(now).await);
    let forgotten = forgotten.and(store.forget_pushed_requests(now).await);
    let forgotten = forgotten.and(store.forget_access_requests(now).await);
    let forgotten = forgotten.and(store.forget_device_codes(now).await);
    let forgotten = forgotten.and(store.forget_home_tokens(now).await);
    let forgotten = forgotten.and(store.forget_session_clients(now).await);
    let forgotten = forgotten.and(store.forget_initial_tokens(now).await);
    let forgotten = forgotten.and(store.forget_idempotency_keys(now).await);
    let forgotten = forgotten.and(store.forget_api_keys(now).await);
    let forgotten = forgotten.and(store.forget_token_counts(now).await);
    if let Err(error) = forgotten {
        tracing::error!(%error, "old entries could not be put away");
    }
}
