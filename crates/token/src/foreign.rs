//! Keys and signatures of others: what clients sign their assertions, request objects and proofs with.
//! Read leniently where the standards are lenient (no `kid`, no `alg`), and never where it matters.

use aws_lc_rs::signature::ParsedPublicKey;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::{
    crypto::sha256,
    jwk::{Algorithm, BadKey, Jwk},
    jws::{MAX_TOKEN_BYTES, Rejection},
};

/// More keys than these are no honest client's.
const MAX_KEYS: usize = 32;
/// RSA moduli in bytes: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Algorithms that any client may sign with: those of the FAPI 2.0 Security Profile §5.4.1. RS256 is
/// for clients that were registered with it.
pub const ALGORITHMS: &[Algorithm] = &[Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa];

/// A member that is there, whatever its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// A JWK of somebody else (RFC 7517 §4).
#[derive(Deserialize)]
struct Loose {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    // Each is of a private or a symmetric key.
    #[serde(default)]
    d: Present,
    #[serde(default)]
    p: Present,
    #[serde(default)]
    q: Present,
    #[serde(default)]
    dp: Present,
    #[serde(default)]
    dq: Present,
    #[serde(default)]
    qi: Present,
    #[serde(default)]
    oth: Present,
    #[serde(default)]
    k: Present,
}

/// What a JWK of somebody else is good for.
enum Read {
    /// A public key, with each algorithm that it can be used with.
    Usable(PublicKey),
    /// Public, but for something else, or of a kind that we do not know.
    Unusable,
}

/// A public key of somebody else.
pub struct PublicKey {
    kid: Option<String>,
    ready: Vec<(Algorithm, ParsedPublicKey)>,
    thumbprint: String,
}

impl Loose {
    fn of(jwk: &Value) -> Result<Self, BadKey> {
        if jwk.is_object() { Self::deserialize(jwk).map_err(|_| BadKey) } else { Err(BadKey) }
    }

    fn is_secret(&self) -> bool {
        let private = [self.d, self.p, self.q, self.dp, self.dq, self.qi, self.oth, self.k];
        self.kty == "oct" || private.contains(&Present(true))
    }

    /// The algorithms that fit the kind of key, or the one that it is for.
    fn algorithms(&self) -> Vec<Algorithm> {
        let fitting: &[Algorithm] = match self.kty.as_str() {
            "EC" => &[Algorithm::Es256],
            "OKP" => &[Algorithm::EdDsa],
            "RSA" => &[Algorithm::Ps256, Algorithm::Rs256],
            _ => &[],
        };
        // Ed25519 as the fully specified name of RFC 9864.
        let named = self.alg.as_deref().map(|alg| if alg == "Ed25519" { "EdDSA" } else { alg });
        fitting.iter().copied().filter(|alg| named.is_none_or(|n| n == alg.name())).collect()
    }

    fn is_modulus_good(&self) -> bool {
        let modulus = self.n.as_ref().and_then(|n| B64.decode(n).ok()).unwrap_or_default();
        let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
        self.kty != "RSA" || MODULUS_BYTES.contains(&bytes)
    }

