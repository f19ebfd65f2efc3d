//! Keys of partners, by which programs of theirs act without a login: how one is written, what it is bound
//! to, and what one may be made with.

use std::net::IpAddr;

use ipnet::IpNet;
use procura_token::{ApiKeyId, Scope, TenantId};

use crate::{
    conditions::is_from,
    permission::{self, LIST_TENANTS, PROVISION_TENANTS, Permissions, SWITCH_CONTEXT},
    relationship::RelationshipKind,
    roles::UserRole,
};

/// What every key starts with.
pub const PREFIX: &str = "pk_";
/// The longest life, and the usual one. In days.
pub const MAX_DAYS: i64 = 90;
/// A person has at most so many live ones.
pub const MAX_LIVE: i64 = 20;
/// And at most so many that are over and still listed.
pub const MAX_OVER: i64 = 200;
/// A login is not older than this when it makes a key. In seconds.
pub const FRESH_LOGIN_SECS: i64 = 300;
/// What a key can permit at home. Each is held by its name alone: patterns are for what is in customers'
/// tenants.
pub const AT_HOME: &[&str] = &[LIST_TENANTS, SWITCH_CONTEXT, PROVISION_TENANTS];
/// The most members of any list of a key.
pub const MAX_MEMBERS: usize = 200;

/// By which key somebody comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByKey {
    /// Its id.
    pub id: ApiKeyId,
    /// To what it is bound.
    pub bounds: KeyBounds,
}

/// To what a key is bound, beyond its person and its client. It is never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBounds {
    /// The most that it permits.
    pub permissions: Permissions,
    /// The tenants that it can enter; without a list, whichever the person can.
    pub tenants: Option<Vec<TenantId>>,
    /// The networks from which it can be used; without a list, any.
    pub networks: Option<Vec<IpNet>>,
}

impl KeyBounds {
    /// Whether it permits this, in a customer's tenant.
    #[must_use]
    pub fn allow(&self, permission: &str) -> bool {
        self.permissions.allows(permission)
    }

    /// What it permits at home.
    #[must_use]
    pub fn at_home(&self) -> Scope {
        let is_named = |name: &&str| self.permissions.iter().any(|held| held == *name);
        AT_HOME.iter().copied().filter(is_named).collect()
    }

    /// Whether it is for this tenant.
    #[must_use]
    pub fn are_for(&self, tenant: Option<TenantId>) -> bool {
        let is_listed = |tenants: &Vec<TenantId>| tenant.is_some_and(|id| tenants.contains(&id));
        self.tenants.as_ref().is_none_or(is_listed)
    }

    /// Whether it can be used from this address.
    #[must_use]
    pub fn admit(&self, ip: Option<IpAddr>) -> bool {
        is_from(self.networks.as_deref(), ip)
    }

    /// The same bounds, each member once and in order.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        if let Some(tenants) = &mut self.tenants {
            tenants.sort_unstable();
            tenants.dedup();
        }
        if let Some(networks) = &mut self.networks {
            networks.sort_unstable();
            networks.dedup();
        }
        self
    }

    /// The first member that somebody with these roles, and a home token of this scope, cannot make a key
    /// with, by its name in the API.
    #[must_use]
    pub fn fault(&self, roles: &[UserRole], carried: &Scope) -> Option<&'static str> {
        let count = self.permissions.iter().count();
        let is_reached = |held: &str| is_carried(held, carried) && is_within_reach(held, roles);
        let is_reached = self.permissions.iter().all(is_reached);
        if !(1..=MAX_MEMBERS).contains(&count) || !is_reached {
            return Some("permissions");
        }
        // A list of nothing would be a key for nothing.
        let is_good =
            |length: Option<usize>| length.is_none_or(|length| (1..=MAX_MEMBERS).contains(&length));
        if !is_good(self.tenants.as_ref().map(Vec::len)) {
            return Some("tenants");
        }
        // Whom it sets up is none of those that it names.
        if self.tenants.is_some() && self.at_home().contains(PROVISION_TENANTS) {
            return Some("tenants");
        }
        if !is_good(self.networks.as_ref().map(Vec::len)) {
            return Some("networks");
        }
        None
    }
}

