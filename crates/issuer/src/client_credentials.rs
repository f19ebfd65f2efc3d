//! Client credentials (RFC 6749 §4.4): software on its own behalf, in its own tenant. Such a token
//! never crosses tenants: the exchange refuses it.

use procura_domain::{Refusal, TenantStatus, permission};
use procura_store::{audit::Entry, clients::Client};
use procura_token::Scope;

use crate::{
    Error, Issuer, Minted, Result, Via,
    dpop::{ProvenKey, admit_binding},
    mint::Own,
};

/// The grant type's name.
pub const GRANT: &str = "client_credentials";

/// What the request says.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The resource server; the client's default where it is absent.
    pub audience: Option<&'a str>,
    /// The permissions asked for.
    pub scope: &'a Scope,
    /// The key that the token is bound to.
    pub key: Option<&'a ProvenKey>,
}

impl Issuer {
    /// Issues a token to a confidential client about itself. Whatever the outcome, it is in the audit
    /// log before this returns.
    pub async fn issue_to_client(
        &self,
        client: &Client,
        request: Request<'_>,
        via: &Via,
    ) -> Result<Minted> {
        match self.try_issue_to_client(client, request, via).await {
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
        request: Request<'_>,
        via: &Via,
    ) -> Result<Minted> {
        let Request { audience, scope, key } = request;
        if !client.grant_types.contains(GRANT) || !client.is_confidential() {
            return Err(Error::GrantNotAllowed);
        }
        admit_binding(client, key)?;
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
        let own = Own { signers, client, audience, scope: granted, key, rvs: tx.rvs() };
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
