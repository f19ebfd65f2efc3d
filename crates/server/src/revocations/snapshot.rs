//! `GET /revocations/snapshot`: everything that can still kill a token.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{
    api::{caller::Server, problem::Problem, shapes},
    app::App,
    openapi::{Operation, Reply},
};

/// Described.
pub const SNAPSHOT: Operation =
    Operation::server("getRevocations", "Everything that can still kill a token")
        .answers(&[Reply::json(200, shapes::SNAPSHOT)]);

/// The handler. The head is read from the database first, so that the snapshot is never older than
/// the request.
pub async fn snapshot(State(app): State<App>, Server(_): Server) -> Result<Json<Value>, Problem> {
    let store = app.issuer().store();
    store.revocation_head().await.map_err(procura_issuer::Error::from)?;
    let snapshot = store.revocations().snapshot();
    let entries: Vec<_> = snapshot.entries.iter().map(super::frame).collect();
    Ok(Json(json!({ "head": snapshot.head, "entries": entries })))
}
