//! Trust between tenants: one way, put and deleted by the tenant that trusts.

use procura_domain::{
    Caller, Relationship, RelationshipKind, RelationshipState, TenantStatus,
};
use procura_token::TenantId;

use crate::{
    Error, Issuer, Result, Via,
    relationships::Changed,
    revoke::Confirm,
};

impl Issuer {
    /// Lets the admins of `trusted` act in `tenant`. Idempotent: answers whether it is new.
    pub async fn put_trust(
        &self,
        caller: &Caller,
        tenant: TenantId,
        trusted: TenantId,
        via: &Via,
    ) -> Result<(Relationship, bool)> {
        let permit = caller.administer(tenant)?;
        if trusted == tenant {
            return Err(Error::Invalid("trustedTenantId"));
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        for id in [permit.tenant(), trusted] {
            let found = tx.find_tenant(id).await?;
            found.filter(|t| t.status == TenantStatus::Active).ok_or(Error::NotFound)?;
        }
        if let Some(edge) = tx.find_edge(trusted, tenant, RelationshipKind::Trust).await? {
            if edge.is_active(tx.now()) {
                return Ok((edge, false));
            }
            // Suspended: whoever suspended it resumes it; a put is no way around that.
            if edge.state == RelationshipState::Suspended {
                return Err(Error::WrongState(edge.state.as_str()));
            }
        }
        let edge = self.new_edge(trusted, tenant, RelationshipKind::Trust)?;
        tx.insert_relationship(&edge, None).await?;
        self.audit_step(&mut tx, caller, "trust.put", &edge, via)?;
        tx.commit().await?;
        Ok((edge, true))
    }

    /// Takes the trust back. Idempotent: `None` where there was none.
    pub async fn delete_trust(
        &self,
        caller: &Caller,
        tenant: TenantId,
        trusted: TenantId,
        confirm: Confirm,
        via: &Via,
    ) -> Result<Option<Changed>> {
        let permit = caller.administer(tenant)?;
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let edge = tx.find_edge(trusted, permit.tenant(), RelationshipKind::Trust).await?;
        let Some(before) = edge.filter(|edge| edge.state.is_live()) else { return Ok(None) };
        let after = Relationship {
            state: RelationshipState::Ended,
            suspended_by: None,
            ..before.clone()
        };
        self.change(tx, caller, ("trust.delete", &before, after), confirm, via).await.map(Some)
    }
}
