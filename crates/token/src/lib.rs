#![doc = include_str!("../README.md")]

pub mod claims;
pub mod crypto;
pub mod dpop;
pub mod foreign;
pub mod id_token;
pub mod ids;
pub mod jwk;
pub mod jws;
pub mod revocation;
pub mod scope;
#[cfg(feature = "issue")]
pub mod signing;
pub mod statement;
pub mod time;

pub use claims::{AccessClaims, Act, Confirmation, Kind, Purpose, TenantDelegation};
pub use foreign::ForeignKeys;
pub use id_token::IdToken;
pub use ids::{
    AccessRequestId, ApiKeyId, AuditId, ClientId, DelegatedPrincipalId, DelegationId,
    InitialTokenId, InteractionId, KeyId, PolicyId, ProviderId, RelationshipId, SessionId,
    TenantId, UserId,
};
pub use jwk::{Algorithm, Jwk, Jwks, KeySet};
pub use jws::{Rejection, Shown};
pub use revocation::{Key, KeyHash, Seq};
pub use scope::Scope;
pub use statement::Statement;
pub use time::Ts;
