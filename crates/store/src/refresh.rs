//! What a login gave and can be taken back: home tokens that may still be alive, and the families of
//! refresh tokens. A family begins with a code; of its tokens one is unused, the others show a thief.
//! Tokens are stored as hashes and change places by one statement.

use procura_token::{ClientId, SessionId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// A client's right to come back without the person.
#[derive(Clone, Debug)]
pub struct Family {
    /// The hash of the code that it began with.
    pub origin_hash: String,
    /// The login behind it.
    pub session: SessionId,
    /// Who agreed.
    pub user: UserId,
    /// The person's own tenant.
    pub tenant: TenantId,
    /// To whom.
    pub client: ClientId,
    /// What was agreed, in JSON of the issuer's making.
    pub grant_json: String,
    /// The absolute end.
    pub ends_at: Ts,
    /// Unused until then, it is over.
    pub idle_ends_at: Ts,
    /// When it was ended before that.
    pub ended_at: Option<Ts>,
}

/// A refresh token as it was stored, with its family.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Its family.
    pub family: Family,
    /// When another one took its place.
    pub used_at: Option<Ts>,
    /// Whether that one was used too.
    pub is_successor_used: bool,
}

/// A home token that was issued.
#[derive(Clone, Debug)]
pub struct HomeToken {
    /// Its id.
    pub jti: String,
    /// The login behind it.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Who got it.
    pub client: ClientId,
    /// The hash of the code that it goes back to.
    pub origin_hash: String,
    /// What userinfo adds to what scopes say, in JSON of the issuer's making.
    pub claims: Option<String>,
    /// Then it is dead by itself.
    pub expires_at: Ts,
}

fn family(row: &Row) -> Result<Family> {
    Ok(Family {
        origin_hash: row.text("origin_hash")?,
        session: row.parsed("session_id")?,
        user: row.parsed("user_id")?,
        tenant: row.parsed("tenant_id")?,
        client: row.parsed("client_id")?,
        grant_json: row.text("grant_json")?,
        ends_at: row.ts("ends_at")?,
        idle_ends_at: row.ts("idle_ends_at")?,
        ended_at: row.opt_ts("ended_at")?,
    })
}

impl Store {
    /// Whose refresh token this is, or was.
    pub async fn find_refresh_client(&self, token_hash: &str) -> Result<Option<ClientId>> {
        const FIND: &str = "SELECT f.client_id FROM refresh_tokens t \
                            JOIN refresh_families f ON f.origin_hash = t.origin_hash \
                            WHERE t.token_hash = $1";
        let row = query(FIND).bind(token_hash).fetch_optional(&self.readers).await?;
        row.map(|row| row.parsed("client_id")).transpose()
    }

    /// What userinfo adds for the bearer of this token.
    pub async fn find_home_token_claims(&self, jti: &str) -> Result<Option<String>> {
        const FIND: &str = "SELECT claims FROM home_tokens WHERE jti = $1";
        let row = query(FIND).bind(jti).fetch_optional(&self.readers).await?;
        row.map_or(Ok(None), |row| row.opt_text("claims"))
    }

    /// Forgets tokens that are dead by themselves, and families that are over. A family is kept for an
    /// hour after its end, so that what it gave last is dead before nobody knows of it any more.
    pub async fn forget_home_tokens(&self, now: Ts) -> Result<()> {
        const HOME: &str = "DELETE FROM home_tokens WHERE expires_at <= $1";
        const TOKENS: &str = "DELETE FROM refresh_tokens WHERE origin_hash IN \
                              (SELECT origin_hash FROM refresh_families WHERE ended_at <= $1 \
                              OR ends_at <= $1 OR idle_ends_at <= $1)";
        const FAMILIES: &str = "DELETE FROM refresh_families WHERE (ended_at <= $1 \
                                OR ends_at <= $1 OR idle_ends_at <= $1) AND NOT EXISTS \
                                (SELECT 1 FROM refresh_tokens t \
                                WHERE t.origin_hash = refresh_families.origin_hash)";
        query(HOME).bind(now.0).execute(&self.writer).await?;
        for statement in [TOKENS, FAMILIES] {
            query(statement).bind(now.plus_secs(-3600).0).execute(&self.writer).await?;
        }
        Ok(())
    }
}

