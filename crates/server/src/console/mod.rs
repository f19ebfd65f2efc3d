//! Pages for people. They work without JavaScript, load nothing from elsewhere, and say what happened
//! and what to do.

pub mod consent;
pub mod cookies;
pub mod device;
pub mod invitation;
pub mod login;
pub mod logout;
pub mod page;
pub mod upstream;
