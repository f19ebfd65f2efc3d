//! The integration suite: one binary, so that the harness links once and the tests share the machine.
//! A module holds the tests of one subject; each test is a sentence that must be true.

// The lints of the product, minus those that forbid to stop: a test stops at the first thing that is
// not as it says. `allow`, not `expect`, because a header can't know which of them its modules need.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that can't go on has failed"
)]

mod administration;
mod backup;
mod copied;
mod described;
mod house;
mod keys;
mod nodes;
mod operation;
mod pages;
mod protocol;
mod security;
mod store;
mod walkthrough;
