//! The revocation log: the durable truth in SQL, and the view of it in this process, from which the
//! feed is served and against which subject tokens are checked.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use procura_token::{KeyHash, Seq, Ts, revocation::is_absolute};
use tokio::sync::watch;

use crate::{
    Result, Store,
    keys::KeysVersion,
    meters::Meters,
    row::Columns,
    sql::{ManyRows, Place, Pool, Transaction, Value, query},
};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub seq: Seq,
    /// The head before it: whoever stands elsewhere has a gap.
    pub prev: Seq,
    /// The kind of key.
    pub kind: String,
    /// The blinded key.
    pub key: KeyHash,
    /// Why; never sent out.
    pub cause: String,
    /// From then on it can kill nothing any more.
    pub expires_at: Ts,
}

/// The latest entry of a key.
#[derive(Clone, Copy, Default)]
struct Latest {
    seq: Seq,
    /// It kills whatever `rvs` a token claims.
    is_absolute: bool,
}

impl Entry {
    /// Unix second from which a follower may forget it: rounded up, never too early.
    #[must_use]
    pub const fn forget_at(&self) -> i64 {
        self.expires_at.secs().saturating_add(1)
    }
}

/// How much of the log is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How many entries there are.
    pub known: u64,
    /// How many of them end after the instant that was asked for.
    pub lasting: u64,
}

#[derive(Default)]
struct View {
    entries: BTreeMap<Seq, Entry>,
    latest: HashMap<KeyHash, Latest>,
    head: Seq,
    /// The highest forgotten position: whoever stands before it must read the snapshot.
    floor: Seq,
}

impl View {
    fn take(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let latest = self.latest.entry(entry.key).or_default();
            latest.seq = entry.seq.max(latest.seq);
            latest.is_absolute |= is_absolute(&entry.kind);
            self.entries.insert(entry.seq, entry);
        }
        let from = (std::ops::Bound::Excluded(self.head), std::ops::Bound::Unbounded);
        let mut head = self.head;
        for entry in self.entries.range(from).map(|(_, entry)| entry) {
            if entry.prev != head {
                break;
            }
            head = entry.seq;
        }
        self.head = head;
    }
}

/// The log as this process knows it.
pub struct RevocationLog {
    view: RwLock<View>,
    head: watch::Sender<Seq>,
    /// Whoever writes to the log has it in hand, and with it what counts the writing.
    pub(crate) meters: Meters,
    /// The version of the signing keys, as it was last read with the head.
    keys: AtomicI64,
}

/// Everything that can still kill a token.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Complete up to here.
    pub head: Seq,
    /// In the order of the log.
    pub entries: Vec<Entry>,
}

impl RevocationLog {
    pub(crate) async fn load(readers: &Pool, meters: Meters) -> Result<Self> {
        let (head, keys) = head(readers).await?;
        let entries = since(readers, Seq(0)).await?;
        let log = Self { meters, keys: AtomicI64::new(keys.0), ..Self::empty() };
        log.adopt(entries, head);
        Ok(log)
    }

    pub(crate) fn empty() -> Self {
        Self {
            view: RwLock::default(),
            head: watch::Sender::new(Seq(0)),
            meters: Meters::default(),
            keys: AtomicI64::new(0),
        }
    }

    /// Takes in entries that were just committed, and wakes whoever follows. Repeats are harmless.
    ///
    /// Two commits can be published in the wrong order. So the head moves only along an unbroken
    /// chain of `prev`: an entry that came too early waits for the one before it, and no follower
    /// ever passes a gap.
    pub(crate) fn publish(&self, entries: Vec<Entry>) {
        let head = {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            view.take(entries);
            view.head
        };
        self.announce(head);
    }

    /// Takes in a complete read from the database: every entry after the position known here, and
    /// the head. What the database has forgotten in between can kill nothing any more.
    pub(crate) fn adopt(&self, entries: Vec<Entry>, head: Seq) {
        let head = {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            let start = entries.first().map_or(head, |first| first.prev);
            if start > view.head {
                view.floor = start;
                view.head = start;
            }
            view.take(entries);
            if view.head < head {
                // Entries live for different times, so forgotten ones leave gaps. The read was
                // complete: nothing is missing in them.
                view.head = head;
                view.take(Vec::new());
            }
            view.head
        };
        self.announce(head);
    }

    fn announce(&self, head: Seq) {
        self.head.send_if_modified(|known| {
            let is_news = head > *known;
            *known = head.max(*known);
            is_news
        });
    }

