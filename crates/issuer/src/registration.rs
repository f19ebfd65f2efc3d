//! Clients: registered, looked at, changed, stopped, taken away. What takes something away has its
//! revocation in the same transaction, and each change its audit entry with what changed.

use procura_domain::{Caller, ClientSettings, Quota, policy::Permit, relationship::Side};
use procura_store::{
    Tx,
    clients::{Client, ClientSecret},
};
use procura_token::{ClientId, Key, TenantId};
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    api_keys::end_keys_of,
    clients::secret_hash,
    hand::{Hand, Subject, difference, permit_clients},
    revoke::Revoked,
};

/// A client that was registered.
pub struct Registered {
    /// As it is.
    pub client: Client,
    /// Its secret, to be shown once; `None` where it has none.
    pub secret: Option<String>,
}

/// A client after a change.
pub struct ChangedClient {
    /// As it is now.
    pub client: Client,
    /// What the change killed; `None` where it took nothing away.
    pub revoked: Option<Revoked>,
}

impl Issuer {
    /// Registers a client under an id of ours, and makes its secret where it has one.
    pub async fn register_client(
        &self,
        hand: Hand<'_>,
        tenant: TenantId,
        settings: ClientSettings,
    ) -> Result<Registered> {
        let permit = hand.permit_clients(tenant)?;
        let id = self.new_client_id()?;
        settings.check()?;
        let is_by_secret = settings.registration.token_endpoint_auth_method.is_by_secret();
        let secret = if is_by_secret { Some(self.0.environment.secret()?) } else { None };
        let mut tx = self.begin_by(hand).await?;
        tx.find_tenant(tenant).await?.ok_or(Error::NotFound)?;
        within(&permit, &settings)?;
        fit(&mut tx, &id, &settings).await?;
        let client = self.insert_client(&mut tx, hand, tenant, (id, settings, &secret)).await?;
        self.keep_quota(&mut tx, tenant, Quota::Clients).await?;
        tx.commit().await?;
        Ok(Registered { client, secret })
    }

    /// Writes a new client that was checked, with its audit entry. Whoever has added all then looks at the quota.
    pub(crate) async fn insert_client(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        tenant: TenantId,
        (id, settings, secret): (ClientId, ClientSettings, &Option<String>),
    ) -> Result<Client> {
        let now = tx.now();
        let hashed = secret.as_ref().map(|secret| ClientSecret {
            hash: secret_hash(&self.0.secrets, &id, secret),
            created_at: now,
            expires_at: None,
        });
        let details = difference(&Value::Object(Map::new()), &shown(&settings)?);
        let client = Client {
            id,
            tenant,
            name: String::new(),
            secrets: hashed.into_iter().collect(),
            is_enabled: true,
            is_stopped_by_operator: false,
            version: 1,
            redirect_uris: Vec::new(),
            grant_types: std::collections::BTreeSet::new(),
            scope: procura_token::Scope::default(),
            permissions: procura_domain::Permissions::default(),
            audiences: Vec::new(),
            default_audience: None,
            exchange_for: Vec::new(),
            profile: settings.profile,
            registration: procura_domain::Registration::default(),
            created_at: now,
        }
        .with(settings);
        tx.insert_client(&client).await?;
        let about = Subject::client(tenant, &client.id);
        tx.audit(self.entry_by(hand, "client.register", about, details)?);
        Ok(client)
    }

    /// A client that the caller may look after; without a caller, any.
    pub async fn find_client(&self, caller: Option<&Caller>, id: &ClientId) -> Result<Client> {
        let is_of_one = caller.is_some_and(|c| !c.is(procura_domain::UserRole::SuperAdmin));
        let found = match caller {
            Some(caller) if is_of_one => {
                permit_clients(Some(caller), caller.tenant)?;
                self.0.store.find_client_of(caller.tenant, id).await?
            }
            _ => self.0.store.find_client(id).await?,
        };
        found.ok_or(Error::NotFound)
    }

    /// The clients of a tenant, or all of them; without a caller, whichever are asked for.
    pub async fn list_clients(
        &self,
        caller: Option<&Caller>,
        tenant: Option<TenantId>,
    ) -> Result<Vec<Client>> {
        let is_of_one = caller.is_some_and(|c| !c.is(procura_domain::UserRole::SuperAdmin));
        let tenant = match caller {
            Some(caller) if is_of_one => Some(tenant.unwrap_or(caller.tenant)),
            _ => tenant,
        };
        match tenant {
            Some(tenant) => {
                permit_clients(caller, tenant)?;
                Ok(self.0.store.list_clients(tenant).await?)
            }
            None => Ok(self.0.store.list_all_clients().await?),
        }
    }

