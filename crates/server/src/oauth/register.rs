//! `POST /oauth2/register` (RFC 7591) and `GET/PUT/DELETE /oauth2/register/{client}` (RFC 7592): software
//! that registers itself and looks after that. Who calls is asked before what is said is looked at.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use procura_domain::self_registration::application_type;
use procura_issuer::{Error, Via, self_registration::Itself};
use procura_store::clients::Client;
use procura_token::ClientId;
use serde_json::{Map, Value, json};

use crate::{
    api::{caller::authorization, input::has_nul},
    app::App,
    around::From,
    oauth::error::OAuthError,
    openapi::{Operation, Reply, Shape, Who},
};

type Answer = Result<Response, OAuthError>;

/// What is registered, by the names of RFC 7591 §2.
const REGISTERED: Shape =
    Shape::AtLeast(&[("client_id", Shape::Client), ("registration_client_uri", Shape::Url)]);
/// The same with what is shown once.
const MADE: Shape = Shape::AtLeast(&[
    ("client_id", Shape::Client),
    ("registration_client_uri", Shape::Url),
    ("registration_access_token", Shape::Text),
    ("client_secret", Shape::Maybe(&Shape::Text)),
]);
/// Described.
pub const REGISTER: Operation =
    Operation::oauth(Who::Registering, "registerItself", "Software registers itself")
        .notes("RFC 7591, with an initial access token, or none where the door is open.")
        .takes(Shape::Open)
        .answers(&[Reply::json(201, MADE)])
        .errors(&[
            (
                400,
                &[
                    "invalid_request",
                    "invalid_client_metadata",
                    "invalid_redirect_uri",
                    "unapproved_software_statement",
                ],
            ),
            (401, &["invalid_token"]),
            (403, &["access_denied"]),
        ]);
/// Described.
pub const FIND: Operation =
    Operation::oauth(Who::Registering, "getOwnRegistration", "What is registered")
        .notes("RFC 7592. Neither secret nor token.")
        .answers(&[Reply::json(200, REGISTERED)])
        .errors(&[
            (400, &["invalid_request"]),
            (401, &["invalid_token"]),
            (403, &["access_denied"]),
        ]);
/// Described.
pub const UPDATE: Operation =
    Operation::oauth(Who::Registering, "updateOwnRegistration", "Register all anew")
        .notes("RFC 7592. Gives another registration access token.")
        .takes(Shape::Open)
        .answers(&[Reply::json(200, MADE)])
        .errors(&[
            (
                400,
                &[
                    "invalid_request",
                    "invalid_client_metadata",
                    "invalid_redirect_uri",
                    "unapproved_software_statement",
                ],
            ),
            (401, &["invalid_token"]),
            (403, &["access_denied"]),
        ]);
/// Described.
pub const DELETE: Operation =
    Operation::oauth(Who::Registering, "deleteOwnRegistration", "Be registered no more")
        .answers(&[Reply::empty(204)])
        .errors(&[
            (400, &["invalid_request"]),
            (401, &["invalid_token"]),
            (403, &["access_denied"]),
        ]);

/// `POST /oauth2/register`
pub async fn register(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    const ACTION: &str = "client.register";
    let done = async {
        let has_token = headers.contains_key(header::AUTHORIZATION);
        let token = bearer(&headers);
        if has_token && token.is_none() {
            return Err(Error::Unauthenticated.into());
        }
        let admission = app.issuer().admit_software(token).await?;
        let metadata = metadata(&headers, body)?;
        Ok(app.issuer().register_itself(admission, &metadata, &via).await?)
    };
    match done.await {
        Ok(made) => Ok(made_answer(&app, StatusCode::CREATED, &made)),
        Err(refused) => Err(noted(&app, (ACTION, None), refused, &via).await),
    }
}

/// `GET /oauth2/register/{client}`
pub async fn find(
    State(app): State<App>,
    From(via): From,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let own = Own::of(&id, &headers);
    let found = match &own {
        Ok(own) => app.issuer().find_itself(&own.id, own.token).await,
        Err(error) => Err(*error),
    };
    match found {
        Ok(client) => Ok(answer(StatusCode::OK, shown(&app, &client))),
        Err(error) => {
            let about = ("client.read", id.parse().ok());
            Err(noted(&app, about, error.into(), &via).await)
        }
    }
}

/// `PUT /oauth2/register/{client}`
pub async fn update(
    State(app): State<App>,
    From(via): From,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let done = async {
        let Own { id, token } = Own::of(&id, &headers)?;
        app.issuer().find_itself(&id, token).await?;
        let metadata = metadata(&headers, body)?;
        Ok(app.issuer().update_itself(&id, token, &metadata, &via).await?)
    };
    match done.await {
        Ok(made) => Ok(made_answer(&app, StatusCode::OK, &made)),
        Err(refused) => Err(noted(&app, ("client.update", id.parse().ok()), refused, &via).await),
    }
}

