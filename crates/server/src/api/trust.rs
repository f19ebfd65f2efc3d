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
        view,
    },
    app::App,
};

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
