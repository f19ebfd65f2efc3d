//! Client credentials (RFC 6749 §4.4): software on its own behalf, in its own tenant. Such a token
//! never crosses tenants: the exchange refuses it.

use procura_domain::{Refusal, TenantStatus, permission};
use procura_store::{audit::Entry, clients::Client};
use procura_token::Scope;

use crate::{Error, Issuer, Minted, Result, Via, mint::Own};

/// The grant type's name.
pub const GRANT: &str = "client_credentials";

impl Issuer {
    /// Issues a token to a confidential client about itself. Whatever the outcome, it is in the audit
    /// log before this returns.
    pub async fn issue_to_client(
        &self,
        client: &Client,
        audience: Option<&str>,
        scope: &Scope,
        via: &Via,
    ) -> Result<Minted> {
        match self.try_issue_to_client(client, audience, scope, via).await {
            Err(error @ (Error::Busy | Error::Broken)) => Err(error),
            Err(error) => {
                self.admit_failure_of(client, via)?;
                self.note("token.issue", error.code(), Some(client.id.clone()), via).await?;
                Err(error)
            }
            Ok(token) => Ok(token),
        }
    }

    async fn try_issue_to_client(
        &self,
        client: &Client,
        audience: Option<&str>,
        scope: &Scope,
        via: &Via,
    ) -> Result<Minted> {
        if !client.grant_types.contains(GRANT) || !client.is_confidential() {
            return Err(Error::GrantNotAllowed);
        }
        let audience = audience.or(client.default_audience.as_deref());
        let audience = audience.ok_or(Error::Invalid("audience"))?;
        if !client.audiences.iter().any(|known| known == audience) {
            return Err(Error::Refused(Refusal::AudienceNotAllowed));
        }
        let server = self.0.store.find_audience(audience).await?;
        let server = server.ok_or(Error::Refused(Refusal::AudienceNotAllowed))?;
        let granted = scope.filtered(|wanted| {
            client.permissions.allows(wanted)
                && server.permissions.allows(wanted)
                && !permission::is_pattern(wanted)
        });
        if granted.is_empty() && !scope.is_empty() {
            return Err(Error::BadScope);
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let tenant = tx.find_tenant(client.tenant).await?;
        let is_home_active = tenant.is_some_and(|tenant| tenant.status == TenantStatus::Active);
        if !is_home_active || !tx.is_current_client(client).await? {
            self.forget_client(&client.id);
            return Err(Error::Refused(Refusal::ClientUnusable));
        }
        let signers = &self.signers_in(&mut tx).await?;
        let own = Own { signers, client, audience, scope: granted, rvs: tx.rvs() };
        let token = self.mint_client(own, tx.now())?;
        let entry = Entry {
            actor_tenant_id: Some(client.tenant),
            target_tenant_id: Some(client.tenant),
            jti: Some(token.jti.clone()),
            resource_type: Some("resource_server".into()),
            resource_id: Some(audience.to_owned()),
            ..self.issue_entry(client, "ok", None, via)?
        };
        tx.audit(entry);
        tx.commit().await?;
        self.0.meters.token("client");
        Ok(token)
    }
}
