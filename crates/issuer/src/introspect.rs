//! Introspection (RFC 7662). Refresh tokens are nothing that a resource server could know.

use procura_store::clients::ResourceServer;
use procura_token::{AccessClaims, Algorithm, Kind, Shown};
use serde_json::{Value, json};

use crate::{Error, Issuer, Result, keys::SIGNED_BY};

/// `typ` of a signed answer, and as a media type what asks for one.
pub const INTROSPECTION_TYPE: &str = "token-introspection+jwt";

impl Issuer {
    /// The claims of a token, if it is alive and meant for the resource server that asks. Everything
    /// else is `None`: unknown, expired, revoked and foreign tokens look alike.
    pub async fn introspect(
        &self,
        asking: &ResourceServer,
        token: &str,
    ) -> Result<Option<AccessClaims>> {
        let now = self.0.environment.now();
        let Ok(genuine) = self.genuine(token, Shown::ByOther, now) else { return Ok(None) };
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
            is_alive &= self.0.store.is_session_live(sid, now).await?;
        }
        if let Kind::Delegated(d) = &genuine.kind {
            let running = self.0.store.find_delegation(claims.tenant, d.delegation).await?;
            is_alive &= running.is_some_and(|d| d.ended_at.is_none());
            is_alive &= asking.accepts_delegated;
        }
        Ok(is_alive.then(|| claims.clone()))
    }

    /// The answer as one signed value (RFC 9701 §5): for who asks, and no token itself. Without a choice of
    /// the client's own it is signed with RS256, the standard's default.
    pub async fn sign_introspection(
        &self,
        asking: &ResourceServer,
        alg: Option<Algorithm>,
        answer: &Value,
    ) -> Result<String> {
        let alg = alg.unwrap_or(Algorithm::Rs256);
        if !SIGNED_BY.contains(&alg) {
            return Err(Error::GrantNotAllowed);
        }
        let claims = json!({
            "iss": self.0.settings.issuer,
            "aud": asking.client,
            "iat": self.0.environment.now().secs(),
            "token_introspection": answer,
        });
        let signers = self.signers(self.0.store.keys_version()).await?;
        signers.by(alg, INTROSPECTION_TYPE, &claims)
    }
}
