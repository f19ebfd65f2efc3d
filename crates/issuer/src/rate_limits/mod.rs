//! How much one caller may ask for in a while: less across tenants than at home, so that nobody who is noisy
//! costs others their turn. Where there is a Redis all nodes count together; each counts for itself in any
//! case, and goes by that alone whenever Redis does not answer.

mod names;
mod own;
mod refusals;
mod rules;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use procura_store::{
    budgets::{Draw, Place, Shared},
    clients::Client,
};
use procura_token::{ClientId, KeyHash, Kind, SessionId, Shown, TenantId, UserId};

use crate::{Error, Issuer, Result, Via, strangers};
use names::Names;
use own::Own;
use refusals::Refusals;
pub use rules::{Limit, Rules};

/// Whose budget. Whatever stands here was proven, except an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Person(TenantId, UserId),
    Tenant(TenantId),
    /// What a partner calls a customer: an id, a slug that has not led there yet, or something that there is
    /// not. Each partner has a
    /// count of its own for it: one that all shared would tell one partner of the others, and let one
    /// lock the others out.
    Target(TenantId, Box<str>),
    Client(ClientId),
    /// Of a client that anybody can say to be.
    ClientAt(ClientId, Option<IpAddr>),
    Address(Option<IpAddr>),
    /// Of one token, whoever shows it.
    Held(KeyHash),
    /// Everybody for whom there was no place left.
    Others,
}

impl Key {
    /// In Redis, where nobody's name has to stand.
    fn blinded(&self, limit: Limit) -> KeyHash {
        KeyHash::of_budget(limit.name(), &format!("{self:?}"))
    }
}

/// How a request stands with the limits that it was counted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// All of them.
    pub limits: Vec<Limited>,
    /// The one that is used up first.
    pub tightest: Limit,
    /// How much of that one is left.
    pub remaining: u32,
    /// When it will be full again, or, where nothing is left, when there will be one more. In seconds.
    pub reset_secs: u64,
}

/// A limit as it is told to whoever is under it: so many in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Which one.
    pub limit: Limit,
    /// So many at once.
    pub quota: u32,
    /// In this time, in seconds.
    pub window_secs: u64,
}

/// Where the standing of a request is written down on its way in, and read on its way out.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Option<Standing>>>);

impl Tally {
    fn set(&self, standing: Standing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
    }

    /// How the request stands, where it was counted.
    #[must_use]
    pub fn take(&self) -> Option<Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// All limits of a node. Without rules there are none.
pub(crate) struct RateLimits {
    own: Option<Own>,
    shared: OnceLock<Shared>,
    names: Names,
    refusals: Refusals,
}

impl RateLimits {
    /// Nothing is used up.
    pub fn new(rules: Option<Rules>) -> Self {
        let own = rules.and_then(Own::new);
        Self {
            own,
            shared: OnceLock::new(),
            names: Names::default(),
            refusals: Refusals::default(),
        }
    }

