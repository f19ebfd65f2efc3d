//! Tenants.

use procura_domain::{Access, TenantStatus};
use procura_token::{TenantId, Ts};

use crate::{
    Result, Store, Tx,
    row::Columns,
    sql::{Row, query},
};

/// An organisation.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// A short name for URLs and commands, unique.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Where it stands.
    pub status: TenantStatus,
    /// Its plan.
    pub plan: String,
    /// Its switch for all partners.
    pub partner_access: Access,
    /// What a partner needs to ask it for a relationship.
    pub partner_code: String,
    /// Since when.
    pub created_at: Ts,
}

fn tenant(row: &Row) -> Result<Tenant> {
    Ok(Tenant {
        id: row.parsed("id")?,
        slug: row.text("slug")?,
        name: row.text("name")?,
        status: row.parsed("status")?,
        plan: row.text("plan")?,
        partner_access: row.parsed("partner_access")?,
        partner_code: row.text("partner_code")?,
        created_at: row.ts("created_at")?,
    })
}

impl Store {
    /// The tenant with this id.
    pub async fn find_tenant(&self, id: TenantId) -> Result<Option<Tenant>> {
        const FIND: &str = "SELECT * FROM tenants WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// The tenant with this short name.
    pub async fn find_tenant_by_slug(&self, slug: &str) -> Result<Option<Tenant>> {
        const FIND: &str = "SELECT * FROM tenants WHERE slug = $1";
        let row = query(FIND).bind(slug).fetch_optional(&self.readers).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// Whether anything was ever stored.
    pub async fn is_empty(&self) -> Result<bool> {
        const COUNT: &str = "SELECT count(*) AS n FROM tenants";
        Ok(query(COUNT).fetch_one(&self.readers).await?.int("n")? == 0)
    }
}

impl Tx {
    /// Adds a tenant. A taken slug or code is a conflict.
    pub async fn insert_tenant(&mut self, tenant: &Tenant) -> Result<()> {
        const INSERT: &str = "INSERT INTO tenants (id, slug, name, status, plan, partner_access, \
                              partner_code, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        query(INSERT)
            .bind(tenant.id.to_string())
            .bind(&tenant.slug)
            .bind(&tenant.name)
            .bind(tenant.status.as_str())
            .bind(&tenant.plan)
            .bind(tenant.partner_access.as_str())
            .bind(&tenant.partner_code)
            .bind(tenant.created_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The tenant with this id, as it is in this transaction.
    pub async fn find_tenant(&mut self, id: TenantId) -> Result<Option<Tenant>> {
        const FIND: &str = "SELECT * FROM tenants WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// The tenant with this short name.
    pub async fn find_tenant_by_slug(&mut self, slug: &str) -> Result<Option<Tenant>> {
        const FIND: &str = "SELECT * FROM tenants WHERE slug = $1";
        let row = query(FIND).bind(slug).fetch_optional(self.connection()).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// The tenant that handed out this partner code.
    pub async fn find_tenant_by_partner_code(&mut self, code: &str) -> Result<Option<Tenant>> {
        const FIND: &str = "SELECT * FROM tenants WHERE partner_code = $1";
        let row = query(FIND).bind(code).fetch_optional(self.connection()).await?;
        row.as_ref().map(tenant).transpose()
    }

    /// Gives a tenant another name and plan.
    pub async fn update_tenant(&mut self, id: TenantId, name: &str, plan: &str) -> Result<()> {
        const UPDATE: &str = "UPDATE tenants SET name = $2, plan = $3 WHERE id = $1";
        query(UPDATE).bind(id.to_string()).bind(name).bind(plan).execute(self.connection()).await?;
        Ok(())
    }

    /// Gives the tenant another partner code; answers whether there is such a tenant. A taken code is a conflict.
    pub async fn update_partner_code(&mut self, id: TenantId, code: &str) -> Result<bool> {
        const UPDATE: &str = "UPDATE tenants SET partner_code = $2 WHERE id = $1";
        let update = query(UPDATE).bind(id.to_string()).bind(code);
        Ok(update.execute(self.connection()).await? > 0)
    }

    /// Sets the tenant's switch for all partners; answers what it was.
    pub async fn update_partner_access(
        &mut self,
        id: TenantId,
        access: Access,
    ) -> Result<Option<Access>> {
        const UPDATE: &str = "UPDATE tenants SET partner_access = $2 WHERE id = $1";
        let before = self.find_tenant(id).await?.map(|tenant| tenant.partner_access);
        query(UPDATE).bind(id.to_string()).bind(access.as_str()).execute(self.connection()).await?;
        Ok(before)
    }
}
