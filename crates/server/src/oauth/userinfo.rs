//! `GET/POST /oauth2/userinfo` (OpenID Connect Core §5.3), with the token in the header.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use procura_issuer::Error;
use serde_json::{Map, Value};

use crate::{api::caller::bearer, app::App, oauth::error::OAuthError};

/// The handler.
pub async fn userinfo(
    State(app): State<App>,
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
    let token = bearer(&headers).ok_or(MISSING)?;
    let claims = app.issuer().userinfo(token).await.map_err(|error| match error {
        Error::Unauthenticated => INVALID,
        Error::Forbidden => SCOPE,
        other => other.into(),
    })?;
    Ok(Json(claims))
}
