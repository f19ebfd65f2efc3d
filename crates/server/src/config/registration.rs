//! The section about software that registers itself.

use procura_domain::{AuthMethod, Profile, self_registration::Policy};
use procura_issuer::self_registration::Rules;
use serde::Deserialize;

/// How software may register itself (RFC 7591): not at all, unless it is enabled.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registration {
    /// Whether it may.
    pub enabled: bool,
    /// Whether it needs an initial access token of an administrator.
    pub is_initial_token_required: bool,
    /// The tenant, by id or slug, that owns what comes without one.
    pub tenant: String,
    /// Profiles that it may name; the first one where it names none.
    pub profiles: Vec<String>,
    /// How it may prove who it is.
    pub auth_methods: Vec<String>,
    /// Grant types that it may have.
    pub grant_types: Vec<String>,
    /// Scopes that it may ask for; all of them where it names none.
    pub scope: String,
    /// So many in a minute from one address (one /64 in IPv6).
    pub per_minute: u32,
    /// So many there are at most.
    pub max_clients: u32,
    /// Nobody having agreed to it for so many days, a client goes.
    pub unused_days: u32,
}

impl Default for Registration {
    fn default() -> Self {
        let Policy { profiles, auth_methods, grant_types, scope } = Policy::default();
        Self {
            enabled: false,
            is_initial_token_required: true,
            tenant: String::new(),
            profiles: profiles.iter().map(ToString::to_string).collect(),
            auth_methods: auth_methods.iter().map(ToString::to_string).collect(),
            grant_types: grant_types.into_iter().collect(),
            scope: scope.to_string(),
            per_minute: 20,
            max_clients: 1000,
            unused_days: 30,
        }
    }
}

impl Registration {
    fn policy(&self) -> Result<Policy, &'static str> {
        let profiles: Result<Vec<Profile>, _> =
            self.profiles.iter().map(|name| name.parse()).collect();
        let auth_methods: Result<Vec<AuthMethod>, _> =
            self.auth_methods.iter().map(|name| name.parse()).collect();
        Ok(Policy {
            profiles: profiles.map_err(|_| "registration.profiles names one that is not known")?,
            auth_methods: auth_methods
                .map_err(|_| "registration.auth_methods names one that is not known")?,
            grant_types: self.grant_types.iter().cloned().collect(),
            scope: self.scope.parse().map_err(|_| "registration.scope is no list of scopes")?,
        })
    }

    /// Why these settings cannot be used.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let policy = match self.policy() {
            Ok(policy) => policy,
            Err(fault) => return Some(fault),
        };
        if let Some(fault) = policy.fault() {
            return Some(fault);
        }
        if self.is_initial_token_required == self.tenant.is_empty() {
            // Both fit.
        } else if self.is_initial_token_required {
            return Some(
                "registration.tenant is for registrations without an initial access token",
            );
        } else {
            return Some("registration without an initial access token needs registration.tenant");
        }
        if !(1..=10_000).contains(&self.per_minute) {
            return Some("registration.per_minute must be from 1 to 10000");
        }
        if !(1..=1_000_000).contains(&self.max_clients) {
            return Some("registration.max_clients must be from 1 to 1000000");
        }
        if !(1..=3650).contains(&self.unused_days) {
            return Some("registration.unused_days must be from 1 to 3650");
        }
        None
    }

    /// What the issuer goes by; `None` where software may not register itself.
    #[must_use]
    pub fn rules(&self) -> Option<Rules> {
        let policy = self.policy().ok().filter(|_| self.enabled)?;
        Some(Rules {
            policy,
            open_for: (!self.is_initial_token_required).then(|| self.tenant.clone()),
            per_minute: self.per_minute,
            max_clients: i64::from(self.max_clients),
            unused_secs: i64::from(self.unused_days) * 86_400,
        })
    }

    /// As a file would say it.
    pub(super) fn to_toml(&self) -> String {
        format!(
            "[registration]\nenabled = {:?}\nis_initial_token_required = {:?}\ntenant = {:?}\n\
             profiles = {:?}\nauth_methods = {:?}\ngrant_types = {:?}\nscope = {:?}\n\
             per_minute = {}\nmax_clients = {}\nunused_days = {}\n\n",
            self.enabled,
            self.is_initial_token_required,
            self.tenant,
            self.profiles,
            self.auth_methods,
            self.grant_types,
            self.scope,
            self.per_minute,
            self.max_clients,
            self.unused_days,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Registration)) -> Option<&'static str> {
        let mut section = Registration::default();
        change(&mut section);
        section.fault()
    }

    #[test]
    fn nobody_registers_itself_unless_it_is_enabled() {
        assert!(Registration::default().rules().is_none());
        let enabled = Registration { enabled: true, ..Registration::default() };
        assert_eq!(enabled.fault(), None);
        assert_eq!(enabled.rules().map(|rules| rules.open_for), Some(None));
    }

    #[test]
    fn an_open_door_says_whose_it_is() {
        assert!(with(|r| r.is_initial_token_required = false).is_some());
        assert!(with(|r| r.tenant = "northwind".to_owned()).is_some());
        let open = |r: &mut Registration| {
            (r.is_initial_token_required, r.tenant) = (false, "northwind".to_owned());
        };
        assert_eq!(with(open), None);
    }

    #[test]
    fn no_setting_lets_software_be_more_than_an_application() {
        assert!(with(|r| r.scope = "openid tenant.admin".to_owned()).is_some());
        assert!(with(|r| r.grant_types.push("client_credentials".to_owned())).is_some());
        assert!(with(|r| r.profiles = vec!["saml".to_owned()]).is_some());
        assert!(with(|r| r.auth_methods = vec!["tls_client_auth".to_owned()]).is_some());
        assert!(with(|r| r.unused_days = 0).is_some());
    }
}
