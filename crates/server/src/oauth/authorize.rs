//! `GET/POST /oauth2/authorize`: into the login dance, and out of it again.

use std::borrow::Cow;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use procura_issuer::{
    Via,
    authorize::{Answer, Next, Parameters, ResponseMode},
};

use crate::{
    app::App,
    around::From,
    console::{cookies::Cookies, page},
    oauth::{
        form::Form,
        request::{Refused, Request},
    },
    openapi::{Operation, Reply, Shape, Who},
};

/// The page that posts the answer to the client (OAuth 2.0 Form Post Response Mode §2).
#[derive(Template)]
#[template(path = "form_post.html")]
struct FormPostPage<'a> {
    action: &'a str,
    fields: Vec<(&'static str, Cow<'a, str>)>,
    nonce: &'a str,
}

/// Described.
pub const AUTHORIZE: Operation = Operation::oauth(Who::Browser, "authorize", "Begin a login")
    .notes(
        "Leads to pages for people, and back to the redirect_uri with \
            code, state, iss, or error, state, iss. With \
            response_mode=form_post the answer is a page that posts \
            itself.",
    )
    .query(&[
        ("client_id", Shape::Text),
        ("response_type", Shape::Text),
        ("redirect_uri", Shape::Text),
        ("scope", Shape::Text),
        ("state", Shape::Text),
        ("nonce", Shape::Text),
        ("code_challenge", Shape::Text),
        ("code_challenge_method", Shape::Text),
        ("response_mode", Shape::Text),
        ("prompt", Shape::Text),
        ("max_age", Shape::Text),
        ("login_hint", Shape::Text),
        ("id_token_hint", Shape::Text),
        ("claims", Shape::Text),
        ("acr_values", Shape::Text),
        ("resource", Shape::Text),
        ("request", Shape::Text),
        ("request_uri", Shape::Text),
        ("dpop_jkt", Shape::Text),
    ])
    .answers(&[
        Reply::empty(303).with(&[("Location", "Where the browser goes on.")]),
        Reply::other(200, "text/html"),
        Reply::other(400, "text/html"),
        Reply::other(429, "text/html"),
        Reply::other(500, "text/html"),
        Reply::other(503, "text/html"),
    ]);
/// The same, with a form.
pub const AUTHORIZE_BY_POST: Operation = Operation {
    id: "authorizeByPost",
    query: &[],
    ..AUTHORIZE.form(
        &[],
        &[
            "client_id",
            "response_type",
            "redirect_uri",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
            "request",
            "request_uri",
        ],
    )
};

/// By GET.
pub async fn by_get(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    match Form::parse(query.unwrap_or_default().as_bytes()) {
        Ok(form) => begin(&app, &via, &headers, form).await,
        Err(error) => page::error(error.code()),
    }
}

/// By POST (OpenID Connect Core §3.1.2.1). Where it comes from another site the browser keeps our cookies
/// back, and nobody seems to be logged in; so it is sent here once more by GET.
pub async fn by_post(
    State(app): State<App>,
    From(via): From,
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
    begin(&app, &via, &headers, form).await
}

/// Longer URLs do not get through everywhere.
const MAX_QUERY: usize = 8 * 1024;

async fn begin(app: &App, via: &Via, headers: &HeaderMap, form: Form) -> Response {
    match try_begin(app, via, headers, form).await {
        Ok(response) => response,
        Err(Refused::Code(code)) => page::error(code),
        Err(Refused::Verb(error)) => page::of(error),
    }
}

/// The parameters of the request, wherever they stand.
pub(crate) fn parameters(form: &Form) -> Parameters<'_> {
    Parameters {
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
        resource: form.get("resource"),
        authorization_details: form.get("authorization_details"),
        dpop_jkt: form.get("dpop_jkt"),
        response_mode: form.get("response_mode"),
        ..Parameters::default()
    }
}

async fn try_begin(
    app: &App,
    via: &Via,
    headers: &HeaderMap,
    form: Form,
) -> Result<Response, Refused> {
    let request = Request::of(app, form).await?;
    let cookies = Cookies::read(app, headers);
    let session = match &cookies.session {
        Some(cookie) => app.issuer().session(cookie).await?,
        None => None,
    };
    if session.is_none() {
        // What is kept of it until somebody logs in could be anybody's.
        app.issuer().admit_arrival(via)?;
    }
    let (browser, is_new) = match &cookies.browser {
        Some(browser) => (browser.clone(), false),
        None => (app.issuer().environment().secret()?, true),
    };
    let next =
        app.issuer().begin_authorization(&request.parameters(), &browser, session.as_ref()).await?;
    let mut response = go(app, &next).await?;
    if is_new {
        Cookies::set_browser(app, &browser, &mut response);
    }
    Ok(response)
}

/// To where the browser goes next; always 303, so that no form is ever sent again, unless the client
/// wants the answer posted.
pub(crate) async fn go(app: &App, next: &Next) -> procura_issuer::Result<Response> {
    let to = match next {
        Next::Client(answer) if answer.mode == ResponseMode::FormPost => {
            return form_post(app, answer).await;
        }
        Next::Client(answer) => location(app, answer).await?,
        Next::LogIn(id) => format!("/login?interaction={id}"),
        Next::Consent(id) => format!("/consent?interaction={id}"),
    };
    Ok(Redirect::to(&to).into_response())
}

/// What the client hears: by its members, or signed as a whole, with nothing beside it (JARM §2.3.1).
async fn fields<'a>(
    app: &'a App,
    answer: &'a Answer,
) -> procura_issuer::Result<Vec<(&'static str, Cow<'a, str>)>> {
    if let Some(signed) = app.issuer().sign_answer(answer).await? {
        return Ok(vec![("response", signed.into())]);
    }
    let outcome = match &answer.outcome {
        Ok(code) => ("code", code.into()),
        Err(error) => ("error", Cow::Borrowed(*error)),
    };
    let state = answer.state.as_ref().map(|state| ("state", state.into()));
    let issuer = ("iss", app.origin().into());
    Ok([Some(outcome), state, Some(issuer)].into_iter().flatten().collect())
}

/// The client's redirect URI with the answer added; what was registered stays as it is, byte by byte.
async fn location(app: &App, answer: &Answer) -> procura_issuer::Result<String> {
    let fields = fields(app, answer).await?;
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let uri = &answer.redirect_uri;
    if uri.contains('#') {
        return Err(procura_issuer::Error::Invalid("redirect_uri"));
    }
    let joint = if uri.contains('?') { '&' } else { '?' };
    Ok(format!("{uri}{joint}{query}"))
}

async fn form_post(app: &App, answer: &Answer) -> procura_issuer::Result<Response> {
    let nonce = app.issuer().environment().secret()?;
    let action = answer.redirect_uri.as_str();
    let page = FormPostPage { action, fields: fields(app, answer).await?, nonce: &nonce };
    let target = page::form_target(action);
    Ok(page::render_with_script(StatusCode::OK, &page, target.as_deref(), &nonce))
}
