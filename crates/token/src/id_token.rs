//! An ID token of another provider (OpenID Connect Core §3.1.3.7): what must be true before anything in
//! it counts. Stricter than the standard where that costs no honest provider anything.

use serde::Deserialize;

use crate::{
    foreign::{Audience, ForeignKeys},
    jwk::Algorithm,
    time::Ts,
};

/// Whatever a provider may sign with. Never a shared secret, and never nothing.
pub const ALGORITHMS: &[Algorithm] =
    &[Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

/// The provider's clock may be off by this.
const SKEW_SECS: i64 = 60;
/// It was made for us a moment ago.
const MAX_AGE_SECS: i64 = 10 * 60;
/// No honest one says that it is good for longer.
const MAX_LIFE_SECS: i64 = 24 * 3600;
/// OpenID Connect Core §2.
const MAX_SUBJECT_BYTES: usize = 255;
const MAX_WORDS: usize = 16;

/// What it has to be about.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The provider, character by character.
    pub issuer: &'a str,
    /// As which client we are registered there.
    pub client_id: &'a str,
    /// What we sent along.
    pub nonce: &'a str,
    /// Now.
    pub now: Ts,
}

/// What a provider says about a login.
#[derive(Debug, PartialEq, Eq)]
pub struct IdToken {
    /// Who, at the provider.
    pub subject: String,
    /// When the person authenticated, if it says so: the last instant of that second.
    pub auth_time: Option<Ts>,
    /// How strongly, in the provider's words.
    pub acr: Option<String>,
    /// By which methods.
    pub amr: Vec<String>,
    /// The address, where the provider says that it is verified.
    pub verified_email: Option<String>,
}

/// Numbers are whole ones: a fraction or an exponent has no place in a token's times.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: String,
    auth_time: Option<i64>,
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    email: Option<String>,
    // Some send a text. That is no promise.
    email_verified: Option<serde_json::Value>,
}

impl IdToken {
    /// Verifies one; the error is a word for the audit log.
    pub fn verify(
        token: &str,
        keys: &ForeignKeys,
        expected: Expected<'_>,
    ) -> Result<Self, &'static str> {
        let payload = keys.verify(token, "JWT", ALGORITHMS).map_err(crate::Rejection::code)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|_| "id_token_claims_missing")?;
        claims.check(expected)?;
        let is_verified = claims.email_verified == Some(serde_json::Value::Bool(true));
        Ok(Self {
            // The second is over at its end: whoever logged in within it logged in before that.
            auth_time: claims
                .auth_time
                .map(|secs| Ts(Ts::from_secs(secs).0.saturating_add(999_999))),
            subject: claims.sub,
            acr: claims.acr,
            amr: claims.amr,
            verified_email: claims.email.filter(|_| is_verified),
        })
    }
}

impl Claims {
    fn check(&self, expected: Expected<'_>) -> Result<(), &'static str> {
        if self.iss != expected.issuer {
            return Err("id_token_issuer_wrong");
        }
        let is_alone = match &self.aud {
            Audience::One(_) => true,
            Audience::Several(several) => several.len() == 1,
        };
        let is_azp = self.azp.as_deref().map_or(is_alone, |azp| azp == expected.client_id);
        if !self.aud.names(expected.client_id) || !is_azp {
            return Err("id_token_audience_wrong");
        }
        if self.nonce != expected.nonce {
            return Err("id_token_nonce_wrong");
        }
        let now = expected.now.secs();
        let ahead = now.saturating_add(SKEW_SECS);
        if now >= self.exp.saturating_add(SKEW_SECS) || self.iat < now.saturating_sub(MAX_AGE_SECS)
        {
            return Err("id_token_expired");
        }
        if self.exp > now.saturating_add(MAX_LIFE_SECS) {
            return Err("id_token_lives_too_long");
        }
        let from = [Some(self.iat), self.nbf, self.auth_time];
        if from.into_iter().flatten().any(|from| from > ahead) {
            return Err("id_token_not_yet_valid");
        }
        if self.auth_time.is_some_and(|at| at < 0) {
            return Err("id_token_claims_missing");
        }
        let is_subject = (1..=MAX_SUBJECT_BYTES).contains(&self.sub.len())
            && self.sub.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if !is_subject || self.amr.len() > MAX_WORDS {
            return Err("id_token_claims_missing");
        }
        Ok(())
    }
}
