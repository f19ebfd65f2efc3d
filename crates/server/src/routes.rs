//! The one table of routes, with what goes around all of them: limits, request ids, headers.

use axum::{Router, extract::DefaultBodyLimit, middleware};

use crate::{
    api,
    app::App,
    around, console, metrics, oauth,
    openapi::{Routes, delete, get, patch, post, put, with_itself},
    readiness, revocations,
};

/// No request body is larger.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// Every route there is for others than who runs the deployment.
pub fn routes(app: App) -> Router {
    let does_register = app.issuer().settings().self_registration.is_some();
    with_itself(table(does_register))
        .fallback(api::problem::not_found)
        .method_not_allowed_fallback(api::problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), around::around))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES)) // outermost: `around` reads bodies, too
        .with_state(app)
}

/// The table. What is not in it is not served.
fn table(does_register: bool) -> Routes {
    let table = Routes::about("")
        .merge(oauth_routes())
        .merge(console_routes())
        .merge(trust_routes())
        .merge(relationship_routes())
        .merge(control_routes())
        .merge(tenant_routes())
        .merge(quota_routes())
        .merge(client_routes())
        .merge(api_key_routes())
        .merge(identity_provider_routes())
        .merge(policy_routes())
        .merge(review_routes())
        .merge(caller_routes())
        .merge(audit_routes())
        .merge(revocation_routes())
        .merge(health_routes());
    if does_register { table.merge(registration_routes()) } else { table }
}

fn oauth_routes() -> Routes {
    Routes::about("OAuth and OpenID Connect")
        .route(
            "/.well-known/openid-configuration",
            get(oauth::metadata::discovery).is(&oauth::metadata::DISCOVERY),
        )
        .route(
            "/.well-known/oauth-authorization-server",
            get(oauth::metadata::discovery).is(&oauth::metadata::DISCOVERY_OF_OAUTH),
        )
        .route(
            oauth::protected_resource::PATH,
            get(oauth::protected_resource::metadata).is(&oauth::protected_resource::METADATA),
        )
        .route("/oauth2/jwks", get(oauth::metadata::jwks).is(&oauth::metadata::JWKS))
        .route(
            "/oauth2/authorize",
            get(oauth::authorize::by_get)
                .is(&oauth::authorize::AUTHORIZE)
                .post(oauth::authorize::by_post)
                .is(&oauth::authorize::AUTHORIZE_BY_POST),
        )
        .route("/oauth2/par", post(oauth::par::push).is(&oauth::par::PUSH))
        .route("/oauth2/device_authorization", post(oauth::device::begin).is(&oauth::device::BEGIN))
        .route("/oauth2/token", post(oauth::token::token).is(&oauth::token::TOKEN))
        .route(
            "/oauth2/userinfo",
            get(oauth::userinfo::by_get)
                .is(&oauth::userinfo::USERINFO)
                .post(oauth::userinfo::by_post)
                .is(&oauth::userinfo::USERINFO_BY_POST),
        )
        .route(
            "/oauth2/logout",
            get(oauth::logout::by_get)
                .is(&oauth::logout::LOGOUT)
                .post(oauth::logout::by_post)
                .is(&oauth::logout::LOGOUT_BY_POST),
        )
        .route(
            "/oauth2/introspect",
            post(oauth::introspect::introspect).is(&oauth::introspect::INTROSPECT),
        )
        .route("/oauth2/revoke", post(oauth::revoke::revoke).is(&oauth::revoke::REVOKE))
        .method_not_allowed_fallback(oauth::error::method_not_allowed)
}

/// Only where the configuration lets software register itself: else nothing is there.
fn registration_routes() -> Routes {
    use oauth::register;
    Routes::about("Software that registers itself")
        .route("/oauth2/register", post(register::register).is(&register::REGISTER))
        .route(
            "/oauth2/register/{client}",
            get(register::find)
                .is(&register::FIND)
                .put(register::update)
                .is(&register::UPDATE)
                .delete(register::delete)
                .is(&register::DELETE),
        )
        .method_not_allowed_fallback(oauth::error::method_not_allowed)
}

/// Why the description says nothing of a page.
const PAGE: &str = "A page for people: a form that its own page fills in.";

