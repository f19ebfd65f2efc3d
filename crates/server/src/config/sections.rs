//! The sections of the configuration, with their defaults.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use procura_issuer::rotation::Plan;
use serde::Deserialize;

use crate::failure::Failure;

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The issuer; empty: `http://` and the address listened on, for loopback only.
    pub issuer: String,
    /// The folder for the database and the keys.
    pub data: PathBuf,
    /// Networks whose machines are proxies of this deployment, such as `10.0.0.0/8`. Only from them is
    /// it believed on whose behalf they ask.
    pub trusted_proxies: Vec<String>,
    /// The header in which they say so: `x-forwarded-for` or `forwarded` (RFC 7239). The other one is
    /// never read: a proxy that does not know it passes on what its client made up.
    pub client_address_header: String,
}

/// How much the server takes on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Open connections; new ones wait until one of them ends.
    pub max_connections: usize,
    /// A connection to which nothing was sent for so many seconds is closed.
    pub idle_secs: u64,
    /// So many failures of strangers at one address (one /64 in IPv6) are answered and recorded one by
    /// one in a minute; the rest is refused at once and recorded in one entry.
    pub unauthenticated_failures_per_minute: u32,
}

/// The private listener, for who runs the deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Its address; empty: none.
    pub listen: String,
}

impl Metrics {
    /// The address, where there is to be a listener.
    pub fn address(&self) -> Result<Option<SocketAddr>, Failure> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let parsed = self.listen.parse().map(Some);
        parsed.map_err(|error| Failure::of("metrics.listen", error))
    }
}

/// Where it remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// The URL of a Postgres database; empty: SQLite in the data folder.
    pub url: Hidden,
    /// A file that holds the URL.
    pub url_file: PathBuf,
}

/// How long things live, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Home tokens.
    pub home_ttl_secs: i64,
    /// Delegated tokens; at most 900.
    pub delegated_ttl_secs: i64,
    /// Login sessions.
    pub session_ttl_secs: i64,
    /// Whether proofs of possession (DPoP) must carry a nonce of the server's where tokens are asked for.
    pub is_dpop_nonce_required: bool,
    /// Refresh tokens, from the login on.
    pub refresh_ttl_secs: i64,
    /// Refresh tokens, from their last use on.
    pub refresh_idle_secs: i64,
}

/// What signs and seals.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The file with the master key; empty: `keys/master.key` in the data folder, made at the first
    /// start.
    pub master_key_file: PathBuf,
    /// The master key itself, 64 hex digits; from the environment only.
    pub master_key: Hidden,
    /// A signing key is published for so long before it signs; at least `jwks_max_age_secs`.
    pub publish_ahead_secs: i64,
    /// A signing key signs for so long.
    pub rotate_after_secs: i64,
    /// `Cache-Control` of the public keys.
    pub jwks_max_age_secs: i64,
}

/// Where the copy of the revocation list is. Without a URL there is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// The URL; may hold user and password.
    pub url: String,
    /// A file that holds the URL, instead of it; empty: none.
    pub url_file: PathBuf,
    /// What our keys begin with.
    pub prefix: String,
    /// The certificates (PEM) that TLS trusts, instead of the system's; empty: the system's.
    pub ca_file: PathBuf,
}

/// A setting that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"(hidden)\"" })
    }
}

/// What it says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A `tracing` filter, such as `info` or `procura_issuer=debug,warn`.
    pub filter: String,
    /// `auto` (for people on a terminal, JSON elsewhere), `json` or `text`.
    pub format: String,
}

/// Traces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// The collector (OTLP over HTTP), such as `http://127.0.0.1:4318`; empty: no traces.
    pub otlp_endpoint: String,
    /// So many of a hundred traces that begin here are sent; a caller's own trace as it decided.
    pub sample_percent: u8,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), sample_percent: 100 }
    }
}

impl Telemetry {
    /// Where spans go to, if anywhere.
    pub fn traces_url(&self) -> Result<Option<url::Url>, Failure> {
        if self.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let what = "telemetry.otlp_endpoint";
        let mut url =
            url::Url::parse(&self.otlp_endpoint).map_err(|error| Failure::of(what, error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::of(what, "not an http or https URL"));
        }
        if url.path() == "/" {
            url.set_path("/v1/traces");
        }
        Ok(Some(url))
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            issuer: String::new(),
            data: PathBuf::from("procura-data"),
            trusted_proxies: Vec::new(),
            client_address_header: "x-forwarded-for".to_owned(),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_connections: 4096, idle_secs: 75, unauthenticated_failures_per_minute: 60 }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            home_ttl_secs: 600,
            delegated_ttl_secs: 300,
            session_ttl_secs: 8 * 3600,
            is_dpop_nonce_required: false,
            refresh_ttl_secs: 30 * 86_400,
            refresh_idle_secs: 7 * 86_400,
        }
    }
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: String::new(),
            url_file: PathBuf::new(),
            prefix: "procura".to_owned(),
            ca_file: PathBuf::new(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        let Plan { publish_ahead_secs, rotate_after_secs, jwks_max_age_secs } = Plan::default();
        Self {
            master_key_file: PathBuf::new(),
            master_key: Hidden::default(),
            publish_ahead_secs,
            rotate_after_secs,
            jwks_max_age_secs,
        }
    }
}

impl Keys {
    /// How long signing keys live.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        Plan {
            publish_ahead_secs: self.publish_ahead_secs,
            rotate_after_secs: self.rotate_after_secs,
            jwks_max_age_secs: self.jwks_max_age_secs,
        }
    }

    /// Why these settings cannot be used.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if !(1..=86_400).contains(&self.jwks_max_age_secs) {
            return Some("keys.jwks_max_age_secs must be from 1 to 86400");
        }
        // Whoever fetched the keys a moment ago must know a key before it signs.
        if !(self.jwks_max_age_secs..=30 * 86_400).contains(&self.publish_ahead_secs) {
            return Some("keys.publish_ahead_secs must be from keys.jwks_max_age_secs to 2592000");
        }
        if !(self.publish_ahead_secs..=400 * 86_400).contains(&self.rotate_after_secs) {
            return Some("keys.rotate_after_secs must be from keys.publish_ahead_secs to 34560000");
        }
        let has_file = !self.master_key_file.as_os_str().is_empty();
        (has_file && !self.master_key.0.is_empty())
            .then_some("keys.master_key and keys.master_key_file are both set")
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info,sqlx=warn".to_owned(), format: "auto".to_owned() }
    }
}
