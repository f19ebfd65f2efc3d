//! The section about how much one caller may ask for.

use procura_issuer::rate_limits::Rules;
use serde::Deserialize;

/// More in a minute is no limit, and finer than what is counted by.
const MOST: u32 = 10_000_000;

/// So many requests in a minute for one caller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Whether there are any.
    pub enabled: bool,
    /// As many may come at once as fill up in so many seconds.
    pub burst_secs: u32,
    /// By one person into customers' tenants.
    pub cross_user_per_minute: u32,
    /// By all people of a partner.
    pub cross_partner_per_minute: u32,
    /// By all people of a partner into one tenant.
    pub cross_target_per_minute: u32,
    /// By one person to the management API.
    pub home_user_per_minute: u32,
    /// By all people of a tenant to it.
    pub home_tenant_per_minute: u32,
    /// By one client to the OAuth endpoints, besides exchanges.
    pub client_per_minute: u32,
    /// By one address (one /64 in IPv6) to the pages, and to the API without a good token.
    pub address_per_minute: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            enabled: true,
            burst_secs: rules.burst_secs,
            cross_user_per_minute: rules.cross_user,
            cross_partner_per_minute: rules.cross_partner,
            cross_target_per_minute: rules.cross_target,
            home_user_per_minute: rules.home_user,
            home_tenant_per_minute: rules.home_tenant,
            client_per_minute: rules.client,
            address_per_minute: rules.address,
        }
    }
}

impl RateLimits {
    /// Each of them, and its name in the file.
    const fn all(&self) -> [(&'static str, u32); 7] {
        [
            ("cross_user_per_minute", self.cross_user_per_minute),
            ("cross_partner_per_minute", self.cross_partner_per_minute),
            ("cross_target_per_minute", self.cross_target_per_minute),
            ("home_user_per_minute", self.home_user_per_minute),
            ("home_tenant_per_minute", self.home_tenant_per_minute),
            ("client_per_minute", self.client_per_minute),
            ("address_per_minute", self.address_per_minute),
        ]
    }

    /// Why these settings cannot be used.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if !(1..=3600).contains(&self.burst_secs) {
            return Some("rate_limits.burst_secs must be from 1 to 3600");
        }
        if self.all().iter().any(|(_, per_minute)| !(1..=MOST).contains(per_minute)) {
            return Some("rate_limits: each …_per_minute must be from 1 to 10000000");
        }
        // What goes across tenants is bounded more closely than what stays at home.
        let is_stricter = self.cross_user_per_minute <= self.home_user_per_minute
            && self.cross_partner_per_minute <= self.home_tenant_per_minute;
        (!is_stricter).then_some(
            "rate_limits.cross_user_per_minute and cross_partner_per_minute must not be above \
             home_user_per_minute and home_tenant_per_minute",
        )
    }

    /// What the issuer goes by; `None` where nothing is limited.
    #[must_use]
    pub fn rules(&self) -> Option<Rules> {
        self.enabled.then_some(Rules {
            cross_user: self.cross_user_per_minute,
            cross_partner: self.cross_partner_per_minute,
            cross_target: self.cross_target_per_minute,
            home_user: self.home_user_per_minute,
            home_tenant: self.home_tenant_per_minute,
            client: self.client_per_minute,
            address: self.address_per_minute,
            burst_secs: self.burst_secs,
        })
    }

    /// As a file would say it.
    pub(super) fn to_toml(&self) -> String {
        let line = |(name, per_minute)| format!("{name} = {per_minute}\n");
        let limits = self.all().map(line).concat();
        let (enabled, burst_secs) = (self.enabled, self.burst_secs);
        format!("[rate_limits]\nenabled = {enabled}\nburst_secs = {burst_secs}\n{limits}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut RateLimits)) -> Option<&'static str> {
        let mut section = RateLimits::default();
        change(&mut section);
        section.fault()
    }

    #[test]
    fn across_tenants_is_never_looser_than_at_home() {
        assert_eq!(with(|_| {}), None);
        assert!(with(|s| s.cross_user_per_minute = s.home_user_per_minute + 1).is_some());
        assert!(with(|s| s.cross_partner_per_minute = s.home_tenant_per_minute + 1).is_some());
        assert!(with(|s| s.home_user_per_minute = 1).is_some());
    }

    #[test]
    fn a_limit_gives_something_and_has_an_end() {
        assert!(with(|s| s.client_per_minute = 0).is_some());
        assert!(with(|s| s.address_per_minute = MOST + 1).is_some());
        assert!(with(|s| s.burst_secs = 0).is_some());
        assert!(RateLimits { enabled: false, ..RateLimits::default() }.rules().is_none());
        let one = RateLimits { cross_user_per_minute: 1, burst_secs: 1, ..RateLimits::default() };
        let rate = one.rules().unwrap().rate(procura_issuer::rate_limits::Limit::CrossUser);
        assert_eq!((rate.burst, rate.interval_micros), (1, 60_000_000));
    }
}
