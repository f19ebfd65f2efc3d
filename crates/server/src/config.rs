//! Configuration: a TOML file, then `PROCURA__SECTION__KEY` from the environment. Unknown keys are
//! refused. Every setting has a default, so that no file is needed at all.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use procura_domain::Limits;
use serde::Deserialize;

use crate::{failure::Failure, relay};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the server is.
    pub server: Server,
    /// How long things live.
    pub tokens: Tokens,
    /// Where the copy of the revocation list is.
    pub redis: Redis,
    /// What it says about itself.
    pub log: Log,
}

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
}

/// How long things live, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "a setting carries its unit in its name")]
pub struct Tokens {
    /// Home tokens.
    pub home_ttl_secs: i64,
    /// Delegated tokens; at most 900.
    pub delegated_ttl_secs: i64,
    /// Login sessions.
    pub session_ttl_secs: i64,
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

/// What it says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A `tracing` filter, such as `info` or `procura_issuer=debug,warn`.
    pub filter: String,
    /// `auto` (for people on a terminal, JSON elsewhere), `json` or `text`.
    pub format: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            issuer: String::new(),
            data: PathBuf::from("procura-data"),
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self { home_ttl_secs: 600, delegated_ttl_secs: 300, session_ttl_secs: 8 * 3600 }
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

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info,sqlx=warn".to_owned(), format: "auto".to_owned() }
    }
}

impl Config {
    /// Reads the file, if there is one, and the environment over it.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let mut builder = config::Config::builder();
        if let Some(file) = file {
            let source = config::File::from(file).format(config::FileFormat::Toml);
            builder = builder.add_source(source);
        }
        let environment = config::Environment::with_prefix("PROCURA")
            .prefix_separator("__")
            .separator("__")
            .try_parsing(true);
        builder
            .add_source(environment)
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
        let Tokens { home_ttl_secs, delegated_ttl_secs, session_ttl_secs } = self.tokens;
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
        if !self.redis.url.is_empty() && !self.redis.url_file.as_os_str().is_empty() {
            return refuse("redis.url and redis.url_file are two answers to one question");
        }
        relay::place(&self.redis)?;
        if !matches!(self.log.format.as_str(), "auto" | "json" | "text") {
            return refuse("log.format must be auto, json or text");
        }
        Ok(())
    }

    /// As a file would say it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        format!(
            "[server]\nlisten = {:?}\nissuer = {:?}\ndata = {:?}\n\n\
             [tokens]\nhome_ttl_secs = {}\ndelegated_ttl_secs = {}\nsession_ttl_secs = {}\n\n\
             [redis]\nurl = {:?}\nurl_file = {:?}\nprefix = {:?}\nca_file = {:?}\n\n\
             [log]\nfilter = {:?}\nformat = {:?}\n",
            self.server.listen.to_string(),
            self.server.issuer,
            self.server.data.display().to_string(),
            self.tokens.home_ttl_secs,
            self.tokens.delegated_ttl_secs,
            self.tokens.session_ttl_secs,
            relay::shown(&self.redis.url),
            self.redis.url_file.display().to_string(),
            self.redis.prefix,
            self.redis.ca_file.display().to_string(),
            self.log.filter,
            self.log.format,
        )
    }
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
