//! The copy of the revocation log in Redis: signed here, because copies can be written to by others.

use procura_store::{
    relay::{Notary, Place},
    revocations::Entry,
};
use procura_token::{Algorithm, Statement, Ts, statement::STATEMENT_TYPE};

use crate::Issuer;

impl Issuer {
    /// Keeps the copy complete and listens to it, for ever.
    pub async fn relay(&self, place: &Place) {
        self.0.store.relay(place, self).await;
    }
}

impl Notary for Issuer {
    fn sign(&self, entry: &Entry) -> Option<String> {
        let statement = Statement {
            iss: self.0.settings.issuer.clone(),
            k: entry.kind.clone(),
            h: entry.key,
            s: entry.seq,
            p: entry.prev,
            x: entry.forget_at(),
        };
        // A copy of the keys that is old signs nothing; the heartbeat renews it within a second.
        let signers = self.signers_since(self.0.store.keys_version()).ok()?;
        signers.access(STATEMENT_TYPE, &statement).ok()
    }

    fn read(&self, signed: &str) -> Option<Statement> {
        let keys = self.0.keys.verifying();
        // The algorithm of access tokens: the same key signs both.
        Statement::verify(signed, &self.0.settings.issuer, &keys, &[Algorithm::Es256]).ok()
    }

    fn now(&self) -> Ts {
        self.0.environment.now()
    }
}
