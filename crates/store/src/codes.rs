//! The login dance: pending authorization requests, authorization codes, remembered consent. Codes
//! are stored as hashes and redeemed once, by one statement.

use procura_token::{ClientId, InteractionId, Scope, SessionId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// An authorization request that waits for a person in a browser.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// Its id, in the URL of the pages.
    pub id: InteractionId,
    /// The hash of the browser's cookie.
    pub browser_hash: String,
    /// What was asked, in JSON of the issuer's making.
    pub request: String,
    /// Then it is forgotten.
    pub expires_at: Ts,
}

/// An authorization code as it was stored.
#[derive(Clone, Debug)]
pub struct Code {
    /// The login that gave it.
    pub session: SessionId,
    /// The client it is for.
    pub client: ClientId,
    /// What it stands for, in JSON of the issuer's making.
    pub grant_json: String,
    /// Then it is worthless.
    pub expires_at: Ts,
    /// When it was redeemed.
    pub used_at: Option<Ts>,
    /// The token that it gave.
    pub jti: Option<String>,
}

/// What a person agreed to give a client.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Who may have it.
    pub client: ClientId,
    /// The client's name.
    pub client_name: String,
    /// What it may have.
    pub scope: Scope,
    /// Since when.
    pub given_at: Ts,
}

impl Store {
    /// Keeps an authorization request until the person has answered. A statement of its own: strangers may
    /// cause it, and it has no place in the order of all writers.
    pub async fn insert_interaction(&self, interaction: &Interaction) -> Result<()> {
        const INSERT: &str = "INSERT INTO interactions (id, browser_hash, request, expires_at) \
                              VALUES ($1, $2, $3, $4)";
        query(INSERT)
            .bind(interaction.id.to_string())
            .bind(&interaction.browser_hash)
            .bind(&interaction.request)
            .bind(interaction.expires_at.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The pending request, if it is not too old.
    pub async fn find_interaction(
        &self,
        id: InteractionId,
        now: Ts,
    ) -> Result<Option<Interaction>> {
        const FIND: &str = "SELECT * FROM interactions WHERE id = $1 AND expires_at > $2";
        let row =
            query(FIND).bind(id.to_string()).bind(now.0).fetch_optional(&self.readers).await?;
        row.map(|row| {
            Ok(Interaction {
                id: row.parsed("id")?,
                browser_hash: row.text("browser_hash")?,
                request: row.text("request")?,
                expires_at: row.ts("expires_at")?,
            })
        })
        .transpose()
    }

    /// Whether there is, or was, such a code.
    pub async fn is_code_known(&self, code_hash: &str) -> Result<bool> {
        const FIND: &str = "SELECT used_at FROM authorization_codes WHERE code_hash = $1";
        Ok(query(FIND).bind(code_hash).fetch_optional(&self.readers).await?.is_some())
    }

    /// What this person agreed to give this client before.
    pub async fn find_consent(&self, user: UserId, client: &ClientId) -> Result<Option<Scope>> {
        const FIND: &str = "SELECT scope FROM consents WHERE user_id = $1 AND client_id = $2";
        let row = query(FIND)
            .bind(user.to_string())
            .bind(client.as_str())
            .fetch_optional(&self.readers)
            .await?;
        row.map(|row| row.parsed("scope")).transpose()
    }

    /// All that this person agreed to, with the clients' names.
    pub async fn list_consents(&self, user: UserId) -> Result<Vec<Consent>> {
        const LIST: &str = "SELECT n.client_id, n.scope, n.given_at, c.name FROM consents n \
                            JOIN clients c ON c.id = n.client_id WHERE n.user_id = $1 \
                            ORDER BY n.client_id";
        let rows = query(LIST).bind(user.to_string()).fetch_all(&self.readers).await?;
        let consent = |row: &Row| {
            Ok(Consent {
                client: row.parsed("client_id")?,
                client_name: row.text("name")?,
                scope: row.parsed("scope")?,
                given_at: row.ts("given_at")?,
            })
        };
        rows.iter().map(consent).collect()
    }

    /// Forgets requests and codes that are long over.
    pub async fn forget_interactions(&self, now: Ts) -> Result<()> {
        const INTERACTIONS: &str = "DELETE FROM interactions WHERE expires_at <= $1";
        // A code is kept for an hour after its end, so that a late replay still takes back what it
        // gave; no home token lives longer.
        const CODES: &str = "DELETE FROM authorization_codes WHERE expires_at <= $1";
        query(INTERACTIONS).bind(now.0).execute(&self.writer).await?;
        query(CODES).bind(now.plus_secs(-3600).0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Takes a pending request away; whether it was still there. It is answered once.
    pub async fn end_interaction(&mut self, id: InteractionId) -> Result<bool> {
        const END: &str = "DELETE FROM interactions WHERE id = $1";
        let done = query(END).bind(id.to_string()).execute(self.connection()).await?;
        Ok(done == 1)
    }

    /// What this person agreed to give this client, as it is in this transaction.
    pub async fn find_consent(&mut self, user: UserId, client: &ClientId) -> Result<Option<Scope>> {
        const FIND: &str = "SELECT scope FROM consents WHERE user_id = $1 AND client_id = $2";
        let row = query(FIND)
            .bind(user.to_string())
            .bind(client.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.map(|row| row.parsed("scope")).transpose()
    }

    /// Forgets what this person agreed to give this client; whether there was anything.
    pub async fn delete_consent(&mut self, user: UserId, client: &ClientId) -> Result<bool> {
        const DELETE: &str = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2";
        let done = query(DELETE)
            .bind(user.to_string())
            .bind(client.as_str())
            .execute(self.connection())
            .await?;
        Ok(done == 1)
    }

    /// Remembers what this person agreed to give this client.
    pub async fn insert_consent(
        &mut self,
        user: UserId,
        client: &ClientId,
        scope: &Scope,
    ) -> Result<()> {
        const INSERT: &str = "INSERT INTO consents (user_id, client_id, scope, given_at) \
                              VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, client_id) \
                              DO UPDATE SET scope = excluded.scope, given_at = excluded.given_at";
        let now = self.now();
        query(INSERT)
            .bind(user.to_string())
            .bind(client.as_str())
            .bind(scope.to_string())
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Keeps a new code.
    pub async fn insert_code(&mut self, code_hash: &str, code: &Code) -> Result<()> {
        const INSERT: &str = "INSERT INTO authorization_codes (code_hash, session_id, client_id, \
                              grant_json, expires_at) VALUES ($1, $2, $3, $4, $5)";
        query(INSERT)
            .bind(code_hash)
            .bind(code.session.to_string())
            .bind(code.client.as_str())
            .bind(&code.grant_json)
            .bind(code.expires_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The code as it is, used or not.
    pub async fn find_code(&mut self, code_hash: &str) -> Result<Option<Code>> {
        const FIND: &str = "SELECT * FROM authorization_codes WHERE code_hash = $1";
        let row = query(FIND).bind(code_hash).fetch_optional(self.connection()).await?;
        row.map(|row| {
            Ok(Code {
                session: row.parsed("session_id")?,
                client: row.parsed("client_id")?,
                grant_json: row.text("grant_json")?,
                expires_at: row.ts("expires_at")?,
                used_at: row.opt_ts("used_at")?,
                jti: row.opt_text("jti")?,
            })
        })
        .transpose()
    }

    /// Redeems the code; whether this was the first time.
    pub async fn redeem_code(&mut self, code_hash: &str, jti: &str) -> Result<bool> {
        const REDEEM: &str = "UPDATE authorization_codes SET used_at = $2, jti = $3 \
                              WHERE code_hash = $1 AND used_at IS NULL";
        let now = self.now();
        let done =
            query(REDEEM).bind(code_hash).bind(now.0).bind(jti).execute(self.connection()).await?;
        Ok(done == 1)
    }
}
