//! `/api/tenants/break-glass-codes` and `/break-glass`: codes on paper that shut partners out, without a
//! login.

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};
use procura_issuer::{
    Error,
    break_glass::{Blow, ShutOut},
    hand::Hand,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        caller::{Changing, Person},
        input::has_nul,
        problem::Problem,
        shapes, view,
    },
    app::App,
    around::From,
    oauth::form::Form,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// Described.
pub const MAKE: Operation = Operation::person("makeBreakGlassCodes", "Eight codes, shown once")
    .open_to("The customer's tenant-admin.")
    .notes("The set before is void.")
    .change()
    .answers(&[Reply::json(201, Shape::Object(&[("codes", Shape::List(&Shape::Text))]))])
    .refuses(&[Refusal::FORBIDDEN]);

/// Described.
pub const LIST: Operation = Operation::person("listBreakGlassCodes", "Which codes are used")
    .open_to("The customer's tenant-admin.")
    .answers(&[Reply::json(200, shapes::BREAK_GLASS_CODES)])
    .refuses(&[Refusal::FORBIDDEN]);

/// Described.
pub const USE: Operation =
    Operation::anybody("breakGlass", "Shut all partners out, or one, with a code")
        .open_to("Whoever has a code.")
        .notes("A form with the same names will do. Ids or slugs.")
        .takes(Shape::Object(&[
            ("tenant", Shape::Text),
            ("code", Shape::Text),
            ("partner", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
        ]))
        .answers(&[Reply::json(200, shapes::SHUT_OUT)])
        .refuses(&[
            Refusal::CODE_REFUSED,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::TOO_MANY,
        ]);

/// `POST /api/tenants/break-glass-codes`
pub async fn make(
    State(app): State<App>,
    Changing(call): Changing,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let codes =
        app.issuer().make_break_glass_codes(Hand::Person(&call), call.caller.tenant).await?;
    Ok((StatusCode::CREATED, Json(json!({ "codes": codes }))))
}

/// `GET /api/tenants/break-glass-codes`
pub async fn list(State(app): State<App>, Person(caller): Person) -> Result<Json<Value>, Problem> {
    let codes = app.issuer().list_break_glass_codes(Some(&caller), caller.tenant).await?;
    Ok(Json(codes.iter().map(view::break_glass_code).collect()))
}

/// What somebody without a login says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    tenant: String,
    code: String,
    partner: Option<String>,
}

/// `POST /break-glass`: a form or JSON.
pub async fn use_code(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TOO_LARGE,
        _ => Problem::invalid("body"),
    })?;
    let said = read(&headers, &body)?;
    let partner = said.partner.as_deref();
    let blow = Blow { tenant: &said.tenant, code: &said.code, partner };
    let done = app.issuer().break_glass(blow, &via).await.map_err(|error| match error {
        Error::Forbidden => Problem::CODE_REFUSED,
        other => other.into(),
    })?;
    Ok(Json(shut_out(&done)))
}

/// Who is out now, and what that ended.
pub(crate) fn shut_out(done: &ShutOut) -> Value {
    json!({
        "tenant_id": done.tenant,
        "partner_id": done.partner,
        "relationships_suspended": done.suspended,
        "revoked": view::revoked(Some(&done.revoked)),
    })
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<Said, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let said: Result<Said, _> = if kind.eq_ignore_ascii_case("application/json") {
        if has_nul(body) {
            return Err(Problem::invalid("body"));
        }
        serde_json::from_slice(body)
    } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let form = Form::parse(body).map_err(|_| Problem::invalid("body"))?;
        // One without a value counts as left out, as in every form.
        let filled = form.iter().filter(|(_, value)| !value.is_empty());
        let members = filled.map(|(name, value)| (name.to_owned(), Value::from(value)));
        serde_json::from_value(Value::Object(members.collect::<Map<_, _>>()))
    } else {
        return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
    };
    said.map_err(|_| Problem::invalid("body"))
}
