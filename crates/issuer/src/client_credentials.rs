//! Client credentials (RFC 6749 §4.4): software on its own behalf, in its own tenant. Such a token
//! never crosses tenants: the exchange refuses it.

use procura_store::{audit::Entry, clients::Client};
use procura_token::Scope;

use crate::{Error, Issuer, Minted, Result, Via, mint::Own};

/// The grant type's name.
pub const GRANT: &str = "client_credentials";

impl Issuer {
    /// Issues a token to a confidential client about itself.
    pub async fn issue_to_client(
        &self,
        client: &Client,
        audience: Option<&str>,
        scope: &Scope,
        via: &Via,
    ) -> Result<Minted> {
        let is_allowed = client.grant_types.contains(GRANT) && client.secret_hash.is_some();
        if !is_allowed {
            self.note("token.issue", "grant_not_allowed", Some(client.id.clone()), via).await?;
            return Err(Error::GrantNotAllowed);
        }
        let audience =
            audience.or(client.default_audience.as_deref()).ok_or(Error::Invalid("audience"))?;
        if !client.audiences.iter().any(|known| known == audience) {
            self.note("token.issue", "audience_not_allowed", Some(client.id.clone()), via).await?;
            return Err(Error::Refused(procura_domain::Refusal::AudienceNotAllowed));
        }
        let mut tx = self.0.store.begin(self.0.environment.now()).await?;
        let granted = scope.filtered(|permission| client.permissions.allows(permission));
        if granted.is_empty() && !scope.is_empty() {
            return Err(Error::BadScope);
        }
        let token =
            self.mint_client(Own { client, audience, scope: granted, rvs: tx.rvs() }, tx.now())?;
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
        Ok(token)
    }
}
