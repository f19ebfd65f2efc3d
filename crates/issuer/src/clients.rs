//! Client authentication (RFC 6749 §2.3). Secrets are 256 random bits; what is stored is a keyed
//! hash, so a slow hash would add nothing but load.

use std::sync::Arc;

use procura_domain::Profile;
use procura_store::clients::{Client, ClientSecret, ResourceServer};
use procura_token::{ClientId, Ts, crypto};
use quick_cache::sync::Cache as QuickCache;

use crate::{Error, Issuer, Result, assertion::Ticket, keys::Secrets};

/// What a client shows.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A secret, by Basic or in the form.
    Secret(&'a str),
    /// A signed assertion (RFC 7523 §2.2).
    Assertion(&'a str),
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
            && let Ok(proven) = self.examine(&client, credential, now).await
        {
            self.use_up(proven).await?;
            return Ok(client);
        }
        let client = self.0.store.find_client(id).await?.ok_or(Error::Unauthenticated)?;
        let proven = self.examine(&client, credential, now).await?;
        let client = Arc::new(client);
        self.0.clients.0.insert(id.clone(), (now, Arc::clone(&client)));
        self.use_up(proven).await?;
        Ok(client)
    }

    /// Whether the credential is this client's, of the one kind that it is registered with. An assertion
    /// must be used up besides.
    async fn examine(
        &self,
        client: &Client,
        credential: Credential<'_>,
        now: Ts,
    ) -> Result<Option<Ticket>> {
        if !client.is_enabled {
            return Err(Error::Unauthenticated);
        }
        let method = client.registration.token_endpoint_auth_method;
        let is_right = match credential {
            Credential::Secret(secret) if method.is_by_secret() => {
                let given = secret_hash(&self.0.secrets, &client.id, secret);
                let fits = |stored: &ClientSecret| {
                    stored.is_live(now)
                        && crypto::is_equal(given.as_bytes(), stored.hash.as_bytes())
                };
                client.profile != Profile::Fapi2 && client.secrets.iter().any(fits)
            }
            Credential::Assertion(assertion) => {
                let checked = self.check_assertion(client, assertion, now).await;
                return checked.map(Some).map_err(Error::AssertionRefused);
            }
            Credential::None => !client.is_confidential() && client.profile != Profile::Fapi2,
            Credential::Secret(_) => false,
        };
        if is_right { Ok(None) } else { Err(Error::Unauthenticated) }
    }

    async fn use_up(&self, ticket: Option<Ticket>) -> Result<()> {
        let Some(Ticket { digest, until }) = ticket else { return Ok(()) };
        if self.0.store.use_value(&digest, until).await? {
            Ok(())
        } else {
            Err(Error::AssertionRefused("assertion_replayed"))
        }
    }

    /// The resource server behind these credentials.
    pub async fn authenticate_resource_server(
        &self,
        id: &ClientId,
        secret: &str,
    ) -> Result<ResourceServer> {
        let client = self.0.store.find_client(id).await?.ok_or(Error::Unauthenticated)?;
        self.examine(&client, Credential::Secret(secret), self.0.environment.now()).await?;
        self.resource_server_of(&client).await
    }

    /// The resource server that this authenticated client is.
    pub async fn resource_server_of(&self, client: &Client) -> Result<ResourceServer> {
        self.0.store.find_resource_server(&client.id).await?.ok_or(Error::Unauthenticated)
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
