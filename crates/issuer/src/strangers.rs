//! Failures of strangers: requests that prove nobody's identity and are refused. Each would leave a
//! durable audit entry, so without a bound anybody could fill the disk. Within the bound each has its
//! entry; beyond it they are refused at once and counted, and the count has one entry a minute.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use procura_domain::self_registration::is_within;
use procura_store::{audit::Entry, clients::Client};
use procura_token::{AuditId, ClientId, Ts};

use crate::{Error, Issuer, Result, Via};

/// The action in the audit log.
const ACTION: &str = "strangers.refused";
/// As many addresses have a count of their own; the rest share one.
const MAX_ADDRESSES: usize = 1024;
/// All addresses together have at most so many times what one has.
const ALL_TO_ONE: u32 = 20;
const WINDOW_SECS: i64 = 60;
/// So many logins may begin at one address in a minute for each failure that is recorded there.
const BEGUN_TO_FAILED: u32 = 5;

/// What counts together: an IPv4 address, an IPv6 network of 64 bits (whoever has one address of it
/// has all of them), or everybody for whom there was no place left.
type Place = Option<IpAddr>;

/// Failures by address.
pub struct Strangers {
    per_minute: u32,
    seen: Mutex<Seen>,
}

/// Logins that were begun, by address: each is kept for as long as somebody may go on with it.
pub struct Arrivals(Strangers);

impl Arrivals {
    /// Beside so many recorded failures a minute for one address.
    #[must_use]
    pub fn new(failures_per_minute: u32) -> Self {
        Self(Strangers::new(failures_per_minute.saturating_mul(BEGUN_TO_FAILED)))
    }

    /// So many a minute for one address.
    #[must_use]
    pub fn at_most(per_minute: u32) -> Self {
        Self(Strangers::new(per_minute))
    }
}

#[derive(Default)]
struct Seen {
    all: Window,
    places: HashMap<Place, Count>,
}

#[derive(Default)]
struct Count {
    window: Window,
    /// Refused without an entry since the last one that says so.
    dropped: u64,
}

/// A minute that begins with the first failure in it.
#[derive(Clone, Copy, Default)]
struct Window {
    since: Option<Ts>,
    recorded: u32,
}

impl Window {
    fn is_over(self, now: Ts) -> bool {
        self.since.is_none_or(|since| now >= since.plus_secs(WINDOW_SECS) || now < since)
    }

    fn turn(&mut self, now: Ts) {
        if self.is_over(now) {
            *self = Self { since: Some(now), recorded: 0 };
        }
    }

    /// Whole seconds until it is over, at least one.
    fn left_secs(self, now: Ts) -> u32 {
        let end = self.since.unwrap_or(now).plus_secs(WINDOW_SECS);
        u32::try_from(end.secs().saturating_sub(now.secs())).unwrap_or(1).max(1)
    }
}

impl Strangers {
    /// With so many entries a minute for one address.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, seen: Mutex::default() }
    }

    /// Whether a failure gets an entry. If not, it is counted, and the caller is told to wait for so
    /// many seconds.
    fn admit(&self, ip: Option<IpAddr>, now: Ts) -> Result<(), u32> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.all.is_over(now) {
            seen.all.turn(now);
            seen.places.retain(|_, count| count.dropped > 0 || !count.window.is_over(now));
        }
        let mut place = ip.map(place);
        if seen.places.len() >= MAX_ADDRESSES && !seen.places.contains_key(&place) {
            place = None;
        }
        let Seen { all, places } = &mut *seen;
        let count = places.entry(place).or_default();
        count.window.turn(now);
        if count.window.recorded >= self.per_minute {
            count.dropped = count.dropped.saturating_add(1);
            return Err(count.window.left_secs(now));
        }
        if all.recorded >= self.per_minute.saturating_mul(ALL_TO_ONE) {
            count.dropped = count.dropped.saturating_add(1);
            return Err(all.left_secs(now));
        }
        count.window.recorded = count.window.recorded.saturating_add(1);
        all.recorded = all.recorded.saturating_add(1);
        Ok(())
    }

    /// Whether the next failure would get an entry. Counts nothing.
    fn has_more(&self, ip: Option<IpAddr>, now: Ts) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |window: Window, most: u32| !window.is_over(now) && window.recorded >= most;
        let place = ip.map(place);
        let shared = if seen.places.len() >= MAX_ADDRESSES { seen.places.get(&None) } else { None };
        let count = seen.places.get(&place).or(shared);
        !is_full(seen.all, self.per_minute.saturating_mul(ALL_TO_ONE))
            && !count.is_some_and(|count| is_full(count.window, self.per_minute))
    }

    /// Takes out what was refused without an entry.
    fn take_dropped(&self) -> Vec<(Place, u64)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = seen.places.iter_mut().filter(|(_, count)| count.dropped > 0);
        dropped.map(|(place, count)| (*place, std::mem::take(&mut count.dropped))).collect()
    }
}

