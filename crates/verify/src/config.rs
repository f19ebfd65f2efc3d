//! What a resource server tells its verifier.

use std::{fmt, time::Duration};

use procura_token::Algorithm;
use url::{Host, Url};

/// How a verifier is set up. [`Config::new`] fills in the defaults.
#[derive(Clone)]
pub struct Config {
    /// The issuer, byte for byte as in `iss`, without a slash at the end.
    pub issuer: String,
    /// Where the issuer is reached from here, where that is not its name: a node behind the load
    /// balancer, an address inside the cluster. Default: the issuer itself.
    pub address: Option<String>,
    /// This resource server's own identifier, byte for byte as in `aud`.
    pub audience: String,
    /// Signature algorithms that may be used at all. Default: ES256, `EdDSA`, RS256.
    pub algorithms: Vec<Algorithm>,
    /// Where clients reach this resource server, as proofs of possession (`DPoP`) name it: scheme, host
    /// and port. Default: the audience.
    pub origin: Option<String>,
    /// The resource server's client id, for the revocation feed and introspection.
    pub client_id: String,
    /// The secret that belongs to it.
    pub client_secret: String,
    /// Name of this verifier; unique among those that share the client. Default: `verifier`.
    pub name: String,
    /// Whether tokens of people from other tenants are accepted at all. Default: no.
    pub accepts_delegated: bool,
    /// Whether bearer tokens are refused, so that every request proves the key of its token (RFC 9449).
    /// Default: no.
    pub needs_proof: bool,
    /// The permissions that clients may ask for here, for [`crate::Metadata`]. Default: none are named.
    pub scopes: Vec<String>,
    /// Where revocations come from. Default: the issuer's event stream.
    pub revocations: RevocationSource,
    /// The longest lease that is taken, whatever the server offers. Default: 2 s.
    pub max_lease: Duration,
    /// How far apart two honest clocks may be, in seconds; never lengthens a token. Default: 5.
    pub leeway_secs: i64,
    /// So many verified tokens are remembered. Default: 4096.
    pub cached_tokens: usize,
    /// So many used proofs of possession are remembered, each for a minute or two. Beyond, requests with a
    /// proof get 503. Default: 65,536, which take 6 MB.
    pub used_proofs: usize,
    /// Whether an issuer that is not on this machine may be spoken to without TLS. Default: no.
    pub may_use_plain_http: bool,
}

/// Where revocations come from. Snapshots and leases come from the issuer in any case.
#[derive(Clone, Debug, Default)]
pub enum RevocationSource {
    /// The issuer's event stream.
    #[default]
    Feed,
    /// The signed copy in Redis; the event stream while that is no good.
    #[cfg(feature = "redis")]
    Redis(RedisCopy),
}

/// Where the copy of the revocation log is.
#[cfg(feature = "redis")]
#[derive(Clone)]
pub struct RedisCopy {
    /// Its URL (see `procura-redis`); may hold user and password.
    pub url: String,
    /// What the issuer's keys begin with. Default there: `procura`.
    pub prefix: String,
    /// Certificates (PEM) that TLS trusts instead of the system's.
    pub authorities: Option<Vec<u8>>,
}

#[cfg(feature = "redis")]
impl RedisCopy {
    /// The copy at this URL, under the usual prefix.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), prefix: "procura".to_owned(), authorities: None }
    }

    pub(crate) fn place(&self) -> Result<procura_redis::Place, ConfigError> {
        let address = self.url.parse().map_err(ConfigError::Redis)?;
        let place = procura_redis::Place::new(address, &self.prefix);
        Ok(place.map_err(|_| ConfigError::RedisPrefix)?.trusting(self.authorities.clone()))
    }
}

#[cfg(feature = "redis")]
impl fmt::Debug for RedisCopy {
    /// Everything but the URL, which can hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCopy").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// The verifier cannot be set up like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The issuer is no http(s) URL without query and fragment.
    #[error("the issuer is not an http or https URL")]
    Issuer,
    /// Plain http to another machine.
    #[error("the issuer must use https")]
    PlainHttp,
    /// No algorithm is allowed, so that every token would be refused.
    #[error("no signature algorithm is allowed")]
    NoAlgorithm,
    /// The copy's URL is none.
    #[cfg(feature = "redis")]
    #[error("{0}")]
    Redis(procura_redis::BadAddress),
    /// The copy's prefix is none.
    #[cfg(feature = "redis")]
    #[error("the prefix of the copy in Redis is not 1 to 64 of A-Z a-z 0-9 . _ - :")]
    RedisPrefix,
    /// The HTTP client or the system's random numbers do not work.
    #[error("the HTTP client or the random generator cannot be started")]
    System,
}

impl Config {
    /// A verifier for this audience with all defaults.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, client_id: &str, client_secret: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            address: None,
            audience: audience.to_owned(),
            origin: None,
            algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256],
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            name: "verifier".to_owned(),
            accepts_delegated: false,
            needs_proof: false,
            scopes: Vec::new(),
            revocations: RevocationSource::Feed,
            max_lease: Duration::from_secs(2),
            leeway_secs: 5,
            cached_tokens: 4096,
            used_proofs: 65_536,
            may_use_plain_http: false,
        }
    }

    /// The root of every request to the issuer.
    pub(crate) fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(&self.issuer)
    }

    /// Checks what can be checked without the network. Answers whether the issuer is reached on this
    /// machine.
    pub(crate) fn check(&self) -> Result<bool, ConfigError> {
        self.check_url(&self.issuer)?;
        if self.algorithms.is_empty() {
            return Err(ConfigError::NoAlgorithm);
        }
        self.check_url(self.address())
    }

    fn check_url(&self, text: &str) -> Result<bool, ConfigError> {
        let url = Url::parse(text).map_err(|_| ConfigError::Issuer)?;
        let is_plain = url.scheme() == "http";
        let is_web = is_plain || url.scheme() == "https";
        if !is_web || url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigError::Issuer);
        }
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if is_plain && !is_loopback && !self.may_use_plain_http {
            return Err(ConfigError::PlainHttp);
        }
        Ok(is_loopback)
    }
}

impl fmt::Debug for Config {
    /// Everything but the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("client_id", &self.client_id)
            .field("name", &self.name)
            .field("accepts_delegated", &self.accepts_delegated)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(issuer: &str) -> Result<bool, ConfigError> {
        Config::new(issuer, "https://api.example.com", "cli_api", "secret").check()
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert_eq!(check("http://127.0.0.1:5000"), Ok(true));
        assert_eq!(check("http://[::1]:5000"), Ok(true));
        assert_eq!(check("http://localhost:5000"), Ok(true));
        assert_eq!(check("https://auth.example.com"), Ok(false));
        assert_eq!(check("http://auth.example.com"), Err(ConfigError::PlainHttp));
        assert_eq!(check("http://127.0.0.1.example.com"), Err(ConfigError::PlainHttp));
    }

    #[test]
    fn an_issuer_is_a_web_address_without_query_and_fragment() {
        for bad in ["", "auth.example.com", "ftp://a", "https://a/?q", "https://a/#f"] {
            assert_eq!(check(bad), Err(ConfigError::Issuer), "{bad}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let config = Config::new("https://a", "https://b", "cli_api", "hush-hush");
        assert!(!format!("{config:?}").contains("hush"));
    }
}
