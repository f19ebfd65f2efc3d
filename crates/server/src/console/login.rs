//! `/login`: e-mail and password. One text for every failure.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use procura_issuer::{Error, Via, authorize::Shown, login::LoggedIn};
use procura_store::identity_providers::Provider;

use crate::{
    app::App,
    around::From,
    console::{
        cookies::{Cookies, form_token, is_own_form},
        page,
    },
    oauth::{authorize::go, form::Form},
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    client_name: &'a str,
    interaction: String,
    form_token: String,
    email: &'a str,
    message: Option<&'static str>,
    providers: Option<Vec<Provider>>,
}

/// By GET.
pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let form = Form::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    match pending(&app, &headers, &form).await {
        Ok((shown, browser)) => {
            let hint = shown.pending.login_hint.as_deref().filter(|hint| hint.len() <= 254);
            let email = hint.unwrap_or_default();
            let said = Said { email, ..Said::default() };
            let page = login_page(&app, StatusCode::OK, (&shown, &browser), said).await;
            page.unwrap_or_else(page::of)
        }
        Err(error) => page::of(error),
    }
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
    let (shown, browser) = pending(app, headers, form).await?;
    let purpose = format!("login {}", shown.id);
    if !is_own_form(app, headers, (&purpose, &browser), form.get("form_token")) {
        return Err(Error::Forbidden);
    }
    let email = form.get("email").unwrap_or_default();
    let password = form.get("password").unwrap_or_default();
    let before = match Cookies::read(app, headers).session {
        Some(cookie) => app.issuer().session(&cookie).await?,
        None => None,
    };
    match app.issuer().log_in((email, password), before.as_ref(), via).await {
        Ok(logged_in) => Ok(after_login(app, &shown, &logged_in).await),
        Err(Error::Unauthenticated) => {
            let message = "E-mail address or password is not right, or this account cannot be \
                           used now.";
            let status = StatusCode::UNAUTHORIZED;
            let said = Said { email, message: Some(message), providers: None };
            login_page(app, status, (&shown, &browser), said).await
        }
        Err(other) => Err(other),
    }
}

/// On with the request, for whoever has logged in.
pub(crate) async fn after_login(app: &App, shown: &Shown, logged_in: &LoggedIn) -> Response {
    let next = app.issuer().go_on(shown, &logged_in.session).await;
    // Logged in in any case: the cookie from before may be good no more.
    let gone = match next {
        Ok(next) => go(app, &next).await,
        Err(error) => Err(error),
    };
    let mut response = gone.unwrap_or_else(page::of);
    Cookies::set_session(app, &logged_in.cookie, &mut response);
    response
}

/// The pending request that the page is about, and the browser that it belongs to.
pub(crate) async fn pending(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(Shown, String), Error> {
    let browser = Cookies::read(app, headers).browser.ok_or(Error::NotFound)?;
    let id = form.get("interaction").and_then(|id| id.parse().ok()).ok_or(Error::NotFound)?;
    let shown = app.issuer().show_interaction(id, &browser).await?;
    Ok((shown, browser))
}

/// What a login page says besides its forms.
#[derive(Default)]
pub(crate) struct Said<'a> {
    /// Who will probably log in.
    pub email: &'a str,
    /// What went wrong.
    pub message: Option<&'static str>,
    /// Which identity providers somebody can have meant; those of the client's tenant where it is not known.
    pub providers: Option<Vec<Provider>>,
}

pub(crate) async fn login_page(
    app: &App,
    status: StatusCode,
    (shown, browser): (&Shown, &str),
    said: Said<'_>,
) -> Result<Response, Error> {
    let providers = match said.providers {
        None => app.issuer().offered_providers(shown).await?,
        meant => meant,
    };
    let login = LoginPage {
        client_name: &shown.client.name,
        interaction: shown.id.to_string(),
        form_token: form_token(app, &format!("login {}", shown.id), browser),
        email: said.email,
        message: said.message,
        providers,
    };
    Ok(page::render(status, &login, page::form_target(&shown.pending.redirect_uri).as_deref()))
}
