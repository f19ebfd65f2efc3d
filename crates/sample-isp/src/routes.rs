//! The one table of routes, with the permission that each asks for.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    handler::Handler,
    middleware,
    routing::{get, patch},
};
use procura_verify::{Login, Metadata, Verifier, require_login, require_scope};
use serde::Serialize;

use crate::{
    billing,
    database::Database,
    input,
    outbox::Outbox,
    problem::Problem,
    refusals::{self, Refusals},
    reports, subscribers, tickets,
};

/// The permissions that the routes ask for, as our metadata names them.
pub const PERMISSIONS: [&str; 9] = [
    "partner.billing.read",
    "partner.billing.invoices.read",
    "partner.support.tickets.list",
    "partner.support.tickets.create",
    "partner.support.tickets.update",
    "partner.reports.usage.read",
    "partner.reports.sla.read",
    "tenant.users.list",
    "pii.unmask",
];

/// Who takes all invoices away has just logged in, in one of the ways that the issuer knows itself.
const JUST_LOGGED_IN: Login = Login::within_secs(300)
    .and_of_kind(&["urn:procura:acr:phr", "urn:procura:acr:mfa", "urn:procura:acr:pwd"])
    .for_scope("partner.billing.invoices.read");

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    /// Accepts or refuses tokens.
    pub verifier: Verifier,
    /// Our rows.
    pub database: Database,
    /// Reports to Procura's audit log.
    pub outbox: Arc<Outbox>,
    /// Which refusals are among them.
    pub refusals: Arc<Refusals>,
}

/// Every route there is.
pub fn routes(app: App) -> Router {
    let guarded = partner_routes()
        .route(
            "/api/v1/subscribers",
            get(subscribers::list.layer(require_scope("tenant.users.list"))),
        )
        .route_layer(middleware::from_fn_with_state(app.clone(), refusals::report))
        .route_layer(app.verifier.layer());
    // Outside the guard: who has no token yet reads here where to get one.
    let metadata = app.verifier.metadata().cloned();
    Router::new()
        .merge(guarded)
        .merge(metadata.map(Metadata::routes).unwrap_or_default())
        .route("/health", get(health))
        .fallback(async || Problem::NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD)
        .layer(middleware::from_fn(input::whole))
        .layer(DefaultBodyLimit::max(input::MAX_BODY_BYTES))
        .with_state(app)
}

fn partner_routes() -> Router<App> {
    Router::new()
        .route(
            "/api/v1/partner/billing/summary",
            get(billing::summary.layer(require_scope("partner.billing.read"))),
        )
        .route(
            "/api/v1/partner/billing/invoices",
            get(billing::invoices.layer(require_scope("partner.billing.invoices.read"))),
        )
        .route(
            "/api/v1/partner/billing/invoices/export",
            get(billing::export.layer(require_login(JUST_LOGGED_IN))),
        )
        .route(
            "/api/v1/partner/support/tickets",
            get(tickets::list.layer(require_scope("partner.support.tickets.list")))
                .post(tickets::create.layer(require_scope("partner.support.tickets.create"))),
        )
        .route(
            "/api/v1/partner/support/tickets/{id}",
            patch(tickets::update.layer(require_scope("partner.support.tickets.update"))),
        )
        .route(
            "/api/v1/partner/reports/usage",
            get(reports::usage.layer(require_scope("partner.reports.usage.read"))),
        )
        .route(
            "/api/v1/partner/reports/sla",
            get(reports::sla.layer(require_scope("partner.reports.sla.read"))),
        )
}

/// How the process is doing. Names no tenant.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    /// Whether delegated tokens can be judged here, without asking Procura for each.
    is_verifier_ready: bool,
    /// Whether revocations come from Redis just now.
    is_copy_followed: bool,
    /// How far the revocation log is applied.
    applied: Option<i64>,
    /// Reports that are not delivered yet.
    reports_waiting: i64,
}

async fn health(State(app): State<App>) -> Result<Json<Health>, Problem> {
    let status = app.verifier.status();
    Ok(Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        is_verifier_ready: status.has_keys && status.is_synced && status.lease_remaining.is_some(),
        is_copy_followed: status.is_copy_followed,
        applied: status.applied.map(|seq| seq.0),
        reports_waiting: app.outbox.waiting().await?,
    }))
}
