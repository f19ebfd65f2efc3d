//! `/invitation`: the invited person sets the own password. The link works once.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use procura_issuer::{Error, Via, passwords};

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
#[template(path = "invitation.html")]
struct InvitationPage<'a> {
    token: &'a str,
    form_token: String,
    min_chars: usize,
    message: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "done.html")]
struct DonePage {
    title: &'static str,
    text: &'static str,
}

/// By GET.
pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let form = Form::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let Some(token) = form.get("token") else { return page::of(Error::NotFound) };
    match app.issuer().is_invitation_open(token).await {
        Ok(true) => {}
        Ok(false) => return page::invitation_over(),
        Err(error) => return page::of(error),
    }
    let cookies = Cookies::read(&app, &headers);
    let browser = match &cookies.browser {
        Some(browser) => browser.clone(),
        None => match app.issuer().environment().secret() {
            Ok(browser) => browser,
            Err(error) => return page::of(error),
        },
    };
    let mut response = invitation_page(&app, StatusCode::OK, (token, &browser), None);
    Cookies::set_browser(&app, &browser, &mut response);
    response
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
    let browser = Cookies::read(app, headers).browser.ok_or(Error::NotFound)?;
    let token = form.get("token").ok_or(Error::NotFound)?;
    if !is_own_form(app, headers, ("invitation", &browser), form.get("form_token")) {
        return Err(Error::Forbidden);
    }
    let password = form.get("password").unwrap_or_default();
    match app.issuer().accept_invitation(token, password, via).await {
        Ok(()) => {
            let done = DonePage {
                title: "Your password is set",
                text: "You can close this page and log in to your application now.",
            };
            Ok(page::render(StatusCode::OK, &done, None))
        }
        Err(Error::Invalid(_)) => {
            let message =
                "Take another password: at least twelve characters, and not more than 256.";
            let status = StatusCode::BAD_REQUEST;
            Ok(invitation_page(app, status, (token, &browser), Some(message)))
        }
        Err(other) => Err(other),
    }
}

fn invitation_page(
    app: &App,
    status: StatusCode,
    (token, browser): (&str, &str),
    message: Option<&'static str>,
) -> Response {
    let invitation = InvitationPage {
        token,
        form_token: form_token(app, "invitation", browser),
        min_chars: passwords::MIN_CHARS,
        message,
    };
    page::render(status, &invitation, None)
}
