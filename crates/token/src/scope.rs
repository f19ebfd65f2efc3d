//! Scope: a set of permission strings, sorted, each at most once (RFC 6749 §3.3).

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// At most this many permissions in one scope, and this many bytes in its text.
const LIMITS: (usize, usize) = (128, 4096);

/// A set of permissions such as `billing.read`. An empty scope grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope(BTreeSet<Box<str>>);

/// The text is not a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid scope")]
pub struct BadScope;

impl Scope {
    /// Whether the permission is in the set, letter by letter.
    #[must_use]
    pub fn contains(&self, permission: &str) -> bool {
        self.0.contains(permission)
    }

    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The permissions in byte order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Those permissions of this scope that satisfy the predicate.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|p| keep(p)).cloned().collect())
    }

    /// Whether every permission here is also in the other scope.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl FromStr for Scope {
    type Err = BadScope;

    /// `scope-token` is `%x21 / %x23-5B / %x5D-7E`; tokens are parted by single spaces.
    fn from_str(text: &str) -> Result<Self, BadScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > LIMITS.1 {
            return Err(BadScope);
        }
        let is_scope_byte = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        let mut set = BTreeSet::new();
        for token in text.split(' ') {
            if token.is_empty() || !token.bytes().all(is_scope_byte) || set.len() >= LIMITS.0 {
                return Err(BadScope);
            }
            set.insert(token.into());
        }
        Ok(Self(set))
    }
}

impl<'a> FromIterator<&'a str> for Scope {
    fn from_iter<I: IntoIterator<Item = &'a str>>(permissions: I) -> Self {
        Self(permissions.into_iter().map(Into::into).collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, permission) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(permission)?;
        }
        Ok(())
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_and_repetition_do_not_matter() {
        let a: Scope = "b a b".parse().unwrap_or_default();
        assert_eq!(a.to_string(), "a b");
    }

    #[test]
    fn malformed_scopes_are_refused() {
        for bad in [" ", "a  b", " a", "a ", "a\tb", "a\"b", "a\\b", "ä", "a\nb"] {
            assert_eq!(bad.parse::<Scope>(), Err(BadScope), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_set(text in "[a-z.]{1,8}( [a-z.]{1,8}){0,6}") {
            let scope: Scope = text.parse().map_err(|e| TestCaseError::fail(format!("{e}")))?;
            prop_assert_eq!(scope.to_string().parse(), Ok(scope));
        }
    }
}
