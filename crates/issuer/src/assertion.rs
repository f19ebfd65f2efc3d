//! Client authentication by a signed assertion (`private_key_jwt`: RFC 7523 §2.2 and §3, with the audience
//! rule of its revision).

use procura_domain::{AuthMethod, Profile};
use procura_store::clients::Client;
use procura_token::{
    Algorithm, Rejection, Ts,
    crypto::sha256,
    foreign::{ALGORITHMS, Audience, NumericDate},
};
use serde::Deserialize;

use crate::Issuer;

/// `typ` of an assertion; absent and `JWT` are taken too.
const TYPE: &str = "client-authentication+jwt";
/// An assertion lives no longer than this.
const MAX_LIFE_SECS: i64 = 10 * 60;
/// How far its maker's clock may be ahead.
const MAX_AHEAD_SECS: i64 = 30;
/// A used `jti` is remembered for so long after the assertion's end, for nodes whose clocks are behind.
const REMEMBERED_AFTER_SECS: i64 = 120;
const MAX_JTI_BYTES: usize = 256;

/// An assertion that is genuine. It authenticates once it is used up.
pub(crate) struct Ticket {
    /// Of client and `jti`.
    pub digest: [u8; 32],
    /// As long as somebody might accept it.
    pub until: Ts,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    jti: String,
}

impl Issuer {
    /// Verifies an assertion as that of this client; answers why not.
    pub(crate) async fn check_assertion(
        &self,
        client: &Client,
        assertion: &str,
        now: Ts,
    ) -> Result<Ticket, &'static str> {
        if client.registration.token_endpoint_auth_method != AuthMethod::PrivateKeyJwt {
            return Err("client_authentication_of_another_kind");
        }
        let allowed =
            algorithms(client.profile, client.registration.token_endpoint_auth_signing_alg);
        let keys = self.client_keys(client, assertion).await?;
        let payload = keys.verify(assertion, TYPE, &allowed).map_err(Rejection::code)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|_| "assertion_claims_missing")?;
        let id = client.id.as_str();
        if claims.iss != id || claims.sub != id {
            return Err("assertion_of_another_client");
        }
        if !self.is_for_us(client.profile, &claims.aud) {
            return Err("assertion_audience_wrong");
        }
        let now = now.secs();
        if now >= claims.exp.0 {
            return Err("assertion_expired");
        }
        let ahead = now.saturating_add(MAX_AHEAD_SECS);
        if claims.exp.0 > ahead.saturating_add(MAX_LIFE_SECS) {
            return Err("assertion_lives_too_long");
        }
        if [claims.nbf, claims.iat].into_iter().flatten().any(|from| from.0 > ahead) {
            return Err("assertion_not_yet_valid");
        }
        if claims.jti.is_empty() || claims.jti.len() > MAX_JTI_BYTES {
            return Err("assertion_claims_missing");
        }
        let digest = sha256(&[b"assertion", &[0], id.as_bytes(), &[0], claims.jti.as_bytes()]);
        let until = Ts::from_secs(claims.exp.0).plus_secs(REMEMBERED_AFTER_SECS);
        Ok(Ticket { digest, until })
    }

    /// FAPI 2.0 Security Profile §5.3.2.1: our name as a string and nothing else, so that no other server
    /// can use what was meant for it here. Older clients name the endpoint.
    fn is_for_us(&self, profile: Profile, aud: &Audience) -> bool {
        let issuer = &self.0.settings.issuer;
        match profile {
            Profile::Fapi2 => *aud == Audience::One(issuer.clone()),
            Profile::Oidc | Profile::Oauth21 => {
                let endpoints = ["", "/oauth2/token", "/oauth2/par"];
                endpoints.iter().any(|path| aud.names(&format!("{issuer}{path}")))
            }
        }
    }
}

/// What a client may sign with: what it was registered with, or any of the good ones. RS256 only under
/// the profile of OpenID Connect, and only where it was asked for.
pub(crate) fn algorithms(profile: Profile, registered: Option<Algorithm>) -> Vec<Algorithm> {
    match registered {
        Some(Algorithm::Rs256) if profile != Profile::Oidc => Vec::new(),
        Some(registered) => vec![registered],
        None => ALGORITHMS.to_vec(),
    }
}
