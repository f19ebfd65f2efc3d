//! All live relationships of one tenant closed together, and what waits for an answer about them turned down: a
//! handful of statements, however many they are.

use procura_domain::{Access, AccessRequest, Relationship, relationship::Side};
use procura_token::TenantId;

use crate::{
    Result, Store, Tx,
    access_requests::access_request,
    agreements::{Proposal, Version, proposal},
    delegations::{Delegation, delegation},
    relationships::relationship,
    row::{Columns, json},
    sql::{ManyRows, Value, query},
};

static INSERT_VERSIONS: ManyRows = ManyRows::new(
    "INSERT INTO relationship_versions (relationship_id, version, at, action, side, user_id, \
     changes, reason) VALUES ",
    8,
    "",
);

impl Tx {
    /// The live edges that lead out of a partner, or else into a customer.
    pub async fn list_live_edges(
        &mut self,
        (side, tenant): (Side, TenantId),
    ) -> Result<Vec<Relationship>> {
        const OUT_OF: &str = "SELECT * FROM relationships WHERE partner_id = $1 AND is_current = 1 \
                              AND state IN ('requested', 'active', 'suspended') ORDER BY id";
        const INTO: &str = "SELECT * FROM relationships WHERE customer_id = $1 AND is_current = 1 \
                            AND state IN ('requested', 'active', 'suspended') ORDER BY id";
        let list = query(if side == Side::Partner { OUT_OF } else { INTO });
        let rows = list.bind(tenant.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(relationship).collect()
    }

    /// Declines those of them that wait for a first answer, each as its next version; answers how many they were.
    pub async fn decline_requests(&mut self, (side, tenant): (Side, TenantId)) -> Result<u64> {
        const OUT_OF: &str = "UPDATE relationships SET state = 'declined', version = version + 1, \
                              changed_at = $2 WHERE partner_id = $1 AND is_current = 1 \
                              AND state = 'requested'";
        const INTO: &str = "UPDATE relationships SET state = 'declined', version = version + 1, \
                            changed_at = $2 WHERE customer_id = $1 AND is_current = 1 \
                            AND state = 'requested'";
        let now = self.now();
        let decline = query(if side == Side::Partner { OUT_OF } else { INTO });
        decline.bind(tenant.to_string()).bind(now.0).execute(self.connection()).await
    }

    /// Turns down whatever partners ask for while those of them go on, each as the next version of its
    /// relationship; answers each.
    pub async fn decline_proposals(
        &mut self,
        (side, tenant): (Side, TenantId),
    ) -> Result<Vec<Proposal>> {
        const OUT_OF: &str = "UPDATE relationships SET version = version + 1, changed_at = $2 \
                              WHERE partner_id = $1 AND is_current = 1 \
                              AND state IN ('active', 'suspended') \
                              AND id IN (SELECT relationship_id FROM relationship_proposals)";
        const INTO: &str = "UPDATE relationships SET version = version + 1, changed_at = $2 \
                            WHERE customer_id = $1 AND is_current = 1 \
                            AND state IN ('active', 'suspended') \
                            AND id IN (SELECT relationship_id FROM relationship_proposals)";
        const END_OUT_OF: &str = "DELETE FROM relationship_proposals WHERE relationship_id IN \
                                  (SELECT id FROM relationships WHERE partner_id = $1 \
                                  AND is_current = 1 AND state IN ('active', 'suspended')) \
                                  RETURNING *";
        const END_INTO: &str = "DELETE FROM relationship_proposals WHERE relationship_id IN \
                                (SELECT id FROM relationships WHERE customer_id = $1 \
                                AND is_current = 1 AND state IN ('active', 'suspended')) \
                                RETURNING *";
        let (now, is_out) = (self.now(), side == Side::Partner);
        let number = query(if is_out { OUT_OF } else { INTO });
        number.bind(tenant.to_string()).bind(now.0).execute(self.connection()).await?;
        let end = query(if is_out { END_OUT_OF } else { END_INTO });
        let rows = end.bind(tenant.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(proposal).collect()
    }

    /// Takes back what people were let in for, where the customer approves each time, and declines what they wait
    /// for; answers each as it is now.
    pub async fn close_access_requests(
        &mut self,
        (side, tenant): (Side, TenantId),
    ) -> Result<Vec<AccessRequest>> {
        const END_OUT_OF: &str = "UPDATE access_requests SET ended_at = $2 WHERE partner_id = $1 \
                                  AND ended_at IS NULL AND given_until > $2 RETURNING *";
        const END_INTO: &str = "UPDATE access_requests SET ended_at = $2 WHERE customer_id = $1 \
                                AND ended_at IS NULL AND given_until > $2 RETURNING *";
        const DECLINE_OUT_OF: &str = "UPDATE access_requests SET answered_at = $2 WHERE partner_id = $1 \
                                      AND answered_at IS NULL AND lapses_at > $2 RETURNING *";
        const DECLINE_INTO: &str = "UPDATE access_requests SET answered_at = $2 WHERE customer_id = $1 \
                                    AND answered_at IS NULL AND lapses_at > $2 RETURNING *";
        let (now, is_out) = (self.now(), side == Side::Partner);
        let mut closed = Vec::new();
        for text in if is_out { [END_OUT_OF, DECLINE_OUT_OF] } else { [END_INTO, DECLINE_INTO] } {
            let close = query(text).bind(tenant.to_string()).bind(now.0);
            for row in close.fetch_all(self.connection()).await? {
                closed.push(access_request(&row)?);
            }
        }
        Ok(closed)
    }

    /// Brings those of them that are agreed on and stand higher down to this position, each as its next version; answers how
    /// many they were. None is ever brought up.
    pub async fn lower_access(
        &mut self,
        (side, tenant): (Side, TenantId),
        access: Access,
    ) -> Result<u64> {
        const OUT_OF: &str = "UPDATE relationships SET access = $2, version = version + 1, \
                              changed_at = $3 WHERE partner_id = $1 AND is_current = 1 \
                              AND state IN ('active', 'suspended') \
                              AND access <> 'off' AND access <> $2 AND $2 <> 'on'";
        const INTO: &str = "UPDATE relationships SET access = $2, version = version + 1, \
                            changed_at = $3 WHERE customer_id = $1 AND is_current = 1 \
                            AND state IN ('active', 'suspended') \
                            AND access <> 'off' AND access <> $2 AND $2 <> 'on'";
        let now = self.now();
        query(if side == Side::Partner { OUT_OF } else { INTO })
            .bind(tenant.to_string())
            .bind(access.as_str())
            .bind(now.0)
            .execute(self.connection())
            .await
    }

    /// Ends what runs under current edges out of a partner, or in a customer's tenant; answers each.
    pub async fn end_all_delegations(
        &mut self,
        (side, tenant): (Side, TenantId),
    ) -> Result<Vec<Delegation>> {
        // The way over the relationships has an index.
        const OUT_OF: &str = "UPDATE delegations SET ended_at = $2 WHERE ended_at IS NULL \
                              AND relationship_id IN (SELECT id FROM relationships \
                              WHERE partner_id = $1 AND is_current = 1) RETURNING *";
        const INTO: &str = "UPDATE delegations SET ended_at = $2 \
                            WHERE ended_at IS NULL AND tenant_id = $1 RETURNING *";
        let now = self.now();
        let end = query(if side == Side::Partner { OUT_OF } else { INTO });
        let rows = end.bind(tenant.to_string()).bind(now.0).fetch_all(self.connection()).await?;
        rows.iter().map(delegation).collect()
    }

    /// Keeps what changes did, all at once.
    pub async fn insert_versions(&mut self, versions: &[Version]) -> Result<()> {
        let mut values = Vec::with_capacity(INSERT_VERSIONS.columns() * versions.len());
        for version in versions {
            values.extend([
                Value::from(version.relationship.to_string()),
                Value::from(version.version),
                Value::from(version.at.0),
                Value::from(version.action.clone()),
                Value::from(version.side.map(|side| side.as_str().to_owned())),
                Value::from(version.user.map(|id| id.to_string())),
                Value::from(json(&version.changes)?),
                Value::from(version.reason.clone()),
            ]);
        }
        INSERT_VERSIONS.execute(values, self.connection()).await
    }
}

impl Store {
    /// Signed statements of where the audit log ended from this position on, oldest first: position and
    /// statement.
    pub async fn list_checkpoints_from(&self, seq: i64, limit: i64) -> Result<Vec<(i64, String)>> {
        const LIST: &str = "SELECT seq, statement FROM audit_checkpoints WHERE seq >= $1 \
                            ORDER BY seq LIMIT $2";
        let rows = query(LIST).bind(seq).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.int("seq")?, row.text("statement")?))).collect()
    }
}
