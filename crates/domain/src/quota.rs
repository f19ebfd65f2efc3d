//! Quotas: how much of something a tenant may have, and how many delegated tokens a day may bring. How much
//! there is stands in the database; here is what the numbers mean.

use std::fmt;

use procura_token::Ts;
use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// What is counted.
    pub enum Quota {
        /// People of the tenant who are not deleted, disabled ones too.
        Users = "users",
        /// Tenants that it manages now.
        Customers = "customers",
        /// Clients that belong to it.
        Clients = "clients",
        /// Delegated tokens that its people are given in a day, in whichever tenants.
        DelegatedTokensPerDay = "delegated_tokens_per_day",
        /// Delegated tokens that are given out for it in a day, to whichever partners' people.
        DelegatedTokensReceivedPerDay = "delegated_tokens_received_per_day",
    }
}

/// A number for each quota, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// See [`Quota::Users`].
    pub users: Option<u64>,
    /// See [`Quota::Customers`].
    pub customers: Option<u64>,
    /// See [`Quota::Clients`].
    pub clients: Option<u64>,
    /// See [`Quota::DelegatedTokensPerDay`].
    pub delegated_tokens_per_day: Option<u64>,
    /// See [`Quota::DelegatedTokensReceivedPerDay`].
    pub delegated_tokens_received_per_day: Option<u64>,
}

impl Quotas {
    /// No number is higher.
    pub const MOST: u64 = 1_000_000_000_000;

    /// The number for this quota.
    #[must_use]
    pub const fn of(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::Users => self.users,
            Quota::Customers => self.customers,
            Quota::Clients => self.clients,
            Quota::DelegatedTokensPerDay => self.delegated_tokens_per_day,
            Quota::DelegatedTokensReceivedPerDay => self.delegated_tokens_received_per_day,
        }
    }

    /// Those that have a number, in their order.
    pub fn stated(&self) -> impl Iterator<Item = Quota> {
        Quota::ALL.iter().copied().filter(|quota| self.of(*quota).is_some())
    }

    /// The first one that cannot be; a tenant has at least its admin.
    #[must_use]
    pub fn fault(&self) -> Option<Quota> {
        let is_bad = |quota: &Quota| {
            let least = u64::from(*quota == Quota::Users);
            self.of(*quota).is_some_and(|most| !(least..=Self::MOST).contains(&most))
        };
        Quota::ALL.iter().copied().find(is_bad)
    }
}

/// How much there is, and how much there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// So much is used.
    pub used: u64,
    /// So much there may be; `None`: any number.
    pub limit: Option<u64>,
}

impl Counted {
    /// Whether there is room for so much more.
    #[must_use]
    pub fn has_room_for(self, more: u64) -> bool {
        self.limit.is_none_or(|limit| self.used.saturating_add(more) <= limit)
    }

    /// Whether there is no room for another one.
    #[must_use]
    pub fn is_used_up(self) -> bool {
        !self.has_room_for(1)
    }
}

/// A day in UTC, by its number since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcDay(pub i64);

impl UtcDay {
    const SECS: i64 = 86_400;

    /// The day in which this instant lies.
    #[must_use]
    pub const fn of(at: Ts) -> Self {
        Self(at.secs().div_euclid(Self::SECS))
    }

    /// `2026-11-21`; `None` where the text is no such day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let day = Ts::parse_rfc3339(&format!("{text}T00:00:00Z")).map(Self::of)?;
        (day.to_string() == text).then_some(day)
    }

    /// Where it begins.
    #[must_use]
    pub const fn starts_at(self) -> Ts {
        Ts::from_secs(self.0.saturating_mul(Self::SECS))
    }

    /// Where the next one begins.
    #[must_use]
    pub const fn ends_at(self) -> Ts {
        self.plus(1).starts_at()
    }

    /// So many days later.
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl fmt::Display for UtcDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = self.starts_at().rfc3339();
        f.write_str(instant.split_once('T').map_or("", |(day, _)| day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_at_midnight_in_utc() {
        let midnight = Ts::parse_rfc3339("2026-11-22T00:00:00Z").unwrap();
        let before = UtcDay::of(Ts(midnight.0 - 1));
        assert_eq!((before.to_string().as_str(), before.ends_at()), ("2026-11-21", midnight));
        assert_eq!(UtcDay::of(midnight), before.plus(1));
        assert_eq!(UtcDay::parse("2026-11-21"), Some(before));
        for none in ["", "2026-11-31", "2026-11-21T00:00:00Z", "2026-1-1", "today", "20778"] {
            assert_eq!(UtcDay::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_quota_is_used_up_when_its_number_is_reached() {
        let counted = |used, limit| Counted { used, limit };
        assert!(!counted(2, Some(3)).is_used_up() && counted(3, Some(3)).is_used_up());
        assert!(counted(4, Some(3)).is_used_up(), "a number that was lowered under what there is");
        assert!(!counted(u64::MAX - 1, None).is_used_up());
        assert!(counted(3, Some(3)).has_room_for(0) && !counted(4, Some(3)).has_room_for(0));
        assert!(counted(0, Some(0)).is_used_up());
    }

    #[test]
    fn a_tenant_has_room_for_its_admin() {
        let quotas = |users, clients| Quotas { users, clients, ..Quotas::default() };
        assert_eq!(quotas(Some(1), Some(0)).fault(), None);
        assert_eq!(quotas(Some(0), None).fault(), Some(Quota::Users));
        assert_eq!(quotas(None, Some(Quotas::MOST + 1)).fault(), Some(Quota::Clients));
        assert_eq!(quotas(None, Some(7)).stated().collect::<Vec<_>>(), [Quota::Clients]);
    }
}
