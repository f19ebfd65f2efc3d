//! `POST /revocations/ack`: how far a verifier is, and its next lease.

use axum::{Json, extract::State};
use procura_issuer::verifiers::{Ack, LEASE};
use procura_token::Seq;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{caller::Server, input::Body, problem::Problem},
    app::App,
    openapi::{Operation, Reply, Shape},
};

/// What a verifier says of itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    verifier: String,
    incarnation: String,
    applied: Seq,
}

/// Described.
pub const ACK: Operation = Operation::server("acknowledge", "How far a verifier is")
    .notes(
        "The lease runs from when this was sent, and only if applied \
            has reached the head.",
    )
    .takes(Shape::Object(&[
        ("verifier", Shape::Text),
        ("incarnation", Shape::Text),
        ("applied", Shape::Number),
    ]))
    .answers(&[Reply::json(
        200,
        Shape::Object(&[("head", Shape::Number), ("lease_ms", Shape::Number)]),
    )]);

/// The handler.
pub async fn ack(
    State(app): State<App>,
    Server(server): Server,
    Body(said): Body<Said>,
) -> Result<Json<Value>, Problem> {
    let ack =
        Ack { verifier: &said.verifier, incarnation: &said.incarnation, applied: said.applied };
    let head = app.issuer().acknowledge(&server, &ack).await?;
    let lease_ms = u64::try_from(LEASE.as_millis()).unwrap_or_default();
    Ok(Json(json!({ "head": head, "lease_ms": lease_ms })))
}
