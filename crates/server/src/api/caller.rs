//! Who calls: people by access token, bearer or with a proof of its key; resource servers by Basic.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use procura_domain::{Caller, api_key};
use procura_issuer::{Call, Via, callers::Proof, revoke::Confirm};
use procura_store::clients::ResourceServer;
use serde::Deserialize;

use crate::{
    api::{
        idempotency,
        input::{Expected, Parameters},
        problem::Problem,
    },
    app::App,
    around::From,
    oauth::dpop,
};

/// A person with a home token.
pub struct Person(pub Caller);

impl FromRequestParts<App> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(caller(parts, app, Credential::Login).await?.0))
    }
}

/// A person with a home token, or a program with a key of a person's. What the key permits is the verb's to say.
pub struct PersonOrKey(pub Caller);

impl FromRequestParts<App> for PersonOrKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(caller(parts, app, Credential::LoginOrKey).await?.0))
    }
}

/// By what somebody may come. A key is no credential but where a route says so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    Login,
    LoginOrKey,
}

/// A person who asks for a change of something that has no versions; `?confirm=applied` makes the answer
/// wait for the verifiers. `If-Match` is refused: whoever sends it counts on being told of a change.
pub struct Changing(pub Call);

/// The same, also for a program with a key.
pub struct ChangingOrKey(pub Call);

/// The same for something that has versions. The verb looks at the one that the caller has seen.
pub struct ChangingVersion(pub Call);

/// The only query parameter of a change.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirming {
    confirm: Option<String>,
}

impl FromRequestParts<App> for Changing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        unversioned(parts, app, Credential::Login).await.map(Self)
    }
}

impl FromRequestParts<App> for ChangingOrKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        unversioned(parts, app, Credential::LoginOrKey).await.map(Self)
    }
}

async fn unversioned(parts: &mut Parts, app: &App, by: Credential) -> Result<Call, Problem> {
    let call = call(parts, app, by).await?;
    if parts.headers.contains_key(header::IF_MATCH) {
        return Err(Problem::invalid("if_match"));
    }
    Ok(call)
}

impl FromRequestParts<App> for ChangingVersion {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let call = call(parts, app, Credential::Login).await?;
        let Expected(expected_version) = Expected::from_request_parts(parts, app).await?;
        Ok(Self(Call { expected_version, ..call }))
    }
}

async fn call(parts: &mut Parts, app: &App, by: Credential) -> Result<Call, Problem> {
    let (caller, proof) = caller(parts, app, by).await?;
    let proof = idempotency::claim(app, parts, &caller, proof).await?;
    let From(via) = From::from_request_parts(parts, app).await?;
    let Parameters(asked) = Parameters::<Confirming>::from_request_parts(parts, app).await?;
    let confirm = match asked.confirm.as_deref() {
        None | Some("committed") => Confirm::Committed,
        Some("applied") => Confirm::Applied,
        Some(_) => return Err(Problem::invalid("confirm")),
    };
    Ok(Call { caller, proof, via, confirm, expected_version: None })
}

/// A resource server with its client id and secret.
pub struct Server(pub ResourceServer);

impl FromRequestParts<App> for Server {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let (id, secret) = basic(&parts.headers).ok_or(Problem::UNAUTHENTICATED)?;
        let id = id.parse().map_err(|_| Problem::UNAUTHENTICATED)?;
        Ok(Self(app.issuer().authenticate_resource_server(&id, &secret).await?))
    }
}

/// Who shows an access token, and what a change is checked against. The token is looked at once: a proof
/// of possession is used up by it.
async fn caller(parts: &Parts, app: &App, by: Credential) -> Result<(Caller, Proof), Problem> {
    let request = (parts.method.as_str(), parts.uri.path());
    let shows = dpop::shows(app, &parts.headers, request).await?;
    let shows = shows.ok_or(Problem::UNAUTHENTICATED)?;
    let via = parts.extensions.get::<Via>().ok_or(Problem::INTERNAL)?;
    if by == Credential::LoginOrKey && api_key::is_key(shows.token) {
        return Ok(app.issuer().caller_by_key(shows.token, via).await?);
    }
    app.issuer().limit_call(shows.token, shows.shown(), via).await?;
    let caller = app.issuer().caller(shows.token, shows.shown()).await?;
    Ok((caller, app.issuer().proof(shows.token, shows.shown())?))
}

/// The one Basic credential of the request, form-decoded as RFC 6749 §2.3.1 wants it.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = authorization(headers)?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

/// The one `Authorization` of the request.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn form_decode(text: &str) -> Option<String> {
    let pair = format!("x={}", text.replace('&', "%26").replace('=', "%3D"));
    let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    (!value.contains('\u{fffd}')).then(|| value.into_owned())
}
