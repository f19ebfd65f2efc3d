//! What ended because it lacked what is demanded of logins now, in the log of the tenant whose logins they were.

use procura_store::{Tx, audit::Entry};
use procura_token::{AuditId, PolicyId, TenantId};

use crate::{Issuer, Result};

/// What the demands of a tenant's policies ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Logins, and keys that rested on one.
    sessions: u64,
    /// What ran from them.
    pub delegations: u64,
}

impl Ended {
    pub(crate) fn add(&mut self, sessions: usize, delegations: u64) {
        self.sessions = self.sessions.saturating_add(u64::try_from(sessions).unwrap_or(u64::MAX));
        self.delegations = self.delegations.saturating_add(delegations);
    }
}

impl Issuer {
    /// Writes down what ended. An entry of its own, which names nobody who acted: a partner reads what its
    /// people did, and how many were logged in there is the customer's business.
    pub(crate) fn note_enforced(
        &self,
        tx: &mut Tx,
        (tenant, policy): (TenantId, Option<PolicyId>),
        request_id: Option<&str>,
        ended: Option<Ended>,
    ) -> Result<()> {
        let Some(ended) = ended else { return Ok(()) };
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let mut entry = Entry {
            target_tenant_id: Some(tenant),
            request_id: request_id.map(ToOwned::to_owned),
            resource_type: policy.map(|_| "policy".to_owned()),
            resource_id: policy.map(|id| id.to_string()),
            ..Entry::new(id, self.0.environment.now(), "policy.enforce", "ok")
        };
        entry.add_detail("sessions_ended", &ended.sessions);
        entry.add_detail("delegations_ended", &ended.delegations);
        tx.audit(entry);
        Ok(())
    }
}
