//! Health: that the process runs, and whether it can do its work. What it can do is found out once a
//! second, so that asking costs nothing, however often strangers do it.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_issuer::Issuer;
use procura_store::Error;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{
    api::shapes,
    app::App,
    openapi::{Operation, Reply, Shape},
};

const EACH: Duration = Duration::from_secs(1);
/// A database that takes longer is of no use to a request either.
const PATIENCE: Duration = Duration::from_secs(1);
/// What was found out longer ago is no longer known.
const STALE: Duration = Duration::from_secs(4);

/// What is missing. All words are constants: they say nothing about the machine or its data.
type Missing = Vec<&'static str>;

/// What was found out last.
#[derive(Clone)]
pub struct Readiness(watch::Receiver<Found>);

#[derive(Clone)]
struct Found {
    missing: Arc<Missing>,
    at: Instant,
}

impl Found {
    fn now(missing: Missing) -> Self {
        Self { missing: Arc::new(missing), at: Instant::now() }
    }
}

impl Readiness {
    /// Starts to look, once a second, for as long as somebody holds this.
    #[must_use]
    pub fn start(issuer: Issuer) -> Self {
        // Whoever opened the database and its keys was ready a moment ago.
        let (found, last) = watch::channel(Found::now(Missing::new()));
        tokio::spawn(async move {
            let mut tick = interval(EACH);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failures = 0;
            while !found.is_closed() {
                tick.tick().await;
                let missing = look(&issuer, &mut failures).await;
                if *missing != *found.borrow().missing {
                    tracing::info!(?missing, "what this node misses has changed");
                }
                found.send_replace(Found::now(missing));
            }
        });
        Self(last)
    }

    /// What is missing now.
    pub(crate) fn missing(&self) -> Missing {
        let found = self.0.borrow();
        if found.at.elapsed() > STALE {
            return vec!["database_slow"];
        }
        (*found.missing).clone()
    }
}

async fn look(issuer: &Issuer, failures: &mut u64) -> Missing {
    let mut missing = Missing::new();
    if issuer.keys().public().keys.is_empty() {
        missing.push("signing_key");
    }
    match timeout(PATIENCE, issuer.store().revocation_head()).await {
        Err(_) => missing.push("database_slow"),
        Ok(Err(_)) => missing.push("database_unreadable"),
        Ok(Ok(_)) => match timeout(PATIENCE, write(issuer, failures)).await {
            Err(_) => missing.push("database_slow"),
            Ok(Err(_)) => missing.push("database_unwritable"),
            Ok(Ok(())) => {}
        },
    }
    missing
}

/// Takes the right to write and gives it back, which costs no disk. Only after a commit of the ledger
/// has failed is something written, through the ledger: a full disk still gives the right to write.
async fn write(issuer: &Issuer, known_failures: &mut u64) -> Result<(), Error> {
    let store = issuer.store();
    let failures = store.meters().commit_failures.get();
    if failures > *known_failures {
        issuer.note_resumed(failures).await.map_err(|_| Error::Unavailable)?;
        *known_failures = failures;
    }
    store.begin(issuer.environment().now()).await.map(drop)
}

/// Described.
pub const LIVE: Operation = Operation::anybody("isLive", "Whether the process runs")
    .answers(&[Reply::json(200, Shape::Object(&[("status", Shape::Word(&["ok"]))]))]);

/// `GET /livez`: the process runs.
pub async fn livez() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// Described.
pub const READY: Operation = Operation::anybody("isReady", "Whether it can do its work")
    .answers(&[Reply::json(200, shapes::READY), Reply::json(503, shapes::READY)]);

/// `GET /readyz`: it can do its work, or what is missing.
pub async fn readyz(State(app): State<App>) -> Response {
    let missing = app.missing();
    if missing.is_empty() {
        return Json(json!({ "status": "ready" })).into_response();
    }
    unavailable(&json!({ "status": "not_ready", "missing": missing }))
}

/// Described.
pub const HEALTH: Operation = Operation::anybody("getHealth", "Whether all is well")
    .answers(&[Reply::json(200, shapes::HEALTH), Reply::json(503, shapes::HEALTH)]);

/// `GET /api/health`: for everybody, so it says no more than whether.
pub async fn health(State(app): State<App>) -> Response {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    if app.missing().is_empty() {
        return Json(json!({ "status": "ok", "version": VERSION })).into_response();
    }
    unavailable(&json!({ "status": "unavailable", "version": VERSION }))
}

fn unavailable(body: &Value) -> Response {
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
