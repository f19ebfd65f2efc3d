//! `/auth/admin/tenants/{tenantId}/…`: trust, and both listings.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::Value;

use crate::{
    api::{
        caller::Person,
        input::Parameters,
        problem::Problem,
        relationships::Confirming,
        view,
    },
    app::App,
    around::From,
};

/// `PUT /auth/admin/tenants/{tenantId}/trust-tenant/{trustedTenantId}`
pub async fn put(
    State(app): State<App>,
    Person(caller): Person,
    From(via): From,
    Path((tenant, trusted)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let tenant = app.issuer().resolve_tenant(&caller, &tenant).await?;
    // The policy speaks before anything is said about the other tenant.
    caller.administer(tenant).map_err(procura_issuer::Error::from)?;
    let trusted = app.issuer().resolve_tenant(&caller, &trusted).await?;
    let (edge, is_new) = app.issuer().put_trust(&caller, tenant, trusted, &via).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view::relationship(&edge, &caller, app.issuer().environment().now()))))
}

/// `DELETE /auth/admin/tenants/{tenantId}/trust-tenant/{trustedTenantId}`
pub async fn delete(
    State(app): State<App>,
    Person(caller): Person,
    From(via): From,
    Path((tenant, trusted)): Path<(String, String)>,
    Parameters(confirming): Parameters<Confirming>,
) -> Result<StatusCode, Problem> {
    let confirm = confirming.parse()?;
    let tenant = app.issuer().resolve_tenant(&caller, &tenant).await?;
    caller.administer(tenant).map_err(procura_issuer::Error::from)?;
    let trusted = app.issuer().resolve_tenant(&caller, &trusted).await?;
    app.issuer().delete_trust(&caller, tenant, trusted, confirm, &via).await?;
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
