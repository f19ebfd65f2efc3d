//! Login policies, and where they hold: in the form that they had when they were applied.

use procura_domain::{LoginRules, UserRole, login_policy::Holding, login_policy::Standing};
use procura_token::{PolicyId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::{Columns, json},
    sql::{Row, query},
};

/// A policy, as its owner wrote it.
#[derive(Clone, Debug)]
pub struct LoginPolicy {
    /// Its id.
    pub id: PolicyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// How its owner calls it: once in a tenant.
    pub name: String,
    /// What it demands.
    pub rules: LoginRules,
    /// Whether customers that its owner sets up begin with it.
    pub is_for_new_customers: bool,
    /// Counted up with each change.
    pub version: i64,
    /// Since when.
    pub created_at: Ts,
    /// When it was last changed.
    pub changed_at: Ts,
    /// In how many tenants it holds, in whatever version. Read, never written.
    pub applied_to: i64,
}

/// A policy that holds in a tenant, as it was when it was applied there.
#[derive(Clone, Debug)]
pub struct AppliedPolicy {
    /// Where it holds.
    pub tenant: TenantId,
    /// Which one.
    pub policy: PolicyId,
    /// Whose it is.
    pub owner: TenantId,
    /// Its name then.
    pub name: String,
    /// Its rules then.
    pub rules: LoginRules,
    /// Its version then.
    pub version: i64,
    /// By which way it came: `own`, `partner` or `onboarding`.
    pub origin: String,
    /// When.
    pub applied_at: Ts,
    /// By whom.
    pub applied_by: UserId,
    /// When an admin of the tenant agreed to somebody else's, and who.
    pub kept: Option<(Ts, UserId)>,
}

impl AppliedPolicy {
    /// As the rules look at it.
    #[must_use]
    pub fn holding(&self) -> Holding<'_> {
        let is_agreed = self.owner == self.tenant || self.kept.is_some();
        Holding { rules: &self.rules, is_agreed }
    }
}

/// What all of these demand of somebody with these roles.
#[must_use]
pub fn demands(applied: &[AppliedPolicy], roles: &[UserRole]) -> LoginRules {
    Standing::of(roles).demands(applied.iter().map(AppliedPolicy::holding))
}

fn policy(row: &Row) -> Result<LoginPolicy> {
    Ok(LoginPolicy {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        rules: row.json("rules")?,
        is_for_new_customers: row.is("for_new_customers")?,
        version: row.int("version")?,
        created_at: row.ts("created_at")?,
        changed_at: row.ts("changed_at")?,
        applied_to: row.int("applied_to")?,
    })
}

fn applied(row: &Row) -> Result<AppliedPolicy> {
    Ok(AppliedPolicy {
        tenant: row.parsed("tenant_id")?,
        policy: row.parsed("policy_id")?,
        owner: row.parsed("owner_id")?,
        name: row.text("name")?,
        rules: row.json("rules")?,
        version: row.int("version")?,
        origin: row.text("origin")?,
        applied_at: row.ts("applied_at")?,
        applied_by: row.parsed("applied_by")?,
        kept: row.opt_ts("kept_at")?.zip(row.opt_parsed("kept_by")?),
    })
}

const FIND: &str = "SELECT p.*, (SELECT count(*) FROM applied_policies a \
                    WHERE a.policy_id = p.id) AS applied_to \
                    FROM login_policies p WHERE p.tenant_id = $1 AND p.id = $2";
const APPLIED: &str = "SELECT * FROM applied_policies WHERE tenant_id = $1 ORDER BY policy_id";

impl Store {
    /// A policy of this tenant.
    pub async fn find_policy(&self, tenant: TenantId, id: PolicyId) -> Result<Option<LoginPolicy>> {
        let row = query(FIND)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut self.within(tenant).await?)
            .await?;
        row.as_ref().map(policy).transpose()
    }

    /// The policies of a tenant, by name.
    pub async fn list_policies(&self, tenant: TenantId) -> Result<Vec<LoginPolicy>> {
        const LIST: &str = "SELECT p.*, (SELECT count(*) FROM applied_policies a \
                            WHERE a.policy_id = p.id) AS applied_to \
                            FROM login_policies p WHERE p.tenant_id = $1 ORDER BY p.name";
        let rows =
            query(LIST).bind(tenant.to_string()).fetch_all(&mut self.within(tenant).await?).await?;
        rows.iter().map(policy).collect()
    }

    /// All policies there are: for the operator.
    pub async fn list_all_policies(&self) -> Result<Vec<LoginPolicy>> {
        const ALL: &str = "SELECT p.*, (SELECT count(*) FROM applied_policies a \
                           WHERE a.policy_id = p.id) AS applied_to \
                           FROM login_policies p ORDER BY p.tenant_id, p.name";
        let rows = query(ALL).fetch_all(&self.readers).await?;
        rows.iter().map(policy).collect()
    }

    /// The policy with this id, whosever it is: for the operator.
    pub async fn find_any_policy(&self, id: PolicyId) -> Result<Option<LoginPolicy>> {
        const FIND: &str = "SELECT p.*, (SELECT count(*) FROM applied_policies a \
                            WHERE a.policy_id = p.id) AS applied_to \
                            FROM login_policies p WHERE p.id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(policy).transpose()
    }

    /// What holds in a tenant.
    pub async fn list_applied(&self, tenant: TenantId) -> Result<Vec<AppliedPolicy>> {
        let list = query(APPLIED).bind(tenant.to_string());
        let rows = list.fetch_all(&mut self.within(tenant).await?).await?;
        rows.iter().map(applied).collect()
    }
}

