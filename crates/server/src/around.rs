//! What goes around every request: its id, its time limit, the headers of its answer, and the body
//! of a problem, which carries the id.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use procura_issuer::Via;
use procura_store::patience;
use url::form_urlencoded;

use crate::{
    api::{idempotency, problem::Problem},
    app::App,
    console::page,
    oauth::{error::OAuthError, protected_resource},
    rate_limits,
};

/// No handler takes longer; the feed answers at once and streams afterwards.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(10);
/// So long all that a request needs of a backend may take together, so that its answer is out within three
/// seconds. What has bounds of its own comes on top: a password's turn to be hashed, and verifiers that
/// somebody asked to wait for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(2750);

/// Two years, as the proxies in `deploy/` say it.
const ALWAYS_TLS: &str = "max-age=63072000";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The middleware.
pub async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let (started, meters) = (Instant::now(), &app.metrics().http);
    let _active = meters.begin();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = app.telemetry().map(|way| way.begin(&method, route, request.headers()));
    let response = answer(&app, request, next).await;
    meters.observe(route, &method, response.status(), started.elapsed());
    if let Some(span) = span {
        let id = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        span.end(response.status(), id);
    }
    response
}

async fn answer(app: &App, mut request: Request, next: Next) -> Response {
    let request_id = match app.issuer().environment().id_bits() {
        Ok(bits) => format!("{bits:032x}"),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let client = peer.map(|peer| app.proxies().client(peer, request.headers()));
    let ip = client.map(|ip| ip.to_string());
    let via = Via { ip, request_id: request_id.clone(), ..Via::default() };
    request.extensions_mut().insert(via.clone());
    let face = Face::of(request.uri().path());
    let takes_tokens = protected_resource::takes_tokens(request.uri().path());
    let handled = async {
        let is_bad = face == Face::Api && has_nul(request.uri());
        if is_bad || !is_text(request.uri()) {
            return face.unreadable();
        }
        // Who looks at a page is known by nothing better yet.
        if face == Face::Person
            && let Err(error) = app.issuer().limit_address(&via).await
        {
            return page::of(error);
        }
        if face == Face::Api {
            return idempotency::run(app, request, next).await;
        }
        patience::within(PATIENCE, next.run(request)).await
    };
    let mut response =
        tokio::time::timeout(HANDLER_TIMEOUT, handled).await.unwrap_or_else(|_| face.unavailable());
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(&request_id, &response);
    }
    let headers = response.headers_mut();
    if let Some(standing) = via.tally.take() {
        rate_limits::tell(&standing, headers);
    }
    if takes_tokens && headers.contains_key(header::WWW_AUTHENTICATE) {
        protected_resource::point_to(app.origin(), headers);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Where a proxy ends TLS it is the proxy's to promise this.
    if app.ends_tls() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ALWAYS_TLS));
    }
    // Whatever does not say otherwise must not be kept: it is about one person or one token.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// No name of ours has a NUL in it, and Postgres cannot be asked for one. Forms look for themselves.
fn has_nul(uri: &Uri) -> bool {
    uri.path().contains("%00") || uri.query().is_some_and(|query| query.contains("%00"))
}

/// Whether the path is UTF-8 where it is decoded: what is not comes out as U+FFFD, as in a form.
fn is_text(uri: &Uri) -> bool {
    let mut decoded = form_urlencoded::parse(uri.path().as_bytes());
    !decoded.any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}'))
}

/// Whom a path talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    OAuth,
    Person,
    Api,
}

impl Face {
    fn of(path: &str) -> Self {
        match path {
            "/oauth2/authorize" | "/oauth2/logout" | "/login" | "/login/upstream" | "/logout"
            | "/consent" | "/invitation" | "/device" => Self::Person,
            path if path.starts_with("/login/callback/") => Self::Person,
            path if path.starts_with("/oauth2/") => Self::OAuth,
            _ => Self::Api,
        }
    }

    /// The answer to an address that nobody can read.
    fn unreadable(self) -> Response {
        match self {
            Self::OAuth => OAuthError::invalid("The address is not valid.").into_response(),
            Self::Person => page::error("invalid_request"),
            Self::Api => Problem::invalid("url").into_response(),
        }
    }

    /// The answer that a handler owes.
    fn unavailable(self) -> Response {
        match self {
            Self::OAuth => OAuthError::UNAVAILABLE.into_response(),
            Self::Person => page::of(procura_issuer::Error::Busy),
            Self::Api => Problem::UNAVAILABLE.into_response(),
        }
    }
}

/// Where the request came from, for the verbs.
pub struct From(pub Via);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Via>().cloned().map(Self).ok_or(Problem::INTERNAL)
    }
}
