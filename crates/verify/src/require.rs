//! Small layers behind the [`crate::Guard`], one demand each, so that a table of routes shows what
//! every route asks for.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::response::{IntoResponse, Response};
use http::Request;
use procura_token::TenantId;
use tower::{Layer, Service};

use crate::{login::Login, refused::Refused, verified::Verified};

#[derive(Clone, Copy, Debug)]
enum Demand {
    Scope(&'static str),
    Login(Login),
    Tenant(TenantId),
    NotDelegated,
}

/// A tower layer that makes one demand of the [`Verified`] token; 401 where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Require(Demand);

/// Lets only tokens with this permission through, see [`Verified::require_scope`].
#[must_use]
pub const fn require_scope(permission: &'static str) -> Require {
    Require(Demand::Scope(permission))
}

/// Lets only tokens of people through who logged in like this, see [`Verified::require_login`].
#[must_use]
pub const fn require_login(login: Login) -> Require {
    Require(Demand::Login(login))
}

/// Lets only tokens for this tenant through, see [`Verified::require_tenant`].
#[must_use]
pub const fn require_tenant(tenant: TenantId) -> Require {
    Require(Demand::Tenant(tenant))
}

/// Lets no delegated token through, see [`Verified::deny_delegated`].
#[must_use]
pub const fn deny_delegated() -> Require {
    Require(Demand::NotDelegated)
}

impl Require {
    fn check(self, token: Option<&Verified>) -> Result<(), Refused> {
        let token = token.ok_or(Refused::NoToken)?;
        match self.0 {
            Demand::Scope(permission) => token.require_scope(permission),
            Demand::Login(login) => token.require_login(login),
            Demand::Tenant(tenant) => token.require_tenant(tenant),
            Demand::NotDelegated => token.deny_delegated(),
        }
    }
}

impl<S> Layer<S> for Require {
    type Service = Required<S>;

    fn layer(&self, inner: S) -> Required<S> {
        Required { demand: *self, inner }
    }
}

/// A service behind a [`Require`].
#[derive(Clone, Debug)]
pub struct Required<S> {
    demand: Require,
    inner: S,
}

impl<S, B> Service<Request<B>> for Required<S>
where
    S: Service<Request<B>, Response = Response>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.demand.check(request.extensions().get::<Verified>()) {
            Ok(()) => Box::pin(self.inner.call(request)),
            Err(refused) => {
                tracing::debug!(reason = %refused, "a request was refused");
                Box::pin(std::future::ready(Ok(refused.into_response())))
            }
        }
    }
}
