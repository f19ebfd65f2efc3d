//! Delivery of logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.5): clients hear that a login is
//! over. Each notice is a row that ended with the login, so that none is lost with a node; a client may
//! hear of the same logout twice.

use std::collections::HashMap;

use procura_outbound::Error as CallFailed;
use procura_store::{audit::Entry, clients::Client, logout::Notice};
use procura_token::{AuditId, ClientId};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{Issuer, Result};

/// Deliveries at once on this node.
const MAX_DELIVERIES: usize = 64;
/// Deliveries at once to one client.
const MAX_OF_CLIENT: usize = 4;
/// A node has a notice for so long; then another may try. Longer than any call takes.
const TAKEN_SECS: i64 = 60;
/// Pauses after failed attempts. After the last attempt it is given up.
const PAUSES_SECS: [i64; 4] = [10, 30, 120, 300];
const ACTION: &str = "logout.notify";

/// What a client said to a logout token, or why it heard nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Delivered,
    /// It says that the token is wrong: it would say so again.
    Refused,
    /// It is no longer there, or no longer wants to hear.
    Gone,
    Failed(CallFailed),
    /// We could not read or sign; it was not called.
    Ours,
}

impl Outcome {
    /// The reason in the audit log. Nothing that the client chose stands in it.
    fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::Delivered => return None,
            Self::Refused => "refused_by_client",
            Self::Gone => "client_gone",
            Self::Failed(CallFailed::BadUrl | CallFailed::AddressRefused) => "address_not_allowed",
            Self::Failed(CallFailed::Status(_)) => "failed_at_client",
            Self::Failed(_) => "unreachable",
            Self::Ours => "internal_error",
        })
    }
}

/// What this node delivers.
#[derive(Default)]
pub struct Deliveries {
    tasks: JoinSet<ClientId>,
    running: HashMap<ClientId, usize>,
}

impl Deliveries {
    /// Begins to deliver what is due, and does not wait for it.
    pub async fn begin(&mut self, issuer: &Issuer) -> Result<()> {
        self.forget_finished();
        let free = MAX_DELIVERIES.saturating_sub(self.tasks.len());
        if free == 0 {
            return Ok(());
        }
        let now = issuer.0.environment.now();
        let (free, of_client) = (bound(free), bound(MAX_OF_CLIENT));
        for due in issuer.0.store.list_due_notices(now, free, of_client).await? {
            if self.running.get(&due.client).is_some_and(|count| *count >= MAX_OF_CLIENT) {
                continue;
            }
            let until = now.plus_secs(TAKEN_SECS);
            let Some(taken) = issuer.0.store.take_notice(&due, until).await? else { continue };
            let (issuer, client) = (issuer.clone(), taken.client.clone());
            *self.running.entry(client.clone()).or_default() += 1;
            self.tasks.spawn(async move {
                issuer.deliver(taken).await;
                client
            });
        }
        Ok(())
    }

    /// Waits for what was begun.
    pub async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
        self.running.clear();
    }

    fn forget_finished(&mut self) {
        while let Some(finished) = self.tasks.try_join_next() {
            let Ok(client) = finished else { continue };
            if let Some(count) = self.running.get_mut(&client) {
                *count = count.saturating_sub(1);
            }
        }
        self.running.retain(|_, count| *count > 0);
        if self.tasks.is_empty() {
            self.running.clear();
        }
    }
}

impl Issuer {
    async fn deliver(&self, taken: Notice) {
        let outcome = self.tell(&taken).await;
        if let Some(reason) = outcome.reason() {
            // Not the URL: its path can be a secret.
            let (client, attempt) = (&taken.client, taken.attempts);
            tracing::warn!(%client, attempt, reason, "a logout was not delivered");
        }
        let ended = match (outcome, pause_after(taken.attempts)) {
            (Outcome::Failed(_) | Outcome::Ours, Some(pause)) => {
                let next_at = self.0.environment.now().plus_secs(pause);
                self.0.store.postpone_notice(&taken, next_at).await.map_err(Into::into)
            }
            _ => self.end_notice(&taken, outcome).await,
        };
        // It stays taken for a while, and then it is tried again.
        if let Err(error) = ended {
            tracing::error!(%error, "what became of a logout could not be written down");
        }
    }

    async fn tell(&self, taken: &Notice) -> Outcome {
        let Ok(client) = self.0.store.find_client(&taken.client).await else {
            return Outcome::Ours;
        };
        let client = client.filter(|client| client.is_enabled);
        let Some(url) = client.as_ref().and_then(logout_url) else { return Outcome::Gone };
        let Ok(signed) = self.logout_token(taken).await else { return Outcome::Ours };
        match self.0.outbound.post_form(url, &[("logout_token", &signed)]).await {
            Ok(200 | 204) => Outcome::Delivered,
            Ok(400) => Outcome::Refused,
            Ok(other) => Outcome::Failed(CallFailed::Status(other)),
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Ends a notice with its audit entry, in one transaction.
    async fn end_notice(&self, taken: &Notice, outcome: Outcome) -> Result<()> {
        let now = self.0.environment.now();
        let id = AuditId::from_bits(self.0.environment.id_bits()?);
        let mut tx = self.0.store.begin(now).await?;
        if !tx.delete_notice(taken).await? {
            return Ok(());
        }
        let result = if outcome == Outcome::Delivered { "ok" } else { "failed" };
        tx.audit(Entry {
            reason: outcome.reason().map(ToOwned::to_owned),
            client_id: Some(taken.client.clone()),
            resource_type: Some("session".to_owned()),
            resource_id: Some(taken.session.to_string()),
            details: Some(json!({ "attempts": taken.attempts }).to_string()),
            ..Entry::new(id, now, ACTION, result)
        });
        tx.commit().await?;
        Ok(())
    }
}

fn logout_url(client: &Client) -> Option<&str> {
    client.registration.backchannel_logout_uri.as_deref()
}

/// The pause after this many attempts; `None` after the last one.
fn pause_after(attempts: i64) -> Option<i64> {
    let at = usize::try_from(attempts.saturating_sub(1)).ok()?;
    PAUSES_SECS.get(at).copied()
}

fn bound(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
