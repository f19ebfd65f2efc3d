//! What a tenant demands of its people's logins, and what several policies together demand: the strictest of
//! each. Not the policy of `policy.rs`, which says who may change what.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    client_settings::{Fault, require},
    roles::UserRole,
    words::words,
};

words! {
    /// How strongly somebody must log in; the weakest first, as in [`ACRS`](crate::acr::ACRS).
    pub enum Strength {
        /// By a password.
        Password = "urn:procura:acr:pwd",
        /// By two factors.
        TwoFactors = "urn:procura:acr:mfa",
        /// By a key that nobody can be talked out of.
        PhishingResistant = "urn:procura:acr:phr",
    }
}

words! {
    /// What a login lacks.
    pub enum Unmet {
        /// It is too weak.
        TooWeak = "policy_login_too_weak",
        /// It came through an identity provider that does not count.
        WrongProvider = "policy_provider_not_allowed",
    }
}

words! {
    /// How a person stands to the policies of the own tenant.
    pub enum Standing {
        /// Bound by all of them.
        Member = "member",
        /// Bound by what an admin of the tenant agreed to: nobody else's policy shuts an admin out.
        Admin = "admin",
        /// The same, and has no other login than by a password.
        Operator = "operator",
    }
}

/// The shortest time after which logins can be made to end.
pub const LEAST_SESSION_SECS: i64 = 300;
const MOST_SESSION_SECS: i64 = 365 * 86_400;
/// The length of passwords that can be demanded.
pub const PASSWORD_CHARS: std::ops::RangeInclusive<u32> = 12..=64;
const MAX_PROVIDERS: usize = 32;
const MAX_PROVIDER_BYTES: usize = 100;

/// Demands. What is absent demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginRules {
    /// The weakest login that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_acr: Option<Strength>,
    /// After so many seconds a login is over, whatever came from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_max_secs: Option<i64>,
    /// Only logins through these count, by the names in the claim `idp`; `local` is our own password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_providers: Option<BTreeSet<String>>,
    /// A password that is set has at least so many characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_min_length: Option<u32>,
}

/// A policy that holds in a tenant.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a> {
    /// What it demands.
    pub rules: &'a LoginRules,
    /// Whether an admin of the tenant agreed to it: it is the tenant's own, or was kept.
    pub is_agreed: bool,
}

impl LoginRules {
    /// Whether a policy can have these.
    pub fn check(&self) -> Result<(), Fault> {
        let secs = self.session_max_secs.unwrap_or(MOST_SESSION_SECS);
        require(
            (LEAST_SESSION_SECS..=MOST_SESSION_SECS).contains(&secs),
            "session_max_secs",
            "must be 300 to 31536000",
        )?;
        let is_list = |list: &BTreeSet<String>| {
            (1..=MAX_PROVIDERS).contains(&list.len()) && list.iter().all(|name| is_name(name))
        };
        require(
            self.identity_providers.as_ref().is_none_or(is_list),
            "identity_providers",
            "must be 1 to 32 names of identity providers, or local",
        )?;
        require(
            self.password_min_length.is_none_or(|length| PASSWORD_CHARS.contains(&length)),
            "password_min_length",
            "must be 12 to 64",
        )
    }

    /// What both demand together: the stricter of each.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            min_acr: self.min_acr.max(other.min_acr),
            session_max_secs: least(self.session_max_secs, other.session_max_secs),
            identity_providers: match (&self.identity_providers, &other.identity_providers) {
                (Some(one), Some(other)) => Some(one & other),
                (one, other) => one.as_ref().or(other.as_ref()).cloned(),
            },
            password_min_length: self.password_min_length.max(other.password_min_length),
        }
    }

    /// What a login by this context, through this identity provider, lacks.
    #[must_use]
    pub fn unmet_by(&self, acr: &str, idp: &str) -> Option<Unmet> {
        if self.identity_providers.as_ref().is_some_and(|list| !list.contains(idp)) {
            return Some(Unmet::WrongProvider);
        }
        // A context that nobody knows proves nothing.
        let shown = acr.parse::<Strength>().ok();
        (self.min_acr.is_some() && shown < self.min_acr).then_some(Unmet::TooWeak)
    }

    /// The contexts that are too weak for it are all but these; `None` where any will do.
    #[must_use]
    pub fn strong_enough(&self) -> Option<Vec<Strength>> {
        let least = self.min_acr?;
        Some(Strength::ALL.iter().copied().filter(|strength| *strength >= least).collect())
    }
}

/// What several policies demand together. Their order makes no difference.
#[must_use]
pub fn effective<'a>(rules: impl IntoIterator<Item = &'a LoginRules>) -> LoginRules {
    rules.into_iter().fold(LoginRules::default(), |all, one| all.and(one))
}

impl Standing {
    /// Of somebody with these roles.
    #[must_use]
    pub fn of(roles: &[UserRole]) -> Self {
        if roles.contains(&UserRole::SuperAdmin) {
            Self::Operator
        } else if roles.contains(&UserRole::TenantAdmin) {
            Self::Admin
        } else {
            Self::Member
        }
    }

    /// Whether a policy that holds in the tenant binds somebody who stands so.
    #[must_use]
    pub fn is_bound_by(self, holding: Holding<'_>) -> bool {
        holding.is_agreed || self == Self::Member
    }

