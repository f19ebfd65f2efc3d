//! `/api/resource-servers`: services that take tokens, each by the id of the client that it is. For the
//! operator.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use procura_domain::Caller;
use procura_issuer::{Error, hand::Hand, resource_servers::Offer};
use procura_store::clients::ResourceServer;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::{
        caller::{Changing, ChangingVersion, Person},
        input::{Body, Expected, tagged},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const LIST: Operation = Operation::person("listResourceServers", "Resource servers")
    .open_to("Operator.")
    .answers(&[Reply::json(200, Shape::List(&shapes::RESOURCE_SERVER))])
    .refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/resource-servers`
pub async fn list(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let servers = app.issuer().list_resource_servers(Some(&caller)).await?;
    Ok(Json(servers.iter().map(view::resource_server).collect()))
}

/// The body of a new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    audience: String,
    client_id: String,
    #[serde(default)]
    accepts_delegated: bool,
    #[serde(default)]
    permissions: procura_domain::Permissions,
}

/// Described.
pub const ADD: Operation =
    Operation::person("addResourceServer", "Make a resource server of a client")
        .open_to("Operator.")
        .change()
        .takes(Shape::Object(&[
            ("audience", Shape::Text),
            ("client_id", Shape::Client),
            ("accepts_delegated", Shape::Maybe(&Shape::Truth)),
            ("permissions", Shape::Maybe(&Shape::Text)),
        ]))
        .answers(&[Reply::json(201, shapes::RESOURCE_SERVER).tagged()])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `POST /api/resource-servers`
pub async fn add(
    State(app): State<App>,
    Changing(call): Changing,
    Body(new): Body<New>,
) -> Result<Response, Problem> {
    let client_id = new.client_id.parse().map_err(|_| Problem::invalid("client_id"))?;
    let offer = Offer {
        client_id: Some(client_id),
        accepts_delegated: Some(new.accepts_delegated),
        permissions: Some(new.permissions),
    };
    let hand = Hand::Person(&call);
    let server = app.issuer().add_resource_server(hand, &new.audience, offer).await?;
    Ok(tagged(StatusCode::CREATED, server.version, view::resource_server(&server)))
}

/// Described.
pub const FIND: Operation = Operation::person("getResourceServer", "A resource server")
    .open_to("Operator.")
    .answers(&[Reply::json(200, shapes::RESOURCE_SERVER).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/resource-servers/{id}`
pub async fn find(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let server = of(&app, &caller, &id).await?;
    Ok(tagged(StatusCode::OK, server.version, view::resource_server(&server)))
}

/// The body of a change. Audience and client stay: another pair is another resource server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    accepts_delegated: Option<bool>,
    permissions: Option<procura_domain::Permissions>,
}

/// Described.
pub const UPDATE: Operation = Operation::person("updateResourceServer", "Change a resource server")
    .open_to("Operator.")
    .notes("What narrows it kills what was issued for it.")
    .versioned()
    .takes(Shape::Object(&[
        ("accepts_delegated", Shape::Maybe(&Shape::OrNull(&Shape::Truth))),
        ("permissions", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
    ]))
    .answers(&[Reply::json(200, shapes::RESOURCE_SERVER).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `PATCH /api/resource-servers/{id}`
pub async fn update(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
    Body(change): Body<Change>,
) -> Result<Response, Problem> {
    let before = of(&app, &call.caller, &id).await?;
    let offer = Offer {
        client_id: None,
        accepts_delegated: change.accepts_delegated,
        permissions: change.permissions,
    };
    let (hand, audience) = (Hand::Person(&call), before.audience);
    let server = app.issuer().update_resource_server(hand, &audience, offer, version).await?;
    Ok(tagged(StatusCode::OK, server.version, view::resource_server(&server)))
}

/// Described.
pub const REMOVE: Operation =
    Operation::person("removeResourceServer", "Make it a mere client again")
        .open_to("Operator.")
        .versioned()
        .answers(&[Reply::empty(204)])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `DELETE /api/resource-servers/{id}`
pub async fn remove(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
) -> Result<StatusCode, Problem> {
    let server = of(&app, &call.caller, &id).await?;
    let hand = Hand::Person(&call);
    app.issuer().remove_resource_server(hand, &server.audience, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The resource server that is this client.
async fn of(app: &App, caller: &Caller, id: &str) -> Result<ResourceServer, Problem> {
    caller.operate().map_err(Error::from)?;
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let found = app.issuer().store().find_resource_server(&id).await.map_err(Error::from)?;
    found.ok_or(Problem::NOT_FOUND)
}