/// `DELETE /oauth2/register/{client}`
pub async fn delete(
    State(app): State<App>,
    From(via): From,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let done = async {
        let Own { id, token } = Own::of(&id, &headers)?;
        app.issuer().delete_itself(&id, token, &via).await
    };
    match done.await {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => {
            Err(noted(&app, ("client.delete", id.parse().ok()), error.into(), &via).await)
        }
    }
}

/// A refusal, and the word for it in the audit log; none where it is no refusal but a failure of ours.
struct Refused {
    error: OAuthError,
    reason: Option<&'static str>,
}

impl core::convert::From<Error> for Refused {
    fn from(error: Error) -> Self {
        let reason = match error {
            Error::Unauthenticated => Some("registration_token_refused"),
            Error::Unfit(_) | Error::Invalid(_) => Some("metadata_refused"),
            Error::Forbidden => Some("forbidden"),
            Error::TooManyFailures { .. } | Error::TooManyRequests { .. } | Error::Broken => None,
            other => Some(other.code()),
        };
        Self { error: OAuthError::registration(error), reason }
    }
}

impl core::convert::From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self { error, reason: Some("metadata_refused") }
    }
}

/// Puts a refusal into the audit log, within the bound for strangers: whoever holds a token of ours holds
/// something that is passed from hand to hand.
async fn noted(
    app: &App,
    (action, client): (&str, Option<ClientId>),
    refused: Refused,
    via: &Via,
) -> OAuthError {
    let Some(reason) = refused.reason else { return refused.error };
    match app.issuer().note_stranger(action, reason, client, via).await {
        Ok(()) => refused.error,
        Err(error) => error.into(),
    }
}

/// Whom a request to look after a registration is from.
struct Own<'a> {
    id: ClientId,
    token: &'a str,
}

impl<'a> Own<'a> {
    fn of(id: &str, headers: &'a HeaderMap) -> Result<Self, Error> {
        let id = id.parse().map_err(|_| Error::Unauthenticated)?;
        Ok(Self { id, token: bearer(headers).ok_or(Error::Unauthenticated)? })
    }
}

/// The one bearer token of the request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = authorization(headers)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()).filter(|token| !token.is_empty())
}

/// What software says of itself: a JSON object (RFC 7591 §3.1).
fn metadata(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Map<String, Value>, OAuthError> {
    const SHAPE: OAuthError = OAuthError::metadata("The body must be one JSON object.");
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let essence = types.next().and_then(|value| value.to_str().ok());
    let essence = essence.and_then(|value| value.split(';').next()).map(str::trim);
    if types.next().is_some()
        || !essence.is_some_and(|e| e.eq_ignore_ascii_case("application/json"))
    {
        return Err(OAuthError::metadata("The content type must be application/json."));
    }
    let body = body.map_err(|rejection| {
        let is_large = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
        if is_large { OAuthError::TOO_LARGE } else { SHAPE }
    })?;
    if has_nul(&body) {
        return Err(SHAPE);
    }
    serde_json::from_slice(&body).map_err(|_| SHAPE)
}

fn made_answer(app: &App, status: StatusCode, made: &Itself) -> Response {
    let mut all = shown(app, &made.client);
    all.insert("registration_access_token".to_owned(), made.token.as_str().into());
    if let Some(secret) = &made.secret {
        all.insert("client_secret".to_owned(), secret.as_str().into());
        // It does not expire (RFC 7591 §3.2.1).
        all.insert("client_secret_expires_at".to_owned(), 0.into());
    }
    answer(status, all)
}

fn answer(status: StatusCode, body: Map<String, Value>) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(Value::Object(body))).into_response()
}

/// A client as it is registered, by the names of RFC 7591 §2 and RFC 7592 §3. Its secret and its token are
/// not kept, so they are shown when they are made and never again.
fn shown(app: &App, client: &Client) -> Map<String, Value> {
    let registration = serde_json::to_value(&client.registration).unwrap_or_default();
    let Value::Object(own) = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.secs(),
        "registration_client_uri": format!("{}/oauth2/register/{}", app.origin(), client.id),
        "client_name": client.name,
        "profile": client.profile,
        "application_type": application_type(&client.redirect_uris),
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "scope": client.scope,
        "subject_type": "public",
    }) else {
        return Map::new();
    };
    registration.as_object().cloned().unwrap_or_default().into_iter().chain(own).collect()
}
