#![doc = include_str!("../README.md")]

mod billing;
mod database;
mod input;
mod mask;
mod outbox;
mod problem;
mod refusals;
mod reports;
mod routes;
mod seed;
mod settings;
mod subscribers;
mod tickets;

use std::{io::Write, process::ExitCode, sync::Arc};

use clap::Parser;
use procura_verify::{Config, Verifier};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{
    database::Database,
    outbox::Outbox,
    routes::App,
    settings::{Options, Settings},
};

/// Why the process cannot start. Printed once; the exit code is 1.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error("the database cannot be opened: {0}")]
    Database(#[from] database::OpenError),
    #[error("the verifier cannot be started: {0}")]
    Verifier(#[from] procura_verify::ConfigError),
    #[error("the HTTP client cannot be started: {0}")]
    Client(#[from] reqwest::Error),
    #[error("the listener failed: {0}")]
    Listener(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Standard output carries the one line that says where we listen; everything else is a log.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    let settings = Settings::read(options)?;
    let database = Database::open(&options.data).await?;
    seed::fill(&database, &settings.tenants).await.map_err(database::OpenError::from)?;
    let verifier = Verifier::start(Config {
        name: options.name.clone(),
        accepts_delegated: true,
        needs_proof: options.needs_proof,
        scopes: routes::PERMISSIONS.map(str::to_owned).into(),
        origin: options.origin.clone(),
        address: settings.issuer_address.clone(),
        revocations: options.source()?,
        ..Config::new(
            &settings.issuer,
            &settings.audience,
            &settings.client_id,
            &settings.client_secret,
        )
    })?;
    let outbox = Arc::new(Outbox::new(&settings, database.clone())?);
    let delivery = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move { outbox.deliver().await }
    });
    let listener = TcpListener::bind(options.listen).await?;
    announce(&listener)?;
    let app = App { verifier, database, outbox, refusals: Arc::default() };
    axum::serve(listener, routes::routes(app)).with_graceful_shutdown(stop()).await?;
    // What is not delivered yet stays in the database for the next start.
    delivery.abort();
    Ok(())
}

fn announce(listener: &TcpListener) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "sample-isp ready on http://{address}")?;
    out.flush()
}

/// Resolves on SIGINT or SIGTERM.
async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
