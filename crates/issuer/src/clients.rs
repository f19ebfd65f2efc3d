//! Client authentication (RFC 6749 §2.3). Secrets are 256 random bits; what is stored is a keyed
//! hash, so a slow hash would add nothing but load.

use std::sync::Arc;

use procura_domain::AuthMethod;
use procura_store::clients::{Client, ClientSecret, ResourceServer};
use procura_token::{ClientId, Ts, crypto};
use quick_cache::sync::Cache as QuickCache;

use crate::{Error, Issuer, Result, keys::Secrets};

/// What a client shows.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A secret, by Basic or in the form.
    Secret(&'a str),
    /// Nothing: a public client.
    None,
}

/// How long a copy in memory is gone by. Whatever issues compares the version in its transaction; what
/// does not issue learns of a change this late at another node, and at once at this one. In seconds.
const COPY_SECS: i64 = 1;

/// Clients as they were read last, and when. The ledger compares the version in the transaction that
/// issues, so a stale copy can cost a second try but never grant.
pub(crate) struct Cache(QuickCache<ClientId, (Ts, Arc<Client>)>);

impl Default for Cache {
    fn default() -> Self {
        Self(QuickCache::new(1024))
    }
}

impl Issuer {
    /// The client, if the credential is right and the client enabled.
    ///
    /// A copy in memory that does not fit is read again, so that a new secret works at once.
    pub async fn authenticate_client(
        &self,
        id: &ClientId,
        credential: Credential<'_>,
    ) -> Result<Arc<Client>> {
        let now = self.0.environment.now();
        if let Some((read_at, client)) = self.0.clients.0.get(id)
            && (read_at..read_at.plus_secs(COPY_SECS)).contains(&now)
            && self.is_authentic(&client, credential, now)
        {
            return Ok(client);
        }
        let client = self.0.store.find_client(id).await?.ok_or(Error::Unauthenticated)?;
        if !self.is_authentic(&client, credential, now) {
            return Err(Error::Unauthenticated);
        }
        let client = Arc::new(client);
        self.0.clients.0.insert(id.clone(), (now, Arc::clone(&client)));
        Ok(client)
    }

    fn is_authentic(&self, client: &Client, credential: Credential<'_>, now: Ts) -> bool {
        let method = client.registration.token_endpoint_auth_method;
        let is_right = match credential {
            Credential::Secret(secret) if method.is_by_secret() => {
                let given = secret_hash(&self.0.secrets, &client.id, secret);
                let fits = |stored: &ClientSecret| {
                    stored.is_live(now)
                        && crypto::is_equal(given.as_bytes(), stored.hash.as_bytes())
                };
                client.secrets.iter().any(fits)
            }
            Credential::None => method == AuthMethod::None,
            Credential::Secret(_) => false,
        };
        is_right && client.is_enabled
    }

    /// The resource server behind these credentials.
    pub async fn authenticate_resource_server(
        &self,
        id: &ClientId,
        secret: &str,
    ) -> Result<ResourceServer> {
        let client = self.0.store.find_client(id).await?.ok_or(Error::Unauthenticated)?;
        if !self.is_authentic(&client, Credential::Secret(secret), self.0.environment.now()) {
            return Err(Error::Unauthenticated);
        }
        self.0.store.find_resource_server(id).await?.ok_or(Error::Unauthenticated)
    }

    /// Forgets the copy in memory.
    pub(crate) fn forget_client(&self, id: &ClientId) {
        self.0.clients.0.remove(id);
    }
}

/// The keyed hash of a secret, bound to its client.
pub(crate) fn secret_hash(secrets: &Secrets, id: &ClientId, secret: &str) -> String {
    crypto::hex(&secrets.clients().tag(&[id.as_str().as_bytes(), &[0], secret.as_bytes()]))
}
