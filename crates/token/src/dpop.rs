//! DPoP proofs (RFC 9449): whoever shows a token shows that it holds the key that the token is bound
//! to. Whether a proof was used before is not known here.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;

use crate::{
    crypto::{is_equal, sha256},
    foreign::{ALGORITHMS, NumericDate, Parts},
    jws::Rejection,
    time::Ts,
};

/// `typ` of a proof.
pub const PROOF_TYPE: &str = "dpop+jwt";
/// The header field.
pub const HEADER: &str = "dpop";
/// The algorithms of proofs, as a challenge names them (RFC 9449 §7.1).
pub const ALGORITHM_NAMES: &str = "PS256 ES256 EdDSA";
/// Longer proofs are refused before anything is decoded. One with an RSA key of 4096 bits has 2 KiB.
pub const MAX_PROOF_BYTES: usize = 4096;
/// A proof is good for so long after it was made, in seconds.
pub const MAX_AGE_SECS: i64 = 60;
/// How far its maker's clock may be ahead, in seconds.
pub const MAX_AHEAD_SECS: i64 = 15;
const MAX_JTI_BYTES: usize = 256;

/// Why a proof is refused. For logs and audit; callers see one text for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum Fault {
    /// Not exactly one header field.
    NotOne,
    /// Not a JWS whose own key, public and of a good kind, signed it.
    Signature(Rejection),
    /// Another `typ`.
    Type,
    /// A claim is missing or malformed.
    Claims,
    /// For another method.
    Method,
    /// For another URI.
    Uri,
    /// Too old, or from the future.
    Time,
    /// For another access token.
    TokenHash,
    /// It was used before.
    Replayed,
}

impl Fault {
    /// The stable word, for logs and audit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotOne => "proof_not_one",
            Self::Signature(_) => "proof_signature_wrong",
            Self::Type => "proof_type_wrong",
            Self::Claims => "proof_claims_missing",
            Self::Method => "proof_method_wrong",
            Self::Uri => "proof_uri_wrong",
            Self::Time => "proof_time_wrong",
            Self::TokenHash => "proof_token_wrong",
            Self::Replayed => "proof_replayed",
        }
    }
}

/// What a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// Its URI without query and fragment, as the outside knows it.
    pub uri: &'a str,
    /// The access token that came with it; `None` at the token endpoint.
    pub token: Option<&'a str>,
    /// Now.
    pub now: Ts,
}

/// A proof that fits. It must be used up before anything is done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint (RFC 7638) of its key: `cnf.jkt` of tokens that are bound to it.
    pub jkt: String,
    /// What makes it one of a kind: a digest of key and `jti`.
    pub id: [u8; 32],
    /// The nonce that it carries.
    pub nonce: Option<String>,
    /// From then on it is refused for its age.
    pub ends_at: Ts,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: NumericDate,
    nbf: Option<NumericDate>,
    exp: Option<NumericDate>,
    ath: Option<String>,
    nonce: Option<String>,
}

impl Proof {
    /// Verifies a proof (RFC 9449 §4.3).
    pub fn verify(proof: &str, demand: &Demand<'_>) -> Result<Self, Fault> {
        let parts = Parts::split(proof, MAX_PROOF_BYTES).map_err(Fault::Signature)?;
        if !parts.typ().is_some_and(|typ| typ.eq_ignore_ascii_case(PROOF_TYPE)) {
            return Err(Fault::Type);
        }
        let key = parts.own_key(ALGORITHMS).map_err(Fault::Signature)?;
        let claims: Claims = serde_json::from_slice(&parts.payload).map_err(|_| Fault::Claims)?;
        if claims.jti.is_empty() || claims.jti.len() > MAX_JTI_BYTES {
            return Err(Fault::Claims);
        }
        if claims.htm != demand.method {
            return Err(Fault::Method);
        }
        let uri = normal(&claims.htu).ok_or(Fault::Uri)?;
        if normal(demand.uri) != Some(uri) {
            return Err(Fault::Uri);
        }
        let ends_at = claims.in_time(demand.now)?;
        let hash = demand.token.map(|token| B64.encode(sha256(&[token.as_bytes()])));
        let fits = |ath: &str, hash: &str| is_equal(ath.as_bytes(), hash.as_bytes());
        match (&claims.ath, &hash) {
            (_, None) => {}
            (Some(ath), Some(hash)) if fits(ath, hash) => {}
            _ => return Err(Fault::TokenHash),
        }
        let jkt = key.thumbprint().to_owned();
        let id = sha256(&[b"dpop", &[0], jkt.as_bytes(), &[0], claims.jti.as_bytes()]);
        Ok(Self { jkt, id, nonce: claims.nonce, ends_at })
    }
}

impl Claims {
    fn in_time(&self, now: Ts) -> Result<Ts, Fault> {
        let now = now.secs();
        let latest = now.saturating_add(MAX_AHEAD_SECS);
        let end = self.iat.0.saturating_add(MAX_AGE_SECS);
        let is_early = self.iat.0 > latest || self.nbf.is_some_and(|nbf| nbf.0 > latest);
        let is_late = now > end || self.exp.is_some_and(|exp| now >= exp.0);
        if is_early || is_late { Err(Fault::Time) } else { Ok(Ts::from_secs(end)) }
    }
}

/// Scheme and host in lower case, no default port, no query and no fragment (RFC 9449 §4.3, RFC 3986
/// §6.2.2 and §6.2.3). `None` for what is no web address.
fn normal(uri: &str) -> Option<String> {
    let end = uri.find(['?', '#']).unwrap_or(uri.len());
    let (scheme, rest) = uri.get(..end)?.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let host = authority.strip_suffix(default_port).unwrap_or(&authority);
    let path = if path.is_empty() { "/" } else { path };
    Some(format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn two_spellings_of_one_address_are_equal() {
        let plain = normal("https://api.example/a");
        assert!(plain.is_some());
        for same in
            ["HTTPS://API.example:443/a", "https://api.example/a?b=c", "https://api.example/a#d"]
        {
            assert_eq!(normal(same), plain, "{same}");
        }
        assert_eq!(normal("https://api.example"), normal("https://api.example/"));
        for other in [
            "http://api.example/a",
            "https://api.example/A",
            "https://api.example/a/",
            "https://api.example:444/a",
            "https://api.example.evil/a",
            "https://evil@api.example/a",
            "api.example/a",
            "",
        ] {
            assert_ne!(normal(other), plain, "{other}");
        }
    }
}
