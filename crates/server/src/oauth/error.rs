//! The OAuth face of an error: the only file that knows the codes of RFC 6749 §5.2, RFC 8693 §2.2.2
//! and RFC 9470. All texts are constants, so nothing of a tenant's can be formatted into them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_domain::refusal::Class;
use procura_issuer::{Error, device::Unready};
use serde_json::json;

/// An error of an OAuth endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
    /// Names the member in question, in front of the description.
    about: Option<&'static str>,
    acr: Option<&'static str>,
    max_age: Option<i64>,
    challenge: Option<&'static str>,
    /// When to try again, in seconds.
    retry_after: Option<u32>,
}

impl OAuthError {
    const fn new(status: StatusCode, code: &'static str, description: &'static str) -> Self {
        Self {
            status,
            code,
            description,
            about: None,
            acr: None,
            max_age: None,
            challenge: None,
            retry_after: None,
        }
    }

    /// The body is too large.
    pub const TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The request is too large.");
    /// Wrong client credentials, or none.
    pub const CLIENT: Self =
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed.");
    /// No such grant.
    pub const GRANT_TYPE: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "unsupported_grant_type",
        "The grant type is not supported.",
    );
    /// A resource server that is not there for whoever asks (RFC 8707 §2).
    pub const TARGET: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_target",
        "The requested target is not available.",
    );
    /// Details that are not of a known type, malformed, contradicted by parameters, or in a wrong place
    /// (RFC 9396 §5).
    pub const DETAILS: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_authorization_details",
        "authorization_details is not valid, or not accepted here.",
    );
    /// Storage is slow or full, or the answer took too long.
    pub const UNAVAILABLE: Self = Self {
        retry_after: Some(1),
        ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "Try again later.")
    };
    const PROOF: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_dpop_proof",
        "The DPoP proof is missing or not valid.",
    );
    const NONCE_WANTED: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "use_dpop_nonce",
        "The DPoP proof must carry the nonce of this answer.",
    );
    /// A signed request that is not wholly good (RFC 9101 §6.3).
    pub const REQUEST_OBJECT: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "invalid_request_object",
        "The signed request is not valid.",
    );
    const METHOD: Self = Self::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "invalid_request",
        "This method is not possible here.",
    );
    const TOO_MANY_FAILURES: Self = Self::new(
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
        "Too many failures from this address. Try again later.",
    );

    const TOO_MANY_REQUESTS: Self = Self::new(
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
        "Too many requests. Try again later.",
    );

    const QUOTA_USED_UP: Self = Self::new(
        StatusCode::FORBIDDEN,
        "access_denied",
        "The tenant has as many as its quota allows.",
    );

    const USED_UP_TODAY: Self = Self::new(
        StatusCode::TOO_MANY_REQUESTS,
        "temporarily_unavailable",
        "A quota of today is used up. Try again tomorrow.",
    );

    /// A malformed request.
    #[must_use]
    pub const fn invalid(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// An authorization request that cannot be granted, by the code that a browser would have carried.
    #[must_use]
    pub const fn authorization(code: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, "The authorization request is not valid.")
    }

    /// What a device hears until it has its tokens (RFC 8628 §3.5).
    const fn device(unready: Unready) -> Self {
        let (code, description) = match unready {
            Unready::Pending => {
                ("authorization_pending", "Nobody has answered for this device yet.")
            }
            Unready::TooFast => ("slow_down", "Too soon: wait 5 seconds more from now on."),
            Unready::Denied => ("access_denied", "The person said no to this device."),
            Unready::Expired => ("expired_token", "Nobody answered for this device in time."),
        };
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }

    /// A parameter is missing.
    #[must_use]
    pub const fn missing(parameter: &'static str) -> Self {
        Self::invalid(text_for(parameter))
    }

    /// Says how to authenticate, where the client tried by header (RFC 6749 §5.2).
    #[must_use]
    pub const fn with_basic_challenge(self) -> Self {
        Self { challenge: Some("Basic realm=\"procura\""), ..self }
    }

    /// A bearer token that is no good (RFC 6750 §3).
    #[must_use]
    pub const fn bearer(status: StatusCode, code: &'static str, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::new(status, code, "The access token is not valid for this.")
        }
    }

    /// What software says of itself cannot be read (RFC 7591 §3.2.2).
    #[must_use]
    pub const fn metadata(description: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_client_metadata", description)
    }

    /// A refusal of what software says of itself when it registers (RFC 7591 §3.2.2), or of the token that
    /// it shows for it (RFC 7592 §2).
    #[must_use]
    pub fn registration(error: Error) -> Self {
        let bad = |member, description| {
            let code = match member {
                "redirect_uris" => "invalid_redirect_uri",
                "software_statement" => "unapproved_software_statement",
                _ => "invalid_client_metadata",
            };
            Self { about: Some(member), ..Self::new(StatusCode::BAD_REQUEST, code, description) }
        };
        match error {
            Error::Unfit(fault) => bad(fault.member, fault.why),
            Error::Invalid(member) => bad(member, "is not valid"),
            Error::Unauthenticated => Self::bearer(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "Bearer error=\"invalid_token\"",
            ),
            Error::Forbidden => Self::new(
                StatusCode::FORBIDDEN,
                "access_denied",
                "An administrator has taken over this registration.",
            ),
            other => other.into(),
        }
    }

    /// The code, for the audit log and for pages.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

