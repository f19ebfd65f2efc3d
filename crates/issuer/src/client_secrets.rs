//! Secrets of clients: shown once, kept as keyed hashes, replaced with an overlap, so that nobody is
//! locked out while the new one is carried to where it is used.

use procura_store::{
    Tx,
    clients::{Client, ClientSecret},
};
use procura_token::{ClientId, Ts};
use serde_json::json;

use crate::{
    Error, Issuer, Result,
    clients::secret_hash,
    hand::{Hand, Subject},
    registration::{details, end_what_it_holds, untouched},
    revoke::Revoked,
};

/// How long the old secret goes on unless somebody says otherwise. In seconds.
pub const OVERLAP_SECS: i64 = 24 * 3600;
/// The longest overlap. In seconds.
pub const MAX_OVERLAP_SECS: i64 = 30 * 24 * 3600;
/// The shortest overlap that is one: longer than any copy of a client in memory is gone by. In seconds.
pub const MIN_OVERLAP_SECS: i64 = 60;

/// How the old secret makes way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It goes on for this many seconds; zero: it ends now. Tokens live on.
    Overlap(i64),
    /// Somebody else has it: all secrets end now, and whatever the client holds is dead.
    Compromised,
}

/// A secret that was replaced.
pub struct Rotated {
    /// The client as it is now.
    pub client: Client,
    /// The new secret, to be shown once.
    pub secret: String,
    /// Until when the old one goes on; `None`: it has ended.
    pub old_until: Option<Ts>,
    /// What died with the old one; `None` where nothing did.
    pub revoked: Option<Revoked>,
}

/// What a replacement has done in its transaction.
pub(crate) struct Replaced {
    pub old_until: Option<Ts>,
    /// Delegations that it ended; `None` where it revoked nothing.
    pub ended: Option<u64>,
}

impl Issuer {
    /// Gives a client another secret. At most two are live: an older one in its overlap ends now.
    pub async fn rotate_client_secret(
        &self,
        hand: Hand<'_>,
        id: &ClientId,
        way: Way,
        expected: Option<i64>,
    ) -> Result<Rotated> {
        if let Way::Overlap(secs) = way
            && secs != 0
            && !(MIN_OVERLAP_SECS..=MAX_OVERLAP_SECS).contains(&secs)
        {
            return Err(Error::Unfit(procura_domain::Fault {
                member: "overlap_secs",
                why: "must be 0, or from 60 seconds to 30 days",
            }));
        }
        let secret = self.0.environment.secret()?;
        let mut tx = self.begin_by(hand).await?;
        let (client, permit) = self.client_for(&mut tx, hand, id, expected).await?;
        untouched(&mut tx, &permit, &client).await?;
        if !client.registration.token_endpoint_auth_method.is_by_secret() {
            return Err(Error::WrongState("no_secret"));
        }
        let replaced = self.replace_secret(&mut tx, hand, &client, (&secret, way)).await?;
        let revoked = self.commit_change(tx, replaced.ended, hand).await?;
        self.forget_client(id);
        let client = self.0.store.find_client(id).await?.ok_or(Error::NotFound)?;
        Ok(Rotated { client, secret, old_until: replaced.old_until, revoked })
    }

    /// Puts a secret in the place of what the client has, with the audit entry.
    pub(crate) async fn replace_secret(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        client: &Client,
        (secret, way): (&str, Way),
    ) -> Result<Replaced> {
        let now = tx.now();
        let overlap_secs = match way {
            Way::Overlap(secs) => secs,
            Way::Compromised => 0,
        };
        let until = now.plus_secs(overlap_secs);
        let mut old_until = None;
        let mut is_ended_now = false;
        // The newest first: only that one has an overlap.
        let live = client.secrets.iter().filter(|secret| secret.is_live(now));
        for (place, old) in live.enumerate() {
            let end = if place == 0 { until } else { now };
            tx.end_client_secret(&client.id, &old.hash, end).await?;
            let end = old.expires_at.map_or(end, |before| before.min(end));
            old_until = old_until.max((end > now).then_some(end));
            is_ended_now |= end <= now;
        }
        let new = ClientSecret {
            hash: secret_hash(&self.0.secrets, &client.id, secret),
            created_at: now,
            expires_at: None,
        };
        tx.insert_client_secret(&client.id, &new).await?;
        if is_ended_now {
            // No copy in memory, at no node, opens anything with it from here on.
            tx.bump_client(&client.id).await?;
        }
        let is_compromised = way == Way::Compromised;
        let about = Subject::client(client.tenant, &client.id);
        let how = json!({ "overlap_secs": overlap_secs, "is_compromised": is_compromised });
        tx.audit(self.entry_by(hand, "client.secret", about, details(how))?);
        let ended = if is_compromised {
            Some(end_what_it_holds(tx, &client.id, "client.secret").await?)
        } else {
            None
        };
        Ok(Replaced { old_until, ended })
    }
}
