//! `POST /oauth2/introspect` (RFC 7662). Answers only the audience's own resource server.

use axum::{Json, extract::State, http::HeaderMap};
use serde_json::{Value, json};

use crate::{
    api::caller::basic,
    app::App,
    oauth::{error::OAuthError, form::Form},
};

/// The handler.
pub async fn introspect(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<Json<Value>, OAuthError> {
    let challenge = OAuthError::CLIENT.with_basic_challenge();
    let (id, secret) = basic(&headers).ok_or(challenge)?;
    let id = id.parse().map_err(|_| challenge)?;
    let asking =
        app.issuer().authenticate_resource_server(&id, &secret).await.map_err(|error| {
            if error == procura_issuer::Error::Unauthenticated { challenge } else { error.into() }
        })?;
    let claims = app.issuer().introspect(&asking, form.require("token")?).await?;
    let Some(claims) = claims else { return Ok(Json(json!({ "active": false }))) };
    let mut body = serde_json::to_value(claims).map_err(|_| procura_issuer::Error::Broken)?;
    if let Some(body) = body.as_object_mut() {
        body.insert("active".into(), true.into());
        body.insert("token_type".into(), "Bearer".into());
    }
    Ok(Json(body))
}
