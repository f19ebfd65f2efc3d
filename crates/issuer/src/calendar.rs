//! What happens to relationships because time passes: requests and proposals that nobody answered, and
//! relationships that go on by themselves. Any node may turn the calendar, as often as it likes.

use procura_domain::{Relationship, RelationshipState};
use procura_store::{Tx, audit::Entry};
use procura_token::AuditId;

use crate::{Error, Issuer, Result, agreements::UNANSWERED_SECS};

/// A relationship that renews itself does so this long before its end, in seconds: who switches
/// meanwhile is not thrown out at midnight.
const RENEWED_BEFORE_SECS: i64 = 86_400;
const DAY_SECS: i64 = 86_400;

impl Issuer {
    /// Does what is due: each a version of its own, with its audit entry, in one transaction.
    pub async fn turn_calendar(&self) -> Result<()> {
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let now = tx.now();
        let mut is_due = false;
        for before in tx.list_overdue_requests(now.plus_secs(-UNANSWERED_SECS)).await? {
            let after = Relationship { state: RelationshipState::Expired, ..before.clone() };
            self.turn(&mut tx, "relationship.expire", &before, after).await?;
            is_due = true;
        }
        for before in tx.list_renewing(now.plus_secs(RENEWED_BEFORE_SECS)).await? {
            let days = i64::from(before.renews_for_days.unwrap_or_default());
            let ends_at = before.ends_at.map(|end| end.plus_secs(days.saturating_mul(DAY_SECS)));
            let after = Relationship { ends_at, ..before.clone() };
            self.turn(&mut tx, "relationship.renew", &before, after).await?;
            is_due = true;
        }
        for proposal in tx.list_overdue_proposals().await? {
            tx.end_proposal(proposal.relationship).await?;
            let edge = tx.find_relationship(proposal.relationship).await?.ok_or(Error::Broken)?;
            self.note_turn(&mut tx, "relationship.proposal_expire", &edge)?;
            is_due = true;
        }
        if is_due {
            tx.commit().await?;
        }
        Ok(())
    }

    async fn turn(
        &self,
        tx: &mut Tx,
        action: &str,
        before: &Relationship,
        after: Relationship,
    ) -> Result<()> {
        let after = tx.update_relationship(&after).await?;
        self.keep_version(tx, action, (Some(before), &after), None).await?;
        self.note_turn(tx, action, &after)
    }

    fn note_turn(&self, tx: &mut Tx, action: &str, edge: &Relationship) -> Result<()> {
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let entry = Entry::new(id, tx.now(), action, "ok");
        tx.audit(Entry {
            target_tenant_id: Some(edge.customer),
            actor_tenant_id: Some(edge.partner),
            ..crate::relationships::about(edge, entry)
        });
        Ok(())
    }
}
