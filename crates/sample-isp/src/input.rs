//! How requests are read: whole, bounded, and with our own errors.

use std::time::Duration;

use axum::{
    Json,
    body::{Body as HttpBody, Bytes},
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
    middleware::Next,
    response::Response,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::Problem;

/// No body is larger.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// A body must arrive within.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Reads the whole body before the token is looked at. The other way round, a client could start a
/// request, be revoked, and finish it afterwards. Needs `DefaultBodyLimit` around it.
pub async fn whole(request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let reading = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    let bytes = timeout(BODY_WITHIN, reading).await.map_err(|_| Problem::SLOW)?;
    let bytes = bytes.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TOO_LARGE,
        _ => Problem::JSON,
    })?;
    Ok(next.run(Request::from_parts(parts, HttpBody::from(bytes))).await)
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
