//! `/api/v1/partner/…`: customers, requests, steps.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use procura_domain::{Access, Caller, Relationship, relationship::Step};
use procura_issuer::{
    Call,
    agreements::{Outcome, Patch, Wanted},
    relationships::{Changed, Request},
};
use procura_token::{RelationshipId, UserId};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{
        caller::{Changing, ChangingVersion, PersonOrKey},
        input::{Body, OptionalBody, Parameters, tagged},
        paging::{MOST, Page, Paging, page},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// What a step or a change can be refused for.
const STEP: &[Refusal] =
    &[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE];

/// Described.
pub const CUSTOMERS: Operation = Operation::person("listCustomers", "The caller's customers")
    .open_to("Partner roles, tenant-admin; a key with partner.tenants.list.")
    .or_key()
    .answers(&[Reply::json(200, shapes::CUSTOMERS)])
    .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/v1/partner/customers`
pub async fn customers(
    State(app): State<App>,
    PersonOrKey(caller): PersonOrKey,
) -> Result<Json<Value>, Problem> {
    let now = app.issuer().environment().now();
    let links = app.issuer().list_customers(&caller).await?;
    Ok(Json(links.iter().map(|link| view::customer(link, now)).collect()))
}

/// Members that a body may have beside the terms of the relationship, which the verb reads.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    partner_code: Option<String>,
    access: Option<Access>,
    reason: Option<String>,
    #[serde(flatten)]
    terms: Patch,
}

impl Asked {
    /// No member but the terms, and these that the route knows.
    fn only(self, known: &[&'static str]) -> Result<Self, Problem> {
        let given = [
            ("partner_code", self.partner_code.is_some()),
            ("access", self.access.is_some()),
            ("reason", self.reason.is_some()),
        ];
        if given.iter().any(|(name, is_given)| *is_given && !known.contains(name)) {
            return Err(Problem::invalid("body"));
        }
        if self.reason.as_ref().is_some_and(|reason| reason.len() > 500) {
            return Err(Problem::invalid("reason"));
        }
        Ok(self)
    }
}

/// Described.
pub const REQUEST: Operation =
    Operation::person("requestRelationship", "Ask a customer for a relationship")
        .open_to("partner-admin.")
        .notes("The customer's partner code names the customer; a wrong one is 404.")
        .change()
        .takes(shapes::REQUEST)
        .answers(&[Reply::json(201, shapes::RELATIONSHIP).tagged()])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
            Refusal::QUOTA_USED_UP,
        ]);

/// `POST /api/v1/partner/relationships`
pub async fn request(
    State(app): State<App>,
    Changing(call): Changing,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let asked = asked.only(&["partner_code", "reason"])?;
    let request = Request {
        partner_code: asked.partner_code.ok_or(Problem::invalid("partner_code"))?,
        terms: asked.terms,
        reason: asked.reason,
    };
    let made = app.issuer().request_relationship(&call, request).await?;
    let now = app.issuer().environment().now();
    let body = view::relationship(&made, &call.caller, now);
    Ok(tagged(StatusCode::CREATED, made.version, body))
}

/// Described.
pub const FIND: Operation = Operation::person("getRelationship", "A relationship")
    .open_to("Either side's admin, operator; a key of a partner-admin with partner.tenants.list.")
    .or_key()
    .answers(&[Reply::json(200, shapes::RELATIONSHIP).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/v1/partner/relationships/{id}`
pub async fn find(
    State(app): State<App>,
    PersonOrKey(caller): PersonOrKey,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.issuer().find_relationship(&caller, parse(&id)?).await?;
    let proposal = app.issuer().find_proposal(&caller, &found).await?;
    let now = app.issuer().environment().now();
    let mut body = view::relationship(&found, &caller, now);
    if let (Some(proposal), Some(body)) = (proposal, body.as_object_mut()) {
        body.insert("proposal".into(), view::proposal(&proposal));
    }
    Ok(tagged(StatusCode::OK, found.version, body))
}

/// Described.
pub const HISTORY: Operation =
    Operation::person("listVersions", "All versions of a relationship, the first one first")
        .open_to(
            "Either side's admin, operator; a key of a partner-admin with partner.tenants.list.",
        )
        .or_key()
        .notes("The partner is told neither who on the other side it was nor why.")
        .paged()
        .answers(&[Reply::json(200, shapes::VERSIONS).linked()])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/v1/partner/relationships/{id}/history`
pub async fn history(
    State(app): State<App>,
    PersonOrKey(caller): PersonOrKey,
    Path(id): Path<String>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Page, Problem> {
    let limit = paging.limit()?.unwrap_or(MOST);
    let above = paging.cursor()?.unwrap_or(0);
    let (edge, versions) = app.issuer().list_versions(&caller, parse(&id)?, (above, limit)).await?;
    let shown = versions.iter().map(|version| view::version(version, &edge, &caller));
    Ok(page(shown.collect(), limit, versions.last().map(|last| last.version)))
}

/// Described.
pub const CHANGE: Operation =
    Operation::person("changeRelationship", "Change terms, or the customer's switch")
        .open_to("Either side's admin, operator.")
        .notes(
            "A JSON merge patch. Narrower terms hold at once; wider ones \
            that the partner asks for wait for the customer (202).",
        )
        .versioned()
        .takes(shapes::CHANGE)
        .answers(&[
            Reply::json(200, shapes::CHANGED).tagged(),
            Reply::json(202, shapes::RELATIONSHIP).tagged(),
        ])
        .refuses(STEP);

/// `PATCH /api/v1/partner/relationships/{id}`: a JSON merge patch of terms, or the switch.
pub async fn change(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let asked = asked.only(&["access", "reason"])?;
    if asked.access.is_none() && asked.terms.is_empty() {
        return Err(Problem::invalid("body"));
    }
    let wanted = Wanted { terms: asked.terms, access: asked.access, reason: asked.reason };
    changed_terms(&app, &call, &id, wanted).await
}

/// The body of an extension.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    ends_at: String,
    reason: Option<String>,
}

/// Described.
pub const EXTEND: Operation =
    Operation::person("extendRelationship", "Move the end of a relationship")
        .open_to("Either side's admin, operator.")
        .versioned()
        .takes(Shape::Object(&[
            ("ends_at", Shape::Time),
            ("reason", Shape::Maybe(&Shape::OrNull(&Shape::TextTo(500)))),
        ]))
        .answers(&[
            Reply::json(200, shapes::CHANGED).tagged(),
            Reply::json(202, shapes::RELATIONSHIP).tagged(),
        ])
        .refuses(STEP);

/// `POST /api/v1/partner/relationships/{id}/extend`
pub async fn extend(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Body(asked): Body<Extension>,
) -> Result<Response, Problem> {
    let terms = Patch::from_iter([("ends_at".to_owned(), Value::from(asked.ends_at))]);
    let asked = Asked { reason: asked.reason, terms, ..Asked::default() }.only(&["reason"])?;
    let wanted = Wanted { terms: asked.terms, access: None, reason: asked.reason };
    changed_terms(&app, &call, &id, wanted).await
}

async fn changed_terms(
    app: &App,
    call: &Call,
    id: &str,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let now = app.issuer().environment().now();
    Ok(match app.issuer().change_terms(call, parse(id)?, wanted).await? {
        Outcome::Changed(change) => {
            let body = view::changed(&change, &call.caller, now);
            tagged(StatusCode::OK, change.relationship.version, body)
        }
        Outcome::Proposed(edge, proposal) => {
            let mut body = view::relationship(&edge, &call.caller, now);
            if let Some(body) = body.as_object_mut() {
                body.insert("proposal".into(), view::proposal(&proposal));
            }
            tagged(StatusCode::ACCEPTED, edge.version, body)
        }
    })
}

/// The body of an assignment; `null`: everybody with a fitting role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    #[serde(deserialize_with = "Option::deserialize")]
    user_ids: Option<Vec<UserId>>,
}

/// Described.
pub const ASSIGN: Operation = Operation::person("assignPeople", "Say who of the partner may enter")
    .open_to("partner-admin.")
    .notes("null: everybody with a fitting role.")
    .versioned()
    .takes(Shape::Object(&[("user_ids", shapes::PEOPLE)]))
    .answers(&[Reply::json(200, shapes::CHANGED).tagged()])
    .refuses(STEP);

/// `PUT /api/v1/partner/relationships/{id}/assigned-people`
pub async fn assign(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Body(assigned): Body<Assignment>,
) -> Result<Response, Problem> {
    let change = app.issuer().assign_people(&call, parse(&id)?, assigned.user_ids).await?;
    let body = view::changed(&change, &call.caller, app.issuer().environment().now());
    Ok(tagged(StatusCode::OK, change.relationship.version, body))
}

/// Described.
pub const APPROVE: Operation =
    Operation::person("approveRelationship", "Answer a request or a proposal with yes")
        .open_to("The customer's tenant-admin.")
        .notes(
            "The terms in the body are never wider than what was asked for. \
            A proposal is approved with If-Match only.",
        )
        .versioned()
        .may_take(shapes::TERMS)
        .answers(&[Reply::json(200, shapes::RELATIONSHIP).tagged()])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
            Refusal::QUOTA_USED_UP,
            Refusal::VERSION_MISSING,
        ]);

/// `POST /api/v1/partner/relationships/{id}/approve`
pub async fn approve(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    OptionalBody(less): OptionalBody<Patch>,
) -> Result<Response, Problem> {
    let change = app.issuer().step_relationship(&call, parse(&id)?, Step::Approve, &less).await?;
    Ok(shown(&app, &call.caller, &change.relationship))
}

/// Described.
pub const DECLINE: Operation =
    Operation::person("declineRelationship", "Answer a request or a proposal with no")
        .open_to("The customer's tenant-admin.")
        .versioned()
        .answers(&[Reply::json(200, shapes::RELATIONSHIP).tagged()])
        .refuses(STEP);

/// `POST /api/v1/partner/relationships/{id}/decline`
pub async fn decline(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let change = take(&app, &call, &id, Step::Decline).await?;
    Ok(shown(&app, &call.caller, &change.relationship))
}

/// Described.
pub const WITHDRAW: Operation =
    Operation::person("withdrawRelationship", "Take a request or a proposal back")
        .open_to("partner-admin.")
        .versioned()
        .answers(&[Reply::json(200, shapes::RELATIONSHIP).tagged()])
        .refuses(STEP);

/// `POST /api/v1/partner/relationships/{id}/withdraw`
pub async fn withdraw(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let change = take(&app, &call, &id, Step::Withdraw).await?;
    Ok(shown(&app, &call.caller, &change.relationship))
}

/// Described.
pub const RESUME: Operation = Operation::person("resumeRelationship", "Let a relationship go on")
    .open_to("The side that suspended it.")
    .versioned()
    .answers(&[Reply::json(200, shapes::RELATIONSHIP).tagged()])
    .refuses(STEP);

/// `POST /api/v1/partner/relationships/{id}/resume`
pub async fn resume(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let change = take(&app, &call, &id, Step::Resume).await?;
    Ok(shown(&app, &call.caller, &change.relationship))
}

/// Described.
pub const SUSPEND: Operation =
    Operation::person("suspendRelationship", "Stop a relationship for now")
        .open_to("Either side's admin, operator.")
        .versioned()
        .answers(&[Reply::json(200, shapes::CHANGED).tagged()])
        .refuses(STEP);

/// `POST /api/v1/partner/relationships/{id}/suspend`
pub async fn suspend(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let change = take(&app, &call, &id, Step::Suspend).await?;
    let body = view::changed(&change, &call.caller, app.issuer().environment().now());
    Ok(tagged(StatusCode::OK, change.relationship.version, body))
}

/// Described.
pub const END: Operation = Operation::person("endRelationship", "End a relationship, for good")
    .open_to("Either side's admin, operator.")
    .versioned()
    .answers(&[Reply::json(200, shapes::CHANGED).tagged()])
    .refuses(STEP);

/// `DELETE /api/v1/partner/relationships/{id}`
pub async fn end(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let change = take(&app, &call, &id, Step::End).await?;
    let body = view::changed(&change, &call.caller, app.issuer().environment().now());
    Ok(tagged(StatusCode::OK, change.relationship.version, body))
}

async fn take(app: &App, call: &Call, id: &str, step: Step) -> Result<Changed, Problem> {
    Ok(app.issuer().step_relationship(call, parse(id)?, step, &Patch::new()).await?)
}

fn shown(app: &App, caller: &Caller, edge: &Relationship) -> Response {
    tagged(
        StatusCode::OK,
        edge.version,
        view::relationship(edge, caller, app.issuer().environment().now()),
    )
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<RelationshipId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
