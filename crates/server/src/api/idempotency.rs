//! `Idempotency-Key` on a POST of the management API: the same request again gives the same answer again, and
//! happens once. Why so: docs/decisions/0018-idempotency.md.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use procura_domain::Caller;
use procura_issuer::{
    callers::Proof,
    idempotency::{Asked, Claim},
};
use procura_store::patience;
use procura_token::crypto::sha256;
use serde::{Deserialize, Serialize};

use crate::{
    api::{input::whole, problem::Problem},
    app::App,
    around::PATIENCE,
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY: usize = 128;
/// What is kept of an answer besides its status and body.
const KEPT: &[HeaderName] =
    &[header::CONTENT_TYPE, header::ETAG, header::LOCATION, header::CACHE_CONTROL];

/// What a request wants, and what became of it: written down by whoever finds out who asks.
#[derive(Clone)]
pub struct Wanted {
    key: Arc<str>,
    request: [u8; 32],
    found: Arc<Mutex<Option<Found>>>,
}

/// In an answer that is shown once, to whom it was given: nobody is shown it again for a while.
#[derive(Clone, Copy)]
pub struct ShownOnce;

enum Found {
    Claimed(Claim),
    Answered(String),
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Runs a request of the management API.
pub async fn run(app: &App, request: Request, next: Next) -> Response {
    let is_ours = request.method() == Method::POST && request.headers().contains_key(KEY);
    if !is_ours {
        return patience::within(PATIENCE, next.run(request)).await;
    }
    // Read while the caller is waited for, who may take no longer than for any other body.
    let (parts, body) = request.into_parts();
    let body = match whole(Request::from_parts(parts.clone(), body)).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let app = app.clone();
    // Runs to its end also when the caller has gone: who asks again is to find the answer.
    let work = tokio::spawn(patience::within(PATIENCE, async move {
        once(&app, (parts, body), next).await.unwrap_or_else(IntoResponse::into_response)
    }));
    work.await.unwrap_or_else(|_| Problem::INTERNAL.into_response())
}

async fn once(
    app: &App,
    (mut parts, body): (Parts, Bytes),
    next: Next,
) -> Result<Response, Problem> {
    let key = key(&parts.headers)?;
    let wanted = Wanted { key, request: hash(&parts, &body), found: Arc::default() };
    parts.extensions.insert(wanted.clone());
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let found = wanted.found.lock().unwrap_or_else(PoisonError::into_inner).take();
    match found {
        // What became of it is written down however slow the change was.
        Some(Found::Claimed(claim)) => {
            Ok(patience::within(PATIENCE, finish(app, &claim, response)).await)
        }
        Some(Found::Answered(kept)) => replay(&kept).ok_or(Problem::ANSWER_LOST),
        // Nobody was found to have asked, or nothing of it happens only once.
        None => Ok(response),
    }
}

/// The one key: printable ASCII without spaces, of some other's choice.
fn key(headers: &HeaderMap) -> Result<Arc<str>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let (value, next) = (values.next(), values.next());
    let text = value.and_then(|value| value.to_str().ok()).filter(|_| next.is_none());
    let is_good = |text: &&str| {
        (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    text.filter(is_good).map(Arc::from).ok_or(Problem::invalid("idempotency_key"))
}

/// What has to be the same for it to be the same request.
fn hash(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let header = |name| parts.headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    sha256(&[
        parts.method.as_str().as_bytes(),
        &[0],
        path.as_bytes(),
        &[0],
        header(header::CONTENT_TYPE),
        &[0],
        header(header::IF_MATCH),
        &[0],
        body,
    ])
}

/// Claims the key for whoever has been found to ask, where a key was named.
pub async fn claim(
    app: &App,
    parts: &Parts,
    caller: &Caller,
    proof: Proof,
) -> Result<Proof, Problem> {
    let Some(wanted) = parts.extensions.get::<Wanted>() else { return Ok(proof) };
    // Whoever may change nothing by any POST is refused without a key as with one, and for less.
    if !caller.may_change() {
        return Ok(proof);
    }
    let (found, answer) = match app.issuer().claim(caller, &wanted.key, &wanted.request).await? {
        Asked::First(claim) => (Found::Claimed(claim.clone()), Ok(proof.under(claim))),
        // The problem is never seen: the answer takes its place.
        Asked::Answered(kept) => (Found::Answered(kept), Err(Problem::ANSWER_LOST)),
        Asked::Running => return Err(Problem::STILL_RUNNING),
        Asked::OfAnother => return Err(Problem::KEY_REUSED),
        Asked::AnswerLost => return Err(Problem::ANSWER_LOST),
    };
    *wanted.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    answer
}

/// Keeps a good answer; lets the key go where there is none.
async fn finish(app: &App, claim: &Claim, response: Response) -> Response {
    let status = response.status();
    let is_long = response.body().size_hint().upper().is_none();
    if status.is_success() && is_long {
        // Read piece by piece, and kept by nobody: what was done under the claim is done.
        return response;
    }
    let done = if status.is_success() && response.extensions().get::<ShownOnce>().is_some() {
        // What is kept is no answer, so it counts as lost at once.
        (app.issuer().keep_answer(claim, "").await, response)
    } else if status.is_success() {
        let (parts, body) = response.into_parts();
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return Problem::INTERNAL.into_response();
        };
        let kept = serde_json::to_string(&Kept {
            status: status.as_u16(),
            headers: KEPT.iter().filter_map(|name| text(&parts.headers, name)).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        });
        let done = match kept {
            Ok(kept) => app.issuer().keep_answer(claim, &kept).await,
            Err(_) => Ok(()),
        };
        (done, Response::from_parts(parts, Body::from(body)))
    } else {
        (app.issuer().release(claim).await, response)
    };
    if let Err(error) = done.0 {
        // What was done is done, and who asks again is told so.
        tracing::warn!(%error, "what became of a request with a key could not be written down");
    }
    done.1
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<(String, String)> {
    let value = headers.get(name)?.to_str().ok()?;
    Some((name.as_str().to_owned(), value.to_owned()))
}

fn replay(kept: &str) -> Option<Response> {
    let kept: Kept = serde_json::from_str(kept).ok()?;
    let status = StatusCode::from_u16(kept.status).ok()?;
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in kept.headers {
        headers.insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Some(response)
}
