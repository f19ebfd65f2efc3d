//! What concerns the caller alone: what was agreed with clients.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, Person},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const CONSENTS: Operation = Operation::person("listConsents", "What the caller agreed to")
    .notes("With the calling client; with scope account.consents, with all.")
    .answers(&[Reply::json(
        200,
        Shape::List(&Shape::Object(&[
            ("client_id", Shape::Client),
            ("client_name", Shape::Text),
            ("scope", Shape::Text),
            ("given_at", Shape::Time),
        ])),
    )]);

/// `GET /api/me/consents`
pub async fn consents(
    State(app): State<App>,
    Person(caller): Person,
) -> Result<Json<Value>, Problem> {
    let consents = app.issuer().list_consents(&caller).await?;
    let shown = consents.iter().map(|consent| {
        json!({
            "client_id": consent.client,
            "client_name": consent.client_name,
            "scope": consent.scope,
            "given_at": consent.given_at.rfc3339(),
        })
    });
    Ok(Json(shown.collect()))
}

/// Described.
pub const WITHDRAW: Operation = Operation::person("withdrawConsent", "Take a consent back")
    .notes("The client's refresh tokens for the caller end, its tokens die.")
    .change()
    .answers(&[Reply::json(200, shapes::ONLY_REVOKED)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `DELETE /api/me/consents/{client}`
pub async fn withdraw(
    State(app): State<App>,
    Changing(call): Changing,
    Path(client): Path<String>,
) -> Result<Json<Value>, Problem> {
    let client = client.parse().map_err(|_| Problem::NOT_FOUND)?;
    let revoked = app.issuer().withdraw_consent(&call, &client).await?;
    Ok(Json(json!({ "revoked": view::revoked(Some(&revoked)) })))
}
