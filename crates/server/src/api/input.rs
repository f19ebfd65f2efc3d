//! Bodies and queries: of the right type, not too large, without unknown members; anything else is a
//! problem with a code.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use procura_token::Ts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::problem::Problem;

/// No text of ours has a NUL in it, and Postgres keeps none: refused here, it costs nobody a failed
/// write. In JSON it can only be escaped.
const ESCAPED_NUL: &[u8] = b"\\u0000";

/// Whether a text of JSON has a NUL in it.
pub(crate) fn has_nul(json: &[u8]) -> bool {
    json.windows(ESCAPED_NUL.len()).any(|window| window == ESCAPED_NUL)
}

/// The bytes of a body, to its end. One that breaks off is not one that is too large.
pub(crate) async fn whole(request: Request) -> Result<Bytes, Problem> {
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TOO_LARGE,
        _ => Problem::invalid("body"),
    })
}

/// Whether a text of JSON is an object. A list is taken for one by position where members may be left out: an
/// empty one would be all of them at their defaults.
fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

/// A JSON body: an object.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = whole(Request::from_parts(parts.clone(), body)).await?;
        if has_nul(&body) {
            return Err(Problem::invalid("body"));
        }
        let is_object = is_object(&body);
        let request = Request::from_parts(parts, body.into());
        match axum::Json::<T>::from_request(request, state).await {
            Ok(_) if !is_object => Err(Problem::invalid("body")),
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(problem(&rejection)),
        }
    }
}

/// A JSON body that may be left out altogether.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !request.headers().contains_key(axum::http::header::CONTENT_TYPE) {
            // A body that does not say what it is is not "none": "approve with less" would approve all.
            let body = Bytes::from_request(request, state).await;
            return match body {
                Ok(body) if body.is_empty() => Ok(Self(T::default())),
                _ => Err(Problem::UNSUPPORTED_MEDIA_TYPE),
            };
        }
        Body::from_request(request, state).await.map(|Body(body)| Self(body))
    }
}

fn problem(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Problem::UNSUPPORTED_MEDIA_TYPE,
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::TOO_LARGE,
        _ => Problem::invalid("body"),
    }
}

/// Query parameters.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(_) => Err(Problem::invalid("query")),
        }
    }
}

/// The version that the caller saw, from `If-Match` (RFC 9110 §13.1.1); none where any will do. Each
/// thing has one version at a time, so a list of them makes no sense here.
pub struct Expected(pub Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for Expected {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let (value, next) = (values.next(), values.next());
        let Some(value) = value else { return Ok(Self(None)) };
        let text = value.to_str().ok().filter(|_| next.is_none()).map(str::trim);
        match text {
            Some("*") => Ok(Self(None)),
            Some(text) => {
                let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                let tag = tag.ok_or(Problem::invalid("if_match"))?;
                // A tag that is no version of ours, in just our writing, is one that nothing has.
                let version = tag.parse().ok().filter(|version: &i64| version.to_string() == tag);
                Ok(Self(Some(version.unwrap_or(-1))))
            }
            None => Err(Problem::invalid("if_match")),
        }
    }
}

/// An answer about something that has versions.
pub(crate) fn tagged(status: StatusCode, version: i64, body: Value) -> Response {
    let headers = [(header::ETAG, format!("\"{version}\"")), no_store()];
    (status, headers, axum::Json(body)).into_response()
}

/// What holds secrets, or changes under one's hands, is kept by nobody in between.
pub(crate) fn no_store() -> (HeaderName, String) {
    (header::CACHE_CONTROL, "no-store".to_owned())
}

/// Reads an optional RFC 3339 time; names the member where it is none.
pub(crate) fn time(text: Option<&str>, about: &'static str) -> Result<Option<Ts>, Problem> {
    text.map(|text| Ts::parse_rfc3339(text).ok_or(Problem::invalid(about))).transpose()
}

/// Reads an optional word of ours; names the member where it is none.
pub(crate) fn word<T: std::str::FromStr>(
    text: Option<&str>,
    about: &'static str,
) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::invalid(about))).transpose()
}
