//! Relationships. One current row per partner, customer and kind; earlier ones stay as history.

use procura_domain::{Relationship, RelationshipKind, relationship::Side};
use procura_token::{RelationshipId, TenantId, Ts};

use crate::{
    Error, Result, Store, Tx,
    row::{Columns, json},
    sql::{Row, query},
};

/// A relationship with the names of both ends.
#[derive(Clone, Debug)]
pub struct Link {
    /// The edge.
    pub relationship: Relationship,
    /// The other tenant, seen from the one that was asked about.
    pub tenant: TenantId,
    /// Its name.
    pub tenant_name: String,
    /// Its short name.
    pub tenant_slug: String,
}

pub(crate) fn relationship(row: &Row) -> Result<Relationship> {
    Ok(Relationship {
        id: row.parsed("id")?,
        partner: row.parsed("partner_id")?,
        customer: row.parsed("customer_id")?,
        kind: row.parsed("kind")?,
        origin: row.parsed("origin")?,
        role: row.parsed("access_role")?,
        custom_permissions: row.opt_parsed("custom_permissions")?,
        state: row.parsed("state")?,
        suspended_by: row.opt_parsed("suspended_by")?,
        starts_at: row.opt_ts("starts_at")?,
        ends_at: row.opt_ts("ends_at")?,
        renews_for_days: row
            .opt_int("renews_for_days")?
            .map(u32::try_from)
            .transpose()
            .map_err(|_| Error::Corrupt)?,
        access: row.parsed("access")?,
        approval: row.parsed("approval")?,
        conditions: row.json("conditions")?,
        version: row.int("version")?,
    })
}

fn link(row: &Row) -> Result<Link> {
    Ok(Link {
        relationship: relationship(row)?,
        tenant: row.parsed("tenant_id")?,
        tenant_name: row.text("tenant_name")?,
        tenant_slug: row.text("tenant_slug")?,
    })
}

impl Store {
    /// The edges that lead out of a tenant: whom it manages, or asks to manage.
    pub async fn list_managed(&self, partner: TenantId) -> Result<Vec<Link>> {
        const LIST: &str = "SELECT r.*, t.id AS tenant_id, t.name AS tenant_name, t.slug AS tenant_slug \
                            FROM relationships r JOIN tenants t ON t.id = r.customer_id \
                            WHERE r.partner_id = $1 AND r.is_current = 1 ORDER BY t.slug, r.kind";
        let rows = query(LIST)
            .bind(partner.to_string())
            .fetch_all(&mut self.within(partner).await?)
            .await?;
        rows.iter().map(link).collect()
    }

    /// The edges that lead into a tenant: who manages it, or asks to.
    pub async fn list_managing(&self, customer: TenantId) -> Result<Vec<Link>> {
        const LIST: &str = "SELECT r.*, t.id AS tenant_id, t.name AS tenant_name, t.slug AS tenant_slug \
                            FROM relationships r JOIN tenants t ON t.id = r.partner_id \
                            WHERE r.customer_id = $1 AND r.is_current = 1 ORDER BY t.slug, r.kind";
        let rows = query(LIST)
            .bind(customer.to_string())
            .fetch_all(&mut self.within(customer).await?)
            .await?;
        rows.iter().map(link).collect()
    }

    /// The relationship with this id, whoever its ends are: for the operator.
    pub async fn find_any_relationship(&self, id: RelationshipId) -> Result<Option<Relationship>> {
        const FIND: &str = "SELECT * FROM relationships WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(relationship).transpose()
    }

    /// The relationship with this id, if the tenant is one of its ends.
    pub async fn find_relationship(
        &self,
        end: TenantId,
        id: RelationshipId,
    ) -> Result<Option<Relationship>> {
        const FIND: &str = "SELECT * FROM relationships WHERE id = $2 \
                            AND (partner_id = $1 OR customer_id = $1)";
        let row = query(FIND)
            .bind(end.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut self.within(end).await?)
            .await?;
        row.as_ref().map(relationship).transpose()
    }
}

impl Tx {
    /// The relationship with this id. The caller's policy decides who may see it.
    pub async fn find_relationship(&mut self, id: RelationshipId) -> Result<Option<Relationship>> {
        const FIND: &str = "SELECT * FROM relationships WHERE id = $1";
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(relationship).transpose()
    }

