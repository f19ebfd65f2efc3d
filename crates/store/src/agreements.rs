//! How a relationship came to be what it is, version by version, and what the partner asks for while
//! the old terms go on.

use procura_domain::{Relationship, Terms, relationship::Side};
use procura_token::{RelationshipId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    relationships::relationship,
    row::{Columns, json},
    sql::{Row, query},
};

/// A change of a relationship.
#[derive(Clone, Debug)]
pub struct Version {
    /// Of which one.
    pub relationship: RelationshipId,
    /// Counts from 1.
    pub version: i64,
    /// When.
    pub at: Ts,
    /// As in the audit log.
    pub action: String,
    /// Who moved it; `None`: the calendar.
    pub side: Option<Side>,
    /// The person.
    pub user: Option<UserId>,
    /// By member: `{"from", "to"}`.
    pub changes: serde_json::Value,
    /// Why, in the person's own words.
    pub reason: Option<String>,
}

/// Wider terms that wait for the customer.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// For which relationship.
    pub relationship: RelationshipId,
    /// What is asked for, complete.
    pub terms: Terms,
    /// Shown to the customer.
    pub reason: Option<String>,
    /// The partner's person.
    pub user: Option<UserId>,
    /// Since when.
    pub proposed_at: Ts,
    /// Unanswered until then, it is refused.
    pub expires_at: Ts,
}

fn version(row: &Row) -> Result<Version> {
    Ok(Version {
        relationship: row.parsed("relationship_id")?,
        version: row.int("version")?,
        at: row.ts("at")?,
        action: row.text("action")?,
        side: row.opt_parsed("side")?,
        user: row.opt_parsed("user_id")?,
        changes: row.json("changes")?,
        reason: row.opt_text("reason")?,
    })
}

pub(crate) fn proposal(row: &Row) -> Result<Proposal> {
    Ok(Proposal {
        relationship: row.parsed("relationship_id")?,
        terms: row.json("terms")?,
        reason: row.opt_text("reason")?,
        user: row.opt_parsed("user_id")?,
        proposed_at: row.ts("proposed_at")?,
        expires_at: row.ts("expires_at")?,
    })
}

impl Store {
    /// The versions of a relationship behind one where the last page ended, the first one first, if the tenant
    /// is one of its ends.
    pub async fn list_versions(
        &self,
        end: TenantId,
        id: RelationshipId,
        (above, limit): (i64, i64),
    ) -> Result<Vec<Version>> {
        const LIST: &str = "SELECT v.* FROM relationship_versions v \
                            JOIN relationships r ON r.id = v.relationship_id \
                            WHERE r.id = $2 AND (r.partner_id = $1 OR r.customer_id = $1) \
                            AND v.version > $3 ORDER BY v.version LIMIT $4";
        let rows = query(LIST)
            .bind(end.to_string())
            .bind(id.to_string())
            .bind(above)
            .bind(limit)
            .fetch_all(&mut self.within(end).await?)
            .await?;
        rows.iter().map(version).collect()
    }

    /// What waits for the customer's answer, if the tenant is one of the relationship's ends.
    pub async fn find_proposal(
        &self,
        end: TenantId,
        id: RelationshipId,
        now: Ts,
    ) -> Result<Option<Proposal>> {
        const FIND: &str = "SELECT p.* FROM relationship_proposals p \
                            JOIN relationships r ON r.id = p.relationship_id \
                            WHERE r.id = $2 AND (r.partner_id = $1 OR r.customer_id = $1) \
                            AND p.expires_at > $3";
        let row = query(FIND)
            .bind(end.to_string())
            .bind(id.to_string())
            .bind(now.0)
            .fetch_optional(&mut self.within(end).await?)
            .await?;
        row.as_ref().map(proposal).transpose()
    }
}

impl Tx {
    /// Keeps what a change did.
    pub async fn insert_version(&mut self, version: &Version) -> Result<()> {
        const INSERT: &str = "INSERT INTO relationship_versions (relationship_id, version, at, \
                              action, side, user_id, changes, reason) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        query(INSERT)
            .bind(version.relationship.to_string())
            .bind(version.version)
            .bind(version.at.0)
            .bind(&version.action)
            .bind(version.side.map(Side::as_str))
            .bind(version.user.map(|id| id.to_string()))
            .bind(json(&version.changes)?)
            .bind(&version.reason)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Asks for these terms, instead of whatever was asked for before.
    pub async fn put_proposal(&mut self, proposal: &Proposal) -> Result<()> {
        const PUT: &str = "INSERT INTO relationship_proposals (relationship_id, terms, reason, \
                           user_id, proposed_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) \
                           ON CONFLICT (relationship_id) DO UPDATE SET terms = excluded.terms, \
                           reason = excluded.reason, user_id = excluded.user_id, \
                           proposed_at = excluded.proposed_at, expires_at = excluded.expires_at";
        query(PUT)
            .bind(proposal.relationship.to_string())
            .bind(json(&proposal.terms)?)
            .bind(&proposal.reason)
            .bind(proposal.user.map(|id| id.to_string()))
            .bind(proposal.proposed_at.0)
            .bind(proposal.expires_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// What waits for an answer now.
    pub async fn find_proposal(&mut self, id: RelationshipId) -> Result<Option<Proposal>> {
        const FIND: &str = "SELECT * FROM relationship_proposals \
                            WHERE relationship_id = $1 AND expires_at > $2";
        let now = self.now();
        let row =
            query(FIND).bind(id.to_string()).bind(now.0).fetch_optional(self.connection()).await?;
        row.as_ref().map(proposal).transpose()
    }

    /// Nothing waits any more.
    pub async fn end_proposal(&mut self, id: RelationshipId) -> Result<bool> {
        const END: &str = "DELETE FROM relationship_proposals WHERE relationship_id = $1";
        let ended = query(END).bind(id.to_string()).execute(self.connection()).await?;
        Ok(ended > 0)
    }

    /// Proposals that nobody answered in time; at most a hundred at once.
    pub async fn list_overdue_proposals(&mut self) -> Result<Vec<Proposal>> {
        const LIST: &str = "SELECT * FROM relationship_proposals WHERE expires_at <= $1 \
                            ORDER BY expires_at LIMIT 100";
        let now = self.now();
        let rows = query(LIST).bind(now.0).fetch_all(self.connection()).await?;
        rows.iter().map(proposal).collect()
    }

    /// Requests from before this instant that nobody answered; at most a hundred at once.
    pub async fn list_overdue_requests(&mut self, before: Ts) -> Result<Vec<Relationship>> {
        const LIST: &str = "SELECT * FROM relationships WHERE state = 'requested' \
                            AND created_at <= $1 ORDER BY created_at LIMIT 100";
        let rows = query(LIST).bind(before.0).fetch_all(self.connection()).await?;
        rows.iter().map(relationship).collect()
    }

    /// Active relationships that end between now and this instant and renew themselves; at most a
    /// hundred at once.
    pub async fn list_renewing(&mut self, until: Ts) -> Result<Vec<Relationship>> {
        const LIST: &str = "SELECT * FROM relationships WHERE state = 'active' AND is_current = 1 \
                            AND renews_for_days IS NOT NULL AND ends_at > $1 AND ends_at <= $2 \
                            ORDER BY ends_at LIMIT 100";
        let now = self.now();
        let rows = query(LIST).bind(now.0).bind(until.0).fetch_all(self.connection()).await?;
        rows.iter().map(relationship).collect()
    }
}
