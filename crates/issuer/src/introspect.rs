//! Introspection (RFC 7662). Refresh tokens are nothing that a resource server could know.

use procura_store::clients::ResourceServer;
use procura_token::{AccessClaims, Kind};

use crate::{Issuer, Result};

impl Issuer {
    /// The claims of a token, if it is alive and meant for the resource server that asks. Everything
    /// else is `None`: unknown, expired, revoked and foreign tokens look alike.
    pub async fn introspect(
        &self,
        asking: &ResourceServer,
        token: &str,
    ) -> Result<Option<AccessClaims>> {
        let now = self.0.environment.now();
        let Ok(genuine) = self.genuine(token, now) else { return Ok(None) };
        let claims = &genuine.claims;
        if claims.aud != asking.audience {
            return Ok(None);
        }
        // Read from the database, not from what this process happens to know.
        self.0.store.revocation_head().await?;
        if self.0.store.revocations().is_dead(&genuine.keys, claims.rvs) {
            return Ok(None);
        }
        let client = self.0.store.find_client(&claims.client_id).await?;
        let mut is_alive = client.is_some_and(|client| client.is_enabled);
        if let Some(sid) = claims.sid {
            let session = self.0.store.find_session(sid).await?;
            is_alive &= session.is_some_and(|session| session.is_live(now));
        }
        if let Kind::Delegated(d) = &genuine.kind {
            let running = self.0.store.find_delegation(claims.tenant, d.delegation).await?;
            is_alive &= running.is_some_and(|d| d.ended_at.is_none());
            is_alive &= asking.accepts_delegated;
        }
        Ok(is_alive.then(|| claims.clone()))
    }
}
