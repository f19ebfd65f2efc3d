//! The sections about the edge of the server: how it is reached over TLS, and whom it calls.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// TLS of the public listener. Without these files it speaks plain HTTP, for a proxy in front.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those between it and its authority (PEM), in this order.
    pub certificate: PathBuf,
    /// Its private key (PEM), readable by nobody else.
    pub key: PathBuf,
}

impl Tls {
    /// Whether the listener speaks TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.certificate != Path::new("")
    }

    /// Why these settings cannot be used.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let is_half = self.is_on() != (self.key != Path::new(""));
        is_half.then_some("tls.certificate and tls.key need each other")
    }

    /// As a file would say it.
    pub(super) fn to_toml(&self) -> String {
        format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\n\n",
            self.certificate.display().to_string(),
            self.key.display().to_string(),
        )
    }
}

/// How what clients registered is called: their keys, back-channel logouts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// Networks that may be called although they are not public, such as `10.0.0.0/8`.
    pub allow: Vec<String>,
    /// Whether http is called too, in those networks alone: for tests and development.
    pub allow_http: bool,
    /// Certificates (PEM) that TLS trusts besides the system's; empty: none.
    pub ca_file: PathBuf,
    /// Looking a name up, connecting and TLS take no longer.
    pub connect_timeout_ms: u64,
    /// A call takes no longer.
    pub timeout_ms: u64,
    /// The largest answer that is read.
    pub max_bytes: usize,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_http: false,
            ca_file: PathBuf::new(),
            connect_timeout_ms: 3000,
            timeout_ms: 5000,
            max_bytes: 256 * 1024,
        }
    }
}

impl Outbound {
    /// Why these settings cannot be used.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if !(1..=30_000).contains(&self.timeout_ms) {
            return Some("outbound.timeout_ms must be from 1 to 30000");
        }
        if !(1..=self.timeout_ms).contains(&self.connect_timeout_ms) {
            return Some("outbound.connect_timeout_ms must be from 1 to outbound.timeout_ms");
        }
        if !(1024..=16 * 1024 * 1024).contains(&self.max_bytes) {
            return Some("outbound.max_bytes must be from 1024 to 16777216");
        }
        (self.allow_http && self.allow.is_empty())
            .then_some("outbound.allow_http needs outbound.allow: http is for those networks alone")
    }

    /// As a file would say it.
    pub(super) fn to_toml(&self) -> String {
        format!(
            "[outbound]\nallow = {:?}\nallow_http = {:?}\nca_file = {:?}\n\
             connect_timeout_ms = {}\ntimeout_ms = {}\nmax_bytes = {}\n\n",
            self.allow,
            self.allow_http,
            self.ca_file.display().to_string(),
            self.connect_timeout_ms,
            self.timeout_ms,
            self.max_bytes,
        )
    }
}
