//! `GET/POST /oauth2/userinfo` (OpenID Connect Core §5.3), with the token in the header, or in the form
//! of a POST (RFC 6750 §2.2); never in both, never in the query.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_issuer::{Error, identity::UserInfo};

use crate::{
    api::caller::bearer,
    app::App,
    oauth::{error::OAuthError, form::Form},
};

const MISSING: OAuthError =
    OAuthError::bearer(StatusCode::UNAUTHORIZED, "invalid_request", "Bearer");
const TWICE: OAuthError = OAuthError::bearer(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    "Bearer error=\"invalid_request\"",
);
const INVALID: OAuthError =
    OAuthError::bearer(StatusCode::UNAUTHORIZED, "invalid_token", "Bearer error=\"invalid_token\"");
const SCOPE: OAuthError = OAuthError::bearer(
    StatusCode::FORBIDDEN,
    "insufficient_scope",
    "Bearer error=\"insufficient_scope\", scope=\"openid\"",
);

/// By GET.
pub async fn by_get(State(app): State<App>, headers: HeaderMap) -> Result<Response, OAuthError> {
    show(&app, bearer(&headers).ok_or(MISSING)?).await
}

/// By POST. A body that is no form is none of ours to read.
pub async fn by_post(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Result<Response, OAuthError> {
    let form = form.unwrap_or_default();
    let has_header = headers.contains_key(header::AUTHORIZATION);
    match form.get("access_token") {
        Some(_) if has_header => Err(TWICE),
        Some(token) => show(&app, token).await,
        None => show(&app, bearer(&headers).ok_or(MISSING)?).await,
    }
}

async fn show(app: &App, token: &str) -> Result<Response, OAuthError> {
    let known = app.issuer().userinfo(token).await.map_err(|error| match error {
        Error::Unauthenticated => INVALID,
        Error::Forbidden => SCOPE,
        other => other.into(),
    })?;
    Ok(match known {
        UserInfo::Plain(claims) => Json(claims).into_response(),
        UserInfo::Signed(token) => {
            ([(header::CONTENT_TYPE, "application/jwt")], token).into_response()
        }
    })
}
