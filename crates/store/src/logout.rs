//! The end of logins: which clients were told of a login, and which must hear that it is over. Whatever
//! ends a login ends it here, so that nobody is forgotten.

use std::collections::BTreeSet;

use procura_domain::{LoginRules, Registration, login_policy::Standing};
use procura_token::{ClientId, SessionId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{ManyRows, Row, Value, query},
};

static NOTE: ManyRows = ManyRows::new(
    "INSERT INTO logout_notices (client_id, user_id, session_id, attempts, next_at, created_at) VALUES ",
    6,
    " ON CONFLICT (session_id, client_id) DO NOTHING",
);

/// A client that must hear that a login is over.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// Who must hear it.
    pub client: ClientId,
    /// Whose login it was.
    pub user: UserId,
    /// The login.
    pub session: SessionId,
    /// How often it was tried.
    pub attempts: i64,
    /// When to try next.
    pub next_at: Ts,
    /// When the login ended.
    pub created_at: Ts,
}

pub(crate) fn notice(row: &Row) -> Result<Notice> {
    Ok(Notice {
        id: row.int("id")?,
        client: row.parsed("client_id")?,
        user: row.parsed("user_id")?,
        session: row.parsed("session_id")?,
        attempts: row.int("attempts")?,
        next_at: row.ts("next_at")?,
        created_at: row.ts("created_at")?,
    })
}

impl Store {
    /// Forgets who was told of logins from which nothing can come any more.
    pub async fn forget_session_clients(&self, now: Ts) -> Result<()> {
        const FORGET: &str = "DELETE FROM session_clients WHERE session_id IN \
                              (SELECT c.session_id FROM session_clients c \
                              JOIN sessions s ON s.id = c.session_id WHERE s.ended_at <= $1 \
                              OR (s.expires_at <= $1 AND NOT EXISTS (SELECT 1 \
                              FROM refresh_families f WHERE f.session_id = s.id \
                              AND f.ended_at IS NULL AND f.ends_at > $1 AND f.idle_ends_at > $1)))";
        query(FORGET).bind(now.plus_secs(-3600).0).execute(&self.writer).await?;
        Ok(())
    }
}

