//! Authorization requests that do not stand in the browser's address: pushed by the client (RFC 9126),
//! or signed by it (RFC 9101).

use std::collections::BTreeMap;

use procura_domain::Profile;
use procura_store::{clients::Client, pushed::PushedRequest};
use procura_token::{
    Algorithm, ClientId,
    foreign::{Audience, Members, NumericDate},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Error, Issuer, Result, assertion::algorithms, authorize::Parameters, device::Waiting,
    environment::fingerprint, identity::can_sign_for, jarm,
};

/// What every `request_uri` of ours begins with (RFC 9126 §2.2).
pub const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// A client has this long to send the browser.
const LIFE_SECS: i64 = 90;
/// `typ` of a signed request (RFC 9101 §10.8); absent and `JWT` are taken too.
const TYPE: &str = "oauth-authz-req+jwt";
/// How far before and after now a signed request may reach (FAPI 2.0 Message Signing §5.3.1).
const MAX_REACH_SECS: i64 = 60 * 60;
/// How far its maker's clock may be ahead.
const MAX_AHEAD_SECS: i64 = 30;
/// Claims that are about the JWT and no parameters.
const ABOUT: &[&str] = &["iss", "aud", "exp", "nbf", "iat", "jti", "sub"];

/// How a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way<'a> {
    /// In the browser's address.
    #[default]
    Plain,
    /// It is being pushed by its client.
    Pushing,
    /// It was pushed; by the hash of its URI.
    Pushed(&'a str),
}

/// What a request agrees on beyond plain OAuth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The thumbprint of the only key with which the code can be redeemed (RFC 9449 §10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop_jkt: Option<String>,
    /// The algorithm with which the answer is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_alg: Option<Algorithm>,
    /// The hash of the URI under which it was pushed: that is answered once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// The resource servers that the tokens are for; none: for ourselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The device for which it is answered (RFC 8628): nobody is redirected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Waiting>,
}

impl Terms {
    /// Whether the client may ask in this way (RFC 9126 §6, RFC 9101 §10.5), and for what it asks; an error
    /// is a code for the client.
    pub(crate) fn of(client: &Client, p: &Parameters<'_>) -> Result<Self, &'static str> {
        let registration = &client.registration;
        let must_push =
            client.profile == Profile::Fapi2 || registration.require_pushed_authorization_requests;
        let is_unsigned = registration.require_signed_request_object && !p.is_signed;
        let is_key_bad = p.dpop_jkt.is_some_and(|jkt| !is_thumbprint(jkt));
        if (must_push && p.way == Way::Plain) || is_unsigned || is_key_bad {
            return Err("invalid_request");
        }
        // Nobody should log in for an ID token that we cannot sign.
        if !can_sign_for(client) {
            return Err("unauthorized_client");
        }
        Ok(Self {
            dpop_jkt: p.dpop_jkt.map(ToOwned::to_owned),
            answer_alg: jarm::wanted(client, p.response_mode)?,
            pushed: match p.way {
                Way::Pushed(hash) => Some(hash.to_owned()),
                Way::Plain | Way::Pushing => None,
            },
            resources: Vec::new(),
            device: None,
        })
    }
}

/// SHA-256 in base64url without padding.
fn is_thumbprint(text: &str) -> bool {
    let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.len() == 43 && text.bytes().all(is_base64url)
}

/// A request's parameters as they hold, whatever else stands beside them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// By name.
    pub parameters: BTreeMap<String, String>,
    /// Whether the client has signed them.
    pub is_signed: bool,
}

/// What the client gets for it.
#[derive(Debug)]
pub struct Pushed {
    /// To be shown once, by a browser.
    pub request_uri: String,
    /// In seconds.
    pub expires_in: i64,
}

