//! `GET/POST /oauth2/authorize`: into the login dance, and out of it again.

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use procura_issuer::authorize::{Answer, Next, Parameters, ResponseMode};

use crate::{
    app::App,
    console::{cookies::Cookies, page},
    oauth::form::Form,
};

/// The page that posts the answer to the client (OAuth 2.0 Form Post Response Mode §2).
#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPostPage<'a> {
    action: &'a str,
    fields: Vec<(&'static str, &'a str)>,
    nonce: &'a str,
}

/// By GET.
pub async fn by_get(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match Form::parse(query.unwrap_or_default().as_bytes()) {
        Ok(form) => begin(&app, &headers, &form).await,
        Err(error) => page::error(error.code()),
    }
}

/// By POST (OpenID Connect Core §3.1.2.1). Where it comes from another site the browser keeps our cookies
/// back, and nobody seems to be logged in; so it is sent here once more by GET.
pub async fn by_post(
    State(app): State<App>,
    headers: HeaderMap,
    form: Result<Form, crate::oauth::error::OAuthError>,
) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(error) => return page::error(error.code()),
    };
    let is_foreign = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form.iter()).finish();
    if is_foreign && query.len() <= MAX_QUERY {
        return Redirect::to(&format!("/oauth2/authorize?{query}")).into_response();
    }
    begin(&app, &headers, &form).await
}

/// Longer URLs do not get through everywhere.
const MAX_QUERY: usize = 8 * 1024;

async fn begin(app: &App, headers: &HeaderMap, form: &Form) -> Response {
    match try_begin(app, headers, form).await {
        Ok(response) => response,
        Err(error) => page::of(error),
    }
}

async fn try_begin(
    app: &App,
    headers: &HeaderMap,
    form: &Form,
) -> procura_issuer::Result<Response> {
    // Neither is ever ignored: what they would say is not what the query says.
    if form.get("request").is_some() {
        return Err(procura_issuer::Error::Invalid("request"));
    }
    if form.get("request_uri").is_some() {
        return Err(procura_issuer::Error::Invalid("request_uri"));
    }
    let parameters = Parameters {
        client_id: form.get("client_id"),
        redirect_uri: form.get("redirect_uri"),
        response_type: form.get("response_type"),
        scope: form.get("scope"),
        state: form.get("state"),
        nonce: form.get("nonce"),
        code_challenge: form.get("code_challenge"),
        code_challenge_method: form.get("code_challenge_method"),
        prompt: form.get("prompt"),
        max_age: form.get("max_age"),
        login_hint: form.get("login_hint"),
        id_token_hint: form.get("id_token_hint"),
        claims: form.get("claims"),
        response_mode: form.get("response_mode"),
    };
    let cookies = Cookies::read(app, headers);
    let session = match &cookies.session {
        Some(cookie) => app.issuer().session(cookie).await?,
        None => None,
    };
    let (browser, is_new) = match &cookies.browser {
        Some(browser) => (browser.clone(), false),
        None => (app.issuer().environment().secret()?, true),
    };
    let next = app.issuer().begin_authorization(parameters, &browser, session.as_ref()).await?;
    let mut response = go(app, &next)?;
    if is_new {
        Cookies::set_browser(app, &browser, &mut response);
    }
    Ok(response)
}

/// To where the browser goes next; always 303, so that no form is ever sent again, unless the client
/// wants the answer posted.
pub(crate) fn go(app: &App, next: &Next) -> procura_issuer::Result<Response> {
    let to = match next {
        Next::Client(answer) if answer.mode == ResponseMode::FormPost => {
            return form_post(app, answer);
        }
        Next::Client(answer) => location(app.origin(), answer)?,
        Next::LogIn(id) => format!("/login?interaction={id}"),
        Next::Consent(id) => format!("/consent?interaction={id}"),
    };
    Ok(Redirect::to(&to).into_response())
}

fn fields<'a>(issuer: &'a str, answer: &'a Answer) -> Vec<(&'static str, &'a str)> {
    let outcome = match &answer.outcome {
        Ok(code) => ("code", code.as_str()),
        Err(error) => ("error", *error),
    };
    let state = answer.state.as_deref().map(|state| ("state", state));
    [Some(outcome), state, Some(("iss", issuer))].into_iter().flatten().collect()
}

/// The client's redirect URI with the answer added; what was registered stays as it is, byte by byte.
fn location(issuer: &str, answer: &Answer) -> procura_issuer::Result<String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields(issuer, answer));
    let query = query.finish();
    let uri = &answer.redirect_uri;
    if uri.contains('#') {
        return Err(procura_issuer::Error::Invalid("redirect_uri"));
    }
    let joint = if uri.contains('?') { '&' } else { '?' };
    Ok(format!("{uri}{joint}{query}"))
}

fn form_post(app: &App, answer: &Answer) -> procura_issuer::Result<Response> {
    let nonce = app.issuer().environment().secret()?;
    let page = FormPostPage {
        action: &answer.redirect_uri,
        fields: fields(app.origin(), answer),
        nonce: &nonce,
    };
    let target = page::form_target(&answer.redirect_uri);
    Ok(page::render_with_script(StatusCode::OK, &page, target.as_deref(), &nonce))
}
