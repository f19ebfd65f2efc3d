//! `/api/tenants/delegations…` and `/api/v1/partner/delegations…`: what runs now, seen and ended by either side.

use axum::{
    Json,
    extract::{Path, State},
};
use procura_domain::{Caller, relationship::Side};
use procura_issuer::Call;
use serde_json::Value;

use crate::{
    api::{
        caller::{Changing, Person},
        input::Parameters,
        paging::{MOST, Page, Paging, page},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply},
};

/// Described.
pub const LIST_IN: Operation =
    Operation::person("listDelegationsIn", "What partners' people do in the tenant now")
        .open_to("The customer's tenant-admin.")
        .paged()
        .answers(&[Reply::json(200, shapes::DELEGATIONS).linked()])
        .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/tenants/delegations`
pub async fn list_in(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(paging): Parameters<Paging>,
) -> Result<Page, Problem> {
    list(&app, &caller, Side::Customer, &paging).await
}

/// Described.
pub const LIST_OF: Operation =
    Operation::person("listDelegationsOf", "Where the partner's own people are now")
        .open_to("partner-admin.")
        .paged()
        .answers(&[Reply::json(200, shapes::DELEGATIONS).linked()])
        .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/v1/partner/delegations`
pub async fn list_of(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(paging): Parameters<Paging>,
) -> Result<Page, Problem> {
    list(&app, &caller, Side::Partner, &paging).await
}

async fn list(app: &App, caller: &Caller, side: Side, paging: &Paging) -> Result<Page, Problem> {
    let limit = paging.limit()?.unwrap_or(MOST);
    let running = app.issuer().list_running(caller, side, (paging.cursor()?, limit)).await?;
    let last = running.last().map(|last| last.delegation.id);
    Ok(page(running.iter().map(view::running).collect(), limit, last))
}

/// Described.
pub const END_IN: Operation = Operation::person("endDelegationIn", "End what one of them does")
    .open_to("The customer's tenant-admin.")
    .change()
    .answers(&[Reply::json(200, shapes::DELEGATION)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/tenants/delegations/{id}/end`
pub async fn end_in(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    end(&app, &call, Side::Customer, &id).await
}

/// Described.
pub const END_OF: Operation =
    Operation::person("endDelegationOf", "End what one of the own people does")
        .open_to("partner-admin.")
        .change()
        .answers(&[Reply::json(200, shapes::DELEGATION)])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `POST /api/v1/partner/delegations/{id}/end`
pub async fn end_of(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    end(&app, &call, Side::Partner, &id).await
}

async fn end(app: &App, call: &Call, side: Side, id: &str) -> Result<Json<Value>, Problem> {
    // A malformed id names nothing.
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let (ended, revoked) = app.issuer().end_delegation(call, side, id).await?;
    let mut body = view::delegation(&ended);
    if let Some(body) = body.as_object_mut() {
        body.insert("revoked".into(), view::revoked(Some(&revoked)));
    }
    Ok(Json(body))
}
