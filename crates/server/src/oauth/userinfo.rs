//! `GET/POST /oauth2/userinfo` (OpenID Connect Core §5.3), with the token in the header, by either scheme.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode},
};
use procura_issuer::Error;
use serde_json::{Map, Value};

use crate::{
    app::App,
    oauth::{dpop, error::OAuthError},
};

/// The handler.
pub async fn userinfo(
    State(app): State<App>,
    method: Method,
    headers: HeaderMap,
) -> Result<Json<Map<String, Value>>, OAuthError> {
    const MISSING: OAuthError =
        OAuthError::bearer(StatusCode::UNAUTHORIZED, "invalid_request", "Bearer");
    const INVALID: OAuthError = OAuthError::bearer(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "Bearer error=\"invalid_token\"",
    );
    const SCOPE: OAuthError = OAuthError::bearer(
        StatusCode::FORBIDDEN,
        "insufficient_scope",
        "Bearer error=\"insufficient_scope\", scope=\"openid\"",
    );
    const UNPROVEN: OAuthError = OAuthError::bearer(
        StatusCode::UNAUTHORIZED,
        "invalid_dpop_proof",
        "DPoP error=\"invalid_dpop_proof\", algs=\"PS256 ES256 EdDSA\"",
    );
    const INVALID_WITH_PROOF: OAuthError = OAuthError::bearer(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "DPoP error=\"invalid_token\", algs=\"PS256 ES256 EdDSA\"",
    );
    let shows = dpop::shows(&app, &headers, (method.as_str(), "/oauth2/userinfo")).await;
    let shows = shows.map_err(|error| match error {
        Error::ProofRefused(_) => UNPROVEN,
        Error::Unauthenticated => INVALID_WITH_PROOF,
        other => other.into(),
    })?;
    let shows = shows.ok_or(MISSING)?;
    let claims = app.issuer().userinfo(shows.token, shows.shown()).await;
    let claims = claims.map_err(|error| match error {
        Error::Unauthenticated if shows.is_proven() => INVALID_WITH_PROOF,
        Error::Unauthenticated => INVALID,
        Error::Forbidden => SCOPE,
        other => other.into(),
    })?;
    Ok(Json(claims))
}
