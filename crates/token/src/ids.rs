//! Typed, prefixed, opaque ids. A `TenantId` cannot be passed where a `UserId` is meant, and
//! parsing accepts exactly one spelling of each id.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// The text is not the one canonical spelling of an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct BadId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = concat!($prefix, "_");

            /// The id with these 128 bits.
            #[must_use]
            pub const fn from_bits(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }

            /// The 128 bits behind the prefix.
            #[must_use]
            pub const fn bits(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Self::PREFIX)?;
                self.0.simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let digits = text.strip_prefix(Self::PREFIX).ok_or(BadId)?;
                // Exactly one spelling: 32 lower-case hex digits. `Uuid` alone would accept five.
                if digits.len() != 32
                    || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                {
                    return Err(BadId);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| BadId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromStrVisitor::<Self>(std::marker::PhantomData))
            }
        }
    };
}

struct FromStrVisitor<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = BadId>> serde::de::Visitor<'_> for FromStrVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prefixed id")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

id!(/** An organisation. */ TenantId, "ten");
id!(/** A person with a login. */ UserId, "usr");
id!(/** The one-way edge partner → customer. */ RelationshipId, "rel");
id!(/** One user's running session in one customer tenant. */ DelegationId, "dlg");
id!(/** A login session. */ SessionId, "ses");
id!(/** The stable `sub` of (customer tenant, partner user); never equal to a user id. */ DelegatedPrincipalId, "dp");
id!(/** A signing key (`kid`). */ KeyId, "key");
id!(/** One entry of the audit log. */ AuditId, "evt");
id!(/** One request to be let into a customer's tenant for a while. */ AccessRequestId, "req");
id!(/** One pending authorization request in a browser. */ InteractionId, "int");
id!(/** An identity provider of a tenant. */ ProviderId, "idp");
id!(/** A token that lets software register itself; the id opens nothing. */ InitialTokenId, "itk");
id!(/** A policy: what a tenant demands of its people's logins. */ PolicyId, "pol");
id!(/** A key of a partner's person; the id opens nothing. */ ApiKeyId, "apk");

/// A client's id: software, not a person. A string, because deployments may choose it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// What generated client ids start with; it keeps them apart from every user id
    /// (RFC 9700 §4.15).
    pub const PREFIX: &'static str = "cli_";

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let tail = text.strip_prefix(Self::PREFIX).ok_or(BadId)?;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if tail.is_empty() || text.len() > 64 || !tail.bytes().all(is_plain) {
            return Err(BadId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClientId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FromStrVisitor::<Self>(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_one_spelling() {
        let id = TenantId::from_bits(0x0199_aabb);
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for bad in [
            text.to_uppercase(),
            text.replace("ten_", "usr_"),
            text.replace("ten_", ""),
            format!("{text}0"),
            format!("{text} "),
            text.get(..text.len() - 1).unwrap_or_default().to_owned(),
            format!("ten_{{{}}}", text.get(4..34).unwrap_or_default()),
        ] {
            assert_eq!(bad.parse::<TenantId>(), Err(BadId), "{bad}");
        }
    }

    #[test]
    fn a_client_id_is_never_a_user_id() {
        assert!("usr_1".parse::<ClientId>().is_err());
        assert!("cli_portal".parse::<ClientId>().is_ok());
        assert!("cli_".parse::<ClientId>().is_err());
        assert!("cli_a b".parse::<ClientId>().is_err());
    }
}
