//! The command line, and what the demo file adds to it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Parser, ValueEnum};
use procura_verify::{RedisCopy, RevocationSource, token::TenantId};
use serde::Deserialize;

/// A sample resource server of Procura: billing, tickets and reports of internet providers.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:5100")]
    pub listen: SocketAddr,
    /// Folder of the database.
    #[arg(long, default_value = "./procura-data/sample-isp")]
    pub data: PathBuf,
    /// File that `procura dev --demo` writes. Need not exist where the other options say everything.
    #[arg(long, default_value = "./procura-data/demo.json")]
    pub demo: PathBuf,
    /// Name of this process among those that share the client.
    #[arg(long, default_value = "sample-isp")]
    pub name: String,
    /// The issuer, instead of the demo's.
    #[arg(long)]
    pub issuer: Option<String>,
    /// Where the issuer is reached, where that is not its name.
    #[arg(long)]
    pub issuer_address: Option<String>,
    /// Our own identifier in `aud`, instead of the demo's.
    #[arg(long)]
    pub audience: Option<String>,
    /// Where clients reach us, as their proofs of possession name it; the identifier where it is not said.
    #[arg(long)]
    pub origin: Option<String>,
    /// Refuse bearer tokens: every request proves the key that its token is bound to.
    #[arg(long)]
    pub needs_proof: bool,
    /// Our client id, instead of the demo's.
    #[arg(long, requires = "client_secret_file")]
    pub client_id: Option<String>,
    /// File with our client secret, instead of the demo's.
    #[arg(long, requires = "client_id")]
    pub client_secret_file: Option<PathBuf>,
    /// Where revocations come from.
    #[arg(long, value_enum, default_value = "feed")]
    pub revocations: Revocations,
    /// The Redis with the copy of the revocation list.
    #[arg(long, required_if_eq("revocations", "redis"))]
    pub redis_url: Option<String>,
    /// What its keys begin with.
    #[arg(long, default_value = "procura")]
    pub redis_prefix: String,
    /// File with the certificates (PEM) that TLS to it trusts, instead of the system's.
    #[arg(long)]
    pub redis_ca_file: Option<PathBuf>,
}

/// Where revocations come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Revocations {
    /// From the issuer's event stream.
    Feed,
    /// From the signed copy in Redis.
    Redis,
}

impl Options {
    /// The same, as the verifier wants it.
    pub fn source(&self) -> Result<RevocationSource, SettingsError> {
        let (Revocations::Redis, Some(url)) = (self.revocations, &self.redis_url) else {
            return Ok(RevocationSource::Feed);
        };
        let authorities = self.redis_ca_file.as_deref().map(text).transpose()?;
        Ok(RevocationSource::Redis(RedisCopy {
            prefix: self.redis_prefix.clone(),
            authorities: authorities.map(String::into_bytes),
            ..RedisCopy::at(url)
        }))
    }
}

/// What the process needs to know of Procura.
pub struct Settings {
    /// The issuer.
    pub issuer: String,
    /// Where it is reached, where that is not its name.
    pub issuer_address: Option<String>,
    /// Our identifier in `aud`.
    pub audience: String,
    /// Our client id.
    pub client_id: String,
    /// Our client secret.
    pub client_secret: String,
    /// Tenants to seed rows for, by slug.
    pub tenants: BTreeMap<String, TenantId>,
}

/// The settings are incomplete or unreadable. Never shows a file's content.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// The demo file is not what `procura dev --demo` writes.
    #[error("{0} is not a demo file")]
    Malformed(PathBuf),
    /// Neither the command line nor the demo file says it.
    #[error(
        "{0} is missing: start `procura dev --demo` first, or pass --issuer, --audience, \
         --client-id and --client-secret-file"
    )]
    Missing(&'static str),
}

/// The demo file. Members that are not needed here are ignored.
#[derive(Default, Deserialize)]
struct Demo {
    issuer: Option<String>,
    #[serde(default)]
    clients: Clients,
    #[serde(default)]
    tenants: BTreeMap<String, TenantId>,
}

#[derive(Default, Deserialize)]
struct Clients {
    isp: Option<Isp>,
}

#[derive(Deserialize)]
struct Isp {
    client_id: String,
    client_secret: String,
    audience: String,
}

impl Settings {
    /// The root of every request to the issuer.
    pub fn address(&self) -> &str {
        self.issuer_address.as_deref().unwrap_or(&self.issuer)
    }

    /// Reads the demo file, if it is there; the command line goes before it.
    pub fn read(options: &Options) -> Result<Self, SettingsError> {
        let demo = if options.demo.exists() { demo(&options.demo)? } else { Demo::default() };
        let (isp_id, isp_secret, isp_audience) = match demo.clients.isp {
            Some(isp) => (Some(isp.client_id), Some(isp.client_secret), Some(isp.audience)),
            None => (None, None, None),
        };
        let secret = match &options.client_secret_file {
            Some(file) => Some(text(file)?.trim_end().to_owned()),
            None => isp_secret,
        };
        let or = |option: &Option<String>, demo| option.clone().or(demo);
        Ok(Self {
            issuer: or(&options.issuer, demo.issuer).ok_or(SettingsError::Missing("the issuer"))?,
            issuer_address: options.issuer_address.clone(),
            audience: or(&options.audience, isp_audience)
                .ok_or(SettingsError::Missing("the audience"))?,
            client_id: or(&options.client_id, isp_id)
                .ok_or(SettingsError::Missing("the client id"))?,
            client_secret: secret.ok_or(SettingsError::Missing("the client secret"))?,
            tenants: demo.tenants,
        })
    }
}

fn demo(file: &Path) -> Result<Demo, SettingsError> {
    serde_json::from_str(&text(file)?).map_err(|_| SettingsError::Malformed(file.to_owned()))
}

fn text(file: &Path) -> Result<String, SettingsError> {
    std::fs::read_to_string(file).map_err(|e| SettingsError::Unreadable(file.to_owned(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_members_of_the_demo_file_are_ignored() {
        let json = r#"{"issuer":"http://127.0.0.1:5000","password":"x","more":[1],
            "clients":{"portal":{"client_id":"cli_portal"},
                "isp":{"client_id":"cli_isp","client_secret":"s","audience":"http://a","more":1}},
            "tenants":{"acme-corp":"ten_00000000000000000000000000000007"},"users":{}}"#;
        let demo: Demo = serde_json::from_str(json).expect("a demo file");
        assert_eq!(demo.clients.isp.map(|isp| isp.client_id).as_deref(), Some("cli_isp"));
        assert_eq!(demo.tenants.get("acme-corp"), Some(&TenantId::from_bits(7)));
    }

    #[test]
    fn without_a_demo_file_everything_must_be_said() {
        let options = |more: &[&str]| {
            Options::try_parse_from(["isp", "--demo", "/nowhere"].iter().chain(more)).ok()
        };
        let missing = options(&[]).map(|options| Settings::read(&options).is_err());
        assert_eq!(missing, Some(true));
        assert!(options(&["--client-id", "cli_a"]).is_none(), "an id needs its secret");
        assert!(options(&["--revocations", "redis"]).is_none(), "Redis needs its URL");
    }
}
