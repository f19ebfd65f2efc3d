//! The guard in front of a service: one access token, with its proof where it is bound to a key, one
//! tenant, then [`Verified`] in the request's extensions.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Request, header::AUTHORIZATION};
use procura_token::{
    TenantId,
    dpop::{Fault, HEADER},
};
use tower::{Layer, Service};

use crate::{
    refused::Refused,
    verified::Verified,
    verifier::{Possession, Verifier},
};

/// The header by which a client may say in which tenant it believes to act.
pub const ACTIVE_TENANT: &str = "x-active-tenant-id";

/// A tower layer that lets only accepted tokens through. Made by [`Verifier::layer`]. Proofs of possession
/// name the path as the guard sees it, so it belongs around nested routers, not into them.
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
            let (method, path) = (request.method().as_str(), request.uri().path());
            let mut response = match admit(&verifier, request.headers(), (method, path)).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await?
                }
                Err(refused) => {
                    tracing::debug!(reason = %refused, "a request was refused");
                    refused.into_response()
                }
            };
            if let Some(metadata) = verifier.metadata() {
                Refused::point_to(metadata.url(), &mut response);
            }
            Ok(response)
        })
    }
}

async fn admit(
    verifier: &Verifier,
    headers: &HeaderMap,
    (method, path): (&str, &str),
) -> Result<Verified, Refused> {
    let token = match credential(headers).ok_or(Refused::NoToken)? {
        (Scheme::Bearer, token) => verifier.check(token).await?,
        (Scheme::Proven, token) => {
            let proof = proof(headers).ok_or(Refused::BadProof(Fault::NotOne))?;
            verifier.check_bound(token, Possession { proof, method, path }).await?
        }
    };
    if may_act_in(headers, token.tenant()) { Ok(token) } else { Err(Refused::ActiveTenant) }
}

/// How a token says that it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Bearer,
    Proven,
}

/// The one proof of the request.
fn proof(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

/// The token of exactly one `Authorization: Bearer` (RFC 6750 §2.1) or `DPoP` (RFC 9449 §7.1). Tokens in
/// the query or in a form are never read: they end up in logs.
fn credential(headers: &HeaderMap) -> Option<(Scheme, &str)> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let is_token_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Proven
    } else {
        return None;
    };
    (!token.is_empty() && token.bytes().all(is_token_byte)).then_some((scheme, token))
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
    fn exactly_one_token_is_read() {
        let read =
            |value| credential(&headers("authorization", &[value])).map(|(s, t)| (s, t.to_owned()));
        for (value, scheme) in [
            ("Bearer a.b.c", Scheme::Bearer),
            ("bearer a.b.c", Scheme::Bearer),
            ("DPoP a.b.c", Scheme::Proven),
            ("dpop a.b.c", Scheme::Proven),
        ] {
            assert_eq!(read(value), Some((scheme, "a.b.c".to_owned())));
        }
        for bad in [
            &[][..],
            &["Bearer a", "Bearer a"],
            &["Bearer a", "DPoP a"],
            &["Basic YTpi"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer  a"],
            &["Bearer a b"],
            &["Bearer a,b"],
        ] {
            assert_eq!(credential(&headers("authorization", bad)), None, "{bad:?}");
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
