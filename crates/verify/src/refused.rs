//! Why a request is refused, and how that is answered (RFC 6750 §3). Every text is constant: no
//! tenant's data can be formatted into it.

use std::fmt::Write as _;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
};
use procura_token::{
    Rejection,
    dpop::{ALGORITHM_NAMES, Fault},
};
use serde::Serialize;

use crate::login::Login;

/// A refusal. It is a response: `{"error", "error_description"}`, with `WWW-Authenticate` on 401
/// and 403 and `Retry-After` on 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No token, or not exactly one in `Authorization: Bearer` or `DPoP`. 401 without an error code.
    #[error("token_missing")]
    NoToken,
    /// Not genuine, or not valid now. 401 `invalid_token`, whatever the reason.
    #[error("{0}")]
    BadToken(Rejection),
    /// The proof of possession is missing or no good. 401 `invalid_dpop_proof`.
    #[error("{0}")]
    BadProof(Fault),
    /// Revoked. The same answer as for a bad token.
    #[error("token_revoked")]
    Revoked,
    /// `X-Active-Tenant-Id` names another tenant than the token. 400 `invalid_request`.
    #[error("active_tenant_mismatch")]
    ActiveTenant,
    /// The token lacks this permission. 403 `insufficient_scope`.
    #[error("scope_missing")]
    Scope(&'static str),
    /// The person logged in too long ago, or not like this. 401 `insufficient_user_authentication`
    /// (RFC 9470 §3).
    #[error("login_insufficient")]
    Login(Login),
    /// The token is for another tenant than the one asked for. 403.
    #[error("tenant_wrong")]
    Tenant,
    /// Delegated tokens are not accepted here. 403.
    #[error("delegated_refused")]
    Delegated,
    /// Whether the token is revoked, or the proof was used before, cannot be found out now. 503.
    #[error("revocation_unknown")]
    Unavailable,
}

#[derive(Serialize)]
struct Body {
    error: &'static str,
    error_description: &'static str,
}

impl Refused {
    /// The status that this refusal is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NoToken
            | Self::BadToken(_)
            | Self::BadProof(_)
            | Self::Revoked
            | Self::Login(_) => StatusCode::UNAUTHORIZED,
            Self::ActiveTenant => StatusCode::BAD_REQUEST,
            Self::Scope(_) | Self::Tenant | Self::Delegated => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn body(&self) -> Body {
        let (error, error_description) = match self {
            Self::NoToken => ("unauthorized", "Exactly one access token is required."),
            Self::BadToken(_) | Self::Revoked => {
                ("invalid_token", "The token is not valid here or no longer.")
            }
            Self::BadProof(_) => ("invalid_dpop_proof", "The DPoP proof is missing or not valid."),
            Self::ActiveTenant => ("invalid_request", "Active tenant does not match the token."),
            Self::Scope(_) => ("insufficient_scope", "The token lacks a permission."),
            Self::Login(_) => {
                ("insufficient_user_authentication", "A stronger or more recent login is required.")
            }
            Self::Tenant => ("insufficient_scope", "The token is for another tenant."),
            Self::Delegated => {
                ("insufficient_scope", "Tokens of other tenants' people are not accepted here.")
            }
            Self::Unavailable => {
                ("temporarily_unavailable", "The token cannot be checked now. Try again.")
            }
        };
        Body { error, error_description }
    }

    /// What is said by the scheme `Bearer` (RFC 6750 §3); `None` where that is no answer.
    fn by_bearer(&self) -> Option<String> {
        match self {
            // RFC 6750 §3.1: no error code for a request without credentials.
            Self::NoToken => Some(String::new()),
            Self::BadToken(_) | Self::Revoked => Some("error=\"invalid_token\"".to_owned()),
            Self::Login(login) => Some(insufficient(login)),
            Self::Scope(scope) => Some(format!("error=\"insufficient_scope\", scope=\"{scope}\"")),
            Self::Tenant | Self::Delegated => Some("error=\"insufficient_scope\"".to_owned()),
            Self::BadProof(_) | Self::ActiveTenant | Self::Unavailable => None,
        }
    }

    /// What the other scheme says (RFC 9449 §7.1).
    fn by_proof(&self) -> Option<String> {
        let error = match self {
            Self::NoToken => String::new(),
            Self::BadToken(_) | Self::Revoked => "error=\"invalid_token\", ".to_owned(),
            Self::BadProof(_) => "error=\"invalid_dpop_proof\", ".to_owned(),
            Self::Login(login) => format!("{}, ", insufficient(login)),
            _ => return None,
        };
        Some(format!("{error}algs=\"{ALGORITHM_NAMES}\""))
    }