fn console_routes() -> Routes {
    Routes::about("Pages")
        .route("/login", get(console::login::show).post(console::login::submit).left_out(PAGE))
        .route("/login/upstream", post(console::upstream::leave).left_out(PAGE))
        .route("/login/callback/{id}", get(console::upstream::come_back).left_out(PAGE))
        .route(
            "/consent",
            get(console::consent::show).post(console::consent::submit).left_out(PAGE),
        )
        .route("/device", get(console::device::show).post(console::device::submit).left_out(PAGE))
        .route("/logout", get(console::logout::show).post(console::logout::submit).left_out(PAGE))
        .route(
            "/invitation",
            get(console::invitation::show).post(console::invitation::submit).left_out(PAGE),
        )
        .route(
            "/assets/procura.css",
            get(console::page::stylesheet).left_out("The style of pages."),
        )
}

fn trust_routes() -> Routes {
    use api::trust;
    Routes::about("Relationships")
        .route(
            "/auth/admin/tenants/{tenant}/trust-tenant/{trusted}",
            put(trust::put).is(&trust::PUT).delete(trust::delete).is(&trust::DELETE),
        )
        .route(
            "/auth/admin/tenants/{tenant}/manages-tenants",
            get(trust::manages).is(&trust::MANAGES),
        )
        .route(
            "/auth/admin/tenants/{tenant}/managed-by-tenants",
            get(trust::managed_by).is(&trust::MANAGED_BY),
        )
}

fn relationship_routes() -> Routes {
    use api::relationships;
    Routes::about("Relationships")
        .route(
            "/api/v1/partner/customers",
            get(relationships::customers).is(&relationships::CUSTOMERS),
        )
        .route(
            "/api/v1/partner/relationships",
            post(relationships::request).is(&relationships::REQUEST),
        )
        .route(
            "/api/v1/partner/relationships/{id}",
            patch(relationships::change)
                .is(&relationships::CHANGE)
                .get(relationships::find)
                .is(&relationships::FIND)
                .delete(relationships::end)
                .is(&relationships::END),
        )
        .route(
            "/api/v1/partner/relationships/{id}/approve",
            post(relationships::approve).is(&relationships::APPROVE),
        )
        .route(
            "/api/v1/partner/relationships/{id}/extend",
            post(relationships::extend).is(&relationships::EXTEND),
        )
        .route(
            "/api/v1/partner/relationships/{id}/history",
            get(relationships::history).is(&relationships::HISTORY),
        )
        .route(
            "/api/v1/partner/relationships/{id}/assigned-people",
            put(relationships::assign).is(&relationships::ASSIGN),
        )
        .route(
            "/api/v1/partner/relationships/{id}/decline",
            post(relationships::decline).is(&relationships::DECLINE),
        )
        .route(
            "/api/v1/partner/relationships/{id}/withdraw",
            post(relationships::withdraw).is(&relationships::WITHDRAW),
        )
        .route(
            "/api/v1/partner/relationships/{id}/suspend",
            post(relationships::suspend).is(&relationships::SUSPEND),
        )
        .route(
            "/api/v1/partner/relationships/{id}/resume",
            post(relationships::resume).is(&relationships::RESUME),
        )
}

fn tenant_routes() -> Routes {
    use api::{access_requests as asked, audit, partner_code, relationships, tenants, users};
    Routes::about("Tenants")
        .route(
            "/api/partners/tenants",
            post(tenants::provision)
                .is(&tenants::PROVISION)
                .get(relationships::customers)
                .is(&tenants::CUSTOMERS),
        )
        .route(
            "/api/tenants/partner-access",
            get(tenants::partner_access)
                .is(&tenants::PARTNER_ACCESS)
                .put(tenants::switch_partner_access)
                .is(&tenants::SWITCH_PARTNER_ACCESS),
        )
        .route("/api/tenants/partner-code", post(partner_code::change).is(&partner_code::CHANGE))
        .route(
            "/api/tenants/partner-activity",
            get(audit::partner_activity).is(&audit::PARTNER_ACTIVITY),
        )
        .route("/api/tenants/access-requests", get(asked::list).is(&asked::LIST))
        .route("/api/tenants/access-requests/{id}", get(asked::find).is(&asked::FIND))
        .route(
            "/api/tenants/access-requests/{id}/approve",
            post(asked::approve).is(&asked::APPROVE),
        )
        .route(
            "/api/tenants/access-requests/{id}/decline",
            post(asked::decline).is(&asked::DECLINE),
        )
        .route("/api/tenants/access-requests/{id}/end", post(asked::end).is(&asked::END))
        .route("/api/tenants/users", get(users::list).is(&users::LIST))
        .route("/api/tenants/users/{id}/disable", post(users::disable).is(&users::DISABLE))
        .route("/api/tenants/users/{id}/enable", post(users::enable).is(&users::ENABLE))
}

