//! What runs now: seen by the customer in whose tenant it runs and by the partner whose people it is, and
//! ended by either, one by one.

use procura_domain::{Caller, Permit, policy::Denied, relationship::Side};
use procura_store::{delegations::Delegation, running::Running};
use procura_token::{DelegationId, Key};
use serde_json::{Map, json};

use crate::{
    Call, Error, Issuer, Result,
    hand::{Hand, Subject},
    revoke::Revoked,
};

impl Issuer {
    /// What runs on the caller's side, the newest first; from below a delegation where the last page ended.
    pub async fn list_running(
        &self,
        caller: &Caller,
        side: Side,
        page: (Option<DelegationId>, i64),
    ) -> Result<Vec<Running>> {
        let tenant = permit(caller, side)?.tenant();
        let now = self.0.environment.now();
        Ok(self.0.store.list_running((side, tenant), now, page).await?)
    }

    /// Ends one delegation: its tokens die. Whoever may still enter can begin another one.
    pub async fn end_delegation(
        &self,
        call: &Call,
        side: Side,
        id: DelegationId,
    ) -> Result<(Delegation, Revoked)> {
        let permit = permit(&call.caller, side)?;
        let mut tx = self.begin_urgent_for(call).await?;
        let found = tx.find_delegation(id).await?;
        let is_ours = |found: &Delegation| {
            let end = if side == Side::Partner { found.actor_tenant } else { found.tenant };
            end == permit.tenant()
        };
        let delegation = found.filter(is_ours).ok_or(Error::NotFound)?;
        let now = tx.now();
        if delegation.ended_at.is_some() || delegation.ends_at <= now {
            return Err(Error::WrongState("over"));
        }
        let ended = tx.end_delegation(id).await?;
        tx.revoke(&Key::Delegation(id), "delegation.end");
        let text = id.to_string();
        let about = Subject { tenant: delegation.tenant, kind: "delegation", id: &text };
        let details = Map::from_iter([("user".to_owned(), json!(delegation.user))]);
        let mut entry = self.entry_by(Hand::Person(call), "delegation.end", about, details)?;
        entry.delegation_id = Some(id);
        entry.relationship_id = Some(delegation.relationship);
        tx.audit(entry);
        let revoked = self.commit_revocation(tx, ended, call.confirm).await?;
        Ok((Delegation { ended_at: Some(now), ..delegation }, revoked))
    }
}

/// The operator has its own ways to stop a person, a client or a relationship.
fn permit(caller: &Caller, side: Side) -> Result<Permit> {
    Ok(match side {
        Side::Customer => caller.switch_access()?,
        Side::Partner => caller.represent_partner()?,
        Side::Operator => return Err(Denied::Forbidden.into()),
    })
}