/// What counts as one address.
pub(crate) fn place(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

/// As the audit log says it.
pub(crate) fn name(place: IpAddr) -> String {
    match place {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(network) => format!("{network}/64"),
    }
}

impl Issuer {
    /// Puts the failure of a stranger into the audit log; `TooManyFailures` where it gets no entry.
    pub async fn note_stranger(
        &self,
        action: &str,
        reason: &'static str,
        client: Option<ClientId>,
        via: &Via,
    ) -> Result<()> {
        self.admit_failure(via)?;
        self.note(action, reason, client, via).await
    }

    /// Puts a malformed request into the audit log that came with this client's credential.
    pub async fn note_malformed(&self, action: &str, client: &Client, via: &Via) -> Result<()> {
        self.admit_failing(client, via).await?;
        self.note(action, "request_malformed", Some(client.id.clone()), via).await
    }

    /// Puts a refusal of this client into the audit log that no verb has recorded.
    pub async fn note_refusal(
        &self,
        action: &str,
        reason: &'static str,
        client: &Client,
        via: &Via,
    ) -> Result<()> {
        self.admit_failing(client, via).await?;
        self.note(action, reason, Some(client.id.clone()), via).await
    }

    /// The same for a failure of whoever says to be this client: a public client's id proves nothing,
    /// everybody can say it.
    pub(crate) fn admit_failure_of(&self, client: &Client, via: &Via) -> Result<()> {
        if self.is_anybody(client) { self.admit_failure(via) } else { Ok(()) }
    }

    /// Whether one more failure of whoever is this client is written down: what fails is counted for the
    /// client as well, so that its keeper fills no disk either.
    pub(crate) async fn admit_failing(&self, client: &Client, via: &Via) -> Result<()> {
        self.admit_failure_of(client, via)?;
        self.limit_client(client, via).await
    }

    /// Whether anybody could be this client: a public one, and where software registers itself without a
    /// token also whatever it could have registered itself as, with a secret of its own.
    #[must_use]
    pub fn is_anybody(&self, client: &Client) -> bool {
        let rules = self.0.settings.self_registration.as_ref();
        let is_open = rules.is_some_and(|rules| rules.open_for.is_some());
        !client.is_confidential() || (is_open && is_within(&client.settings()))
    }

    /// Whether one more login may begin there. It leaves no audit entry: nobody has done anything yet.
    pub fn admit_arrival(&self, via: &Via) -> Result<()> {
        let ip = via.ip.as_deref().and_then(|ip| ip.parse().ok());
        let admitted = self.0.arrivals.0.admit(ip, self.0.environment.now());
        admitted.map_err(|wait_secs| Error::TooManyFailures { wait_secs })
    }

    /// Whether a proof of whoever says to be this client is looked at: it would be remembered. Where a public
    /// client's address has no failures left, its proofs count as logins that begin.
    pub fn admit_proof_of(&self, client: &Client, via: &Via) -> Result<()> {
        let ip = via.ip.as_deref().and_then(|ip| ip.parse().ok());
        let has_more = || self.0.strangers.has_more(ip, self.0.environment.now());
        if !self.is_anybody(client) || has_more() { Ok(()) } else { self.admit_arrival(via) }
    }

    /// Whether one more client may register itself from there.
    pub(crate) fn admit_registration(&self, via: &Via) -> Result<()> {
        let ip = via.ip.as_deref().and_then(|ip| ip.parse().ok());
        let admitted = self.0.registrations.0.admit(ip, self.0.environment.now());
        admitted.map_err(|wait_secs| Error::TooManyFailures { wait_secs })
    }

    pub(crate) fn admit_failure(&self, via: &Via) -> Result<()> {
        let ip = via.ip.as_deref().and_then(|ip| ip.parse().ok());
        self.0.strangers.admit(ip, self.0.environment.now()).map_err(|wait_secs| {
            self.0.meters.unrecorded.inc();
            Error::TooManyFailures { wait_secs }
        })
    }

    /// Puts what was refused without an entry into the audit log: one entry for each address. Called
    /// once a minute and at the end.
    pub async fn note_dropped(&self) -> Result<()> {
        for (place, dropped) in self.0.strangers.take_dropped() {
            let id = AuditId::from_bits(self.0.environment.id_bits()?);
            let entry = Entry {
                reason: Some(Error::TooManyFailures { wait_secs: 0 }.code().to_owned()),
                ip: place.map(name),
                details: Some(serde_json::json!({ "dropped": dropped }).to_string()),
                ..Entry::new(id, self.0.environment.now(), ACTION, "refused")
            };
            self.0.store.record(entry).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(strangers: &Strangers, ip: &str, now: Ts) -> bool {
        strangers.admit(ip.parse().ok(), now).is_ok()
    }

    #[test]
    fn an_address_has_its_own_count_each_minute() {
        let strangers = Strangers::new(2);
        let now = Ts::from_secs(600);
        assert!(admits(&strangers, "192.0.2.1", now));
        assert!(admits(&strangers, "::ffff:192.0.2.1", now), "the same address, written otherwise");
        assert_eq!(strangers.admit("192.0.2.1".parse().ok(), Ts::from_secs(645)), Err(15));
        let has_more = |ip: &str, at| strangers.has_more(ip.parse().ok(), Ts::from_secs(at));
        assert!(!has_more("192.0.2.1", 645) && has_more("192.0.2.2", 645));
        assert!(admits(&strangers, "192.0.2.2", now));
        assert!(has_more("192.0.2.1", 660), "a minute later");
        assert!(admits(&strangers, "192.0.2.1", Ts::from_secs(660)), "a minute later");
        let dropped = strangers.take_dropped();
        assert_eq!(dropped, [(Some("192.0.2.1".parse().unwrap()), 1)]);
        assert!(strangers.take_dropped().is_empty(), "said once");
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one() {
        let strangers = Strangers::new(1);
        let now = Ts::from_secs(600);
        assert!(admits(&strangers, "2001:db8:0:1::1", now));
        assert!(!admits(&strangers, "2001:db8:0:1:ffff::2", now));
        assert!(admits(&strangers, "2001:db8:0:2::1", now));
        let dropped = strangers.take_dropped();
        assert_eq!(
            dropped.first().and_then(|(place, _)| place.map(name)).unwrap(),
            "2001:db8:0:1::/64"
        );
    }

    #[test]
    fn a_crowd_of_addresses_takes_neither_memory_nor_disk_without_end() {
        let strangers = Strangers::new(3);
        let now = Ts::from_secs(600);
        let crowd = (0..100_000_u32).map(|n| IpAddr::V4(n.into()));
        let admitted = crowd.filter(|ip| strangers.admit(Some(*ip), now).is_ok()).count();
        assert_eq!(admitted, 60, "twenty times what one address has");
        assert!(!strangers.has_more("203.0.113.1".parse().ok(), now));
        assert!(strangers.seen.lock().unwrap().places.len() <= MAX_ADDRESSES + 1);
        assert!(strangers.take_dropped().len() <= MAX_ADDRESSES + 1);
        assert!(admits(&strangers, "192.0.2.1", Ts::from_secs(660)), "a minute later");
    }
}
