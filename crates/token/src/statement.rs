//! A revocation as the issuer signs it, for copies that others could write into. The event stream
//! needs none of this: it comes from the issuer itself.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    jwk::{Algorithm, KeySet},
    jws::{self, Rejection},
    revocation::{KeyHash, Seq},
};

/// `typ` of a signed revocation. Another one than that of every other thing that the same key signs,
/// so that nothing can be taken for it (RFC 8725 §3.11).
pub const STATEMENT_TYPE: &str = "revocation+jwt";

/// "Every token of mine with this key and an `rvs` below `s` is dead." Says also what came before, so
/// that a statement that was left out is missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The issuer.
    pub iss: String,
    /// The kind of key.
    pub k: String,
    /// The blinded key.
    pub h: KeyHash,
    /// The position.
    pub s: Seq,
    /// The head before it.
    pub p: Seq,
    /// Unix second from which it can kill nothing any more.
    pub x: i64,
}

impl Statement {
    /// Verifies a signed statement of this issuer. It has no end: an old one kills nothing new, and
    /// adds nothing to a view that has it.
    pub fn verify(
        signed: &str,
        issuer: &str,
        keys: &KeySet,
        allowed: &[Algorithm],
    ) -> Result<Self, Rejection> {
        let signed = jws::verify(signed, STATEMENT_TYPE, keys, allowed)?;
        let statement: Self =
            serde_json::from_slice(&signed.payload).map_err(|_| Rejection::Malformed)?;
        if statement.iss != issuer {
            return Err(Rejection::Issuer);
        }
        // A log only goes forward; a statement that says otherwise is none.
        if statement.p >= statement.s || statement.p.0 < 0 {
            return Err(Rejection::Incoherent);
        }
        Ok(statement)
    }

    /// What it says, whoever signed it: to be compared with what is known, never to be believed.
    #[must_use]
    pub fn claimed(signed: &str) -> Option<Self> {
        let payload = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}
