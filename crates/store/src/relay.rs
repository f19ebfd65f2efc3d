//! The relay: keeps the copy of the revocation log in Redis complete, and listens to what the other
//! nodes add to it.
//!
//! The outbox is the log itself: whatever stands in it after the stream's last id is still to be
//! published. So nothing has to be remembered, several nodes may relay the same, and a Redis that was
//! flushed, restarted empty or written to by somebody else is put right by the next look. The copy
//! decides nothing here: a message only says that SQL should be read.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

pub use procura_redis::{Address, BadAddress, BadPlace, Place};
use procura_redis::{Failed, Held, Id, Message, Published, Reader, Writer};
use procura_token::{Seq, Statement, Ts};
use tokio::{sync::Notify, time::sleep};

use crate::{
    Error, Store,
    revocations::{Entry, RevocationLog},
};

/// The stream is looked at this often, also when nothing seems to have happened.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pauses between connections grow from the first to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// As many entries are appended at once: Redis does nothing else meanwhile.
const BATCH: usize = 64;
/// So often in a row somebody else may be faster.
const ATTEMPTS: usize = 100;
/// An entry may be missing from the stream for so long before its end, in seconds: nodes put old
/// entries away once a minute, and their clocks may disagree.
const TRIM_MARGIN_SECS: i64 = 120;

/// Who signs entries, and knows the signature again.
pub trait Notary: Send + Sync {
    /// Signs an entry; `None` where the keys fail.
    fn sign(&self, entry: &Entry) -> Option<String>;
    /// The statement, where the signature is this issuer's.
    fn read(&self, signed: &str) -> Option<Statement>;
    /// The time.
    fn now(&self) -> Ts;
}

/// Why one connection ended.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Broke {
    #[error(transparent)]
    Redis(#[from] Failed),
    #[error(transparent)]
    Store(#[from] Error),
    #[error("signing failed")]
    Signing,
    #[error("others keep writing to the stream")]
    Contended,
}

/// What there is to do about a stream that was looked at.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It has everything.
    Nothing,
    /// These are missing at its end.
    Append(Vec<Entry>),
    /// Somebody else wrote to it, or took something away.
    Rewrite,
}

impl Store {
    /// Relays for ever. Never in the way of an answer: nobody waits for it.
    pub async fn relay(&self, place: &Place, notary: &dyn Notary) {
        let distrust = Distrust::default();
        let relay = Relay { store: self, place, notary, distrust };
        tokio::join!(relay.write_for_ever(), relay.listen_for_ever());
    }
}

struct Relay<'a> {
    store: &'a Store,
    place: &'a Place,
    notary: &'a dyn Notary,
    distrust: Distrust,
}

/// What was found in the stream that the writer has to mend.
#[derive(Default)]
struct Distrust {
    /// A message that we did not write.
    is_on: AtomicBool,
    /// A message that says what is true, signed by a key that has gone.
    is_outdated: AtomicBool,
    rings: Notify,
}

