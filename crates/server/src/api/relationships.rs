//! `/api/v1/partner/…`: customers, requests, steps.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use procura_domain::{Access, Permissions, RelationshipRole, relationship::Step};
use procura_issuer::{
    Call,
    relationships::{Changed, Request, Terms},
};
use procura_token::RelationshipId;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{
        caller::{Changing, Person},
        input::{Body, OptionalBody, time, word},
        problem::Problem,
        view,
    },
    app::App,
};

/// `GET /api/v1/partner/customers`
pub async fn customers(
    State(app): State<App>,
    Person(caller): Person,
) -> Result<Json<Value>, Problem> {
    let now = app.issuer().environment().now();
    let links = app.issuer().list_customers(&caller).await?;
    Ok(Json(links.iter().map(|link| view::customer(link, now)).collect()))
}

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    partner_code: String,
    access_role: Option<String>,
    custom_permissions: Option<String>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    reason: Option<String>,
}

/// `POST /api/v1/partner/relationships`
pub async fn request(
    State(app): State<App>,
    Changing(call): Changing,
    Body(asked): Body<Asked>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    if asked.reason.as_ref().is_some_and(|reason| reason.len() > 500) {
        return Err(Problem::invalid("reason"));
    }
    let request = Request {
        access_role: word(asked.access_role.as_deref(), "access_role")?,
        custom_permissions: word(asked.custom_permissions.as_deref(), "custom_permissions")?,
        starts_at: time(asked.starts_at.as_deref(), "starts_at")?,
        ends_at: time(asked.ends_at.as_deref(), "ends_at")?,
        partner_code: asked.partner_code,
        reason: asked.reason,
    };
    let made = app.issuer().request_relationship(&call, request).await?;
    let now = app.issuer().environment().now();
    Ok((StatusCode::CREATED, Json(view::relationship(&made, &call.caller, now))))
}

/// `GET /api/v1/partner/relationships/{id}`
pub async fn find(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let found = app.issuer().find_relationship(&caller, parse(&id)?).await?;
    Ok(Json(view::relationship(&found, &caller, app.issuer().environment().now())))
}

/// The body of a switch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    access: Access,
}

/// `PATCH /api/v1/partner/relationships/{id}`
pub async fn switch(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
    Body(switch): Body<Switch>,
) -> Result<Json<Value>, Problem> {
    let change = app.issuer().switch_relationship(&call, parse(&id)?, switch.access).await?;
    Ok(Json(view::changed(&change, &call.caller, app.issuer().environment().now())))
}

/// The body of an approval.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    access_role: Option<RelationshipRole>,
    custom_permissions: Option<Permissions>,
    ends_at: Option<String>,
}

/// `POST /api/v1/partner/relationships/{id}/approve`
pub async fn approve(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
    OptionalBody(approval): OptionalBody<Approval>,
) -> Result<Json<Value>, Problem> {
    let terms = Terms {
        ends_at: time(approval.ends_at.as_deref(), "ends_at")?,
        access_role: approval.access_role,
        custom_permissions: approval.custom_permissions,
    };
    let change = app.issuer().step_relationship(&call, parse(&id)?, Step::Approve, terms).await?;
    let now = app.issuer().environment().now();
    Ok(Json(view::relationship(&change.relationship, &call.caller, now)))
}

/// `POST /api/v1/partner/relationships/{id}/{decline,withdraw,suspend,resume}`
pub async fn step(
    State(app): State<App>,
    Changing(call): Changing,
    Path((id, step)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let step: Step = step.parse().map_err(|_| Problem::NOT_FOUND)?;
    if matches!(step, Step::Approve | Step::End) {
        return Err(Problem::NOT_FOUND);
    }
    let change = take(&app, &call, &id, step).await?;
    let now = app.issuer().environment().now();
    if step == Step::Suspend {
        return Ok(Json(view::changed(&change, &call.caller, now)));
    }
    Ok(Json(view::relationship(&change.relationship, &call.caller, now)))
}

/// `DELETE /api/v1/partner/relationships/{id}`
pub async fn end(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let change = take(&app, &call, &id, Step::End).await?;
    Ok(Json(view::changed(&change, &call.caller, app.issuer().environment().now())))
}

async fn take(app: &App, call: &Call, id: &str, step: Step) -> Result<Changed, Problem> {
    Ok(app.issuer().step_relationship(call, parse(id)?, step, Terms::default()).await?)
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<RelationshipId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
