//! Public keys: JWK and JWK Set (RFC 7517) on the wire, [`KeySet`] ready to verify.

use std::{collections::HashMap, fmt, str::FromStr};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::{Deserialize, Serialize};

use crate::revocation::{Key, KeyHash};

/// A signature algorithm (RFC 7518, RFC 8037). There is no `none` and no HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
}

impl Algorithm {
    /// The name in `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        [Self::Es256, Self::EdDsa, Self::Rs256, Self::Ps256]
            .into_iter()
            .find(|alg| alg.name() == text)
            .ok_or(BadKey)
    }
}

/// The JWK is not a public key that we can verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable public key")]
pub struct BadKey;

/// One public key. There is no member for a private part, so none can be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Key type: `EC`, `OKP` or `RSA`.
    pub kty: String,
    /// Key id.
    pub kid: String,
    /// The one algorithm that this key is for.
    pub alg: Algorithm,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Curve.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crv: Option<String>,
    /// Coordinate, or the whole Ed25519 key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub x: Option<String>,
    /// Coordinate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub y: Option<String>,
    /// RSA modulus.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n: Option<String>,
    /// RSA exponent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub e: Option<String>,
}

/// A JWK Set as the issuer publishes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwk {
    /// From an uncompressed P-256 point (65 bytes, 0x04 first).
    #[must_use]
    pub fn es256(kid: String, point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        Some(Self {
            crv: Some("P-256".into()),
            x: Some(B64.encode(x)),
            y: Some(B64.encode(y)),
            ..Self::bare("EC", kid, Algorithm::Es256)
        })
    }

    /// From the 32 bytes of an Ed25519 public key.
    #[must_use]
    pub fn ed25519(kid: String, key: &[u8]) -> Self {
        Self {
            crv: Some("Ed25519".into()),
            x: Some(B64.encode(key)),
            ..Self::bare("OKP", kid, Algorithm::EdDsa)
        }
    }

    /// From modulus and exponent, big endian without leading zeros.
    #[must_use]
    pub fn rsa(kid: String, alg: Algorithm, n: &[u8], e: &[u8]) -> Self {
        Self { n: Some(B64.encode(n)), e: Some(B64.encode(e)), ..Self::bare("RSA", kid, alg) }
    }

    fn bare(kty: &str, kid: String, alg: Algorithm) -> Self {
        Self {
            kty: kty.into(),
            kid,
            alg,
            usage: "sig".into(),
            crv: None,
            x: None,
            y: None,
            n: None,
            e: None,
        }
    }

    pub(crate) fn parse(&self) -> Result<ParsedPublicKey, BadKey> {
        let part = |text: &Option<String>| {
            B64.decode(text.as_deref().unwrap_or_default()).map_err(|_| BadKey)
        };
        let is_curve = |name: &str| self.crv.as_deref() == Some(name);
        let parse = |alg: &'static dyn VerificationAlgorithm, bytes: Vec<u8>| {
            ParsedPublicKey::new(alg, bytes).map_err(|_| BadKey)
        };
        match (self.alg, self.kty.as_str()) {
            (Algorithm::Es256, "EC") if is_curve("P-256") => {
                let (x, y) = (part(&self.x)?, part(&self.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(BadKey);
                }
                parse(&ECDSA_P256_SHA256_FIXED, [[4].as_slice(), &x, &y].concat())
            }
            (Algorithm::EdDsa, "OKP") if is_curve("Ed25519") => parse(&ED25519, part(&self.x)?),
            (Algorithm::Rs256 | Algorithm::Ps256, "RSA") => {
                let (n, e) = (part(&self.n)?, part(&self.e)?);
                let alg: &'static _ = if self.alg == Algorithm::Rs256 {
                    &RSA_PKCS1_2048_8192_SHA256
                } else {
                    &RSA_PSS_2048_8192_SHA256
                };
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(alg).map_err(|_| BadKey)
            }
            _ => Err(BadKey),
        }
    }
}

/// Keys ready to verify with, found by `kid`. Each key has one algorithm.
#[derive(Default)]
pub struct KeySet(HashMap<String, (Algorithm, ParsedPublicKey)>);

impl KeySet {
    /// Reads a JWK Set. Keys that cannot be used are left out: a set may carry keys for others.
    /// Two keys with one `kid` make the set ambiguous and are refused.
    pub fn new(jwks: &Jwks) -> Result<Self, BadKey> {
        let mut keys = HashMap::new();
        for jwk in jwks.keys.iter().filter(|jwk| jwk.usage == "sig") {
            let Ok(key) = jwk.parse() else { continue };
            if keys.insert(jwk.kid.clone(), (jwk.alg, key)).is_some() {
                return Err(BadKey);
            }
        }
        Ok(Self(keys))
    }

    /// Reads a JWK Set from JSON in which single keys may be of unknown kinds.
    pub fn from_json(json: &[u8]) -> Result<Self, BadKey> {
        #[derive(Deserialize)]
        struct Loose {
            keys: Vec<serde_json::Value>,
        }
        let loose: Loose = serde_json::from_slice(json).map_err(|_| BadKey)?;
        let keys = loose.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Self::new(&Jwks { keys: keys.collect() })
    }

    /// Whether a key with this id is here.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// The keys without those whose blinded ids are named; `None` where none of them is here.
    #[must_use]
    pub fn without(&self, dead: &[KeyHash]) -> Option<Self> {
        let is_dead = |kid: &str| dead.contains(&Key::SigningKey(kid).hash());
        let kept: HashMap<_, _> = self
            .0
            .iter()
            .filter(|(kid, _)| !is_dead(kid))
            .map(|(kid, key)| (kid.clone(), key.clone()))
            .collect();
        (kept.len() < self.0.len()).then_some(Self(kept))
    }

    /// How many keys are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, kid: &str) -> Option<&(Algorithm, ParsedPublicKey)> {
        self.0.get(kid)
    }
}