    /// RFC 7638 §3: SHA-256 over the members that make up the key, in this order and spelling.
    fn thumbprint(&self) -> Result<String, BadKey> {
        let json = |text: &Option<String>| {
            serde_json::to_string(text.as_deref().ok_or(BadKey)?).map_err(|_| BadKey)
        };
        let members = match self.kty.as_str() {
            "EC" => format!(
                r#"{{"crv":{},"kty":"EC","x":{},"y":{}}}"#,
                json(&self.crv)?,
                json(&self.x)?,
                json(&self.y)?
            ),
            "OKP" => {
                format!(r#"{{"crv":{},"kty":"OKP","x":{}}}"#, json(&self.crv)?, json(&self.x)?)
            }
            "RSA" => format!(r#"{{"e":{},"kty":"RSA","n":{}}}"#, json(&self.e)?, json(&self.n)?),
            _ => return Err(BadKey),
        };
        Ok(B64.encode(sha256(&[members.as_bytes()])))
    }

    /// A key that shows a private part is refused, also where the rest of it would do: it is not
    /// secret any more.
    fn read(self) -> Result<Read, BadKey> {
        if self.is_secret() {
            return Err(BadKey);
        }
        let is_for_signing = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        if !is_for_signing || !self.is_modulus_good() {
            return Ok(Read::Unusable);
        }
        let ready: Vec<_> = self
            .algorithms()
            .into_iter()
            .filter_map(|alg| {
                let jwk = Jwk {
                    kty: self.kty.clone(),
                    kid: String::new(),
                    alg,
                    usage: "sig".to_owned(),
                    crv: self.crv.clone(),
                    x: self.x.clone(),
                    y: self.y.clone(),
                    n: self.n.clone(),
                    e: self.e.clone(),
                };
                jwk.parse().ok().map(|key| (alg, key))
            })
            .collect();
        if ready.is_empty() {
            return Ok(Read::Unusable);
        }
        let thumbprint = self.thumbprint()?;
        Ok(Read::Usable(PublicKey { kid: self.kid, ready, thumbprint }))
    }
}

impl PublicKey {
    /// One public key that came as a JWK.
    pub fn read(jwk: &Value) -> Result<Self, BadKey> {
        match Loose::of(jwk)?.read()? {
            Read::Usable(key) => Ok(key),
            Read::Unusable => Err(BadKey),
        }
    }

    /// Its thumbprint (RFC 7638) in base64url.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    fn is_signer(&self, alg: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let mut fitting = self.ready.iter().filter(|(own, _)| *own == alg);
        fitting.any(|(_, key)| key.verify_sig(signed, signature).is_ok())
    }
}

/// The public keys of a client.
pub struct ForeignKeys(Vec<PublicKey>);

impl ForeignKeys {
    /// Reads a JWK Set (RFC 7517 §5). Keys of other kinds and for other uses are left out; a private or
    /// a symmetric key among them makes the whole set unusable.
    pub fn read(jwks: &Value) -> Result<Self, BadKey> {
        let keys = jwks.get("keys").and_then(Value::as_array).ok_or(BadKey)?;
        if keys.len() > MAX_KEYS {
            return Err(BadKey);
        }
        let mut usable = Vec::new();
        for key in keys {
            if let Read::Usable(key) = Loose::of(key)?.read()? {
                usable.push(key);
            }
        }
        Ok(Self(usable))
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key of this id is there, or one without an id, which could be it.
    #[must_use]
    pub fn may_have(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref().is_none_or(|own| own == kid))
    }

    /// Verifies form, type, algorithm and signature of a JWT that one of these keys signed; answers its
    /// payload. A `typ` may be absent or `JWT`: the standards of assertions and request objects are
    /// older than explicit types. What the claims must say keeps the kinds apart.
    pub fn verify(
        &self,
        token: &str,
        typ: &str,
        allowed: &[Algorithm],
    ) -> Result<Vec<u8>, Rejection> {
        let parts = Parts::split(token, MAX_TOKEN_BYTES)?;
        let is_typed = parts.typ().is_none_or(|given| {
            given.eq_ignore_ascii_case(typ) || given.eq_ignore_ascii_case("JWT")
        });
        if !is_typed || parts.header.jwk.is_some() {
            return Err(Rejection::Header);
        }
        let alg = parts.algorithm(allowed)?;
        let named = parts.header.kid.as_deref();
        let mut candidates = self
            .0
            .iter()
            .filter(|key| named.is_none_or(|kid| key.kid.as_deref().is_none_or(|own| own == kid)))
            .peekable();
        candidates.peek().ok_or(Rejection::UnknownKey)?;
        if candidates.any(|key| key.is_signer(alg, parts.signed.as_bytes(), &parts.signature)) {
            Ok(parts.payload)
        } else {
            Err(Rejection::Signature)
        }
    }
}

/// The header of a JWS that somebody else made. Members that choose a key or change the meaning are
/// refused; a DPoP proof alone brings its key.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    jwk: Option<Value>,
    #[serde(default)]
    jku: Present,
    #[serde(default)]
    x5u: Present,
    #[serde(default)]
    x5c: Present,
    #[serde(default)]
    crit: Present,
    #[serde(default)]
    b64: Present,
}