/// Whether the person let the client have what this takes: a key outlives the token, and is no wider.
fn is_carried(held: &str, carried: &Scope) -> bool {
    carried.contains(match held {
        PROVISION_TENANTS => LIST_TENANTS,
        _ if AT_HOME.contains(&held) => held,
        _ => SWITCH_CONTEXT,
    })
}

/// Whether somebody with these roles could do this at home, or in anybody's tenant.
fn is_within_reach(held: &str, roles: &[UserRole]) -> bool {
    if held == PROVISION_TENANTS {
        return roles.contains(&UserRole::PartnerAdmin);
    }
    if AT_HOME.contains(&held) {
        return roles.iter().any(|role| role.home_scope().contains(&held));
    }
    let wanted: Permissions = std::iter::once(held).collect();
    let reaches = |role: &UserRole| {
        role.reach(RelationshipKind::Manages).is_some_and(|reach| reach.covers(&wanted))
    };
    !permission::is_never_delegable(held) && roles.iter().any(reaches)
}

/// A key as its holder has it.
#[must_use]
pub fn written(id: ApiKeyId, secret: &str) -> String {
    format!("{PREFIX}{:032x}_{secret}", id.bits())
}

/// Whether a text means to be a key.
#[must_use]
pub fn is_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Which key a text says to be. What it proves is said by the hash of all of it.
#[must_use]
pub fn read(text: &str) -> Option<ApiKeyId> {
    let (digits, secret) = text.strip_prefix(PREFIX)?.split_at_checked(32)?;
    let secret = secret.strip_prefix('_')?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if secret.len() != 43 || !secret.bytes().all(is_plain) {
        return None;
    }
    format!("{}{digits}", ApiKeyId::PREFIX).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = "partner.tenants.list partner.tenants.switch_context";

    fn fault(bounds: &KeyBounds, roles: &[UserRole]) -> Option<&'static str> {
        bounds.fault(roles, &EVERYTHING.parse().unwrap())
    }

    fn bounds(permissions: &str) -> KeyBounds {
        KeyBounds { permissions: permissions.parse().unwrap(), tenants: None, networks: None }
    }

    #[test]
    fn a_key_has_exactly_one_spelling() {
        let id = ApiKeyId::from_bits(0x0199_aabb);
        let secret = "a".repeat(43);
        let text = written(id, &secret);
        assert_eq!(read(&text), Some(id));
        for bad in [
            text.to_uppercase(),
            text.replace("pk_", "PK_"),
            format!("{text}a"),
            format!("{text} "),
            text.get(..text.len() - 1).unwrap().to_owned(),
            text.replacen('_', "-", 2),
            text.replacen("aabb", "AABB", 1),
            "pk_".to_owned(),
            "pk_é".repeat(20),
            String::new(),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn nobody_makes_a_key_for_more_than_the_own_roles_reach() {
        let support = &[UserRole::PartnerSupport][..];
        let admin = &[UserRole::PartnerAdmin][..];
        for good in
            ["partner.support.tickets.list", "partner.support.tickets.list partner.tenants.list"]
        {
            assert_eq!(fault(&bounds(good), support), None, "{good}");
        }
        for bad in [
            "",
            "partner.billing.invoices.read",
            "*",
            "partner.*",
            PROVISION_TENANTS,
            "tenant.admin",
        ] {
            assert_eq!(fault(&bounds(bad), support), Some("permissions"), "{bad}");
        }
        for good in ["*", PROVISION_TENANTS, "tenant.users.* partner.tenants.switch_context"] {
            assert_eq!(fault(&bounds(good), admin), None, "{good}");
        }
        assert_eq!(fault(&bounds("secrets.read"), admin), Some("permissions"));
        for role in [UserRole::Member, UserRole::TenantAdmin] {
            assert_eq!(fault(&bounds("*"), &[role]), Some("permissions"), "{role}");
        }
        let empty = KeyBounds { tenants: Some(Vec::new()), ..bounds("*") };
        assert_eq!(fault(&empty, admin), Some("tenants"));
        let for_one =
            |held| KeyBounds { tenants: Some(vec![TenantId::from_bits(1)]), ..bounds(held) };
        assert_eq!(fault(&for_one(PROVISION_TENANTS), admin), Some("tenants"));
        assert_eq!(fault(&for_one("* partner.tenants.list"), admin), None, "the honest twin");
        let empty = KeyBounds { networks: Some(Vec::new()), ..bounds("*") };
        assert_eq!(fault(&empty, admin), Some("networks"));
    }

    #[test]
    fn a_key_is_no_wider_than_the_token_that_makes_it() {
        let admin = &[UserRole::PartnerAdmin][..];
        for (held, carried, is_good) in [
            (LIST_TENANTS, LIST_TENANTS, true),
            (PROVISION_TENANTS, LIST_TENANTS, true),
            (SWITCH_CONTEXT, LIST_TENANTS, false),
            ("tenant.users.list", LIST_TENANTS, false),
            ("*", LIST_TENANTS, false),
            (SWITCH_CONTEXT, SWITCH_CONTEXT, true),
            ("tenant.users.list", SWITCH_CONTEXT, true),
            (LIST_TENANTS, SWITCH_CONTEXT, false),
            (PROVISION_TENANTS, SWITCH_CONTEXT, false),
            (LIST_TENANTS, "openid", false),
        ] {
            let fault = bounds(held).fault(admin, &carried.parse().unwrap());
            assert_eq!(fault.is_none(), is_good, "{held} by {carried}");
        }
    }

    #[test]
    fn a_pattern_permits_nothing_at_home() {
        assert!(bounds("* partner.* partner.tenants.*").at_home().is_empty());
        let named = bounds("* partner.tenants.list").at_home();
        assert_eq!(named.to_string(), LIST_TENANTS);
    }

    #[test]
    fn what_a_key_is_bound_to_stands_in_it_once_and_in_order() {
        let tenant = TenantId::from_bits;
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let held = KeyBounds {
            tenants: Some(vec![tenant(3), tenant(1), tenant(3)]),
            networks: Some(networks(&["192.0.2.0/24", "10.0.0.0/8", "192.0.2.0/24"])),
            ..bounds("b.read a.read b.read")
        };
        let once = KeyBounds {
            tenants: Some(vec![tenant(1), tenant(3)]),
            networks: Some(networks(&["10.0.0.0/8", "192.0.2.0/24"])),
            ..bounds("a.read b.read")
        };
        assert_eq!(held.in_order(), once);
        assert_eq!(bounds("*").in_order(), bounds("*"), "no list is no empty one");
    }

    #[test]
    fn a_bound_that_is_absent_bounds_nothing_and_one_that_is_there_holds() {
        let (one, other) = (TenantId::from_bits(1), TenantId::from_bits(2));
        let open = bounds("*");
        assert!(open.are_for(Some(one)) && open.are_for(None) && open.admit(None));
        let bound = KeyBounds {
            tenants: Some(vec![one]),
            networks: Some(vec!["10.0.0.0/8".parse().unwrap()]),
            ..open
        };
        assert!(bound.are_for(Some(one)) && !bound.are_for(Some(other)) && !bound.are_for(None));
        let at = |ip: &str| Some(ip.parse().unwrap());
        assert!(bound.admit(at("10.1.2.3")) && bound.admit(at("::ffff:10.1.2.3")));
        assert!(!bound.admit(at("192.0.2.1")) && !bound.admit(None));
    }
}
