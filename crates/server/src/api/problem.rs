//! The management API's face of an error: RFC 9457 problems with a stable `code` and constant texts.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_domain::Quota;
use procura_issuer::Error;
use serde_json::json;

/// One problem. Rendered by `around`, which knows the request's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    /// Names the member, parameter or state in question.
    about: Option<&'static str>,
    /// What it should be.
    detail: Option<&'static str>,
    /// When to try again, in seconds.
    retry_after: Option<u32>,
    /// How old the login may be, in seconds, where it is too old (RFC 9470).
    max_age: Option<i64>,
}

impl Problem {
    const fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self { status, code, title, about: None, detail: None, retry_after: None, max_age: None }
    }

    /// Something failed that the caller cannot help.
    pub const INTERNAL: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong here.",
    );
    /// Storage is slow or full.
    pub const UNAVAILABLE: Self = Self {
        retry_after: Some(1),
        ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again later.")
    };
    /// No such thing, or not for this caller to know.
    pub const NOT_FOUND: Self =
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such thing.");
    /// No credential, or one that is no good.
    pub const UNAUTHENTICATED: Self =
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "A valid access token is needed.");
    /// The login is too old for this (RFC 9470).
    const STEP_UP: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "insufficient_user_authentication",
        "A more recent login is needed.",
    );
    /// The first request with this key is still under way.
    pub const STILL_RUNNING: Self = Self {
        retry_after: Some(1),
        ..Self::new(
            StatusCode::CONFLICT,
            "idempotency_in_progress",
            "The first request with this key is still under way.",
        )
    };
    /// The key was used for another request.
    pub const KEY_REUSED: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "This key was used for another request.",
    );
    /// It was done, and its answer is not there any more.
    pub const ANSWER_LOST: Self = Self::new(
        StatusCode::CONFLICT,
        "answer_lost",
        "It was done already, and the answer is not there any more.",
    );
    /// The body is too large.
    pub const TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request is too large.");
    /// A code that does not work, or a tenant that has none: nobody is told which.
    pub const CODE_REFUSED: Self =
        Self::new(StatusCode::FORBIDDEN, "code_refused", "This code does not work here.");
    /// The body is of another type.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body must be application/json.",
    );

    /// The request is malformed; names the part.
    #[must_use]
    pub const fn invalid(about: &'static str) -> Self {
        Self {
            about: Some(about),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request is not valid.")
        }
    }

    /// By which schemes one can come, and what of the login is wanted (RFC 9470 §3).
    fn challenges(self) -> [HeaderValue; 2] {
        let bearer = "Bearer";
        let proof = "DPoP algs=\"PS256 ES256 EdDSA\"";
        let Some(max_age) = self.max_age else {
            return [HeaderValue::from_static(bearer), HeaderValue::from_static(proof)];
        };
        let error = format!("error=\"{}\", max_age=\"{max_age}\"", self.code);
        let with = |scheme: &'static str, gap| {
            let challenge = HeaderValue::try_from(format!("{scheme}{gap} {error}"));
            challenge.unwrap_or(HeaderValue::from_static(scheme))
        };
        [with(bearer, ""), with(proof, ",")]
    }

    const fn used_up(quota: Quota) -> Self {
        let title = "There are as many as the quota allows.";
        let about = Some(quota.as_str());
        Self { about, ..Self::new(StatusCode::CONFLICT, "quota_used_up", title) }
    }

    const fn used_up_today(wait_secs: u32) -> Self {
        let title = "A quota of today is used up. Try again tomorrow.";
        let retry_after = Some(wait_secs);
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "quota_used_up", title) }
    }

    /// The answer with its body, keeping what the handler set besides.
    pub(crate) fn render(self, request_id: &str, bare: &Response) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "code": self.code,
            "request_id": request_id,
        });
        if let (Some(about), Some(body)) = (self.about, body.as_object_mut()) {
            body.insert("about".into(), about.into());
        }
        if let (Some(detail), Some(body)) = (self.detail, body.as_object_mut()) {
            body.insert("detail".into(), detail.into());
        }
        if let (Some(max_age), Some(body)) = (self.max_age, body.as_object_mut()) {
            body.insert("max_age".into(), max_age.into());
        }
        let mut response = (self.status, Json(body)).into_response();
        response.headers_mut().extend(bare.headers().clone());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = StatusCode::into_response(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            for challenge in self.challenges() {
                response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        if let Some(secs) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthenticated
            | Error::AssertionRefused(_)
            | Error::ProofRefused(_)
            | Error::NonceWanted
            | Error::SubjectUnusable => Self::UNAUTHENTICATED,
            Error::StepUp { max_age, .. } => Self { max_age, ..Self::STEP_UP },
            Error::Invalid(about) => Self::invalid(about),
            Error::Unfit(fault) => Self { detail: Some(fault.why), ..Self::invalid(fault.member) },
            Error::BadGrant | Error::Device(_) | Error::BadScope | Error::GrantNotAllowed => {
                Self::invalid("request")
            }
            Error::Forbidden | Error::Refused(_) => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this here.")
            }
            Error::Beyond(about) => Self {
                about: Some(about),
                detail: Some("Only the operator may register this."),
                ..Self::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this here.")
            },
            Error::Stale => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "It was changed since you saw it.",
            ),
            Error::VersionMissing => Self::new(
                StatusCode::PRECONDITION_REQUIRED,
                "version_missing",
                "Say by If-Match which version you have seen.",
            ),
            Error::NotFound => Self::NOT_FOUND,
            Error::WrongState(state) => Self {
                about: Some(state),
                ..Self::new(StatusCode::CONFLICT, "wrong_state", "Not possible in this state.")
            },
            Error::Conflict => {
                Self::new(StatusCode::CONFLICT, "conflict", "It exists already or was changed.")
            }
            Error::Busy => Self::UNAVAILABLE,
            Error::TooManyFailures { wait_secs } => Self {
                retry_after: Some(wait_secs),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_failures",
                    "Too many failures from this address. Try again later.",
                )
            },
            Error::TooManyRequests { wait_secs } => Self {
                retry_after: Some(wait_secs),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    "Too many requests. Try again later.",
                )
            },
            Error::UsedUpToday { wait_secs, .. } => Self::used_up_today(wait_secs),
            Error::QuotaUsedUp(quota) => Self::used_up(quota),
            Error::Broken => Self::INTERNAL,
        }
    }
}

/// For paths that lead nowhere.
pub async fn not_found() -> Problem {
    Problem::NOT_FOUND
}

/// For methods that a path does not know.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This method is not possible here.",
    )
}
