//! Keys of partners' people. Each has a session of its own, which begins and ends with it and is nobody's
//! login: whatever ends sessions ends keys, and what runs from a key hangs on its session.

use procura_domain::KeyBounds;
use procura_token::{ApiKeyId, ClientId, SessionId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::{Columns, json},
    sessions::Session,
    sql::{Row, query},
};

/// So long after its end a key is still listed, in seconds.
const LISTED_AFTER_SECS: i64 = 30 * 86_400;
/// The last use is written down at most this often, in seconds.
const USE_NOTED_EVERY_SECS: i64 = 300;

/// A key. What it is, not what is shown.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub user: UserId,
    /// The person's own tenant.
    pub tenant: TenantId,
    /// The client through which alone it is exchanged.
    pub client: ClientId,
    /// What it is for.
    pub name: String,
    /// To what it is bound.
    pub bounds: KeyBounds,
    /// The session that lives as long as it does.
    pub session: SessionId,
    /// Since when.
    pub created_at: Ts,
    /// Then it is worthless.
    pub expires_at: Ts,
    /// When it was ended before that.
    pub ended_at: Option<Ts>,
    /// When it was used last, give or take five minutes.
    pub last_used_at: Option<Ts>,
}

impl ApiKey {
    /// Whether it is still good for anything.
    #[must_use]
    pub fn is_live(&self, now: Ts) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

fn api_key(row: &Row) -> Result<ApiKey> {
    let tenants = row.opt_str("tenants")?.map(|_| row.json("tenants")).transpose()?;
    let networks = row.opt_str("networks")?.map(|_| row.json("networks")).transpose()?;
    Ok(ApiKey {
        id: row.parsed("id")?,
        user: row.parsed("user_id")?,
        tenant: row.parsed("tenant_id")?,
        client: row.parsed("client_id")?,
        name: row.text("name")?,
        bounds: KeyBounds { permissions: row.parsed("permissions")?, tenants, networks },
        session: row.parsed("session_id")?,
        created_at: row.ts("created_at")?,
        expires_at: row.ts("expires_at")?,
        ended_at: row.opt_ts("ended_at")?,
        last_used_at: row.opt_ts("last_used_at")?,
    })
}

impl Store {
    /// The key with this id, good or not, and the hash of its text.
    pub async fn find_api_key(&self, id: ApiKeyId) -> Result<Option<(ApiKey, String)>> {
        const FIND: &str = "SELECT k.*, s.ended_at FROM api_keys k \
                            JOIN sessions s ON s.id = k.session_id WHERE k.id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(|row| Ok((api_key(row)?, row.text("key_hash")?))).transpose()
    }

    /// The keys of a tenant's people.
    pub async fn list_api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>> {
        const LIST: &str = "SELECT k.*, s.ended_at FROM api_keys k \
                            JOIN sessions s ON s.id = k.session_id \
                            WHERE k.tenant_id = $1 ORDER BY k.id";
        let mut wall = self.within(tenant).await?;
        let rows = query(LIST).bind(tenant.to_string()).fetch_all(&mut wall).await?;
        rows.iter().map(api_key).collect()
    }

    /// All keys there are: for the operator.
    pub async fn list_all_api_keys(&self) -> Result<Vec<ApiKey>> {
        const LIST: &str = "SELECT k.*, s.ended_at FROM api_keys k \
                            JOIN sessions s ON s.id = k.session_id ORDER BY k.id";
        query(LIST).fetch_all(&self.readers).await?.iter().map(api_key).collect()
    }

    /// Notes that a key was used, where that is not known well enough.
    pub async fn note_use_of_key(&self, key: &ApiKey, now: Ts) -> Result<()> {
        const NOTE: &str = "UPDATE api_keys SET last_used_at = $2 WHERE id = $1 \
                            AND (last_used_at IS NULL OR last_used_at < $3)";
        let due = now.plus_secs(-USE_NOTED_EVERY_SECS);
        if key.last_used_at.is_some_and(|last| last >= due) {
            return Ok(());
        }
        let note = query(NOTE).bind(key.id.to_string()).bind(now.0).bind(due.0);
        note.execute(&self.writer).await?;
        Ok(())
    }

