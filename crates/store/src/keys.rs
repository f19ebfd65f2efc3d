//! Signing keys and the deployment's secrets, sealed. The store cannot open them.

use std::{fmt, str::FromStr};

use procura_token::{Algorithm, Jwk, KeyId, Ts};

use crate::{
    Error, Result, Store, Tx,
    row::{Columns, json},
    sql::{Row, query},
};

/// Counts the changes of the signing keys; it stands in the head row and only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeysVersion(pub i64);

impl KeysVersion {
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Where a signing key stands in its life. Of each algorithm at most one is `next` and one `active`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that everybody knows it before it signs.
    Next,
    /// Signs.
    Active,
    /// Signs no more; still published until what it signed is dead.
    Retired,
    /// Published no more. Its public half stays: it signed checkpoints of the audit log.
    Gone,
}

impl KeyState {
    /// The word in SQL and in tables for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Next, Self::Active, Self::Retired, Self::Gone]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(Error::Corrupt)
    }
}

/// A signing key as it is kept.
#[derive(Clone)]
pub struct StoredKey {
    /// Its id.
    pub kid: KeyId,
    /// Its one algorithm.
    pub alg: Algorithm,
    /// Where it stands in its life.
    pub state: KeyState,
    /// The public half.
    pub public: Jwk,
    /// PKCS #8, sealed; empty once it signs no more.
    pub sealed: Vec<u8>,
    /// When it was made; then it was published.
    pub created_at: Ts,
    /// Since when it is in this state.
    pub changed_at: Ts,
    /// Until when a retired key is published.
    pub ends_at: Option<Ts>,
}

const LIST: &str = "SELECT * FROM signing_keys ORDER BY created_at, kid";

fn stored_key(row: &Row) -> Result<StoredKey> {
    Ok(StoredKey {
        kid: row.parsed("kid")?,
        alg: row.parsed("alg")?,
        state: row.parsed("state")?,
        public: row.json("public_jwk")?,
        sealed: row.bytes("sealed")?,
        created_at: row.ts("created_at")?,
        changed_at: row.ts("changed_at")?,
        ends_at: row.opt_ts("ends_at")?,
    })
}

impl Store {
    /// All keys that ever were, oldest first.
    pub async fn list_keys(&self) -> Result<Vec<StoredKey>> {
        let rows = query(LIST).fetch_all(&self.readers).await?;
        rows.iter().map(stored_key).collect()
    }

    /// All keys that ever were, and their version. The version is read first: a change in between makes
    /// the list newer than its version, which costs a second read, never an old key.
    pub async fn read_keys(&self) -> Result<(KeysVersion, Vec<StoredKey>)> {
        const VERSION: &str = "SELECT keys_version FROM head WHERE id = 1";
        let row = query(VERSION).fetch_one(&self.readers).await?;
        Ok((KeysVersion(row.int("keys_version")?), self.list_keys().await?))
    }

    /// Whether something in this database was sealed under a master key.
    pub async fn is_sealed(&self) -> Result<bool> {
        const COUNT: &str = "SELECT (SELECT count(*) FROM sealed_secrets) + \
                             (SELECT count(*) FROM signing_keys) AS n";
        Ok(query(COUNT).fetch_one(&self.readers).await?.int("n")? != 0)
    }

    /// A sealed secret of the deployment.
    pub async fn find_secret(&self, name: &str) -> Result<Option<String>> {
        const FIND: &str = "SELECT sealed FROM sealed_secrets WHERE name = $1";
        let row = query(FIND).bind(name).fetch_optional(&self.readers).await?;
        row.map(|row| row.text("sealed")).transpose()
    }
}

impl Tx {
    /// All keys that ever were, as they are in this transaction.
    pub async fn list_keys(&mut self) -> Result<Vec<StoredKey>> {
        let rows = query(LIST).fetch_all(self.connection()).await?;
        rows.iter().map(stored_key).collect()
    }

    /// Keeps a new key. A second `next` or `active` key of one algorithm is a conflict.
    pub async fn insert_key(&mut self, key: &StoredKey) -> Result<()> {
        const INSERT: &str = "INSERT INTO signing_keys (kid, alg, state, public_jwk, sealed, \
                              created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.move_keys();
        query(INSERT)
            .bind(key.kid.to_string())
            .bind(key.alg.name())
            .bind(key.state.as_str())
            .bind(json(&key.public)?)
            .bind(&key.sealed)
            .bind(key.created_at.0)
            .bind(key.changed_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The next key signs from now on. The active one must have been retired before.
    pub async fn promote_key(&mut self, kid: KeyId) -> Result<()> {
        const PROMOTE: &str = "UPDATE signing_keys SET state = 'active', changed_at = $2 \
                               WHERE kid = $1 AND state = 'next'";
        self.move_keys();
        let now = self.now();
        let done = query(PROMOTE).bind(kid.to_string()).bind(now.0);
        match done.execute(self.connection()).await? {
            1 => Ok(()),
            _ => Err(Error::Conflict),
        }
    }

    /// The key signs no more: its private part is erased. It is published until `ends_at`; `None`
    /// takes it away at once.
    pub async fn end_key(&mut self, kid: KeyId, ends_at: Option<Ts>) -> Result<()> {
        const END: &str = "UPDATE signing_keys SET state = $2, changed_at = $3, ends_at = $4, \
                           sealed = $5 WHERE kid = $1";
        self.move_keys();
        let state = if ends_at.is_some() { KeyState::Retired } else { KeyState::Gone };
        let (now, erased) = (self.now(), Vec::<u8>::new());
        query(END)
            .bind(kid.to_string())
            .bind(state.as_str())
            .bind(now.0)
            .bind(ends_at.map(|at| at.0))
            .bind(&erased)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Seals a key anew; nothing else of it changes, so its version does not either.
    pub async fn update_key_seal(&mut self, kid: KeyId, sealed: &Vec<u8>) -> Result<()> {
        const UPDATE: &str = "UPDATE signing_keys SET sealed = $2 WHERE kid = $1";
        query(UPDATE).bind(kid.to_string()).bind(sealed).execute(self.connection()).await?;
        Ok(())
    }

    /// A sealed secret of the deployment, as it is in this transaction.
    pub async fn find_secret(&mut self, name: &str) -> Result<Option<String>> {
        const FIND: &str = "SELECT sealed FROM sealed_secrets WHERE name = $1";
        let row = query(FIND).bind(name).fetch_optional(self.connection()).await?;
        row.map(|row| row.text("sealed")).transpose()
    }

    /// Keeps a sealed secret of the deployment, in the place of the one that was there.
    pub async fn put_secret(&mut self, name: &str, sealed: &str) -> Result<()> {
        const PUT: &str = "INSERT INTO sealed_secrets (name, sealed, created_at) \
                           VALUES ($1, $2, $3) \
                           ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed";
        let now = self.now();
        query(PUT).bind(name).bind(sealed).bind(now.0).execute(self.connection()).await?;
        Ok(())
    }
}
