//! Signing keys, sealed. The store cannot open them.

use procura_token::{Algorithm, Jwk, KeyId, Ts};

use crate::{
    Result, Store, Tx,
    row::{Columns, json},
    sql::query,
};

/// A signing key as it is kept.
#[derive(Clone)]
pub struct StoredKey {
    /// Its id.
    pub kid: KeyId,
    /// Its one algorithm.
    pub alg: Algorithm,
    /// `next`, `active` or `retired`.
    pub state: String,
    /// The public half.
    pub public: Jwk,
    /// PKCS #8, sealed.
    pub sealed: Vec<u8>,
    /// Since when.
    pub created_at: Ts,
}

impl Store {
    /// All keys, oldest first.
    pub async fn list_keys(&self) -> Result<Vec<StoredKey>> {
        const LIST: &str = "SELECT * FROM signing_keys ORDER BY created_at, kid";
        let rows = query(LIST).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                Ok(StoredKey {
                    kid: row.parsed("kid")?,
                    alg: row.parsed("alg")?,
                    state: row.text("state")?,
                    public: row.json("public_jwk")?,
                    sealed: row.bytes("sealed")?,
                    created_at: row.ts("created_at")?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// Keeps a new key.
    pub async fn insert_key(&mut self, key: &StoredKey) -> Result<()> {
        const INSERT: &str = "INSERT INTO signing_keys (kid, alg, state, public_jwk, sealed, \
                              created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        query(INSERT)
            .bind(key.kid.to_string())
            .bind(key.alg.name())
            .bind(&key.state)
            .bind(json(&key.public)?)
            .bind(&key.sealed)
            .bind(key.created_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
