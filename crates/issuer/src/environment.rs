//! The clock and the randomness: the only file that asks the outside world for either.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use procura_token::{Ts, crypto};

use crate::{Error, Result};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test moves; microseconds since the Unix epoch.
    Moved(Arc<AtomicI64>),
}

impl Clock {
    /// Now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's clock is read"
    )]
    pub fn now(&self) -> Ts {
        match self {
            Self::Moved(at) => Ts(at.load(Ordering::SeqCst)),
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Ts(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// What the verbs may ask of the outside world.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    clock: Clock,
}

impl Environment {
    /// With this clock.
    #[must_use]
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Ts {
        self.clock.now()
    }

    /// 128 bits for an id that sorts by time: `UUIDv7` (RFC 9562 §5.7), 74 of the bits random.
    pub fn id_bits(&self) -> Result<u128> {
        let mut random = [0; 16];
        crypto::fill_random(&mut random).map_err(|_| Error::Broken)?;
        let millis = u128::try_from(self.now().0 / 1_000).unwrap_or_default();
        let random = u128::from_be_bytes(random);
        let tail = random & ((1 << 80) - 1);
        let versioned = (tail & !(0xf << 76) & !(0b11 << 62)) | (0x7 << 76) | (0b10 << 62);
        Ok((millis << 80) | versioned)
    }

    /// A secret of 256 random bits in 43 characters of base64url.
    pub fn secret(&self) -> Result<String> {
        let mut random = [0; 32];
        crypto::fill_random(&mut random).map_err(|_| Error::Broken)?;
        Ok(B64.encode(random))
    }
}

/// How one-time values and cookies are stored: SHA-256 in hex. They are random enough that a keyed or
/// slow hash would add nothing.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    crypto::hex(&crypto::sha256(&[secret.as_bytes()]))
}
