//! `/invitation`: the invited person sets the own password. The link works once.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use procura_domain::Access;
use procura_issuer::{
    Error, Via,
    first_admin::{Open, Stay},
    passwords,
};
use procura_store::relationships::Link;

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
    partners: Vec<Partner<'a>>,
    /// What was chosen before the page came again.
    chosen: &'a str,
}

/// A partner whose access the first admin decides on.
struct Partner<'a> {
    name: &'a str,
    role: &'static str,
    is_on: bool,
    permissions: Vec<String>,
}

impl<'a> Partner<'a> {
    fn of(link: &'a Link) -> Self {
        let edge = &link.relationship;
        Self {
            name: &link.tenant_name,
            role: edge.role.as_str(),
            is_on: edge.access == Access::On,
            permissions: edge.permissions().iter().map(ToOwned::to_owned).collect(),
        }
    }
}

/// What is wrong with what was sent, and what of it is shown again.
#[derive(Default)]
struct Again<'a> {
    message: Option<&'static str>,
    chosen: &'a str,
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
    let open = match app.issuer().find_invitation(token).await {
        Ok(Some(open)) => open,
        Ok(None) => return page::invitation_over(),
        Err(error) => return page::of(error),
    };
    let cookies = Cookies::read(&app, &headers);
    let browser = match &cookies.browser {
        Some(browser) => browser.clone(),
        None => match app.issuer().environment().secret() {
            Ok(browser) => browser,
            Err(error) => return page::of(error),
        },
    };
    let mut response = invitation_page(&app, (token, &browser), &open, Again::default());
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
    let chosen = form.get("partner_access").unwrap_or_default();
    let answers = (password, Stay::of(chosen));
    let message = match app.issuer().accept_invitation(token, answers, via).await {
        Ok(()) => {
            let done = DonePage {
                title: "Your password is set",
                text: "You can close this page and log in to your application now.",
            };
            return Ok(page::render(StatusCode::OK, &done, None));
        }
        Err(Error::Invalid("partner_access")) => "Say what shall become of your partner's access.",
        Err(Error::Invalid("password_length")) => "Your organisation asks for a longer password.",
        Err(Error::Invalid(_)) => {
            "Take another password: at least twelve characters, and not more than 256."
        }
        Err(other) => return Err(other),
    };
    let open = app.issuer().find_invitation(token).await?.ok_or(Error::NotFound)?;
    let again = Again { message: Some(message), chosen };
    Ok(invitation_page(app, (token, &browser), &open, again))
}

fn invitation_page(
    app: &App,
    (token, browser): (&str, &str),
    open: &Open,
    Again { message, chosen }: Again<'_>,
) -> Response {
    let invitation = InvitationPage {
        token,
        form_token: form_token(app, "invitation", browser),
        min_chars: passwords::MIN_CHARS,
        message,
        partners: open.partners.iter().map(Partner::of).collect(),
        chosen,
    };
    let status = if message.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    page::render(status, &invitation, None)
}
