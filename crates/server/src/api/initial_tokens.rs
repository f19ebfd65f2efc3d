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
        view,
    },
    app::App,
};

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
