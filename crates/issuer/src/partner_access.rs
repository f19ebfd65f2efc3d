//! The customer's access switch for all its partners: on, restricted, off.

use std::collections::BTreeSet;

use procura_domain::Access;
use procura_token::Key;

use crate::{Call, Error, Issuer, Result, revoke::Revoked};

impl Issuer {
    /// Sets the switch of the caller's own tenant. Any change kills the running delegations at once;
    /// setting what is set already changes nothing and kills nothing.
    pub async fn switch_partner_access(
        &self,
        call: &Call,
        access: Access,
    ) -> Result<Option<Revoked>> {
        let tenant = call.caller.switch_access()?.tenant();
        let mut tx = self.begin_urgent_for(call).await?;
        let before = tx.update_partner_access(tenant, access).await?.ok_or(Error::NotFound)?;
        let mut entry = self.entry(call, "partner_access.switch", tenant)?;
        entry.resource_type = Some("tenant".to_owned());
        entry.resource_id = Some(tenant.to_string());
        entry.details = Some(serde_json::json!({ "before": before, "after": access }).to_string());
        tx.audit(entry);
        if before == access {
            tx.commit().await?;
            return Ok(None);
        }
        let ended = tx.end_delegations_in(tenant).await?;
        // One entry for each partner: not the key of the tenant, which would log its own people out.
        for partner in tx.list_partners(tenant).await?.into_iter().collect::<BTreeSet<_>>() {
            tx.revoke(&Key::Pair(partner, tenant), "partner_access.switch");
        }
        self.commit_revocation(tx, ended, call.confirm).await.map(Some)
    }
}
