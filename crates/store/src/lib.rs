#![doc = include_str!("../README.md")]

pub mod access_requests;
pub mod agreements;
pub mod api_keys;
pub mod audit;
pub mod backup;
pub mod break_glass;
pub mod budgets;
pub mod clients;
pub mod codes;
mod connect;
pub mod delegations;
pub mod device;
mod error;
mod facts;
pub mod idempotency;
pub mod identity_providers;
pub mod incidents;
pub mod invitations;
pub mod keys;
pub mod ledger;
pub mod logout;
pub mod meters;
mod notices;
pub mod patience;
pub mod policies;
mod postgres;
pub mod pushed;
pub mod quotas;
pub mod refresh;
pub mod relationships;
pub mod relay;
pub mod reviews;
pub mod revocations;
mod row;
pub mod running;
pub mod self_registration;
pub mod sessions;
mod sql;
mod sqlite;
pub mod tenants;
pub mod token_counts;
pub mod told;
mod tx;
mod used;
pub mod users;
pub mod verifiers;

pub use connect::{Location, OpenError, Store};
pub use error::Error;
pub use tx::{Committed, Tx};

/// What every method here answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;
