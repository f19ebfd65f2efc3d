//! The writing transaction. It numbers, chains and inserts audit entries and revocations in one
//! place, when it commits, so that no verb can forget to move the head.

use std::{sync::Arc, time::Duration};

use procura_token::{Key, KeyHash, Seq, Ts};

use crate::{
    Error, Result,
    audit::{self, ChainHash, Entry},
    backup::Head,
    keys::KeysVersion,
    patience,
    revocations::{self, RevocationLog},
    row::Columns,
    sql::{Pool, Transaction, forked, query},
};

/// A token can live this long after the entry that kills it, plus a margin; then the entry may be
/// forgotten. In seconds.
pub const ENTRY_LIFE_SECS: i64 = 20 * 60;

/// Whoever stole a signing key makes tokens of any length. They die with the key: nobody goes by a key
/// set that is older than a day, so the entry is kept for that long, plus a margin. In seconds.
pub const KEY_ENTRY_LIFE_SECS: i64 = 25 * 3600;

/// An open transaction.
pub struct Tx {
    inner: Transaction,
    log: Arc<RevocationLog>,
    now: Ts,
    head: Seq,
    audit_seq: i64,
    audit_hash: ChainHash,
    keys: KeysVersion,
    audit: Vec<Entry>,
    revocations: Vec<revocations::Entry>,
}

/// What a commit tells.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The revocation head after the commit.
    pub head: Seq,
    /// The version of the signing keys after the commit.
    pub keys: KeysVersion,
}

impl Tx {
    pub(crate) async fn begin(writer: &Pool, log: Arc<RevocationLog>, now: Ts) -> Result<Self> {
        // SQLite locks by its BEGIN IMMEDIATE. On Postgres the lock on this row gives all writers of
        // all nodes one order: what a transaction reads after it is as the one before left it.
        const HEAD_SQLITE: &str =
            "SELECT revocation_seq, audit_seq, audit_hash, keys_version FROM head WHERE id = 1";
        const HEAD_POSTGRES: &str = "SELECT revocation_seq, audit_seq, audit_hash, keys_version \
                                     FROM head WHERE id = 1 FOR UPDATE";
        let mut inner = writer.begin().await?;
        let row = forked(HEAD_SQLITE, HEAD_POSTGRES).fetch_one(&mut inner).await?;
        let (head, audit_seq) = (Seq(row.int("revocation_seq")?), row.int("audit_seq")?);
        let audit_hash = row.parsed("audit_hash")?;
        let keys = KeysVersion(row.int("keys_version")?);
        Ok(Self {
            inner,
            log,
            now,
            head,
            audit_seq,
            audit_hash,
            keys,
            audit: Vec::new(),
            revocations: Vec::new(),
        })
    }

    /// The instant of this transaction.
    #[must_use]
    pub const fn now(&self) -> Ts {
        self.now
    }

    /// The revocation head as it was before anything was looked at: what a token issued from this
    /// transaction carries as `rvs`.
    #[must_use]
    pub const fn rvs(&self) -> Seq {
        self.head
    }

    /// The version of the signing keys as this transaction sees it: who signs what comes of it must
    /// not do so with an older copy.
    #[must_use]
    pub const fn keys_version(&self) -> KeysVersion {
        self.keys
    }

    /// Lets every node know, with the commit, that its copy of the keys is old.
    pub(crate) const fn move_keys(&mut self) {
        self.keys = self.keys.next();
    }

    /// After a restore both logs go on from where the backup ended. The version of the keys only has
    /// to be another one than anybody has seen, so it jumps.
    pub(crate) fn set_head(&mut self, head: &Head) {
        self.head = head.revocation_seq;
        self.audit_seq = head.audit_seq;
        self.audit_hash = head.audit_hash;
        self.keys = head.keys_version.max(KeysVersion(self.now.secs())).next();
    }

    /// Writes an audit entry with the commit.
    pub fn audit(&mut self, entry: Entry) {
        self.audit.push(entry);
    }

    /// Kills, with the commit, every token that has this key and was issued before.
    pub fn revoke(&mut self, key: &Key<'_>, cause: &'static str) {
        let prev = self.revocations.last().map_or(self.head, |entry| entry.seq);
        let is_absolute = procura_token::revocation::is_absolute(key.kind());
        let life_secs = if is_absolute { KEY_ENTRY_LIFE_SECS } else { ENTRY_LIFE_SECS };
        self.revocations.push(revocations::Entry {
            seq: Seq(self.now.0.max(prev.0.saturating_add(1))),
            prev,
            kind: key.kind().to_owned(),
            key: key.hash(),
            cause: cause.to_owned(),
            expires_at: self.now.plus_secs(life_secs),
        });
    }

    /// Whether its commit will kill tokens.
    #[must_use]
    pub const fn is_revoking(&self) -> bool {
        !self.revocations.is_empty()
    }

    /// Whether a token with these keys, issued at `rvs`, is dead as of this transaction.
    pub async fn is_dead(&mut self, keys: &[KeyHash], rvs: Seq) -> Result<bool> {
        Ok(self.catch_up().await?.is_dead(keys, rvs))
    }

    /// Brings the view in memory up to the head that this transaction sees. Costs nothing when
    /// nothing came in between.
    pub(crate) async fn catch_up(&mut self) -> Result<Arc<RevocationLog>> {
        if self.log.head() < self.head {
            let missing = revocations::since(&mut self.inner, self.log.head()).await?;
            self.log.adopt(missing, self.head);
        }
        Ok(Arc::clone(&self.log))
    }

    /// Makes everything durable, then lets the revocations out.
    ///
    /// Runs to its end also when the caller has gone: a commit that succeeds is always published.
    pub async fn commit(mut self) -> Result<Committed> {
        let work = async move {
            if !self.audit.is_empty() {
                let chained = audit::chain(
                    std::mem::take(&mut self.audit),
                    &mut self.audit_seq,
                    &mut self.audit_hash,
                );
                audit::insert(&mut self.inner, chained).await?;
            }
            if self.is_revoking() {
                // Another node may have been faster. Ours must not wait behind a gap until the next
                // heartbeat fills it.
                self.catch_up().await?;
            }
            revocations::insert(&mut self.inner, &self.revocations, self.now).await?;
            let head = self.revocations.last().map_or(self.head, |entry| entry.seq);
            let keys = self.keys;
            self.move_head(head).await?;
            self.inner.commit().await?;
            self.log.meters.count_revocations(&self.revocations);
            self.log.publish(self.revocations);
            Ok(Committed { head, keys })
        };
        let done = patience::wait(Duration::MAX, tokio::spawn(work)).await;
        done.ok_or(Error::Unavailable)?.map_err(|_| Error::Unavailable)?
    }

    async fn move_head(&mut self, head: Seq) -> Result<()> {
        const MOVE: &str = "UPDATE head SET revocation_seq = $1, audit_seq = $2, \
                            audit_hash = $3, keys_version = $4 WHERE id = 1";
        query(MOVE)
            .bind(head.0)
            .bind(self.audit_seq)
            .bind(self.audit_hash.to_string())
            .bind(self.keys.0)
            .execute(&mut self.inner)
            .await?;
        Ok(())
    }

    pub(crate) const fn connection(&mut self) -> &mut Transaction {
        &mut self.inner
    }
}