impl Relay<'_> {
    fn note_step(&self, is_in_step: bool) {
        self.store.meters().copy_in_step.get_or_create(&[]).set(i64::from(is_in_step));
    }

    async fn write_for_ever(&self) {
        let (mut pause, mut has_failed) = (BACKOFF.0, false);
        loop {
            let Err(reason) = self.write(&mut has_failed).await;
            self.note_step(false);
            if !has_failed {
                pause = BACKOFF.0;
                has_failed = true;
                let redis = self.place.address();
                tracing::warn!(%redis, %reason, "revocations are not copied to Redis");
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// One connection that writes, until it breaks.
    async fn write(&self, has_failed: &mut bool) -> Result<Infallible, Broke> {
        let mut head = self.store.revocations().follow();
        let mut writer = Writer::open(self.place).await?;
        let mut last = None;
        let mut is_new = true;
        loop {
            // Before the look, so that what comes in between is not slept through.
            head.borrow_and_update();
            last = match last {
                Some(last) => self.append_to(&mut writer, last).await?,
                None => None,
            };
            if last.is_none() {
                last = Some(self.bring_up_to_date(&mut writer).await?);
                self.note_step(true);
            }
            if std::mem::take(&mut is_new) {
                *has_failed = false;
                let redis = self.place.address();
                tracing::info!(%redis, "revocations are copied to Redis");
            }
            tokio::select! {
                changed = head.changed() => changed.map_err(|_| Error::Unavailable)?,
                () = self.distrust.rings.notified() => last = None,
                () = sleep(LOOK_EVERY) => last = None,
            }
        }
    }

    /// Appends what is new without a look first; `None` where the stream no longer ends at `last`.
    async fn append_to(&self, writer: &mut Writer, last: Id) -> Result<Option<Id>, Broke> {
        let missing = last.position().and_then(|seq| self.store.revocations().after(seq));
        let Some(missing) = missing else { return Ok(None) };
        self.append(writer, last, &missing).await
    }

    /// Looks at the stream and does what there is to do, until there is nothing. Answers its last id.
    async fn bring_up_to_date(&self, writer: &mut Writer) -> Result<Id, Broke> {
        for _ in 0..ATTEMPTS {
            let held = writer.look().await?;
            let log = self.store.revocations();
            if held.last.and_then(Id::position).is_some_and(|last| last > log.head()) {
                // Perhaps another node has committed what this one has not heard of.
                self.store.revocation_head().await?;
            }
            let is_distrusted = self.distrust.is_on.swap(false, Ordering::Relaxed);
            let is_outdated = self.distrust.is_outdated.swap(false, Ordering::Relaxed);
            let step = if is_distrusted {
                Step::Rewrite
            } else {
                plan(held, log, self.notary.now().plus_secs(TRIM_MARGIN_SECS))
            };
            if is_outdated && step != Step::Rewrite {
                let redis = self.place.address();
                tracing::info!(%redis, "entries in Redis are signed anew: their key has gone");
                writer.drop_stream(held.last).await?;
                continue;
            }
            match step {
                Step::Nothing => {
                    writer.trim(Id::of(log.first())).await?;
                    return Ok(held.last.unwrap_or_default());
                }
                Step::Append(missing) => {
                    self.append(writer, held.last.unwrap_or_default(), &missing).await?;
                }
                Step::Rewrite => {
                    let redis = self.place.address();
                    tracing::error!(%redis, "the stream in Redis is not what was written: somebody \
                        else writes there, or took something away; it is written anew");
                    self.store.meters().copy_rewritten.inc();
                    writer.drop_stream(held.last).await?;
                }
            }
        }
        Err(Broke::Contended)
    }

    /// Appends entries after `last`; answers the new last id, `None` where somebody was faster.
    async fn append(
        &self,
        writer: &mut Writer,
        mut last: Id,
        missing: &[Entry],
    ) -> Result<Option<Id>, Broke> {
        for batch in missing.chunks(BATCH) {
            let publish = |entry| self.publish(entry).ok_or(Broke::Signing);
            let published = batch.iter().map(publish).collect::<Result<Vec<_>, _>>()?;
            if !writer.append(last, &published).await? {
                return Ok(None);
            }
            last = batch.last().map_or(last, |entry| Id::of(entry.seq));
            let count = u64::try_from(batch.len()).unwrap_or_default();
            self.store.meters().copy_appended.inc_by(count);
        }
        Ok(Some(last))
    }

    fn publish(&self, entry: &Entry) -> Option<Published> {
        Some(Published {
            kind: entry.kind.clone(),
            key: entry.key,
            seq: entry.seq,
            prev: entry.prev,
            forget_at: entry.forget_at(),
            signed: self.notary.sign(entry)?,
        })
    }

    async fn listen_for_ever(&self) {
        let mut pause = BACKOFF.0;
        loop {
            let started = tokio::time::Instant::now();
            let Err(reason) = self.listen().await;
            tracing::debug!(%reason, "the stream in Redis is not followed");
            // A connection that lived is no sign of trouble.
            let has_lived = started.elapsed() > BACKOFF.1;
            pause = if has_lived { BACKOFF.0 } else { (pause * 2).min(BACKOFF.1) };
            sleep(pause).await;
        }
    }

    /// One connection that listens, until it breaks. Reads the whole stream first: whatever in it is
    /// not ours is found once.
    async fn listen(&self) -> Result<Infallible, Broke> {
        let mut reader = Reader::open(self.place).await?;
        let mut at = Seq(0);
        loop {
            let (mut is_ours, mut is_outdated) = (true, false);
            for message in reader.read_after(at).await? {
                let Some(seq) = self.position_of(&message) else {
                    is_outdated = self.is_outdated(&message);
                    is_ours = is_outdated;
                    break;
                };
                at = seq;
            }
            if at > self.store.revocations().head() {
                // The wake-up: what the message says is read from SQL, and only that counts.
                let head = self.store.revocation_head().await?;
                is_ours &= at <= head;
                at = at.min(head);
            }
            if !is_ours || is_outdated {
                let found = if is_ours { &self.distrust.is_outdated } else { &self.distrust.is_on };
                found.store(true, Ordering::Relaxed);
                self.distrust.rings.notify_one();
                // The same would be read again at once: the writer first gets time to mend it.
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// The position of a message that this issuer has signed for this very place in the stream.
    fn position_of(&self, message: &Message) -> Option<Seq> {
        let statement = self.notary.read(message.signed.as_deref()?)?;
        message.id.position().filter(|seq| *seq == statement.s)
    }

    /// Whether a message whose signature is no good says, in its own place, nothing but what stands in
    /// SQL. Then a key of ours has gone since, or somebody has taken the trouble to break a signature:
    /// it is written anew in any case, and nobody has to be woken for it.
    fn is_outdated(&self, message: &Message) -> bool {
        let claimed = message.signed.as_deref().and_then(Statement::claimed);
        let known = claimed.as_ref().and_then(|claimed| self.store.revocations().find(claimed.s));
        let (Some(claimed), Some(known)) = (claimed, known) else { return false };
        message.id.position() == Some(known.seq)
            && (claimed.k, claimed.h, claimed.p, claimed.x)
                == (known.kind.clone(), known.key, known.prev, known.forget_at())
    }
}

/// `lasting` is the instant up to which an entry may be missing already.
fn plan(held: Held, log: &RevocationLog, lasting: Ts) -> Step {
    let Some(last) = held.last.and_then(Id::position) else { return Step::Rewrite };
    let missing = if last == Seq(0) {
        // Nothing was ever written. An id of 0 is also what an absent stream shows.
        Some(log.snapshot().entries)
    } else {
        log.after(last).filter(|_| last <= log.head())
    };
    match missing {
        None => Step::Rewrite,
        Some(missing) if !missing.is_empty() => Step::Append(missing),
        Some(_) => {
            let span = log.span(last, lasting);
            let is_whole = (span.lasting..=span.known).contains(&held.entries);
            if last == Seq(0) || is_whole { Step::Nothing } else { Step::Rewrite }
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
