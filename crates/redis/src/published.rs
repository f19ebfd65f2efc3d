//! What stands in Redis: where, under which names, and one entry of it.

use std::{fmt, str::FromStr};

use procura_token::{KeyHash, Seq};

use crate::address::Address;

/// Longest prefix of the keys.
const MAX_PREFIX: usize = 64;

/// A Redis, and the names of our keys in it.
#[derive(Clone)]
pub struct Place {
    pub(crate) address: Address,
    /// Certificates (PEM) that are trusted instead of the system's.
    pub(crate) authorities: Option<Vec<u8>>,
    prefix: String,
}

/// The prefix is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a redis prefix is 1 to 64 of A-Z a-z 0-9 . _ - :")]
pub struct BadPlace;

impl Place {
    /// Our keys in this Redis begin with the prefix and a colon.
    pub fn new(address: Address, prefix: &str) -> Result<Self, BadPlace> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(is_plain) {
            return Err(BadPlace);
        }
        // A script may only touch keys of one slot, and what is in braces decides on the slot.
        let prefix = if address.is_cluster() { format!("{{{prefix}}}") } else { prefix.to_owned() };
        Ok(Self { address, authorities: None, prefix })
    }

    /// The same, where TLS trusts these authorities (PEM) instead of the system's.
    #[must_use]
    pub fn trusting(self, authorities: Option<Vec<u8>>) -> Self {
        Self { authorities, ..self }
    }

    /// The address, for people.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The key of the stream.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("{}:revocations", self.prefix)
    }

    /// The key that tells of one blinded key.
    #[must_use]
    pub fn revoked(&self, key: KeyHash) -> String {
        format!("{}:revoked:{key}", self.prefix)
    }

    /// The key that tells how much of a budget is used up.
    #[must_use]
    pub fn budget(&self, key: KeyHash) -> String {
        format!("{}:budget:{key}", self.prefix)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({}, {})", self.address, self.prefix)
    }
}

/// One entry as it is published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The kind of key.
    pub kind: String,
    /// The blinded key.
    pub key: KeyHash,
    /// Its position.
    pub seq: Seq,
    /// The head before it.
    pub prev: Seq,
    /// Unix second from which it can kill nothing any more.
    pub forget_at: i64,
    /// All of this, signed by the issuer.
    pub signed: String,
}

/// The id of an entry of a stream. Ours are `SEQ-0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// The part before the dash. Unsigned in Redis: beyond `i64` it is nothing of ours.
    pub seq: u64,
    /// The part after it.
    pub sub: u64,
}

impl Id {
    /// The id of the entry at a position.
    #[must_use]
    pub fn of(seq: Seq) -> Self {
        Self { seq: u64::try_from(seq.0).unwrap_or_default(), sub: 0 }
    }

    /// The position, where this is an id that we could have written.
    #[must_use]
    pub fn position(self) -> Option<Seq> {
        let seq = i64::try_from(self.seq).ok().filter(|_| self.sub == 0)?;
        Some(Seq(seq))
    }
}

impl FromStr for Id {
    type Err = crate::Failed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = |part: &str| part.parse().map_err(|_| crate::Failed::Unusable);
        let (seq, sub) = text.split_once('-').ok_or(crate::Failed::Unusable)?;
        Ok(Self { seq: parse(seq)?, sub: parse(sub)? })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.sub)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str, prefix: &str) -> Result<Place, BadPlace> {
        Place::new(address.parse().unwrap(), prefix)
    }

    #[test]
    fn in_a_cluster_all_keys_share_a_slot() {
        let alone = place("redis://h", "procura").unwrap();
        assert_eq!(alone.stream(), "procura:revocations");
        let cluster = place("redis+cluster://h", "procura").unwrap();
        assert_eq!(cluster.stream(), "{procura}:revocations");
        let key = KeyHash([1; 16]);
        assert_eq!(cluster.revoked(key), format!("{{procura}}:revoked:{key}"));
    }

    #[test]
    fn a_prefix_is_plain_and_short() {
        for bad in ["", "a b", "{a}", "ä", "x".repeat(65).as_str()] {
            assert!(place("redis://h", bad).is_err(), "{bad}");
        }
        assert!(place("redis://h", "prod:eu-1.procura_2").is_ok());
    }

    #[test]
    fn an_id_of_somebody_else_has_no_position() {
        assert_eq!("12-0".parse::<Id>().unwrap().position(), Some(Seq(12)));
        assert_eq!("12-1".parse::<Id>().unwrap().position(), None);
        assert_eq!("18446744073709551615-0".parse::<Id>().unwrap().position(), None);
        for bad in ["", "12", "-", "a-0", "12-x", "99999999999999999999-0"] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
    }
}
