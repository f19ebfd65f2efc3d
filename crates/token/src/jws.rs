//! Verification of a compact JWS (RFC 7515, RFC 8725) and of an access token (RFC 9068 §4).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;

use crate::{
    claims::{AccessClaims, Kind},
    jwk::{Algorithm, KeySet},
    revocation::{self, KeyHash},
    time::Ts,
};

/// Longer tokens are refused before anything is decoded.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// `typ` of access tokens (RFC 9068 §2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// Why a token is refused. For logs and audit; callers of an API see one text for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.code())]
pub enum Rejection {
    /// Not three strict base64url segments of strict JSON, or too long.
    Malformed,
    /// The header names another type, or carries anything beyond `alg`, `kid` and `typ`: a key, a
    /// URL of keys or a critical extension is never the token's to choose.
    Header,
    /// The algorithm is not on the allow-list or not that of the key.
    Algorithm,
    /// No key with this `kid`.
    UnknownKey,
    /// The signature does not fit.
    Signature,
    /// Another issuer.
    Issuer,
    /// For another resource server.
    Audience,
    /// Past its end.
    Expired,
    /// From the future.
    NotYetValid,
    /// The claims contradict each other.
    Incoherent,
    /// It is bound to a key and came without the proof.
    Bound,
    /// It is bound to no key and came with a proof.
    NotBound,
    /// It is bound to another key than the proof's.
    OtherKey,
}

impl Rejection {
    /// The stable word, for logs and audit.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::Header => "token_header_refused",
            Self::Algorithm => "token_algorithm_refused",
            Self::UnknownKey => "token_key_unknown",
            Self::Signature => "token_signature_wrong",
            Self::Issuer => "token_issuer_wrong",
            Self::Audience => "token_audience_wrong",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::Incoherent => "token_incoherent",
            Self::Bound => "token_bound_to_a_key",
            Self::NotBound => "token_not_bound",
            Self::OtherKey => "token_bound_to_another_key",
        }
    }
}

/// The header of every JWS that we issue. Unknown members are refused, which refuses `jwk`, `jku`,
/// `x5u`, `x5c`, `crit` and `b64`; so is a repeated member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    kid: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    typ: std::borrow::Cow<'a, str>,
}

/// A JWS whose signature fits.
#[derive(Debug)]
pub struct Signed {
    /// The key that signed it.
    pub kid: String,
    /// The payload, not yet looked at.
    pub payload: Vec<u8>,
}

/// The `kid` that a token names, unverified: only good for deciding whether to fetch keys.
#[must_use]
pub fn kid_of(token: &str) -> Option<String> {
    let header = B64.decode(token.split('.').next()?).ok()?;
    serde_json::from_slice::<Header<'_>>(&header).ok().map(|h| h.kid.into_owned())
}

/// Verifies form, type, algorithm and signature.
///
/// `typ` is compared as a media type: without regard to case, `application/` may stand before it.
pub fn verify(
    token: &str,
    typ: &str,
    keys: &KeySet,
    allowed: &[Algorithm],
) -> Result<Signed, Rejection> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Rejection::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Rejection::Malformed)?;
    let decode = |part: &str| B64.decode(part).map_err(|_| Rejection::Malformed);
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);

    if !serde_json::from_slice::<serde_json::Value>(&header).is_ok_and(|v| v.is_object()) {
        return Err(Rejection::Malformed);
    }
    let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| Rejection::Header)?;
    let bare = header.typ.get(..12).filter(|p| p.eq_ignore_ascii_case("application/"));
    let given = bare.map_or(&*header.typ, |_| header.typ.get(12..).unwrap_or_default());
    if !given.eq_ignore_ascii_case(typ) {
        return Err(Rejection::Header);
    }
    let alg: Algorithm = header.alg.parse().map_err(|_| Rejection::Algorithm)?;
    if !allowed.contains(&alg) {
        return Err(Rejection::Algorithm);
    }
    let (key_alg, key) = keys.get(&header.kid).ok_or(Rejection::UnknownKey)?;
    if *key_alg != alg {
        return Err(Rejection::Algorithm);
    }
    key.verify_sig(signed.as_bytes(), &signature).map_err(|_| Rejection::Signature)?;
    Ok(Signed { kid: header.kid.into_owned(), payload })
}

/// What the verifying side insists on.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The one issuer, compared byte by byte.
    pub issuer: String,
    /// The one audience; `None` where the caller decides on the audience itself.
    pub audience: Option<String>,
    /// Algorithms that may be used at all.
    pub algorithms: Vec<Algorithm>,
    /// How far in seconds two honest clocks may be apart. Applied to `nbf` and `iat`, never to
    /// `exp`: a token is not lengthened.
    pub leeway_secs: i64,
}

/// How an access token came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Alone: a bearer token (RFC 6750).
    Bearer,
    /// With a verified proof of the key that has this thumbprint (RFC 9449 §7.1).
    WithProof(&'a str),
    /// From somebody who asks about it or ends it, and does not use it.
    ByOther,
}

/// An access token that is genuine and within its time. Whether it was revoked is not yet known.
#[derive(Clone, Debug)]
pub struct Genuine {
    /// The claims.
    pub claims: AccessClaims,
    /// What kind of token it is.
    pub kind: Kind,
    /// The keys by which it can be revoked.
    pub keys: Vec<KeyHash>,
}

impl Expected {
    /// Verifies an access token that came in this way at the instant `now`.
    pub fn access_token(
        &self,
        token: &str,
        keys: &KeySet,
        shown: Shown<'_>,
        now: Ts,
    ) -> Result<Genuine, Rejection> {
        let signed = verify(token, ACCESS_TOKEN_TYPE, keys, &self.algorithms)?;
        let claims: AccessClaims =
            serde_json::from_slice(&signed.payload).map_err(|_| Rejection::Malformed)?;
        self.claims(&claims, shown, now)?;
        let kind = claims.kind().ok_or(Rejection::Incoherent)?;
        let keys = revocation::keys_of(&claims, &kind, &signed.kid);
        Ok(Genuine { claims, kind, keys })
    }

    /// The checks that depend on the instant and on who asks; also for a token verified before.
    pub fn claims(
        &self,
        claims: &AccessClaims,
        shown: Shown<'_>,
        now: Ts,
    ) -> Result<(), Rejection> {
        let now = now.secs();
        if claims.iss != self.issuer {
            return Err(Rejection::Issuer);
        }
        if self.audience.as_ref().is_some_and(|aud| *aud != claims.aud) {
            return Err(Rejection::Audience);
        }
        if now >= claims.exp {
            return Err(Rejection::Expired);
        }
        let latest = now.saturating_add(self.leeway_secs);
        if claims.nbf > latest || claims.iat > latest || claims.iat > claims.exp {
            return Err(Rejection::NotYetValid);
        }
        match (shown, claims.cnf.as_ref().map(|cnf| cnf.jkt.as_str())) {
            (Shown::ByOther, _) | (Shown::Bearer, None) => Ok(()),
            (Shown::Bearer, Some(_)) => Err(Rejection::Bound),
            (Shown::WithProof(_), None) => Err(Rejection::NotBound),
            (Shown::WithProof(proven), Some(bound)) if proven == bound => Ok(()),
            (Shown::WithProof(_), Some(_)) => Err(Rejection::OtherKey),
        }
    }
}
