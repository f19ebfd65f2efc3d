//! Onboarding, and the customer's access switch.

use axum::{Json, extract::State, http::StatusCode};
use procura_domain::{Access, RelationshipRole};
use procura_issuer::provision::NewCustomer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        caller::{Changing, ChangingOrKey, Person},
        input::Body,
        problem::Problem,
        relationships, shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
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

/// The list of customers at its other address.
pub const CUSTOMERS: Operation = Operation { id: "listPartnerTenants", ..relationships::CUSTOMERS };

/// Described.
pub const PROVISION: Operation = Operation::person("provisionTenant", "Onboard a customer")
    .open_to("partner-admin; a key with partner.tenants.list and partner.tenants.provision.")
    .or_key()
    .change()
    .takes(Shape::Object(&[
        ("name", Shape::Text),
        ("plan", Shape::Maybe(&Shape::OrNull(&Shape::Text))),
        ("admin_email", Shape::Text),
        ("access_role", Shape::Maybe(&Shape::OrNull(&shapes::ACCESS_ROLE))),
    ]))
    .answers(&[Reply::json(
        201,
        Shape::Object(&[
            ("id", Shape::Id("ten")),
            ("name", Shape::Text),
            ("slug", Shape::Text),
            ("status", Shape::Word(&["active"])),
            ("plan", Shape::Text),
            ("relationship_id", Shape::Id("rel")),
            (
                "admin",
                Shape::Object(&[
                    ("id", Shape::Id("usr")),
                    ("email", Shape::Text),
                    ("status", Shape::Word(&["invited"])),
                ]),
            ),
        ]),
    )])
    .refuses(&[Refusal::FORBIDDEN, Refusal::CONFLICT, Refusal::QUOTA_USED_UP]);

/// `POST /api/partners/tenants`
pub async fn provision(
    State(app): State<App>,
    ChangingOrKey(call): ChangingOrKey,
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

/// Described.
pub const PARTNER_ACCESS: Operation =
    Operation::person("getPartnerAccess", "The switch for all partners")
        .open_to("The customer's tenant-admin.")
        .answers(&[Reply::json(
            200,
            Shape::Object(&[
                ("mode", shapes::ACCESS),
                ("partner_code", Shape::OrNull(&Shape::Text)),
            ]),
        )])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

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

/// Described.
pub const SWITCH_PARTNER_ACCESS: Operation =
    Operation::person("switchPartnerAccess", "Switch all partners on, to reading only, or off")
        .open_to("The customer's tenant-admin.")
        .change()
        .takes(Shape::Object(&[("mode", shapes::ACCESS)]))
        .answers(&[Reply::json(
            200,
            Shape::Object(&[("mode", shapes::ACCESS), ("revoked", shapes::REVOKED)]),
        )])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT]);

/// `PUT /api/tenants/partner-access`
pub async fn switch_partner_access(
    State(app): State<App>,
    Changing(call): Changing,
    Body(switch): Body<Switch>,
) -> Result<Json<Value>, Problem> {
    let revoked = app.issuer().switch_partner_access(&call, switch.mode).await?;
    Ok(Json(json!({ "mode": switch.mode, "revoked": view::revoked(revoked.as_ref()) })))
}
