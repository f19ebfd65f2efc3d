#![doc = include_str!("../README.md")]

pub mod access_request;
pub mod acr;
pub mod client;
pub mod client_settings;
pub mod conditions;
pub mod decision;
pub mod explain;
pub mod hours;
pub mod identity_provider;
pub mod patch;
pub mod permission;
pub mod person;
pub mod policy;
pub mod redirect;
pub mod refusal;
pub mod relationship;
pub mod roles;
pub mod self_registration;
pub mod tenant;
pub mod terms;
pub mod words;

pub use access_request::AccessRequest;
pub use client::{AuthMethod, Profile, Registration};
pub use client_settings::{ClientSettings, Fault};
pub use decision::{Facts, Limits, Mandate, Wish, decide};
pub use explain::Explanation;
pub use identity_provider::ProviderSettings;
pub use permission::Permissions;
pub use person::StandardClaims;
pub use policy::{Caller, Permit};
pub use refusal::Refusal;
pub use relationship::{Access, Relationship, RelationshipKind, RelationshipState};
pub use roles::{RelationshipRole, UserRole};
pub use tenant::TenantStatus;
pub use terms::Terms;
