//! The one table of routes, with what goes around all of them: limits, request ids, headers.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, patch, post, put},
};

use crate::{api, app::App, around, console, metrics, oauth, readiness, revocations};

/// No request body is larger.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// Every route there is for others than who runs the deployment.
pub fn routes(app: App) -> Router {
    let does_register = app.issuer().settings().self_registration.is_some();
    Router::new()
        .merge(oauth_routes())
        .merge(if does_register { registration_routes() } else { Router::new() })
        .merge(console_routes())
        .merge(relationship_routes())
        .merge(api_routes())
        .merge(control_routes())
        .merge(client_routes())
        .merge(identity_provider_routes())
        .merge(revocation_routes())
        .merge(health_routes())
        .fallback(api::problem::not_found)
        .method_not_allowed_fallback(api::problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(app.clone(), around::around))
        .with_state(app)
}

fn oauth_routes() -> Router<App> {
    Router::new()
        .route("/.well-known/openid-configuration", get(oauth::metadata::discovery))
        .route("/.well-known/oauth-authorization-server", get(oauth::metadata::discovery))
        .route(oauth::protected_resource::PATH, get(oauth::protected_resource::metadata))
        .route("/oauth2/jwks", get(oauth::metadata::jwks))
        .route("/oauth2/authorize", get(oauth::authorize::by_get).post(oauth::authorize::by_post))
        .route("/oauth2/par", post(oauth::par::push))
        .route("/oauth2/device_authorization", post(oauth::device::begin))
        .route("/oauth2/token", post(oauth::token::token))
        .route("/oauth2/userinfo", get(oauth::userinfo::by_get).post(oauth::userinfo::by_post))
        .route("/oauth2/logout", get(oauth::logout::by_get).post(oauth::logout::by_post))
        .route("/oauth2/introspect", post(oauth::introspect::introspect))
        .route("/oauth2/revoke", post(oauth::revoke::revoke))
        .method_not_allowed_fallback(oauth::error::method_not_allowed)
}

/// Only where the configuration lets software register itself: else nothing is there.
fn registration_routes() -> Router<App> {
    use oauth::register;
    Router::new()
        .route("/oauth2/register", post(register::register))
        .route(
            "/oauth2/register/{client}",
            get(register::find).put(register::update).delete(register::delete),
        )
        .method_not_allowed_fallback(oauth::error::method_not_allowed)
}

fn console_routes() -> Router<App> {
    Router::new()
        .route("/login", get(console::login::show).post(console::login::submit))
        .route("/login/upstream", post(console::upstream::leave))
        .route("/login/callback/{id}", get(console::upstream::come_back))
        .route("/consent", get(console::consent::show).post(console::consent::submit))
        .route("/device", get(console::device::show).post(console::device::submit))
        .route("/logout", get(console::logout::show).post(console::logout::submit))
        .route("/invitation", get(console::invitation::show).post(console::invitation::submit))
        .route("/assets/procura.css", get(console::page::stylesheet))
}

fn relationship_routes() -> Router<App> {
    Router::new()
        .route(
            "/auth/admin/tenants/{tenant}/trust-tenant/{trusted}",
            put(api::trust::put).delete(api::trust::delete),
        )
        .route("/auth/admin/tenants/{tenant}/manages-tenants", get(api::trust::manages))
        .route("/auth/admin/tenants/{tenant}/managed-by-tenants", get(api::trust::managed_by))
        .route("/api/v1/partner/customers", get(api::relationships::customers))
        .route("/api/v1/partner/relationships", post(api::relationships::request))
        .route(
            "/api/v1/partner/relationships/{id}",
            patch(api::relationships::change)
                .get(api::relationships::find)
                .delete(api::relationships::end),
        )
        .route("/api/v1/partner/relationships/{id}/approve", post(api::relationships::approve))
        .route("/api/v1/partner/relationships/{id}/extend", post(api::relationships::extend))
        .route("/api/v1/partner/relationships/{id}/history", get(api::relationships::history))
        .route(
            "/api/v1/partner/relationships/{id}/assigned-people",
            put(api::relationships::assign),
        )
        .route("/api/v1/partner/relationships/{id}/{step}", post(api::relationships::step))
}

