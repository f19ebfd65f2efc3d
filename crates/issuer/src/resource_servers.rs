//! Resource servers: which audiences there are, what they understand, and as which client each
//! authenticates here. They serve all tenants, so they are the operator's.

use procura_domain::{Caller, Fault, Permissions, policy::Permit};
use procura_store::{Tx, clients::ResourceServer};
use procura_token::{ClientId, Key, TenantId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Error, Issuer, Result,
    hand::{Hand, Subject, difference},
};

/// What can be said of a resource server; what is absent stays, or has its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Offer {
    /// As which client it authenticates here.
    pub client_id: Option<ClientId>,
    /// Whether it takes delegated tokens; not unless it says so.
    pub accepts_delegated: Option<bool>,
    /// The permissions that it understands.
    pub permissions: Option<Permissions>,
}

impl Issuer {
    /// Registers an audience.
    pub async fn add_resource_server(
        &self,
        hand: Hand<'_>,
        audience: &str,
        offer: Offer,
    ) -> Result<ResourceServer> {
        permit(hand.caller())?;
        let mut tx = self.begin_by(hand).await?;
        let server = self.insert_resource_server(&mut tx, hand, audience, offer).await?;
        tx.commit().await?;
        Ok(server)
    }

    /// The same inside of a transaction, for who was permitted.
    pub(crate) async fn insert_resource_server(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        audience: &str,
        offer: Offer,
    ) -> Result<ResourceServer> {
        let is_audience = (1..=512).contains(&audience.len())
            && audience.bytes().all(|b| b.is_ascii_graphic())
            && audience != self.0.settings.issuer;
        if !is_audience {
            return Err(fault("audience", "must be visible ASCII, and not the issuer itself"));
        }
        let client = offer.client_id.ok_or(fault("client_id", "is missing"))?;
        let tenant = owner(tx, &client).await?;
        if tx.find_resource_server(&client).await?.is_some() {
            return Err(fault("client_id", "is another resource server already"));
        }
        let server = ResourceServer {
            audience: audience.to_owned(),
            client,
            accepts_delegated: offer.accepts_delegated.unwrap_or(false),
            permissions: offer.permissions.unwrap_or_default(),
            version: 1,
        };
        tx.insert_resource_server(&server).await?;
        let details = difference(&Value::Object(Map::new()), &shown(&server));
        let about = subject(tenant, audience);
        tx.audit(self.entry_by(hand, "resource_server.add", about, details)?);
        Ok(server)
    }

    /// The resource server of an audience.
    pub async fn find_resource_server(
        &self,
        caller: Option<&Caller>,
        audience: &str,
    ) -> Result<ResourceServer> {
        permit(caller)?;
        self.0.store.find_audience(audience).await?.ok_or(Error::NotFound)
    }

    /// All resource servers.
    pub async fn list_resource_servers(
        &self,
        caller: Option<&Caller>,
    ) -> Result<Vec<ResourceServer>> {
        permit(caller)?;
        Ok(self.0.store.list_resource_servers().await?)
    }

    /// Changes what is said of a resource server. Where it takes less than before, what was issued for it
    /// under the wider settings is dead.
    pub async fn update_resource_server(
        &self,
        hand: Hand<'_>,
        audience: &str,
        offer: Offer,
        expected: Option<i64>,
    ) -> Result<ResourceServer> {
        permit(hand.caller())?;
        let mut tx = self.begin_by(hand).await?;
        let before = tx.find_audience(audience).await?.ok_or(Error::NotFound)?;
        if expected.is_some_and(|version| version != before.version) {
            return Err(Error::Stale);
        }
        let after = self.write_resource_server(&mut tx, hand, before, offer).await?;
        tx.commit().await?;
        Ok(after)
    }

    /// The same inside of a transaction; what does not differ is not written.
    pub(crate) async fn write_resource_server(
        &self,
        tx: &mut Tx,
        hand: Hand<'_>,
        before: ResourceServer,
        offer: Offer,
    ) -> Result<ResourceServer> {
        let after = ResourceServer {
            client: offer.client_id.unwrap_or_else(|| before.client.clone()),
            accepts_delegated: offer.accepts_delegated.unwrap_or(before.accepts_delegated),
            permissions: offer.permissions.unwrap_or_else(|| before.permissions.clone()),
            ..before.clone()
        };
        let details = difference(&shown(&before), &shown(&after));
        if details.is_empty() {
            return Ok(before);
        }
        let tenant = owner(tx, &after.client).await?;
        let others = tx.find_resource_server(&after.client).await?;
        if others.is_some_and(|other| other.audience != after.audience) {
            return Err(fault("client_id", "is another resource server already"));
        }
        tx.update_resource_server(&after).await?;
        let is_narrower = before.accepts_delegated && !after.accepts_delegated
            || !after.permissions.covers(&before.permissions);
        if is_narrower {
            tx.revoke(&Key::Audience(&after.audience), "resource_server.update");
        }
        let about = subject(tenant, &after.audience);
        tx.audit(self.entry_by(hand, "resource_server.update", about, details)?);
        Ok(ResourceServer { version: after.version.saturating_add(1), ..after })
    }

    /// Takes a resource server away: nothing more is issued for it. Its client stays, and can be deleted.
    pub async fn remove_resource_server(
        &self,
        hand: Hand<'_>,
        audience: &str,
        expected: Option<i64>,
    ) -> Result<()> {
        permit(hand.caller())?;
        let mut tx = self.begin_by(hand).await?;
        let server = tx.find_audience(audience).await?.ok_or(Error::NotFound)?;
        if expected.is_some_and(|version| version != server.version) {
            return Err(Error::Stale);
        }
        let tenant = owner(&mut tx, &server.client).await?;
        tx.delete_resource_server(audience).await?;
        tx.revoke(&Key::Audience(audience), "resource_server.remove");
        let details = difference(&shown(&server), &Value::Object(Map::new()));
        let about = subject(tenant, audience);
        tx.audit(self.entry_by(hand, "resource_server.remove", about, details)?);
        tx.commit().await?;
        Ok(())
    }
}

/// Resource servers belong to no tenant alone.
fn permit(caller: Option<&Caller>) -> Result<()> {
    let permitted = caller.map(Caller::operate).transpose();
    permitted.map(|_: Option<Permit>| ()).map_err(Error::from)
}

const fn fault(member: &'static str, why: &'static str) -> Error {
    Error::Unfit(Fault { member, why })
}

async fn owner(tx: &mut Tx, client: &ClientId) -> Result<TenantId> {
    let found = tx.find_client(client).await?;
    Ok(found.ok_or(fault("client_id", "names a client that is not registered"))?.tenant)
}

fn subject(tenant: TenantId, audience: &str) -> Subject<'_> {
    Subject { tenant, kind: "resource_server", id: audience }
}

fn shown(server: &ResourceServer) -> Value {
    json!({
        "client_id": server.client,
        "accepts_delegated": server.accepts_delegated,
        "permissions": server.permissions,
    })
}
