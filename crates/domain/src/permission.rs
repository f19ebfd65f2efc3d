//! Permission sets: exact permissions and patterns with a wildcard at the end.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use procura_token::Scope;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::words::UnknownWord;

/// What no relationship can hand over, whatever its role or custom permissions say: the customer's
/// own relationships and partner-access switch, its identity providers, its root admins and their
/// credentials, its keys, deletion of its audit log, and reading secrets (overwriting is allowed).
pub const NEVER_DELEGABLE: &[&str] = &[
    "tenant.relationships.*",
    "tenant.partner_access.*",
    "tenant.identity_providers.*",
    "tenant.root_admins.*",
    "tenant.keys.*",
    "tenant.audit.delete",
    "tenant.delete",
    "secrets.read",
    "procura.*",
];

/// What a user needs in the home token to see the tenants that may be entered.
pub const LIST_TENANTS: &str = "partner.tenants.list";

/// What a user needs in the home token to switch into another tenant.
pub const SWITCH_CONTEXT: &str = "partner.tenants.switch_context";

/// The permission to set customers up, which a key must be given by its name. Whoever is logged in needs the
/// role alone.
pub const PROVISION_TENANTS: &str = "partner.tenants.provision";

/// What a token needs to see personal data unmasked.
pub const UNMASK_PII: &str = "pii.unmask";

/// Whether a permission can never be delegated.
#[must_use]
pub fn is_never_delegable(permission: &str) -> bool {
    NEVER_DELEGABLE.iter().any(|pattern| matches(pattern, permission))
}

/// Whether a permission, or a pattern of permissions, reaches anything that can never be delegated.
#[must_use]
pub fn reaches_never_delegable(pattern: &str) -> bool {
    NEVER_DELEGABLE.iter().any(|never| match (pattern.strip_suffix('*'), never.strip_suffix('*')) {
        (Some(stem), Some(never)) => stem.starts_with(never) || never.starts_with(stem),
        (Some(stem), None) => never.starts_with(stem),
        (None, _) => matches(never, pattern),
    })
}

/// Whether a permission only reads, and so remains under `restricted` access. A permission that is
/// not known to read counts as writing.
#[must_use]
pub fn is_read_only(permission: &str) -> bool {
    let last = permission.rsplit('.').next().unwrap_or_default();
    matches!(last, "read" | "list")
}

/// Whether this is a pattern and names no single permission. A request can spell one, because a
/// scope may contain any printable letter.
#[must_use]
pub fn is_pattern(permission: &str) -> bool {
    permission.contains('*')
}

fn matches(pattern: &str, permission: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => permission.len() > stem.len() && permission.starts_with(stem),
        None => pattern == permission,
    }
}

/// A set of permissions: what a role, a client or a resource server allows. Patterns end in `.*`;
/// a lone `*` allows everything that can be delegated at all.
///
/// Sorted, each once, and shared: every exchange holds four of these, so that a clone must cost
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Arc<[Cow<'static, str>]>);

impl Permissions {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(&[&["*"]])
    }

    /// The union of lists that the program itself knows.
    pub(crate) fn of(lists: &[&[&'static str]]) -> Self {
        Self::sorted(lists.iter().copied().flatten().map(|text| Cow::Borrowed(*text)).collect())
    }

    fn sorted(mut permissions: Vec<Cow<'static, str>>) -> Self {
        permissions.sort_unstable();
        permissions.dedup();
        Self(permissions.into())
    }

    /// Whether the permission is allowed.
    #[must_use]
    pub fn allows(&self, permission: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, permission))
    }

    /// The narrowest permission or pattern of the set that allows it.
    #[must_use]
    pub fn narrowest(&self, permission: &str) -> Option<&str> {
        let allowing = self.iter().filter(|pattern| matches(pattern, permission));
        allowing.max_by_key(|pattern| (pattern.len(), !is_pattern(pattern)))
    }

    /// The exact permissions, without the patterns: what "all of it" means where nothing was asked.
    #[must_use]
    pub fn exact(&self) -> Scope {
        self.iter().filter(|p| !p.ends_with('*')).collect()
    }

    /// The patterns and permissions in byte order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Whether everything that the other set allows is allowed here too. Patterns are compared as
    /// patterns, so the answer may be "no" where it would take an enumeration to say "yes".
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|wanted| {
            self.iter().any(|held| match (held.strip_suffix('*'), wanted.strip_suffix('*')) {
                (Some(held), Some(wanted)) => wanted.starts_with(held),
                (Some(_), None) => matches(held, wanted),
                (None, Some(_)) => false,
                (None, None) => held == wanted,
            })
        })
    }
}

impl<'a> FromIterator<&'a str> for Permissions {
    fn from_iter<I: IntoIterator<Item = &'a str>>(permissions: I) -> Self {
        Self::sorted(permissions.into_iter().map(|text| Cow::Owned(text.to_owned())).collect())
    }
}

impl FromStr for Permissions {
    type Err = UnknownWord;

    /// Space-separated; a `*` may stand only alone or after a final dot.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut permissions = Vec::new();
        for part in text.split(' ').filter(|p| !p.is_empty()) {
            let stem = part.strip_suffix('*').unwrap_or(part);
            let is_plain = |b: u8| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || matches!(b, b'.' | b'_' | b'-' | b':')
            };
            let has_good_star = stem.len() == part.len() || stem.is_empty() || stem.ends_with('.');
            if !has_good_star || part.len() > 128 || !stem.bytes().all(is_plain) {
                return Err(UnknownWord);
            }
            permissions.push(Cow::Owned(part.to_owned()));
        }
        Ok(Self::sorted(permissions))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(" "))
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_what_is_below_it_and_not_its_own_stem() {
        let set: Permissions = ["partner.billing.*"].into_iter().collect();
        assert!(set.allows("partner.billing.read"));
        assert!(set.allows("partner.billing.invoices.read"));
        assert!(!set.allows("partner.billing."));
        assert!(!set.allows("partner.billing"));
        assert!(!set.allows("partner.billings"));
    }

    #[test]
    fn the_narrowest_of_all_that_allow_it_is_found() {
        let set: Permissions = "* a.* a.b a.b.*".parse().unwrap();
        for (permission, narrowest) in
            [("a.b", "a.b"), ("a.c", "a.*"), ("a.b.c", "a.b.*"), ("b", "*"), ("a.bc", "a.*")]
        {
            assert_eq!(set.narrowest(permission), Some(narrowest), "{permission}");
        }
        assert_eq!("a.*".parse::<Permissions>().unwrap().narrowest("a."), None);
    }

    #[test]
    fn a_wildcard_stands_only_at_the_end() {
        for bad in ["a*", "a.*.b", "**", "a.b*", "A.b", "a\"b"] {
            assert!(bad.parse::<Permissions>().is_err(), "{bad}");
        }
        for good in ["*", "a.*", "a.b", "", "a b.*"] {
            assert!(good.parse::<Permissions>().is_ok(), "{good}");
        }
    }

    #[test]
    fn reading_secrets_is_never_delegable_and_overwriting_them_is() {
        assert!(is_never_delegable("secrets.read"));
        assert!(!is_never_delegable("secrets.overwrite"));
        assert!(is_never_delegable("tenant.partner_access.write"));
    }

    #[test]
    fn a_pattern_covers_the_narrower_pattern_only() {
        let wide: Permissions = ["a.*"].into_iter().collect();
        let narrow: Permissions = ["a.b.*", "a.c"].into_iter().collect();
        assert!(wide.covers(&narrow));
        assert!(!narrow.covers(&wide));
    }
}
