//! Which limits there are, and how much each of them gives.

use procura_store::budgets::Rate;

/// A limit, by what is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// What one person does in customers' tenants.
    CrossUser,
    /// What all people of a partner do there.
    CrossPartner,
    /// What they do in one of them.
    CrossTarget,
    /// What one person asks the management API.
    HomeUser,
    /// What all people of a tenant ask it.
    HomeTenant,
    /// What a client asks the OAuth endpoints, where it is not an exchange.
    Client,
    /// What comes from one address (one /64 in IPv6) by nobody that is known.
    Address,
}

impl Limit {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::CrossUser,
        Self::CrossPartner,
        Self::CrossTarget,
        Self::HomeUser,
        Self::HomeTenant,
        Self::Client,
        Self::Address,
    ];

    /// As headers, figures and the audit log call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrossUser => "cross-user",
            Self::CrossPartner => "cross-partner",
            Self::CrossTarget => "cross-target",
            Self::HomeUser => "home-user",
            Self::HomeTenant => "home-tenant",
            Self::Client => "client",
            Self::Address => "address",
        }
    }

    /// Its place in the list.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// So many requests in a minute for each limit, and how many of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// [`Limit::CrossUser`].
    pub cross_user: u32,
    /// [`Limit::CrossPartner`].
    pub cross_partner: u32,
    /// [`Limit::CrossTarget`].
    pub cross_target: u32,
    /// [`Limit::HomeUser`].
    pub home_user: u32,
    /// [`Limit::HomeTenant`].
    pub home_tenant: u32,
    /// [`Limit::Client`].
    pub client: u32,
    /// [`Limit::Address`].
    pub address: u32,
    /// As many may come at once as fill up in so many seconds; at least one.
    pub burst_secs: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            cross_user: 12_000,
            cross_partner: 60_000,
            cross_target: 12_000,
            home_user: 30_000,
            home_tenant: 120_000,
            client: 120_000,
            address: 60_000,
            burst_secs: 5,
        }
    }
}

impl Rules {
    /// So many in a minute.
    #[must_use]
    pub const fn per_minute(&self, limit: Limit) -> u32 {
        match limit {
            Limit::CrossUser => self.cross_user,
            Limit::CrossPartner => self.cross_partner,
            Limit::CrossTarget => self.cross_target,
            Limit::HomeUser => self.home_user,
            Limit::HomeTenant => self.home_tenant,
            Limit::Client => self.client,
            Limit::Address => self.address,
        }
    }

    /// How its budgets fill up.
    #[must_use]
    pub fn rate(&self, limit: Limit) -> Rate {
        let per_minute = u64::from(self.per_minute(limit).max(1));
        let burst = per_minute * u64::from(self.burst_secs) / 60;
        Rate {
            interval_micros: (60_000_000 / per_minute).max(1),
            burst: u32::try_from(burst).unwrap_or(u32::MAX).max(1),
        }
    }
}
