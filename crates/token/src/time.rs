//! Instants. One type for SQL, claims and decisions; nobody here reads a clock.

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// An instant in microseconds since the Unix epoch, UTC. Stored as a BIGINT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ts(pub i64);

impl Ts {
    /// Later than everything that has an end.
    pub const NEVER: Self = Self(i64::MAX);

    /// The instant at a whole second of the Unix epoch.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Whole seconds of the Unix epoch, rounded down, as claims carry them (RFC 7519 `NumericDate`).
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant moved by a number of seconds.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }

    /// RFC 3339 in UTC, as the management API shows it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .ok()
            .and_then(|at| at.format(&Rfc3339).ok())
            .unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
    }

    /// Reads RFC 3339; `None` where the text is no such time.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000)).ok().map(Self)
    }
}

/// For `#[serde(with)]`: an instant, or none, as the management API shows it.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use super::Ts;

    /// Writes RFC 3339 or `null`.
    pub fn serialize<S: Serializer>(at: &Option<Ts>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Ts::rfc3339).serialize(serializer)
    }

    /// Reads RFC 3339 or `null`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ts>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read =
            |text: String| Ts::parse_rfc3339(&text).ok_or_else(|| D::Error::custom("no time"));
        text.map(read).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::Ts;

    #[test]
    fn rfc3339_reads_what_it_writes() {
        let at = Ts(1_763_690_100_004_211);
        assert_eq!(Ts::parse_rfc3339(&at.rfc3339()), Some(at));
        assert_eq!(
            Ts::parse_rfc3339(&Ts::from_secs(1_763_690_100).rfc3339()),
            Some(Ts::from_secs(1_763_690_100))
        );
        assert_eq!(Ts::parse_rfc3339("yesterday"), None);
    }
}
