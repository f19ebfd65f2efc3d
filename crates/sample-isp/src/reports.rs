//! Reports from the tenant's own rows: usage and service level.

use axum::{Json, extract::State};
use procura_verify::Verified;
use serde::Serialize;
use sqlx::FromRow;

use crate::{outbox::Event, problem::Problem, routes::App};

const USAGE: &str = "SELECT plan, count(*) AS subscribers, \
    coalesce(sum(is_active), 0) AS active, coalesce(sum(traffic_gb), 0) AS traffic_gb \
    FROM subscribers WHERE tenant_id = $1 GROUP BY plan ORDER BY plan";
const SLA: &str = "SELECT count(*) AS tickets, count(resolved_at) AS resolved, \
    count(*) FILTER (WHERE resolved_at - opened_at <= $2 * 3600) AS resolved_in_time \
    FROM tickets WHERE tenant_id = $1";

/// A ticket should be resolved within so many hours.
const TARGET_HOURS: i64 = 24;

#[derive(Serialize, FromRow)]
struct PlanUsage {
    plan: String,
    subscribers: i64,
    active: i64,
    traffic_gb: i64,
}

/// `{tenant_id, subscribers, active, traffic_gb, plans: [{plan, subscribers, active, traffic_gb}]}`
#[derive(Serialize)]
pub struct Usage {
    tenant_id: String,
    subscribers: i64,
    active: i64,
    traffic_gb: i64,
    plans: Vec<PlanUsage>,
}

#[derive(Serialize, FromRow)]
struct Counts {
    tickets: i64,
    resolved: i64,
    resolved_in_time: i64,
}

/// `{tenant_id, target_hours, tickets, resolved, resolved_in_time, percent_in_time}`; the last is
/// null where nothing was resolved.
#[derive(Serialize)]
pub struct Sla {
    tenant_id: String,
    target_hours: i64,
    #[serde(flatten)]
    counts: Counts,
    percent_in_time: Option<i64>,
}

/// `GET /api/v1/partner/reports/usage`
pub async fn usage(State(app): State<App>, token: Verified) -> Result<Json<Usage>, Problem> {
    let tenant_id = token.tenant().to_string();
    let plans: Vec<PlanUsage> =
        sqlx::query_as(USAGE).bind(&tenant_id).fetch_all(&app.database.readers).await?;
    let event =
        Event { action: "reports.usage.read", resource_type: "usage_report", resource_id: None };
    app.outbox.report_read(&token, &event).await?;
    let sum = |part: fn(&PlanUsage) -> i64| plans.iter().map(part).sum();
    Ok(Json(Usage {
        tenant_id,
        subscribers: sum(|plan| plan.subscribers),
        active: sum(|plan| plan.active),
        traffic_gb: sum(|plan| plan.traffic_gb),
        plans,
    }))
}

/// `GET /api/v1/partner/reports/sla`
pub async fn sla(State(app): State<App>, token: Verified) -> Result<Json<Sla>, Problem> {
    let tenant_id = token.tenant().to_string();
    let counts: Counts = sqlx::query_as(SLA)
        .bind(&tenant_id)
        .bind(TARGET_HOURS)
        .fetch_one(&app.database.readers)
        .await?;
    let event =
        Event { action: "reports.sla.read", resource_type: "sla_report", resource_id: None };
    app.outbox.report_read(&token, &event).await?;
    let percent_in_time = (counts.resolved_in_time * 100).checked_div(counts.resolved);
    Ok(Json(Sla { tenant_id, target_hours: TARGET_HOURS, counts, percent_in_time }))
}
