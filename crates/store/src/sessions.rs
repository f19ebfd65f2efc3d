//! Login sessions. The cookie's value is stored as a hash only. Sessions of keys (`api_keys`) stand in the same
//! table, and are found by nothing here but the question whether one is live.

use procura_token::{SessionId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::{Columns, joined},
    sql::{Row, query},
};

/// A login.
#[derive(Clone, Debug)]
pub struct Session {
    /// `sid` in tokens.
    pub id: SessionId,
    /// Who.
    pub user: UserId,
    /// The person's own tenant.
    pub tenant: TenantId,
    /// When the person authenticated.
    pub auth_time: Ts,
    /// When the login began here: what limits its life counts from then.
    pub started_at: Ts,
    /// How strongly.
    pub acr: String,
    /// By which methods (RFC 8176).
    pub amr: Vec<String>,
    /// Through which identity provider.
    pub idp: String,
    /// The absolute end.
    pub expires_at: Ts,
    /// When it was ended before that.
    pub ended_at: Option<Ts>,
}

impl Session {
    /// Whether it still counts.
    #[must_use]
    pub fn is_live(&self, now: Ts) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }
}

const IS_LIVE: &str = "SELECT count(*) AS n FROM sessions WHERE id = $1 AND ended_at IS NULL \
                       AND expires_at > $2";

fn session(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.parsed("id")?,
        user: row.parsed("user_id")?,
        tenant: row.parsed("tenant_id")?,
        auth_time: row.ts("auth_time")?,
        started_at: row.ts("started_at")?,
        acr: row.text("acr")?,
        amr: row.words("amr")?,
        idp: row.text("idp")?,
        expires_at: row.ts("expires_at")?,
        ended_at: row.opt_ts("ended_at")?,
    })
}

impl Store {
    /// The session whose cookie has this hash.
    pub async fn find_session_by_cookie(&self, cookie_hash: &str) -> Result<Option<Session>> {
        const FIND: &str = "SELECT * FROM sessions WHERE cookie_hash = $1 AND is_login = 1";
        let row = query(FIND).bind(cookie_hash).fetch_optional(&self.readers).await?;
        row.as_ref().map(session).transpose()
    }

    /// The session with this id.
    pub async fn find_session(&self, id: SessionId) -> Result<Option<Session>> {
        const FIND: &str = "SELECT * FROM sessions WHERE id = $1 AND is_login = 1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(session).transpose()
    }

    /// Whether a token with this `sid`, of a login or of a key, can still be good.
    pub async fn is_session_live(&self, id: SessionId, now: Ts) -> Result<bool> {
        let row = query(IS_LIVE).bind(id.to_string()).bind(now.0).fetch_one(&self.readers).await?;
        row.is("n")
    }
}

impl Tx {
    /// Whether a token with this `sid`, of a login or of a key, can still be good.
    pub async fn is_session_live(&mut self, id: SessionId) -> Result<bool> {
        let now = self.now();
        let row = query(IS_LIVE).bind(id.to_string()).bind(now.0);
        row.fetch_one(self.connection()).await?.is("n")
    }

    /// Starts a session.
    pub async fn insert_session(&mut self, session: &Session, cookie_hash: &str) -> Result<()> {
        const INSERT: &str = "INSERT INTO sessions (id, user_id, tenant_id, cookie_hash, auth_time, \
                              acr, amr, idp, expires_at, started_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        query(INSERT)
            .bind(session.id.to_string())
            .bind(session.user.to_string())
            .bind(session.tenant.to_string())
            .bind(cookie_hash)
            .bind(session.auth_time.0)
            .bind(&session.acr)
            .bind(joined(&session.amr))
            .bind(&session.idp)
            .bind(session.expires_at.0)
            .bind(session.started_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The person logged in again: the login goes on, with another cookie.
    pub async fn renew_session(&mut self, session: &Session, cookie_hash: &str) -> Result<()> {
        const RENEW: &str = "UPDATE sessions SET cookie_hash = $2, auth_time = $3, acr = $4, \
                             amr = $5, idp = $6, expires_at = $7, started_at = $8 \
                             WHERE id = $1 AND ended_at IS NULL AND is_login = 1";
        query(RENEW)
            .bind(session.id.to_string())
            .bind(cookie_hash)
            .bind(session.auth_time.0)
            .bind(&session.acr)
            .bind(joined(&session.amr))
            .bind(&session.idp)
            .bind(session.expires_at.0)
            .bind(session.started_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The session with this id, as it is in this transaction.
    pub async fn find_session(&mut self, id: SessionId) -> Result<Option<Session>> {
        const FIND: &str = "SELECT * FROM sessions WHERE id = $1 AND is_login = 1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(session).transpose()
    }

    /// The live session in which this person has logged in last.
    pub async fn find_newest_session(&mut self, user: UserId) -> Result<Option<Session>> {
        const FIND: &str = "SELECT * FROM sessions WHERE user_id = $1 AND ended_at IS NULL \
                            AND is_login = 1 AND expires_at > $2 ORDER BY auth_time DESC, id DESC LIMIT 1";
        let now = self.now();
        let find = query(FIND).bind(user.to_string()).bind(now.0);
        let row = find.fetch_optional(self.connection()).await?;
        row.as_ref().map(session).transpose()
    }
}
