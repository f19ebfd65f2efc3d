//! Whose hand a change comes from: a person's by the management API, the operator's own at the machine,
//! or software's that looks after its own registration. Either way it stands in the audit log with what
//! it changed; of people and machines the policy is asked.

use procura_domain::{Caller, policy::Permit};
use procura_store::{Tx, audit::Entry};
use procura_token::{AuditId, ClientId, InitialTokenId, TenantId};
use serde_json::{Map, Value, json};

use crate::{Call, Error, Issuer, Result, Via, revoke::Confirm};

/// Whose hand it is.
#[derive(Clone, Copy)]
pub enum Hand<'a> {
    /// A person's, with a home token.
    Person(&'a Call),
    /// The operator's, on the command line.
    CommandLine,
    /// The operator's, through a file that was imported.
    Import,
    /// That of software, on its own registration alone (RFC 7591, RFC 7592).
    Itself {
        /// Where it called from.
        via: &'a Via,
        /// With which initial access token it came.
        initial_token: Option<InitialTokenId>,
    },
    /// Nobody's: its time has come.
    Upkeep,
}

impl<'a> Hand<'a> {
    pub(crate) fn caller(self) -> Option<&'a Caller> {
        match self {
            Self::Person(call) => Some(&call.caller),
            Self::CommandLine | Self::Import | Self::Itself { .. } | Self::Upkeep => None,
        }
    }

    /// May this hand look after clients of the tenant? What looks after itself has verbs of its own, and
    /// nobody's permit.
    pub(crate) fn permit_clients(self, tenant: TenantId) -> Result<Permit> {
        match self {
            Self::Person(call) => permit_clients(Some(&call.caller), tenant),
            Self::CommandLine | Self::Import => permit_clients(None, tenant),
            Self::Itself { .. } | Self::Upkeep => Err(Error::Forbidden),
        }
    }

    pub(crate) fn confirm(self) -> Confirm {
        match self {
            Self::Person(call) => call.confirm,
            Self::CommandLine | Self::Import | Self::Itself { .. } | Self::Upkeep => {
                Confirm::Committed
            }
        }
    }
}

/// May this caller look after clients of the tenant? Nobody calls on the command line.
pub(crate) fn permit_clients(caller: Option<&Caller>, tenant: TenantId) -> Result<Permit> {
    match caller {
        Some(caller) => Ok(caller.administer_clients(tenant)?),
        None => Ok(Permit::at_the_machine(tenant)),
    }
}

/// What an audit entry is about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub tenant: TenantId,
    pub kind: &'static str,
    pub id: &'a str,
}

impl<'a> Subject<'a> {
    pub(crate) fn client(tenant: TenantId, id: &'a ClientId) -> Self {
        Self { tenant, kind: "client", id: id.as_str() }
    }
}

impl Issuer {
    /// Opens the transaction of a change that may take something away.
    pub(crate) async fn begin_by(&self, hand: Hand<'_>) -> Result<Tx> {
        match hand {
            Hand::Person(call) => self.begin_urgent_for(call).await,
            Hand::CommandLine | Hand::Import | Hand::Itself { .. } | Hand::Upkeep => {
                Ok(self.0.store.begin_urgent(self.0.environment.now()).await?)
            }
        }
    }

    /// An audit entry of what a hand did, with what changed by it. Never a secret.
    pub(crate) fn entry_by(
        &self,
        hand: Hand<'_>,
        action: &str,
        about: Subject<'_>,
        details: Map<String, Value>,
    ) -> Result<Entry> {
        let mut details = details;
        let by = match hand {
            Hand::Person(_) => None,
            Hand::CommandLine => Some("command_line"),
            Hand::Import => Some("import"),
            Hand::Itself { initial_token, .. } => {
                let token = initial_token.map(|id| ("initial_token".to_owned(), json!(id)));
                details.extend(token);
                Some("itself")
            }
            Hand::Upkeep => Some("upkeep"),
        };
        details.extend(by.map(|by| ("by".to_owned(), json!(by))));
        let mut entry = match hand {
            Hand::Person(call) => self.entry(call, action, about.tenant)?,
            Hand::CommandLine | Hand::Import | Hand::Itself { .. } | Hand::Upkeep => {
                let id = AuditId::from_bits(self.0.environment.id_bits()?);
                let entry = Entry::new(id, self.0.environment.now(), action, "ok");
                let entry = Entry { target_tenant_id: Some(about.tenant), ..entry };
                match hand {
                    Hand::Itself { via, .. } => Entry {
                        client_id: about.id.parse().ok(),
                        ip: via.ip.clone(),
                        request_id: Some(via.request_id.clone()),
                        ..entry
                    },
                    _ => entry,
                }
            }
        };
        for (name, value) in &details {
            entry.add_detail(name, value);
        }
        Ok(Entry {
            resource_type: Some(about.kind.to_owned()),
            resource_id: Some(about.id.to_owned()),
            ..entry
        })
    }
}

/// What differs between two JSON objects: `{"changed": {member: {"from", "to"}}}`; empty where nothing
/// does. Members of members are told by their path.
pub(crate) fn difference(before: &Value, after: &Value) -> Map<String, Value> {
    let mut changed = Map::new();
    compare("", before, after, &mut changed);
    let mut details = Map::new();
    if !changed.is_empty() {
        details.insert("changed".to_owned(), Value::Object(changed));
    }
    details
}

fn compare(path: &str, before: &Value, after: &Value, changed: &mut Map<String, Value>) {
    let (Some(then), Some(now)) = (before.as_object(), after.as_object()) else {
        if before != after {
            changed.insert(path.to_owned(), json!({ "from": before, "to": after }));
        }
        return;
    };
    for name in then.keys().chain(now.keys().filter(|name| !then.contains_key(*name))) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let of = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
        compare(&path, &of(then), &of(now), changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_changed_and_nothing_else() {
        let before = json!({ "a": 1, "b": { "c": [1], "d": 2 }, "e": 3 });
        let after = json!({ "a": 1, "b": { "c": [2], "d": 2 }, "f": 4 });
        let expected = json!({ "changed": {
            "b.c": { "from": [1], "to": [2] },
            "e": { "from": 3, "to": null },
            "f": { "from": null, "to": 4 },
        }});
        assert_eq!(Value::Object(difference(&before, &after)), expected);
        assert!(difference(&before, &before).is_empty());
    }
}
