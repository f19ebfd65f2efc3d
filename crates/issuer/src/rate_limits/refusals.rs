//! What was refused beyond a limit. Each refusal in the audit log would undo what the limit is for; so there is
//! one entry a minute for each limit and caller, which says how many there were.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use procura_store::audit::Entry;
use procura_token::AuditId;

use super::{Key, Limit};
use crate::{Issuer, Result, strangers};

/// The action in the audit log.
const ACTION: &str = "limits.refuse";
/// The reason in the audit log.
const REASON: &str = "too_many_requests";
/// As many callers have an entry of their own in a minute; the rest share one for each limit.
const MOST: usize = 1024;

/// Refusals since the last entry.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<(Limit, Key), u64>>);

impl Refusals {
    /// One more.
    pub fn note(&self, limit: Limit, key: &Key) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of = (limit, key.clone());
        if seen.len() >= MOST && !seen.contains_key(&of) {
            of.1 = Key::Others;
        }
        let count = seen.entry(of).or_default();
        *count = count.saturating_add(1);
    }

    fn take(&self) -> HashMap<(Limit, Key), u64> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Issuer {
    /// Puts what the limits refused into the audit log. Called once a minute and at the end.
    pub async fn note_limited(&self) -> Result<()> {
        let mut done = Ok(());
        for ((limit, key), refused) in self.0.rate_limits.refusals.take() {
            let id = AuditId::from_bits(self.0.environment.id_bits()?);
            let mut details = serde_json::json!({ "limit": limit.name(), "refused": refused });
            let mut entry = Entry {
                reason: Some(REASON.to_owned()),
                ..Entry::new(id, self.0.environment.now(), ACTION, "refused")
            };
            match key {
                Key::Person(tenant, user) => {
                    (entry.actor_tenant_id, entry.actor_user_id) = (Some(tenant), Some(user));
                }
                Key::Tenant(tenant) => entry.actor_tenant_id = Some(tenant),
                Key::Target(tenant, target) => {
                    entry.actor_tenant_id = Some(tenant);
                    if let Some(details) = details.as_object_mut() {
                        details.insert("requested_tenant".to_owned(), (*target).into());
                    }
                }
                Key::Client(client) => entry.client_id = Some(client),
                Key::ClientAt(client, ip) => {
                    (entry.client_id, entry.ip) = (Some(client), ip.map(strangers::name));
                }
                Key::Address(ip) => entry.ip = ip.map(strangers::name),
                Key::Held(_) | Key::Others => {}
            }
            entry.details = Some(details.to_string());
            // One that cannot be written takes none of the others with it.
            done = done.and(self.0.store.record(entry).await);
        }
        Ok(done?)
    }
}

#[cfg(test)]
mod tests {
    use procura_token::{TenantId, UserId};

    use super::*;

    #[test]
    fn a_crowd_of_the_refused_shares_one_entry() {
        let refusals = Refusals::default();
        for bits in 0..5000 {
            let key = Key::Person(TenantId::from_bits(1), UserId::from_bits(bits));
            refusals.note(Limit::CrossUser, &key);
            refusals.note(Limit::CrossUser, &key);
        }
        let seen = refusals.take();
        assert_eq!(seen.len(), MOST + 1);
        assert_eq!(seen.values().sum::<u64>(), 10_000, "none is lost");
        assert!(refusals.take().is_empty(), "said once");
    }
}
