//! Following the copy of the revocation log in Redis, and the event stream while the copy is no good.
//!
//! Nothing here is taken on trust: an entry counts because the issuer signed it, its place in the log
//! because it names the head before it. What was left out, cut off or held back shows in the
//! acknowledgements, which are answered by the issuer with the head of its database: without that
//! head there is no lease. So Redis can slow a revocation down to the lease, and do nothing else.

use std::{convert::Infallible, sync::atomic::Ordering, time::Duration};

use procura_redis::{Failed, Id, Message, Place, Reader};
use procura_token::{Key, Rejection, Seq, Statement, jws::kid_of, revocation::is_absolute};
use tokio::time::sleep;

use crate::{
    feed,
    verifier::Core,
    view::{Applied, Entry},
    wire,
};

/// While the event stream is followed, the copy is tried this often.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Why the copy is not followed any more.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Redis(#[from] Failed),
    #[error(transparent)]
    Issuer(#[from] wire::Failed),
    /// The issuer knows of entries that do not come.
    #[error("redis_is_behind")]
    Behind,
    /// Somebody else has written there.
    #[error("redis_entry_not_genuine: {0}")]
    Foreign(Rejection),
}

/// Follows for ever.
pub(crate) async fn follow(core: &Core, place: &Place) {
    let mut reader = Reader::open(place).await.map_err(Trouble::from);
    loop {
        let Err(trouble) = match reader {
            Ok(reader) => follow_copy(core, reader).await,
            Err(trouble) => Err(trouble),
        };
        core.is_copy_followed.store(false, Ordering::Relaxed);
        let redis = place.address();
        let what = "the event stream is followed instead of the copy";
        if matches!(trouble, Trouble::Foreign(_)) {
            tracing::error!(%redis, %trouble, "{what}");
        } else {
            tracing::warn!(%redis, %trouble, "{what}");
        }
        // The stream goes on until the copy has been read to its end: no moment without either.
        reader = tokio::select! {
            () = feed::follow(&core.wire, &core.standing) => Err(Trouble::Behind),
            reader = until_good(core, place) => Ok(reader),
        };
        tracing::info!(redis = %place.address(), "the copy in Redis is followed again");
    }
}

/// Resolves with a reader once the copy is good.
async fn until_good(core: &Core, place: &Place) -> Reader {
    loop {
        sleep(RETRY_EVERY).await;
        let Ok(mut reader) = Reader::open(place).await else { continue };
        if matches!(is_good(core, &mut reader).await, Ok(true)) {
            return reader;
        }
    }
}

/// Whether the copy has nothing that is not genuine, and ends where this view does. One that ends
/// earlier is filled by nobody, and would be left again at the next revocation.
async fn is_good(core: &Core, reader: &mut Reader) -> Result<bool, Trouble> {
    for message in &reader.read_soon(position(core)).await? {
        take(core, message).await?;
    }
    let last = reader.last().await?;
    let view = core.standing.view();
    let ends_here = last == view.applied().map(Id::of) || (last.is_none() && view.is_empty());
    Ok(ends_here && view.is_synced())
}

async fn follow_copy(core: &Core, mut reader: Reader) -> Result<Infallible, Trouble> {
    loop {
        feed::read_snapshot_if_needed(&core.wire, &core.standing).await?;
        core.is_copy_followed.store(true, Ordering::Relaxed);
        let mut messages = reader.read_after(position(core)).await?;
        if messages.is_empty() && !core.standing.view().is_synced() {
            // What the issuer has just told of may be on its way.
            messages = reader.read_soon(position(core)).await?;
            if messages.is_empty() && !core.standing.view().is_synced() {
                return Err(Trouble::Behind);
            }
        }
        for message in &messages {
            take(core, message).await?;
        }
    }
}

/// Where to read on: after what is verified and applied. Never after an id that only stands in Redis,
/// which could lie beyond everything to come.
fn position(core: &Core) -> Seq {
    core.standing.view().applied().unwrap_or_default()
}

/// Verifies one entry and applies it like one of the event stream.
async fn take(core: &Core, message: &Message) -> Result<Applied, Trouble> {
    let malformed = Trouble::Foreign(Rejection::Malformed);
    let signed = message.signed.as_deref().ok_or(malformed)?;
    let kid = kid_of(signed).ok_or(malformed)?;
    // What a stolen key says counts no more.
    if core.standing.view().dead_keys().contains(&Key::SigningKey(&kid).hash()) {
        return Err(Trouble::Foreign(Rejection::UnknownKey));
    }
    let keys = core.keys.with(&kid).await;
    let keys = keys.map_err(|_| Trouble::Foreign(Rejection::UnknownKey))?;
    let expected = &core.expected;
    let statement = Statement::verify(signed, &expected.issuer, &keys, &expected.algorithms)
        .map_err(Trouble::Foreign)?;
    if message.id.position() != Some(statement.s) {
        return Err(Trouble::Foreign(Rejection::Incoherent));
    }
    let entry = Entry {
        key: statement.h,
        seq: statement.s,
        forget_at: statement.x,
        is_absolute: is_absolute(&statement.k),
    };
    Ok(core.standing.update(|view| view.apply(entry, statement.p)))
}
