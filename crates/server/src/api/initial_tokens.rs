//! `/api/initial-access-tokens`: what lets software register itself for a tenant (RFC 7591). For the
//! operator, and for a tenant's own admin.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use procura_issuer::{
    Error,
    hand::Hand,
    initial_tokens::{LIFE_SECS, Offer},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{
        caller::{Changing, Person},
        clients::{Of, named},
        input::{Body, Parameters, no_store},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const LIST: Operation = Operation::person("listInitialAccessTokens", "Initial access tokens")
    .open_to("Operator; tenant-admin for the own tenant.")
    .query(&[("tenant_id", Shape::Text)])
    .answers(&[Reply::json(200, Shape::List(&shapes::INITIAL_TOKEN))])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/initial-access-tokens`
pub async fn list(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(of): Parameters<Of>,
) -> Result<Json<Value>, Problem> {
    let tenant = named(&app, &caller, of.tenant_id.as_deref()).await?;
    let tokens = app.issuer().list_initial_tokens(Some(&caller), tenant).await?;
    let now = app.issuer().environment().now();
    Ok(Json(tokens.iter().map(|token| view::initial_token(token, now)).collect()))
}

/// A new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    tenant_id: Option<String>,
    name: String,
    #[serde(default = "once")]
    uses: i64,
    #[serde(default = "usual_life")]
    expires_in_secs: i64,
}

const fn once() -> i64 {
    1
}

const fn usual_life() -> i64 {
    LIFE_SECS
}

/// Described.
pub const MAKE: Operation =
    Operation::person("makeInitialAccessToken", "A token with which software registers itself")
        .open_to("Operator; tenant-admin for the own tenant.")
        .notes("The token is shown this once.")
        .change()
        .takes(Shape::Object(&[
            ("tenant_id", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
            ("name", Shape::Text),
            ("uses", Shape::Maybe(&shapes::USES)),
            ("expires_in_secs", Shape::Maybe(&Shape::Number)),
        ]))
        .answers(&[Reply::json(201, shapes::INITIAL_TOKEN)])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `POST /api/initial-access-tokens`
pub async fn make(
    State(app): State<App>,
    Changing(call): Changing,
    Body(new): Body<New>,
) -> Result<Response, Problem> {
    let tenant = named(&app, &call.caller, new.tenant_id.as_deref()).await?;
    let tenant = tenant.unwrap_or(call.caller.tenant);
    call.caller.administer_clients(tenant).map_err(Error::from)?;
    let offer = Offer { tenant, name: new.name, uses: new.uses, life_secs: new.expires_in_secs };
    let (token, secret) = app.issuer().make_initial_token(Hand::Person(&call), offer).await?;
    let mut shown = view::initial_token(&token, app.issuer().environment().now());
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("token".into(), secret.into());
    }
    Ok((StatusCode::CREATED, [no_store()], Json(shown)).into_response())
}

/// Described.
pub const END: Operation =
    Operation::person("endInitialAccessToken", "End an initial access token")
        .open_to("Operator; tenant-admin for the own tenant.")
        .notes("What was registered with it stays.")
        .change()
        .answers(&[Reply::empty(204)])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `DELETE /api/initial-access-tokens/{id}`
pub async fn end(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    app.issuer().end_initial_token(Hand::Person(&call), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
