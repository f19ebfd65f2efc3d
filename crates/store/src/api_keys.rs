//! Keys of partners' people. Each has a session of its own, which begins and ends with it and is nobody's
//! login: whatever ends sessions ends keys, and what runs from a key hangs on its session.

use std::fmt::{self, Write as _};

use procura_domain::KeyBounds;
use procura_token::{ApiKeyId, ClientId, SessionId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::{Columns, json},
    sessions::Session,
    sql::{Query, Row, Value, query},
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
    /// The client through which it was made; `None`: that was not written down.
    pub made_through: Option<ClientId>,
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

    /// Where it stands in a list.
    #[must_use]
    pub fn place(&self, now: Ts) -> Place {
        Place { is_over: !self.is_live(now), id: self.id }
    }
}

/// Which keys are listed. Whatever is absent bounds nothing.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Of this tenant's people.
    pub tenant: Option<TenantId>,
    /// Of this person.
    pub user: Option<UserId>,
    /// For this client, or made through it.
    pub client: Option<ClientId>,
}

impl Which {
    fn query(&self, (after, limit): (Option<Place>, i64), now: Ts) -> Query {
        let mut text = "SELECT * FROM (SELECT k.*, s.ended_at, CASE WHEN s.ended_at IS NULL \
                        AND k.expires_at > $1 THEN 0 ELSE 1 END AS is_over FROM api_keys k \
                        JOIN sessions s ON s.id = k.session_id) k \
                        WHERE (is_over > $2 OR (is_over = $2 AND id > $3))"
            .to_owned();
        let (is_over, id) = match after {
            Some(place) => (i64::from(place.is_over), place.id.to_string()),
            None => (-1, String::new()),
        };
        let mut values = vec![Value::from(now.0), Value::from(is_over), Value::from(id)];
        let mut and = |condition: &str, value: Option<String>| {
            if let Some(value) = value {
                values.push(Value::from(value));
                text.push_str(" AND ");
                text.push_str(&condition.replace('?', &format!("${}", values.len())));
            }
        };
        and("tenant_id = ?", self.tenant.map(|id| id.to_string()));
        and("user_id = ?", self.user.map(|id| id.to_string()));
        and("(client_id = ? OR made_through = ?)", self.client.as_ref().map(ClientId::to_string));
        values.push(Value::from(limit));
        // Writing to a string cannot fail.
        let _ = write!(text, " ORDER BY is_over, id LIMIT ${}", values.len());
        values.into_iter().fold(query(text), Query::bind)
    }
}

/// Where a page of keys ended: `live.apk_…` or `over.apk_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    is_over: bool,
    id: ApiKeyId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", if self.is_over { "over" } else { "live" }, self.id)
    }
}

impl Place {
    /// Reads one; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (state, id) = text.split_once('.')?;
        let is_over = match state {
            "live" => false,
            "over" => true,
            _ => return None,
        };
        Some(Self { is_over, id: id.parse().ok()? })
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
        made_through: row.opt_parsed("made_through")?,
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

    /// A page of keys behind the place where the last one ended, the live ones first. What is live in between
    /// and over then can stand on two pages, and is on none too few.
    pub async fn list_api_keys(
        &self,
        which: &Which,
        (after, limit): (Option<Place>, i64),
        now: Ts,
    ) -> Result<Vec<ApiKey>> {
        let query = which.query((after, limit), now);
        let rows = match which.tenant {
            Some(tenant) => query.fetch_all(&mut self.within(tenant).await?).await?,
            None => query.fetch_all(&self.readers).await?,
        };
        rows.iter().map(api_key).collect()
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
                           key_hash, permissions, tenants, networks, created_at, expires_at, made_through) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
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
            .bind(key.made_through.as_ref().map(ClientId::as_str))
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

    /// How many keys of a person are live, and how many are over and not forgotten yet.
    pub async fn count_api_keys(&mut self, user: UserId) -> Result<(i64, i64)> {
        const COUNT: &str = "SELECT count(CASE WHEN s.ended_at IS NULL AND k.expires_at > $2 \
                             THEN 1 END) AS live, count(*) AS held FROM api_keys k \
                             JOIN sessions s ON s.id = k.session_id WHERE k.user_id = $1";
        let now = self.now();
        let count = query(COUNT).bind(user.to_string()).bind(now.0);
        let row = count.fetch_one(self.connection()).await?;
        let live = row.int("live")?;
        Ok((live, row.int("held")?.saturating_sub(live)))
    }

    /// Ends the keys for a client, and those made through it; answers the sessions that ended with them.
    pub async fn end_api_keys_of(&mut self, client: &ClientId) -> Result<Vec<SessionId>> {
        const END: &str = "UPDATE sessions SET ended_at = $2 WHERE ended_at IS NULL AND is_login = 0 \
                           AND id IN (SELECT session_id FROM api_keys \
                           WHERE client_id = $1 OR made_through = $1) RETURNING id";
        let now = self.now();
        let end = query(END).bind(client.as_str()).bind(now.0);
        let rows = end.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// The same for one person's keys alone; answers the same.
    pub async fn end_api_keys_between(
        &mut self,
        user: UserId,
        client: &ClientId,
    ) -> Result<Vec<SessionId>> {
        const END: &str = "UPDATE sessions SET ended_at = $3 WHERE ended_at IS NULL AND is_login = 0 \
                           AND id IN (SELECT session_id FROM api_keys \
                           WHERE user_id = $1 AND (client_id = $2 OR made_through = $2)) \
                           RETURNING id";
        let now = self.now();
        let end = query(END).bind(user.to_string()).bind(client.as_str()).bind(now.0);
        let rows = end.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}
