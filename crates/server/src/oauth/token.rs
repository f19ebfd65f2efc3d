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
    exchange::{self, Request},
    home::Given,
    redeem::{self, Redemption},
    refresh::{self, Refreshing},
};
use procura_store::clients::Client;
use procura_token::{DelegationId, Purpose, Scope, TenantId};
use serde::Serialize;

use crate::{
    app::App,
    around::From,
    oauth::{client_auth, error::OAuthError, form::Form},
};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The longest `purpose` and `purpose_ref`.
const MAX_PURPOSE: (usize, usize) = (64, 128);

/// The handler.
pub async fn token(
    State(app): State<App>,
    From(via): From,
    headers: HeaderMap,
    form: Result<Form, OAuthError>,
) -> Result<Response, OAuthError> {
    let issuer = app.issuer();
    let form = match form {
        Ok(form) => form,
        Err(error) => {
            issuer.note_stranger("token.request", "form_refused", None, &via).await?;
            return Err(error);
        }
    };
    let grant = form.get("grant_type");
    let action = match grant {
        Some(exchange::GRANT) => exchange::ACTION,
        Some(refresh::GRANT) => refresh::ACTION,
        _ => "token.issue",
    };
    let client = client_auth::authenticate(issuer, &headers, &form, action, &via).await?;
    let answer = match grant {
        Some(exchange::GRANT) => by_exchange(&app, &client, &form, &via).await,
        Some(redeem::GRANT) => by_code(&app, &client, &form, &via).await,
        Some(refresh::GRANT) => by_refresh(&app, &client, &form, &via).await,
        Some(client_credentials::GRANT) => by_client(&app, &client, &form, &via).await,
        Some(_) => Err(OAuthError::GRANT_TYPE.into()),
        None => Err(OAuthError::missing("grant_type").into()),
    };
    match answer {
        Ok(response) => Ok(response),
        Err(Refused { error, is_recorded: true }) => Err(error),
        Err(Refused { error, is_recorded: false }) => {
            issuer.note_malformed(action, &client, &via).await?;
            Err(error)
        }
    }
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

async fn by_exchange(
    app: &App,
    client: &Arc<Client>,
    form: &Form,
    via: &Via,
) -> Result<Response, Refused> {
    let granted = app.issuer().exchange(&wish(client, form, via)?).await?;
    Ok(answer(&Answer {
        issued_token_type: Some(ACCESS_TOKEN),
        tenant: Some(granted.tenant),
        delegation_id: Some(granted.delegation),
        delegation_expires_in: Some(granted.delegation_expires_in),
        ..Answer::new(&granted.token)
    }))
}

/// The parameters of an exchange (RFC 8693 §2.1), checked for syntax only.
fn wish<'a>(client: &Arc<Client>, form: &'a Form, via: &Via) -> Result<Request<'a>, OAuthError> {
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(OAuthError::missing("actor_token"));
    }
    let subject_token = form.require("subject_token")?;
    if form.require("subject_token_type")? != ACCESS_TOKEN {
        return Err(OAuthError::missing("subject_token_type"));
    }
    if form.get("requested_token_type").is_some_and(|wanted| wanted != ACCESS_TOKEN) {
        return Err(OAuthError::missing("requested_token_type"));
    }
    let tenant_id = form.require("tenant_id")?;
    if tenant_id.len() > 64 || !tenant_id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(OAuthError::missing("tenant_id"));
    }
    let audience = audience(form)?;
    Ok(Request {
        client: Arc::clone(client),
        subject_token,
        tenant_id,
        audience,
        scope: scope(form)?,
        purpose: purpose(form)?,
        via: via.clone(),
    })
}

/// `audience` or `resource`, never both: which one was meant is not ours to guess.
fn audience(form: &Form) -> Result<Option<&str>, OAuthError> {
    match (form.get("audience"), form.get("resource")) {
        (Some(_), Some(_)) => Err(OAuthError::missing("audience")),
        (Some(text), _) | (_, Some(text)) if text.len() > 512 => {
            Err(OAuthError::missing("audience"))
        }
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

async fn by_code(app: &App, client: &Client, form: &Form, via: &Via) -> Result<Response, Refused> {
    let redemption = Redemption {
        code: form.require("code")?,
        redirect_uri: form.require("redirect_uri")?,
        code_verifier: form.get("code_verifier"),
    };
    Ok(home_answer(&app.issuer().redeem(client, redemption, via).await?))
}

async fn by_refresh(
    app: &App,
    client: &Client,
    form: &Form,
    via: &Via,
) -> Result<Response, Refused> {
    let asked = Refreshing { token: form.require("refresh_token")?, scope: scope(form)? };
    Ok(home_answer(&app.issuer().refresh(client, asked, via).await?))
}

fn home_answer(given: &Given) -> Response {
    answer(&Answer {
        id_token: given.id_token.as_deref(),
        refresh_token: given.refresh_token.as_deref(),
        ..Answer::new(&given.token)
    })
}

async fn by_client(
    app: &App,
    client: &Client,
    form: &Form,
    via: &Via,
) -> Result<Response, Refused> {
    let scope = scope(form)?.unwrap_or_default();
    let audience = audience(form)?;
    let token = app.issuer().issue_to_client(client, audience, &scope, via).await?;
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
}

impl<'a> Answer<'a> {
    fn new(token: &'a Minted) -> Self {
        Self {
            access_token: &token.access_token,
            issued_token_type: None,
            token_type: "Bearer",
            expires_in: token.expires_in,
            scope: &token.scope,
            id_token: None,
            refresh_token: None,
            tenant: None,
            delegation_id: None,
            delegation_expires_in: None,
        }
    }
}

fn answer(answer: &Answer<'_>) -> Response {
    Json(answer).into_response()
}
