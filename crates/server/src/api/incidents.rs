//! `POST /api/incidents`: all relationships of a partner or a tenant closed at once, by the operator.

use axum::{
    Json,
    body::Body as Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use procura_domain::Access;
use procura_issuer::{
    evidence::Evidence,
    hand::Hand,
    incident::{Declared, Whose},
};
use procura_token::TenantId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::Changing,
        input::{Body, no_store, word},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// The type of a file of evidence: a line of JSON each.
const LINES: &str = "application/jsonl";
/// Evidence goes back no further: ten years.
const MAX_DAYS: i64 = 3650;
const DAY_SECS: i64 = 86_400;

/// Described.
pub const DECLARE: Operation =
    Operation::person("declareIncident", "Close all relationships of a partner or a tenant")
        .open_to("operator.")
        .notes("With evidence_days the answer is the evidence, a line of JSON each.")
        .change()
        .takes(Shape::Object(&[
            ("partner_id", Shape::Maybe(&shapes::SOME_TEXT)),
            ("tenant_id", Shape::Maybe(&shapes::SOME_TEXT)),
            ("mode", Shape::Maybe(&Shape::OrNull(&Shape::Word(&["restricted", "off"])))),
            ("evidence_days", Shape::Maybe(&Shape::OrNull(&Shape::Within(0, MAX_DAYS)))),
        ]))
        .answers(&[Reply::json(200, shapes::INCIDENT), Reply::other(200, LINES)])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT]);

/// Whose, one of the two, and how far. With so many days of the log, the answer is the evidence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    partner_id: Option<String>,
    tenant_id: Option<String>,
    mode: Option<String>,
    evidence_days: Option<i64>,
}

/// `POST /api/incidents`
pub async fn declare(
    State(app): State<App>,
    Changing(call): Changing,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let partner: Option<TenantId> = word(asked.partner_id.as_deref(), "partner_id")?;
    let tenant: Option<TenantId> = word(asked.tenant_id.as_deref(), "tenant_id")?;
    let whose = match (partner, tenant) {
        (Some(partner), None) => Whose::Partner(partner),
        (None, Some(tenant)) => Whose::Tenant(tenant),
        _ => return Err(Problem::invalid("partner_id")),
    };
    let mode: Option<Access> = word(asked.mode.as_deref(), "mode")?;
    let mode = mode.unwrap_or(Access::Restricted);
    if asked.evidence_days.is_some_and(|days| !(0..=MAX_DAYS).contains(&days)) {
        return Err(Problem::invalid("evidence_days"));
    }
    let declared = app.issuer().declare_incident(Hand::Person(&call), whose, mode).await?;
    let Some(days) = asked.evidence_days else { return Ok(Json(told(&declared)).into_response()) };
    let from = declared.at.plus_secs(-days.saturating_mul(DAY_SECS));
    Ok(file(app.issuer().evidence(Hand::Person(&call), declared, from)?))
}

/// Each piece is read when the one before is on its way. Where one cannot be, the file stays without its end.
fn file(evidence: Evidence) -> Response {
    let pieces = stream::try_unfold(evidence, |mut evidence| async {
        let piece = evidence.next().await?;
        Ok::<_, procura_issuer::Error>(piece.map(|piece| (piece, evidence)))
    });
    let name = "attachment; filename=\"evidence.jsonl\"";
    let headers = [(header::CONTENT_TYPE, LINES), (header::CONTENT_DISPOSITION, name)];
    ([no_store()], headers, Bytes::from_stream(pieces)).into_response()
}

fn told(declared: &Declared) -> Value {
    let touched = declared.touched.iter().map(|one| {
        json!({
            "relationship_id": one.after.id,
            "partner_id": one.after.partner,
            "customer_id": one.after.customer,
            "access": { "from": one.before.access, "to": one.after.access },
            "delegations_ended": one.delegations.iter().map(|d| d.id).collect::<Vec<_>>(),
        })
    });
    json!({
        "at": declared.at.rfc3339(),
        "relationships": touched.collect::<Vec<_>>(),
        "requests_declined": declared.requests_declined(),
        "proposals_declined": declared.proposals_declined(),
        "access_requests_closed": declared.access_requests.len(),
        "checkpoint": declared.checkpoint,
        "revoked": view::revoked(Some(&declared.revoked)),
    })
}
