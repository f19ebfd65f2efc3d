//! Proofs of possession at the doors: the one `DPoP` header field, and the token that came with it
//! (RFC 9449 §4.1 and §7.1).

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
};
use procura_issuer::{
    Error, Issuer, Result, Via,
    dpop::{ProvenKey, Proving},
};
use procura_store::clients::Client;
use procura_token::{
    Shown,
    dpop::{Fault, HEADER},
};

use crate::{api::caller::authorization, app::App, oauth::error::OAuthError};

const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The key that whoever asks for a token has proven to hold; `None` where there is no proof.
pub async fn proven(
    issuer: &Issuer,
    headers: &HeaderMap,
    (method, path): (&str, &str),
) -> Result<Option<ProvenKey>> {
    let Some(proof) = one(headers)? else { return Ok(None) };
    issuer.take_proof(proof, Proving { method, path, token: None }).await.map(Some)
}

/// Whether a proof, where there is one, is looked at: of a public client everybody can say to be it, and a
/// proof that was looked at is remembered.
pub fn admit(issuer: &Issuer, headers: &HeaderMap, client: &Client, via: &Via) -> Result<()> {
    if headers.contains_key(HEADER) { issuer.admit_proof_of(client, via) } else { Ok(()) }
}

/// The proof of the request. Several are refused: which one counts is not ours to guess.
fn one(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut proofs = headers.get_all(HEADER).iter();
    match (proofs.next(), proofs.next()) {
        (None, _) => Ok(None),
        (Some(proof), None) => match proof.to_str() {
            Ok(proof) => Ok(Some(proof)),
            Err(_) => Err(Error::ProofRefused(Fault::NotOne.code())),
        },
        (Some(_), Some(_)) => Err(Error::ProofRefused(Fault::NotOne.code())),
    }
}

/// An access token and the key, if any, that was proven with it.
pub struct Shows<'a> {
    /// The token.
    pub token: &'a str,
    key: Option<ProvenKey>,
}

impl Shows<'_> {
    /// How it came.
    #[must_use]
    pub fn shown(&self) -> Shown<'_> {
        ProvenKey::shown(self.key.as_ref())
    }
}

/// The one access token of the request, by either scheme; `None` where there is none or several.
pub async fn shows<'a>(
    app: &App,
    headers: &'a HeaderMap,
    (method, path): (&str, &str),
) -> Result<Option<Shows<'a>>> {
    let Some((scheme, token)) = authorization(headers).and_then(|value| value.split_once(' '))
    else {
        return Ok(None);
    };
    if token.is_empty() {
        return Ok(None);
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(Shows { token, key: None }));
    }
    if !scheme.eq_ignore_ascii_case("dpop") {
        return Ok(None);
    }
    let proof = one(headers)?.ok_or(Error::ProofRefused(Fault::NotOne.code()))?;
    let proving = Proving { method, path, token: Some(token) };
    let key = app.issuer().take_proof(proof, proving).await?;
    Ok(Some(Shows { token, key: Some(key) }))
}

/// The answer to a request that came with a proof, or should have: with the nonce for the next one,
/// where nonces are demanded.
pub fn answered(issuer: &Issuer, answer: Result<Response, OAuthError>) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    if let Some(nonce) = issuer.dpop_nonce().and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
        response.headers_mut().insert(NONCE, nonce);
    }
    response
}
