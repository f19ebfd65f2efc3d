//! The writing transaction. It numbers, chains and inserts audit entries and revocations in one
//! place, when it commits, so that no verb can forget to move the head.

use std::sync::Arc;

use procura_token::{Key, Seq, Ts};

use crate::{
    Error, Result,
    audit::{self, ChainHash, Entry},
    revocations::{self, RevocationLog},
    row::Columns,
    sql::{Pool, Transaction, forked, query},
};

/// A token can live this long after the entry that kills it, plus a margin; then the entry may be
/// forgotten. In seconds.
pub const ENTRY_LIFE_SECS: i64 = 20 * 60;

/// An open transaction.
pub struct Tx {
    inner: Transaction,
    log: Arc<RevocationLog>,
    now: Ts,
    head: Seq,
    audit_seq: i64,
    audit_hash: ChainHash,
    audit: Vec<Entry>,
    revocations: Vec<revocations::Entry>,
}

/// What a commit tells.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The revocation head after the commit.
    pub head: Seq,
}

impl Tx {
    pub(crate) async fn begin(writer: &Pool, log: Arc<RevocationLog>, now: Ts) -> Result<Self> {
        // SQLite locks by its BEGIN IMMEDIATE. On Postgres the lock on this row gives all writers of
        // all nodes one order: what a transaction reads after it is as the one before left it.
        const HEAD_SQLITE: &str =
            "SELECT revocation_seq, audit_seq, audit_hash FROM head WHERE id = 1";
        const HEAD_POSTGRES: &str =
            "SELECT revocation_seq, audit_seq, audit_hash FROM head WHERE id = 1 FOR UPDATE";
        let mut inner = writer.begin().await?;
        let row = forked(HEAD_SQLITE, HEAD_POSTGRES).fetch_one(&mut inner).await?;
        let (head, audit_seq) = (Seq(row.int("revocation_seq")?), row.int("audit_seq")?);
        let audit_hash = row.parsed("audit_hash")?;
        Ok(Self {
            inner,
            log,
            now,
            head,
            audit_seq,
            audit_hash,
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

    /// Writes an audit entry with the commit.
    pub fn audit(&mut self, entry: Entry) {
        self.audit.push(entry);
    }

    /// Kills, with the commit, every token that has this key and was issued before.
    pub fn revoke(&mut self, key: &Key<'_>, cause: &'static str) {
        let prev = self.revocations.last().map_or(self.head, |entry| entry.seq);
        self.revocations.push(revocations::Entry {
            seq: Seq(self.now.0.max(prev.0.saturating_add(1))),
            prev,
            kind: key.kind().to_owned(),
            key: key.hash(),
            cause: cause.to_owned(),
            expires_at: self.now.plus_secs(ENTRY_LIFE_SECS),
        });
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
            revocations::insert(&mut self.inner, &self.revocations, self.now).await?;
            let head = self.revocations.last().map_or(self.head, |entry| entry.seq);
            self.move_head(head).await?;
            self.inner.commit().await?;
            self.log.meters.count_revocations(&self.revocations);
            self.log.publish(self.revocations);
            Ok(Committed { head })
        };
        tokio::spawn(work).await.map_err(|_| Error::Unavailable)?
    }

    async fn move_head(&mut self, head: Seq) -> Result<()> {
        const MOVE: &str =
            "UPDATE head SET revocation_seq = $1, audit_seq = $2, audit_hash = $3 WHERE id = 1";
        query(MOVE)
            .bind(head.0)
            .bind(self.audit_seq)
            .bind(self.audit_hash.to_string())
            .execute(&mut self.inner)
            .await?;
        Ok(())
    }

    pub(crate) const fn connection(&mut self) -> &mut Transaction {
        &mut self.inner
    }
}
