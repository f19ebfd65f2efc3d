//! Client authentication: Basic, `client_secret` in the form, a signed assertion, or a public client by
//! its id alone; one method at a time (RFC 6749 §2.3).

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use procura_issuer::{Issuer, Via, clients::Credential, exchange};
use procura_store::clients::Client;
use procura_token::{ClientId, foreign::unverified_subject};

use crate::{
    api::caller::basic,
    oauth::{error::OAuthError, form::Form},
};

/// The one kind of client assertion (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client behind the request, which is counted for it; an exchange is counted for the person. A failure
/// is in the audit log before this returns.
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
    let credential = match (&shown.secret, shown.assertion) {
        (Some(secret), _) => Credential::Secret(secret),
        (None, Some(assertion)) => Credential::Assertion(assertion),
        (None, None) => Credential::None,
    };
    let client = match shown.id.parse::<ClientId>() {
        Ok(id) => issuer.authenticate_client(&id, credential).await,
        Err(_) => Err(procura_issuer::Error::Unauthenticated),
    };
    match client {
        Ok(client) => {
            if action != exchange::ACTION {
                issuer.limit_client(&client, via).await?;
            }
            Ok(client)
        }
        Err(
            error @ (procura_issuer::Error::Unauthenticated
            | procura_issuer::Error::AssertionRefused(_)),
        ) => {
            let id = shown.id.parse().ok();
            let reason = match error {
                procura_issuer::Error::AssertionRefused(reason) => reason,
                _ => "client_authentication_failed",
            };
            issuer.note_stranger(action, reason, id, via).await?;
            Err(if shown.is_basic {
                OAuthError::CLIENT.with_basic_challenge()
            } else {
                OAuthError::CLIENT
            })
        }
        Err(other) => Err(other.into()),
    }
}

struct Shown<'a> {
    id: String,
    secret: Option<String>,
    assertion: Option<&'a str>,
    is_basic: bool,
}

/// Whether the form carries a client assertion, good or not.
pub fn has_assertion(form: &Form) -> bool {
    form.get("client_assertion").is_some() || form.get("client_assertion_type").is_some()
}

fn shown<'a>(headers: &HeaderMap, form: &'a Form) -> Result<Shown<'a>, OAuthError> {
    const ONE_WAY: OAuthError =
        OAuthError::invalid("Only one way of client authentication may be used.");
    let (id, secret) = (form.get("client_id"), form.get("client_secret"));
    if has_assertion(form) {
        if secret.is_some() || headers.contains_key(header::AUTHORIZATION) {
            return Err(ONE_WAY);
        }
        return by_assertion(id, form);
    }
    if headers.contains_key(header::AUTHORIZATION) {
        let challenge = OAuthError::CLIENT.with_basic_challenge();
        let (basic_id, basic_secret) = basic(headers).ok_or(challenge)?;
        if secret.is_some() {
            return Err(ONE_WAY);
        }
        if id.is_some_and(|id| id != basic_id) {
            return Err(OAuthError::invalid("client_id differs from the authenticated client."));
        }
        return Ok(Shown {
            id: basic_id,
            secret: Some(basic_secret),
            assertion: None,
            is_basic: true,
        });
    }
    let id = id.ok_or(OAuthError::CLIENT)?.to_owned();
    let secret = secret.map(ToOwned::to_owned);
    Ok(Shown { id, secret, assertion: None, is_basic: false })
}

/// RFC 7523 §2.2. The client is who the assertion says, and a `client_id` beside it says the same.
fn by_assertion<'a>(id: Option<&str>, form: &'a Form) -> Result<Shown<'a>, OAuthError> {
    if form.get("client_assertion_type") != Some(ASSERTION_TYPE) {
        return Err(OAuthError::CLIENT);
    }
    let assertion = form.get("client_assertion").ok_or(OAuthError::CLIENT)?;
    let subject = unverified_subject(assertion).ok_or(OAuthError::CLIENT)?;
    if id.is_some_and(|id| id != subject) {
        return Err(OAuthError::CLIENT);
    }
    Ok(Shown { id: subject, secret: None, assertion: Some(assertion), is_basic: false })
}
