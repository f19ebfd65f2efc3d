//! The OAuth and OpenID Connect endpoints.

pub mod authorize;
pub mod client_auth;
pub mod device;
pub mod dpop;
pub mod error;
pub mod form;
pub mod introspect;
pub mod logout;
pub mod metadata;
pub mod par;
pub mod protected_resource;
pub mod register;
pub mod request;
pub mod revoke;
pub mod token;
pub mod userinfo;
