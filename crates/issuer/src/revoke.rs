//! Token revocation (RFC 7009), and what every change that kills tokens has in common.

use procura_store::{Tx, audit::Entry, clients::Client};
use procura_token::{Key, Kind, Seq, Shown};

use crate::{Issuer, Result, Via};

/// What a change killed, and how far the news has come.
#[derive(Clone, Copy, Debug)]
pub struct Revoked {
    /// Where the log stood after the change.
    pub seq: Seq,
    /// Running delegations that it ended.
    pub delegations_ended: u64,
    /// Verifiers that hold, or may still hold, a lease.
    pub verifiers_live: usize,
    /// Those of them that have applied the change.
    pub verifiers_confirmed: usize,
    /// Milliseconds since the commit.
    pub elapsed_ms: u64,
}

/// Whether an answer waits until nobody can accept what was revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// Answer after the commit.
    #[default]
    Committed,
    /// Answer when every live verifier has applied it, or its last lease has run out.
    Applied,
}

impl Issuer {
    /// Revokes a token of this client. Unknown, foreign and dead tokens are no error and no news.
    /// A delegated token ends its delegation, a refresh token its family; any other dies alone.
    pub async fn revoke_token(&self, client: &Client, token: &str, via: &Via) -> Result<()> {
        let now = self.0.environment.now();
        let genuine = self.genuine(token, Shown::ByOther, now).ok();
        let genuine = genuine.filter(|g| g.claims.client_id == client.id);
        let Some(genuine) = genuine else {
            if self.revoke_refresh_token(client, token, via).await? {
                return Ok(());
            }
            self.admit_failure_of(client, via)?;
            return self.note("token.revoke", "token_unknown", Some(client.id.clone()), via).await;
        };
        let claims = &genuine.claims;
        // Dead already: nothing to do, however often it is asked for.
        self.0.store.revocation_head().await?;
        if self.0.store.revocations().is_dead(&genuine.keys, claims.rvs) {
            return Ok(());
        }
        let mut tx = self.0.store.begin_urgent(now).await?;
        let mut entry = Entry {
            target_tenant_id: Some(claims.tenant),
            jti: Some(claims.jti.clone()),
            ..self.issue_entry(client, "ok", None, via)?
        };
        "token.revoke".clone_into(&mut entry.action);
        match &genuine.kind {
            Kind::Delegated(d) => {
                tx.end_delegation(d.delegation).await?;
                tx.revoke(&Key::Delegation(d.delegation), "token_revoked");
                entry.actor_user_id = Some(d.actor);
                entry.actor_tenant_id = Some(d.actor_tenant);
                entry.delegation_id = Some(d.delegation);
                entry.relationship_id = Some(d.relationship);
            }
            Kind::Home { user } => {
                tx.revoke(&Key::Jti(&claims.jti), "token_revoked");
                entry.actor_user_id = Some(*user);
                entry.actor_tenant_id = Some(claims.tenant);
            }
            Kind::Client => tx.revoke(&Key::Jti(&claims.jti), "token_revoked"),
        }
        tx.audit(entry);
        tx.commit().await?;
        Ok(())
    }

    /// Commits a change that revokes, and waits for the verifiers if asked to.
    pub(crate) async fn commit_revocation(
        &self,
        tx: Tx,
        delegations_ended: u64,
        confirm: Confirm,
    ) -> Result<Revoked> {
        let seq = tx.commit().await?.head;
        let committed = tokio::time::Instant::now();
        let is_waiting = confirm == Confirm::Applied;
        let counted = self.0.verifiers.confirm(seq, is_waiting, Some(&self.0.store)).await;
        Ok(Revoked {
            seq,
            delegations_ended,
            verifiers_live: counted.live,
            verifiers_confirmed: counted.confirmed,
            elapsed_ms: u64::try_from(committed.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}