    /// Takes one from each budget: how the request stands then, or the limit that refuses it. The narrowest
    /// comes first, so that what a person is refused costs the colleagues nothing.
    async fn take(&self, own: &Own, wants: &[(Limit, Key)]) -> Result<Standing, Beyond> {
        let rules = own.rules();
        let mut left = Vec::with_capacity(wants.len());
        for (at, (limit, key)) in wants.iter().enumerate() {
            match own.take(*limit, key) {
                Ok(remaining) => left.push(remaining),
                Err(wait) => return Err(Beyond { at, wait_micros: micros(wait) }),
            }
        }
        if let Some(shared) = self.shared.get() {
            let draw = |(limit, key): &(Limit, Key)| Draw {
                key: key.blinded(*limit),
                rate: rules.rate(*limit),
            };
            // Where Redis cannot say it now, the node's own count holds.
            if let Some(levels) = shared.draw(wants.iter().map(draw).collect()).await {
                left.clear();
                for (at, ((limit, _), level)) in wants.iter().zip(levels).enumerate() {
                    let (rate, most) = (rules.rate(*limit), rules.rate(*limit).most_micros());
                    if level > most {
                        return Err(Beyond { at, wait_micros: level.saturating_sub(most) });
                    }
                    let remaining = most.saturating_sub(level) / rate.interval_micros.max(1);
                    left.push(u32::try_from(remaining).unwrap_or(rate.burst));
                }
            }
        }
        let share = |((limit, _), left): &(&(Limit, Key), u32)| {
            u64::from(*left) * 1_000_000 / u64::from(rules.rate(*limit).burst.max(1))
        };
        let tightest =
            wants.iter().zip(left).min_by_key(share).map(|((limit, _), left)| (*limit, left));
        let (limit, remaining) = tightest.ok_or(Beyond { at: 0, wait_micros: 0 })?;
        let rate = rules.rate(limit);
        let used = u64::from(rate.burst.saturating_sub(remaining));
        let reset_secs = secs(used.saturating_mul(rate.interval_micros));
        Ok(standing(rules, wants, (limit, remaining, reset_secs)))
    }
}

/// The want that was refused, and for how long.
struct Beyond {
    at: usize,
    wait_micros: u64,
}

fn standing(
    rules: &Rules,
    wants: &[(Limit, Key)],
    (tightest, remaining, reset_secs): (Limit, u32, u64),
) -> Standing {
    let limited = |(limit, _): &(Limit, Key)| {
        let rate = rules.rate(*limit);
        Limited { limit: *limit, quota: rate.burst, window_secs: secs(rate.most_micros()) }
    };
    Standing { limits: wants.iter().map(limited).collect(), tightest, remaining, reset_secs }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Whole seconds, at least one: whoever comes back then does not come too early.
fn secs(micros: u64) -> u64 {
    micros.div_ceil(1_000_000).max(1)
}

impl Issuer {
    /// From now on counts are shared with all nodes that use this Redis, whenever it answers.
    pub fn share_limits(&self, place: Place) {
        if self.0.rate_limits.own.is_some() {
            let shared = || Shared::start(&self.0.store, place);
            self.0.rate_limits.shared.get_or_init(shared);
        }
    }

    /// Counts an exchange for the person, for what it is to be exchanged into, and for the partner.
    pub(crate) async fn limit_exchange(
        &self,
        (home, user): (TenantId, UserId),
        target: &str,
        via: &Via,
    ) -> Result<()> {
        let target = self.0.rate_limits.names.id_of(home, target);
        let wants = [
            (Limit::CrossUser, Key::Person(home, user)),
            (Limit::CrossTarget, Key::Target(home, target)),
            (Limit::CrossPartner, Key::Tenant(home)),
        ];
        self.limit(&wants, via).await
    }

    /// From now on this name of a tenant, into which somebody of the partner was let, counts as its id; and so
    /// does the request that led there.
    pub(crate) async fn learn_name(&self, home: TenantId, name: &str, tenant: TenantId) {
        let limits = &self.0.rate_limits;
        let Some(own) = &limits.own else { return };
        if name.parse::<TenantId>().is_err() && limits.names.learn(home, name, tenant) {
            let key = Key::Target(home, tenant.to_string().into());
            // It was let in already, and the next one is refused.
            let _ = limits.take(own, &[(Limit::CrossTarget, key)]).await;
        }
    }

    /// Counts a request of a client.
    pub async fn limit_client(&self, client: &Client, via: &Via) -> Result<()> {
        let key = if self.is_anybody(client) {
            Key::ClientAt(client.id.clone(), address(via))
        } else {
            Key::Client(client.id.clone())
        };
        self.limit(&[(Limit::Client, key)], via).await
    }

    /// Counts a request to the management API for whoever the token is of: one that is for a customer's tenant
    /// by the stricter limits, one that is nobody's for its address.
    pub async fn limit_call(&self, token: &str, shown: Shown<'_>, via: &Via) -> Result<()> {
        let genuine = self.genuine(token, shown, self.0.environment.now());
        let Ok(genuine) = genuine else { return self.limit_address(via).await };
        let tenant = genuine.claims.tenant;
        let is_ours = genuine.claims.aud == self.0.settings.issuer
            && !self.0.store.revocations().is_dead(&genuine.keys, genuine.claims.rvs);
        // It opens nothing here, and whoever it was shown to may show it too: that takes nothing from its owner.
        if !is_ours {
            let limit = match genuine.kind {
                Kind::Home { .. } => Limit::HomeUser,
                Kind::Delegated(_) => Limit::CrossUser,
                Kind::Client => Limit::Client,
            };
            let held = procura_token::Key::Jti(&genuine.claims.jti).hash();
            return self.limit(&[(limit, Key::Held(held))], via).await;
        }
        match genuine.kind {
            Kind::Home { user } => self.limit_person((tenant, user), via).await,
            Kind::Delegated(of) => {
                let actor = (of.actor_tenant, of.actor);
                self.limit_exchange(actor, &tenant.to_string(), via).await
            }
            Kind::Client => {
                let key = Key::Client(genuine.claims.client_id.clone());
                self.limit(&[(Limit::Client, key)], via).await
            }
        }
    }

    /// Counts a request of somebody at home.
    pub(crate) async fn limit_person(
        &self,
        (tenant, user): (TenantId, UserId),
        via: &Via,
    ) -> Result<()> {
        let person = (Limit::HomeUser, Key::Person(tenant, user));
        self.limit(&[person, (Limit::HomeTenant, Key::Tenant(tenant))], via).await
    }

    /// Counts a request at home of a program, by the session of the key that it comes with.
    pub(crate) async fn limit_key(&self, session: SessionId, via: &Via) -> Result<()> {
        let held = procura_token::Key::Session(session).hash();
        self.limit(&[(Limit::HomeUser, Key::Held(held))], via).await
    }

    /// Counts a request of whoever is not known by anything better.
    pub async fn limit_address(&self, via: &Via) -> Result<()> {
        self.limit(&[(Limit::Address, Key::Address(address(via)))], via).await
    }

    async fn limit(&self, wants: &[(Limit, Key)], via: &Via) -> Result<()> {
        let limits = &self.0.rate_limits;
        let Some(own) = &limits.own else { return Ok(()) };
        let Beyond { at, wait_micros } = match limits.take(own, wants).await {
            Ok(standing) => {
                via.tally.set(standing);
                return Ok(());
            }
            Err(beyond) => beyond,
        };
        let wait_secs = secs(wait_micros);
        if let Some((limit, key)) = wants.get(at) {
            self.0.meters.limited(limit.name());
            limits.refusals.note(*limit, key);
            via.tally.set(standing(own.rules(), wants, (*limit, 0, wait_secs)));
        }
        Err(Error::TooManyRequests { wait_secs: u32::try_from(wait_secs).unwrap_or(u32::MAX) })
    }
}

/// What counts as one address.
fn address(via: &Via) -> Option<IpAddr> {
    via.ip.as_deref().and_then(|ip| ip.parse().ok()).map(strangers::place)
}
