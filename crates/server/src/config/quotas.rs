//! The section about how much a tenant may have that has no quotas of its own.

use std::fmt;

use procura_domain::{Quota, Quotas};
use serde::{Deserialize, Deserializer, de};

/// In the place of a number.
const UNLIMITED: &str = "unlimited";

/// A number, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most(pub Option<u64>);

/// Defaults for every tenant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultQuotas {
    /// People.
    pub users: Most,
    /// Tenants that it manages.
    pub customers: Most,
    /// Clients.
    pub clients: Most,
    /// Delegated tokens for its people in a day.
    pub delegated_tokens_per_day: Most,
    /// Delegated tokens into it in a day.
    pub delegated_tokens_received_per_day: Most,
}

impl Default for DefaultQuotas {
    /// Generous: they stop what has gone wild, and nobody who works. In a day the limits on the rate let
    /// less through for one partner.
    fn default() -> Self {
        Self {
            users: Most(Some(100_000)),
            customers: Most(Some(100_000)),
            clients: Most(Some(10_000)),
            delegated_tokens_per_day: Most(Some(100_000_000)),
            delegated_tokens_received_per_day: Most(Some(100_000_000)),
        }
    }
}

impl DefaultQuotas {
    /// What the issuer goes by.
    #[must_use]
    pub const fn defaults(&self) -> Quotas {
        Quotas {
            users: self.users.0,
            customers: self.customers.0,
            clients: self.clients.0,
            delegated_tokens_per_day: self.delegated_tokens_per_day.0,
            delegated_tokens_received_per_day: self.delegated_tokens_received_per_day.0,
        }
    }

    /// Why these settings cannot be used.
    pub(super) fn fault(&self) -> Option<&'static str> {
        self.defaults().fault().map(|quota| match quota {
            Quota::Users => "quotas.users must be from 1 to 1000000000000, or unlimited",
            _ => "quotas: each number must be from 0 to 1000000000000, or unlimited",
        })
    }

    /// As a file would say it.
    pub(super) fn to_toml(&self) -> String {
        let defaults = self.defaults();
        let line = |quota: &Quota| format!("{quota} = {}\n", Most(defaults.of(*quota)));
        let lines: String = Quota::ALL.iter().map(line).collect();
        format!("[quotas]\n{lines}\n")
    }
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(most) => write!(f, "{most}"),
            None => write!(f, "{UNLIMITED:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Most {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Most;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or unlimited")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Most, E> {
                Ok(Most(Some(number)))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Most, E> {
                let unfit = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
                u64::try_from(number).map_err(unfit).map(|number| Most(Some(number)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Most, E> {
                match text.parse() {
                    _ if text == UNLIMITED => Ok(Most(None)),
                    Ok(number) => Ok(Most(Some(number))),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<DefaultQuotas> {
        let file = config::File::from_str(text, config::FileFormat::Toml);
        let read = config::Config::builder().add_source(file).build().ok()?;
        read.try_deserialize().ok()
    }

    #[test]
    fn a_quota_is_a_number_or_there_is_none() {
        let section = read("users = 7\nclients = \"unlimited\"\ncustomers = \"12\"").unwrap();
        let quotas = section.defaults();
        assert_eq!((quotas.users, quotas.clients, quotas.customers), (Some(7), None, Some(12)));
        assert_eq!(section.fault(), None);
        for bad in ["users = -1", "users = \"many\"", "users = true", "user = 7", "users = 1.5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(read("users = 0").unwrap().fault().is_some(), "a tenant has its admin");
        assert!(read("clients = 1000000000001").unwrap().fault().is_some());
        assert_eq!(read("clients = 0").unwrap().fault(), None);
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let shown = DefaultQuotas { users: Most(None), ..DefaultQuotas::default() };
        let text = shown.to_toml().replace("[quotas]\n", "");
        assert_eq!(read(&text), Some(shown));
    }
}
