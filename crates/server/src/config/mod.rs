//! Configuration: a TOML file, then `PROCURA__SECTION__KEY` from the environment. Unknown keys are
//! refused. Every setting has a default, so that no file is needed at all.

mod edge;
mod quotas;
mod rate_limits;
mod registration;
mod sections;

use std::path::Path;

use procura_domain::Limits;
use serde::Deserialize;

pub use edge::{Outbound, Tls};
pub use quotas::DefaultQuotas;
pub use rate_limits::RateLimits;
pub use registration::Registration;
pub use sections::{Bounds, Database, Keys, Log, Metrics, Redis, Server, Telemetry, Tokens};

use crate::{failure::Failure, outbound, proxies::Proxies, relay, tls};

const MASTER_KEY_VARIABLE: &str = "PROCURA__KEYS__MASTER_KEY";

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the server is.
    pub server: Server,
    /// Where it remembers.
    pub database: Database,
    /// How long things live.
    pub tokens: Tokens,
    /// How much it takes on.
    pub limits: Bounds,
    /// The private listener.
    pub metrics: Metrics,
    /// Traces.
    pub telemetry: Telemetry,
    /// What signs and seals.
    pub keys: Keys,
    /// Where the copy of the revocation list is.
    pub redis: Redis,
    /// TLS of the public listener.
    pub tls: Tls,
    /// How what clients registered is called.
    pub outbound: Outbound,
    /// How software may register itself.
    pub registration: Registration,
    /// How much one caller may ask for.
    pub rate_limits: RateLimits,
    /// How much a tenant may have that has no quotas of its own.
    pub quotas: DefaultQuotas,
    /// What it says about itself.
    pub log: Log,
}

