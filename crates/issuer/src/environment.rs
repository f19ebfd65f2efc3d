//! The clock and the randomness: the only file that asks the outside world for either.

use std::{
    sync::{
        Arc, Mutex,
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
    reserve: Arc<Mutex<Reserve>>,
}

/// Random bytes for ids, fetched many at a time: asking the system costs a microsecond, and an exchange
/// wants four ids. Secrets are never taken from here.
#[derive(Debug)]
struct Reserve {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { bytes: [0; 1024], used: 1024 }
    }
}

impl Reserve {
    /// Each byte is handed out once.
    fn take(&mut self) -> Result<u128> {
        if self.used + 16 > self.bytes.len() {
            crypto::fill_random(&mut self.bytes).map_err(|_| Error::Broken)?;
            self.used = 0;
        }
        let next = self.bytes.get(self.used..self.used + 16).ok_or(Error::Broken)?;
        self.used += 16;
        Ok(next.iter().fold(0, |bits, byte| (bits << 8) | u128::from(*byte)))
    }
}

impl Environment {
    /// With this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Ts {
        self.clock.now()
    }

    /// 128 bits for an id that sorts by time: `UUIDv7` (RFC 9562 §5.7), 74 of the bits random.
    pub fn id_bits(&self) -> Result<u128> {
        let random = self.reserve.lock().map_err(|_| Error::Broken)?.take()?;
        let millis = u128::try_from(self.now().0 / 1_000).unwrap_or_default();
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