impl Tx {
    /// Adds a policy. A name that another one of the tenant has is a conflict.
    pub async fn insert_policy(&mut self, policy: &LoginPolicy) -> Result<()> {
        const INSERT: &str = "INSERT INTO login_policies (id, tenant_id, name, rules, \
                              for_new_customers, version, created_at, changed_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        query(INSERT)
            .bind(policy.id.to_string())
            .bind(policy.tenant.to_string())
            .bind(&policy.name)
            .bind(json(&policy.rules)?)
            .bind(i64::from(policy.is_for_new_customers))
            .bind(policy.version)
            .bind(policy.created_at.0)
            .bind(policy.changed_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Writes a policy of its owner as it is now.
    pub async fn update_policy(&mut self, policy: &LoginPolicy) -> Result<()> {
        const UPDATE: &str = "UPDATE login_policies SET name = $3, rules = $4, \
                              for_new_customers = $5, version = $6, changed_at = $7 \
                              WHERE tenant_id = $1 AND id = $2";
        query(UPDATE)
            .bind(policy.tenant.to_string())
            .bind(policy.id.to_string())
            .bind(&policy.name)
            .bind(json(&policy.rules)?)
            .bind(i64::from(policy.is_for_new_customers))
            .bind(policy.version)
            .bind(policy.changed_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Takes a policy away that holds nowhere.
    pub async fn delete_policy(&mut self, tenant: TenantId, id: PolicyId) -> Result<()> {
        const DELETE: &str = "DELETE FROM login_policies WHERE tenant_id = $1 AND id = $2";
        let delete = query(DELETE).bind(tenant.to_string()).bind(id.to_string());
        delete.execute(self.connection()).await?;
        Ok(())
    }

    /// A policy of this tenant, as it is in this transaction.
    pub async fn find_policy(
        &mut self,
        tenant: TenantId,
        id: PolicyId,
    ) -> Result<Option<LoginPolicy>> {
        let find = query(FIND).bind(tenant.to_string()).bind(id.to_string());
        let row = find.fetch_optional(self.connection()).await?;
        row.as_ref().map(policy).transpose()
    }

    /// How many policies a tenant has.
    pub async fn count_policies(&mut self, tenant: TenantId) -> Result<i64> {
        const COUNT: &str = "SELECT count(*) AS n FROM login_policies WHERE tenant_id = $1";
        query(COUNT).bind(tenant.to_string()).fetch_one(self.connection()).await?.int("n")
    }

    /// The policies with which the customers of a tenant begin.
    pub async fn list_policies_for_new(&mut self, tenant: TenantId) -> Result<Vec<LoginPolicy>> {
        const LIST: &str = "SELECT p.*, (SELECT count(*) FROM applied_policies a \
                            WHERE a.policy_id = p.id) AS applied_to FROM login_policies p \
                            WHERE p.tenant_id = $1 AND p.for_new_customers = 1 ORDER BY p.id";
        let rows = query(LIST).bind(tenant.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(policy).collect()
    }

    /// What holds in a tenant, as it is in this transaction.
    pub async fn list_applied(&mut self, tenant: TenantId) -> Result<Vec<AppliedPolicy>> {
        let rows = query(APPLIED).bind(tenant.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(applied).collect()
    }

    /// Lets a policy hold in a tenant, in the place of an earlier version of it.
    pub async fn put_applied(&mut self, applied: &AppliedPolicy) -> Result<()> {
        const PUT: &str = "INSERT INTO applied_policies (tenant_id, policy_id, owner_id, name, rules, \
                           version, origin, applied_at, applied_by, kept_at, kept_by) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                           ON CONFLICT (tenant_id, policy_id) DO UPDATE SET name = excluded.name, \
                           rules = excluded.rules, version = excluded.version, \
                           origin = excluded.origin, applied_at = excluded.applied_at, \
                           applied_by = excluded.applied_by, kept_at = excluded.kept_at, \
                           kept_by = excluded.kept_by";
        query(PUT)
            .bind(applied.tenant.to_string())
            .bind(applied.policy.to_string())
            .bind(applied.owner.to_string())
            .bind(&applied.name)
            .bind(json(&applied.rules)?)
            .bind(applied.version)
            .bind(&applied.origin)
            .bind(applied.applied_at.0)
            .bind(applied.applied_by.to_string())
            .bind(applied.kept.map(|(at, _)| at.0))
            .bind(applied.kept.map(|(_, by)| by.to_string()))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Lets a policy hold in a tenant no more.
    pub async fn delete_applied(&mut self, tenant: TenantId, id: PolicyId) -> Result<()> {
        const DELETE: &str = "DELETE FROM applied_policies WHERE tenant_id = $1 AND policy_id = $2";
        let delete = query(DELETE).bind(tenant.to_string()).bind(id.to_string());
        delete.execute(self.connection()).await?;
        Ok(())
    }
}
