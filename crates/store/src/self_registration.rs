//! Clients that registered themselves, and the tokens that let them.

use procura_token::{ClientId, InitialTokenId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// So long after its end an initial access token is still listed, in seconds.
const LISTED_AFTER_SECS: i64 = 30 * 86_400;

/// A token that lets software register itself (RFC 7591 §1.2). What it is, not what is shown.
#[derive(Clone, Debug)]
pub struct InitialToken {
    /// Its id.
    pub id: InitialTokenId,
    /// The tenant that owns what is registered with it.
    pub tenant: TenantId,
    /// What it is for.
    pub name: String,
    /// How often it can still be used.
    pub uses_left: i64,
    /// Who made it; `None`: the operator, on the command line.
    pub created_by: Option<UserId>,
    /// Since when.
    pub created_at: Ts,
    /// Then it is worthless.
    pub expires_at: Ts,
    /// When somebody ended it.
    pub ended_at: Option<Ts>,
}

impl InitialToken {
    /// Whether software can still register with it.
    #[must_use]
    pub fn is_live(&self, now: Ts) -> bool {
        self.uses_left > 0 && self.ended_at.is_none() && now < self.expires_at
    }
}

/// What is known of a client that registered itself, besides what it is registered as.
#[derive(Clone, Debug)]
pub struct SelfRegistered {
    /// The client.
    pub client: ClientId,
    /// The keyed hash of the token by which it looks after itself.
    pub token_hash: String,
    /// With which initial access token it came.
    pub initial_token: Option<InitialTokenId>,
    /// Nobody having agreed to it until then, it goes.
    pub kept_until: Ts,
}

/// A client whose time has come.
#[derive(Clone, Debug)]
pub struct Due {
    /// The client.
    pub client: ClientId,
    /// Whether somebody has agreed to it.
    pub is_used: bool,
}

const FIND: &str = "SELECT * FROM self_registered_clients WHERE client_id = $1";

fn initial_token(row: &Row) -> Result<InitialToken> {
    Ok(InitialToken {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        uses_left: row.int("uses_left")?,
        created_by: row.opt_parsed("created_by")?,
        created_at: row.ts("created_at")?,
        expires_at: row.ts("expires_at")?,
        ended_at: row.opt_ts("ended_at")?,
    })
}

fn self_registered(row: &Row) -> Result<SelfRegistered> {
    Ok(SelfRegistered {
        client: row.parsed("client_id")?,
        token_hash: row.text("token_hash")?,
        initial_token: row.opt_parsed("initial_token_id")?,
        kept_until: row.ts("kept_until")?,
    })
}

impl Store {
    /// The initial access token with this hash, good or not.
    pub async fn find_initial_token(&self, hash: &str) -> Result<Option<InitialToken>> {
        const FIND: &str = "SELECT * FROM initial_access_tokens WHERE token_hash = $1";
        let row = query(FIND).bind(hash).fetch_optional(&self.readers).await?;
        row.as_ref().map(initial_token).transpose()
    }

    /// The initial access tokens of a tenant.
    pub async fn list_initial_tokens(&self, tenant: TenantId) -> Result<Vec<InitialToken>> {
        const LIST: &str = "SELECT * FROM initial_access_tokens WHERE tenant_id = $1 ORDER BY id";
        let mut wall = self.within(tenant).await?;
        let rows = query(LIST).bind(tenant.to_string()).fetch_all(&mut wall).await?;
        rows.iter().map(initial_token).collect()
    }

    /// All initial access tokens there are: for the operator.
    pub async fn list_all_initial_tokens(&self) -> Result<Vec<InitialToken>> {
        const LIST: &str = "SELECT * FROM initial_access_tokens ORDER BY id";
        query(LIST).fetch_all(&self.readers).await?.iter().map(initial_token).collect()
    }

    /// What is known of a client that registered itself; `None` where people registered it.
    pub async fn find_self_registered(&self, id: &ClientId) -> Result<Option<SelfRegistered>> {
        let row = query(FIND).bind(id.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(self_registered).transpose()
    }

    /// Whether the time of any client has come.
    pub async fn is_self_registered_due(&self, now: Ts) -> Result<bool> {
        const COUNT: &str =
            "SELECT count(*) AS n FROM self_registered_clients WHERE kept_until <= $1";
        Ok(query(COUNT).bind(now.0).fetch_one(&self.readers).await?.int("n")? > 0)
    }

    /// Forgets initial access tokens that were worthless for a month.
    pub async fn forget_initial_tokens(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM initial_access_tokens WHERE expires_at <= $1";
        let before = now.plus_secs(-LISTED_AFTER_SECS);
        query(FORGET).bind(before.0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Keeps an initial access token, as a hash only.
    pub async fn insert_initial_token(&mut self, token: &InitialToken, hash: &str) -> Result<()> {
        const INSERT: &str = "INSERT INTO initial_access_tokens (id, tenant_id, token_hash, name, \
                              uses_left, created_by, created_at, expires_at, ended_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        query(INSERT)
            .bind(token.id.to_string())
            .bind(token.tenant.to_string())
            .bind(hash)
            .bind(&token.name)
            .bind(token.uses_left)
            .bind(token.created_by.map(|user| user.to_string()))
            .bind(token.created_at.0)
            .bind(token.expires_at.0)
            .bind(token.ended_at.map(|at| at.0))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The initial access token with this id, good or not.
    pub async fn find_initial_token(&mut self, id: InitialTokenId) -> Result<Option<InitialToken>> {
        const FIND: &str = "SELECT * FROM initial_access_tokens WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(initial_token).transpose()
    }

    /// Uses an initial access token once, if it is good; answers whether it was.
    pub async fn use_initial_token(&mut self, id: InitialTokenId) -> Result<bool> {
        const USE: &str = "UPDATE initial_access_tokens SET uses_left = uses_left - 1 WHERE id = $1 \
                           AND uses_left > 0 AND ended_at IS NULL AND expires_at > $2";
        let now = self.now();
        let done = query(USE).bind(id.to_string()).bind(now.0).execute(self.connection()).await?;
        Ok(done == 1)
    }

    /// Ends an initial access token.
    pub async fn end_initial_token(&mut self, id: InitialTokenId) -> Result<()> {
        const END: &str =
            "UPDATE initial_access_tokens SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
        let now = self.now();
        query(END).bind(id.to_string()).bind(now.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Remembers that a client registered itself.
    pub async fn insert_self_registered(&mut self, client: &SelfRegistered) -> Result<()> {
        const INSERT: &str = "INSERT INTO self_registered_clients (client_id, token_hash, \
                              initial_token_id, kept_until) VALUES ($1, $2, $3, $4)";
        query(INSERT)
            .bind(client.client.as_str())
            .bind(&client.token_hash)
            .bind(client.initial_token.map(|id| id.to_string()))
            .bind(client.kept_until.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The same as it is in this transaction.
    pub async fn find_self_registered(&mut self, id: &ClientId) -> Result<Option<SelfRegistered>> {
        let row = query(FIND).bind(id.as_str()).fetch_optional(self.connection()).await?;
        row.as_ref().map(self_registered).transpose()
    }

    /// How many clients registered themselves.
    pub async fn count_self_registered(&mut self) -> Result<i64> {
        const COUNT: &str = "SELECT count(*) AS n FROM self_registered_clients";
        query(COUNT).fetch_one(self.connection()).await?.int("n")
    }

    /// Puts another registration token in the place of the one that there is.
    pub async fn replace_registration_token(&mut self, id: &ClientId, hash: &str) -> Result<()> {
        const REPLACE: &str =
            "UPDATE self_registered_clients SET token_hash = $2 WHERE client_id = $1";
        query(REPLACE).bind(id.as_str()).bind(hash).execute(self.connection()).await?;
        Ok(())
    }

    /// Some of the clients whose time has come; few enough for one transaction.
    pub async fn list_self_registered_due(&mut self) -> Result<Vec<Due>> {
        const LIST: &str = "SELECT r.client_id, count(n.client_id) AS n \
                            FROM self_registered_clients r \
                            LEFT JOIN consents n ON n.client_id = r.client_id \
                            WHERE r.kept_until <= $1 GROUP BY r.client_id ORDER BY r.client_id LIMIT 100";
        let now = self.now();
        let rows = query(LIST).bind(now.0).fetch_all(self.connection()).await?;
        let due =
            |row: &Row| Ok(Due { client: row.parsed("client_id")?, is_used: row.int("n")? > 0 });
        rows.iter().map(due).collect()
    }

    /// Looks at a client again only then.
    pub async fn keep_self_registered(&mut self, id: &ClientId, until: Ts) -> Result<()> {
        const KEEP: &str =
            "UPDATE self_registered_clients SET kept_until = $2 WHERE client_id = $1";
        query(KEEP).bind(id.as_str()).bind(until.0).execute(self.connection()).await?;
        Ok(())
    }
}
