//! `/auth/admin/tenants/{tenantId}/…`: trust, and both listings.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::Value;

use crate::{
    api::{
        caller::{Changing, Person},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply},
};

/// Described.
pub const PUT: Operation = Operation::person("putTrust", "Let the admins of another tenant in")
    .open_to("tenant-admin of the trusting tenant, operator.")
    .change()
    .answers(&[Reply::json(200, shapes::RELATIONSHIP), Reply::json(201, shapes::RELATIONSHIP)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `PUT /auth/admin/tenants/{tenantId}/trust-tenant/{trustedTenantId}`
pub async fn put(
    State(app): State<App>,
    Changing(call): Changing,
    Path((tenant, trusted)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let tenant = app.issuer().resolve_tenant(&call.caller, &tenant).await?;
    // The policy speaks before anything is said about the other tenant.
    call.caller.administer(tenant).map_err(procura_issuer::Error::from)?;
    let trusted = app.issuer().resolve_tenant(&call.caller, &trusted).await?;
    let (edge, is_new) = app.issuer().put_trust(&call, tenant, trusted).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view::relationship(&edge, &call.caller, app.issuer().environment().now()))))
}

/// Described.
pub const DELETE: Operation = Operation::person("deleteTrust", "Take the trust back")
    .open_to("tenant-admin of the trusting tenant, operator.")
    .notes("204 also where there was none.")
    .change()
    .answers(&[Reply::empty(204)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `DELETE /auth/admin/tenants/{tenantId}/trust-tenant/{trustedTenantId}`
pub async fn delete(
    State(app): State<App>,
    Changing(call): Changing,
    Path((tenant, trusted)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let tenant = app.issuer().resolve_tenant(&call.caller, &tenant).await?;
    call.caller.administer(tenant).map_err(procura_issuer::Error::from)?;
    let trusted = app.issuer().resolve_tenant(&call.caller, &trusted).await?;
    app.issuer().delete_trust(&call, tenant, trusted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Described.
pub const MANAGES: Operation = Operation::person("listManagedTenants", "Whom a tenant manages")
    .open_to("tenant-admin, partner-admin of it; operator.")
    .answers(&[Reply::json(200, shapes::LINKS)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /auth/admin/tenants/{tenantId}/manages-tenants`
pub async fn manages(
    State(app): State<App>,
    Person(caller): Person,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = app.issuer().resolve_tenant(&caller, &tenant).await?;
    let links = app.issuer().list_managed_by(&caller, tenant).await?;
    let now = app.issuer().environment().now();
    Ok(Json(links.iter().map(|link| view::link(link, now)).collect()))
}

/// Described.
pub const MANAGED_BY: Operation = Operation::person("listManagingTenants", "Who manages a tenant")
    .open_to("tenant-admin, partner-admin of it; operator.")
    .answers(&[Reply::json(200, shapes::LINKS)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /auth/admin/tenants/{tenantId}/managed-by-tenants`
pub async fn managed_by(
    State(app): State<App>,
    Person(caller): Person,
    Path(tenant): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tenant = app.issuer().resolve_tenant(&caller, &tenant).await?;
    let links = app.issuer().list_managing(&caller, tenant).await?;
    let now = app.issuer().environment().now();
    Ok(Json(links.iter().map(|link| view::link(link, now)).collect()))
}
