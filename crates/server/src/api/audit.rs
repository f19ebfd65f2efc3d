//! The audit log: two views of it, as JSON or CSV, and the way in for resource servers.

use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_issuer::audit::Reported;
use procura_store::audit::{Filter, Listed};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        caller::{Person, Server},
        input::{Body, Parameters, time, word},
        problem::Problem,
        shapes, table, view,
    },
    app::App,
    around::From,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// A page has at most so many entries, and so many where nobody says: the log only grows.
const MAX_LIMIT: i64 = 1000;
const LIMIT: i64 = 100;

/// The filters of seed 004, spelled as it spells them, and more in the same spelling.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    tenant_id: Option<String>,
    action: Option<String>,
    resource_type: Option<String>,
    actor_tenant_id: Option<String>,
    actor_user_id: Option<String>,
    relationship_id: Option<String>,
    result: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<i64>,
    cursor: Option<i64>,
}

impl Asked {
    fn filter(&self) -> Result<Filter, Problem> {
        if self.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
            return Err(Problem::invalid("limit"));
        }
        if self.cursor.is_some_and(|seq| seq < 0) {
            return Err(Problem::invalid("cursor"));
        }
        Ok(Filter {
            actor_tenant: word(self.actor_tenant_id.as_deref(), "actorTenantId")?,
            actor: word(self.actor_user_id.as_deref(), "actorUserId")?,
            relationship: word(self.relationship_id.as_deref(), "relationshipId")?,
            result: self.result.clone(),
            action: self.action.clone(),
            resource_type: self.resource_type.clone(),
            from: time(self.from.as_deref(), "from")?,
            to: time(self.to.as_deref(), "to")?,
            below: self.cursor,
            limit: Some(self.limit.unwrap_or(LIMIT)),
            ..Filter::default()
        })
    }
}

/// Described.
pub const LIST: Operation = Operation::person("listAuditLogs", "The audit log, the newest first")
    .open_to("Own tenant by role; operator all.")
    .notes("With Accept: text/csv a table.")
    .query(&[
        ("tenantId", Shape::Text),
        ("action", Shape::Text),
        ("result", Shape::Text),
        ("resourceType", Shape::Text),
        ("actorTenantId", Shape::Id("ten")),
        ("actorUserId", Shape::Id("usr")),
        ("relationshipId", Shape::Id("rel")),
        ("from", Shape::Time),
        ("to", Shape::Time),
        ("limit", Shape::Within(1, 1000)),
        ("cursor", Shape::Number),
    ])
    .headers(&[("Accept", Shape::Text)])
    .answers(&[Reply::json(200, shapes::ENTRIES).linked(), Reply::other(200, "text/csv")])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/audit-logs`
pub async fn list(
    State(app): State<App>,
    Person(caller): Person,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Parameters(asked): Parameters<Asked>,
) -> Result<Response, Problem> {
    let filter = asked.filter()?;
    let tenant = match asked.tenant_id.as_deref() {
        Some(name) => Some(app.issuer().resolve_tenant(&caller, name).await?),
        None => None,
    };
    let listed = app.issuer().list_audit(&caller, tenant, filter).await?;
    page(&asked, (query.as_deref(), &headers), &listed)
}

/// Described.
pub const PARTNER_ACTIVITY: Operation = Operation::person(
    "listPartnerActivity",
    "What others' people did in this tenant, and what they were refused",
)
.open_to("tenant-admin.")
.notes("With Accept: text/csv a table.")
.query(&[
    ("action", Shape::Text),
    ("result", Shape::Text),
    ("resourceType", Shape::Text),
    ("actorTenantId", Shape::Id("ten")),
    ("actorUserId", Shape::Id("usr")),
    ("relationshipId", Shape::Id("rel")),
    ("from", Shape::Time),
    ("to", Shape::Time),
    ("limit", Shape::Within(1, 1000)),
    ("cursor", Shape::Number),
])
.headers(&[("Accept", Shape::Text)])
.answers(&[Reply::json(200, shapes::ENTRIES).linked(), Reply::other(200, "text/csv")])
.refuses(&[Refusal::FORBIDDEN]);

/// `GET /api/tenants/partner-activity`
pub async fn partner_activity(
    State(app): State<App>,
    Person(caller): Person,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Parameters(asked): Parameters<Asked>,
) -> Result<Response, Problem> {
    if asked.tenant_id.is_some() {
        return Err(Problem::invalid("tenantId"));
    }
    let listed = app.issuer().list_partner_activity(&caller, asked.filter()?).await?;
    page(&asked, (query.as_deref(), &headers), &listed)
}

/// The entries, and where the next page is, if this one is full (RFC 8288).
fn page(
    asked: &Asked,
    (query, headers): (Option<&str>, &HeaderMap),
    listed: &[Listed],
) -> Result<Response, Problem> {
    let limit = usize::try_from(asked.limit.unwrap_or(LIMIT)).unwrap_or(usize::MAX);
    let last = listed.last().filter(|_| listed.len() >= limit);
    let next = last.and_then(|last| {
        let pairs = query.unwrap_or_default().split('&');
        let kept = pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let query: String = kept.flat_map(|pair| [pair, "&"]).collect();
        let link = format!("<?{query}cursor={}>; rel=\"next\"", last.chained.seq);
        Some([(header::LINK, HeaderValue::from_str(&link).ok()?)])
    });
    if table::is_wanted(headers) {
        let text = table::of(listed).ok_or(Problem::INTERNAL)?;
        return Ok((next, [(header::CONTENT_TYPE, table::TYPE)], text).into_response());
    }
    Ok((next, Json(listed.iter().map(view::entry).collect::<Value>())).into_response())
}

/// What a resource server reports.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    jti: String,
    action: String,
    result: Option<String>,
    resource_type: Option<String>,
    resource_id: Option<String>,
    details: Option<Map<String, Value>>,
}

/// Described.
pub const REPORT: Operation =
    Operation::server("reportEvent", "What was done with a delegated token")
        .notes("404 where the jti is of no delegated token for this resource server.")
        .takes(Shape::Object(&[
            ("jti", Shape::Text),
            ("action", Shape::Text),
            ("result", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
            ("resource_type", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
            ("resource_id", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
            ("details", Shape::Maybe(&Shape::OrNull(&Shape::Open))),
        ]))
        .answers(&[Reply::json(201, Shape::Object(&[("id", Shape::Id("evt"))]))])
        .refuses(&[Refusal::NOT_FOUND]);

/// `POST /api/audit-events`
pub async fn report(
    State(app): State<App>,
    Server(server): Server,
    From(via): From,
    Body(event): Body<Event>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let reported = Reported {
        jti: event.jti,
        action: event.action,
        result: event.result,
        resource_type: event.resource_type,
        resource_id: event.resource_id,
        details: event.details,
    };
    let id = app.issuer().report(&server, reported, &via).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}
