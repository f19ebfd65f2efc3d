//! Asking again without it happening twice: the key that a caller has chosen is claimed before anything is
//! done, and fulfilled in the transaction of the change itself.

use procura_domain::Caller;
pub use procura_store::idempotency::Claim;
use procura_store::idempotency::Claimed;
use procura_token::crypto::{hex, sha256};

use crate::{Error, Issuer, Result, callers::Proof};

/// Longer answers are not kept.
const MOST_BYTES: usize = 256 * 1024;

/// How a request stands whose caller has named a key.
#[derive(Debug)]
pub enum Asked {
    /// It is the first with this key.
    First(Claim),
    /// The first one is still under way.
    Running,
    /// The key was used for another request.
    OfAnother,
    /// It was done, and answered like this.
    Answered(String),
    /// It was done, and nobody knows the answer any more.
    AnswerLost,
}

impl Issuer {
    /// Claims the key of a caller for a request, of which the hash is given.
    pub async fn claim(&self, caller: &Caller, key: &str, request: &[u8; 32]) -> Result<Asked> {
        // A key is that of one person at one client: two clients need not know of each other.
        let mut parts = vec![caller.client.as_str().as_bytes(), &[0], key.as_bytes()];
        // What was answered to a person is not shown to who holds a key of the person's, nor to another key.
        let by_key = caller.key.as_ref().map(|key| key.id.to_string());
        if let Some(by_key) = &by_key {
            parts.extend([&[0], by_key.as_bytes()]);
        }
        let key_hash = sha256(&parts);
        let claim = Claim {
            user: caller.user,
            key_hash: hex(&key_hash),
            // Who has another role by now, or another scope, asks something else.
            request_hash: hex(&sha256(&[request, &[0], standing(caller).as_bytes()])),
            id: format!("{:032x}", self.0.environment.id_bits()?),
        };
        Ok(match self.0.store.claim_key(&claim, self.0.environment.now()).await? {
            Claimed::First => Asked::First(claim),
            Claimed::Running => Asked::Running,
            Claimed::OfAnother => Asked::OfAnother,
            Claimed::TooMany => return Err(Error::TooManyRequests { wait_secs: 3600 }),
            Claimed::Done(None) => Asked::AnswerLost,
            // Under another master key than today's it cannot be opened.
            Claimed::Done(Some(sealed)) => match self.0.secrets.open_answer(&claim, &sealed) {
                Ok(answer) => Asked::Answered(answer),
                Err(_) => Asked::AnswerLost,
            },
        })
    }

    /// Keeps the answer to what was done under a claim. It may hold a secret, and is sealed.
    pub async fn keep_answer(&self, claim: &Claim, answer: &str) -> Result<()> {
        if answer.len() > MOST_BYTES {
            return Ok(());
        }
        let sealed = self.0.secrets.seal_answer(claim, answer)?;
        Ok(self.0.store.keep_answer(claim, &sealed, self.0.environment.now()).await?)
    }

    /// Lets the key be used again, unless something was done under it.
    pub async fn release(&self, claim: &Claim) -> Result<()> {
        Ok(self.0.store.release_key(claim).await?)
    }
}

fn standing(caller: &Caller) -> String {
    format!("{:?} {}", caller.roles, caller.scope)
}

impl Proof {
    /// The same, for a change that happens under a claim or not at all.
    #[must_use]
    pub fn under(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
    }
}