fn quota_routes() -> Routes {
    use api::quotas;
    Routes::about("Quotas")
        .route("/api/tenants/quotas", get(quotas::show).is(&quotas::SHOW))
        .route("/api/tenants/usage", get(quotas::usage).is(&quotas::USAGE))
        .route("/api/admin/tenants/{id}/quotas", put(quotas::set).is(&quotas::SET))
}

fn caller_routes() -> Routes {
    use api::me;
    Routes::about("The caller")
        .route("/api/me/consents", get(me::consents).is(&me::CONSENTS))
        .route("/api/me/consents/{client}", delete(me::withdraw).is(&me::WITHDRAW))
}

fn audit_routes() -> Routes {
    use api::{audit, explain, incidents};
    Routes::about("Audit")
        .route("/api/audit-logs", get(audit::list).is(&audit::LIST))
        .route("/api/audit-events", post(audit::report).is(&audit::REPORT))
        .route("/api/explain", post(explain::explain).is(&explain::EXPLAIN))
        .route("/api/incidents", post(incidents::declare).is(&incidents::DECLARE))
}

fn control_routes() -> Routes {
    use api::{delegations, previews};
    Routes::about("What runs now")
        .route("/api/tenants/delegations", get(delegations::list_in).is(&delegations::LIST_IN))
        .route(
            "/api/tenants/delegations/{id}/end",
            post(delegations::end_in).is(&delegations::END_IN),
        )
        .route("/api/v1/partner/delegations", get(delegations::list_of).is(&delegations::LIST_OF))
        .route(
            "/api/v1/partner/delegations/{id}/end",
            post(delegations::end_of).is(&delegations::END_OF),
        )
        .route(
            "/api/tenants/partner-access/preview",
            post(previews::partner_access).is(&previews::PARTNER_ACCESS),
        )
        .route(
            "/api/v1/partner/relationships/{id}/preview",
            post(previews::relationship).is(&previews::RELATIONSHIP),
        )
}

fn api_key_routes() -> Routes {
    use api::api_keys;
    Routes::about("Keys for programs")
        .route(
            "/api/api-keys",
            get(api_keys::list).is(&api_keys::LIST).post(api_keys::make).is(&api_keys::MAKE),
        )
        .route("/api/api-keys/{id}", delete(api_keys::end).is(&api_keys::END))
}

fn review_routes() -> Routes {
    use api::{break_glass, reviews};
    Routes::about("The customer's control")
        .route(
            "/api/tenants/break-glass-codes",
            get(break_glass::list)
                .is(&break_glass::LIST)
                .post(break_glass::make)
                .is(&break_glass::MAKE),
        )
        .route("/break-glass", post(break_glass::use_code).is(&break_glass::USE))
        .route("/api/tenants/relationship-review", get(reviews::list).is(&reviews::LIST))
        .route("/api/tenants/relationship-review/{id}", put(reviews::put).is(&reviews::PUT))
        .route(
            "/api/v1/partner/relationships/{id}/shrink",
            post(reviews::shrink).is(&reviews::SHRINK),
        )
}

fn client_routes() -> Routes {
    use api::{clients, initial_tokens, resource_servers};
    Routes::about("Clients and resource servers")
        .route(
            "/api/initial-access-tokens",
            get(initial_tokens::list)
                .is(&initial_tokens::LIST)
                .post(initial_tokens::make)
                .is(&initial_tokens::MAKE),
        )
        .route(
            "/api/initial-access-tokens/{id}",
            delete(initial_tokens::end).is(&initial_tokens::END),
        )
        .route(
            "/api/clients",
            get(clients::list).is(&clients::LIST).post(clients::register).is(&clients::REGISTER),
        )
        .route(
            "/api/clients/{id}",
            get(clients::find)
                .is(&clients::FIND)
                .patch(clients::update)
                .is(&clients::UPDATE)
                .delete(clients::delete)
                .is(&clients::DELETE),
        )
        .route("/api/clients/{id}/secrets", post(clients::rotate).is(&clients::ROTATE))
        .route("/api/clients/{id}/disable", post(clients::disable).is(&clients::DISABLE))
        .route("/api/clients/{id}/enable", post(clients::enable).is(&clients::ENABLE))
        .route(
            "/api/resource-servers",
            get(resource_servers::list)
                .is(&resource_servers::LIST)
                .post(resource_servers::add)
                .is(&resource_servers::ADD),
        )
        .route(
            "/api/resource-servers/{id}",
            get(resource_servers::find)
                .is(&resource_servers::FIND)
                .patch(resource_servers::update)
                .is(&resource_servers::UPDATE)
                .delete(resource_servers::remove)
                .is(&resource_servers::REMOVE),
        )
}

