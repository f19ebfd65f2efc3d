//! `/api/api-keys`: keys by which programs of a partner's people act without a login.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use procura_domain::{Permissions, api_key::MAX_DAYS};
use procura_issuer::{api_keys::NewKey, hand::Hand};
use procura_store::api_keys::{ApiKey, Place};
use procura_token::{ClientId, Ts};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, Person},
        clients::named,
        idempotency::ShownOnce,
        input::{Body, Parameters, no_store},
        paging::{MOST, Page, page_of},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Component, Operation, Refusal, Reply, Shape},
};

static SHOWN: Component = Component {
    name: "ApiKey",
    shape: Shape::Object(&[
        ("id", Shape::Id("apk")),
        ("user_id", Shape::Id("usr")),
        ("tenant_id", Shape::Id("ten")),
        ("client_id", Shape::Client),
        ("name", Shape::Text),
        ("permissions", Shape::Text),
        ("tenants", Shape::OrNull(&Shape::List(&Shape::Id("ten")))),
        ("networks", Shape::OrNull(&Shape::List(&Shape::Text))),
        ("is_live", Shape::Truth),
        ("created_at", Shape::Time),
        ("expires_at", Shape::Time),
        ("ended_at", Shape::OrNull(&Shape::Time)),
        ("last_used_at", Shape::OrNull(&Shape::Time)),
        ("key", Shape::Maybe(&Shape::Text)),
        ("revoked", Shape::Maybe(&shapes::REVOKED)),
    ]),
};
const API_KEY: Shape = Shape::Named(&SHOWN);
const SOME_TEXTS: Shape = Shape::OrNull(&Shape::List(&Shape::Text));

/// What of a key is shown. Never the key.
pub(crate) fn shown(key: &ApiKey, now: Ts) -> Value {
    json!({
        "id": key.id,
        "user_id": key.user,
        "tenant_id": key.tenant,
        "client_id": key.client,
        "name": key.name,
        "permissions": key.bounds.permissions,
        "tenants": key.bounds.tenants,
        "networks": key.bounds.networks,
        "is_live": key.is_live(now),
        "created_at": key.created_at.rfc3339(),
        "expires_at": key.expires_at.rfc3339(),
        "ended_at": key.ended_at.map(Ts::rfc3339),
        "last_used_at": key.last_used_at.map(Ts::rfc3339),
    })
}

/// Described.
pub const LIST: Operation = Operation::person("listApiKeys", "Keys for programs")
    .open_to(
        "Everybody for the own ones; partner-admin and tenant-admin for the tenant's; operator.",
    )
    .notes(
        "The live ones first; what is over for a month more. By a token without a partner's role the caller sees \
         the own keys that are for its client or were made through it.",
    )
    .query(&[("tenant_id", Shape::Text), ("limit", Shape::Within(1, MOST)), ("cursor", Shape::Text)])
    .answers(&[Reply::json(200, Shape::List(&API_KEY)).linked()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// Which page of whose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    tenant_id: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `GET /api/api-keys`
pub async fn list(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(asked): Parameters<Asked>,
) -> Result<Page, Problem> {
    let limit = asked.limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid("limit"));
    }
    let cursor = asked.cursor.as_deref();
    let after = cursor.map(|text| Place::parse(text).ok_or(Problem::invalid("cursor")));
    let after = after.transpose()?;
    let tenant = named(&app, &caller, asked.tenant_id.as_deref()).await?;
    let now = app.issuer().environment().now();
    let keys = app.issuer().list_api_keys(Some(&caller), tenant, (after, limit), now).await?;
    let shown = keys.iter().map(|key| shown(key, now)).collect();
    let kept = asked.tenant_id.iter().map(|id| ("tenant_id", id.as_str()));
    Ok(page_of(kept, shown, limit, keys.last().map(|last| last.place(now))))
}

/// A new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    client_id: ClientId,
    name: String,
    permissions: Permissions,
    tenants: Option<Vec<String>>,
    networks: Option<Vec<IpNet>>,
    #[serde(default = "usual_life")]
    expires_in_days: i64,
}

const fn usual_life() -> i64 {
    MAX_DAYS
}

/// Described.
pub const MAKE: Operation = Operation::person("makeApiKey", "A key for a program of the caller's")
    .open_to("Partner roles, logged in within the last five minutes.")
    .notes(
        "The key is shown this once, also with an Idempotency-Key. It permits at most what its person may do when it is used, and \
         enters only where the customer lets keys in (allow_automation).",
    )
    .change()
    .takes(Shape::Object(&[
        ("client_id", Shape::Client),
        ("name", Shape::Text),
        ("permissions", Shape::Text),
        ("tenants", Shape::Maybe(&SOME_TEXTS)),
        ("networks", Shape::Maybe(&SOME_TEXTS)),
        ("expires_in_days", Shape::Maybe(&Shape::Within(1, MAX_DAYS))),
    ]))
    .answers(&[Reply::json(201, API_KEY)])
    .refuses(&[Refusal::STEP_UP, Refusal::FORBIDDEN, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/api-keys`
pub async fn make(
    State(app): State<App>,
    Changing(call): Changing,
    Body(new): Body<New>,
) -> Result<Response, Problem> {
    let new = NewKey {
        client: new.client_id,
        name: new.name,
        permissions: new.permissions,
        tenants: new.tenants,
        networks: new.networks,
        days: new.expires_in_days,
    };
    let (key, text) = app.issuer().make_api_key(&call, new).await?;
    let mut body = shown(&key, app.issuer().environment().now());
    if let Some(body) = body.as_object_mut() {
        body.insert("key".into(), text.into());
    }
    let mut response = (StatusCode::CREATED, [no_store()], Json(body)).into_response();
    // Who asks again may have logged in long ago.
    response.extensions_mut().insert(ShownOnce);
    Ok(response)
}

/// Described.
pub const END: Operation = Operation::person("endApiKey", "End a key, and all that runs from it")
    .open_to("Whose it is; partner-admin and tenant-admin of the same tenant; operator.")
    .change()
    .answers(&[Reply::json(200, API_KEY)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `DELETE /api/api-keys/{id}`
pub async fn end(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Problem::NOT_FOUND)?;
    let (key, revoked) = app.issuer().end_api_key(Hand::Person(&call), id).await?;
    let mut body = shown(&key, app.issuer().environment().now());
    if let Some(body) = body.as_object_mut() {
        body.insert("revoked".into(), view::revoked(Some(&revoked)));
    }
    Ok(Json(body))
}
