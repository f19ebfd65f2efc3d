//! `/consent`: what the application will be able to do, in plain words; allow or deny.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use procura_issuer::{
    Error, Via,
    authorize::{Next, Shown},
};
use procura_store::{sessions::Session, users::User};

use crate::{
    app::App,
    around::From,
    console::{
        cookies::{Cookies, form_token, is_own_form},
        device,
        login::pending,
        page,
    },
    oauth::{authorize::go, form::Form},
};

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    client_name: &'a str,
    /// Where the person goes back to, of an application that nobody here has registered.
    unknown_at: Option<&'a str>,
    links: Vec<(&'static str, &'a str)>,
    tenant_name: &'a str,
    user_name: &'a str,
    email: &'a str,
    permissions: Vec<&'static str>,
    /// What the device must show, where a device asks.
    user_code: Option<&'a str>,
    interaction: String,
    form_token: String,
}

/// By GET.
pub async fn show(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let form = Form::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    match try_show(&app, &headers, &form).await {
        Ok(response) => response,
        Err(error) => page::of(error),
    }
}

async fn try_show(app: &App, headers: &HeaderMap, form: &Form) -> Result<Response, Error> {
    let (shown, browser) = pending(app, headers, form).await?;
    let Some(session) = session(app, headers, &shown).await? else {
        return Ok(Redirect::to(&format!("/login?interaction={}", shown.id)).into_response());
    };
    let user = app.issuer().store().find_user(session.tenant, session.user).await?;
    let tenant = app.issuer().store().find_tenant(session.tenant).await?;
    let (user, tenant): (User, _) = user.zip(tenant).ok_or(Error::NotFound)?;
    let target = page::form_target(&shown.pending.redirect_uri);
    let is_unknown = app.issuer().has_registered_itself(&shown.client.id).await?;
    let consent = ConsentPage {
        client_name: &shown.client.name,
        unknown_at: target.as_deref().filter(|_| is_unknown),
        links: links(&shown),
        tenant_name: &tenant.name,
        user_name: &user.name,
        email: &user.email,
        permissions: in_plain_words(&shown),
        user_code: shown.pending.terms.device.as_ref().map(|device| device.user_code.as_str()),
        interaction: shown.id.to_string(),
        form_token: form_token(app, &purpose(&shown, &session), &browser),
    };
    Ok(page::render(StatusCode::OK, &consent, target.as_deref()))
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
    let session = session(app, headers, &shown).await?.ok_or(Error::Unauthenticated)?;
    let purpose = purpose(&shown, &session);
    if !is_own_form(app, headers, (&purpose, &browser), form.get("form_token")) {
        return Err(Error::Forbidden);
    }
    let is_allowed = match form.get("decision") {
        Some("allow") => true,
        Some("deny") => false,
        _ => return Err(Error::Invalid("decision")),
    };
    if shown.pending.terms.device.is_some() {
        app.issuer().answer_device(&shown, &session, is_allowed, via).await?;
        return Ok(device::answered(is_allowed));
    }
    let answer = app.issuer().answer(&shown, &session, is_allowed).await?;
    go(app, &Next::Client(answer)).await
}

/// The login that may answer: not one from before a request that wants a new one.
async fn session(app: &App, headers: &HeaderMap, shown: &Shown) -> Result<Option<Session>, Error> {
    let session = match Cookies::read(app, headers).session {
        Some(cookie) => app.issuer().session(&cookie).await?,
        None => None,
    };
    Ok(session.filter(|session| shown.pending.accepts(session)))
}

/// A form shown to one person cannot be sent by the next one in the same browser.
fn purpose(shown: &Shown, session: &Session) -> String {
    format!("consent {} {}", shown.id, session.id)
}

fn in_plain_words(shown: &Shown) -> Vec<&'static str> {
    let agreement = shown.pending.agreement();
    let words = agreement.iter().filter_map(|permission| match permission {
        "openid" => Some("Know who you are"),
        "profile" => Some("See your name and what your profile says about you"),
        "email" => Some("See your e-mail address"),
        "address" => Some("See your postal address"),
        "phone" => Some("See your phone number"),
        "offline_access" => {
            Some("Stay connected when you are away, until you log out or take this back")
        }
        "account.consents" => Some("See and withdraw what you allowed other applications"),
        "partner.tenants.list" => Some("See which customers your organisation manages"),
        "partner.tenants.switch_context" => {
            Some("Act in your customers' tenants on your behalf, where they allow it")
        }
        "tenant.admin" => Some("Administer your organisation on your behalf"),
        "operator.admin" => Some("Administer this deployment on your behalf"),
        _ => None,
    });
    words.collect()
}

/// What the application says about itself, to be read elsewhere: nothing of it is loaded into our page.
fn links(shown: &Shown) -> Vec<(&'static str, &str)> {
    let registration = &shown.client.registration;
    let links = [
        ("Home page", &registration.client_uri),
        ("Logo", &registration.logo_uri),
        ("What it does with your data", &registration.policy_uri),
        ("Its terms", &registration.tos_uri),
    ];
    let is_web = |uri: &&str| uri.starts_with("https://") || uri.starts_with("http://");
    links
        .into_iter()
        .filter_map(|(words, uri)| Some((words, uri.as_deref().filter(is_web)?)))
        .collect()
}
