//! A token that this resource server accepts, and the questions that handlers ask it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use procura_token::{
    AccessClaims, DelegationId, Kind, Scope, TenantId, Ts, UserId, claims::Delegated, jws::Genuine,
};

use crate::{clock::Moment, login::Login, refused::Refused};

/// The permission to see personal data unmasked.
const UNMASK_PII: &str = "pii.unmask";

/// A token that was genuine, in time and not revoked when the request came in. Handlers take it
/// as an argument; without [`crate::Guard`] in front of them that is answered 401.
#[derive(Clone, Debug)]
pub struct Verified(pub(crate) Arc<Genuine>);

impl Verified {
    /// The tenant in which the request runs: the only one, whatever else the request says.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.0.claims.tenant
    }

    /// The person who really acts; `None` where software acts on its own behalf.
    #[must_use]
    pub fn actor(&self) -> Option<UserId> {
        match self.0.kind {
            Kind::Home { user } => Some(user),
            Kind::Delegated(delegated) => Some(delegated.actor),
            Kind::Client => None,
        }
    }

    /// The tenant to which the actor belongs.
    #[must_use]
    pub fn actor_tenant(&self) -> TenantId {
        self.delegated().map_or(self.0.claims.tenant, |delegated| delegated.actor_tenant)
    }

    /// Whether a person of another tenant acts here.
    #[must_use]
    pub fn is_delegated(&self) -> bool {
        self.delegated().is_some()
    }

    /// What the token permits.
    #[must_use]
    pub fn scopes(&self) -> &Scope {
        &self.0.claims.scope
    }

    /// The delegation, for a delegated token.
    #[must_use]
    pub fn delegation(&self) -> Option<DelegationId> {
        self.delegated().map(|delegated| delegated.delegation)
    }

    /// The end of the token's life.
    #[must_use]
    pub fn expires_at(&self) -> Ts {
        Ts::from_secs(self.0.claims.exp)
    }

    /// All claims. `sub` of a delegated token is nobody's user id.
    #[must_use]
    pub fn claims(&self) -> &AccessClaims {
        &self.0.claims
    }

    /// Whether personal data may be shown: the permission and a stated purpose, both.
    #[must_use]
    pub fn can_see_pii(&self) -> bool {
        self.scopes().contains(UNMASK_PII) && self.0.claims.purpose.is_some()
    }

    /// Refuses (403) unless the token has this permission.
    pub fn require_scope(&self, permission: &'static str) -> Result<(), Refused> {
        if self.scopes().contains(permission) { Ok(()) } else { Err(Refused::Scope(permission)) }
    }

    /// Refuses (401) unless the person logged in like this: the client is to ask for another login and come
    /// back with its token (RFC 9470). A permission that the demand names is asked for first (403).
    pub fn require_login(&self, login: Login) -> Result<(), Refused> {
        if let Some(permission) = login.scope {
            self.require_scope(permission)?;
        }
        if login.is_met(self.claims(), Moment::now().wall) {
            Ok(())
        } else {
            Err(Refused::Login(login))
        }
    }

    /// Refuses (403) unless the token is for this tenant, for paths that name one.
    pub fn require_tenant(&self, tenant: TenantId) -> Result<(), Refused> {
        if self.tenant() == tenant { Ok(()) } else { Err(Refused::Tenant) }
    }

    /// Refuses (403) people of other tenants, for endpoints that are never delegated.
    pub fn deny_delegated(&self) -> Result<(), Refused> {
        if self.is_delegated() { Err(Refused::Delegated) } else { Ok(()) }
    }

    fn delegated(&self) -> Option<Delegated> {
        match self.0.kind {
            Kind::Delegated(delegated) => Some(delegated),
            Kind::Home { .. } | Kind::Client => None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Verified {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        parts.extensions.get::<Self>().cloned().ok_or(Refused::NoToken)
    }
}
