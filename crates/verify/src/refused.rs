//! Why a request is refused, and how that is answered (RFC 6750 §3). Every text is constant: no
//! tenant's data can be formatted into it.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE},
};
use procura_token::{
    Rejection,
    dpop::{ALGORITHM_NAMES, Fault},
};
use serde::Serialize;

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
            Self::NoToken | Self::BadToken(_) | Self::BadProof(_) | Self::Revoked => {
                StatusCode::UNAUTHORIZED
            }
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

    fn challenge(&self) -> Option<HeaderValue> {
        match self {
            // RFC 6750 §3.1: no error code for a request without credentials.
            Self::NoToken => Some(HeaderValue::from_static("Bearer")),
            Self::BadToken(_) | Self::Revoked => {
                Some(HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
            Self::Scope(scope) => {
                let text = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                HeaderValue::from_str(&text).ok()
            }
            Self::Tenant | Self::Delegated => {
                Some(HeaderValue::from_static("Bearer error=\"insufficient_scope\""))
            }
            Self::BadProof(_) | Self::ActiveTenant | Self::Unavailable => None,
        }
    }

    /// What the other scheme says (RFC 9449 §7.1).
    fn proof_challenge(&self) -> Option<HeaderValue> {
        let error = match self {
            Self::NoToken => "",
            Self::BadToken(_) | Self::Revoked => "error=\"invalid_token\", ",
            Self::BadProof(_) => "error=\"invalid_dpop_proof\", ",
            _ => return None,
        };
        HeaderValue::from_str(&format!("DPoP {error}algs=\"{ALGORITHM_NAMES}\"")).ok()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(challenge) = self.proof_challenge() {
            headers.append(WWW_AUTHENTICATE, challenge);
        }
        if self == Self::Unavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
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
        let challenge = |refused: Refused| refused.challenge().expect("a challenge");
        assert_eq!(challenge(Refused::NoToken), "Bearer");
        assert_eq!(
            challenge(Refused::Scope("billing.read")),
            "Bearer error=\"insufficient_scope\", scope=\"billing.read\""
        );
    }
}
