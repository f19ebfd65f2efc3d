#![doc = include_str!("../README.md")]

mod api;
mod app;
mod around;
mod audit;
mod backup_commands;
mod cli;
mod config;
mod console;
mod database;
mod demo;
mod failure;
mod key_commands;
mod keys;
mod logouts;
mod metrics;
mod oauth;
mod outbound;
mod proxies;
mod pulse;
mod readiness;
mod relay;
mod revocations;
mod routes;
mod serve;
mod start;
mod telemetry;
mod tls;

use std::process::ExitCode;

/// Gives memory back after a flood of password hashes, which glibc's allocator keeps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // One clear line: what is wrong, and with what.
            eprintln!("procura: {failure}");
            ExitCode::FAILURE
        }
    }
}
