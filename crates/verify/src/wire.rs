//! HTTP to the issuer: one client without redirects, bounded in time and size, with the resource
//! server's credentials.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect::Policy};
use url::form_urlencoded;

use crate::config::{Config, ConfigError};

/// The issuer did not answer, not in time, not with success, or with too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// No answer in time.
    #[error("issuer_unreachable")]
    Unreachable,
    /// An answer other than 200.
    #[error("issuer_answered_{0}")]
    Status(StatusCode),
    /// More than the limit, or not what it should be.
    #[error("issuer_answer_malformed")]
    Malformed,
}

/// The connection to one issuer.
#[derive(Debug)]
pub struct Wire {
    client: Client,
    address: String,
    id: String,
    secret: String,
}

impl Wire {
    /// Prepares the client; connects to nothing yet.
    pub fn new(config: &Config, is_loopback: bool) -> Result<Self, ConfigError> {
        let mut client = Client::builder()
            // A redirect would carry our credentials, or trust in keys, to somebody else.
            .redirect(Policy::none())
            .connect_timeout(Duration::from_secs(1));
        if is_loopback {
            client = client.no_proxy();
        }
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect();
        Ok(Self {
            client: client.build().map_err(|_| ConfigError::System)?,
            address: config.address().to_owned(),
            // RFC 6749 §2.3.1: form-encoded before they go into Basic.
            id: encode(&config.client_id),
            secret: encode(&config.client_secret),
        })
    }

    /// A GET without credentials.
    pub fn get_public(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.address))
    }

    /// A GET with credentials.
    pub fn get(&self, path: &str) -> RequestBuilder {
        self.get_public(path).basic_auth(&self.id, Some(&self.secret))
    }

    /// A POST with credentials.
    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.address)).basic_auth(&self.id, Some(&self.secret))
    }
}

/// Sends the request and answers the response if it is 200.
pub async fn send(request: RequestBuilder) -> Result<Response, Failed> {
    let response = request.send().await.map_err(|_| Failed::Unreachable)?;
    match response.status() {
        StatusCode::OK => Ok(response),
        other => Err(Failed::Status(other)),
    }
}

/// Sends the request and reads at most `limit` bytes, all within `within`.
pub async fn fetch(
    request: RequestBuilder,
    limit: usize,
    within: Duration,
) -> Result<Vec<u8>, Failed> {
    fetch_tagged(request, limit, within).await.map(|(body, _)| body)
}

/// The same, with the answer's `ETag`.
pub async fn fetch_tagged(
    request: RequestBuilder,
    limit: usize,
    within: Duration,
) -> Result<(Vec<u8>, Option<String>), Failed> {
    let read = async {
        let mut response = send(request).await?;
        let tag = response.headers().get(http::header::ETAG);
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(ToOwned::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Failed::Unreachable)? {
            if body.len() + chunk.len() > limit {
                return Err(Failed::Malformed);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, tag))
    };
    tokio::time::timeout(within, read).await.unwrap_or(Err(Failed::Unreachable))
}
