//! Errors of our own API (RFC 9457). Every text is constant: no tenant's data can get into it. What
//! the token is refused for is answered by `procura-verify`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A problem with a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
}

#[derive(Serialize)]
struct Body {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal $title:literal;)*) => {
        impl Problem {
            $($(#[$doc])* pub const $name: Self =
                Self { status: StatusCode::$status, code: $code, title: $title };)*
        }
    };
}

problems! {
    /// The query string.
    QUERY = BAD_REQUEST "invalid_query" "The query is malformed or has an unknown parameter.";
    /// `from_date`.
    FROM_DATE = BAD_REQUEST "invalid_from_date" "from_date must be a date such as 2025-10-01.";
    /// The body is not JSON, or did not arrive.
    JSON = BAD_REQUEST "invalid_json" "The body is not JSON.";
    /// The body took too long.
    SLOW = REQUEST_TIMEOUT "request_timeout" "The request did not arrive in time.";
    /// No such route or no such row; for the caller there is no difference.
    NOT_FOUND = NOT_FOUND "not_found" "There is nothing here.";
    /// The route exists for other methods.
    METHOD = METHOD_NOT_ALLOWED "method_not_allowed" "This method is not supported here.";
    /// The body is too large.
    TOO_LARGE = PAYLOAD_TOO_LARGE "body_too_large" "The body is larger than 64 KiB.";
    /// The body is not declared as JSON.
    MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body must be application/json.";
    /// The JSON has another shape.
    BODY = UNPROCESSABLE_ENTITY "invalid_body" "A member of the body is missing, unknown or not allowed.";
    /// The subject of a ticket.
    SUBJECT = UNPROCESSABLE_ENTITY "invalid_subject" "subject must be one line of 1 to 200 characters.";
    /// The description of a ticket.
    DESCRIPTION = UNPROCESSABLE_ENTITY "invalid_description" "description must be 1 to 4000 characters of text.";
    /// The database cannot be read or written. Nothing was changed.
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable" "Try again later.";
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            kind: "about:blank",
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self == Self::UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "the database failed");
        Self::UNAVAILABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_that_it_is_one() {
        let response = Problem::UNAVAILABLE.into_response();
        assert_eq!(response.status(), 503);
        let has = |name, value: &str| response.headers().get(name).is_some_and(|v| v == value);
        assert!(has(header::CONTENT_TYPE, "application/problem+json"));
        assert!(has(header::RETRY_AFTER, "1"));
    }
}
