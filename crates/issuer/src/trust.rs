//! Trust between tenants: one way, put and deleted by the tenant that trusts.

use procura_domain::{
    Relationship, RelationshipKind, RelationshipState, TenantStatus,
    relationship::{Phase, Side},
};
use procura_token::TenantId;

use crate::{
    Call, Error, Issuer, Result,
    relationships::{Change, Changed},
};

impl Issuer {
    /// Lets the admins of `trusted` act in `tenant`. Idempotent: answers whether it is new.
    pub async fn put_trust(
        &self,
        call: &Call,
        tenant: TenantId,
        trusted: TenantId,
    ) -> Result<(Relationship, bool)> {
        let permit = call.caller.administer(tenant)?;
        if trusted == tenant {
            return Err(Error::Invalid("trustedTenantId"));
        }
        let mut tx = self.begin_for(call).await?;
        for id in [permit.tenant(), trusted] {
            let found = tx.find_tenant(id).await?;
            found.filter(|t| t.status == TenantStatus::Active).ok_or(Error::NotFound)?;
        }
        if let Some(edge) = tx.find_edge(trusted, tenant, RelationshipKind::Trust).await? {
            let phase = edge.phase(tx.now());
            // What the operator stopped does not begin anew under another id.
            let is_stopped = edge.suspended_by == Some(Side::Operator);
            if is_stopped && permit.side() != Side::Operator {
                return Err(Error::WrongState(phase.as_str()));
            }
            match phase {
                Phase::Stored(RelationshipState::Active) => return Ok((edge, false)),
                // Whoever suspended it resumes it; a put is no way around that.
                phase @ (Phase::Scheduled | Phase::Stored(RelationshipState::Suspended)) => {
                    return Err(Error::WrongState(phase.as_str()));
                }
                Phase::Stored(_) | Phase::Expired => {}
            }
        }
        let edge = self.new_edge(trusted, tenant, RelationshipKind::Trust)?;
        tx.insert_relationship(&edge, None).await?;
        self.begin_history(&mut tx, call, ("trust.put", None), &edge).await?;
        tx.commit().await?;
        Ok((edge, true))
    }

    /// Takes the trust back. Idempotent: `None` where there was none.
    pub async fn delete_trust(
        &self,
        call: &Call,
        tenant: TenantId,
        trusted: TenantId,
    ) -> Result<Option<Changed>> {
        let permit = call.caller.administer(tenant)?;
        let mut tx = self.begin_urgent_for(call).await?;
        let edge = tx.find_edge(trusted, permit.tenant(), RelationshipKind::Trust).await?;
        let Some(before) = edge.filter(|edge| edge.state.is_live()) else { return Ok(None) };
        let after = Relationship { state: RelationshipState::Ended, ..before.clone() };
        let change = Change { action: "trust.delete", before: &before, after, reason: None };
        self.change(tx, call, change).await.map(Some)
    }
}