    /// What all that holds in a tenant demands of somebody who stands so.
    #[must_use]
    pub fn demands<'a>(self, holding: impl IntoIterator<Item = Holding<'a>>) -> LoginRules {
        let bound = holding.into_iter().filter(|one| self.is_bound_by(*one));
        let rules = effective(bound.map(|one| one.rules));
        match self {
            Self::Operator => LoginRules { min_acr: None, identity_providers: None, ..rules },
            Self::Admin | Self::Member => rules,
        }
    }
}

fn least(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

/// As a provider is named in tokens: never more than plain words and a slash, so that a list of them can be
/// looked through as a text.
fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'/');
    (1..=MAX_PROVIDER_BYTES).contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acr::ACRS;

    /// Every combination of a few values of each rule.
    fn some() -> Vec<LoginRules> {
        let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        let mut all = Vec::new();
        for min_acr in [None, Some(Strength::TwoFactors), Some(Strength::PhishingResistant)] {
            for session_max_secs in [None, Some(300), Some(900)] {
                for identity_providers in [None, list(&["local"]), list(&["a/b", "local"])] {
                    for password_min_length in [None, Some(16)] {
                        let identity_providers = identity_providers.clone();
                        all.push(LoginRules {
                            min_acr,
                            session_max_secs,
                            identity_providers,
                            password_min_length,
                        });
                    }
                }
            }
        }
        all
    }

    /// Every login that can be told apart.
    fn logins() -> impl Iterator<Item = (&'static str, &'static str)> {
        let acrs = ACRS.into_iter().chain(["unknown"]);
        acrs.flat_map(|acr| ["local", "a/b", "c/d"].map(|idp| (acr, idp)))
    }

    fn is_looser(one: &LoginRules, than: &LoginRules) -> bool {
        let lets = |rules: &LoginRules, (acr, idp)| rules.unmet_by(acr, idp).is_none();
        logins().any(|login| lets(one, login) && !lets(than, login))
            || one.session_max_secs.unwrap_or(i64::MAX) > than.session_max_secs.unwrap_or(i64::MAX)
            || one.password_min_length < than.password_min_length
    }

    #[test]
    fn more_policies_never_loosen_and_their_order_makes_no_difference() {
        let all = some();
        for one in &all {
            assert_eq!(effective([one]), *one);
            assert_eq!(one.and(one), *one, "twice is once");
            for other in &all {
                let both = one.and(other);
                assert_eq!(both, other.and(one));
                assert!(!is_looser(&both, one) && !is_looser(&both, other), "{one:?} {other:?}");
                for third in all.iter().step_by(7) {
                    assert_eq!(both.and(third), one.and(&other.and(third)));
                }
            }
        }
    }

    #[test]
    fn the_words_of_strength_are_those_of_logins() {
        assert_eq!(Strength::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>(), ACRS);
        let mfa = LoginRules { min_acr: Some(Strength::TwoFactors), ..LoginRules::default() };
        let counts = |acr| mfa.unmet_by(acr, "local").is_none();
        assert_eq!(ACRS.map(counts), [false, true, true]);
        assert!(!counts("unknown") && !counts(""));
        assert_eq!(mfa.strong_enough().map(|all| all.len()), Some(2));
        assert_eq!(LoginRules::default().unmet_by("unknown", "any"), None);
    }

    #[test]
    fn nobody_elses_policy_binds_an_admin_before_it_was_agreed_to() {
        for rules in some() {
            let foreign = Holding { rules: &rules, is_agreed: false };
            let own = Holding { rules: &rules, is_agreed: true };
            assert_eq!(Standing::Member.demands([foreign]), rules);
            assert_eq!(Standing::Admin.demands([foreign]), LoginRules::default());
            assert_eq!(Standing::Admin.demands([own]), rules);
            let operator = Standing::Operator.demands([own]);
            assert_eq!(operator.session_max_secs, rules.session_max_secs);
            assert_eq!(operator.unmet_by(ACRS[0], "local"), None, "has no other way in");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let rules = |text: &str| serde_json::from_str::<LoginRules>(text);
        for (text, member) in [
            (r#"{"session_max_secs": 299}"#, "session_max_secs"),
            (r#"{"session_max_secs": 31536001}"#, "session_max_secs"),
            (r#"{"identity_providers": []}"#, "identity_providers"),
            (r#"{"identity_providers": ["A/b"]}"#, "identity_providers"),
            (r#"{"identity_providers": ["a b"]}"#, "identity_providers"),
            (r#"{"identity_providers": ["a%"]}"#, "identity_providers"),
            (r#"{"password_min_length": 11}"#, "password_min_length"),
            (r#"{"password_min_length": 65}"#, "password_min_length"),
        ] {
            let fault = rules(text).unwrap().check();
            assert_eq!(fault.map_err(|fault| fault.member), Err(member), "{text}");
        }
        for bad in [r#"{"min_acr": "mfa"}"#, r#"{"mfa": true}"#, "{} {}"] {
            assert!(rules(bad).is_err(), "{bad}");
        }
        let good = r#"{"min_acr": "urn:procura:acr:mfa", "identity_providers": ["local", "a/b"]}"#;
        assert!(rules(good).unwrap().check().is_ok());
    }
}
