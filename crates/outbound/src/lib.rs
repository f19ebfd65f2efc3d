#![doc = include_str!("../README.md")]

mod addresses;
mod client;
mod error;
mod names;
mod settings;
mod turns;

pub use client::Outbound;
pub use error::Error;
pub use settings::{Settings, Unusable};
