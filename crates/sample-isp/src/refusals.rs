//! What delegated tokens were refused here, reported to Procura's audit log: the customer sees who tried what.
//!
//! Only tokens that are good and lack something. Whoever sends one that is no good is unknown, and would be
//! held against the person that it was once given to.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use procura_verify::{Refused, Verified};

use crate::{outbox::Outbox, routes::App};

/// So many are remembered as reported.
const MOST: usize = 4096;

/// What was reported already: a token that tries the same a thousand times fills neither the outbox nor the log.
#[derive(Default)]
pub struct Refusals(Mutex<HashSet<(String, String)>>);

impl Refusals {
    /// Whether this token was not refused this call before. Beyond so many all is forgotten, and reported
    /// once more.
    fn is_new(&self, token: &Verified, call: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST {
            told.clear();
        }
        told.insert((token.claims().jti.clone(), call.to_owned()))
    }

    fn forget(&self, token: &Verified, call: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(&(token.claims().jti.clone(), call.to_owned()));
    }

    async fn tell(&self, outbox: &Outbox, token: &Verified, (call, refused): (&str, Refused)) {
        if !self.is_new(token, call) {
            return;
        }
        if let Err(error) = outbox.report_refusal(token, call, &refused.to_string()).await {
            // It stays refused, and is reported the next time.
            tracing::error!(%error, "a refusal was not reported");
            self.forget(token, call);
        }
    }
}

/// Between the guard and the routes: what the guard let in, and a route did not.
pub async fn report(State(app): State<App>, request: Request, next: Next) -> Response {
    let token = request.extensions().get::<Verified>().filter(|token| token.is_delegated());
    let token = token.cloned();
    let route = request.extensions().get::<MatchedPath>();
    let call = route.map(|route| format!("{} {}", request.method(), route.as_str()));
    let response = next.run(request).await;
    let refused = response.extensions().get::<Refused>().copied();
    let refused = refused.filter(|refused| refused.status() == StatusCode::FORBIDDEN);
    if let (Some(token), Some(call), Some(refused)) = (token, call, refused) {
        app.refusals.tell(&app.outbox, &token, (&call, refused)).await;
    }
    response
}
