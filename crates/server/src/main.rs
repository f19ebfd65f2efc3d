#![doc = include_str!("../README.md")]
// The metadata document is one `json!` with many members.
#![recursion_limit = "256"]

mod access_request_commands;
mod api;
mod api_key_commands;
mod app;
mod around;
mod audit;
mod backup_commands;
mod break_glass_commands;
mod cli;
mod client_commands;
mod config;
mod console;
mod database;
mod demo;
mod explain_command;
mod exposure;
mod failure;
mod identity_provider_commands;
mod incident_commands;
mod initial_token_commands;
mod key_commands;
mod keys;
mod logouts;
mod metrics;
mod oauth;
mod openapi;
mod outbound;
mod partner_code_commands;
mod policy_commands;
mod proxies;
mod pulse;
mod quota_commands;
mod rate_limits;
mod readiness;
mod relay;
mod resource_server_commands;
mod revocations;
mod routes;
mod seed;
mod serve;
mod start;
mod telemetry;
mod tls;
mod upkeep;

use std::{hash::RandomState, panic, process::ExitCode};

/// Gives memory back after a flood of password hashes, which glibc's allocator keeps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether the system gives random bytes: it may have neither the call for them nor the device. The standard
/// library panics then, wherever it happens to want some first, and others abort.
fn has_randomness() -> bool {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let drawn = panic::catch_unwind(RandomState::new);
    panic::set_hook(usual);
    drawn.is_ok()
}

fn main() -> ExitCode {
    if !has_randomness() {
        eprintln!("procura: this system gives no random bytes: neither getrandom nor /dev/urandom");
        return ExitCode::FAILURE;
    }
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // One clear line: what is wrong, and with what.
            eprintln!("procura: {failure}");
            ExitCode::FAILURE
        }
    }
}
