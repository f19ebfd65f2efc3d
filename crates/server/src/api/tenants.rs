//! Onboarding, and the customer's access switch.

use axum::{Json, extract::State, http::StatusCode};
use procura_domain::{Access, RelationshipRole};
use procura_issuer::provision::NewCustomer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, Person},
        input::Body,
        problem::Problem,
        view,
    },
    app::App,
};

/// The body of an onboarding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    name: String,
    plan: Option<String>,
    admin_email: String,
    access_role: Option<RelationshipRole>,
}

/// `POST /api/partners/tenants`
pub async fn provision(
    State(app): State<App>,
    Changing(call): Changing,
    Body(new): Body<New>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new = NewCustomer {
        name: new.name,
        plan: new.plan,
        admin_email: new.admin_email,
        access_role: new.access_role,
    };
    let made = app.issuer().provision_customer(&call, &new).await?;
    let shown = json!({
        "id": made.tenant.id,
        "name": made.tenant.name,
        "slug": made.tenant.slug,
        "status": made.tenant.status,
        "plan": made.tenant.plan,
        "relationship_id": made.relationship.id,
        "admin": {
            "id": made.admin.id,
            "email": made.admin.email,
            "status": made.admin.status.as_str(),
        },
    });
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `GET /api/tenants/partner-access`
pub async fn partner_access(
    State(app): State<App>,
    Person(caller): Person,
) -> Result<Json<Value>, Problem> {
    let tenant = caller.switch_access().map_err(procura_issuer::Error::from)?.tenant();
    let found =
        app.issuer().store().find_tenant(tenant).await.map_err(procura_issuer::Error::from)?;
    let found = found.ok_or(Problem::NOT_FOUND)?;
    Ok(Json(json!({ "mode": found.partner_access, "partner_code": found.partner_code })))
}

/// The body of a switch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub(crate) mode: Access,
}

/// `PUT /api/tenants/partner-access`
pub async fn switch_partner_access(
    State(app): State<App>,
    Changing(call): Changing,
    Body(switch): Body<Switch>,
) -> Result<Json<Value>, Problem> {
    let revoked = app.issuer().switch_partner_access(&call, switch.mode).await?;
    Ok(Json(json!({ "mode": switch.mode, "revoked": view::revoked(revoked.as_ref()) })))
}
