//! Signing. josekit frames the JWS and asks its `JwsSigner` for the signature; ours makes it with
//! aws-lc-rs, from a key pair that was loaded once.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaKeyPair,
    },
};
use josekit::{
    JoseError,
    jws::{self, JwsAlgorithm, JwsHeader, JwsSigner},
};
use serde::Serialize;

use crate::{
    crypto::Failure,
    ids::KeyId,
    jwk::{Algorithm, Jwk},
};

#[derive(Clone)]
enum Pair {
    Ecdsa(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
    Rsa(Arc<RsaKeyPair>),
}

/// A private key, its id and its one algorithm.
#[derive(Clone)]
pub struct SigningKey {
    kid: KeyId,
    kid_text: String,
    alg: Algorithm,
    pair: Pair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.kid, self.alg)
    }
}

impl SigningKey {
    /// Makes a new key pair; answers its PKCS #8 form, to be sealed and stored.
    pub fn generate(alg: Algorithm) -> Result<Vec<u8>, Failure> {
        Ok(match alg {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|pair| pair.to_pkcs8v1())
                .map_err(|_| Failure)?
                .as_ref()
                .to_vec(),
            Algorithm::EdDsa => Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map_err(|_| Failure)?
                .as_ref()
                .to_vec(),
            Algorithm::Rs256 | Algorithm::Ps256 => RsaKeyPair::generate(KeySize::Rsa2048)
                .and_then(|pair| pair.as_der())
                .map_err(|_| Failure)?
                .as_ref()
                .to_vec(),
        })
    }

    /// Loads a key pair from PKCS #8.
    pub fn load(kid: KeyId, alg: Algorithm, pkcs8: &[u8]) -> Result<Self, Failure> {
        let pair = match alg {
            Algorithm::Es256 => Pair::Ecdsa(Arc::new(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(|_| Failure)?,
            )),
            Algorithm::EdDsa => {
                Pair::Ed25519(Arc::new(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| Failure)?))
            }
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(Arc::new(RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| Failure)?))
            }
        };
        Ok(Self { kid, kid_text: kid.to_string(), alg, pair })
    }

    /// The key's id.
    #[must_use]
    pub const fn kid(&self) -> KeyId {
        self.kid
    }

    /// The key's algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.alg
    }

    /// The public half.
    pub fn public(&self) -> Result<Jwk, Failure> {
        let kid = self.kid_text.clone();
        match &self.pair {
            Pair::Ecdsa(pair) => Jwk::es256(kid, pair.public_key().as_ref()).ok_or(Failure),
            Pair::Ed25519(pair) => Ok(Jwk::ed25519(kid, pair.public_key().as_ref())),
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let n = key.modulus();
                let e = key.exponent();
                Ok(Jwk::rsa(
                    kid,
                    self.alg,
                    n.big_endian_without_leading_zero(),
                    e.big_endian_without_leading_zero(),
                ))
            }
        }
    }

    /// Signs the claims as a compact JWS with this `typ`.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, Failure> {
        let mut payload = Vec::with_capacity(1024);
        serde_json::to_writer(&mut payload, claims).map_err(|_| Failure)?;
        let mut header = JwsHeader::new();
        header.set_token_type(typ);
        jws::serialize_compact(&payload, &header, self).map_err(|_| Failure)
    }
}

impl JwsSigner for SigningKey {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        match self.alg {
            Algorithm::Es256 => &jws::ES256,
            Algorithm::EdDsa => &jws::EdDSA,
            Algorithm::Rs256 => &jws::RS256,
            Algorithm::Ps256 => &jws::PS256,
        }
    }

    fn key_id(&self) -> Option<&str> {
        Some(&self.kid_text)
    }

    fn signature_len(&self) -> usize {
        match &self.pair {
            Pair::Ecdsa(_) | Pair::Ed25519(_) => 64,
            Pair::Rsa(pair) => pair.public_modulus_len(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let failed =
            |_| JoseError::InvalidSignature(std::io::Error::other("signing failed").into());
        let rng = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => {
                pair.sign(&rng, message).map(|s| s.as_ref().to_vec()).map_err(failed)
            }
            Pair::Ed25519(pair) => {
                pair.try_sign(message).map(|s| s.as_ref().to_vec()).map_err(failed)
            }
            Pair::Rsa(pair) => {
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if self.alg == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &rng, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}