impl Tx {
    /// Remembers that a client was told of a login.
    pub async fn insert_session_client(
        &mut self,
        session: SessionId,
        client: &ClientId,
    ) -> Result<()> {
        const INSERT: &str = "INSERT INTO session_clients (session_id, client_id) VALUES ($1, $2) \
                              ON CONFLICT (session_id, client_id) DO NOTHING";
        query(INSERT)
            .bind(session.to_string())
            .bind(client.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends one login, with the families of refresh tokens that came from it; whether it was not ended
    /// before. Who must hear of it is noted.
    pub async fn end_session(&mut self, session: SessionId) -> Result<bool> {
        const TOLD: &str = "SELECT c.id AS client_id, c.registration, s.id AS session_id, s.user_id \
                            FROM session_clients t JOIN sessions s ON s.id = t.session_id \
                            JOIN clients c ON c.id = t.client_id \
                            WHERE s.id = $1 AND s.ended_at IS NULL AND c.status = 'active'";
        const FAMILIES: &str = "UPDATE refresh_families SET ended_at = $2 \
                                WHERE session_id = $1 AND ended_at IS NULL";
        const END: &str = "UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
        let (now, id) = (self.now(), session.to_string());
        let told = query(TOLD).bind(&id).fetch_all(self.connection()).await?;
        self.note_all(&told).await?;
        query(FAMILIES).bind(&id).bind(now.0).execute(self.connection()).await?;
        let done = query(END).bind(&id).bind(now.0).execute(self.connection()).await?;
        Ok(done == 1)
    }

    /// Ends all logins of a person in the same way.
    pub async fn end_sessions_of_user(&mut self, user: UserId) -> Result<u64> {
        const TOLD: &str = "SELECT c.id AS client_id, c.registration, s.id AS session_id, s.user_id \
                            FROM session_clients t JOIN sessions s ON s.id = t.session_id \
                            JOIN clients c ON c.id = t.client_id \
                            WHERE s.user_id = $1 AND s.ended_at IS NULL AND c.status = 'active'";
        const FAMILIES: &str = "UPDATE refresh_families SET ended_at = $2 \
                                WHERE user_id = $1 AND ended_at IS NULL";
        const END: &str =
            "UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL";
        let (now, id) = (self.now(), user.to_string());
        let told = query(TOLD).bind(&id).fetch_all(self.connection()).await?;
        self.note_all(&told).await?;
        query(FAMILIES).bind(&id).bind(now.0).execute(self.connection()).await?;
        query(END).bind(&id).bind(now.0).execute(self.connection()).await
    }

    /// Ends all logins of people of a tenant that came by one identity provider (of one person, where one
    /// is named) in the same way, with what runs from them. Answers those of which something may be alive,
    /// and how many running delegations that ended.
    pub async fn end_sessions_by(
        &mut self,
        tenant: TenantId,
        idp: &str,
        user: Option<UserId>,
    ) -> Result<(BTreeSet<SessionId>, u64)> {
        // All ids of people are between these two.
        const TOLD: &str = "SELECT c.id AS client_id, c.registration, s.id AS session_id, s.user_id \
                            FROM session_clients t JOIN sessions s ON s.id = t.session_id \
                            JOIN clients c ON c.id = t.client_id \
                            WHERE s.tenant_id = $1 AND s.idp = $2 AND s.user_id >= $3 \
                            AND s.user_id <= $4 AND s.ended_at IS NULL AND c.status = 'active'";
        const FAMILIES: &str = "UPDATE refresh_families SET ended_at = $5 WHERE ended_at IS NULL \
                                AND session_id IN (SELECT id FROM sessions WHERE tenant_id = $1 \
                                AND idp = $2 AND user_id >= $3 AND user_id <= $4 \
                                AND ended_at IS NULL) RETURNING session_id";
        const DELEGATIONS: &str = "UPDATE delegations SET ended_at = $5 WHERE ended_at IS NULL \
                                   AND session_id IN (SELECT id FROM sessions WHERE tenant_id = $1 \
                                   AND idp = $2 AND user_id >= $3 AND user_id <= $4 \
                                   AND ended_at IS NULL) RETURNING ends_at";
        const END: &str = "UPDATE sessions SET ended_at = $5 WHERE tenant_id = $1 AND idp = $2 \
                           AND user_id >= $3 AND user_id <= $4 AND ended_at IS NULL \
                           RETURNING id, expires_at";
        let now = self.now();
        let (least, most) = match user {
            Some(user) => (user.to_string(), user.to_string()),
            None => (UserId::from_bits(0).to_string(), UserId::from_bits(u128::MAX).to_string()),
        };
        let of = |statement: &'static str| {
            query(statement).bind(tenant.to_string()).bind(idp).bind(&least).bind(&most)
        };
        let told = of(TOLD).fetch_all(self.connection()).await?;
        self.note_all(&told).await?;
        let mut alive = BTreeSet::new();
        for row in of(FAMILIES).bind(now.0).fetch_all(self.connection()).await? {
            alive.insert(row.parsed("session_id")?);
        }
        let mut delegations = 0;
        for row in of(DELEGATIONS).bind(now.0).fetch_all(self.connection()).await? {
            delegations += u64::from(row.ts("ends_at")? > now);
        }
        for row in of(END).bind(now.0).fetch_all(self.connection()).await? {
            // A token outlives its login by minutes at most.
            if row.ts("expires_at")?.plus_secs(3600) > now {
                alive.insert(row.parsed("id")?);
            }
        }
        Ok((alive, delegations))
    }

    /// Ends all logins of people of a tenant who stand so to its policies, where they lack what is demanded
    /// now, with what runs from them; lets the others last no longer than is allowed now. Answers those that
    /// it ended, and how many running delegations that ended.
    pub async fn end_sessions_against(
        &mut self,
        tenant: TenantId,
        standing: Standing,
        rules: &LoginRules,
    ) -> Result<(Vec<SessionId>, u64)> {
        // A login that has run out counts as long as refresh tokens go on from it. How old it is counts from
        // when it began here, not from what a provider says. Nothing is demanded
        // where a list is empty. An unknown context is in no list. A key is as good as the login that made it,
        // and no login that could last too long: it has an end of its own.
        const END: &str = "UPDATE sessions SET ended_at = $2 WHERE tenant_id = $1 \
                           AND ended_at IS NULL AND (expires_at > $2 OR EXISTS (SELECT 1 \
                           FROM refresh_families f WHERE f.session_id = sessions.id \
                           AND f.ended_at IS NULL AND f.ends_at > $2 AND f.idle_ends_at > $2)) \
                           AND (started_at <= $6 AND is_login = 1 \
                           OR ($4 <> '' AND $4 NOT LIKE '% ' || acr || ' %') \
                           OR ($5 <> '' AND $5 NOT LIKE '% ' || idp || ' %')) \
                           AND (SELECT CASE WHEN ' ' || u.roles || ' ' LIKE '% super-admin %' \
                           THEN 'operator' WHEN ' ' || u.roles || ' ' LIKE '% tenant-admin %' \
                           THEN 'admin' ELSE 'member' END FROM users u \
                           WHERE u.id = sessions.user_id) = $3 RETURNING id";
        const SHORTEN: &str = "UPDATE sessions SET expires_at = started_at + $4 \
                               WHERE tenant_id = $1 AND ended_at IS NULL AND expires_at > $2 \
                               AND expires_at > started_at + $4 AND is_login = 1 \
                               AND (SELECT CASE WHEN ' ' || u.roles || ' ' LIKE '% super-admin %' \
                               THEN 'operator' WHEN ' ' || u.roles || ' ' LIKE '% tenant-admin %' \
                               THEN 'admin' ELSE 'member' END FROM users u \
                               WHERE u.id = sessions.user_id) = $3";
        let listed = |words: Vec<&str>| format!(" {} ", words.join(" "));
        let strong = rules.strong_enough();
        let strong = strong.map(|all| listed(all.iter().map(|one| one.as_str()).collect()));
        let providers = rules.identity_providers.as_ref();
        // Logins that nobody could have are in no list either.
        let providers = providers.map(|all| listed(all.iter().map(String::as_str).collect()));
        let (now, longest) = (self.now(), rules.session_max_secs);
        let too_old = longest.map_or(Ts(-1), |secs| now.plus_secs(-secs));
        let rows = query(END)
            .bind(tenant.to_string())
            .bind(now.0)
            .bind(standing.as_str())
            .bind(strong.unwrap_or_default())
            .bind(providers.unwrap_or_default())
            .bind(too_old.0)
            .fetch_all(self.connection())
            .await?;
        let ended = rows.iter().map(|row| row.parsed("id")).collect::<Result<Vec<_>>>()?;
        if let Some(secs) = longest {
            query(SHORTEN)
                .bind(tenant.to_string())
                .bind(now.0)
                .bind(standing.as_str())
                .bind(Ts::from_secs(secs).0)
                .execute(self.connection())
                .await?;
        }
        let delegations = if ended.is_empty() { 0 } else { self.end_what_ended(tenant).await? };
        Ok((ended, delegations))
    }

    /// Ends what runs from the logins of a tenant that this transaction has ended.
    async fn end_what_ended(&mut self, tenant: TenantId) -> Result<u64> {
        const TOLD: &str = "SELECT c.id AS client_id, c.registration, s.id AS session_id, s.user_id \
                            FROM session_clients t JOIN sessions s ON s.id = t.session_id \
                            JOIN clients c ON c.id = t.client_id \
                            WHERE s.tenant_id = $1 AND s.ended_at = $2 AND c.status = 'active'";
        const FAMILIES: &str = "UPDATE refresh_families SET ended_at = $2 WHERE ended_at IS NULL \
                                AND session_id IN (SELECT id FROM sessions WHERE tenant_id = $1 \
                                AND ended_at = $2)";
        const DELEGATIONS: &str = "UPDATE delegations SET ended_at = $2 WHERE ended_at IS NULL \
                                   AND session_id IN (SELECT id FROM sessions WHERE tenant_id = $1 \
                                   AND ended_at = $2) RETURNING ends_at";
        let (now, id) = (self.now(), tenant.to_string());
        let told = query(TOLD).bind(&id).bind(now.0).fetch_all(self.connection()).await?;
        self.note_all(&told).await?;
        query(FAMILIES).bind(&id).bind(now.0).execute(self.connection()).await?;
        let mut running = 0;
        for row in query(DELEGATIONS).bind(&id).bind(now.0).fetch_all(self.connection()).await? {
            running += u64::from(row.ts("ends_at")? > now);
        }
        Ok(running)
    }

    async fn note_all(&mut self, told: &[Row]) -> Result<()> {
        let now = self.now();
        let mut values = Vec::new();
        for row in told {
            let registration: Registration = row.json("registration")?;
            if registration.backchannel_logout_uri.is_none() {
                continue;
            }
            values.extend([
                Value::from(row.text("client_id")?),
                Value::from(row.text("user_id")?),
                Value::from(row.text("session_id")?),
                Value::from(0),
                Value::from(now.0),
                Value::from(now.0),
            ]);
        }
        NOTE.execute(values, self.connection()).await
    }
}
