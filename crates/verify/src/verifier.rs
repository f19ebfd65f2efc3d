//! The verifier: its parts, its tasks, and the check of one token.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use procura_token::{
    Kind, Rejection, Seq, Shown, Ts,
    crypto::{fill_random, sha256},
    dpop::{Demand, Fault, Proof},
    jws::{Expected, Genuine, MAX_TOKEN_BYTES, kid_of},
};
use quick_cache::sync::Cache;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    clock::Moment,
    config::{Config, ConfigError, RevocationSource},
    feed,
    introspection::Introspection,
    jwks::{Keys, NoKey},
    layer::Guard,
    metadata::Metadata,
    proofs::{Use, UsedProofs},
    refused::Refused,
    standing::Standing,
    verified::Verified,
    view::{Verdict, View},
    wire::Wire,
};

/// A long-lived response looks at its token at least this often.
const WATCH_AT_LEAST_EVERY: Duration = Duration::from_secs(30);

/// A token that was verified before, and the key that signed it.
#[derive(Clone)]
struct Remembered {
    genuine: Arc<Genuine>,
    kid: Arc<str>,
}

/// What all tasks of one verifier share.
pub(crate) struct Core {
    pub(crate) expected: Expected,
    accepts_delegated: bool,
    needs_proof: bool,
    metadata: Option<Metadata>,
    pub(crate) wire: Wire,
    pub(crate) keys: Keys,
    pub(crate) standing: Standing,
    /// Whether revocations come from the copy in Redis just now.
    pub(crate) is_copy_followed: AtomicBool,
    introspection: Introspection,
    /// Where clients reach us.
    origin: String,
    used_proofs: UsedProofs,
    /// By SHA-256 of the whole token, so that no token is kept in memory.
    remembered: Cache<[u8; 32], Remembered>,
}

struct Running {
    core: Arc<Core>,
    /// Aborted when the last clone of the verifier is dropped.
    _tasks: JoinSet<()>,
}

/// Accepts or refuses access tokens. Clones are cheap and share everything.
#[derive(Clone)]
pub struct Verifier(Arc<Running>);

/// A proof of possession and the request that it came with.
#[derive(Clone, Copy, Debug)]
pub struct Possession<'a> {
    /// The value of the one `DPoP` header field.
    pub proof: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
}

/// Why a token that had been accepted would be refused now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// The verifier lost its lease, so that it could not know of a revocation.
    Blind,
}

/// How a verifier is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// How far the revocation log is applied; `None` before the first snapshot.
    pub applied: Option<Seq>,
    /// What is left of the lease; `None` without one.
    pub lease_remaining: Option<Duration>,
    /// Whether everything that was heard of is applied.
    pub is_synced: bool,
    /// How many revocations are held.
    pub entries: usize,
    /// Whether the issuer's keys are here.
    pub has_keys: bool,
    /// Whether revocations come from the copy in Redis just now, not from the event stream.
    pub is_copy_followed: bool,
}