    /// The current edge of this kind between two tenants.
    pub async fn find_edge(
        &mut self,
        partner: TenantId,
        customer: TenantId,
        kind: RelationshipKind,
    ) -> Result<Option<Relationship>> {
        const FIND: &str = "SELECT * FROM relationships WHERE partner_id = $1 AND customer_id = $2 \
                            AND kind = $3 AND is_current = 1";
        let row = query(FIND)
            .bind(partner.to_string())
            .bind(customer.to_string())
            .bind(kind.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(relationship).transpose()
    }

    /// Adds a relationship. One that is live in its place is a conflict; a dead one becomes history.
    pub async fn insert_relationship(
        &mut self,
        r: &Relationship,
        reason: Option<&str>,
    ) -> Result<()> {
        const SUPERSEDE: &str = "UPDATE relationships SET is_current = 0 WHERE partner_id = $1 \
                                 AND customer_id = $2 AND kind = $3 AND is_current = 1 \
                                 AND (state IN ('declined', 'expired', 'ended') OR ends_at <= $4)";
        const INSERT: &str = "INSERT INTO relationships (id, partner_id, customer_id, kind, origin, \
                              access_role, custom_permissions, state, suspended_by, starts_at, ends_at, \
                              renews_for_days, access, approval, conditions, reason, version, \
                              is_current, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, \
                              $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 1, $18, $18)";
        let now = self.now();
        query(SUPERSEDE)
            .bind(r.partner.to_string())
            .bind(r.customer.to_string())
            .bind(r.kind.as_str())
            .bind(now.0)
            .execute(self.connection())
            .await?;
        query(INSERT)
            .bind(r.id.to_string())
            .bind(r.partner.to_string())
            .bind(r.customer.to_string())
            .bind(r.kind.as_str())
            .bind(r.origin.as_str())
            .bind(r.role.as_str())
            .bind(r.custom_permissions.as_ref().map(ToString::to_string))
            .bind(r.state.as_str())
            .bind(r.suspended_by.map(Side::as_str))
            .bind(r.starts_at.map(|at| at.0))
            .bind(r.ends_at.map(|at| at.0))
            .bind(r.renews_for_days.map(i64::from))
            .bind(r.access.as_str())
            .bind(r.approval.as_str())
            .bind(json(&r.conditions)?)
            .bind(reason)
            .bind(r.version)
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Writes the new version of a relationship. It is a conflict if somebody else changed the
    /// version that the caller saw.
    pub async fn update_relationship(&mut self, r: &Relationship) -> Result<Relationship> {
        const UPDATE: &str = "UPDATE relationships SET access_role = $3, custom_permissions = $4, \
                              state = $5, suspended_by = $6, starts_at = $7, ends_at = $8, access = $9, \
                              conditions = $10, renews_for_days = $11, approval = $12, \
                              version = version + 1, changed_at = $13 \
                              WHERE id = $1 AND version = $2";
        let now = self.now();
        let done = query(UPDATE)
            .bind(r.id.to_string())
            .bind(r.version)
            .bind(r.role.as_str())
            .bind(r.custom_permissions.as_ref().map(ToString::to_string))
            .bind(r.state.as_str())
            .bind(r.suspended_by.map(Side::as_str))
            .bind(r.starts_at.map(|at| at.0))
            .bind(r.ends_at.map(|at| at.0))
            .bind(r.access.as_str())
            .bind(json(&r.conditions)?)
            .bind(r.renews_for_days.map(i64::from))
            .bind(r.approval.as_str())
            .bind(now.0)
            .execute(self.connection())
            .await?;
        if done == 0 {
            return Err(Error::Conflict);
        }
        Ok(Relationship { version: r.version.saturating_add(1), ..r.clone() })
    }

    /// Every tenant that has, or ever had, an edge into this one: whose people may hold tokens here.
    pub async fn list_partners(&mut self, customer: TenantId) -> Result<Vec<TenantId>> {
        const LIST: &str = "SELECT DISTINCT partner_id FROM relationships \
                            WHERE customer_id = $1 AND is_current = 1";
        let rows = query(LIST).bind(customer.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("partner_id")).collect()
    }

    /// The tenants that a user of this partner may enter now: a hint for menus. Only active edges
    /// within their dates, to active tenants whose switch is not off, assigned to this user.
    pub async fn list_enterable(
        &mut self,
        partner: TenantId,
        user: procura_token::UserId,
        kinds: &[RelationshipKind],
    ) -> Result<Vec<TenantId>> {
        const LIST: &str = "SELECT r.* FROM relationships r JOIN tenants t ON t.id = r.customer_id \
                            WHERE r.partner_id = $1 AND r.is_current = 1 AND r.state = 'active' \
                            AND r.access <> 'off' AND t.partner_access <> 'off' AND t.status = 'active' \
                            ORDER BY r.customer_id";
        let now: Ts = self.now();
        let rows = query(LIST).bind(partner.to_string()).fetch_all(self.connection()).await?;
        let mut tenants = Vec::new();
        for row in &rows {
            let edge = relationship(row)?;
            let is_for_user = edge.conditions.are_for(user);
            if kinds.contains(&edge.kind) && edge.is_active(now) && is_for_user {
                tenants.push(edge.customer);
            }
        }
        tenants.dedup();
        Ok(tenants)
    }
}
