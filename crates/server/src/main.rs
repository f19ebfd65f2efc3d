#![doc = include_str!("../README.md")]

mod api;
mod app;
mod around;
mod audit;
mod cli;
mod config;
mod console;
mod demo;
mod failure;
mod keys;
mod oauth;
mod relay;
mod revocations;
mod routes;
mod start;

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