impl Verifier {
    /// Starts a verifier and its tasks; needs a tokio runtime. Returns at once, also where the
    /// issuer is down: until its keys are here every token is answered 503.
    pub fn start(config: Config) -> Result<Self, ConfigError> {
        let is_loopback = config.check()?;
        let mut random = [0; 16];
        fill_random(&mut random).map_err(|_| ConfigError::System)?;
        let incarnation = format!("{:032x}", u128::from_be_bytes(random));
        let core = Arc::new(Core {
            wire: Wire::new(&config, is_loopback)?,
            metadata: Metadata::of(&config),
            expected: Expected {
                issuer: config.issuer,
                audience: Some(config.audience.clone()),
                algorithms: config.algorithms,
                leeway_secs: config.leeway_secs,
            },
            accepts_delegated: config.accepts_delegated,
            needs_proof: config.needs_proof,
            keys: Keys::new(),
            standing: Standing::new(View::new(incarnation)),
            is_copy_followed: AtomicBool::new(false),
            introspection: Introspection::default(),
            origin: config.origin.unwrap_or(config.audience),
            used_proofs: UsedProofs::new(config.used_proofs),
            remembered: Cache::new(config.cached_tokens),
        });
        let mut tasks = JoinSet::new();
        let c = Arc::clone(&core);
        tasks.spawn(async move { c.keys.run(&c.wire).await });
        let c = Arc::clone(&core);
        tasks.spawn(async move { c.keys.heed(&c.standing).await });
        let c = Arc::clone(&core);
        match config.revocations {
            RevocationSource::Feed => {
                tasks.spawn(async move { feed::follow(&c.wire, &c.standing).await });
            }
            #[cfg(feature = "redis")]
            RevocationSource::Redis(copy) => {
                let place = copy.place()?;
                tasks.spawn(async move { crate::copied::follow(&c, &place).await });
            }
        }
        let c = Arc::clone(&core);
        let (name, longest) = (config.name, config.max_lease);
        tasks.spawn(async move {
            feed::acknowledge(&c.wire, &c.standing, &name, longest).await;
        });
        Ok(Self(Arc::new(Running { core, _tasks: tasks })))
    }

    /// A tower layer that lets only accepted tokens through.
    #[must_use]
    pub fn layer(&self) -> Guard {
        Guard::new(self.clone())
    }

