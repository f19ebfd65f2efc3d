//! `POST /oauth2/par` (RFC 9126): everything about an authorization request is checked here, before any
//! browser is involved.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use procura_issuer::{
    Error, Via,
    authorize::Parameters,
    dpop::ProvenKey,
    pushed::{Kept, Pushed, Way},
};
use procura_store::clients::Client;
use serde_json::json;

use crate::{
    app::App,
    around::From,
    oauth::{authorize::parameters, client_auth, dpop, error::OAuthError, form::Form},
    openapi::{Operation, Reply, Shape, Who},
};

const ACTION: &str = "authorization.push";
/// What proves the client, and is no part of what it asks.
const CREDENTIALS: &[&str] =
    &["client_secret", "client_assertion", "client_assertion_type", "request"];

/// Described.
pub const PUSH: Operation = Operation::oauth(
    Who::Client,
    "pushAuthorizationRequest",
    "Leave an authorization request here",
)
.notes(
    "RFC 9126. The parameters of an authorization request, or a \
            signed request. Everything that is wrong with it is said here.",
)
.headers(&[("DPoP", Shape::Text)])
.form(
    &[],
    &[
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "request",
        "response_type",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "response_mode",
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "claims",
        "acr_values",
        "resource",
        "dpop_jkt",
    ],
)
.answers(&[Reply::json(
    201,
    Shape::Object(&[("request_uri", Shape::Text), ("expires_in", Shape::Number)]),
)])
.errors(&[
    (
        400,
        &[
            "invalid_request",
            "invalid_request_object",
            "unauthorized_client",
            "unsupported_response_type",
            "invalid_scope",
            "invalid_target",
            "invalid_authorization_details",
            "invalid_dpop_proof",
            "use_dpop_nonce",
            "request_not_supported",
            "request_uri_not_supported",
            "login_required",
        ],
    ),
    (401, &["invalid_client"]),
]);

/// The handler.
pub async fn push(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Response {
    let answer = try_push(&app, &via, &headers, form).await;
    dpop::answered(app.issuer(), answer)
}

async fn try_push(
    app: &App,
    via: &Via,
    headers: &HeaderMap,
    form: Result<Form, OAuthError>,
) -> Result<Response, OAuthError> {
    let issuer = app.issuer();
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            issuer.note_stranger(ACTION, "form_refused", None, via).await?;
            return Err(error);
        }
    };
    let client = client_auth::authenticate(issuer, headers, &form, ACTION, via).await?;
    dpop::admit(issuer, headers, &client, via)?;
    let pushed = match dpop::proven(issuer, headers, ("POST", "/oauth2/par")).await {
        Ok(key) => keep(app, &client, (&form, via), key).await,
        Err(error) => Err(error.into()),
    };
    match pushed {
        Ok(Pushed { request_uri, expires_in }) => {
            let body = json!({ "request_uri": request_uri, "expires_in": expires_in });
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Err(Refused { error, reason }) => {
            issuer.note_refusal(ACTION, reason, &client, via).await?;
            Err(error)
        }
    }
}

/// A refusal, and the word for it in the audit log.
struct Refused {
    error: OAuthError,
    reason: &'static str,
}

impl core::convert::From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error: error.into(), reason: error.code() }
    }
}

impl core::convert::From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self { error, reason: error.code() }
    }
}

async fn keep(
    app: &App,
    client: &Client,
    (form, via): (&Form, &Via),
    key: Option<ProvenKey>,
) -> Result<Pushed, Refused> {
    // RFC 9126 §2.1: one pushed request does not stand for another one.
    if form.get("request_uri").is_some() {
        return Err(OAuthError::missing("request_uri").into());
    }
    let mut kept = if let Some(request) = form.get("request") {
        let opened = app.issuer().open_request(&client.id, request).await?;
        opened.map_err(|reason| Refused { error: OAuthError::REQUEST_OBJECT, reason })?
    } else {
        if app.issuer().is_anybody(client) {
            // What is pushed is kept for a while.
            app.issuer().admit_arrival(via)?;
        }
        let parameters = form.iter().filter(|(name, _)| !CREDENTIALS.contains(name));
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Kept { parameters: parameters.collect(), is_signed: false }
    };
    kept.parameters.insert("client_id".to_owned(), client.id.to_string());
    if let Some(key) = key {
        // RFC 9449 §10.1: the proof binds as the parameter does; they must not disagree.
        let named = kept.parameters.insert("dpop_jkt".to_owned(), key.thumbprint().to_owned());
        if named.is_some_and(|named| named != key.thumbprint()) {
            return Err(Error::ProofRefused("proof_of_another_key").into());
        }
    }
    let asked = Form::of(&kept.parameters)?;
    let parameters =
        Parameters { way: Way::Pushing, is_signed: kept.is_signed, ..parameters(&asked) };
    let pushed = app.issuer().push(&parameters, &kept).await?;
    pushed.map_err(|code| OAuthError::authorization(code).into())
}
