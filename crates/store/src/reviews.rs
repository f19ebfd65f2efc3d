//! What a customer looks at again from time to time: when it is due, and what was used of what it gave. The uses
//! are read from the audit log, entry by entry, so that nobody who exchanges writes anything more for them.

use std::collections::{BTreeMap, BTreeSet};

use procura_domain::{Permissions, Relationship};
use procura_token::{RelationshipId, TenantId, Ts};
use serde::Deserialize;

use crate::{
    Error, Result, Store, Tx,
    relationships::relationship,
    row::Columns,
    sql::{ManyRows, Row, query},
};

/// So many entries of the log are read at once.
const AT_ONCE: i64 = 200;
/// So many names are remembered for a pattern of a relationship: it reaches any number of them.
const MOST: usize = 50;

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
    /// Which permissions were given out under it, or which pattern of them, and when last.
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

/// What a stretch of the log gave out: under which relationship, which permission or pattern, and when last.
type Uses = BTreeMap<(RelationshipId, String), (TenantId, Ts)>;

/// What is remembered of a relationship already.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    /// How many of them are remembered for a pattern.
    of_patterns: BTreeMap<String, usize>,
}

impl Known {
    fn of(held: &Permissions, names: BTreeSet<String>) -> Self {
        let mut of_patterns = BTreeMap::new();
        for name in &names {
            if let Some(pattern) = held.narrowest(name).filter(|entry| entry != name) {
                *of_patterns.entry(pattern.to_owned()).or_default() += 1;
            }
        }
        Self { names, of_patterns }
    }

    /// What is to be remembered of a name that was given out: the name, as long as there are few of them, then
    /// what a resource server declares or the relationship gives that allows it, whichever says less. Who may
    /// choose among endless names fills no list with them, and hides none behind them. What the relationship
    /// does not give any more is nothing that could be taken away.
    fn take(
        &mut self,
        (held, declared): (&Permissions, &Permissions),
        name: &str,
    ) -> Option<String> {
        let entry = held.narrowest(name)?;
        if entry == name || self.names.contains(name) {
            return Some(name.to_owned());
        }
        let count = self.of_patterns.entry(entry.to_owned()).or_default();
        // What no set of permissions can name is never suggested by its name.
        if *count >= MOST || name.parse::<Permissions>().is_err() {
            // Both lead to the name, so the longer one is within the other.
            let narrower = declared.narrowest(name).filter(|other| other.len() > entry.len());
            return Some(narrower.unwrap_or(entry).to_owned());
        }
        *count += 1;
        self.names.insert(name.to_owned());
        Some(name.to_owned())
    }
}

/// What the rows of a stretch come to, besides the names that are remembered already.
fn uses(
    rows: &[Row],
    declared: &Permissions,
    mut names: BTreeMap<RelationshipId, BTreeSet<String>>,
) -> Result<Uses> {
    let mut uses = Uses::new();
    let mut known: BTreeMap<RelationshipId, Known> = BTreeMap::new();
    for row in rows {
        let Some(details) = row.opt_str("details")? else { continue };
        let Ok(given) = serde_json::from_str::<Given>(details) else { continue };
        let (edge, at) = (relationship(row)?, row.ts("given_at")?);
        let held = edge.permissions();
        let before = || Known::of(&held, names.remove(&edge.id).unwrap_or_default());
        let known = known.entry(edge.id).or_insert_with(before);
        for name in given.scope.split(' ').filter(|word| !word.is_empty()) {
            if let Some(use_of) = known.take((&held, declared), name) {
                uses.insert((edge.id, use_of), (edge.customer, at));
            }
        }
    }
    Ok(uses)
}

static NOTE: ManyRows = ManyRows::new(
    "INSERT INTO relationship_uses (relationship_id, permission, customer_id, last_at) VALUES ",
    4,
    " ON CONFLICT (relationship_id, permission) DO UPDATE SET last_at = excluded.last_at",
);

impl Store {
    /// Reads on in the audit log; whether its end was reached. Any node may, as often as it likes.
    pub async fn read_uses(&self) -> Result<bool> {
        const READ: &str = "SELECT seq FROM uses_read WHERE id = 1";
        const STRETCH: &str = "SELECT r.*, a.at AS given_at, a.details FROM audit a \
                               JOIN relationships r ON r.id = a.relationship_id \
                               WHERE a.seq > $1 AND a.seq <= $2 AND a.action = 'token.exchange' \
                               AND a.result = 'ok' ORDER BY a.seq";
        const KNOWN: &str = "SELECT relationship_id, permission FROM relationship_uses \
                             WHERE relationship_id IN (SELECT relationship_id FROM audit \
                             WHERE seq > $1 AND seq <= $2 AND action = 'token.exchange' \
                             AND result = 'ok')";
        const DECLARED: &str = "SELECT permissions FROM resource_servers";
        const MOVE: &str = "UPDATE uses_read SET seq = $1 WHERE id = 1 AND seq = $2";
        let (tail, _) = self.audit_tail().await?;
        let from = query(READ).fetch_one(&self.readers).await?.int("seq")?;
        let until = tail.min(from.saturating_add(AT_ONCE));
        if until <= from {
            return Ok(true);
        }
        let rows = query(STRETCH).bind(from).bind(until).fetch_all(&self.readers).await?;
        let mut declared = Vec::new();
        for row in query(DECLARED).fetch_all(&self.readers).await? {
            declared.push(row.text("permissions")?);
        }
        let declared = declared.iter().flat_map(|set| set.split_whitespace()).collect();
        let mut open = self.writer.begin().await?;
        // Another node may have been faster: it wrote down the same.
        if query(MOVE).bind(until).bind(from).execute(&mut open).await? == 0 {
            return Ok(false);
        }
        let mut names: BTreeMap<RelationshipId, BTreeSet<String>> = BTreeMap::new();
        for row in query(KNOWN).bind(from).bind(until).fetch_all(&mut open).await? {
            names
                .entry(row.parsed("relationship_id")?)
                .or_default()
                .insert(row.text("permission")?);
        }
        let mut values = Vec::new();
        for ((edge, use_of), (customer, at)) in uses(&rows, &declared, names)? {
            values.extend([edge.to_string().into(), use_of.into(), customer.to_string().into()]);
            values.push(at.0.into());
        }
        NOTE.execute(values, &mut open).await?;
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