impl Tx {
    /// Remembers a home token for as long as it can live.
    pub async fn insert_home_token(&mut self, token: &HomeToken) -> Result<()> {
        const INSERT: &str = "INSERT INTO home_tokens (jti, session_id, user_id, client_id, \
                              origin_hash, claims, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        query(INSERT)
            .bind(&token.jti)
            .bind(token.session.to_string())
            .bind(token.user.to_string())
            .bind(token.client.as_str())
            .bind(&token.origin_hash)
            .bind(&token.claims)
            .bind(token.expires_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The living home tokens that go back to this code.
    pub async fn list_home_tokens_from(&mut self, origin_hash: &str) -> Result<Vec<String>> {
        const LIST: &str = "SELECT jti FROM home_tokens WHERE origin_hash = $1 AND expires_at > $2";
        let now = self.now();
        let rows = query(LIST).bind(origin_hash).bind(now.0).fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.text("jti")).collect()
    }

    /// The living home tokens of a person that this client holds, with their logins.
    pub async fn list_home_tokens_between(
        &mut self,
        user: UserId,
        client: &ClientId,
    ) -> Result<Vec<(String, SessionId)>> {
        const LIST: &str = "SELECT jti, session_id FROM home_tokens WHERE user_id = $1 \
                            AND client_id = $2 AND expires_at > $3";
        let now = self.now();
        let rows = query(LIST)
            .bind(user.to_string())
            .bind(client.as_str())
            .bind(now.0)
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(|row| Ok((row.text("jti")?, row.parsed("session_id")?))).collect()
    }

    /// Begins a family with its first token.
    pub async fn insert_family(&mut self, family: &Family, token_hash: &str) -> Result<()> {
        const INSERT: &str = "INSERT INTO refresh_families (origin_hash, session_id, user_id, \
                              tenant_id, client_id, grant_json, ends_at, idle_ends_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        query(INSERT)
            .bind(&family.origin_hash)
            .bind(family.session.to_string())
            .bind(family.user.to_string())
            .bind(family.tenant.to_string())
            .bind(family.client.as_str())
            .bind(&family.grant_json)
            .bind(family.ends_at.0)
            .bind(family.idle_ends_at.0)
            .execute(self.connection())
            .await?;
        self.insert_refresh_token(token_hash, &family.origin_hash).await
    }

    async fn insert_refresh_token(&mut self, token_hash: &str, origin_hash: &str) -> Result<()> {
        const INSERT: &str = "INSERT INTO refresh_tokens (token_hash, origin_hash) VALUES ($1, $2)";
        query(INSERT).bind(token_hash).bind(origin_hash).execute(self.connection()).await?;
        Ok(())
    }

    /// The token with this hash, used or not.
    pub async fn find_refresh_token(&mut self, token_hash: &str) -> Result<Option<RefreshToken>> {
        const FIND: &str = "SELECT f.*, t.used_at, s.used_at AS successor_used_at \
                            FROM refresh_tokens t \
                            JOIN refresh_families f ON f.origin_hash = t.origin_hash \
                            LEFT JOIN refresh_tokens s ON s.token_hash = t.successor_hash \
                            WHERE t.token_hash = $1";
        let row = query(FIND).bind(token_hash).fetch_optional(self.connection()).await?;
        row.map(|row| {
            Ok(RefreshToken {
                family: family(&row)?,
                used_at: row.opt_ts("used_at")?,
                is_successor_used: row.opt_ts("successor_used_at")?.is_some(),
            })
        })
        .transpose()
    }

    /// Puts another token in the place of this one; whether this was the first time.
    pub async fn rotate_refresh_token(
        &mut self,
        token_hash: &str,
        successor_hash: &str,
        family: &Family,
    ) -> Result<bool> {
        const ROTATE: &str = "UPDATE refresh_tokens SET used_at = $2, successor_hash = $3 \
                              WHERE token_hash = $1 AND used_at IS NULL";
        let now = self.now();
        let done = query(ROTATE)
            .bind(token_hash)
            .bind(now.0)
            .bind(successor_hash)
            .execute(self.connection())
            .await?;
        if done == 1 {
            self.insert_refresh_token(successor_hash, &family.origin_hash).await?;
        }
        Ok(done == 1)
    }

    /// Moves the end of an idle family.
    pub async fn update_family(&mut self, origin_hash: &str, idle_ends_at: Ts) -> Result<()> {
        const UPDATE: &str = "UPDATE refresh_families SET idle_ends_at = $2 WHERE origin_hash = $1";
        query(UPDATE).bind(origin_hash).bind(idle_ends_at.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Ends a family; whether there was one that ran.
    pub async fn end_family(&mut self, origin_hash: &str) -> Result<bool> {
        const END: &str = "UPDATE refresh_families SET ended_at = $2 \
                           WHERE origin_hash = $1 AND ended_at IS NULL";
        let now = self.now();
        let done = query(END).bind(origin_hash).bind(now.0).execute(self.connection()).await?;
        Ok(done == 1)
    }

    /// Ends all families of a client.
    pub async fn end_families_of(&mut self, client: &ClientId) -> Result<u64> {
        const END: &str = "UPDATE refresh_families SET ended_at = $2 \
                           WHERE client_id = $1 AND ended_at IS NULL";
        let now = self.now();
        query(END).bind(client.as_str()).bind(now.0).execute(self.connection()).await
    }

    /// Ends the families that a person let this client have.
    pub async fn end_families_between(&mut self, user: UserId, client: &ClientId) -> Result<u64> {
        const END: &str = "UPDATE refresh_families SET ended_at = $3 \
                           WHERE user_id = $1 AND client_id = $2 AND ended_at IS NULL";
        let now = self.now();
        query(END)
            .bind(user.to_string())
            .bind(client.as_str())
            .bind(now.0)
            .execute(self.connection())
            .await
    }
}
