//! People of the caller's own tenant.

use axum::{
    Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, Person},
        problem::Problem,
        view,
    },
    app::App,
};

/// `GET /api/tenants/users`
pub async fn list(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let users = app.issuer().list_users(&caller, caller.tenant).await?;
    Ok(Json(users.iter().map(view::user).collect()))
}

/// `POST /api/tenants/users/{id}/disable`
pub async fn disable(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let tenant = call.caller.tenant;
    let (user, revoked) = app.issuer().disable_user(&call, tenant, id).await?;
    Ok(Json(json!({ "user": view::user(&user), "revoked": view::revoked(Some(&revoked)) })))
}

/// `POST /api/tenants/users/{id}/enable`
pub async fn enable(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let user = app.issuer().enable_user(&call, call.caller.tenant, id).await?;
    Ok(Json(json!({ "user": view::user(&user) })))
}
