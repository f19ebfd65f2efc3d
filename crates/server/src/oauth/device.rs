//! `POST /oauth2/device_authorization` (RFC 8628 §3.1): a device without a browser asks to be let in.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use procura_issuer::{
    Via,
    device::{ACTION, Asked, Started},
};
use serde_json::json;

use crate::{
    app::App,
    around::From,
    oauth::{client_auth, error::OAuthError, form::Form},
    openapi::{Operation, Reply, Shape, Who},
};

/// Described.
pub const BEGIN: Operation =
    Operation::oauth(Who::Client, "beginDevice", "A device without a browser asks to be let in")
        .notes("RFC 8628 §3.1.")
        .form(
            &[],
            &[
                "client_id",
                "client_secret",
                "client_assertion",
                "client_assertion_type",
                "scope",
                "resource",
            ],
        )
        .answers(&[Reply::json(
            200,
            Shape::Object(&[
                ("device_code", Shape::Text),
                ("user_code", Shape::Text),
                ("verification_uri", Shape::Url),
                ("verification_uri_complete", Shape::Url),
                ("expires_in", Shape::Number),
                ("interval", Shape::Number),
            ]),
        )])
        .errors(&[
            (
                400,
                &[
                    "invalid_request",
                    "unauthorized_client",
                    "invalid_scope",
                    "invalid_target",
                    "invalid_authorization_details",
                ],
            ),
            (401, &["invalid_client"]),
        ]);

/// The handler.
pub async fn begin(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Response {
    let answer = try_begin(&app, &via, &headers, form).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn try_begin(
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
    if form.get("authorization_details").is_some() {
        issuer.note_refusal(ACTION, OAuthError::DETAILS.code(), &client, via).await?;
        return Err(OAuthError::DETAILS);
    }
    let asked = Asked { scope: form.get("scope"), resource: form.get("resource") };
    let Started { device_code, user_code, expires_in, interval } =
        match issuer.begin_device(&client, asked, via).await {
            Ok(started) => started,
            Err(error) => {
                issuer.note_refusal(ACTION, error.code(), &client, via).await?;
                return Err(error.into());
            }
        };
    let page = format!("{}/device", app.origin());
    let complete = format!("{page}?user_code={user_code}");
    let body = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": complete,
        "expires_in": expires_in,
        "interval": interval,
    });
    Ok(Json(body).into_response())
}
