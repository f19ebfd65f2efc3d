//! How requests are read: whole, bounded, and with our own errors.

use std::time::Duration;

use axum::{
    Json,
    body::{Body as HttpBody, to_bytes},
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::request::Parts,
    middleware::Next,
    response::Response,
};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// No body is larger.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// A body must arrive within.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Reads the whole body before the token is looked at. The other way round, a client could start a
/// request, be revoked, and finish it afterwards.
pub async fn whole(request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let declared = parts
        .headers
        .get(axum::http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Problem::TOO_LARGE);
    }
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(body, MAX_BODY_BYTES));
    let bytes = read.await.map_err(|_| Problem::SLOW)?.map_err(|error| {
        // The body's own error, or the limit's, which is its source.
        let is_limit = std::error::Error::source(&error).is_some_and(is_length_limit);
        if is_limit { Problem::TOO_LARGE } else { Problem::JSON }
    })?;
    Ok(next.run(Request::from_parts(parts, HttpBody::from(bytes))).await)
}

fn is_length_limit(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<http_body_util::LengthLimitError>()
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(JsonRejection::JsonDataError(_)) => Err(Problem::BODY),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::MEDIA_TYPE),
            Err(_) => Err(Problem::JSON),
        }
    }
}

/// The query string.
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::QUERY),
        }
    }
}
