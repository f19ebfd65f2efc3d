//! What a customer looks at again from time to time: when it is due, and what was used of what it gave. The uses
//! are read from the audit log, entry by entry, so that nobody who exchanges writes anything more for them.

use std::collections::BTreeMap;

use procura_domain::Relationship;
use procura_token::{RelationshipId, TenantId, Ts};
use serde::Deserialize;

use crate::{
    Error, Result, Store, Tx,
    relationships::relationship,
    row::Columns,
    sql::{Row, query},
};

/// So many entries of the log are read at once.
const AT_ONCE: i64 = 200;
/// So many permissions are remembered of one relationship: patterns reach any number of names.
const MOST: i64 = 1_000;

/// A relationship that a customer looks at.
#[derive(Clone, Debug)]
pub struct Review {
    /// The edge.
    pub relationship: Relationship,
    /// The partner's name now.
    pub partner_name: String,
    /// When the customer wants to look at it, where it said so.
    pub due_at: Option<Ts>,
    /// When the customer last said yes to it.
    pub agreed_at: Ts,
    /// Which permissions were given out under it, and when last.
    pub uses: BTreeMap<String, Ts>,
}

/// What the entry of an exchange says of what it gave.
#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    scope: String,
}

fn review(row: &Row) -> Result<Review> {
    Ok(Review {
        relationship: relationship(row)?,
        partner_name: row.text("partner_name")?,
        due_at: row.opt_ts("due_at")?,
        agreed_at: row.ts("agreed_at")?,
        uses: BTreeMap::new(),
    })
}

/// What a stretch of the log gave out: who, what, and when last.
type Uses = BTreeMap<(RelationshipId, String), (TenantId, Ts)>;

fn uses(rows: &[Row]) -> Result<Uses> {
    let mut uses = Uses::new();
    for row in rows {
        let (Some(edge), Some(customer), Some(details)) = (
            row.opt_parsed("relationship_id")?,
            row.opt_parsed("target_tenant_id")?,
            row.opt_str("details")?,
        ) else {
            continue;
        };
        let Ok(given) = serde_json::from_str::<Given>(details) else { continue };
        let at = row.ts("at")?;
        for permission in given.scope.split(' ').filter(|word| !word.is_empty()) {
            uses.insert((edge, permission.to_owned()), (customer, at));
        }
    }
    Ok(uses)
}

impl Store {
    /// Reads on in the audit log; whether its end was reached. Any node may, as often as it likes.
    pub async fn read_uses(&self) -> Result<bool> {
        const READ: &str = "SELECT seq FROM uses_read WHERE id = 1";
        const STRETCH: &str = "SELECT at, relationship_id, target_tenant_id, details FROM audit \
                               WHERE seq > $1 AND seq <= $2 AND action = 'token.exchange' \
                               AND result = 'ok' ORDER BY seq";
        const MOVE: &str = "UPDATE uses_read SET seq = $1 WHERE id = 1 AND seq = $2";
        const NOTE: &str = "INSERT INTO relationship_uses (relationship_id, permission, customer_id, \
                            last_at) SELECT $1, $2, $3, $4 WHERE (SELECT count(*) \
                            FROM relationship_uses WHERE relationship_id = $1) < $5 OR EXISTS (SELECT 1 \
                            FROM relationship_uses WHERE relationship_id = $1 AND permission = $2) \
                            ON CONFLICT (relationship_id, permission) DO UPDATE SET last_at = $4";
        let (tail, _) = self.audit_tail().await?;
        let from = query(READ).fetch_one(&self.readers).await?.int("seq")?;
        let until = tail.min(from.saturating_add(AT_ONCE));
        if until <= from {
            return Ok(true);
        }
        let rows = query(STRETCH).bind(from).bind(until).fetch_all(&self.readers).await?;
        let uses = uses(&rows)?;
        let mut open = self.writer.begin().await?;
        // Another node may have been faster: it wrote down the same.
        if query(MOVE).bind(until).bind(from).execute(&mut open).await? == 0 {
            return Ok(false);
        }
        for ((edge, permission), (customer, at)) in uses {
            query(NOTE)
                .bind(edge.to_string())
                .bind(permission)
                .bind(customer.to_string())
                .bind(at.0)
                .bind(MOST)
                .execute(&mut open)
                .await?;
        }
        open.commit().await?;
        Ok(until == tail)
    }

    /// Every relationship of a customer that lets partners in, or would if it were not suspended.
    pub async fn list_reviews(&self, customer: TenantId) -> Result<Vec<Review>> {
        const LIST: &str = "SELECT r.*, t.name AS partner_name, w.due_at, COALESCE((SELECT MAX(v.at) \
                            FROM relationship_versions v WHERE v.relationship_id = r.id \
                            AND v.action = 'relationship.approve'), r.created_at) AS agreed_at \
                            FROM relationships r JOIN tenants t ON t.id = r.partner_id \
                            LEFT JOIN relationship_reviews w ON w.relationship_id = r.id \
                            WHERE r.customer_id = $1 AND r.is_current = 1 \
                            AND r.state IN ('active', 'suspended') ORDER BY t.slug, r.kind";
        const USES: &str = "SELECT relationship_id, permission, last_at FROM relationship_uses \
                            WHERE customer_id = $1";
        let mut within = self.within(customer).await?;
        let rows = query(LIST).bind(customer.to_string()).fetch_all(&mut within).await?;
        let mut reviews = rows.iter().map(review).collect::<Result<Vec<_>>>()?;
        for row in query(USES).bind(customer.to_string()).fetch_all(&mut within).await? {
            let edge: RelationshipId = row.parsed("relationship_id")?;
            let of = reviews.iter_mut().find(|review| review.relationship.id == edge);
            if let Some(review) = of {
                review.uses.insert(row.text("permission")?, row.ts("last_at")?);
            }
        }
        Ok(reviews)
    }
}

impl Tx {
    /// Says when the customer wants to look at a relationship.
    pub async fn put_review(&mut self, id: RelationshipId, due_at: Ts) -> Result<()> {
        const PUT: &str = "INSERT INTO relationship_reviews (relationship_id, due_at) \
                           VALUES ($1, $2) ON CONFLICT (relationship_id) DO UPDATE SET due_at = $2";
        let done = query(PUT).bind(id.to_string()).bind(due_at.0);
        if done.execute(self.connection()).await? == 1 { Ok(()) } else { Err(Error::Conflict) }
    }
}