    /// What this resource server says of itself (RFC 9728); `None` where its audience is no web address.
    /// Serve it at its path, outside the guard: [`Metadata::routes`].
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.0.core.metadata.as_ref()
    }

    /// Accepts or refuses a bearer token, for those who do not use [`Verifier::layer`]. One that is bound
    /// to a key is refused; every one is where [`Config::needs_proof`] is set.
    pub async fn check(&self, token: &str) -> Result<Verified, Refused> {
        if self.0.core.needs_proof {
            return Err(Refused::BadProof(Fault::NotOne));
        }
        self.check_shown(token, Shown::Bearer).await
    }

    /// Accepts or refuses a token that is bound to a key, with the proof that came with it (RFC 9449 §7).
    /// A bearer token is refused.
    pub async fn check_bound(
        &self,
        token: &str,
        possession: Possession<'_>,
    ) -> Result<Verified, Refused> {
        let (core, now) = (&self.0.core, Moment::now());
        let Possession { proof, method, path } = possession;
        let uri = format!("{}{path}", core.origin);
        let demand = Demand { method, uri: &uri, token: Some(token), now: now.wall };
        let proof = Proof::verify(proof, &demand).map_err(Refused::BadProof)?;
        let verified = self.check_shown(token, Shown::WithProof(&proof.jkt)).await?;
        // At the end, so that only who holds a good token and its key takes up memory.
        match core.used_proofs.take(proof.id, now.mono) {
            Use::First => Ok(verified),
            Use::Again => Err(Refused::BadProof(Fault::Replayed)),
            Use::Full => Err(Refused::Unavailable),
        }
    }

    async fn check_shown(&self, token: &str, shown: Shown<'_>) -> Result<Verified, Refused> {
        let core = &self.0.core;
        let genuine = core.genuine(token, shown).await?;
        let is_delegated = matches!(genuine.kind, Kind::Delegated(_));
        if is_delegated && !core.accepts_delegated {
            return Err(Refused::Delegated);
        }
        if is_delegated {
            match core.standing.settle(genuine.claims.rvs, &genuine.keys).await {
                Verdict::Live => {}
                Verdict::Revoked => return Err(Refused::Revoked),
                Verdict::Behind | Verdict::Blind => core.introspect(token).await?,
            }
        }
        // For tokens in their own tenant this is all that is asked: they outlive a broken feed.
        // For a delegated one, because the revocation may have come while we asked.
        if core.standing.view().is_revoked(genuine.claims.rvs, &genuine.keys) {
            return Err(Refused::Revoked);
        }
        Ok(Verified(genuine))
    }

    /// Resolves when the token would be refused from now on, so that a long-lived response can
    /// end: revoked, expired, or (for a delegated token) the lease lost. A delegated token that
    /// was accepted by introspection has no lease behind it and resolves at once.
    ///
    /// The future keeps the verifier alive. Dropping it ends the subscription.
    pub fn on_revoked(&self, token: &Verified) -> impl Future<Output = Ended> + Send + use<> {
        let (running, genuine) = (Arc::clone(&self.0), Arc::clone(&token.0));
        async move { running.core.ended(&genuine).await }
    }

    /// Resolves once the verifier has keys, is in step with the feed and holds a lease.
    pub async fn ready(&self) {
        let core = &self.0.core;
        core.keys.loaded().await;
        let mut changed = core.standing.subscribe();
        loop {
            changed.borrow_and_update();
            let status = self.status();
            if status.is_synced && status.lease_remaining.is_some() {
                return;
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    /// How the verifier is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = &self.0.core;
        let now = Moment::now();
        let view = core.standing.view();
        Status {
            applied: view.applied(),
            lease_remaining: view
                .lease_end(now)
                .map(|end| end.mono.saturating_duration_since(now.mono)),
            is_synced: view.is_synced(),
            entries: view.len(),
            has_keys: core.keys.is_loaded(),
            is_copy_followed: core.is_copy_followed.load(Ordering::Relaxed),
        }
    }
}

impl Core {
    /// The claims of a token that is genuine, for us and within its time.
    async fn genuine(&self, token: &str, shown: Shown<'_>) -> Result<Arc<Genuine>, Refused> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refused::BadToken(Rejection::Malformed));
        }
        let digest = sha256(&[token.as_bytes()]);
        if let Some(known) = self.remembered.get(&digest) {
            // A key that the issuer no longer publishes takes its tokens with it.
            if self.keys.current().is_some_and(|keys| keys.knows(&known.kid)) {
                let now = Moment::now().wall;
                self.expected
                    .claims(&known.genuine.claims, shown, now)
                    .map_err(Refused::BadToken)?;
                return Ok(known.genuine);
            }
            self.remembered.remove(&digest);
        }
        let kid = kid_of(token).ok_or(Refused::BadToken(Rejection::Malformed))?;
        let keys = self.keys.with(&kid).await.map_err(|no_key| match no_key {
            NoKey::Unknown => Refused::BadToken(Rejection::UnknownKey),
            NoKey::Unavailable => Refused::Unavailable,
        })?;
        let genuine = self
            .expected
            .access_token(token, &keys, shown, Moment::now().wall)
            .map(Arc::new)
            .map_err(Refused::BadToken)?;
        let remembered = Remembered { genuine: Arc::clone(&genuine), kid: kid.into() };
        self.remembered.insert(digest, remembered);
        Ok(genuine)
    }

    async fn introspect(&self, token: &str) -> Result<(), Refused> {
        match self.introspection.is_active(&self.wire, token).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::Revoked),
            Err(_) => Err(Refused::Unavailable),
        }
    }

    async fn ended(&self, token: &Genuine) -> Ended {
        let mut changed = self.standing.subscribe();
        loop {
            changed.borrow_and_update();
            let now = Moment::now();
            let left = Ts::from_secs(token.claims.exp).0.saturating_sub(now.wall.0);
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                return Ended::Expired;
            };
            let mut wake_in = Duration::from_micros(left).min(WATCH_AT_LEAST_EVERY);
            if matches!(token.kind, Kind::Delegated(_)) {
                match self.standing.settle(token.claims.rvs, &token.keys).await {
                    Verdict::Live => {}
                    Verdict::Revoked => return Ended::Revoked,
                    Verdict::Behind | Verdict::Blind => return Ended::Blind,
                }
                let now = Moment::now();
                let lease_end = self.standing.view().lease_end(now);
                let lease = lease_end.map(|end| end.mono.saturating_duration_since(now.mono));
                wake_in = wake_in.min(lease.unwrap_or_default());
            } else if self.standing.view().is_revoked(token.claims.rvs, &token.keys) {
                return Ended::Revoked;
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep(wake_in) => {}
            }
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.status()).finish()
    }
}
