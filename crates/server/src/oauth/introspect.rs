//! `POST /oauth2/introspect` (RFC 7662, RFC 9701). Answers only the audience's own resource server.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use procura_issuer::{Via, introspect::INTROSPECTION_TYPE};
use procura_store::clients::ResourceServer;
use procura_token::AccessClaims;
use serde_json::{Value, json};

use crate::{
    api::caller::basic,
    app::App,
    around::From,
    oauth::{client_auth, error::OAuthError, form::Form},
    openapi::{Operation, Reply, Shape, Who},
};

/// Described.
pub const INTROSPECT: Operation =
    Operation::oauth(Who::Asking, "introspectToken", "What a token is")
        .notes(
            "RFC 7662; active only for the asking resource server's own \
            audience. Signed (RFC 9701) where it is asked for or \
            registered.",
        )
        .headers(&[("Accept", Shape::Text)])
        .form(&["token"], &["token_type_hint", "client_assertion", "client_assertion_type"])
        .answers(&[
            Reply::json(200, Shape::AtLeast(&[("active", Shape::Truth)])),
            Reply::other(200, "application/token-introspection+jwt"),
        ])
        .errors(&[(400, &["invalid_request"]), (401, &["invalid_client"])]);

/// The handler.
pub async fn introspect(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, OAuthError> {
    let asking = asking(&app, &headers, &form, &via).await?;
    let claims = app.issuer().introspect(&asking, form.require("token")?).await?;
    let body = body(claims)?;
    let client = app.issuer().store().find_client(&asking.client).await;
    let client = client.map_err(procura_issuer::Error::from)?;
    let alg = client.and_then(|client| client.registration.introspection_signed_response_alg);
    if alg.is_none() && !wants_signed(&headers) {
        return Ok(Json(body).into_response());
    }
    let signed = app.issuer().sign_introspection(&asking, alg, &body).await?;
    let kind = format!("application/{INTROSPECTION_TYPE}");
    Ok(([(header::CONTENT_TYPE, kind)], signed).into_response())
}

/// What a token is, or that it is nothing to this caller.
fn body(claims: Option<AccessClaims>) -> Result<Value, procura_issuer::Error> {
    let Some(claims) = claims else { return Ok(json!({ "active": false })) };
    let token_type = if claims.cnf.is_some() { "DPoP" } else { "Bearer" };
    let mut body = serde_json::to_value(claims).map_err(|_| procura_issuer::Error::Broken)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("active".into(), true.into());
        body.insert("token_type".into(), token_type.into());
    }
    Ok(body)
}

/// Whether the signed form is asked for by its media type (RFC 9701 §4).
fn wants_signed(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut kinds = values.flat_map(|value| value.split(','));
    kinds.any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.strip_prefix("application/").is_some_and(|kind| kind == INTROSPECTION_TYPE)
    })
}

/// The resource server that asks: by Basic, or by an assertion.
async fn asking(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
    via: &Via,
) -> Result<ResourceServer, OAuthError> {
    let issuer = app.issuer();
    if client_auth::has_assertion(form) {
        let action = "token.introspect";
        let client = client_auth::authenticate(issuer, headers, form, action, via).await?;
        return Ok(issuer.resource_server_of(&client).await?);
    }
    let challenge = OAuthError::CLIENT.with_basic_challenge();
    let (id, secret) = basic(headers).ok_or(challenge)?;
    let id = id.parse().map_err(|_| challenge)?;
    issuer.authenticate_resource_server(&id, &secret).await.map_err(|error| {
        if error == procura_issuer::Error::Unauthenticated { challenge } else { error.into() }
    })
}