    /// Changes the members that a JSON Merge Patch names. Where that narrows what the client may, it ends
    /// what was given under the wider settings. `expected` is the version that the caller saw.
    pub async fn update_client(
        &self,
        hand: Hand<'_>,
        id: &ClientId,
        patch: &Value,
        expected: Option<i64>,
    ) -> Result<ChangedClient> {
        let mut tx = self.begin_by(hand).await?;
        let (before, permit) = self.client_for(&mut tx, hand, id, expected).await?;
        untouched(&mut tx, &permit, &before).await?;
        let settings = before.settings().patched(patch)?;
        settings.check()?;
        within(&permit, &settings)?;
        fit(&mut tx, id, &settings).await?;
        if settings == before.settings() {
            return Ok(ChangedClient { client: before, revoked: None });
        }
        let (client, ended) = self.write_client(&mut tx, hand, before, settings).await?;
        let revoked = self.commit_change(tx, ended, hand).await?;
        self.forget_client(id);
        Ok(ChangedClient { client, revoked })
    }

    /// Writes other settings of a client, with the audit entry and, where they are narrower, the
    /// revocation; answers how many delegations that ended.
    pub(crate) async fn write_client(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        before: Client,
        settings: ClientSettings,
    ) -> Result<(Client, Option<u64>)> {
        let was = before.settings();
        let now = tx.now();
        let mut client = tx.update_client(&before.with(settings.clone())).await?;
        if !settings.registration.token_endpoint_auth_method.is_by_secret() {
            // It proves itself in another way now: what it had would open its door again one day.
            for secret in client.secrets.drain(..).filter(|secret| secret.is_live(now)) {
                tx.end_client_secret(&client.id, &secret.hash, now).await?;
            }
        }
        let about = Subject::client(client.tenant, &client.id);
        let details = difference(&shown(&was)?, &shown(&settings)?);
        tx.audit(self.entry_by(hand, "client.update", about, details)?);
        if !settings.is_narrower_than(&was) {
            return Ok((client, None));
        }
        let ended = end_what_it_holds(tx, &client.id, "client.update").await?;
        Ok((client, Some(ended)))
    }

    /// Stops a client: nothing more is issued to it, and what it holds is dead. What the operator stops,
    /// only the operator lets go on.
    pub async fn disable_client(
        &self,
        hand: Hand<'_>,
        id: &ClientId,
        expected: Option<i64>,
    ) -> Result<ChangedClient> {
        let mut tx = self.begin_by(hand).await?;
        let (client, permit) = self.client_for(&mut tx, hand, id, expected).await?;
        no_resource_server(&mut tx, &permit, id).await?;
        let is_by_operator = permit.side() == Side::Operator || client.is_stopped_by_operator;
        tx.update_client_status(id, false, is_by_operator).await?;
        let ended = end_what_it_holds(&mut tx, id, "client.disable").await?;
        let about = Subject::client(client.tenant, id);
        tx.audit(self.entry_by(hand, "client.disable", about, Map::new())?);
        let revoked = self.commit_revocation(tx, ended, hand.confirm()).await?;
        self.forget_client(id);
        let client = self.0.store.find_client(id).await?.ok_or(Error::NotFound)?;
        Ok(ChangedClient { client, revoked: Some(revoked) })
    }

    /// Lets a client go on. Nothing from before comes back to life.
    pub async fn enable_client(
        &self,
        hand: Hand<'_>,
        id: &ClientId,
        expected: Option<i64>,
    ) -> Result<Client> {
        let mut tx = self.begin_by(hand).await?;
        let (client, permit) = self.client_for(&mut tx, hand, id, expected).await?;
        untouched(&mut tx, &permit, &client).await?;
        if client.is_stopped_by_operator && permit.side() != Side::Operator {
            return Err(Error::Forbidden);
        }
        tx.update_client_status(id, true, false).await?;
        let about = Subject::client(client.tenant, id);
        tx.audit(self.entry_by(hand, "client.enable", about, Map::new())?);
        tx.commit().await?;
        self.forget_client(id);
        self.0.store.find_client(id).await?.ok_or(Error::NotFound)
    }

    /// Takes a client away, and what it holds. One that is a resource server stays until that is removed.
    pub async fn delete_client(
        &self,
        hand: Hand<'_>,
        id: &ClientId,
        expected: Option<i64>,
    ) -> Result<Revoked> {
        let mut tx = self.begin_by(hand).await?;
        let (client, permit) = self.client_for(&mut tx, hand, id, expected).await?;
        untouched(&mut tx, &permit, &client).await?;
        let ended = self.erase_client(&mut tx, hand, &client).await?;
        let revoked = self.commit_revocation(tx, ended, hand.confirm()).await?;
        self.forget_client(id);
        Ok(revoked)
    }

