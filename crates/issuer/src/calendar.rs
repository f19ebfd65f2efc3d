//! What happens to relationships because time passes: requests and proposals that nobody answered, and
//! relationships that go on by themselves. Any node may turn the calendar, as often as it likes.

use procura_domain::{Relationship, RelationshipState};
use procura_store::{Tx, audit::Entry};
use procura_token::AuditId;
use serde_json::{Value, json};

use crate::{
    Error, Issuer, Result,
    agreements::{UNANSWERED_SECS, changes},
    relationships::about,
};

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
            let changes = changes(Some(&before), &after);
            self.turn(&mut tx, "relationship.expire", after, changes).await?;
            is_due = true;
        }
        for before in tx.list_renewing(now.plus_secs(RENEWED_BEFORE_SECS)).await? {
            let days = i64::from(before.renews_for_days.unwrap_or_default());
            let ends_at = before.ends_at.map(|end| end.plus_secs(days.saturating_mul(DAY_SECS)));
            let after = Relationship { ends_at, ..before.clone() };
            tx.end_proposal(before.id).await?;
            let changes = changes(Some(&before), &after);
            self.turn(&mut tx, "relationship.renew", after, changes).await?;
            is_due = true;
        }
        for proposal in tx.list_overdue_proposals().await? {
            tx.end_proposal(proposal.relationship).await?;
            let edge = tx.find_relationship(proposal.relationship).await?.ok_or(Error::Broken)?;
            let gone = json!({ "proposal": { "from": proposal.terms, "to": null } });
            self.turn(&mut tx, "relationship.proposal_expire", edge, gone).await?;
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
        after: Relationship,
        changes: Value,
    ) -> Result<()> {
        let after = tx.update_relationship(&after).await?;
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let entry = Entry::new(id, tx.now(), action, "ok");
        // Nobody did it; both ends may read it.
        let entry = Entry { target_tenant_id: Some(after.customer), ..entry };
        tx.audit(about(&after, (Some(&changes), None), entry));
        self.keep_version(tx, action, (&after, changes, None), None).await
    }
}
