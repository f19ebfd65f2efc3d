//! Tokens of our own that come back to us: verified against our own keys, with a cache, because a
//! switcher shows the same home token again and again.

use std::sync::Arc;

use procura_token::{
    Algorithm, KeySet, Rejection, Shown, Ts,
    jws::{Expected, Genuine},
};
use quick_cache::sync::Cache as QuickCache;

use crate::Issuer;

/// Verified tokens by their text: a digest of it would cost more than the rest of the lookup. What is kept is only that form, signature and claims
/// were good; time and revocation are checked again at every use.
pub(crate) struct Cache(QuickCache<Box<str>, (Arc<KeySet>, Arc<Genuine>)>);

impl Default for Cache {
    fn default() -> Self {
        Self(QuickCache::new(4 * 1024))
    }
}

impl Issuer {
    /// Verifies an access token that we issued, for any audience, and that it may come in this way.
    pub(crate) fn genuine(
        &self,
        token: &str,
        shown: Shown<'_>,
        now: Ts,
    ) -> Result<Arc<Genuine>, Rejection> {
        let expected = Expected {
            issuer: self.0.settings.issuer.clone(),
            audience: None,
            algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256],
            leeway_secs: 1,
        };
        let keys = self.0.keys.verifying();
        if let Some((verified_with, genuine)) = self.0.subjects.0.get(token)
            && Arc::ptr_eq(&verified_with, &keys)
        {
            expected.claims(&genuine.claims, shown, now)?;
            return Ok(genuine);
        }
        let genuine = Arc::new(expected.access_token(token, &keys, shown, now)?);
        self.0.subjects.0.insert(token.into(), (keys, Arc::clone(&genuine)));
        Ok(genuine)
    }
}
