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
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const LIST: Operation = Operation::person("listUsers", "People of the caller's tenant")
    .open_to("tenant-admin.")
    .answers(&[Reply::json(200, Shape::List(&shapes::USER))])
    .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/tenants/users`
pub async fn list(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let users = app.issuer().list_users(&caller, caller.tenant).await?;
    Ok(Json(users.iter().map(view::user).collect()))
}

/// Described.
pub const DISABLE: Operation = Operation::person("disableUser", "Let a person in no more")
    .open_to("tenant-admin of the same tenant.")
    .notes("The last tenant-admin stays.")
    .change()
    .answers(&[Reply::json(
        200,
        Shape::Object(&[("user", shapes::USER), ("revoked", shapes::REVOKED)]),
    )])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

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

/// Described.
pub const ENABLE: Operation = Operation::person("enableUser", "Let a person in again")
    .open_to("tenant-admin of the same tenant.")
    .change()
    .answers(&[Reply::json(200, Shape::Object(&[("user", shapes::USER)]))])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

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