    /// Deletes a client, with the audit entry and the revocation; answers how many delegations that ended.
    pub(crate) async fn erase_client(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        client: &Client,
    ) -> Result<u64> {
        if tx.find_resource_server(&client.id).await?.is_some() {
            return Err(Error::WrongState("resource_server"));
        }
        let ended = end_what_it_holds(tx, &client.id, "client.delete").await?;
        tx.delete_client(&client.id).await?;
        let about = Subject::client(client.tenant, &client.id);
        let details = difference(&shown(&client.settings())?, &Value::Object(Map::new()));
        tx.audit(self.entry_by(hand, "client.delete", about, details)?);
        Ok(ended)
    }

    /// Commits a change that may have ended something.
    pub(crate) async fn commit_change(
        &self,
        tx: Tx,
        ended: Option<u64>,
        hand: Hand<'_>,
    ) -> Result<Option<Revoked>> {
        if let Some(ended) = ended {
            return Ok(Some(self.commit_revocation(tx, ended, hand.confirm()).await?));
        }
        tx.commit().await?;
        Ok(None)
    }

    /// An id for a client that nobody gave one.
    pub(crate) fn new_client_id(&self) -> Result<ClientId> {
        let id = format!("{}{:032x}", ClientId::PREFIX, self.0.environment.id_bits()?);
        id.parse().map_err(|_| Error::Broken)
    }

    /// The client as it is in this transaction, and the right to change it.
    pub(crate) async fn client_for(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        id: &ClientId,
        expected: Option<i64>,
    ) -> Result<(Client, Permit)> {
        // First: whoever may administer nothing is not told whether it exists, here or in another tenant.
        let own = hand.caller().map(|caller| caller.tenant);
        own.map(|own| permit_clients(hand.caller(), own)).transpose()?;
        let client = tx.find_client(id).await?.ok_or(Error::NotFound)?;
        let permit = hand.permit_clients(client.tenant)?;
        if expected.is_some_and(|version| version != client.version) {
            return Err(Error::Stale);
        }
        Ok((client, permit))
    }
}

/// The settings as the audit log and the API show them.
pub(crate) fn shown(settings: &ClientSettings) -> Result<Value> {
    serde_json::to_value(settings).map_err(|_| Error::Broken)
}

/// Whether whoever holds this permit may register these settings.
fn within(permit: &Permit, settings: &ClientSettings) -> Result<()> {
    match permit.side() {
        Side::Operator => Ok(()),
        Side::Customer | Side::Partner => settings.check_bounds().map_err(Error::Beyond),
    }
}

/// What the operator registered beyond a tenant's bounds is not the tenant's to change: whoever could
/// put another redirect URI into it, or take its secret, would have all that it may.
pub(crate) async fn untouched(tx: &mut Tx, permit: &Permit, client: &Client) -> Result<()> {
    within(permit, &client.settings())?;
    no_resource_server(tx, permit, &client.id).await
}

async fn no_resource_server(tx: &mut Tx, permit: &Permit, id: &ClientId) -> Result<()> {
    if permit.side() != Side::Operator && tx.find_resource_server(id).await?.is_some() {
        return Err(Error::Beyond("resource_server"));
    }
    Ok(())
}

/// Whether what the settings name is there.
pub(crate) async fn fit(tx: &mut Tx, id: &ClientId, settings: &ClientSettings) -> Result<()> {
    let fault = |member, why| Error::Unfit(procura_domain::Fault { member, why });
    for audience in &settings.audiences {
        if tx.find_audience(audience).await?.is_none() {
            return Err(fault("audiences", "names a resource server that is not registered"));
        }
    }
    for other in &settings.exchange_for {
        if other == id || tx.find_client(other).await?.is_none() {
            return Err(fault("exchange_for", "names a client that is not registered"));
        }
    }
    Ok(())
}

/// Ends all that was given to a client: whatever can outlive a request belongs in here.
pub(crate) async fn end_what_it_holds(
    tx: &mut Tx,
    id: &ClientId,
    cause: &'static str,
) -> Result<u64> {
    // Keys were made for a client that proves itself and exchanges them, or with what another had then.
    let mut ended = end_keys_of(tx, id, cause).await?;
    ended += tx.end_delegations_by(id).await?;
    // What others made of its tokens bears their name and not this client's.
    for delegation in tx.end_delegations_from(id).await? {
        tx.revoke(&Key::Delegation(delegation), cause);
        ended += 1;
    }
    tx.void_codes_of(id).await?;
    tx.void_device_codes_of(id).await?;
    tx.end_families_of(id).await?;
    tx.revoke(&Key::Client(id), cause);
    Ok(ended)
}

/// What a new client of the command line or the API begins with.
pub fn first_settings(patch: &Value) -> Result<ClientSettings> {
    Ok(ClientSettings::default().patched(patch)?)
}

/// Details of an audit entry.
pub(crate) fn details(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), json!(other))]),
    }
}
