//! `/api/identity-providers`: by which logins of their own people of a tenant come in, and who is who.
//! For the tenant's own admin, and for the operator.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use procura_domain::{Caller, ProviderSettings};
use procura_issuer::{
    Error,
    hand::Hand,
    identity_providers::{ChangedProvider, NewProvider},
};
use procura_store::identity_providers::Provider;
use procura_token::{ProviderId, TenantId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{
        caller::{Changing, ChangingVersion, Person},
        input::{Body, Expected, Parameters, no_store, tagged},
        problem::Problem,
        shapes, view,
    },
    app::App,
    openapi::{Operation, Refusal, Reply, Shape},
};

/// What a list can be narrowed to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Of {
    tenant_id: Option<String>,
}

/// Described.
pub const LIST: Operation = Operation::person("listIdentityProviders", "Identity providers")
    .open_to("The tenant's own admin, operator.")
    .query(&[("tenant_id", Shape::Text)])
    .answers(&[Reply::json(200, Shape::List(&shapes::PROVIDER))])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/identity-providers`
pub async fn list(
    State(app): State<App>,
    Person(caller): Person,
    Parameters(of): Parameters<Of>,
) -> Result<Json<Value>, Problem> {
    let tenant = named(&app, &caller, of.tenant_id.as_deref()).await?;
    let providers = app.issuer().list_identity_providers(Some(&caller), tenant).await?;
    Ok(Json(providers.iter().map(|provider| shown(&app, provider)).collect()))
}

/// Described.
pub const ADD: Operation = Operation::person("addIdentityProvider", "Add an identity provider")
    .open_to("The tenant's own admin, operator.")
    .change()
    .takes(shapes::NEW_PROVIDER)
    .answers(&[Reply::json(201, shapes::PROVIDER).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/identity-providers`
pub async fn add(
    State(app): State<App>,
    Changing(call): Changing,
    Body(mut body): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let tenant = named(&app, &call.caller, taken(&mut body, "tenant_id")?.as_deref()).await?;
    let tenant = tenant.unwrap_or(call.caller.tenant);
    // Before its settings are looked at: a stranger learns nothing of what would be right.
    call.caller.administer_identity_providers(tenant).map_err(Error::from)?;
    let mut needed = |name| taken(&mut body, name)?.ok_or(Problem::invalid(name));
    let (name, issuer) = (needed("name")?, needed("issuer")?);
    let client_secret = needed("client_secret")?;
    let new = NewProvider { name: &name, issuer: &issuer, client_secret: &client_secret };
    let settings = ProviderSettings::default().patched(&Value::Object(body));
    let settings = settings.map_err(Error::from)?;
    let hand = Hand::Person(&call);
    let provider = app.issuer().add_identity_provider(hand, tenant, new, settings).await?;
    Ok(tagged(StatusCode::CREATED, provider.version, shown(&app, &provider)))
}