/// Names the parameter. A list of constants, because texts are not put together at run time.
const fn text_for(parameter: &'static str) -> &'static str {
    match parameter.as_bytes() {
        b"grant_type" => "grant_type is missing or not valid.",
        b"code" => "code is missing or not valid.",
        b"device_code" => "device_code is missing or not valid.",
        b"refresh_token" => "refresh_token is missing or not valid.",
        b"redirect_uri" => "redirect_uri is missing or not valid.",
        b"request_uri" => "request_uri is not accepted here.",
        b"token" => "token is missing or not valid.",
        b"subject_token" => "subject_token is missing or not valid.",
        b"subject_token_type" => "subject_token_type is missing or not supported.",
        b"requested_token_type" => "requested_token_type is not supported.",
        b"actor_token" => "actor_token is not accepted.",
        b"tenant_id" => "tenant_id is missing or not valid.",
        b"audience" => "audience or resource is missing or not valid.",
        b"scope" => "scope is not valid.",
        b"purpose" => "purpose is missing or not valid.",
        b"purpose_ref" => "purpose_ref is not valid.",
        _ => "A parameter is missing or not valid.",
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        let bad = |code, description| Self::new(StatusCode::BAD_REQUEST, code, description);
        let subject = bad("invalid_request", "The subject token cannot be exchanged.");
        let scope = bad("invalid_scope", "None of the requested scope can be granted.");
        let step_up = bad(
            "insufficient_user_authentication",
            "The target requires a stronger or more recent login.",
        );
        match error {
            Error::Refused(refusal) => match refusal.class() {
                Class::Client => Self::CLIENT,
                Class::Subject => subject,
                Class::Target => Self::TARGET,
                Class::StepUp => step_up,
                Class::Approval => {
                    bad("authorization_pending", "The customer has not approved this session yet.")
                }
                Class::Declined => bad("access_denied", "The customer has declined this session."),
                Class::Unanswered => bad("expired_token", "The customer has not answered in time."),
                Class::Purpose => bad("invalid_request", "purpose is required for this target."),
                Class::Scope => scope,
                Class::Quota => Self::USED_UP_TODAY,
            },
            Error::StepUp { acr, max_age } => Self { acr, max_age, ..step_up },
            Error::SubjectUnusable => subject,
            Error::Unauthenticated | Error::AssertionRefused(_) => Self::CLIENT,
            Error::ProofRefused(_) => Self::PROOF,
            Error::NonceWanted => Self::NONCE_WANTED,
            Error::GrantNotAllowed => {
                bad("unauthorized_client", "The client may not use this grant type.")
            }
            Error::BadGrant => bad("invalid_grant", "The grant is not valid."),
            Error::Device(unready) => Self::device(unready),
            Error::BadScope => scope,
            Error::Invalid(parameter) => Self::missing(parameter),
            Error::Forbidden
            | Error::Beyond(_)
            | Error::Unfit(_)
            | Error::Stale
            | Error::VersionMissing
            | Error::NotFound
            | Error::WrongState(_)
            | Error::Conflict => Self::invalid("The request cannot be fulfilled."),
            Error::Busy => Self::UNAVAILABLE,
            Error::TooManyFailures { wait_secs } => {
                Self { retry_after: Some(wait_secs), ..Self::TOO_MANY_FAILURES }
            }
            Error::TooManyRequests { wait_secs } => {
                Self { retry_after: Some(wait_secs), ..Self::TOO_MANY_REQUESTS }
            }
            Error::UsedUpToday { wait_secs, .. } => {
                Self { retry_after: Some(wait_secs), ..Self::USED_UP_TODAY }
            }
            Error::QuotaUsedUp(_) => Self::QUOTA_USED_UP,
            Error::Broken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "Something went wrong here.",
            ),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.code, "error_description": self.description });
        if let (Some(about), Some(body)) = (self.about, body.as_object_mut()) {
            let description = format!("{about}: {}", self.description);
            body.insert("error_description".into(), description.into());
        }
        if let Some(body) = body.as_object_mut() {
            self.acr.map(|acr| body.insert("acr_values".into(), acr.into()));
            self.max_age.map(|age| body.insert("max_age".into(), age.into()));
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(secs) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

/// For methods that an endpoint does not know.
pub async fn method_not_allowed() -> OAuthError {
    OAuthError::METHOD
}
