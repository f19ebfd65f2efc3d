//! Clients and resource servers of a file.

use procura_domain::{ClientSettings, Profile, Quota};
use procura_token::{ClientId, TenantId};

use crate::{
    Error, Result,
    client_secrets::{OVERLAP_SECS, Way},
    clients::secret_hash,
    hand::Hand,
    import::{
        Fault, Run, Secrets, at, fault, place,
        seed::{ClientSeed, Seed},
    },
    registration::fit,
    resource_servers::Offer,
};

/// Shorter ones can be guessed from their hashes: a keyed hash is fast.
const MIN_SECRET_CHARS: usize = 20;
const MAX_SECRET_CHARS: usize = 256;

impl ClientSeed {
    fn settings(&self) -> ClientSettings {
        ClientSettings {
            name: self.name.clone(),
            profile: self.profile.unwrap_or(Profile::Oauth21),
            redirect_uris: self.redirect_uris.clone(),
            grant_types: self.grant_types.clone(),
            scope: self.scope.clone(),
            permissions: self.permissions.clone(),
            audiences: self.audiences.clone(),
            default_audience: self.default_audience.clone(),
            exchange_for: self.exchange_for.clone(),
            registration: self.registration.clone(),
        }
    }

    fn place(&self, index: usize) -> String {
        match &self.id {
            Some(id) => place("clients", index, id),
            None => place("clients", index, &self.name),
        }
    }
}

impl Run<'_> {
    pub(super) async fn clients(&mut self, seed: &Seed) -> Result<(), Fault> {
        for (index, client) in seed.clients.iter().enumerate() {
            let place = client.place(index);
            let tenant = self.tenant(&place, "tenant", &client.tenant).await?;
            let settings = client.settings();
            settings.check().map_err(Error::from).map_err(at(&place))?;
            check_secret(&place, client, &settings)?;
            match self.existing(&place, tenant, client).await? {
                None => self.new_client(&place, tenant, client).await?,
                Some(id) => self.changed_client(&place, (id, tenant), client).await?,
            }
        }
        Ok(())
    }

    /// The client that an entry is about: by its id, or by its name in the tenant.
    async fn existing(
        &mut self,
        place: &str,
        tenant: TenantId,
        seed: &ClientSeed,
    ) -> Result<Option<ClientId>, Fault> {
        if let Some(id) = &seed.id {
            return match self.tx.find_client(id).await? {
                Some(client) if client.tenant != tenant => {
                    fault(format!("{place}.id"), "is a client of another tenant")
                }
                found => Ok(found.map(|client| client.id)),
            };
        }
        let mut named = self.tx.list_clients_named(tenant, &seed.name).await?;
        if named.len() > 1 {
            return fault(format!("{place}.name"), "several clients have it: state the id");
        }
        Ok(named.pop())
    }

    async fn new_client(
        &mut self,
        place: &str,
        tenant: TenantId,
        seed: &ClientSeed,
    ) -> Result<(), Fault> {
        let settings = seed.settings();
        let environment = &self.issuer.0.environment;
        let id = seed.id.clone().map_or_else(|| self.issuer.new_client_id(), Ok)?;
        let is_by_secret = settings.registration.token_endpoint_auth_method.is_by_secret();
        let stated = seed.secret.as_ref().and_then(|secret| secret.text()).map(ToOwned::to_owned);
        let secret = match stated {
            None if is_by_secret && self.secrets == Secrets::Stated => {
                let why = "must be stated here: nobody would see one that is made";
                return fault(format!("{place}.secret"), why);
            }
            None if is_by_secret => {
                let made = environment.secret()?;
                self.did.secrets.push((id.clone(), made.clone()));
                Some(made)
            }
            stated => stated,
        };
        let made = (id, settings, &secret);
        let client = self.issuer.insert_client(&mut self.tx, Hand::Import, tenant, made).await?;
        self.added.insert((tenant, Quota::Clients));
        self.did.done.push(format!("created client {}", client.id));
        Ok(())
    }

    async fn changed_client(
        &mut self,
        place: &str,
        (id, tenant): (ClientId, TenantId),
        seed: &ClientSeed,
    ) -> Result<(), Fault> {
        let before = self.tx.find_client(&id).await?.ok_or(Error::Broken)?;
        debug_assert_eq!(before.tenant, tenant);
        let settings = seed.settings();
        let mut client = before;
        if client.settings() != settings {
            let issuer = self.issuer;
            let (after, _) = issuer
                .write_client(&mut self.tx, Hand::Import, client, settings)
                .await
                .map_err(at(place))?;
            client = after;
            self.did.done.push(format!("changed client {id}"));
        }
        let Some(secret) = seed.secret.as_ref().and_then(|secret| secret.text()) else {
            return Ok(());
        };
        // One that it ever had is no news: it may have been replaced since, on purpose.
        let hash = secret_hash(&self.issuer.0.secrets, &id, secret);
        if !self.tx.has_client_secret(&id, &hash).await? {
            let way = (secret, Way::Overlap(OVERLAP_SECS));
            self.issuer.replace_secret(&mut self.tx, Hand::Import, &client, way).await?;
            self.did.done.push(format!("changed secret of client {id}"));
        }
        Ok(())
    }

    pub(super) async fn resource_servers(&mut self, seed: &Seed) -> Result<(), Fault> {
        for (index, server) in seed.resource_servers.iter().enumerate() {
            let place = place("resource_servers", index, &server.audience);
            let offer = Offer {
                client_id: Some(server.client.clone()),
                accepts_delegated: Some(server.accepts_delegated),
                permissions: Some(server.permissions.clone()),
            };
            let (issuer, hand, audience) = (self.issuer, Hand::Import, &server.audience);
            let what = match self.tx.find_audience(audience).await? {
                None => {
                    let made = issuer.insert_resource_server(&mut self.tx, hand, audience, offer);
                    made.await.map_err(at(&place))?;
                    "created"
                }
                Some(before) => {
                    let version = before.version;
                    let changed = issuer.write_resource_server(&mut self.tx, hand, before, offer);
                    if changed.await.map_err(at(&place))?.version == version {
                        continue;
                    }
                    "changed"
                }
            };
            self.did.done.push(format!("{what} resource_server {audience}"));
        }
        Ok(())
    }

    /// At the end, because clients and resource servers name each other.
    pub(super) async fn check_references(&mut self, seed: &Seed) -> Result<(), Fault> {
        for (index, client) in seed.clients.iter().enumerate() {
            let place = client.place(index);
            let tenant = self.tenant(&place, "tenant", &client.tenant).await?;
            let id = self.existing(&place, tenant, client).await?.ok_or(Error::Broken)?;
            fit(&mut self.tx, &id, &client.settings()).await.map_err(at(&place))?;
        }
        Ok(())
    }
}

fn check_secret(place: &str, seed: &ClientSeed, settings: &ClientSettings) -> Result<(), Fault> {
    let member = format!("{place}.secret");
    let is_by_secret = settings.registration.token_endpoint_auth_method.is_by_secret();
    match &seed.secret {
        Some(_) if !is_by_secret => fault(member, "this way of authentication knows no secret"),
        Some(secret) => {
            let text = secret.text().unwrap_or_default();
            let is_good = (MIN_SECRET_CHARS..=MAX_SECRET_CHARS).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_graphic());
            if is_good {
                return Ok(());
            }
            fault(member, "must have 20 to 256 visible ASCII characters")
        }
        None => Ok(()),
    }
}