fn api_routes() -> Router<App> {
    Router::new()
        .route(
            "/api/partners/tenants",
            post(api::tenants::provision).get(api::relationships::customers),
        )
        .route(
            "/api/tenants/partner-access",
            get(api::tenants::partner_access).put(api::tenants::switch_partner_access),
        )
        .route("/api/tenants/partner-activity", get(api::audit::partner_activity))
        .route("/api/tenants/access-requests", get(api::access_requests::list))
        .route("/api/tenants/access-requests/{id}", get(api::access_requests::find))
        .route("/api/tenants/access-requests/{id}/approve", post(api::access_requests::approve))
        .route("/api/tenants/access-requests/{id}/decline", post(api::access_requests::decline))
        .route("/api/tenants/access-requests/{id}/end", post(api::access_requests::end))
        .route("/api/tenants/users", get(api::users::list))
        .route("/api/tenants/users/{id}/disable", post(api::users::disable))
        .route("/api/tenants/users/{id}/enable", post(api::users::enable))
        .route("/api/me/consents", get(api::me::consents))
        .route("/api/me/consents/{client}", delete(api::me::withdraw))
        .route("/api/audit-logs", get(api::audit::list))
        .route("/api/audit-events", post(api::audit::report))
        .route("/api/explain", post(api::explain::explain))
        .route("/api/incidents", post(api::incidents::declare))
        .route("/api/health", get(readiness::health))
}

fn control_routes() -> Router<App> {
    use api::{break_glass, delegations, previews, reviews};
    Router::new()
        .route("/api/tenants/delegations", get(delegations::list_in))
        .route("/api/tenants/delegations/{id}/end", post(delegations::end_in))
        .route("/api/v1/partner/delegations", get(delegations::list_of))
        .route("/api/v1/partner/delegations/{id}/end", post(delegations::end_of))
        .route("/api/tenants/partner-access/preview", post(previews::partner_access))
        .route("/api/v1/partner/relationships/{id}/preview", post(previews::relationship))
        .route("/api/tenants/break-glass-codes", get(break_glass::list).post(break_glass::make))
        .route("/break-glass", post(break_glass::use_code))
        .route("/api/tenants/relationship-review", get(reviews::list))
        .route("/api/tenants/relationship-review/{id}", put(reviews::put))
        .route("/api/v1/partner/relationships/{id}/shrink", post(reviews::shrink))
}

fn client_routes() -> Router<App> {
    use api::{clients, initial_tokens, resource_servers};
    Router::new()
        .route("/api/initial-access-tokens", get(initial_tokens::list).post(initial_tokens::make))
        .route("/api/initial-access-tokens/{id}", delete(initial_tokens::end))
        .route("/api/clients", get(clients::list).post(clients::register))
        .route(
            "/api/clients/{id}",
            get(clients::find).patch(clients::update).delete(clients::delete),
        )
        .route("/api/clients/{id}/secrets", post(clients::rotate))
        .route("/api/clients/{id}/disable", post(clients::disable))
        .route("/api/clients/{id}/enable", post(clients::enable))
        .route("/api/resource-servers", get(resource_servers::list).post(resource_servers::add))
        .route(
            "/api/resource-servers/{id}",
            get(resource_servers::find)
                .patch(resource_servers::update)
                .delete(resource_servers::remove),
        )
}

fn identity_provider_routes() -> Router<App> {
    use api::identity_providers as providers;
    Router::new()
        .route("/api/identity-providers", get(providers::list).post(providers::add))
        .route(
            "/api/identity-providers/{id}",
            get(providers::find).patch(providers::update).delete(providers::remove),
        )
        .route(
            "/api/identity-providers/{id}/links",
            get(providers::list_links).post(providers::add_link),
        )
        .route("/api/identity-providers/{id}/links/{user}", delete(providers::remove_link))
}

fn health_routes() -> Router<App> {
    Router::new().route("/livez", get(readiness::livez)).route("/readyz", get(readiness::readyz))
}

/// The routes of the private listener, for who runs the deployment.
pub fn private_routes(app: App) -> Router {
    health_routes().route("/metrics", get(metrics::show)).with_state(app)
}

fn revocation_routes() -> Router<App> {
    Router::new()
        .route("/revocations/stream", get(revocations::stream::stream))
        .route("/revocations/snapshot", get(revocations::snapshot::snapshot))
        .route("/revocations/ack", post(revocations::ack::ack))
}
