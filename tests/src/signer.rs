//! A key pair of a client, and what it signs. Written from the standards and not from the product: what
//! is wrong here would be wrong there too, otherwise.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    digest, rand,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

/// A key pair with a `kid`.
pub struct Signer {
    kid: String,
    alg: &'static str,
    pair: Pair,
}

impl Signer {
    /// A new pair for `ES256`, `EdDSA`, `PS256` or `RS256`.
    pub fn new(alg: &'static str) -> Self {
        let pair = match alg {
            "ES256" => {
                Pair::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
            }
            "EdDSA" => Pair::EdDsa(Ed25519KeyPair::generate().unwrap()),
            "PS256" => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), &RSA_PSS_SHA256),
            "RS256" => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap(), &RSA_PKCS1_SHA256)
            }
            _ => panic!("no algorithm of ours: {alg}"),
        };
        Self { kid: unique(), alg, pair }
    }

    /// Its algorithm.
    pub fn alg(&self) -> &'static str {
        self.alg
    }

    /// The members that make up the public key, in the order of their names.
    fn bare(&self) -> Value {
        match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"crv": "P-256", "kty": "EC", "x": B64.encode(&point[1..33]),
                    "y": B64.encode(&point[33..])})
            }
            Pair::EdDsa(pair) => {
                json!({"crv": "Ed25519", "kty": "OKP", "x": B64.encode(pair.public_key())})
            }
            Pair::Rsa(pair, _) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({"e": B64.encode(e.big_endian_without_leading_zero()), "kty": "RSA",
                    "n": B64.encode(n.big_endian_without_leading_zero())})
            }
        }
    }

    /// The public key as a JWK with `kid`, `alg` and `use`.
    pub fn jwk(&self) -> Value {
        let more = json!({"kid": self.kid, "alg": self.alg, "use": "sig"});
        merged(&self.bare(), &more)
    }

    /// The thumbprint (RFC 7638): those members without white space.
    pub fn thumbprint(&self) -> String {
        B64.encode(digest::digest(&digest::SHA256, self.bare().to_string().as_bytes()))
    }

    /// A JWS of any header and payload, with a signature that fits.
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        let text =
            format!("{}.{}", B64.encode(header.to_string()), B64.encode(payload.to_string()));
        let rng = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(&rng, text.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &rng, text.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{text}.{}", B64.encode(signature))
    }

    /// A JWT with the usual header and these claims; `null` leaves a member out.
    pub fn jwt(&self, header: &Value, claims: &Value) -> String {
        let usual = json!({"alg": self.alg, "kid": self.kid});
        self.sign(&merged(&usual, header), &merged(&json!({}), claims))
    }

    /// An assertion of a client (RFC 7523) with these claims instead of the usual ones.
    pub fn assertion(&self, client: &str, audience: &str, other: &Value) -> String {
        let usual = json!({"iss": client, "sub": client, "aud": audience, "jti": unique(),
            "iat": now(), "exp": now() + 60});
        self.jwt(&json!({}), &merged(&usual, other))
    }

    /// A proof of possession (RFC 9449) with these claims instead of the usual ones.
    pub fn proof(&self, method: &str, uri: &str, other: &Value) -> String {
        self.proof_with(&json!({}), &merged(&proof_claims(method, uri), other))
    }

    /// A proof for the use of an access token.
    pub fn proof_for(&self, method: &str, uri: &str, token: &str) -> String {
        self.proof(method, uri, &json!({"ath": token_hash(token)}))
    }

    /// A proof with these claims, and these members of the header instead of the usual ones.
    pub fn proof_with(&self, header: &Value, claims: &Value) -> String {
        let usual = json!({"typ": "dpop+jwt", "alg": self.alg, "jwk": self.bare()});
        self.sign(&merged(&usual, header), &merged(&json!({}), claims))
    }
}

/// The usual claims of a proof.
pub fn proof_claims(method: &str, uri: &str) -> Value {
    json!({"jti": unique(), "htm": method, "htu": uri, "iat": now()})
}

/// `ath` of a token.
pub fn token_hash(token: &str) -> String {
    B64.encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

/// The members of both, where the second one wins; what it has as `null` is left out.
pub fn merged(one: &Value, other: &Value) -> Value {
    let mut all = one.as_object().expect("an object").clone();
    for (name, value) in other.as_object().expect("an object") {
        all.remove(name);
        if !value.is_null() {
            all.insert(name.clone(), value.clone());
        }
    }
    Value::Object(all)
}

/// A text that nobody has used before.
pub fn unique() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("randomness");
    B64.encode(bytes)
}

/// Seconds of the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a client has a clock of its own")]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("before the end of time")
}
