//! `/api/tenants/access-requests…`: where the customer approves each time, who asks to be let in.

use axum::{
    Json,
    extract::{Path, State},
};
use procura_domain::access_request::ApprovalTerms;
use procura_issuer::{Call, access_requests::Word, hand::Hand};
use procura_token::{AccessRequestId, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, Person},
        input::{OptionalBody, Parameters},
        paging::{MOST, Page, Paging, page},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const LIST: Operation =
    Operation::person("listAccessRequests", "Who asks to be let in, the newest first")
        .open_to("The customer's tenant-admin.")
        .paged()
        .answers(&[Reply::json(200, shapes::ACCESS_REQUESTS).linked()])
        .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/tenants/access-requests`
pub async fn list(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(paging): Parameters<Paging>,
) -> Result<Page, Problem> {
    let limit = paging.limit()?.unwrap_or(MOST);
    let (issuer, customer) = (app.issuer(), caller.tenant);
    let below = (paging.cursor()?, limit);
    let listed = issuer.list_access_requests(Some(&caller), customer, below).await?;
    let now = issuer.environment().now();
    let shown = listed.iter().map(|one| view::listed_access_request(one, now));
    Ok(page(shown.collect(), limit, listed.last().map(|last| last.request.id)))
}

/// Described.
pub const FIND: Operation = Operation::person("getAccessRequest", "One who asks to be let in")
    .open_to("The customer's tenant-admin.")
    .answers(&[Reply::json(200, shapes::ACCESS_REQUEST)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/tenants/access-requests/{id}`
pub async fn find(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let about = (caller.tenant, parse(&id)?);
    let listed = app.issuer().find_access_request(Some(&caller), about).await?;
    Ok(Json(view::listed_access_request(&listed, app.issuer().environment().now())))
}

/// The terms of a yes; without any: all that was asked for, for an hour.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    minutes: Option<i64>,
    scope: Option<Scope>,
    #[serde(default)]
    read_only: bool,
}

/// Described.
pub const APPROVE: Operation = Operation::person("approveAccessRequest", "Let in, for a while")
    .open_to("The customer's tenant-admin.")
    .notes("Without a body: all that was asked for, for an hour.")
    .change()
    .may_take(Shape::Object(&[
        ("minutes", Shape::Maybe(&Shape::OrNull(&Shape::Within(1, 720)))),
        ("scope", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
        ("read_only", Shape::Maybe(&Shape::Truth)),
    ]))
    .answers(&[Reply::json(200, shapes::ACCESS_REQUEST)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/tenants/access-requests/{id}/approve`
pub async fn approve(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
    OptionalBody(terms): OptionalBody<Terms>,
) -> Result<Json<Value>, Problem> {
    let terms = ApprovalTerms {
        minutes: terms.minutes.unwrap_or(ApprovalTerms::MINUTES),
        scope: terms.scope,
        is_read_only: terms.read_only,
    };
    answer(&app, &call, &id, Word::Approve(terms)).await
}

/// Described.
pub const DECLINE: Operation = Operation::person("declineAccessRequest", "Say no")
    .open_to("The customer's tenant-admin.")
    .change()
    .answers(&[Reply::json(200, shapes::ACCESS_REQUEST)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/tenants/access-requests/{id}/decline`
pub async fn decline(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    answer(&app, &call, &id, Word::Decline).await
}

async fn answer(app: &App, call: &Call, id: &str, word: Word) -> Result<Json<Value>, Problem> {
    let about = (call.caller.tenant, parse(id)?);
    let answered = app.issuer().answer_access_request(Hand::Person(call), about, word).await?;
    Ok(Json(view::access_request(&answered, app.issuer().environment().now())))
}

/// Described.
pub const END: Operation = Operation::person("endAccessRequest", "Take a yes back")
    .open_to("The customer's tenant-admin.")
    .change()
    .answers(&[Reply::json(200, shapes::ACCESS_REQUEST)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/tenants/access-requests/{id}/end`
pub async fn end(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let about = (call.caller.tenant, parse(&id)?);
    let (ended, revoked) = app.issuer().end_access_request(Hand::Person(&call), about).await?;
    let mut body = view::access_request(&ended, app.issuer().environment().now());
    if let Some(body) = body.as_object_mut() {
        body.insert("revoked".into(), view::revoked(Some(&revoked)));
    }
    Ok(Json(json!(body)))
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<AccessRequestId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
