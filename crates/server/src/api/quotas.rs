//! `/api/tenants/quotas`, `/api/tenants/usage` and `/api/admin/tenants/{id}/quotas`: how much a tenant may
//! have, what is used of it and by whom, day by day.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_domain::{Quotas, quota::UtcDay, relationship::Side};
use procura_issuer::{
    Error,
    hand::Hand,
    quotas::{Source, Standing},
};
use procura_store::token_counts::{Days, Used};
use procura_token::TenantId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        caller::{ChangingVersion, Person},
        clients::named,
        input::{Body, Expected, Parameters, tagged, word},
        problem::Problem,
        table,
    },
    app::App,
    openapi::{Component, Operation, Refusal, Reply, Shape},
};

/// So many rows are shown at once, and at most.
const ROWS: i64 = 1000;
/// So many days are shown where nobody says which, today among them.
const DAYS: i64 = 30;

static LINE: Component = Component {
    name: "QuotaLine",
    shape: Shape::Object(&[
        ("limit", Shape::OrNull(&Shape::Number)),
        ("used", Shape::Number),
        ("source", Shape::Word(&["default", "inherited", "set"])),
        (
            "inherited_from",
            Shape::OrNull(&Shape::Object(&[
                ("id", Shape::Id("ten")),
                ("name", Shape::OrNull(&Shape::Text)),
            ])),
        ),
    ]),
};

static STANDING: Component = Component {
    name: "TenantQuotas",
    shape: Shape::Object(&[
        ("tenant_id", Shape::Id("ten")),
        (
            "quotas",
            Shape::Object(&[
                ("users", Shape::Named(&LINE)),
                ("customers", Shape::Named(&LINE)),
                ("clients", Shape::Named(&LINE)),
                ("delegated_tokens_per_day", Shape::Named(&LINE)),
                ("delegated_tokens_received_per_day", Shape::Named(&LINE)),
            ]),
        ),
        ("resets_at", Shape::Time),
        (
            "received_from",
            Shape::OrNull(&Shape::List(&Shape::Object(&[
                ("partner_id", Shape::Id("ten")),
                ("partner_name", Shape::OrNull(&Shape::Text)),
                ("delegated_tokens", Shape::Number),
            ]))),
        ),
        ("version", Shape::Number),
    ]),
};

const TENANT_QUOTAS: Shape = Shape::Named(&STANDING);
const SOME_NUMBER: Shape = Shape::Maybe(&Shape::OrNull(&Shape::Within(0, 1_000_000_000_000)));

const USED: Shape = Shape::Object(&[
    ("day", Shape::Text),
    ("partner_id", Shape::Id("ten")),
    ("partner_name", Shape::OrNull(&Shape::Text)),
    ("customer_id", Shape::Id("ten")),
    ("customer_name", Shape::OrNull(&Shape::Text)),
    ("delegated_tokens", Shape::Number),
]);