    /// Forgets keys that were worthless for a month.
    pub async fn forget_api_keys(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM api_keys WHERE expires_at <= $1 OR session_id IN \
                              (SELECT k.session_id FROM api_keys k \
                              JOIN sessions s ON s.id = k.session_id WHERE s.ended_at <= $1)";
        let before = now.plus_secs(-LISTED_AFTER_SECS);
        query(FORGET).bind(before.0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Keeps a key, as a hash only, with its session. Nothing leads to that one but the key: no cookie has
    /// its hash, and it says nothing of a login but how strong the maker's was, and by which provider: the key
    /// ends when logins of that kind do.
    pub async fn insert_api_key(
        &mut self,
        key: &ApiKey,
        key_hash: &str,
        maker: &Session,
    ) -> Result<()> {
        const SESSION: &str = "INSERT INTO sessions (id, user_id, tenant_id, cookie_hash, auth_time, \
                               acr, amr, idp, expires_at, is_login) \
                               VALUES ($1, $2, $3, $4, 0, $5, '', $6, $7, 0)";
        const KEY: &str = "INSERT INTO api_keys (id, user_id, tenant_id, client_id, session_id, name, \
                           key_hash, permissions, tenants, networks, created_at, expires_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        query(SESSION)
            .bind(key.session.to_string())
            .bind(key.user.to_string())
            .bind(key.tenant.to_string())
            // Unique, and the hash of no cookie.
            .bind(key.id.to_string())
            .bind(&maker.acr)
            .bind(&maker.idp)
            .bind(key.expires_at.0)
            .execute(self.connection())
            .await?;
        query(KEY)
            .bind(key.id.to_string())
            .bind(key.user.to_string())
            .bind(key.tenant.to_string())
            .bind(key.client.as_str())
            .bind(key.session.to_string())
            .bind(&key.name)
            .bind(key_hash)
            .bind(key.bounds.permissions.to_string())
            .bind(key.bounds.tenants.as_ref().map(json).transpose()?)
            .bind(key.bounds.networks.as_ref().map(json).transpose()?)
            .bind(key.created_at.0)
            .bind(key.expires_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The key with this id, as it is in this transaction. The caller's policy decides who may see it.
    pub async fn find_api_key(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>> {
        const FIND: &str = "SELECT k.*, s.ended_at FROM api_keys k \
                            JOIN sessions s ON s.id = k.session_id WHERE k.id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(api_key).transpose()
    }

    /// The key with this session, good or not; `None` where it is a login's.
    pub async fn find_api_key_of(&mut self, session: SessionId) -> Result<Option<ApiKey>> {
        const FIND: &str = "SELECT k.*, s.ended_at FROM api_keys k \
                            JOIN sessions s ON s.id = k.session_id WHERE k.session_id = $1";
        let row = query(FIND).bind(session.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(api_key).transpose()
    }

    /// How many live keys a person has.
    pub async fn count_api_keys(&mut self, user: UserId) -> Result<i64> {
        const COUNT: &str = "SELECT count(*) AS n FROM api_keys k \
                             JOIN sessions s ON s.id = k.session_id \
                             WHERE k.user_id = $1 AND s.ended_at IS NULL AND k.expires_at > $2";
        let now = self.now();
        let row = query(COUNT).bind(user.to_string()).bind(now.0);
        row.fetch_one(self.connection()).await?.int("n")
    }

    /// Ends the keys for a client; answers the sessions that ended with them.
    pub async fn end_api_keys_for(&mut self, client: &ClientId) -> Result<Vec<SessionId>> {
        const END: &str = "UPDATE sessions SET ended_at = $2 WHERE ended_at IS NULL AND is_login = 0 \
                           AND id IN (SELECT session_id FROM api_keys WHERE client_id = $1) \
                           RETURNING id";
        let now = self.now();
        let end = query(END).bind(client.as_str()).bind(now.0);
        let rows = end.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Ends one person's keys for a client; answers the same.
    pub async fn end_api_keys_between(
        &mut self,
        user: UserId,
        client: &ClientId,
    ) -> Result<Vec<SessionId>> {
        const END: &str = "UPDATE sessions SET ended_at = $3 WHERE ended_at IS NULL AND is_login = 0 \
                           AND id IN (SELECT session_id FROM api_keys \
                           WHERE user_id = $1 AND client_id = $2) RETURNING id";
        let now = self.now();
        let end = query(END).bind(user.to_string()).bind(client.as_str()).bind(now.0);
        let rows = end.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}
