//! `GET/POST /oauth2/authorize`: into the login dance, and out of it again.

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use procura_issuer::{
    Via,
    authorize::{Answer, Next, Parameters},
};

use crate::{
    app::App,
    around::From,
    console::{cookies::Cookies, page},
    oauth::{
        form::Form,
        request::{Refused, Request},
    },
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

/// By POST (OpenID Connect Core §3.1.2.1).
pub async fn by_post(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, crate::oauth::error::OAuthError>,
) -> Response {
    match form {
        Ok(form) => begin(&app, &via, &headers, form).await,
        Err(error) => page::error(error.code()),
    }
}

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
        app.issuer().begin_authorization(request.parameters(), &browser, session.as_ref()).await?;
    let mut response = go(app, &next).await?;
    if is_new {
        Cookies::set_browser(app, &browser, &mut response);
    }
    Ok(response)
}

/// To where the browser goes next; always 303, so that no form is ever sent again.
pub(crate) async fn go(app: &App, next: &Next) -> procura_issuer::Result<Response> {
    let to = match next {
        Next::Client(answer) => location(app, answer).await?,
        Next::LogIn(id) => format!("/login?interaction={id}"),
        Next::Consent(id) => format!("/consent?interaction={id}"),
    };
    Ok(Redirect::to(&to).into_response())
}

/// The client's redirect URI with the answer added; what was registered stays as it is, byte by byte.
async fn location(app: &App, answer: &Answer) -> procura_issuer::Result<String> {
    let signed = app.issuer().sign_answer(answer).await?;
    let query = match signed {
        // It says all of it, and nothing stands beside it (JARM §2.3.1).
        Some(signed) => format!("response={signed}"),
        None => plain(app.origin(), answer),
    };
    let uri = &answer.redirect_uri;
    if uri.contains('#') {
        return Err(procura_issuer::Error::Invalid("redirect_uri"));
    }
    let joint = if uri.contains('?') { '&' } else { '?' };
    Ok(format!("{uri}{joint}{query}"))
}

fn plain(issuer: &str, answer: &Answer) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match &answer.outcome {
        Ok(code) => query.append_pair("code", code),
        Err(error) => query.append_pair("error", error),
    };
    if let Some(state) = &answer.state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", issuer);
    query.finish()
}