    /// Puts the challenges into the headers, in the place of any that are there.
    fn challenge(&self, metadata: Option<&str>, headers: &mut HeaderMap) {
        headers.remove(WWW_AUTHENTICATE);
        for (scheme, said) in [("Bearer", self.by_bearer()), ("DPoP", self.by_proof())] {
            let Some(said) = said else { continue };
            let pointer = metadata.map(|url| format!("resource_metadata=\"{url}\""));
            let said: Vec<_> = Some(said).into_iter().chain(pointer).collect();
            let said: Vec<_> = said.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
            let text = format!("{scheme} {}", said.join(", "));
            if let Ok(value) = HeaderValue::from_str(text.trim_end()) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
    }

    /// Where the response is a refusal of ours, also of a layer behind the guard: names the metadata in its
    /// challenges (RFC 9728 §5.1).
    pub(crate) fn point_to(metadata: &str, response: &mut Response) {
        if let Some(refused) = response.extensions().get::<Self>().copied() {
            refused.challenge(Some(metadata), response.headers_mut());
        }
    }
}

/// What to ask the issuer for (RFC 9470 §3).
fn insufficient(login: &Login) -> String {
    let mut text = "error=\"insufficient_user_authentication\"".to_owned();
    if !login.acr_values.is_empty() {
        let _ = write!(text, ", acr_values=\"{}\"", login.acr_values.join(" "));
    }
    if let Some(secs) = login.max_age_secs {
        let _ = write!(text, ", max_age=\"{secs}\"");
    }
    if let Some(scope) = login.scope {
        let _ = write!(text, ", scope=\"{scope}\"");
    }
    text
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.challenge(None, headers);
        if self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // The guard around it knows what else is to be said.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_the_headers_that_belong_to_its_status() {
        for refused in [
            Refused::NoToken,
            Refused::BadToken(Rejection::Expired),
            Refused::BadProof(Fault::Replayed),
            Refused::Revoked,
            Refused::ActiveTenant,
            Refused::Scope("billing.read"),
            Refused::Login(Login::within_secs(300)),
            Refused::Tenant,
            Refused::Delegated,
            Refused::Unavailable,
        ] {
            let response = refused.into_response();
            let has = |name| response.headers().contains_key(name);
            let status = response.status().as_u16();
            assert_eq!(has(WWW_AUTHENTICATE), matches!(status, 401 | 403), "{refused:?}");
            assert_eq!(has(RETRY_AFTER), status == 503, "{refused:?}");
            assert!(has(CACHE_CONTROL));
        }
    }

    #[test]
    fn a_missing_permission_is_named_and_a_missing_token_is_no_error() {
        assert_eq!(said(Refused::NoToken, None), ["Bearer", &format!("DPoP {ALGS}")]);
        let scope = said(Refused::Scope("billing.read"), None);
        assert_eq!(scope, ["Bearer error=\"insufficient_scope\", scope=\"billing.read\""]);
    }

    #[test]
    fn a_login_that_is_not_enough_is_told_what_would_be_by_either_scheme() {
        let login = Login::within_secs(300).and_of_kind(&["urn:a", "urn:b"]).for_scope("x.read");
        let wanted = "error=\"insufficient_user_authentication\", acr_values=\"urn:a urn:b\", \
                      max_age=\"300\", scope=\"x.read\"";
        let both = [format!("Bearer {wanted}"), format!("DPoP {wanted}, {ALGS}")];
        assert_eq!(said(Refused::Login(login), None), both);
        let age = said(Refused::Login(Login::within_secs(0)), None);
        assert_eq!(age[0], "Bearer error=\"insufficient_user_authentication\", max_age=\"0\"");
    }

    #[test]
    fn a_challenge_points_to_the_metadata() {
        let metadata = "https://api.example.com/.well-known/oauth-protected-resource";
        let pointer = format!("resource_metadata=\"{metadata}\"");
        let both = [format!("Bearer {pointer}"), format!("DPoP {ALGS}, {pointer}")];
        assert_eq!(said(Refused::NoToken, Some(metadata)), both);
        let tenant = said(Refused::Tenant, Some(metadata));
        assert_eq!(tenant, [format!("Bearer error=\"insufficient_scope\", {pointer}")]);
        assert!(said(Refused::Unavailable, Some(metadata)).is_empty());
        let mut other = StatusCode::UNAUTHORIZED.into_response();
        Refused::point_to(metadata, &mut other);
        assert!(!other.headers().contains_key(WWW_AUTHENTICATE), "not ours");
    }

    const ALGS: &str = "algs=\"PS256 ES256 EdDSA\"";

    fn said(refused: Refused, metadata: Option<&str>) -> Vec<String> {
        let mut response = refused.into_response();
        if let Some(metadata) = metadata {
            Refused::point_to(metadata, &mut response);
        }
        let values = response.headers().get_all(WWW_AUTHENTICATE);
        values.iter().map(|value| value.to_str().expect("a text").to_owned()).collect()
    }
}
