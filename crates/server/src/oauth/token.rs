//! `POST /oauth2/token`: matches on the grant, builds what its verb wants, calls that one verb.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use procura_issuer::{
    Minted, Via, client_credentials,
    details::Details,
    device::{self, Polling},
    dpop::ProvenKey,
    exchange::{self, Request},
    home::Given,
    redeem::{self, Redemption},
    refresh::{self, Refreshing},
    subject_tokens::SubjectToken,
};
use procura_store::clients::Client;
use procura_token::{DelegationId, Purpose, Scope, TenantDelegation, TenantId};
use serde::Serialize;

use crate::{
    app::App,
    around::From,
    oauth::{client_auth, dpop, error::OAuthError, form::Form},
    openapi::{Operation, Reply, Shape, Who},
};

const DETAILS: &str = "authorization_details";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const API_KEY: &str = "urn:procura:token-type:api-key";
/// The longest `purpose` and `purpose_ref`.
const MAX_PURPOSE: (usize, usize) = (64, 128);

/// Described.
pub const TOKEN: Operation = Operation::oauth(Who::Client, "getToken", "Tokens for a grant")
    .notes(
        "Grants: authorization_code, refresh_token, client_credentials, \
            device code (RFC 8628), token exchange (RFC 8693) with \
            tenant_id. With a DPoP header the token is bound to the \
            proof's key.",
    )
    .headers(&[("DPoP", Shape::Text)])
    .form(
        &["grant_type"],
        &[
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
            "code",
            "redirect_uri",
            "code_verifier",
            "refresh_token",
            "device_code",
            "scope",
            "resource",
            "audience",
            "subject_token",
            "subject_token_type",
            "requested_token_type",
            "tenant_id",
            "authorization_details",
            "purpose",
            "purpose_ref",
        ],
    )
    .answers(&[Reply::json(
        200,
        Shape::Object(&[
            ("access_token", Shape::Text),
            ("issued_token_type", Shape::Maybe(&Shape::Text)),
            ("token_type", Shape::Word(&["Bearer", "DPoP"])),
            ("expires_in", Shape::Number),
            ("scope", Shape::Text),
            ("id_token", Shape::Maybe(&Shape::Text)),
            ("refresh_token", Shape::Maybe(&Shape::Text)),
            ("tenant", Shape::Maybe(&Shape::Id("ten"))),
            ("delegation_id", Shape::Maybe(&Shape::Id("dlg"))),
            ("delegation_expires_in", Shape::Maybe(&Shape::Number)),
            ("authorization_details", Shape::Maybe(&Shape::List(&Shape::Open))),
        ]),
    )])
    .errors(&[
        (
            400,
            &[
                "invalid_request",
                "invalid_grant",
                "unauthorized_client",
                "unsupported_grant_type",
                "invalid_scope",
                "invalid_target",
                "invalid_authorization_details",
                "invalid_dpop_proof",
                "use_dpop_nonce",
                "authorization_pending",
                "slow_down",
                "access_denied",
                "expired_token",
                "insufficient_user_authentication",
            ],
        ),
        (401, &["invalid_client"]),
    ]);

/// The handler.
pub async fn token(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Response {
    let answer = try_token(&app, &via, &headers, form).await;
    dpop::answered(app.issuer(), answer)
}

async fn try_token(
    app: &App,
    via: &Via,
    headers: &HeaderMap,
    form: Result<Form, OAuthError>,
) -> Result<Response, OAuthError> {
    let issuer = app.issuer();
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            issuer.note_stranger("token.request", "form_refused", None, via).await?;
            return Err(error);
        }
    };
    let grant = form.get("grant_type");
    let action = match grant {
        Some(exchange::GRANT) => exchange::ACTION,
        Some(refresh::GRANT) => refresh::ACTION,
        _ => "token.issue",
    };
    let client = client_auth::authenticate(issuer, headers, &form, action, via).await?;
    dpop::admit(issuer, headers, &client, via)?;
    let key = match dpop::proven(issuer, headers, ("POST", "/oauth2/token")).await {
        Ok(key) => key,
        Err(error) => {
            issuer.note_refusal(action, error.code(), &client, via).await?;
            return Err(error.into());
        }
    };
    let asks = Asks { client: &client, form: &form, key, via };
    let is_detailed = form.get(DETAILS).is_some();
    let answer = match grant {
        Some(exchange::GRANT) => by_exchange(app, &asks).await,
        // What only an exchange can grant is not overlooked elsewhere.
        Some(_) if is_detailed => Err(OAuthError::DETAILS.into()),
        Some(redeem::GRANT) => by_code(app, &asks).await,
        Some(refresh::GRANT) => by_refresh(app, &asks).await,
        Some(device::GRANT) => by_device(app, &asks).await,
        Some(client_credentials::GRANT) => by_client(app, &asks).await,
        Some(_) => Err(OAuthError::GRANT_TYPE.into()),
        None => Err(OAuthError::missing("grant_type").into()),
    };
    match answer {
        Ok(response) => Ok(response),
        Err(Refused { error, is_recorded: true }) => Err(error),
        Err(Refused { error, is_recorded: false }) => {
            issuer.note_malformed(action, &client, via).await?;
            Err(error)
        }
    }
}

