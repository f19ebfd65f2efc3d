//! Signed authorization answers (JARM: JWT Secured Authorization Response Mode for OAuth 2.0).

use procura_domain::Profile;
use procura_store::clients::Client;
use procura_token::{Algorithm, ClientId};
use serde_json::json;

use crate::{Error, Issuer, Result, authorize::Answer, keys::SIGNED_BY};

/// The answer is read at once; a stolen one is worthless after this.
const LIFE_SECS: i64 = 60;

/// For whom, and with which algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The audience.
    pub client: ClientId,
    /// The client's choice.
    pub alg: Algorithm,
}

impl Signed {
    /// What the answer to this request needs, if it is to be signed.
    pub(crate) fn of(client: &Client, response_mode: Option<&str>) -> Option<Self> {
        let alg = wanted(client, response_mode).ok().flatten()?;
        Some(Self { client: client.id.clone(), alg })
    }
}

/// The algorithm of answers to this request; `Ok(None)` where they are not signed, an error where we
/// cannot sign as the client wants it.
pub(crate) fn wanted(
    client: &Client,
    response_mode: Option<&str>,
) -> Result<Option<Algorithm>, &'static str> {
    if !matches!(response_mode, Some("jwt" | "query.jwt" | "form_post.jwt")) {
        return Ok(None);
    }
    let usual = match client.profile {
        Profile::Fapi2 => Algorithm::Es256,
        Profile::Oidc | Profile::Oauth21 => Algorithm::Rs256,
    };
    let alg = client.registration.authorization_signed_response_alg.unwrap_or(usual);
    if SIGNED_BY.contains(&alg) { Ok(Some(alg)) } else { Err("invalid_request") }
}

impl Issuer {
    /// The answer as one signed value; `None` where it is to be plain.
    pub async fn sign_answer(&self, answer: &Answer) -> Result<Option<String>> {
        let Some(Signed { client, alg }) = &answer.signed else { return Ok(None) };
        let mut claims = json!({
            "iss": self.0.settings.issuer,
            "aud": client,
            "exp": self.0.environment.now().plus_secs(LIFE_SECS).secs(),
        });
        let members = claims.as_object_mut().ok_or(Error::Broken)?;
        match &answer.outcome {
            Ok(code) => members.insert("code".into(), code.clone().into()),
            Err(error) => members.insert("error".into(), (*error).into()),
        };
        if let Some(state) = &answer.state {
            members.insert("state".into(), state.clone().into());
        }
        let signers = self.signers(self.0.store.keys_version()).await?;
        signers.by(*alg, "JWT", &claims).map(Some)
    }
}
