//! How a deployment differs from the usual: what it allows, whom it trusts, how long it waits.

use std::time::Duration;

use reqwest::Certificate;

use crate::addresses::Addresses;

/// Why settings cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A network is none.
    #[error("not a network such as 10.0.0.0/8")]
    Network,
    /// There is no certificate in it.
    #[error("no certificates in PEM")]
    Certificates,
}

/// How calls are made.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) addresses: Addresses,
    pub(crate) authorities: Vec<Certificate>,
    /// Whether http is called too, at allowed addresses alone: for tests and development.
    pub allows_http: bool,
    /// Looking the name up, connecting and TLS take no longer.
    pub connect_within: Duration,
    /// A call takes no longer, with its wait for a turn.
    pub answer_within: Duration,
    /// The largest answer that is read.
    pub max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: Addresses::default(),
            authorities: Vec::new(),
            allows_http: false,
            connect_within: Duration::from_secs(3),
            answer_within: Duration::from_secs(5),
            max_bytes: 256 * 1024,
        }
    }
}

impl Settings {
    /// These networks may be called although they are not public: `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn allowing(self, networks: &[String]) -> Result<Self, Unusable> {
        let addresses = Addresses::and(networks).ok_or(Unusable::Network)?;
        Ok(Self { addresses, ..self })
    }

    /// These certificate authorities (PEM) are trusted besides those of the system.
    pub fn trusting(self, pem: &[u8]) -> Result<Self, Unusable> {
        let read = Certificate::from_pem_bundle(pem).map_err(|_| Unusable::Certificates)?;
        if read.is_empty() {
            return Err(Unusable::Certificates);
        }
        Ok(Self { authorities: read, ..self })
    }
}
