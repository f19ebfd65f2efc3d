//! The primitives that other rooms need, so that aws-lc-rs is touched here alone.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    constant_time, digest, hmac, rand,
};

/// A primitive refused: the system's randomness is broken, or a sealed box does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cryptographic failure")]
pub struct Failure;

/// SHA-256 over the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// SHA-256 over bytes that come bit by bit.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Sha256 {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(nibble + if nibble < 10 { b'0' } else { b'a' - 10 });
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

/// Reads 32 bytes from 64 hex digits.
#[must_use]
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A key for HMAC-SHA-256, prepared once. In a box: prepared it is large, and whatever holds several is moved
/// through every future that opens it.
#[derive(Clone)]
pub struct MacKey(Box<hmac::Key>);

impl MacKey {
    /// The key with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// HMAC-SHA-256 over the parts. Callers part variable-length fields themselves.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

/// Whether two byte strings are equal, in time that depends on their length only.
#[must_use]
pub fn is_equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Fills the buffer from the operating system's generator.
pub fn fill_random(out: &mut [u8]) -> Result<(), Failure> {
    rand::fill(out).map_err(|_| Failure)
}

/// A key that seals secrets at rest (AES-256-GCM, random nonce in front of the box).
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// The key with these 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, Failure> {
        UnboundKey::new(&AES_256_GCM, bytes)
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| Failure)
    }

    /// Seals `plain`; `context` must be given again to open it.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed,
            )
            .map_err(|_| Failure)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`SealKey::seal`] made with the same context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(Failure)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Failure)?;
        let mut body = body.to_vec();
        let plain =
            self.0.open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| Failure)?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_box_opens_only_with_its_own_context_and_untouched() -> Result<(), Failure> {
        let key = SealKey::new(&[7; 32])?;
        let mut sealed = key.seal(b"key_1", b"secret")?;
        assert_eq!(key.open(b"key_1", &sealed)?, b"secret");
        assert_eq!(key.open(b"key_2", &sealed), Err(Failure));
        if let Some(last) = sealed.last_mut() {
            *last ^= 1;
        }
        assert_eq!(key.open(b"key_1", &sealed), Err(Failure));
        assert_eq!(key.open(b"key_1", b"short"), Err(Failure));
        Ok(())
    }
}
