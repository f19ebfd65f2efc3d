//! The face of an error for people, the stylesheet, and the headers of every page.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use procura_issuer::Error;

/// A page about something that went wrong.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    text: &'static str,
    code: &'static str,
}

/// Renders a page. `form_target` is where a form on it may end up besides here: browsers apply
/// `form-action` to the redirect that answers a form too, and that may go to the client.
pub(crate) fn render(
    status: StatusCode,
    page: &impl Template,
    form_target: Option<&str>,
) -> Response {
    let form_action = format!(
        "form-action 'self'{}",
        form_target.map(|target| format!(" {target}")).unwrap_or_default()
    );
    render_under(status, page, &form_action)
}

/// Renders the only page with a script: one that posts its form by itself, named by its nonce. The form
/// goes to the client alone; from there the client may send the browser on, as after a redirect.
pub(crate) fn render_with_script(
    status: StatusCode,
    page: &impl Template,
    form_target: Option<&str>,
    nonce: &str,
) -> Response {
    let target = form_target.unwrap_or_default();
    let policy = format!("script-src 'nonce-{nonce}'; form-action https: {target}");
    render_under(status, page, &policy)
}

fn render_under(status: StatusCode, page: &impl Template, more: &str) -> Response {
    let Ok(html) = page.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
         frame-ancestors 'none'; {more}"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// The source expression (CSP Level 3 §2.3.1) for a client's redirect URI; only ours to put into a
/// header because the URI was registered and is re-assembled from its parsed parts.
pub(crate) fn form_target(redirect_uri: &str) -> Option<String> {
    let uri = url::Url::parse(redirect_uri).ok()?;
    match uri.scheme() {
        "http" | "https" => Some(uri.origin().ascii_serialization()),
        other => Some(format!("{other}:")),
    }
}

/// The page for an OAuth error code.
pub(crate) fn error(code: &'static str) -> Response {
    let page = ErrorPage {
        title: "This request cannot be used",
        text: "The application sent you here with a request that is not valid. Go back and try \
               again; if it happens again, tell the people who run the application.",
        code,
    };
    render(StatusCode::BAD_REQUEST, &page, None)
}

/// The page for an invitation that was used, has expired, or never was.
pub(crate) fn invitation_over() -> Response {
    let page = ErrorPage {
        title: "This invitation is no longer good",
        text: "It was used already, or its week is over. If you have set a password, log in to your \
               application; if not, ask whoever invited you for a new invitation.",
        code: "invitation_over",
    };
    render(StatusCode::BAD_REQUEST, &page, None)
}

/// The page for an error of a verb.
pub(crate) fn of(error: Error) -> Response {
    let (status, title, text, code) = match error {
        Error::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Just a moment",
            "Too much is going on here right now. Wait a little and try again.",
            "temporarily_unavailable",
        ),
        Error::TooManyFailures { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Just a moment",
            "Too many attempts from where you are. Wait a minute and try again.",
            "too_many_failures",
        ),
        Error::TooManyRequests { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Just a moment",
            "Too many requests come from where you are. Wait a minute and try again.",
            "too_many_requests",
        ),
        Error::Broken => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here",
            "It is not your fault. Nothing was changed. Try again later.",
            "server_error",
        ),
        Error::NotFound | Error::Unauthenticated | Error::Forbidden => (
            StatusCode::BAD_REQUEST,
            "This page is no longer good",
            "The request is unknown, over, or was started in another browser. Go back to the \
             application and start again.",
            "invalid_request",
        ),
        _ => return self::error("invalid_request"),
    };
    let mut response = render(status, &ErrorPage { title, text, code }, None);
    let retry_secs = match error {
        Error::Busy => Some(1),
        Error::TooManyFailures { wait_secs } | Error::TooManyRequests { wait_secs } => {
            Some(wait_secs)
        }
        _ => None,
    };
    if let Some(secs) = retry_secs {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// The stylesheet.
pub async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../../assets/procura.css"))
}
