//! `POST /api/tenants/partner-code`: another code by which partners may ask.

use axum::{Json, extract::State, http::StatusCode};
use procura_issuer::hand::Hand;
use serde_json::{Value, json};

use crate::{
    api::{caller::Changing, problem::Problem},
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const CHANGE: Operation = Operation::person("changePartnerCode", "Another partner code")
    .open_to("The customer's tenant-admin.")
    .notes("The old one opens nothing from then on. What was asked with it stays.")
    .change()
    .answers(&[Reply::json(201, Shape::Object(&[("partner_code", Shape::Text)]))])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `POST /api/tenants/partner-code`
pub async fn change(
    State(app): State<App>,
    Changing(call): Changing,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let code = app.issuer().change_partner_code(Hand::Person(&call), call.caller.tenant).await?;
    Ok((StatusCode::CREATED, Json(shown(&code))))
}

/// As the API and the command line show it.
pub(crate) fn shown(code: &str) -> Value {
    json!({ "partner_code": code })
}
