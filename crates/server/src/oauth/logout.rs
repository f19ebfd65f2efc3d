//! `GET/POST /oauth2/logout` (OpenID Connect RP-Initiated Logout 1.0 §2). Without an ID token of ours
//! for whoever is logged in here, the person is asked, and nobody is redirected.

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use procura_issuer::{
    Error, Via,
    logout::{Leaving, LogoutRequest},
};

use crate::{
    app::App,
    around::From,
    console::{cookies::Cookies, logout::logged_out, page},
    oauth::form::Form,
    openapi::{Operation, Reply, Shape, Who},
};

/// What we know of the request; it survives the way from POST to GET.
const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// Described.
pub const LOGOUT: Operation = Operation::oauth(Who::Browser, "logOut", "End a login")
    .notes(
        "OpenID Connect RP-Initiated Logout 1.0. Without a hint for \
            whoever is logged in here the person is asked, and nobody is \
            redirected.",
    )
    .query(&[
        ("id_token_hint", Shape::Text),
        ("client_id", Shape::Text),
        ("post_logout_redirect_uri", Shape::Text),
        ("state", Shape::Text),
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
pub const LOGOUT_BY_POST: Operation = Operation {
    id: "logOutByPost",
    query: &[],
    ..LOGOUT.form(&[], &["id_token_hint", "client_id", "post_logout_redirect_uri", "state"])
};

/// By GET.
pub async fn by_get(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(form) = Form::parse(query.unwrap_or_default().as_bytes()) else {
        return page::error("invalid_request");
    };
    match leave(&app, &via, &headers, &form).await {
        Ok(response) => response,
        Err(error) => page::of(error),
    }
}

/// By POST. It comes from the client's own page, and then the browser keeps our cookies back; so it is
/// sent here once more by GET.
pub async fn by_post(form: Result<Form, crate::oauth::error::OAuthError>) -> Response {
    let Ok(form) = form else { return page::error("invalid_request") };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for name in PARAMETERS {
        if let Some(value) = form.get(name) {
            query.append_pair(name, value);
        }
    }
    Redirect::to(&format!("/oauth2/logout?{}", query.finish())).into_response()
}

async fn leave(app: &App, via: &Via, headers: &HeaderMap, form: &Form) -> Result<Response, Error> {
    let session = match Cookies::read(app, headers).session {
        Some(cookie) => app.issuer().session(&cookie).await?,
        None => None,
    };
    let asked = LogoutRequest {
        id_token_hint: form.get("id_token_hint"),
        client_id: form.get("client_id"),
        redirect_uri: form.get("post_logout_redirect_uri"),
    };
    let target = match app.issuer().begin_logout(asked, session.as_ref(), via).await? {
        Leaving::Ask => return Ok(Redirect::to("/logout").into_response()),
        Leaving::Done(None) => return Ok(logged_out(app)),
        Leaving::Done(Some(uri)) => with_state(uri, form.get("state")),
    };
    let mut response = Redirect::to(&target).into_response();
    Cookies::clear_session(app, &mut response);
    Ok(response)
}

/// What was registered stays as it is, byte by byte.
fn with_state(uri: String, state: Option<&str>) -> String {
    let Some(state) = state else { return uri };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("state", state);
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{}", query.finish())
}
