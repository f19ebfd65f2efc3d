//! `GET/POST /oauth2/userinfo` (OpenID Connect Core §5.3), with the token in the header by either scheme,
//! or in the form of a POST (RFC 6750 §2.2); never in both, never in the query.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_issuer::{Error, Via, identity::UserInfo};
use procura_token::Shown;

use crate::{
    app::App,
    around::From,
    oauth::{dpop, error::OAuthError, form::Form},
    openapi::{Operation, Reply, Shape, Who},
};

const MISSING: OAuthError =
    OAuthError::bearer(StatusCode::UNAUTHORIZED, "invalid_request", "Bearer");
const TWICE: OAuthError = OAuthError::bearer(
    StatusCode::BAD_REQUEST,
    "invalid_request",
    "Bearer error=\"invalid_request\"",
);
const INVALID: OAuthError =
    OAuthError::bearer(StatusCode::UNAUTHORIZED, "invalid_token", "Bearer error=\"invalid_token\"");
const SCOPE: OAuthError = OAuthError::bearer(
    StatusCode::FORBIDDEN,
    "insufficient_scope",
    "Bearer error=\"insufficient_scope\", scope=\"openid\"",
);

const UNPROVEN: OAuthError = OAuthError::bearer(
    StatusCode::UNAUTHORIZED,
    "invalid_dpop_proof",
    "DPoP error=\"invalid_dpop_proof\", algs=\"PS256 ES256 EdDSA\"",
);
const INVALID_WITH_PROOF: OAuthError = OAuthError::bearer(
    StatusCode::UNAUTHORIZED,
    "invalid_token",
    "DPoP error=\"invalid_token\", algs=\"PS256 ES256 EdDSA\"",
);

/// Described.
pub const USERINFO: Operation = Operation::oauth(Who::Subject, "getUserinfo", "Who the caller is")
    .notes(
        "OpenID Connect Core §5.3. JSON, or a JWT where the client \
            registered userinfo_signed_response_alg.",
    )
    .headers(&[("DPoP", Shape::Text)])
    .answers(&[
        Reply::json(200, Shape::AtLeast(&[("sub", Shape::Text)])),
        Reply::other(200, "application/jwt"),
    ])
    .errors(&[
        (400, &["invalid_request"]),
        (401, &["invalid_request", "invalid_token", "invalid_dpop_proof", "use_dpop_nonce"]),
        (403, &["insufficient_scope"]),
    ]);
/// The same, with the token in a form.
pub const USERINFO_BY_POST: Operation =
    Operation { id: "postUserinfo", ..USERINFO.form(&[], &["access_token"]) };

/// By GET.
pub async fn by_get(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
) -> Result<Response, OAuthError> {
    by_header(&app, &via, &headers, "GET").await
}

/// By POST. A body that is no form is none of ours to read.
pub async fn by_post(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Result<Response, OAuthError> {
    let form = form.unwrap_or_default();
    let has_header = headers.contains_key(header::AUTHORIZATION);
    match form.get("access_token") {
        Some(_) if has_header => Err(TWICE),
        // A token that is bound to a key comes with a proof, and a proof belongs to the header.
        Some(token) => show(&app, &via, token, Shown::Bearer).await,
        None => by_header(&app, &via, &headers, "POST").await,
    }
}

async fn by_header(
    app: &App,
    via: &Via,
    headers: &HeaderMap,
    method: &str,
) -> Result<Response, OAuthError> {
    let shows = dpop::shows(app, headers, (method, "/oauth2/userinfo")).await;
    let shows = shows.map_err(|error| match error {
        Error::ProofRefused(_) => UNPROVEN,
        Error::Unauthenticated => INVALID_WITH_PROOF,
        other => other.into(),
    })?;
    let shows = shows.ok_or(MISSING)?;
    show(app, via, shows.token, shows.shown()).await
}

async fn show(app: &App, via: &Via, token: &str, shown: Shown<'_>) -> Result<Response, OAuthError> {
    app.issuer().limit_call(token, shown, via).await?;
    let is_proven = !matches!(shown, Shown::Bearer);
    let known = app.issuer().userinfo(token, shown).await.map_err(|error| match error {
        Error::Unauthenticated if is_proven => INVALID_WITH_PROOF,
        Error::Unauthenticated => INVALID,
        Error::Forbidden => SCOPE,
        other => other.into(),
    })?;
    Ok(match known {
        UserInfo::Plain(claims) => Json(claims).into_response(),
        UserInfo::Signed(token) => {
            ([(header::CONTENT_TYPE, "application/jwt")], token).into_response()
        }
    })
}
