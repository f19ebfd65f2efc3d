//! The management API. Each handler takes a checked caller and a checked body, calls one verb, and
//! shows what came of it.

pub mod access_requests;
pub mod api_keys;
pub mod audit;
pub mod break_glass;
pub mod caller;
pub mod clients;
pub mod delegations;
pub mod explain;
pub mod idempotency;
pub mod identity_providers;
pub mod incidents;
pub mod initial_tokens;
pub mod input;
pub mod me;
pub mod paging;
pub mod partner_code;
pub mod policies;
pub mod previews;
pub mod problem;
pub mod quotas;
pub mod relationships;
pub mod resource_servers;
pub mod reviews;
pub mod shapes;
mod table;
pub mod tenants;
pub mod trust;
pub mod users;
pub mod view;
