#![doc = include_str!("../README.md")]

pub mod access_requests;
pub mod agreements;
pub mod api_keys;
mod assertion;
pub mod audit;
pub mod authorize;
pub mod backup;
pub mod break_glass;
pub mod calendar;
pub mod callers;
pub mod client_credentials;
pub mod client_keys;
pub mod client_secrets;
pub mod clients;
pub mod consents;
pub mod delegations;
pub mod demo;
pub mod details;
pub mod device;
pub mod dpop;
mod enforced;
pub mod environment;
mod error;
pub mod evidence;
pub mod exchange;
pub mod explain;
pub mod first_admin;
mod grants;
pub mod hand;
pub mod home;
pub mod idempotency;
pub mod identity;
pub mod identity_providers;
pub mod import;
pub mod incident;
pub mod initial_tokens;
pub mod introspect;
pub mod invitations;
pub mod jarm;
pub mod keys;
mod last_admin;
pub mod login;
mod login_rules;
pub mod logout;
pub mod logout_notices;
mod mail;
pub mod meters;
mod mint;
pub mod notices;
mod parameters;
pub mod partner_access;
mod partner_code;
pub mod passwords;
pub mod policies;
pub mod preview;
pub mod prompt;
pub mod provision;
pub mod pushed;
pub mod quotas;
pub mod rate_limits;
pub mod redeem;
pub mod refresh;
pub mod registration;
pub mod relationships;
pub mod relay;
pub mod requested;
pub mod resource_servers;
mod resources;
pub mod reviews;
pub mod revoke;
pub mod rotation;
pub mod self_registration;
mod strangers;
mod subject;
pub mod subject_tokens;
pub mod trust;
pub mod upstream;
mod upstream_calls;
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
    /// Life of a family of refresh tokens.
    pub refresh: RefreshLife,
    /// So many failures of strangers at one address get an audit entry of their own in a minute.
    pub stranger_failures_per_minute: u32,
    /// Whether proofs of possession must carry a nonce of ours where tokens are asked for.
    pub is_dpop_nonce_required: bool,
    /// Where mail is put for delivery.
    pub mail_dir: PathBuf,
    /// How long signing keys live.
    pub keys: rotation::Plan,
    /// How what clients registered is called.
    pub outbound: procura_outbound::Settings,
    /// How software may register itself; `None`: not at all.
    pub self_registration: Option<self_registration::Rules>,
    /// How much one caller may ask for; `None`: as much as it likes.
    pub rate_limits: Option<rate_limits::Rules>,
    /// Quotas of tenants that have none of their own.
    pub quotas: procura_domain::Quotas,
}

/// How long a client can come back without the person. In seconds.
#[derive(Clone, Copy, Debug)]
pub struct RefreshLife {
    /// From the login on.
    pub ttl_secs: i64,
    /// From the last use on.
    pub idle_secs: i64,
}

/// Where a request came from; it ends up in the audit log.
#[derive(Clone, Debug, Default)]
pub struct Via {
    /// The client's address.
    pub ip: Option<String>,
    /// The id in `X-Request-Id`.
    pub request_id: String,
    /// How it stands with the limits.
    pub tally: rate_limits::Tally,
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
    /// The version that the caller has seen, where the caller named one (`If-Match`).
    pub expected_version: Option<i64>,
}

impl Call {
    /// `Stale` where the caller has seen another version.
    pub(crate) fn expect(&self, version: i64) -> Result<()> {
        match self.expected_version {
            Some(expected) if expected != version => Err(Error::Stale),
            _ => Ok(()),
        }
    }
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
    arrivals: strangers::Arrivals,
    registrations: strangers::Arrivals,
    leases: Leases,
    outbound: Outbound,
    client_keys: client_keys::Documents<procura_token::ForeignKeys>,
    upstreams: upstream_calls::Upstreams,
    rate_limits: rate_limits::RateLimits,
    reading_uses: tokio::sync::Mutex<()>,
    explaining: tokio::sync::Semaphore,
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
        let arrivals = strangers::Arrivals::new(settings.stranger_failures_per_minute);
        let per_minute = settings.self_registration.as_ref().map_or(0, |rules| rules.per_minute);
        let rate_limits = rate_limits::RateLimits::new(settings.rate_limits);
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
            upstreams: upstream_calls::Upstreams::default(),
            arrivals,
            registrations: strangers::Arrivals::at_most(per_minute),
            rate_limits,
            reading_uses: tokio::sync::Mutex::default(),
            explaining: tokio::sync::Semaphore::new(1),
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
