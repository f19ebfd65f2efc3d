//! The claims of an access token (RFC 9068), in its three kinds: *home* (a user in the own tenant),
//! *delegated* (a partner's user in a customer's tenant) and *client* (client credentials).
//!
//! One struct carries them all on the wire; [`AccessClaims::kind`] is the only way to learn which
//! kind a token is, and it refuses anything that is not wholly one of them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ids::{
        ClientId, DelegatedPrincipalId, DelegationId, RelationshipId, SessionId, TenantId, UserId,
    },
    revocation::Seq,
    scope::Scope,
};

/// Why the partner's user acts: a code of the deployment's list and a reference such as a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// For example `support`.
    pub code: String,
    /// For example `TCK-10293`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub r#ref: Option<String>,
}

/// The person who really acts (RFC 8693 §4.1). Only the outermost actor counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The issuer that knows the actor.
    pub iss: String,
    /// The actor's own user id.
    pub sub: UserId,
    /// Always `user`: machines never cross tenants.
    pub sub_profile: String,
    /// The actor's own tenant.
    pub tenant: TenantId,
}

/// Authorization details (RFC 9396 §2) of the one type that we know: what may be done in a customer's tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantDelegation {
    /// Always `tenant_delegation`.
    pub r#type: String,
    /// The customer's tenant.
    pub tenant: TenantId,
    /// The one resource server.
    pub locations: Vec<String>,
    /// What may be done: what the scope says, one by one.
    pub actions: Vec<String>,
}

/// Confirmation (RFC 7800) by a key of the client's. A token with any other kind is malformed here, so that
/// a binding that we do not know is never overlooked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The thumbprint of the key (RFC 9449 §6.1).
    pub jkt: String,
}

/// Payload of an access token. Times are seconds of the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer.
    pub iss: String,
    /// A user id (home), a delegated principal (delegated) or the client id (client).
    pub sub: String,
    /// Exactly one resource server.
    pub aud: String,
    /// The client that asked for the token.
    pub client_id: ClientId,
    /// Issued at.
    pub iat: i64,
    /// Not before.
    pub nbf: i64,
    /// End of life.
    pub exp: i64,
    /// The token's own id.
    pub jti: String,
    /// The tenant in which the token is valid.
    pub tenant: TenantId,
    /// The actor's tenant; only in delegated tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audit_actor_tenant: Option<TenantId>,
    /// Home: tenants that this user may enter now, a hint for menus, never authority.
    /// Delegated: exactly the one tenant of the token.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub managed_tenant_ids: Option<Vec<TenantId>>,
    /// How many there are, where the list is too long for a token.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub managed_tenant_count: Option<u64>,
    /// Distributed claims (OIDC Core §5.6.2): where to ask for the list that was left out.
    #[serde(rename = "_claim_names", skip_serializing_if = "Option::is_none", default)]
    pub claim_names: Option<Map<String, Value>>,
    /// See `claim_names`.
    #[serde(rename = "_claim_sources", skip_serializing_if = "Option::is_none", default)]
    pub claim_sources: Option<Map<String, Value>>,
    /// The own tenant, where it manages others; only in home tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub partner_id: Option<TenantId>,
    /// Who acts; only in delegated tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub act: Option<Act>,
    /// The login session.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sid: Option<SessionId>,
    /// The delegation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dlg: Option<DelegationId>,
    /// The relationship.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rel: Option<RelationshipId>,
    /// What the token permits.
    pub scope: Scope,
    /// The user's roles in the own tenant.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
    /// When the user authenticated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub auth_time: Option<i64>,
    /// How strongly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acr: Option<String>,
    /// By which methods (RFC 8176).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub amr: Vec<String>,
    /// Through which identity provider.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idp: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub purpose: Option<Purpose>,
    /// What the scope permits, in detail, where it was asked for so; only in delegated tokens.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub authorization_details: Vec<TenantDelegation>,
    /// The key that the token is bound to. A token that carries one is not a bearer token.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cnf: Option<Confirmation>,
    /// The revocation head as read before any state was looked at.
    pub rvs: Seq,
}

/// What kind of access token it is, with what is certain for that kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user in the own tenant.
    Home {
        /// The user.
        user: UserId,
    },
    /// A partner's user in a customer's tenant.
    Delegated(Delegated),
    /// Software on its own behalf; it never crosses tenants.
    Client,
}

/// The parts that every delegated token has, and no other token has any of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// The stable subject of (customer, person).
    pub principal: DelegatedPrincipalId,
    /// The person.
    pub actor: UserId,
    /// The person's tenant.
    pub actor_tenant: TenantId,
    /// The delegation.
    pub delegation: DelegationId,
    /// The relationship.
    pub relationship: RelationshipId,
}

impl AccessClaims {
    /// The token's kind, or `None` where its claims contradict each other: only part of the
    /// delegated claims, an actor's tenant that differs or equals the token's tenant, a subject of
    /// another kind. Such a token must be refused.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        if self.act.is_none() && !self.authorization_details.is_empty() {
            return None;
        }
        match (self.audit_actor_tenant, &self.act, self.dlg, self.rel) {
            (Some(actor_tenant), Some(act), Some(delegation), Some(relationship)) => {
                let is_coherent = actor_tenant == act.tenant
                    && actor_tenant != self.tenant
                    && act.iss == self.iss
                    && act.sub_profile == "user"
                    && self.sid.is_some()
                    && self.partner_id.is_none()
                    && self.managed_tenant_ids.as_deref() == Some(&[self.tenant])
                    && self.managed_tenant_count.is_none()
                    && self.claim_names.is_none()
                    && self.authorization_details.iter().all(|detail| detail.tenant == self.tenant);
                is_coherent.then_some(Kind::Delegated(Delegated {
                    principal: self.sub.parse().ok()?,
                    actor: act.sub,
                    actor_tenant,
                    delegation,
                    relationship,
                }))
            }
            (None, None, None, None) if self.sid.is_some() => {
                Some(Kind::Home { user: self.sub.parse().ok()? })
            }
            (None, None, None, None) => (self.sub == self.client_id.as_str()
                && self.managed_tenant_ids.is_none()
                && self.partner_id.is_none())
            .then_some(Kind::Client),
            _ => None,
        }
    }
}