/// A compact JWS, taken apart. Nothing of it is verified.
pub(crate) struct Parts<'a> {
    header: Header,
    signed: &'a str,
    pub(crate) payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(token: &'a str, max_bytes: usize) -> Result<Self, Rejection> {
        if token.len() > max_bytes {
            return Err(Rejection::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Rejection::Malformed)?;
        let decode = |part: &str| B64.decode(part).map_err(|_| Rejection::Malformed);
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        // An array would do for a struct.
        if ![&header, &payload].iter().all(|json| json.trim_ascii_start().starts_with(b"{")) {
            return Err(Rejection::Malformed);
        }
        let header: Header = serde_json::from_slice(&header).map_err(|_| Rejection::Malformed)?;
        let refused = [header.jku, header.x5u, header.x5c, header.crit, header.b64];
        if refused.contains(&Present(true)) {
            return Err(Rejection::Header);
        }
        Ok(Self { header, signed, payload, signature })
    }

    /// The type as a media type without `application/`.
    pub(crate) fn typ(&self) -> Option<&str> {
        let typ = self.header.typ.as_deref()?;
        let bare = typ.get(..12).filter(|before| before.eq_ignore_ascii_case("application/"));
        Some(bare.map_or(typ, |_| typ.get(12..).unwrap_or_default()))
    }

    pub(crate) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, Rejection> {
        let name = if self.header.alg == "Ed25519" { "EdDSA" } else { &self.header.alg };
        let alg: Algorithm = name.parse().map_err(|_| Rejection::Algorithm)?;
        if allowed.contains(&alg) { Ok(alg) } else { Err(Rejection::Algorithm) }
    }

    /// The key in the header, if it made the signature.
    pub(crate) fn own_key(&self, allowed: &[Algorithm]) -> Result<PublicKey, Rejection> {
        let alg = self.algorithm(allowed)?;
        let jwk = self.header.jwk.as_ref().ok_or(Rejection::UnknownKey)?;
        let key = PublicKey::read(jwk).map_err(|_| Rejection::UnknownKey)?;
        if key.is_signer(alg, self.signed.as_bytes(), &self.signature) {
            Ok(key)
        } else {
            Err(Rejection::Signature)
        }
    }
}

/// The `sub` that a JWT names, unverified: only good for finding whose keys must verify it.
#[must_use]
pub fn unverified_subject(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    let parts = Parts::split(token, MAX_TOKEN_BYTES).ok()?;
    serde_json::from_slice::<Subject>(&parts.payload).ok().map(|claims| claims.sub)
}

/// The `kid` that a JWT names, unverified: only good for finding out whether its key is known yet.
#[must_use]
pub fn unverified_kid(token: &str) -> Option<String> {
    Parts::split(token, MAX_TOKEN_BYTES).ok()?.header.kid
}

/// `NumericDate` (RFC 7519 §2): seconds of the Unix epoch, perhaps with a fraction, which is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(pub i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        let bad = || serde::de::Error::custom("not a NumericDate");
        if let Some(secs) = number.as_i64() {
            return Ok(Self(secs));
        }
        let secs = number.as_f64().filter(|secs| secs.abs() < 1e12).ok_or_else(bad)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded above, and meant to be cut")]
        let whole = secs.floor() as i64;
        Ok(Self(whole))
    }
}

/// `aud` (RFC 7519 §4.1.3): one or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// A string.
    One(String),
    /// An array of strings.
    Several(Vec<String>),
}

impl Audience {
    /// Whether one of them is meant.
    #[must_use]
    pub fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

/// The members of a JSON object in their order; one that comes twice is refused, because two readers
/// could take different ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Members(pub Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom("a member came twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        // RFC 7638 §3.1 and RFC 9449 §6.1.
        let rsa = json!({"kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_\
                  BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0\
                  _FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWh\
                  AI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
        let ec = json!({"kty": "EC", "crv": "P-256",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"});
        for (jwk, thumbprint) in [
            (rsa, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
            (ec, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
        ] {
            assert_eq!(PublicKey::read(&jwk).unwrap().thumbprint(), thumbprint);
        }
    }

    #[test]
    fn small_keys_and_private_ones_are_no_keys() {
        let small = json!({"kty": "RSA", "e": "AQAB", "n": B64.encode([0xff; 255])});
        assert!(PublicKey::read(&small).is_err());
        let huge = json!({"kty": "RSA", "e": "AQAB", "n": B64.encode([0xff; 1025])});
        assert!(PublicKey::read(&huge).is_err());
        let padded =
            json!({"kty": "RSA", "e": "AQAB", "n": B64.encode([[0; 128], [0xff; 128]].concat())});
        assert!(PublicKey::read(&padded).is_err());
        assert!(ForeignKeys::read(&json!({"keys": [{"kty": "oct", "k": "x"}]})).is_err());
        assert!(ForeignKeys::read(&json!({"keys": [{"kty": "x", "d": null}]})).is_err());
        assert!(
            ForeignKeys::read(&json!({"keys": [{"kty": "x"}]})).is_ok_and(|keys| keys.is_empty())
        );
        assert!(ForeignKeys::read(&json!({"keys": vec![json!({"kty": "x"}); 33]})).is_err());
        assert!(ForeignKeys::read(&json!([])).is_err());
    }
}
