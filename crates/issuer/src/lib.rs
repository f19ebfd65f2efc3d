#![doc = include_str!("../README.md")]

pub mod audit;
pub mod authorize;
pub mod backup;
pub mod callers;
pub mod client_credentials;
pub mod client_keys;
pub mod clients;
pub mod demo;
pub mod environment;
mod error;
pub mod exchange;
mod grants;
pub mod introspect;
pub mod invitations;
pub mod keys;
pub mod login;
pub mod logout_notices;
pub mod meters;
mod mint;
pub mod partner_access;
pub mod passwords;
pub mod provision;
pub mod redeem;
pub mod relationships;
pub mod relay;
pub mod revoke;
pub mod rotation;
mod strangers;
mod subject;
pub mod trust;
pub mod users;
pub mod verifiers;

use std::{path::PathBuf, sync::Arc};

use procura_domain::Limits;
use procura_outbound::Outbound;
use procura_store::{Store, verifiers::Leases};
use procura_token::crypto::MacKey;

pub use environment::{Clock, Environment};
pub use error::Error;
pub use mint::Minted;

/// What every verb answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How this deployment issues. Durations in seconds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer, exactly as it stands in tokens: no slash at the end.
    pub issuer: String,
    /// Life of a home token.
    pub home_ttl_secs: i64,
    /// Bounds of delegated tokens.
    pub limits: Limits,
    /// Life of a login session.
    pub session_ttl_secs: i64,
    /// So many failures of strangers at one address get an audit entry of their own in a minute.
    pub stranger_failures_per_minute: u32,
    /// Where mail is put for delivery.
    pub mail_dir: PathBuf,
    /// How long signing keys live.
    pub keys: rotation::Plan,
    /// How what clients registered is called.
    pub outbound: procura_outbound::Settings,
}

/// Where a request came from; it ends up in the audit log.
#[derive(Clone, Debug, Default)]
pub struct Via {
    /// The client's address.
    pub ip: Option<String>,
    /// The id in `X-Request-Id`.
    pub request_id: String,
}

/// A change that somebody asks for: who, from where, and what the answer waits for.
#[derive(Clone, Debug)]
pub struct Call {
    /// The person.
    pub caller: procura_domain::Caller,
    /// The token that proved it.
    pub proof: callers::Proof,
    /// Where the request came from.
    pub via: Via,
    /// Whether the answer waits for the verifiers.
    pub confirm: revoke::Confirm,
}

/// The issuer: everything that the verbs need. Cheap to clone.
#[derive(Clone)]
pub struct Issuer(Arc<Inner>);

struct Inner {
    store: Store,
    settings: Settings,
    environment: Environment,
    keys: keys::KeyRing,
    secrets: keys::Secrets,
    clients: clients::Cache,
    subjects: subject::Cache,
    passwords: passwords::Hasher,
    attempts: login::Attempts,
    verifiers: verifiers::Registry,
    meters: meters::Meters,
    strangers: strangers::Strangers,
    leases: Leases,
    outbound: Outbound,
    client_keys: client_keys::Documents<serde_json::Value>,
}

impl Issuer {
    /// Puts the issuer together. Makes the first signing keys where there are none.
    pub async fn open(
        store: Store,
        settings: Settings,
        environment: Environment,
        secrets: keys::Secrets,
    ) -> Result<Self> {
        let strangers = strangers::Strangers::new(settings.stranger_failures_per_minute);
        let outbound = Outbound::new(settings.outbound.clone());
        rotation::first_keys(&store, &secrets, &environment).await?;
        let keys = keys::KeyRing::open(&store, &secrets).await?;
        let inner = Inner {
            leases: Leases::start(&store, verifiers::LEASE),
            store,
            settings,
            environment,
            keys,
            secrets,
            clients: clients::Cache::default(),
            subjects: subject::Cache::default(),
            passwords: passwords::Hasher::new()?,
            attempts: login::Attempts::default(),
            verifiers: verifiers::Registry::default(),
            meters: meters::Meters::default(),
            strangers,
            outbound,
            client_keys: client_keys::Documents::new(client_keys::key_set),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// How this deployment issues.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What is remembered: for reads that need no verb.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The clock and the randomness that everything here uses.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// The signing keys.
    #[must_use]
    pub fn keys(&self) -> &keys::KeyRing {
        &self.0.keys
    }

    /// The key that ties forms to the browser that they were shown to.
    #[must_use]
    pub fn form_key(&self) -> &MacKey {
        self.0.secrets.forms()
    }
}
