//! Proofs of possession (RFC 9449): a proof is verified and used up, once on all nodes, before anything
//! is done for it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_store::clients::Client;
use procura_token::{
    Confirmation, Shown, Ts,
    crypto::is_equal,
    dpop::{Demand, Fault, Proof},
};

use crate::{Error, Issuer, Result};

/// A used proof is remembered for so long after its end, for nodes whose clocks are behind.
const REMEMBERED_AFTER_SECS: i64 = 120;
/// A nonce is good in the minute in which it was made and in the two after it.
const NONCE_SECS: i64 = 60;
const NONCE_WINDOWS: i64 = 3;

/// A key that whoever sent this request has proven to hold, by its thumbprint (RFC 7638).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey(String);

impl ProvenKey {
    /// The thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.0
    }

    /// How a token came with it.
    #[must_use]
    pub fn shown(key: Option<&Self>) -> Shown<'_> {
        key.map_or(Shown::Bearer, |key| Shown::WithProof(&key.0))
    }

    pub(crate) fn confirmation(key: Option<&Self>) -> Option<Confirmation> {
        key.map(|key| Confirmation { jkt: key.0.clone() })
    }
}

/// A request as its proof must describe it.
#[derive(Clone, Copy, Debug)]
pub struct Proving<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, from the root of the issuer.
    pub path: &'a str,
    /// The access token that came with it; `None` where one is asked for.
    pub token: Option<&'a str>,
}

impl Issuer {
    /// Verifies a proof and uses it up.
    pub async fn take_proof(&self, proof: &str, request: Proving<'_>) -> Result<ProvenKey> {
        let now = self.0.environment.now();
        // No header decides what our address is.
        let uri = format!("{}{}", self.0.settings.issuer, request.path);
        let demand = Demand { method: request.method, uri: &uri, token: request.token, now };
        let proof = Proof::verify(proof, &demand).map_err(refused)?;
        if request.token.is_none() && self.0.settings.is_dpop_nonce_required {
            let is_ours = proof.nonce.as_deref().is_some_and(|nonce| self.is_nonce(nonce, now));
            if !is_ours {
                return Err(Error::NonceWanted);
            }
        }
        // Who shows no token of ours takes up no memory.
        if let Some(token) = request.token {
            let shown = Shown::WithProof(&proof.jkt);
            self.genuine(token, shown, now).map_err(|_| Error::Unauthenticated)?;
        }
        let until = proof.ends_at.plus_secs(REMEMBERED_AFTER_SECS);
        if !self.0.store.use_value(&proof.id, until).await? {
            return Err(refused(Fault::Replayed));
        }
        Ok(ProvenKey(proof.jkt))
    }

    /// The nonce that a proof should carry now (RFC 9449 §8), where nonces are demanded. All nodes make
    /// the same one, and none remembers it.
    #[must_use]
    pub fn dpop_nonce(&self) -> Option<String> {
        let window = self.0.environment.now().secs().div_euclid(NONCE_SECS);
        self.0.settings.is_dpop_nonce_required.then(|| self.nonce(window))
    }

    fn nonce(&self, window: i64) -> String {
        let tag = self.0.secrets.nonces().tag(&[&window.to_be_bytes()]);
        B64.encode(tag)
    }

    /// Also that of the next minute: another node's clock may be ahead.
    fn is_nonce(&self, nonce: &str, now: Ts) -> bool {
        let window = now.secs().div_euclid(NONCE_SECS);
        (window - NONCE_WINDOWS + 1..=window + 1)
            .any(|window| is_equal(nonce.as_bytes(), self.nonce(window).as_bytes()))
    }
}

/// A client whose tokens must be bound gets none without a proof.
pub(crate) fn admit_binding(client: &Client, key: Option<&ProvenKey>) -> Result<()> {
    if client.must_bind_tokens() && key.is_none() {
        return Err(Error::ProofRefused("proof_missing"));
    }
    Ok(())
}

const fn refused(fault: Fault) -> Error {
    Error::ProofRefused(fault.code())
}
