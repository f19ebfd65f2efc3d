//! `/logout`: whether the person really wants to leave, and the page after that.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use procura_issuer::{Error, Via};
use procura_store::sessions::Session;

use crate::{
    app::App,
    around::From,
    console::{
        cookies::{Cookies, form_token, is_own_form},
        page,
    },
    oauth::form::Form,
};

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage<'a> {
    user_name: &'a str,
    email: &'a str,
    form_token: String,
}

#[derive(Template)]
#[template(path = "logged_out.html")]
struct LoggedOutPage;

/// By GET.
pub async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    match try_show(&app, &headers).await {
        Ok(response) => response,
        Err(error) => page::of(error),
    }
}

async fn try_show(app: &App, headers: &HeaderMap) -> Result<Response, Error> {
    let cookies = Cookies::read(app, headers);
    let Some(session) = session(app, &cookies).await? else { return Ok(logged_out(app)) };
    let user = app.issuer().store().find_user(session.tenant, session.user).await?;
    let user = user.ok_or(Error::NotFound)?;
    let (browser, is_new) = match cookies.browser {
        Some(browser) => (browser, false),
        None => (app.issuer().environment().secret()?, true),
    };
    let ask = LogoutPage {
        user_name: &user.name,
        email: &user.email,
        form_token: form_token(app, &purpose(&session), &browser),
    };
    let mut response = page::render(StatusCode::OK, &ask, None);
    if is_new {
        Cookies::set_browser(app, &browser, &mut response);
    }
    Ok(response)
}

/// By POST.
pub async fn submit(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, crate::oauth::error::OAuthError>,
) -> Response {
    let Ok(form) = form else { return page::error("invalid_request") };
    match try_submit(&app, &via, &headers, &form).await {
        Ok(response) => response,
        Err(error) => page::of(error),
    }
}

async fn try_submit(
    app: &App,
    via: &Via,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Response, Error> {
    let cookies = Cookies::read(app, headers);
    let Some(session) = session(app, &cookies).await? else { return Ok(logged_out(app)) };
    let browser = cookies.browser.ok_or(Error::NotFound)?;
    if !is_own_form(app, headers, (&purpose(&session), &browser), form.get("form_token")) {
        return Err(Error::Forbidden);
    }
    app.issuer().log_out(&session, via).await?;
    Ok(logged_out(app))
}

/// The page for somebody who is not logged in any more.
pub(crate) fn logged_out(app: &App) -> Response {
    let mut response = page::render(StatusCode::OK, &LoggedOutPage, None);
    Cookies::clear_session(app, &mut response);
    response
}

async fn session(app: &App, cookies: &Cookies) -> Result<Option<Session>, Error> {
    match &cookies.session {
        Some(cookie) => app.issuer().session(cookie).await,
        None => Ok(None),
    }
}

/// A form shown to one person logs nobody else out.
fn purpose(session: &Session) -> String {
    format!("logout {}", session.id)
}
