//! What a relationship demands at each entry, beyond its role.

use std::net::IpAddr;

use ipnet::IpNet;
use procura_token::UserId;
use serde::{Deserialize, Serialize};

use crate::{acr::ACRS, hours::Hours};

/// Demands. A list that is absent demands nothing; one that is empty lets nobody in. What lets more in is
/// absent unless somebody says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// The weakest acceptable authentication context; see [`acr_rank`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_acr: Option<String>,
    /// The oldest acceptable login, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_secs: Option<i64>,
    /// Identity providers whose logins count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_idps: Option<Vec<String>>,
    /// The people of the partner who may enter, as the partner says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Vec<UserId>>,
    /// Networks from which the exchange may be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<IpNet>>,
    /// When people may enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// A purpose must be given.
    pub require_purpose: bool,
    /// Keys of the partner's people may enter too, without anybody being logged in.
    pub allow_automation: bool,
}

/// How strong an authentication context is. An unknown one proves nothing, and demands what nobody
/// can prove.
#[must_use]
pub fn acr_rank(acr: &str) -> u8 {
    let place = ACRS.iter().position(|known| *known == acr);
    place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0)
}

impl Conditions {
    /// Whether this person of the partner may enter at all.
    #[must_use]
    pub fn are_for(&self, user: UserId) -> bool {
        self.assigned_to.as_ref().is_none_or(|people| people.contains(&user))
    }

    /// Whether logins through this identity provider count.
    #[must_use]
    pub fn trust(&self, idp: Option<&str>) -> bool {
        let is_listed = |idps: &Vec<String>| idps.iter().any(|known| Some(known.as_str()) == idp);
        self.trusted_idps.as_ref().is_none_or(is_listed)
    }

    /// Whether it may be asked from this address.
    #[must_use]
    pub fn admit(&self, ip: Option<IpAddr>) -> bool {
        is_from(self.networks.as_deref(), ip)
    }

    /// Whether whoever meets these meets the others too.
    #[must_use]
    pub fn are_within(&self, others: &Self) -> bool {
        self.demanded_rank() >= others.demanded_rank()
            && self.max_age_secs.unwrap_or(i64::MAX) <= others.max_age_secs.unwrap_or(i64::MAX)
            && is_part(self.trusted_idps.as_deref(), others.trusted_idps.as_deref(), PartialEq::eq)
            && is_part(self.assigned_to.as_deref(), others.assigned_to.as_deref(), PartialEq::eq)
            && is_part(self.networks.as_deref(), others.networks.as_deref(), |part, whole| {
                whole.contains(part)
            })
            && match (&self.hours, &others.hours) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(these), Some(others)) => these.are_within(others),
            }
            && self.require_purpose >= others.require_purpose
            && self.allow_automation <= others.allow_automation
    }

    /// What nobody knows is met by nobody: no demand is stronger.
    fn demanded_rank(&self) -> u8 {
        self.min_acr.as_deref().map_or(0, |acr| match acr_rank(acr) {
            0 => u8::MAX,
            rank => rank,
        })
    }
}

/// Whether an address is in one of these networks, where there are any.
pub(crate) fn is_from(networks: Option<&[IpNet]>, ip: Option<IpAddr>) -> bool {
    // An IPv4 address in the dress of IPv6 is the same address.
    let is_inside = |networks: &[IpNet]| {
        let ip = ip.map(|ip| ip.to_canonical());
        ip.is_some_and(|ip| networks.iter().any(|network| network.contains(&ip)))
    };
    networks.is_none_or(is_inside)
}

/// Whether each of these is inside one of the others. Parts that only together make up one of these
/// do not count: then the answer is "no" where it would take more thought to say "yes".
fn is_part<T>(
    these: Option<&[T]>,
    others: Option<&[T]>,
    is_inside: impl Fn(&T, &T) -> bool,
) -> bool {
    let Some(others) = others else { return true };
    let is_covered = |part: &T| others.iter().any(|whole| is_inside(part, whole));
    these.is_some_and(|these| these.iter().all(is_covered))
}