    /// The highest position known here.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.read().head
    }

    /// The entry at this position, while it can kill anything.
    pub(crate) fn find(&self, seq: Seq) -> Option<Entry> {
        self.read().entries.get(&seq).cloned()
    }

    /// How many entries are held: those that can still kill a token.
    #[must_use]
    pub fn held(&self) -> usize {
        self.read().entries.len()
    }

    /// Changes whenever the head moves.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    /// Whether a token with these keys, issued at `rvs`, is dead as far as is known here.
    #[must_use]
    pub fn is_dead(&self, keys: &[KeyHash], rvs: Seq) -> bool {
        let view = self.read();
        let is_dead = |latest: &Latest| latest.is_absolute || latest.seq > rvs;
        keys.iter().any(|key| view.latest.get(key).is_some_and(is_dead))
    }

    /// The entries after a position; `None` where the position is unknown or long forgotten, and
    /// the snapshot must be read instead.
    #[must_use]
    pub fn after(&self, seq: Seq) -> Option<Vec<Entry>> {
        let view = self.read();
        let is_known = seq == view.head || seq == view.floor || view.entries.contains_key(&seq);
        is_known.then(|| {
            let new =
                (std::ops::Bound::Excluded(seq), std::ops::Bound::Included(view.head.max(seq)));
            if seq >= view.head {
                return Vec::new();
            }
            view.entries.range(new).map(|(_, entry)| entry.clone()).collect()
        })
    }

    /// Everything that can still kill a token.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let view = self.read();
        let known = view.entries.range(..=view.head).map(|(_, entry)| entry.clone());
        Snapshot { head: view.head, entries: known.collect() }
    }

    /// The first entry; where there is none, where the next one can be.
    #[must_use]
    pub fn first(&self) -> Seq {
        let view = self.read();
        let first = view.entries.keys().next().copied();
        first.unwrap_or(Seq(view.head.0.saturating_add(1)))
    }

    /// How much there is up to a position, and how much of it ends after `at`.
    #[must_use]
    pub fn span(&self, to: Seq, at: Ts) -> Span {
        let view = self.read();
        let mut span = Span { known: 0, lasting: 0 };
        for entry in view.entries.range(..=to).map(|(_, entry)| entry) {
            span.known += 1;
            span.lasting += u64::from(entry.expires_at > at);
        }
        span
    }

    fn forget(&self, now: Ts) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let View { entries, latest, floor, .. } = &mut *view;
        entries.retain(|seq, entry| {
            let is_kept = entry.expires_at > now;
            if !is_kept {
                *floor = (*floor).max(*seq);
                if latest.get(&entry.key).is_some_and(|latest| latest.seq == *seq) {
                    latest.remove(&entry.key);
                }
            }
            is_kept
        });
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Reads the head from the database, takes in what this process has not seen, and answers it.
    /// A heartbeat may only be sent with a head read this way.
    pub async fn revocation_head(&self) -> Result<Seq> {
        let (head, keys) = head(&self.readers).await?;
        self.log.keys.fetch_max(keys.0, Ordering::Relaxed);
        if head > self.log.head() {
            let missing = since(&self.readers, self.log.head()).await?;
            self.log.adopt(missing, head);
        }
        Ok(head)
    }

    /// The version of the signing keys that [`Store::revocation_head`] last saw.
    #[must_use]
    pub fn keys_version(&self) -> KeysVersion {
        KeysVersion(self.log.keys.load(Ordering::Relaxed))
    }

    /// Drops entries that can kill nothing any more, in the database and in memory.
    pub async fn forget_revocations(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM revocations WHERE expires_at <= $1";
        query(FORGET).bind(now.0).execute(&self.writer).await?;
        self.log.forget(now);
        Ok(())
    }
}

async fn head(readers: &Pool) -> Result<(Seq, KeysVersion)> {
    const HEAD: &str = "SELECT revocation_seq, keys_version FROM head WHERE id = 1";
    let row = query(HEAD).fetch_one(readers).await?;
    Ok((Seq(row.int("revocation_seq")?), KeysVersion(row.int("keys_version")?)))
}

/// Every entry after a position. Read after the head, so that none up to it is missing.
pub(crate) async fn since<'a>(place: impl Into<Place<'a>>, seq: Seq) -> Result<Vec<Entry>> {
    const SINCE: &str = "SELECT seq, prev, kind, key_hash, cause, expires_at FROM revocations \
                         WHERE seq > $1 ORDER BY seq";
    let rows = query(SINCE).bind(seq.0).fetch_all(place).await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                seq: Seq(row.int("seq")?),
                prev: Seq(row.int("prev")?),
                kind: row.text("kind")?,
                key: KeyHash::from_hex(&row.text("key_hash")?).ok_or(crate::Error::Corrupt)?,
                cause: row.text("cause")?,
                expires_at: row.ts("expires_at")?,
            })
        })
        .collect()
}

static INSERT: ManyRows = ManyRows::new(
    "INSERT INTO revocations (seq, prev, kind, key_hash, cause, at, expires_at) VALUES ",
    7,
    "",
);

pub(crate) async fn insert(open: &mut Transaction, entries: &[Entry], now: Ts) -> Result<()> {
    let mut values = Vec::with_capacity(INSERT.columns() * entries.len());
    for entry in entries {
        values.extend([
            Value::from(entry.seq.0),
            Value::from(entry.prev.0),
            Value::from(entry.kind.clone()),
            Value::from(entry.key.to_string()),
            Value::from(entry.cause.clone()),
            Value::from(now.0),
            Value::from(entry.expires_at.0),
        ]);
    }
    INSERT.execute(values, open).await
}
