//! Wiring: from a configuration to a running server, and its end.

use std::{future::Future, io::IsTerminal, net::SocketAddr, path::PathBuf, time::Duration};

use procura_domain::Limits;
use procura_issuer::{Environment, Issuer, RefreshLife, Settings, keys::Secrets};
use procura_store::Store;
use procura_token::Seq;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};

use crate::{
    app::{App, Parts},
    config::{Config, Log},
    database, demo,
    failure::Failure,
    keys, logouts, outbound,
    proxies::Proxies,
    relay, routes, seed,
    serve::{Bounds, GRACE, serve as serve_requests},
    telemetry::Telemetry,
    tls::Tls,
    upkeep,
};

/// A verifier that hears nothing for longer is on its own.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// What a start puts into the database before anybody is served.
#[derive(Default)]
pub struct First {
    /// The demo world.
    pub is_demo: bool,
    /// What this file says.
    pub seed: Option<PathBuf>,
}

/// Runs until it is told to stop.
pub fn run(config: Config, first: First) -> Result<(), Failure> {
    if first.is_demo && !config.server.listen.ip().is_loopback() {
        return Err(Failure(format!(
            "--demo has one published password for everybody and refuses to listen on {}",
            config.server.listen
        )));
    }
    start_log(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("no runtime", error))?;
    runtime.block_on(serve(config, first))
}

async fn serve(config: Config, first: First) -> Result<(), Failure> {
    let data = config.server.data.clone();
    // Held until the end: the folder is ours alone.
    let _lock = keys::take_data_folder(&data)?;
    let tls = Tls::open(&config.tls)?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .map_err(|error| Failure::of(&config.server.listen.to_string(), error))?;
    let address = listener.local_addr().map_err(|error| Failure::of("listener", error))?;
    let environment = Environment::default();
    let store = database::open(&config, environment.now()).await?;
    let secrets = open_secrets(&config, &store, &environment).await?;
    let is_first = store.is_empty().await.map_err(|error| Failure::of("database", error))?;
    let settings = settings(&config, address)?;
    let issuer = Issuer::open(store, settings, environment, secrets)
        .await
        .map_err(|error| Failure::of("the signing keys cannot be opened", error))?;
    if first.is_demo {
        demo::prepare(&issuer, &data, is_first).await?;
    }
    if let Some(file) = &first.seed {
        seed::at_start(&issuer, file).await?;
    }

    let (stop, stopping) = watch::channel(false);
    let heartbeat = start_heartbeat(issuer.clone());
    let upkeep = tokio::spawn(upkeep::run(issuer.clone(), data.clone(), stopping.clone()));
    if let Some(place) = relay::place(&config.redis)? {
        relay::start(place, issuer.clone(), stopping.clone());
    }
    logouts::start(issuer.clone(), stopping.clone());
    let telemetry = Telemetry::start(&config.telemetry).await?;
    let bounds =
        Bounds::new(config.limits.max_connections, Duration::from_secs(config.limits.idle_secs));
    let parts = Parts {
        issuer: issuer.clone(),
        heartbeat,
        stopping: stopping.clone(),
        proxies: Proxies::new(&config.server)?,
        telemetry: telemetry.clone(),
        bounds: bounds.clone(),
        tls: tls.clone(),
    };
    let app = App::new(parts);
    let private = start_private(&config, &app).await?;
    println!("procura ready on {}", url(&config, address));
    let app = routes::routes(app);
    if let Some(tls) = tls.clone() {
        tokio::spawn(tls.follow(issuer.environment().clone(), stopping.clone()));
    }
    let server = tokio::spawn(serve_requests(listener, tls, app, bounds, stopping.clone()));
    wait_for_signal().await?;
    stop.send_replace(true);
    // Feeds end at once; what else is under way may finish.
    let _ = server.await;
    if let Some(telemetry) = telemetry {
        telemetry.stop().await;
    }
    drop(private);
    let _ = timeout(GRACE, upkeep).await;
    issuer.store().close().await;
    Ok(())
}

/// The private listener, where there is to be one. It stays until the end, so that whoever asks can see
/// the node stop; it ends when what is answered here is dropped.
async fn start_private(config: &Config, app: &App) -> Result<Option<watch::Sender<bool>>, Failure> {
    /// Whoever scrapes comes with a handful of connections.
    const PRIVATE_CONNECTIONS: usize = 64;
    let Some(address) = config.metrics.address()? else { return Ok(None) };
    let what = format!("metrics.listen {address}");
    let listener = TcpListener::bind(address).await.map_err(|error| Failure::of(&what, error))?;
    let address = listener.local_addr().map_err(|error| Failure::of(&what, error))?;
    let bounds = Bounds::new(PRIVATE_CONNECTIONS, Duration::from_secs(config.limits.idle_secs));
    let (until, ended) = watch::channel(false);
    let routes = routes::private_routes(app.clone());
    tokio::spawn(serve_requests(listener, None, routes, bounds, ended));
    println!("procura metrics on http://{address}");
    Ok(Some(until))
}

