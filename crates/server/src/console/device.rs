//! `/device`: where a person types in the code that a device shows (RFC 8628 §3.3). Whoever has a link with
//! the code in it sees it all the same, and is asked to compare.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use procura_issuer::{Error, Via, device::normalise_user_code};

use crate::{
    app::App,
    around::From,
    console::{
        cookies::{Cookies, form_token, is_own_form},
        page,
    },
    oauth::{authorize::go, form::Form},
};

const PURPOSE: &str = "device";

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    form_token: String,
    user_code: String,
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
    let user_code = form.get("user_code").and_then(normalise_user_code).unwrap_or_default();
    let (browser, is_new) = match Cookies::read(&app, &headers).browser {
        Some(browser) => (browser, false),
        None => match app.issuer().environment().secret() {
            Ok(browser) => (browser, true),
            Err(error) => return page::of(error),
        },
    };
    let mut response = device_page(&app, StatusCode::OK, (user_code, &browser), None);
    if is_new {
        Cookies::set_browser(&app, &browser, &mut response);
    }
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
    let cookies = Cookies::read(app, headers);
    let browser = cookies.browser.ok_or(Error::NotFound)?;
    if !is_own_form(app, headers, (PURPOSE, &browser), form.get("form_token")) {
        return Err(Error::Forbidden);
    }
    let session = match &cookies.session {
        Some(cookie) => app.issuer().session(cookie).await?,
        None => None,
    };
    let typed = form.get("user_code").unwrap_or_default();
    match app.issuer().begin_device_login(typed, &browser, session.as_ref(), via).await {
        Ok(next) => go(app, &next).await,
        Err(Error::NotFound) => {
            let message = "No device waits with this code. Compare it with your device; after ten \
                           minutes the device has to show a new one.";
            let user_code = normalise_user_code(typed).unwrap_or_default();
            let shown = (user_code, browser.as_str());
            Ok(device_page(app, StatusCode::BAD_REQUEST, shown, Some(message)))
        }
        Err(other) => Err(other),
    }
}

fn device_page(
    app: &App,
    status: StatusCode,
    (user_code, browser): (String, &str),
    message: Option<&'static str>,
) -> Response {
    let form_token = form_token(app, PURPOSE, browser);
    page::render(status, &DevicePage { form_token, user_code, message }, None)
}

/// What the person sees after the answer: nobody is redirected to a device.
pub(crate) fn answered(is_allowed: bool) -> Response {
    let done = if is_allowed {
        DonePage {
            title: "Your device is let in",
            text: "You can close this page. The device goes on by itself in a few seconds.",
        }
    } else {
        DonePage {
            title: "The device is not let in",
            text: "You can close this page. If you did not begin this at a device of yours, somebody \
                   may have tried to get into your account: tell the people who look after it.",
        }
    };
    page::render(StatusCode::OK, &done, None)
}
