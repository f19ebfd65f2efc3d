//! Client authentication: Basic, `client_secret` in the form, or a public client by its id alone; one
//! method at a time (RFC 6749 §2.3).

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use procura_issuer::{Issuer, Via, clients::Credential};
use procura_store::clients::Client;
use procura_token::ClientId;

use crate::{
    api::caller::basic,
    oauth::{error::OAuthError, form::Form},
};

/// The client behind the request. A failure is in the audit log before this returns.
pub async fn authenticate(
    issuer: &Issuer,
    headers: &HeaderMap,
    form: &Form,
    action: &'static str,
    via: &Via,
) -> Result<Arc<Client>, OAuthError> {
    let shown = match shown(headers, form) {
        Ok(shown) => shown,
        Err(error) => {
            issuer.note_stranger(action, "client_authentication_malformed", None, via).await?;
            return Err(error);
        }
    };
    let credential = shown.secret.as_deref().map_or(Credential::None, Credential::Secret);
    let client = match shown.id.parse::<ClientId>() {
        Ok(id) => issuer.authenticate_client(&id, credential).await,
        Err(_) => Err(procura_issuer::Error::Unauthenticated),
    };
    match client {
        Ok(client) => Ok(client),
        Err(procura_issuer::Error::Unauthenticated) => {
            let id = shown.id.parse().ok();
            issuer.note_stranger(action, "client_authentication_failed", id, via).await?;
            Err(if shown.is_basic {
                OAuthError::CLIENT.with_basic_challenge()
            } else {
                OAuthError::CLIENT
            })
        }
        Err(other) => Err(other.into()),
    }
}

struct Shown {
    id: String,
    secret: Option<String>,
    is_basic: bool,
}

fn shown(headers: &HeaderMap, form: &Form) -> Result<Shown, OAuthError> {
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    if form.get("client_assertion").is_some() || form.get("client_assertion_type").is_some() {
        return Err(OAuthError::CLIENT);
    }
    if headers.contains_key(header::AUTHORIZATION) {
        let challenge = OAuthError::CLIENT.with_basic_challenge();
        let (basic_id, basic_secret) = basic(headers).ok_or(challenge)?;
        if secret.is_some() {
            return Err(OAuthError::invalid("Only one way of client authentication may be used."));
        }
        if id.is_some_and(|id| id != basic_id) {
            return Err(OAuthError::invalid("client_id differs from the authenticated client."));
        }
        return Ok(Shown { id: basic_id, secret: Some(basic_secret), is_basic: true });
    }
    let id = id.ok_or(OAuthError::CLIENT)?;
    Ok(Shown { id: id.to_owned(), secret: secret.map(ToOwned::to_owned), is_basic: false })
}
