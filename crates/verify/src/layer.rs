//! The guard in front of a service: one bearer token, one tenant, then [`Verified`] in the
//! request's extensions.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, header::AUTHORIZATION};
use procura_token::TenantId;
use tower::{Layer, Service};

use crate::{refused::Refused, verified::Verified, verifier::Verifier};

/// The header by which a client may say in which tenant it believes to act.
pub const ACTIVE_TENANT: &str = "x-active-tenant-id";

/// A tower layer that lets only accepted tokens through. Made by [`Verifier::layer`].
#[derive(Clone, Debug)]
pub struct Guard(Verifier);

impl Guard {
    pub(crate) const fn new(verifier: Verifier) -> Self {
        Self(verifier)
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { verifier: self.0.clone(), inner }
    }
}

/// A service behind a [`Guard`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    verifier: Verifier,
    inner: S,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one that must be called; the clone stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let verifier = self.verifier.clone();
        Box::pin(async move {
            match admit(&verifier, request.headers()).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await
                }
                Err(refused) => {
                    tracing::debug!(reason = %refused, "a request was refused");
                    Ok(refused.into_response())
                }
            }
        })
    }
}

async fn admit(verifier: &Verifier, headers: &HeaderMap) -> Result<Verified, Refused> {
    let token = bearer(headers).ok_or(Refused::NoToken)?;
    let token = verifier.check(token).await?;
    if may_act_in(headers, token.tenant()) { Ok(token) } else { Err(Refused::ActiveTenant) }
}

/// The token of exactly one `Authorization: Bearer` (RFC 6750 §2.1). Tokens in the query or in a
/// form are never read: they end up in logs.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    let is_bearer = scheme.eq_ignore_ascii_case("bearer")
        && !token.is_empty()
        && token.bytes().all(is_token_byte);
    is_bearer.then_some(token)
}

/// Whether the request names no other active tenant than the token's. The header never selects a
/// tenant, and is never ignored: a client that believes to be elsewhere must not write here.
fn may_act_in(headers: &HeaderMap, tenant: TenantId) -> bool {
    let mut values = headers.get_all(ACTIVE_TENANT).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value.as_bytes() == tenant.to_string().as_bytes(),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn exactly_one_bearer_token_is_read() {
        assert_eq!(bearer(&headers("authorization", &["Bearer a.b.c"])), Some("a.b.c"));
        assert_eq!(bearer(&headers("authorization", &["bearer a.b.c"])), Some("a.b.c"));
        for bad in [
            &[][..],
            &["Bearer a", "Bearer a"],
            &["Basic YTpi"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer  a"],
            &["Bearer a b"],
            &["Bearer a,b"],
        ] {
            assert_eq!(bearer(&headers("authorization", bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn the_active_tenant_is_absent_or_the_tokens_own_once() {
        let tenant = TenantId::from_bits(7);
        let own = "ten_00000000000000000000000000000007";
        assert!(may_act_in(&HeaderMap::new(), tenant));
        assert!(may_act_in(&headers(ACTIVE_TENANT, &[own]), tenant));
        for bad in [
            &[own, own][..],
            &[""],
            &["TEN_00000000000000000000000000000007"],
            &["ten_00000000000000000000000000000008"],
        ] {
            assert!(!may_act_in(&headers(ACTIVE_TENANT, bad), tenant), "{bad:?}");
        }
    }
}
