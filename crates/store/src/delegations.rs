//! Delegations: one user's running session in one customer tenant, under one relationship, through
//! one client.

use procura_token::{ClientId, DelegationId, RelationshipId, SessionId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// A running or ended delegation.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// Its id; `dlg` in tokens.
    pub id: DelegationId,
    /// The login session it hangs on.
    pub session: SessionId,
    /// The relationship it hangs on.
    pub relationship: RelationshipId,
    /// The client it came through.
    pub client: ClientId,
    /// The person.
    pub user: UserId,
    /// The person's tenant.
    pub actor_tenant: TenantId,
    /// Where the person acts.
    pub tenant: TenantId,
    /// Since when.
    pub started_at: Ts,
    /// As long as it can be renewed.
    pub ends_at: Ts,
    /// When it was ended before that.
    pub ended_at: Option<Ts>,
}

pub(crate) fn delegation(row: &Row) -> Result<Delegation> {
    Ok(Delegation {
        id: row.parsed("id")?,
        session: row.parsed("session_id")?,
        relationship: row.parsed("relationship_id")?,
        client: row.parsed("client_id")?,
        user: row.parsed("user_id")?,
        actor_tenant: row.parsed("actor_tenant_id")?,
        tenant: row.parsed("tenant_id")?,
        started_at: row.ts("started_at")?,
        ends_at: row.ts("ends_at")?,
        ended_at: row.opt_ts("ended_at")?,
    })
}

impl Store {
    /// A delegation in this tenant.
    pub async fn find_delegation(
        &self,
        tenant: TenantId,
        id: DelegationId,
    ) -> Result<Option<Delegation>> {
        const FIND: &str = "SELECT * FROM delegations WHERE tenant_id = $1 AND id = $2";
        let row = query(FIND)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut self.within(tenant).await?)
            .await?;
        row.as_ref().map(delegation).transpose()
    }
}

impl Tx {
    /// The delegation with this id. The caller's policy decides who may see it.
    pub async fn find_delegation(&mut self, id: DelegationId) -> Result<Option<Delegation>> {
        const FIND: &str = "SELECT * FROM delegations WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(delegation).transpose()
    }

    /// Ends all running delegations in a tenant; answers how many there were.
    pub async fn end_delegations_in(&mut self, tenant: TenantId) -> Result<u64> {
        const END: &str = "UPDATE delegations SET ended_at = $2 \
                           WHERE tenant_id = $1 AND ended_at IS NULL RETURNING ends_at";
        self.end(END, tenant.to_string()).await
    }

    /// Ends all running delegations under a relationship.
    pub async fn end_delegations_under(&mut self, relationship: RelationshipId) -> Result<u64> {
        const END: &str = "UPDATE delegations SET ended_at = $2 \
                           WHERE relationship_id = $1 AND ended_at IS NULL RETURNING ends_at";
        self.end(END, relationship.to_string()).await
    }

    /// Ends all running delegations of a person.
    pub async fn end_delegations_of(&mut self, user: UserId) -> Result<u64> {
        const END: &str = "UPDATE delegations SET ended_at = $2 \
                           WHERE user_id = $1 AND ended_at IS NULL RETURNING ends_at";
        self.end(END, user.to_string()).await
    }

    /// Ends all running delegations through a client.
    pub async fn end_delegations_by(&mut self, client: &ClientId) -> Result<u64> {
        const END: &str = "UPDATE delegations SET ended_at = $2 \
                           WHERE client_id = $1 AND ended_at IS NULL RETURNING ends_at";
        self.end(END, client.to_string()).await
    }

    /// Ends all running delegations of one login.
    pub async fn end_delegations_of_session(&mut self, session: SessionId) -> Result<u64> {
        const END: &str = "UPDATE delegations SET ended_at = $2 \
                           WHERE session_id = $1 AND ended_at IS NULL RETURNING ends_at";
        self.end(END, session.to_string()).await
    }

    /// Ends one delegation.
    pub async fn end_delegation(&mut self, id: DelegationId) -> Result<u64> {
        const END: &str = "UPDATE delegations SET ended_at = $2 \
                           WHERE id = $1 AND ended_at IS NULL RETURNING ends_at";
        self.end(END, id.to_string()).await
    }

    /// Ends what runs from one login and came through one client or of its tokens; answers which they were.
    pub async fn end_delegations_through(
        &mut self,
        session: SessionId,
        client: &ClientId,
    ) -> Result<Vec<DelegationId>> {
        const END: &str = "UPDATE delegations SET ended_at = $3 WHERE session_id = $1 \
                           AND ended_at IS NULL AND (client_id = $2 OR EXISTS (SELECT 1 \
                           FROM delegation_sources s WHERE s.delegation_id = delegations.id \
                           AND s.client_id = $2)) RETURNING id";
        self.end_some(END, session.to_string(), client).await
    }

    /// Ends what runs for one person and came through one client or of its tokens; answers which they were.
    pub async fn end_delegations_between(
        &mut self,
        user: UserId,
        client: &ClientId,
    ) -> Result<Vec<DelegationId>> {
        const END: &str = "UPDATE delegations SET ended_at = $3 WHERE user_id = $1 \
                           AND ended_at IS NULL AND (client_id = $2 OR EXISTS (SELECT 1 \
                           FROM delegation_sources s WHERE s.delegation_id = delegations.id \
                           AND s.client_id = $2)) RETURNING id";
        self.end_some(END, user.to_string(), client).await
    }

    /// Ends what other clients made of this client's tokens; answers which they were.
    pub async fn end_delegations_from(&mut self, client: &ClientId) -> Result<Vec<DelegationId>> {
        const END: &str = "UPDATE delegations SET ended_at = $2 WHERE ended_at IS NULL AND id IN \
                           (SELECT delegation_id FROM delegation_sources WHERE client_id = $1) \
                           RETURNING id";
        let now = self.now();
        let ended = query(END).bind(client.as_str()).bind(now.0);
        let rows = ended.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Ends those of `whose` through this client.
    async fn end_some(
        &mut self,
        statement: &'static str,
        whose: String,
        client: &ClientId,
    ) -> Result<Vec<DelegationId>> {
        let now = self.now();
        let ended = query(statement).bind(whose).bind(client.as_str()).bind(now.0);
        let rows = ended.fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Those past their end are put away too, but not counted: nobody was using them.
    async fn end(&mut self, statement: &'static str, id: String) -> Result<u64> {
        let now = self.now();
        let rows = query(statement).bind(id).bind(now.0).fetch_all(self.connection()).await?;
        let mut ended = 0;
        for row in &rows {
            ended += u64::from(row.ts("ends_at")? > now);
        }
        Ok(ended)
    }
}