/// The secrets of a database, opened with the master key of this configuration. Only a database that
/// nobody sealed yet gets a new master key.
pub async fn open_secrets(
    config: &Config,
    store: &Store,
    environment: &Environment,
) -> Result<Secrets, Failure> {
    let is_sealed = store.is_sealed().await.map_err(|error| Failure::of("database", error))?;
    let master = keys::master_key(config, !is_sealed)?;
    Secrets::open(store, &master, environment)
        .await
        .map_err(|error| Failure::of("the keys cannot be opened", error))
}

/// Where the public listener is.
fn url(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.tls.is_on() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// Opens database and keys, as a server would, does one thing, and closes them.
pub fn with_issuer<F: Future<Output = Result<(), Failure>>>(
    config: &Config,
    work: impl FnOnce(Issuer) -> F,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of("no runtime", error))?;
    runtime.block_on(async {
        let environment = Environment::default();
        let store = database::open(config, environment.now()).await?;
        let secrets = open_secrets(config, &store, &environment).await?;
        let settings = settings(config, config.server.listen)?;
        let issuer = Issuer::open(store.clone(), settings, environment, secrets)
            .await
            .map_err(|error| Failure::of("the signing keys cannot be opened", error))?;
        let done = work(issuer).await;
        store.close().await;
        done
    })
}

/// How the issuer issues here; `address` makes its name where the configuration has none.
pub fn settings(config: &Config, address: SocketAddr) -> Result<Settings, Failure> {
    let issuer = &config.server.issuer;
    Ok(Settings {
        issuer: if issuer.is_empty() { url(config, address) } else { issuer.clone() },
        home_ttl_secs: config.tokens.home_ttl_secs,
        limits: Limits { ttl_secs: config.tokens.delegated_ttl_secs },
        session_ttl_secs: config.tokens.session_ttl_secs,
        is_dpop_nonce_required: config.tokens.is_dpop_nonce_required,
        refresh: RefreshLife {
            ttl_secs: config.tokens.refresh_ttl_secs,
            idle_secs: config.tokens.refresh_idle_secs,
        },
        stranger_failures_per_minute: config.limits.unauthenticated_failures_per_minute,
        mail_dir: config.server.data.join("mail"),
        keys: config.keys.plan(),
        outbound: outbound::settings(&config.outbound)?,
        self_registration: config.registration.rules(),
        rate_limits: config.rate_limits.rules(),
        quotas: config.quotas.defaults(),
    })
}

/// Reads the head from the database each second and hands it to the feeds. When it cannot be read
/// there is no heartbeat: nobody vouches for stale data.
fn start_heartbeat(issuer: Issuer) -> watch::Receiver<Option<Seq>> {
    let (beat, heartbeat) = watch::channel(None);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(HEARTBEAT);
        while !beat.is_closed() {
            tick.tick().await;
            match timeout(2 * HEARTBEAT, issuer.store().revocation_head()).await {
                Ok(Ok(head)) => {
                    beat.send_replace(Some(head));
                }
                Ok(Err(error)) => tracing::error!(%error, "no heartbeat: the head cannot be read"),
                Err(_) => tracing::error!("no heartbeat: the database does not answer"),
            }
            let followed = timeout(2 * HEARTBEAT, issuer.follow_keys()).await;
            if let Ok(Err(error)) = followed {
                tracing::error!(%error, "the signing keys changed and cannot be read");
            }
        }
    });
    heartbeat
}

async fn wait_for_signal() -> Result<(), Failure> {
    let of = |kind| signal(kind).map_err(|error| Failure::of("signals", error));
    let (mut terminate, mut interrupt) =
        (of(SignalKind::terminate())?, of(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn start_log(log: &Log) -> Result<(), Failure> {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter =
        EnvFilter::try_new(&log.filter).map_err(|error| Failure::of("log.filter", error))?;
    let is_json = match log.format.as_str() {
        "json" => true,
        "text" => false,
        _ => !std::io::stderr().is_terminal(),
    };
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = if is_json { builder.json().try_init() } else { builder.try_init() };
    done.map_err(|error| Failure::of("log", error))
}
