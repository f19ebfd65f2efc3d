//! The keys by which a token dies, and the position in the revocation log that it carries.
//!
//! A token is dead iff one of its keys has an entry with `seq` greater than the token's `rvs`, or an
//! entry of an absolute kind. No clock is compared.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    claims::{AccessClaims, Kind},
    crypto,
    ids::{ClientId, DelegationId, RelationshipId, SessionId, TenantId, UserId},
};

/// A position in the revocation log: `max(last + 1, now in Unix µs)`. Fits in 53 bits.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(pub i64);

/// What a revocation entry names. Several tokens can share a key; every token has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// One delegation.
    Delegation(DelegationId),
    /// One login session, and all that came from it.
    Session(SessionId),
    /// All delegations under one relationship.
    Relationship(RelationshipId),
    /// Everything that acts in this tenant.
    Tenant(TenantId),
    /// Everything that this person holds, at home or acting elsewhere.
    Actor(UserId),
    /// Everything that people of this tenant do elsewhere.
    ActorTenant(TenantId),
    /// Everything that people of the first tenant do in the second.
    Pair(TenantId, TenantId),
    /// Everything issued to this client.
    Client(&'a ClientId),
    /// Everything issued for this resource server.
    Audience(&'a str),
    /// Everything signed by this key.
    SigningKey(&'a str),
    /// One token.
    Jti(&'a str),
    /// Everything.
    All,
}

/// Whether an entry of this kind kills whatever `rvs` a token claims. Whoever stole a signing key can
/// claim any.
#[must_use]
pub fn is_absolute(kind: &str) -> bool {
    kind == "kid"
}

impl Key<'_> {
    /// The kind's name in SQL and in the feed.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Delegation(_) => "dlg",
            Self::Session(_) => "sid",
            Self::Relationship(_) => "rel",
            Self::Tenant(_) => "ten",
            Self::Actor(_) => "act",
            Self::ActorTenant(_) => "atn",
            Self::Pair(..) => "pair",
            Self::Client(_) => "cli",
            Self::Audience(_) => "aud",
            Self::SigningKey(_) => "kid",
            Self::Jti(_) => "jti",
            Self::All => "all",
        }
    }

    /// The blinded key: the first 16 bytes of SHA-256(kind ‖ 0 ‖ id). Whoever reads the feed can
    /// only recognise ids that it has seen in tokens: the feed is no customer list.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        match self {
            Self::Delegation(id) => KeyHash::of_bits(self.kind(), &[id.bits()]),
            Self::Session(id) => KeyHash::of_bits(self.kind(), &[id.bits()]),
            Self::Relationship(id) => KeyHash::of_bits(self.kind(), &[id.bits()]),
            Self::Tenant(id) | Self::ActorTenant(id) => KeyHash::of_bits(self.kind(), &[id.bits()]),
            Self::Actor(id) => KeyHash::of_bits(self.kind(), &[id.bits()]),
            Self::Pair(actor, target) => {
                KeyHash::of_bits(self.kind(), &[actor.bits(), target.bits()])
            }
            Self::Client(id) => KeyHash::of(self.kind(), id.as_str().as_bytes()),
            Self::SigningKey(text) | Self::Jti(text) | Self::Audience(text) => {
                KeyHash::of(self.kind(), text.as_bytes())
            }
            Self::All => KeyHash::of(self.kind(), b""),
        }
    }
}

/// A blinded revocation key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 16]);

impl KeyHash {
    fn of(kind: &str, id: &[u8]) -> Self {
        let digest = crypto::sha256(&[kind.as_bytes(), &[0], id]);
        let mut out = [0; 16];
        out.copy_from_slice(digest.split_at(16).0);
        Self(out)
    }

    /// Ids are hashed in their canonical text without the prefix, as 32 hex digits each, so that
    /// other languages need no binary form.
    fn of_bits(kind: &str, ids: &[u128]) -> Self {
        let mut text = String::with_capacity(64);
        for bits in ids {
            // Writing to a string cannot fail.
            let _ = fmt::Write::write_fmt(&mut text, format_args!("{bits:032x}"));
        }
        Self::of(kind, text.as_bytes())
    }

    /// Of a budget, by the limit's name and whose it is: nothing that is ever revoked.
    #[must_use]
    pub fn of_budget(limit: &str, whose: &str) -> Self {
        let digest = crypto::sha256(&[b"budget", &[0], limit.as_bytes(), &[0], whose.as_bytes()]);
        let mut out = [0; 16];
        out.copy_from_slice(digest.split_at(16).0);
        Self(out)
    }

    /// Reads 32 lower-case hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || text.bytes().any(|b| b.is_ascii_uppercase() || b == b'+') {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|bits| Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a key hash"))
    }
}

/// All keys of one token: it is dead iff any of them has an entry after its `rvs`.
#[must_use]
pub fn keys_of(claims: &AccessClaims, kind: &Kind, signing_key: &str) -> Vec<KeyHash> {
    named_keys_of(claims, kind, signing_key).iter().map(Key::hash).collect()
}

/// The same, by name.
#[must_use]
pub fn named_keys_of<'a>(
    claims: &'a AccessClaims,
    kind: &Kind,
    signing_key: &'a str,
) -> Vec<Key<'a>> {
    let mut keys = vec![
        Key::All,
        Key::Jti(&claims.jti),
        Key::SigningKey(signing_key),
        Key::Client(&claims.client_id),
        Key::Audience(&claims.aud),
        Key::Tenant(claims.tenant),
    ];
    if let Some(session) = claims.sid {
        keys.push(Key::Session(session));
    }
    match kind {
        Kind::Home { user } => keys.push(Key::Actor(*user)),
        Kind::Client => {}
        Kind::Delegated(d) => keys.extend([
            Key::Delegation(d.delegation),
            Key::Relationship(d.relationship),
            Key::Actor(d.actor),
            Key::ActorTenant(d.actor_tenant),
            Key::Pair(d.actor_tenant, claims.tenant),
        ]),
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_with_the_same_id_have_different_keys() {
        let id = TenantId::from_bits(7);
        assert_ne!(Key::Tenant(id).hash(), Key::ActorTenant(id).hash());
        assert_ne!(
            Key::Pair(id, TenantId::from_bits(8)).hash(),
            Key::Pair(TenantId::from_bits(8), id).hash()
        );
    }

    #[test]
    fn only_the_death_of_a_signing_key_is_absolute() {
        assert!(is_absolute(Key::SigningKey("key_1").kind()));
        assert!(!is_absolute(Key::Jti("key_1").kind()) && !is_absolute(Key::All.kind()));
    }

    #[test]
    fn a_hash_reads_what_it_writes_and_nothing_else() {
        let hash = Key::All.hash();
        assert_eq!(KeyHash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(KeyHash::from_hex(&hash.to_string().to_uppercase()), None);
        assert_eq!(KeyHash::from_hex("+0000000000000000000000000000000"), None);
    }
}