impl Config {
    /// Reads the file, if there is one, and the environment over it.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            let source = config::File::from(file).format(config::FileFormat::Toml);
            refuse_secrets_in(source.clone())?;
            builder = builder.add_source(source);
        }
        let environment = config::Environment::with_prefix("PROCURA")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("server.trusted_proxies")
            .with_list_parse_key("outbound.allow")
            .with_list_parse_key("registration.profiles")
            .with_list_parse_key("registration.auth_methods")
            .with_list_parse_key("registration.grant_types");
        builder = builder.add_source(environment);
        // As it stands there: 64 digits can look like a number.
        if let Ok(key) = std::env::var(MASTER_KEY_VARIABLE) {
            builder = builder
                .set_override("keys.master_key", key)
                .map_err(|error| Failure::of(MASTER_KEY_VARIABLE, error))?;
        }
        builder
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| Failure::of("the configuration cannot be read", error))
    }

    /// Whether the values make sense together.
    pub fn check(&self) -> Result<(), Failure> {
        let refuse = |what: &str| Err(Failure(format!("the configuration cannot be used: {what}")));
        let issuer = &self.server.issuer;
        if issuer.is_empty() {
            if !self.server.listen.ip().is_loopback() {
                return refuse("server.issuer must be set where others can reach the listener");
            }
        } else if !is_issuer(issuer) {
            return refuse(
                "server.issuer must be an https URL without a slash at the end, query or \
                           fragment (http for loopback only)",
            );
        }
        if !self.database.url.0.is_empty() && self.database.url_file != Path::new("") {
            return refuse("database.url and database.url_file exclude each other");
        }
        let Tokens { home_ttl_secs, delegated_ttl_secs, session_ttl_secs, .. } = self.tokens;
        if !(1..=Limits::MAX_TTL_SECS).contains(&delegated_ttl_secs) {
            return refuse("tokens.delegated_ttl_secs must be from 1 to 900");
        }
        // Entries of the revocation log live 20 minutes: no token may outlive what can kill it.
        if !(1..=900).contains(&home_ttl_secs) {
            return refuse("tokens.home_ttl_secs must be from 1 to 900");
        }
        if !(60..=7 * 24 * 3600).contains(&session_ttl_secs) {
            return refuse("tokens.session_ttl_secs must be from 60 to 604800");
        }
        if !(60..=400 * 86_400).contains(&self.tokens.refresh_ttl_secs) {
            return refuse("tokens.refresh_ttl_secs must be from 60 to 34560000");
        }
        if !(60..=self.tokens.refresh_ttl_secs).contains(&self.tokens.refresh_idle_secs) {
            return refuse("tokens.refresh_idle_secs must be from 60 to tokens.refresh_ttl_secs");
        }
        if let Some(fault) = self.keys.fault() {
            return refuse(fault);
        }
        if !self.redis.url.is_empty() && !self.redis.url_file.as_os_str().is_empty() {
            return refuse("redis.url and redis.url_file are two answers to one question");
        }
        relay::place(&self.redis)?;
        if let Some(fault) = self.tls.fault().or_else(|| self.outbound.fault()) {
            return refuse(fault);
        }
        if let Some(fault) = self.registration.fault().or_else(|| self.rate_limits.fault()) {
            return refuse(fault);
        }
        if let Some(fault) = self.quotas.fault() {
            return refuse(fault);
        }
        tls::Tls::open(&self.tls)?;
        outbound::settings(&self.outbound)?;
        if !matches!(self.log.format.as_str(), "auto" | "json" | "text") {
            return refuse("log.format must be auto, json or text");
        }
        Proxies::new(&self.server)?;
        self.telemetry.traces_url()?;
        if self.telemetry.sample_percent > 100 {
            return refuse("telemetry.sample_percent must be from 0 to 100");
        }
        self.check_bounds().map_or_else(|| self.check_listeners(), refuse)
    }

    /// What is wrong with the limits.
    fn check_bounds(&self) -> Option<&'static str> {
        let Bounds { max_connections, idle_secs, unauthenticated_failures_per_minute } =
            self.limits;
        if !(1..=100_000).contains(&max_connections) {
            return Some("limits.max_connections must be from 1 to 100000");
        }
        if !(1..=3600).contains(&idle_secs) {
            return Some("limits.idle_secs must be from 1 to 3600");
        }
        if !(1..=100_000).contains(&unauthenticated_failures_per_minute) {
            return Some("limits.unauthenticated_failures_per_minute must be from 1 to 100000");
        }
        None
    }

    /// Metrics are not for strangers: the private listener has an address of its own.
    fn check_listeners(&self) -> Result<(), Failure> {
        let Some(private) = self.metrics.address()? else { return Ok(()) };
        let public = self.server.listen;
        let is_same_ip = private.ip() == public.ip()
            || private.ip().is_unspecified()
            || public.ip().is_unspecified();
        if is_same_ip && private.port() == public.port() && private.port() != 0 {
            return Err(Failure(
                "the configuration cannot be used: metrics.listen must differ from server.listen"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// As a file would say it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        format!(
            "[server]\nlisten = {:?}\nissuer = {:?}\ndata = {:?}\ntrusted_proxies = {:?}\n\
             client_address_header = {:?}\n\n\
             [database]\nurl = {:?}\nurl_file = {:?}\n\n\
             [tokens]\nhome_ttl_secs = {}\ndelegated_ttl_secs = {}\nsession_ttl_secs = {}\n\
             is_dpop_nonce_required = {}\n\n\
             refresh_ttl_secs = {}\nrefresh_idle_secs = {}\n\n\
             [limits]\nmax_connections = {}\nidle_secs = {}\n\
             unauthenticated_failures_per_minute = {}\n\n\
             [metrics]\nlisten = {:?}\n\n\
             [telemetry]\notlp_endpoint = {:?}\nsample_percent = {}\n\n\
             [keys]\nmaster_key_file = {:?}\npublish_ahead_secs = {}\nrotate_after_secs = {}\n\
             jwks_max_age_secs = {}\n\n\
             [redis]\nurl = {:?}\nurl_file = {:?}\nprefix = {:?}\nca_file = {:?}\n\n\
             {}{}{}{}{}[log]\nfilter = {:?}\nformat = {:?}\n",
            self.server.listen.to_string(),
            self.server.issuer,
            self.server.data.display().to_string(),
            self.server.trusted_proxies,
            self.server.client_address_header,
            self.database.url,
            self.database.url_file.display().to_string(),
            self.tokens.home_ttl_secs,
            self.tokens.delegated_ttl_secs,
            self.tokens.session_ttl_secs,
            self.tokens.is_dpop_nonce_required,
            self.tokens.refresh_ttl_secs,
            self.tokens.refresh_idle_secs,
            self.limits.max_connections,
            self.limits.idle_secs,
            self.limits.unauthenticated_failures_per_minute,
            self.metrics.listen,
            self.telemetry.otlp_endpoint,
            self.telemetry.sample_percent,
            self.keys.master_key_file.display().to_string(),
            self.keys.publish_ahead_secs,
            self.keys.rotate_after_secs,
            self.keys.jwks_max_age_secs,
            relay::shown(&self.redis.url),
            self.redis.url_file.display().to_string(),
            self.redis.prefix,
            self.redis.ca_file.display().to_string(),
            self.tls.to_toml(),
            self.outbound.to_toml(),
            self.registration.to_toml(),
            self.rate_limits.to_toml(),
            self.quotas.to_toml(),
            self.log.filter,
            self.log.format,
        )
    }
}

/// A configuration file is often read by many; a master key in it would be theirs too.
fn refuse_secrets_in(
    file: config::File<config::FileSourceFile, config::FileFormat>,
) -> Result<(), Failure> {
    let read = config::Config::builder().add_source(file).build();
    if read.is_ok_and(|read| read.get_string("keys.master_key").is_ok()) {
        return Err(Failure(
            "the configuration cannot be used: keys.master_key belongs into the environment; a file \
             can name keys.master_key_file"
                .to_owned(),
        ));
    }
    Ok(())
}

fn is_issuer(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let has_good_scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    has_good_scheme
        && !text.ends_with('/')
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> bool {
        let mut config = Config::default();
        change(&mut config);
        config.check().is_ok()
    }

    #[test]
    fn the_defaults_can_be_used() {
        assert!(with(|_| {}));
    }

    #[test]
    fn a_listener_that_others_can_reach_needs_an_issuer() {
        assert!(!with(|c| c.server.listen = "0.0.0.0:5000".parse().unwrap()));
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        assert!(with(|c| c.server.issuer = "https://auth.example.com".into()));
        assert!(with(|c| c.server.issuer = "http://127.0.0.1:5000".into()));
        for bad in [
            "http://auth.example.com",
            "https://auth.example.com/",
            "https://auth.example.com?x",
            "https://auth.example.com#x",
            "https://u:p@auth.example.com",
            "auth.example.com",
            "javascript:alert(1)",
        ] {
            assert!(!with(|c| c.server.issuer = bad.into()), "{bad}");
        }
    }

    #[test]
    fn no_token_outlives_what_can_kill_it() {
        assert!(!with(|c| c.tokens.delegated_ttl_secs = 901));
        assert!(!with(|c| c.tokens.home_ttl_secs = 3600));
        assert!(!with(|c| c.tokens.delegated_ttl_secs = 0));
    }

    #[test]
    fn a_key_is_known_to_everybody_before_it_signs() {
        assert!(!with(|c| c.keys.publish_ahead_secs = 299));
        assert!(with(|c| c.keys.publish_ahead_secs = 300));
        assert!(!with(|c| c.keys.rotate_after_secs = 3599));
        assert!(!with(|c| c.keys.jwks_max_age_secs = 0));
    }

    #[test]
    fn a_redis_url_is_checked_and_shown_without_its_password() {
        let set = |url: &str| Redis { url: url.into(), ..Redis::default() };
        assert!(with(|c| c.redis = set("redis://:hush@127.0.0.1:6379/1")));
        assert!(!with(|c| c.redis = set("http://127.0.0.1")));
        assert!(!with(|c| c.redis = Redis { prefix: "a b".into(), ..set("redis://h") }));
        assert!(!with(|c| c.redis = Redis { ca_file: "/nowhere".into(), ..set("rediss://h") }));
        assert!(!with(|c| c.redis = Redis { url_file: "/nowhere".into(), ..set("redis://h") }));
        let shown = Config { redis: set("redis://:hush@h"), ..Config::default() }.to_toml();
        assert!(shown.contains("\"redis://:***@h:6379\"") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(!with(|c| c.tls.certificate = "/nowhere/tls.pem".into()));
        assert!(!with(|c| c.tls.key = "/nowhere/tls.key".into()));
        assert!(!with(|c| {
            c.tls = Tls { certificate: "/nowhere/a".into(), key: "/nowhere/b".into() };
        }));
    }

    #[test]
    fn what_may_be_called_is_checked_before_anything_is() {
        let allow = |networks: &[&str]| networks.iter().map(ToString::to_string).collect();
        assert!(with(|c| c.outbound.allow = allow(&["10.0.0.0/8", "fd00::/8", "192.0.2.1"])));
        assert!(!with(|c| c.outbound.allow = allow(&["intranet"])));
        assert!(!with(|c| c.outbound.allow_http = true), "http to nobody");
        assert!(!with(|c| c.outbound.ca_file = "/nowhere".into()));
        assert!(!with(|c| c.outbound.timeout_ms = 0));
        assert!(!with(|c| c.outbound.connect_timeout_ms = 5001));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let parsed: Config = config::Config::builder()
            .add_source(config::File::from_str(
                &Config::default().to_toml(),
                config::FileFormat::Toml,
            ))
            .build()
            .and_then(config::Config::try_deserialize)
            .unwrap();
        assert_eq!(parsed, Config::default());
    }
}
