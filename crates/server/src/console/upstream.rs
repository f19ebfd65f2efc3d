//! `/login/upstream` and `/login/callback/…`: logging in by an identity provider of one's own tenant.
//! Nothing that a provider says is ever shown.

use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use procura_issuer::{
    Error, Via,
    authorize::Shown,
    upstream::{Brought, NotLoggedIn},
};
use procura_store::identity_providers::Provider;

use crate::{
    app::App,
    around::From,
    console::{
        cookies::{Cookies, is_own_form},
        login::{Said, after_login, login_page, pending},
        page,
    },
    oauth::{error::OAuthError, form::Form},
};

/// A page that leads on by itself. No redirect: browsers would hold it against the form that led here, and
/// nobody would see where the login goes on.
#[derive(Template)]
#[template(path = "upstream.html")]
struct UpstreamPage<'a> {
    title: &'a str,
    host: &'a str,
    url: &'a str,
}

/// `POST /login/upstream`
pub async fn leave(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Response {
    let Ok(form) = form else { return page::error("invalid_request") };
    try_leave(&app, &via, &headers, &form).await.unwrap_or_else(page::of)
}

async fn try_leave(
    app: &App,
    via: &Via,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Response, Error> {
    let (shown, browser) = pending(app, headers, form).await?;
    let purpose = format!("login {}", shown.id);
    if !is_own_form(app, headers, (&purpose, &browser), form.get("form_token")) {
        return Err(Error::Forbidden);
    }
    let typed = form.get("organisation").unwrap_or_default().trim();
    let mut meant = app.issuer().meant_providers(form.get("idp").unwrap_or(typed)).await?;
    let provider = match (meant.pop(), meant.is_empty()) {
        (Some(provider), true) => provider,
        (None, _) => return failed(app, (&shown, &browser), NotLoggedIn::NoProvider).await,
        (Some(last), false) => {
            meant.push(last);
            return choose(app, (&shown, &browser), meant).await;
        }
    };
    let hint = shown.pending.login_hint.as_deref();
    let hint = hint.or_else(|| typed.contains('@').then_some(typed)).filter(|h| h.len() <= 254);
    let at = (&shown, browser.as_str());
    match app.issuer().leave_for_provider(at, &provider.idp, hint, via).await? {
        Err(why) => failed(app, at, why).await,
        Ok(away) => {
            let host = away.url.host_str().unwrap_or_default();
            let page = UpstreamPage { title: &away.title, host, url: away.url.as_str() };
            Ok(page::render(StatusCode::OK, &page, None))
        }
    }
}

/// `GET /login/callback/{id}`: where a provider sends the browser back to.
pub async fn come_back(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(form) = Form::parse(query.unwrap_or_default().as_bytes()) else {
        return page::error("invalid_request");
    };
    try_come_back(&app, &via, (&headers, &id), &form).await.unwrap_or_else(page::of)
}

async fn try_come_back(
    app: &App,
    via: &Via,
    (headers, id): (&HeaderMap, &str),
    form: &Form,
) -> Result<Response, Error> {
    let id = id.parse().map_err(|_| Error::NotFound)?;
    let cookies = Cookies::read(app, headers);
    let browser = cookies.browser.ok_or(Error::NotFound)?;
    let before = match cookies.session {
        Some(cookie) => app.issuer().session(&cookie).await?,
        None => None,
    };
    let brought = Brought {
        state: form.get("state"),
        code: form.get("code"),
        error: form.get("error"),
        iss: form.get("iss"),
    };
    let back = app.issuer().come_back((id, brought), &browser, before.as_ref(), via).await?;
    match back.outcome {
        Ok(logged_in) => Ok(after_login(app, &back.shown, &logged_in).await),
        Err(why) => failed(app, (&back.shown, &browser), why).await,
    }
}

async fn choose(
    app: &App,
    at: (&Shown, &str),
    providers: Vec<Provider>,
) -> Result<Response, Error> {
    let said = Said { providers: Some(providers), ..Said::default() };
    login_page(app, StatusCode::OK, at, said).await
}

/// The login page again, with what happened and what can be done about it.
async fn failed(app: &App, at: (&Shown, &str), why: NotLoggedIn) -> Result<Response, Error> {
    let (status, message) = match why {
        NotLoggedIn::NoProvider => (
            StatusCode::BAD_REQUEST,
            "No login of an organisation is known under this name. Check it, ask the people who run \
             your organisation's accounts, or log in with a password.",
        ),
        NotLoggedIn::Unreachable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Your organisation's login does not answer now. Wait a little and try again, or log in \
             with a password if you have one.",
        ),
        NotLoggedIn::Declined => (
            StatusCode::UNAUTHORIZED,
            "Your organisation's login did not let you in, or you went back. Try again, or ask the \
             people who run your organisation's accounts.",
        ),
        NotLoggedIn::NotGenuine => (
            StatusCode::BAD_REQUEST,
            "The answer of your organisation's login cannot be used. Try again; if it happens again, \
             tell the people who run your organisation's accounts.",
        ),
        NotLoggedIn::NotAdmitted => (
            StatusCode::UNAUTHORIZED,
            "Your organisation's login knows you, but no account here is open to you that way. Ask \
             the people who run your organisation's accounts.",
        ),
        NotLoggedIn::NotFresh => (
            StatusCode::UNAUTHORIZED,
            "The application wants you to log in anew, and your organisation's login did not ask \
             you. Log out there first, then try again.",
        ),
        NotLoggedIn::NotEnough => (
            StatusCode::UNAUTHORIZED,
            "Your organisation asks for a stronger login, or another one. Log in there with a second \
             factor if you can, or ask the people who run your organisation's accounts.",
        ),
    };
    let said = Said { message: Some(message), ..Said::default() };
    let mut response = login_page(app, status, at, said).await?;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let wait = axum::http::HeaderValue::from_static("10");
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, wait);
    }
    Ok(response)
}
