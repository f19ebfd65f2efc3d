//! `POST /oauth2/revoke` (RFC 7009). 200 only when it is durable, and for tokens that mean nothing.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};

use crate::{
    app::App,
    around::From,
    oauth::{client_auth, error::OAuthError, form::Form},
    openapi::{Operation, Reply, Who},
};

/// Described.
pub const REVOKE: Operation = Operation::oauth(Who::Client, "revokeToken", "End a token")
    .notes(
        "RFC 7009. A delegated token ends its delegation, a refresh \
            token its family with all it gave, a home token dies alone.",
    )
    .form(
        &["token"],
        &[
            "token_type_hint",
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
        ],
    )
    .answers(&[Reply::empty(200)])
    .errors(&[(400, &["invalid_request"]), (401, &["invalid_client"])]);

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
