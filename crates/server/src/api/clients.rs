//! `/api/clients`: software that asks for tokens. For the operator, and for a tenant's own admin within
//! bounds.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use procura_domain::Caller;
use procura_issuer::{
    client_secrets::{OVERLAP_SECS, Way},
    hand::Hand,
    registration::{ChangedClient, first_settings},
};
use procura_token::{ClientId, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, ChangingVersion, Person},
        input::{Body, Expected, OptionalBody, Parameters, no_store, tagged},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// What a list can be narrowed to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Of {
    pub(crate) tenant_id: Option<String>,
}

/// Described.
pub const LIST: Operation = Operation::person("listClients", "Clients")
    .open_to("Operator; tenant-admin for the own tenant.")
    .query(&[("tenant_id", Shape::Text)])
    .answers(&[Reply::json(200, Shape::List(&shapes::CLIENT))])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/clients`
pub async fn list(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(of): Parameters<Of>,
) -> Result<Json<Value>, Problem> {
    let tenant = named(&app, &caller, of.tenant_id.as_deref()).await?;
    let clients = app.issuer().list_clients(Some(&caller), tenant).await?;
    let now = app.issuer().environment().now();
    Ok(Json(clients.iter().map(|client| view::client(client, now)).collect()))
}

/// Described.
pub const REGISTER: Operation = Operation::person("registerClient", "Register a client")
    .open_to("Operator; tenant-admin for the own tenant.")
    .notes("The secret is shown this once.")
    .change()
    .takes(shapes::NEW_CLIENT)
    .answers(&[Reply::json(201, shapes::CLIENT).tagged()])
    .refuses(&[
        Refusal::FORBIDDEN,
        Refusal::NOT_FOUND,
        Refusal::CONFLICT,
        Refusal::WRONG_STATE,
        Refusal::QUOTA_USED_UP,
    ]);

/// `POST /api/clients`
pub async fn register(
    State(app): State<App>,
    Changing(call): Changing,
    Body(mut body): Body<Value>,
) -> Result<Response, Problem> {
    let tenant = body.as_object_mut().and_then(|members| members.remove("tenant_id"));
    let tenant = match &tenant {
        None => None,
        Some(Value::String(name)) => named(&app, &call.caller, Some(name)).await?,
        Some(_) => return Err(Problem::invalid("tenant_id")),
    };
    let tenant = tenant.unwrap_or(call.caller.tenant);
    // Before its settings are looked at: a stranger learns nothing of what would be right.
    call.caller.administer_clients(tenant).map_err(procura_issuer::Error::from)?;
    let settings = first_settings(&body)?;
    let made = app.issuer().register_client(Hand::Person(&call), tenant, settings).await?;
    let mut shown = view::client(&made.client, app.issuer().environment().now());
    if let (Some(secret), Some(shown)) = (made.secret, shown.as_object_mut()) {
        shown.insert("client_secret".into(), secret.into());
    }
    Ok(tagged(StatusCode::CREATED, made.client.version, shown))
}

/// Described.
pub const FIND: Operation = Operation::person("getClient", "A client")
    .open_to("Operator; tenant-admin for the own tenant.")
    .answers(&[Reply::json(200, shapes::CLIENT).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/clients/{id}`
pub async fn find(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.issuer().find_client(Some(&caller), &parse(&id)?).await?;
    let shown = view::client(&found, app.issuer().environment().now());
    Ok(tagged(StatusCode::OK, found.version, shown))
}