/// Described.
pub const FIND: Operation = Operation::person("getIdentityProvider", "An identity provider")
    .open_to("The tenant's own admin, operator.")
    .answers(&[Reply::json(200, shapes::PROVIDER).tagged()])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/identity-providers/{id}`
pub async fn find(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let provider = app.issuer().find_identity_provider(Some(&caller), parse(&id)?).await?;
    Ok(tagged(StatusCode::OK, provider.version, shown(&app, &provider)))
}

/// Described.
pub const UPDATE: Operation =
    Operation::person("updateIdentityProvider", "Change an identity provider")
        .open_to("The tenant's own admin, operator.")
        .notes("A JSON merge patch. What makes its logins count for less ends them.")
        .versioned()
        .takes(shapes::PROVIDER_PATCH)
        .answers(&[Reply::json(
            200,
            Shape::Object(&[("identity_provider", shapes::PROVIDER), ("revoked", shapes::REVOKED)]),
        )
        .tagged()])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `PATCH /api/identity-providers/{id}`: a JSON Merge Patch; `client_secret` is written and never read.
pub async fn update(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
    Body(mut patch): Body<Map<String, Value>>,
) -> Result<Response, Problem> {
    let secret = taken(&mut patch, "client_secret")?;
    let (hand, patch) = (Hand::Person(&call), Value::Object(patch));
    let wish = (&patch, secret.as_deref());
    let changed = app.issuer().update_identity_provider(hand, parse(&id)?, wish, version).await?;
    let ChangedProvider { provider, revoked } = changed;
    let body = json!({
        "identity_provider": shown(&app, &provider),
        "revoked": view::revoked(revoked.as_ref()),
    });
    Ok(tagged(StatusCode::OK, provider.version, body))
}

/// Described.
pub const REMOVE: Operation =
    Operation::person("removeIdentityProvider", "Remove an identity provider")
        .open_to("The tenant's own admin, operator.")
        .notes("Its name stays taken.")
        .versioned()
        .answers(&[Reply::json(200, shapes::ONLY_REVOKED)])
        .refuses(&[
            Refusal::FORBIDDEN,
            Refusal::NOT_FOUND,
            Refusal::CONFLICT,
            Refusal::WRONG_STATE,
        ]);

/// `DELETE /api/identity-providers/{id}`
pub async fn remove(
    State(app): State<App>,
    ChangingVersion(call): ChangingVersion,
    Path(id): Path<String>,
    Expected(version): Expected,
) -> Result<Json<Value>, Problem> {
    let hand = Hand::Person(&call);
    let revoked = app.issuer().remove_identity_provider(hand, parse(&id)?, version).await?;
    Ok(Json(json!({ "revoked": view::revoked(Some(&revoked)) })))
}

/// Described.
pub const LIST_LINKS: Operation =
    Operation::person("listIdentityLinks", "Who of a provider is who here")
        .open_to("The tenant's own admin, operator.")
        .answers(&[Reply::json(200, Shape::List(&shapes::IDENTITY_LINK))])
        .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND]);

/// `GET /api/identity-providers/{id}/links`
pub async fn list_links(
    State(app): State<App>,
    Person(caller): Person,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let links = app.issuer().list_identity_links(Some(&caller), parse(&id)?).await?;
    Ok(Json(links.iter().map(view::identity_link).collect()))
}

/// Who is who.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    subject: String,
    user_id: String,
}

/// Described.
pub const ADD_LINK: Operation = Operation::person("addIdentityLink", "Say who is who")
    .open_to("The tenant's own admin, operator.")
    .change()
    .takes(Shape::Object(&[("subject", Shape::Text), ("user_id", Shape::Text)]))
    .answers(&[Reply::json(201, shapes::IDENTITY_LINK)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `POST /api/identity-providers/{id}/links`
pub async fn add_link(
    State(app): State<App>,
    Changing(call): Changing,
    Path(id): Path<String>,
    Body(new): Body<NewLink>,
) -> Result<Response, Problem> {
    let user = new.user_id.parse().map_err(|_| Problem::invalid("user_id"))?;
    let (hand, pair) = (Hand::Person(&call), (new.subject.as_str(), user));
    let link = app.issuer().add_identity_link(hand, parse(&id)?, pair).await?;
    Ok((StatusCode::CREATED, [no_store()], Json(view::identity_link(&link))).into_response())
}

/// Described.
pub const REMOVE_LINK: Operation = Operation::person("removeIdentityLink", "Take that back")
    .open_to("The tenant's own admin, operator.")
    .change()
    .answers(&[Reply::json(200, shapes::ONLY_REVOKED)])
    .refuses(&[Refusal::FORBIDDEN, Refusal::NOT_FOUND, Refusal::CONFLICT, Refusal::WRONG_STATE]);

/// `DELETE /api/identity-providers/{id}/links/{user}`
pub async fn remove_link(
    State(app): State<App>,
    Changing(call): Changing,
    Path((id, user)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let user = user.parse().map_err(|_| Problem::NOT_FOUND)?;
    let hand = Hand::Person(&call);
    let revoked = app.issuer().remove_identity_link(hand, parse(&id)?, user).await?;
    Ok(Json(json!({ "revoked": view::revoked(Some(&revoked)) })))
}

fn shown(app: &App, provider: &Provider) -> Value {
    view::provider(provider, &app.issuer().upstream_redirect_uri(provider.id))
}

/// Takes a text out of a body.
fn taken(body: &mut Map<String, Value>, member: &'static str) -> Result<Option<String>, Problem> {
    match body.remove(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::invalid(member)),
    }
}

/// The tenant that a request names by id or slug, where it names one.
async fn named(
    app: &App,
    caller: &Caller,
    name: Option<&str>,
) -> Result<Option<TenantId>, Problem> {
    match name {
        Some(name) => Ok(Some(app.issuer().resolve_tenant(caller, name).await?)),
        None => Ok(None),
    }
}

/// A malformed id names nothing.
fn parse(id: &str) -> Result<ProviderId, Problem> {
    id.parse().map_err(|_| Problem::NOT_FOUND)
}
