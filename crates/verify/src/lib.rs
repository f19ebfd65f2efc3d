#![doc = include_str!("../README.md")]

pub mod clock;
mod config;
mod feed;
mod frames;
mod introspection;
mod jwks;
mod layer;
mod refused;
mod require;
mod standing;
mod verified;
mod verifier;
pub mod view;
mod wire;

pub use config::{Config, ConfigError};
pub use layer::{ACTIVE_TENANT, Guard, Guarded};
pub use procura_token as token;
pub use refused::Refused;
pub use require::{Require, Required, deny_delegated, require_scope, require_tenant};
pub use verified::Verified;
pub use verifier::{Ended, Status, Verifier};