/// Described.
pub const UPDATE: Operation = Operation::person("updateClient", "Change a client")
    .open_to("Operator; tenant-admin for the own tenant.")
    .notes("A JSON merge patch. What narrows the client kills what was given to it.")
    .versioned()
    .takes(shapes::CLIENT_PATCH)
    .answers(&[Reply::json(200, shapes::CHANGED_CLIENT).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `PATCH /api/clients/{id}`: a JSON Merge Patch.
pub async fn update(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
    Body(patch): Body<Value>,
) -> Result<Response, Problem> {
    let hand = Hand::Person(&call);
    let changed = app.issuer().update_client(hand, &parse(&id)?, &patch, version).await?;
    Ok(answer(&app, &changed))
}

/// Described.
pub const DISABLE: Operation = Operation::person("disableClient", "Stop a client")
    .open_to("Operator; tenant-admin for the own tenant.")
    .versioned()
    .answers(&[Reply::json(200, shapes::CHANGED_CLIENT).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/clients/{id}/disable`
pub async fn disable(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
) -> Result<Response, Problem> {
    let hand = Hand::Person(&call);
    let changed = app.issuer().disable_client(hand, &parse(&id)?, version).await?;
    Ok(answer(&app, &changed))
}

/// Described.
pub const ENABLE: Operation = Operation::person("enableClient", "Let a client go on")
    .open_to("Operator; tenant-admin for the own tenant.")
    .notes("What the operator stopped, only the operator lets go on.")
    .versioned()
    .answers(&[Reply::json(200, shapes::CHANGED_CLIENT).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/clients/{id}/enable`
pub async fn enable(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
) -> Result<Response, Problem> {
    let client = app.issuer().enable_client(Hand::Person(&call), &parse(&id)?, version).await?;
    Ok(answer(&app, &ChangedClient { client, revoked: None }))
}

/// Described.
pub const DELETE: Operation = Operation::person("deleteClient", "Remove a client")
    .open_to("Operator; tenant-admin for the own tenant.")
    .versioned()
    .answers(&[Reply::json(200, shapes::ONLY_REVOKED)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `DELETE /api/clients/{id}`
pub async fn delete(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
) -> Result<Json<Value>, Problem> {
    let revoked = app.issuer().delete_client(Hand::Person(&call), &parse(&id)?, version).await?;
    Ok(Json(json!({ "revoked": view::revoked(Some(&revoked)) })))
}

/// How the old secret makes way.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    overlap_secs: Option<i64>,
    is_compromised: bool,
}

/// Described.
pub const ROTATE: Operation = Operation::person("rotateClientSecret", "Give a client a new secret")
    .open_to("Operator; tenant-admin for the own tenant.")
    .notes(
        "The old one goes on for a day, or for overlap_secs (0, or 60 \
            to 2592000); is_compromised ends all old ones now.",
    )
    .versioned()
    .may_take(Shape::Object(&[
        ("overlap_secs", Shape::Maybe(&Shape::OrNull(&Shape::Within(0, 2_592_000)))),
        ("is_compromised", Shape::Maybe(&Shape::Truth)),
    ]))
    .answers(&[Reply::json(
        201,
        Shape::Object(&[
            ("client_id", Shape::Client),
            ("client_secret", Shape::Text),
            ("old_secret_expires_at", Shape::OrNull(&Shape::Time)),
            ("revoked", shapes::REVOKED),
        ]),
    )])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/clients/{id}/secrets`
pub async fn rotate(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
    OptionalBody(asked): OptionalBody<Rotation>,
) -> Result<Response, Problem> {
    let way = match (asked.is_compromised, asked.overlap_secs) {
        (true, None | Some(0)) => Way::Compromised,
        (true, Some(_)) => return Err(Problem::invalid("overlap_secs")),
        (false, secs) => Way::Overlap(secs.unwrap_or(OVERLAP_SECS)),
    };
    let (hand, id) = (Hand::Person(&call), parse(&id)?);
    let rotated = app.issuer().rotate_client_secret(hand, &id, way, version).await?;
    let shown = json!({
        "client_id": rotated.client.id,
        "client_secret": rotated.secret,
        "old_secret_expires_at": view::time(rotated.old_until),
        "revoked": view::revoked(rotated.revoked.as_ref()),
    });
    Ok((StatusCode::CREATED, [no_store()], Json(shown)).into_response())
}

/// A client after a change, and what the change killed.
fn answer(app: &App, changed: &ChangedClient) -> Response {
    let now = app.issuer().environment().now();
    let shown = json!({
        "client": view::client(&changed.client, now),
        "revoked": view::revoked(changed.revoked.as_ref()),
    });
    tagged(StatusCode::OK, changed.client.version, shown)
}

/// The tenant that a request names by id or slug, where it names one.
pub(crate) async fn named(
    app: &App,
    caller: &Caller,
    name: Option<&str>,
) -> Result<Option<TenantId>, Problem> {
    match name {
        Some(name) => Ok(Some(app.issuer().resolve_tenant(caller, name).await?)),
        None => Ok(None),
    }
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<ClientId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