/// What every grant is asked with.
struct Asks<'a> {
    client: &'a Arc<Client>,
    form: &'a Form,
    /// The key that the client has proven to hold.
    key: Option<ProvenKey>,
    via: &'a Via,
}

/// A refusal, and whether the verb has put its reason into the audit log already.
struct Refused {
    error: OAuthError,
    is_recorded: bool,
}

impl core::convert::From<OAuthError> for Refused {
    fn from(error: OAuthError) -> Self {
        Self { error, is_recorded: false }
    }
}

impl core::convert::From<procura_issuer::Error> for Refused {
    fn from(error: procura_issuer::Error) -> Self {
        Self { error: error.into(), is_recorded: true }
    }
}

async fn by_exchange(app: &App, asks: &Asks<'_>) -> Result<Response, Refused> {
    let granted = app.issuer().exchange(&wish(asks)?).await?;
    Ok(answer(&Answer {
        issued_token_type: Some(ACCESS_TOKEN),
        tenant: Some(granted.tenant),
        delegation_id: Some(granted.delegation),
        delegation_expires_in: Some(granted.delegation_expires_in),
        authorization_details: &granted.details,
        ..Answer::new(&granted.token)
    }))
}

/// The parameters of an exchange (RFC 8693 §2.1), checked for syntax only.
fn wish<'a>(asks: &Asks<'a>) -> Result<Request<'a>, OAuthError> {
    let form = asks.form;
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(OAuthError::missing("actor_token"));
    }
    let subject_token = form.require("subject_token")?;
    let subject_token = match form.require("subject_token_type")? {
        ACCESS_TOKEN => SubjectToken::Access(subject_token),
        API_KEY => SubjectToken::ApiKey(subject_token),
        _ => return Err(OAuthError::missing("subject_token_type")),
    };
    if form.get("requested_token_type").is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(OAuthError::missing("requested_token_type"));
    }
    let tenant_id = form.require("tenant_id")?;
    if tenant_id.len() > 64 || !tenant_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(OAuthError::missing("tenant_id"));
    }
    let details = details(asks)?;
    let (audience, scope) = (audience(form)?, scope(form)?);
    // What is said twice must be the same, except that the narrower one of two lists of permissions holds.
    let (location, actions) = match &details {
        Some(details) if details.tenant != tenant_id => return Err(OAuthError::DETAILS),
        Some(details) => (details.location.as_deref(), details.actions.as_ref()),
        None => (None, None),
    };
    if audience.zip(location).is_some_and(|(named, location)| named != location) {
        return Err(OAuthError::DETAILS);
    }
    let audience = audience.map(ToOwned::to_owned).or(location.map(ToOwned::to_owned));
    let scope = match (scope, actions) {
        (Some(scope), Some(actions)) => Some(scope.filtered(|wanted| actions.contains(wanted))),
        (scope, actions) => scope.or(actions.cloned()),
    };
    Ok(Request {
        client: Arc::clone(asks.client),
        subject_token,
        tenant_id,
        audience,
        scope,
        is_detailed: details.is_some(),
        purpose: purpose(form)?,
        key: asks.key.clone(),
        via: asks.via.clone(),
    })
}

/// What the request says in detail, if anything (RFC 9396).
fn details(asks: &Asks<'_>) -> Result<Option<Details>, OAuthError> {
    let read = |text| Details::read(text, asks.client).ok_or(OAuthError::DETAILS);
    asks.form.get(DETAILS).map(read).transpose()
}

