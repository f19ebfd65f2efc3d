//! What runs now, as either side sees it, and how much a change would end.

use procura_domain::relationship::Side;
use procura_token::{DelegationId, RelationshipId, TenantId, Ts};

use crate::{
    Error, Result, Store,
    delegations::{Delegation, delegation},
    row::Columns,
    sql::{Row, query},
};

/// A running delegation, with the names that people understand.
#[derive(Clone, Debug)]
pub struct Running {
    /// It.
    pub delegation: Delegation,
    /// The person's name now.
    pub user_name: Option<String>,
    /// The name of the person's tenant now.
    pub partner_name: Option<String>,
    /// The name of the tenant where the person acts.
    pub customer_name: Option<String>,
    /// The name of the client.
    pub client_name: Option<String>,
}

/// How much runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Delegations.
    pub delegations: u64,
    /// People who hold them.
    pub people: u64,
    /// Tenants whose people these are.
    pub partners: u64,
}

fn count(row: &Row) -> Result<Count> {
    let number = |name| u64::try_from(row.int(name)?).map_err(|_| Error::Corrupt);
    Ok(Count {
        delegations: number("delegations")?,
        people: number("people")?,
        partners: number("partners")?,
    })
}

impl Store {
    /// What runs in a customer's tenant, or by a partner's people, the newest first; from below a delegation
    /// where the last page ended.
    pub async fn list_running(
        &self,
        (side, tenant): (Side, TenantId),
        now: Ts,
        (below, limit): (Option<DelegationId>, i64),
    ) -> Result<Vec<Running>> {
        // Ids begin with the time at which they were made.
        const IN: &str = "SELECT * FROM delegations WHERE tenant_id = $1 AND ended_at IS NULL \
                          AND ends_at > $2 AND id < $3 ORDER BY id DESC LIMIT $4";
        // Whatever runs, runs under a current relationship; the way over it has an index.
        const OF: &str = "SELECT * FROM delegations WHERE relationship_id IN (SELECT id \
                          FROM relationships WHERE partner_id = $1 AND is_current = 1) \
                          AND ended_at IS NULL AND ends_at > $2 AND id < $3 ORDER BY id DESC LIMIT $4";
        let statement = if side == Side::Partner { OF } else { IN };
        let below = below.unwrap_or(DelegationId::from_bits(u128::MAX));
        let rows = query(statement)
            .bind(tenant.to_string())
            .bind(now.0)
            .bind(below.to_string())
            .bind(limit)
            .fetch_all(&mut self.within(tenant).await?)
            .await?;
        self.name_running(rows.iter().map(delegation).collect::<Result<_>>()?).await
    }

    /// How much runs in a customer's tenant.
    pub async fn count_running_in(&self, customer: TenantId, now: Ts) -> Result<Count> {
        const COUNT: &str = "SELECT count(*) AS delegations, count(DISTINCT user_id) AS people, \
                             count(DISTINCT actor_tenant_id) AS partners FROM delegations \
                             WHERE tenant_id = $1 AND ended_at IS NULL AND ends_at > $2";
        let row = query(COUNT)
            .bind(customer.to_string())
            .bind(now.0)
            .fetch_one(&mut self.within(customer).await?)
            .await?;
        count(&row)
    }

    /// How much runs under a relationship, which this tenant is an end of.
    pub async fn count_running_under(
        &self,
        end: TenantId,
        relationship: RelationshipId,
        now: Ts,
    ) -> Result<Count> {
        const COUNT: &str = "SELECT count(*) AS delegations, count(DISTINCT user_id) AS people, \
                             count(DISTINCT actor_tenant_id) AS partners FROM delegations \
                             WHERE relationship_id = $2 AND (tenant_id = $1 OR actor_tenant_id = $1) \
                             AND ended_at IS NULL AND ends_at > $3";
        let row = query(COUNT)
            .bind(end.to_string())
            .bind(relationship.to_string())
            .bind(now.0)
            .fetch_one(&mut self.within(end).await?)
            .await?;
        count(&row)
    }

    /// Names are looked up apart, outside of the tenant's walls: whoever acts is named to where it acts.
    async fn name_running(&self, running: Vec<Delegation>) -> Result<Vec<Running>> {
        let people = self.people_names(running.iter().map(|one| one.user)).await?;
        let ends = running.iter().flat_map(|one| [one.actor_tenant, one.tenant]);
        let tenants = self.tenant_names(ends).await?;
        let clients = self.client_names(running.iter().map(|one| one.client.clone())).await?;
        let named = running.into_iter().map(|delegation| Running {
            user_name: people.get(&delegation.user).cloned(),
            partner_name: tenants.get(&delegation.actor_tenant).cloned(),
            customer_name: tenants.get(&delegation.tenant).cloned(),
            client_name: clients.get(&delegation.client).cloned(),
            delegation,
        });
        Ok(named.collect())
    }
}
