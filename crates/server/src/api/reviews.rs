//! `/api/tenants/relationship-review` and `…/shrink`: what the customer gave, looked at again.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use procura_issuer::reviews::Reviewed;
use procura_token::{RelationshipId, Ts};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, ChangingVersion, Person},
        input::{Body, tagged, time},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const LIST: Operation =
    Operation::person("listReviews", "What of the partners' access is due to be looked at")
        .open_to("The customer's tenant-admin.")
        .answers(&[Reply::json(200, Shape::List(&shapes::REVIEW))])
        .refuses(&[Refusal::FORBIDDEN]);

/// Described.
pub const PUT: Operation = Operation::person("setReview", "When to look at it again")
    .open_to("The customer's tenant-admin.")
    .change()
    .takes(Shape::Object(&[("review_due", Shape::Time)]))
    .answers(&[Reply::json(200, shapes::REVIEW)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// Described.
pub const SHRINK: Operation =
    Operation::person("shrinkRelationship", "Take away what nobody has used")
        .open_to("The customer's tenant-admin.")
        .versioned()
        .answers(&[Reply::json(200, shapes::CHANGED).tagged()])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
            Refusal::VERSION_MISSING,
        ]);

/// `GET /api/tenants/relationship-review`
pub async fn list(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let reviews = app.issuer().review_relationships(&caller).await?;
    let now = app.issuer().environment().now();
    Ok(Json(reviews.iter().map(|review| shown(review, now)).collect()))
}

/// The body of a new date.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    review_due: String,
}

/// `PUT /api/tenants/relationship-review/{id}`
pub async fn put(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
    Body(due): Body<Due>,
) -> Result<Json<Value>, Problem> {
    let id = parse(&id)?;
    let due = time(Some(&due.review_due), "review_due")?.ok_or(Problem::invalid("review_due"))?;
    let review = app.issuer().set_review(&call, id, due).await?;
    Ok(Json(shown(&review, app.issuer().environment().now())))
}

/// `POST /api/v1/partner/relationships/{id}/shrink`
pub async fn shrink(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let change = app.issuer().shrink_relationship(&call, parse(&id)?).await?;
    let body = view::changed(&change, &call.caller, app.issuer().environment().now());
    Ok(tagged(StatusCode::OK, change.relationship.version, body))
}

fn shown(review: &Reviewed, now: Ts) -> Value {
    let edge = &review.relationship;
    json!({
        "relationship_id": edge.id,
        "partner_id": edge.partner,
        "partner_name": review.partner_name,
        "kind": edge.kind,
        "access_role": edge.role,
        "state": edge.phase(now).as_str(),
        "version": edge.version,
        "review_due": review.due.rfc3339(),
        "is_due": review.due <= now,
        "last_used": view::time(review.last_used),
        "is_idle": review.is_idle,
        "permissions": edge.permissions(),
        "unused_permissions": review.unused,
        "suggested_permissions": review.suggested,
    })
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<RelationshipId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
