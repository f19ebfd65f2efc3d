//! Quotas of tenants that have their own, and how much there is of what lasts: people, customers, clients.
//! Whatever writes holds the order of all writers, so what is counted there is still so at the commit.

use procura_domain::{Quota, Quotas};
use procura_token::{TenantId, Ts};

use crate::{
    Error, Result, Store, Tx,
    row::{Columns, joined},
    sql::{Place, Query, Row, query},
};

/// What a tenant has instead of the deployment's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnQuotas {
    /// The numbers; where there is none, the default holds.
    pub quotas: Quotas,
    /// Those that were copied when a partner set the tenant up.
    pub inherited: Vec<Quota>,
    /// That partner.
    pub inherited_from: Option<TenantId>,
    /// Counts the changes; 0 where there never was one.
    pub version: i64,
}

const FIND: &str = "SELECT * FROM quotas WHERE tenant_id = $1";
const USERS: &str = "SELECT count(*) AS n FROM users WHERE tenant_id = $1";
const CLIENTS: &str = "SELECT count(*) AS n FROM clients WHERE tenant_id = $1";
// What has run out is nobody's customer any more, also before the calendar has said so.
const CUSTOMERS: &str = "SELECT count(*) AS n FROM relationships WHERE partner_id = $1 \
                         AND kind = 'manages' AND is_current = 1 \
                         AND state IN ('active', 'suspended') AND (ends_at IS NULL OR ends_at > $2)";

/// A whole number that is never below nothing.
pub(crate) fn whole(number: Option<i64>) -> Result<Option<u64>> {
    number.map(|number| u64::try_from(number).map_err(|_| Error::Corrupt)).transpose()
}

fn own_quotas(row: &Row) -> Result<OwnQuotas> {
    let number = |name| whole(row.opt_int(name)?);
    Ok(OwnQuotas {
        quotas: Quotas {
            users: number("users")?,
            customers: number("customers")?,
            clients: number("clients")?,
            delegated_tokens_per_day: number("delegated_tokens_per_day")?,
            delegated_tokens_received_per_day: number("delegated_tokens_received_per_day")?,
        },
        inherited: row.words("inherited")?,
        inherited_from: row.opt_parsed("inherited_from")?,
        version: row.int("version")?,
    })
}

/// How to count it; `None` for what a day brings.
fn counting(tenant: TenantId, quota: Quota, now: Ts) -> Option<Query> {
    let statement = match quota {
        Quota::Users => query(USERS).bind(tenant.to_string()),
        Quota::Clients => query(CLIENTS).bind(tenant.to_string()),
        Quota::Customers => query(CUSTOMERS).bind(tenant.to_string()).bind(now.0),
        Quota::DelegatedTokensPerDay | Quota::DelegatedTokensReceivedPerDay => return None,
    };
    Some(statement)
}

async fn counted<'a>(statement: Option<Query>, place: impl Into<Place<'a>>) -> Result<u64> {
    let Some(statement) = statement else { return Ok(0) };
    let number = statement.fetch_one(place).await?.int("n")?;
    u64::try_from(number).map_err(|_| Error::Corrupt)
}

impl Store {
    /// What a tenant has of its own.
    pub async fn find_quotas(&self, tenant: TenantId) -> Result<OwnQuotas> {
        let found = query(FIND).bind(tenant.to_string());
        let row = found.fetch_optional(&mut self.within(tenant).await?).await?;
        Ok(row.as_ref().map(own_quotas).transpose()?.unwrap_or_default())
    }

    /// How much there is of what lasts; nothing of what a day brings.
    pub async fn count_used(&self, tenant: TenantId, quota: Quota, now: Ts) -> Result<u64> {
        counted(counting(tenant, quota, now), &mut self.within(tenant).await?).await
    }
}

impl Tx {
    /// What a tenant has of its own, as it is in this transaction.
    pub async fn find_quotas(&mut self, tenant: TenantId) -> Result<OwnQuotas> {
        let found = query(FIND).bind(tenant.to_string());
        let row = found.fetch_optional(self.connection()).await?;
        Ok(row.as_ref().map(own_quotas).transpose()?.unwrap_or_default())
    }

    /// How much there is of what lasts, with what this transaction adds; nothing of what a day brings.
    pub async fn count_used(&mut self, tenant: TenantId, quota: Quota) -> Result<u64> {
        let now = self.now();
        counted(counting(tenant, quota, now), self.connection()).await
    }

    /// Writes what a tenant has of its own.
    pub async fn put_quotas(&mut self, tenant: TenantId, own: &OwnQuotas) -> Result<()> {
        const PUT: &str = "INSERT INTO quotas (tenant_id, users, customers, clients, \
                           delegated_tokens_per_day, delegated_tokens_received_per_day, inherited, \
                           inherited_from, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                           ON CONFLICT (tenant_id) DO UPDATE SET users = excluded.users, \
                           customers = excluded.customers, clients = excluded.clients, \
                           delegated_tokens_per_day = excluded.delegated_tokens_per_day, \
                           delegated_tokens_received_per_day = \
                           excluded.delegated_tokens_received_per_day, \
                           inherited = excluded.inherited, inherited_from = excluded.inherited_from, \
                           version = excluded.version";
        let mut statement = query(PUT).bind(tenant.to_string());
        for quota in Quota::ALL {
            let number = own.quotas.of(*quota).map(i64::try_from).transpose();
            statement = statement.bind(number.map_err(|_| Error::Corrupt)?);
        }
        statement
            .bind(joined(&own.inherited))
            .bind(own.inherited_from.map(|partner| partner.to_string()))
            .bind(own.version)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