fn identity_provider_routes() -> Routes {
    use api::identity_providers as providers;
    Routes::about("Identity providers")
        .route(
            "/api/identity-providers",
            get(providers::list).is(&providers::LIST).post(providers::add).is(&providers::ADD),
        )
        .route(
            "/api/identity-providers/{id}",
            get(providers::find)
                .is(&providers::FIND)
                .patch(providers::update)
                .is(&providers::UPDATE)
                .delete(providers::remove)
                .is(&providers::REMOVE),
        )
        .route(
            "/api/identity-providers/{id}/links",
            get(providers::list_links)
                .is(&providers::LIST_LINKS)
                .post(providers::add_link)
                .is(&providers::ADD_LINK),
        )
        .route(
            "/api/identity-providers/{id}/links/{user}",
            delete(providers::remove_link).is(&providers::REMOVE_LINK),
        )
}

fn policy_routes() -> Routes {
    use api::policies;
    Routes::about("Login policies")
        .route(
            "/api/policies",
            get(policies::list).is(&policies::LIST).post(policies::add).is(&policies::ADD),
        )
        .route(
            "/api/policies/{id}",
            get(policies::find)
                .is(&policies::FIND)
                .put(policies::update)
                .is(&policies::UPDATE)
                .delete(policies::delete)
                .is(&policies::DELETE),
        )
        .route("/api/tenants/policies", get(policies::holds).is(&policies::HOLDS))
        .route(
            "/api/tenants/{tenant}/policies/{policy}",
            put(policies::apply)
                .is(&policies::APPLY)
                .delete(policies::remove)
                .is(&policies::REMOVE),
        )
}

fn health_routes() -> Routes {
    Routes::about("Health and description")
        .route("/api/health", get(readiness::health).is(&readiness::HEALTH))
        .merge(probe_routes())
}

fn probe_routes() -> Routes {
    Routes::about("Health and description")
        .route("/livez", get(readiness::livez).is(&readiness::LIVE))
        .route("/readyz", get(readiness::readyz).is(&readiness::READY))
}

/// The routes of the private listener, for who runs the deployment.
pub fn private_routes(app: App) -> Router {
    let metrics = get(metrics::show).left_out("For who runs the deployment.");
    probe_routes().route("/metrics", metrics).into_router().with_state(app)
}

fn revocation_routes() -> Routes {
    Routes::about("Revocation feed")
        .route(
            "/revocations/stream",
            get(revocations::stream::stream).is(&revocations::stream::STREAM),
        )
        .route(
            "/revocations/snapshot",
            get(revocations::snapshot::snapshot).is(&revocations::snapshot::SNAPSHOT),
        )
        .route("/revocations/ack", post(revocations::ack::ack).is(&revocations::ack::ACK))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::openapi::table::Said;

    #[test]
    fn every_route_is_described_or_left_out_with_a_reason() {
        let mut faults = Vec::new();
        for entry in table(true).entries() {
            let name = format!("{} {}", entry.method, entry.path);
            match entry.said {
                Said::Described(_) => {}
                Said::LeftOut(why) if !why.is_empty() => {}
                Said::LeftOut(_) | Said::Nothing => faults.push(format!(
                    "{name} is in the table of routes without a description: write a `pub const \
                     THING: Operation = …` above its handler (crates/server/src/openapi/operation.rs \
                     shows how) and `.is(&module::THING)` behind the handler in routes.rs; or, for a page \
                     for people, `.left_out(why)`."
                )),
            }
        }
        assert!(faults.is_empty(), "\n  {}\n", faults.join("\n  "));
    }

    #[test]
    fn every_description_has_a_name_of_its_own_and_an_answer() {
        let mut names = BTreeSet::new();
        for entry in table(true).entries() {
            if let Said::Described(operation) = entry.said {
                assert!(names.insert(operation.id), "two operations are called {}", operation.id);
                assert!(!operation.answers.is_empty(), "{} answers nothing", operation.id);
            }
        }
    }
}