impl Issuer {
    /// Checks a request as if a browser brought it, and keeps it. The inner error is a code for the
    /// client.
    pub async fn push(
        &self,
        parameters: &Parameters<'_>,
        kept: &Kept,
    ) -> Result<Result<Pushed, &'static str>> {
        let pending = match self.check_authorization(parameters).await? {
            Ok(pending) => pending,
            Err(answer) => return Ok(Err(answer.outcome.err().unwrap_or("invalid_request"))),
        };
        let request_uri = format!("{PREFIX}{}", self.0.environment.secret()?);
        let stored = PushedRequest {
            uri_hash: fingerprint(&request_uri),
            client: pending.client,
            request: serde_json::to_string(kept).map_err(|_| Error::Broken)?,
            expires_at: self.0.environment.now().plus_secs(LIFE_SECS),
            used_at: None,
        };
        self.0.store.insert_pushed_request(&stored).await?;
        Ok(Ok(Pushed { request_uri, expires_in: LIFE_SECS }))
    }

    /// What was pushed under this URI, and the hash of it. `NotFound` where it is unknown, of another
    /// client, too old or answered already. Looking at it does not use it up: people reload pages.
    pub async fn find_pushed(&self, client: &ClientId, uri: &str) -> Result<(Kept, String)> {
        let hash = fingerprint(uri);
        let now = self.0.environment.now();
        let found = self.0.store.find_pushed_request(&hash).await?;
        let found = found
            .filter(|p| p.client == *client && now < p.expires_at && p.used_at.is_none())
            .ok_or(Error::NotFound)?;
        let kept = serde_json::from_str(&found.request).map_err(|_| Error::Broken)?;
        Ok((kept, hash))
    }

    /// The parameters in a request that this client has signed; the inner error says, for the audit log,
    /// why it is not wholly good.
    pub async fn open_request(
        &self,
        client: &ClientId,
        request: &str,
    ) -> Result<Result<Kept, &'static str>> {
        let client = self.0.store.find_client(client).await?.filter(|c| c.is_enabled);
        let Some(client) = client else { return Err(Error::NotFound) };
        let opened = self.read_request(&client, request).await;
        Ok(opened.map(|parameters| Kept { parameters, is_signed: true }))
    }

    async fn read_request(
        &self,
        client: &Client,
        request: &str,
    ) -> Result<BTreeMap<String, String>, &'static str> {
        let allowed = algorithms(client.profile, client.registration.request_object_signing_alg);
        let keys = self.client_keys(client, request).await?;
        let payload =
            keys.verify(request, TYPE, &allowed).map_err(procura_token::Rejection::code)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| "request_malformed")?;
        let id = client.id.as_str();
        if claims.iss != id || claims.client_id.is_some_and(|inside| inside != id) {
            return Err("request_of_another_client");
        }
        // With its own id as subject it could be meant as an assertion (RFC 9101 §10.8).
        if claims.sub.is_some_and(|sub| sub == id) {
            return Err("request_is_an_assertion");
        }
        if !claims.aud.names(&self.0.settings.issuer) {
            return Err("request_audience_wrong");
        }
        let now = self.0.environment.now().secs();
        if !is_in_time(client.profile, claims.nbf, claims.exp, now) {
            return Err("request_time_wrong");
        }
        let Members(members) = serde_json::from_slice(&payload).map_err(|_| "request_malformed")?;
        // Neither may lead on to another request.
        if members.iter().any(|(name, _)| name == "request" || name == "request_uri") {
            return Err("request_within_a_request");
        }
        Ok(members.into_iter().filter_map(parameter).collect())
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: Option<String>,
    client_id: Option<String>,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
}

/// Under FAPI both ends must be there, and neither is far away.
fn is_in_time(
    profile: Profile,
    nbf: Option<NumericDate>,
    exp: Option<NumericDate>,
    now: i64,
) -> bool {
    let is_far = |at: i64| (at - now).saturating_abs() > MAX_REACH_SECS;
    if profile == Profile::Fapi2 && (nbf.is_none() || exp.is_none()) {
        return false;
    }
    nbf.is_none_or(|nbf| nbf.0 <= now + MAX_AHEAD_SECS && !is_far(nbf.0))
        && exp.is_none_or(|exp| now < exp.0 && !is_far(exp.0))
}

/// As it would stand in a query: a text as it is, anything else in JSON.
fn parameter((name, value): (String, Value)) -> Option<(String, String)> {
    if ABOUT.contains(&name.as_str()) {
        return None;
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        Value::Array(uris) if name == "resource" && uris.iter().all(Value::is_string) => {
            // The one parameter that may come several times; no URI has a blank in it.
            let uris: Vec<_> = uris.iter().filter_map(Value::as_str).collect();
            Some((name, uris.join(" ")))
        }
        other => Some((name, other.to_string())),
    }
}
