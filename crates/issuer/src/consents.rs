//! What a person agreed to give to clients, seen and taken back by that person.

use procura_domain::Caller;
use procura_store::codes::Consent;
use procura_token::{ClientId, Key};

use crate::{
    Call, Error, Issuer, Result, api_keys::end_keys_between, home::revoke_home_tokens,
    revoke::Revoked,
};

/// The scope of whoever may see and withdraw what the person agreed to with others. Without it a client
/// sees and withdraws its own.
pub const SCOPE: &str = "account.consents";

const WITHDRAWN: &str = "consent_withdrawn";

fn may_know(caller: &Caller, client: &ClientId) -> bool {
    caller.client == *client || caller.scope.contains(SCOPE)
}

impl Issuer {
    /// What the caller agreed to.
    pub async fn list_consents(&self, caller: &Caller) -> Result<Vec<Consent>> {
        let mut consents = self.0.store.list_consents(caller.user).await?;
        consents.retain(|consent| may_know(caller, &consent.client));
        Ok(consents)
    }

    /// Takes back what the caller agreed to give this client: its refresh tokens end, the person's
    /// keys for it or made through it too, its tokens for this person die, and what was exchanged through it.
    pub async fn withdraw_consent(&self, call: &Call, client: &ClientId) -> Result<Revoked> {
        let caller = &call.caller;
        if !may_know(caller, client) {
            return Err(Error::NotFound);
        }
        let mut tx = self.begin_urgent_for(call).await?;
        if !tx.delete_consent(caller.user, client).await? {
            return Err(Error::NotFound);
        }
        tx.void_codes_between(caller.user, client).await?;
        tx.void_device_codes_between(caller.user, client).await?;
        tx.end_families_between(caller.user, client).await?;
        let tokens = tx.list_home_tokens_between(caller.user, client).await?;
        revoke_home_tokens(&mut tx, tokens, WITHDRAWN).await?;
        let mut ended = end_keys_between(&mut tx, (caller.user, client), WITHDRAWN).await?;
        let delegations = tx.end_delegations_between(caller.user, client).await?;
        for delegation in delegations {
            tx.revoke(&Key::Delegation(delegation), WITHDRAWN);
            ended += 1;
        }
        let mut entry = self.entry(call, "consent.withdraw", caller.tenant)?;
        entry.resource_type = Some("client".to_owned());
        entry.resource_id = Some(client.to_string());
        tx.audit(entry);
        self.commit_revocation(tx, ended, call.confirm).await
    }
}
