//! `POST /oauth2/revoke` (RFC 7009). 200 only when it is durable, and for tokens that mean nothing.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};

use crate::{
    app::App,
    around::From,
    oauth::{client_auth, error::OAuthError, form::Form},
};

/// The handler.
pub async fn revoke(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Form,
) -> Result<StatusCode, OAuthError> {
    let issuer = app.issuer();
    let client = client_auth::authenticate(issuer, &headers, &form, "token.revoke", &via).await?;
    issuer.revoke_token(&client, form.require("token")?, &via).await?;
    Ok(StatusCode::OK)
}
