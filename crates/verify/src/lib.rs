#![doc = include_str!("../README.md")]

pub mod clock;
mod config;
#[cfg(feature = "redis")]
mod copied;
mod feed;
mod frames;
mod introspection;
mod jwks;
mod layer;
mod login;
mod metadata;
mod proofs;
mod refused;
mod require;
mod standing;
mod verified;
mod verifier;
pub mod view;
mod wire;

#[cfg(feature = "redis")]
pub use config::RedisCopy;
pub use config::{Config, ConfigError, RevocationSource};
pub use layer::{ACTIVE_TENANT, Guard, Guarded};
pub use login::Login;
pub use metadata::Metadata;
pub use procura_token as token;
pub use refused::Refused;
pub use require::{
    Require, Required, deny_delegated, require_login, require_scope, require_tenant,
};
pub use verified::Verified;
pub use verifier::{Ended, Possession, Status, Verifier};