/// `audience` or `resource`, never both: which one was meant is not ours to guess. Nor several resources: a
/// token is for one.
fn audience(form: &Form) -> Result<Option<&str>, OAuthError> {
    match (form.get("audience"), form.get("resource")) {
        (Some(_), Some(_)) => Err(OAuthError::missing("audience")),
        (Some(text), _) | (_, Some(text)) if text.len() > 512 => {
            Err(OAuthError::missing("audience"))
        }
        (None, Some(several)) if several.contains(' ') => Err(OAuthError::TARGET),
        (audience, resource) => Ok(audience.or(resource)),
    }
}

fn scope(form: &Form) -> Result<Option<Scope>, OAuthError> {
    form.get("scope").map(|text| text.parse().map_err(|_| OAuthError::missing("scope"))).transpose()
}

fn purpose(form: &Form) -> Result<Option<Purpose>, OAuthError> {
    let (code, reference) = (form.get("purpose"), form.get("purpose_ref"));
    let is_printable = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let is_word =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    if reference.is_some_and(|text| text.len() > MAX_PURPOSE.1 || !is_printable(text)) {
        return Err(OAuthError::missing("purpose_ref"));
    }
    match code {
        Some(code) if code.len() <= MAX_PURPOSE.0 && code.bytes().all(is_word) => {
            Ok(Some(Purpose { code: code.to_owned(), r#ref: reference.map(ToOwned::to_owned) }))
        }
        Some(_) => Err(OAuthError::missing("purpose")),
        None if reference.is_some() => Err(OAuthError::missing("purpose")),
        None => Ok(None),
    }
}

async fn by_code(app: &App, asks: &Asks<'_>) -> Result<Response, Refused> {
    let form = asks.form;
    let redemption = Redemption {
        code: form.require("code")?,
        redirect_uri: form.require("redirect_uri")?,
        code_verifier: form.get("code_verifier"),
        resource: form.get("resource"),
        key: asks.key.as_ref(),
    };
    Ok(home_answer(&app.issuer().redeem(asks.client, redemption, asks.via).await?))
}

async fn by_refresh(app: &App, asks: &Asks<'_>) -> Result<Response, Refused> {
    let asked = Refreshing {
        token: asks.form.require("refresh_token")?,
        scope: scope(asks.form)?,
        resource: asks.form.get("resource"),
        key: asks.key.as_ref(),
    };
    Ok(home_answer(&app.issuer().refresh(asks.client, asked, asks.via).await?))
}

async fn by_device(app: &App, asks: &Asks<'_>) -> Result<Response, Refused> {
    let polling = Polling {
        code: asks.form.require("device_code")?,
        resource: asks.form.get("resource"),
        key: asks.key.as_ref(),
    };
    Ok(home_answer(&app.issuer().redeem_device(asks.client, polling, asks.via).await?))
}

fn home_answer(given: &Given) -> Response {
    answer(&Answer {
        id_token: given.id_token.as_deref(),
        refresh_token: given.refresh_token.as_deref(),
        ..Answer::new(&given.token)
    })
}

async fn by_client(app: &App, asks: &Asks<'_>) -> Result<Response, Refused> {
    let scope = scope(asks.form)?.unwrap_or_default();
    let request = client_credentials::Request {
        audience: audience(asks.form)?,
        scope: &scope,
        key: asks.key.as_ref(),
    };
    let token = app.issuer().issue_to_client(asks.client, request, asks.via).await?;
    Ok(answer(&Answer::new(&token)))
}

/// A successful answer (RFC 6749 §5.1, RFC 8693 §2.2.1), with what only some grants add.
#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    /// In seconds, as all that expires here.
    expires_in: i64,
    scope: &'a Scope,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation_id: Option<DelegationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation_expires_in: Option<i64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    authorization_details: &'a [TenantDelegation],
}

impl<'a> Answer<'a> {
    fn new(token: &'a Minted) -> Self {
        Self {
            access_token: &token.access_token,
            issued_token_type: None,
            token_type: if token.is_bound { "DPoP" } else { "Bearer" },
            expires_in: token.expires_in,
            scope: &token.scope,
            id_token: None,
            refresh_token: None,
            tenant: None,
            delegation_id: None,
            delegation_expires_in: None,
            authorization_details: &[],
        }
    }
}

fn answer(answer: &Answer<'_>) -> Response {
    Json(answer).into_response()
}