/// Described.
pub const SHOW: Operation = Operation::person("getQuotas", "What a tenant may have, and has")
    .open_to("tenant-admin, partner-admin and partner-auditor for the own tenant; operator any.")
    .notes("Who was given what of today's tokens is told to tenant-admin and operator alone.")
    .query(&[("tenantId", Shape::Text)])
    .answers(&[Reply::json(200, TENANT_QUOTAS).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// Which tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Of {
    #[serde(rename = "tenantId")]
    tenant_id: Option<String>,
}

/// `GET /api/tenants/quotas`
pub async fn show(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(of): Parameters<Of>,
) -> Result<Response, Problem> {
    let tenant = named(&app, &caller, of.tenant_id.as_deref()).await?.unwrap_or(caller.tenant);
    Ok(answer(&app.issuer().find_quotas(Some(&caller), tenant).await?))
}

/// Described.
pub const SET: Operation = Operation::person("setQuotas", "Give a tenant its quotas")
    .open_to("Operator.")
    .notes("A quota that is left out, or null, is the deployment's default.")
    .versioned()
    .takes(Shape::Object(&[
        ("users", Shape::Maybe(&Shape::OrNull(&Shape::Within(1, 1_000_000_000_000)))),
        ("customers", SOME_NUMBER),
        ("clients", SOME_NUMBER),
        ("delegated_tokens_per_day", SOME_NUMBER),
        ("delegated_tokens_received_per_day", SOME_NUMBER),
    ]))
    .answers(&[Reply::json(200, TENANT_QUOTAS).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT]);

/// `PUT /api/admin/tenants/{id}/quotas`
pub async fn set(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
    Body(quotas): Body<Quotas>,
) -> Result<Response, Problem> {
    // Before the tenant is looked for: nobody else learns who exists.
    call.caller.operate().map_err(Error::from)?;
    let tenant = app.issuer().resolve_tenant(&call.caller, &id).await?;
    let hand = Hand::Person(&call);
    Ok(answer(&app.issuer().put_quotas(hand, tenant, quotas, version).await?))
}

fn answer(standing: &Standing) -> Response {
    tagged(StatusCode::OK, standing.version, shown(standing))
}

/// As it is shown.
pub(crate) fn shown(standing: &Standing) -> Value {
    let lines = standing.lines.iter().map(|(quota, counted, source)| {
        let from = match source {
            Source::Inherited(id, name) => json!({ "id": id, "name": name }),
            Source::Default | Source::Set => Value::Null,
        };
        let line = json!({
            "limit": counted.limit,
            "used": counted.used,
            "source": source.as_str(),
            "inherited_from": from,
        });
        (quota.to_string(), line)
    });
    let share = |used: &Used| {
        json!({
            "partner_id": used.partner,
            "partner_name": used.partner_name,
            "delegated_tokens": used.tokens,
        })
    };
    let shares = standing.shares.as_ref();
    json!({
        "tenant_id": standing.tenant,
        "quotas": lines.collect::<Map<_, _>>(),
        "resets_at": standing.resets_at.rfc3339(),
        "received_from": shares.map(|shares| shares.iter().map(share).collect::<Vec<_>>()),
        "version": standing.version,
    })
}

/// Described.
pub const USAGE: Operation =
    Operation::person("listUsage", "Delegated tokens day by day, by partner and customer")
        .open_to(
            "side=customer: tenant-admin of the customer; side=partner: tenant-admin, partner-admin and \
             partner-auditor of the partner; operator.",
        )
        .notes(
            "Days in UTC, the newest first; from and to are both included, 30 days where they are not named. Kept for \
             400 days. With Accept: text/csv a table.",
        )
        .query(&[
            ("side", Shape::Word(&["customer", "partner"])),
            ("tenantId", Shape::Text),
            ("from", Shape::Text),
            ("to", Shape::Text),
            ("limit", Shape::Within(1, ROWS)),
            ("cursor", Shape::Text),
        ])
        .headers(&[("Accept", Shape::Text)])
        .answers(&[
            Reply::json(200, Shape::List(&USED)).linked(),
            Reply::other(200, "text/csv"),
        ])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// Which days of whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    side: Option<String>,
    #[serde(rename = "tenantId")]
    tenant_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

impl Asked {
    fn side(&self) -> Result<Side, Problem> {
        match word(self.side.as_deref(), "side")? {
            None => Ok(Side::Customer),
            Some(Side::Operator) => Err(Problem::invalid("side")),
            Some(side) => Ok(side),
        }
    }

    fn days(&self, today: UtcDay) -> Result<Days, Problem> {
        let day = |text: Option<&str>, about| match text.map(UtcDay::parse) {
            None => Ok(None),
            Some(Some(day)) => Ok(Some(day)),
            Some(None) => Err(Problem::invalid(about)),
        };
        let to = day(self.to.as_deref(), "to")?.unwrap_or(today);
        let from = day(self.from.as_deref(), "from")?.unwrap_or(to.plus(1 - DAYS));
        let limit = self.limit.unwrap_or(ROWS);
        if !(1..=ROWS).contains(&limit) {
            return Err(Problem::invalid("limit"));
        }
        let after = match &self.cursor {
            None => None,
            Some(cursor) => Some(place(cursor).ok_or(Problem::invalid("cursor"))?),
        };
        Ok(Days { from, to, after, limit })
    }
}

/// Where a page ended: `2026-11-21.ten_…`.
fn place(cursor: &str) -> Option<(UtcDay, TenantId)> {
    let (day, tenant) = cursor.split_once('.')?;
    Some((UtcDay::parse(day)?, tenant.parse().ok()?))
}

/// `GET /api/tenants/usage`
pub async fn usage(
    State(app): State<App>,
    Person(caller): Person,
    headers: HeaderMap,
    Parameters(asked): Parameters<Asked>,
) -> Result<Response, Problem> {
    let side = asked.side()?;
    let days = asked.days(UtcDay::of(app.issuer().environment().now()))?;
    let tenant = named(&app, &caller, asked.tenant_id.as_deref()).await?.unwrap_or(caller.tenant);
    let listed = app.issuer().list_used(&caller, (side, tenant), &days).await?;
    let link = next(&asked, side, &days, &listed).map(|link| [(header::LINK, link)]);
    if table::is_wanted(&headers) {
        const COLUMNS: [&str; 6] = [
            "day",
            "partner_id",
            "partner_name",
            "customer_id",
            "customer_name",
            "delegated_tokens",
        ];
        let text = table::written(&COLUMNS, listed.iter().map(cells)).ok_or(Problem::INTERNAL)?;
        return Ok((link, [(header::CONTENT_TYPE, table::TYPE)], text).into_response());
    }
    Ok((link, Json(listed.iter().map(row).collect::<Value>())).into_response())
}

/// Where the next page is, if this one is full (RFC 8288).
fn next(asked: &Asked, side: Side, days: &Days, listed: &[Used]) -> Option<HeaderValue> {
    let is_full = i64::try_from(listed.len()).is_ok_and(|count| count >= days.limit);
    let last = listed.last().filter(|_| is_full)?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("side", side.as_str());
    if let Some(tenant) = &asked.tenant_id {
        query.append_pair("tenantId", tenant);
    }
    query.append_pair("from", &days.from.to_string()).append_pair("to", &days.to.to_string());
    query.append_pair("limit", &days.limit.to_string());
    query.append_pair("cursor", &format!("{}.{}", last.day, last.other(side)));
    HeaderValue::from_str(&format!("<?{}>; rel=\"next\"", query.finish())).ok()
}

fn row(used: &Used) -> Value {
    json!({
        "day": used.day.to_string(),
        "partner_id": used.partner,
        "partner_name": used.partner_name,
        "customer_id": used.customer,
        "customer_name": used.customer_name,
        "delegated_tokens": used.tokens,
    })
}

fn cells(used: &Used) -> [Option<String>; 6] {
    [
        Some(used.day.to_string()),
        Some(used.partner.to_string()),
        used.partner_name.clone(),
        Some(used.customer.to_string()),
        used.customer_name.clone(),
        Some(used.tokens.to_string()),
    ]
}
