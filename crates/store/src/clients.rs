//! Clients and resource servers.

use std::collections::BTreeSet;

use procura_domain::{AuthMethod, Permissions, Profile, Registration};
use procura_token::{Algorithm, ClientId, Scope, TenantId, Ts};

use crate::{
    Result, Store, Tx,
    row::{Columns, json},
    sql::{Row, query},
};

/// Software that asks for tokens.
#[derive(Clone)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// What people see on the consent page.
    pub name: String,
    /// The keyed hash of its secret, in hex; `None`: a public client.
    pub secret_hash: Option<String>,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// Counts the changes.
    pub version: i64,
    /// Exact redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Grant types that it may use.
    pub grant_types: BTreeSet<String>,
    /// Scopes that it may ask for at login.
    pub scope: Scope,
    /// The most that it may ask for in a customer's tenant.
    pub permissions: Permissions,
    /// Resource servers that it may name.
    pub audiences: Vec<String>,
    /// The one that is meant when it names none.
    pub default_audience: Option<String>,
    /// Other clients whose tokens it may exchange.
    pub exchange_for: Vec<ClientId>,
    /// The policy that holds for it.
    pub profile: Profile,
    /// What else it is registered as.
    pub registration: Registration,
    /// Since when.
    pub created_at: Ts,
}

impl Client {
    /// Whether it proves who it is. Of a public client everybody can say to be it.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.registration.token_endpoint_auth_method != AuthMethod::None
    }

    /// The algorithm of its ID tokens. The default of OpenID Connect is forbidden under FAPI 2.0.
    #[must_use]
    pub fn id_token_alg(&self) -> Algorithm {
        match (self.profile, self.registration.id_token_signed_response_alg) {
            (Profile::Fapi2, Algorithm::Rs256) => Algorithm::Es256,
            (_, registered) => registered,
        }
    }

    /// Whether its tokens must be bound to a key (RFC 9449 §5.2).
    #[must_use]
    pub fn must_bind_tokens(&self) -> bool {
        self.profile == Profile::Fapi2 || self.registration.dpop_bound_access_tokens
    }
}

/// A service that takes tokens.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    /// `aud` in its tokens.
    pub audience: String,
    /// The client id under which it authenticates here.
    pub client: ClientId,
    /// Whether it takes delegated tokens.
    pub accepts_delegated: bool,
    /// The permissions that it understands.
    pub permissions: Permissions,
}

fn client(row: &Row) -> Result<Client> {
    Ok(Client {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        secret_hash: row.opt_text("secret_hash")?,
        is_enabled: row.text("status")? == "active",
        version: row.int("version")?,
        redirect_uris: row.json("redirect_uris")?,
        grant_types: row.words("grant_types")?.into_iter().collect(),
        scope: row.parsed("scope")?,
        permissions: row.parsed("permissions")?,
        audiences: row.json("audiences")?,
        default_audience: row.opt_text("default_audience")?,
        exchange_for: row.json("exchange_for")?,
        profile: row.parsed("profile")?,
        registration: row.json("registration")?,
        created_at: row.ts("created_at")?,
    })
}

fn resource_server(row: &Row) -> Result<ResourceServer> {
    Ok(ResourceServer {
        audience: row.text("audience")?,
        client: row.parsed("client_id")?,
        accepts_delegated: row.is("accepts_delegated")?,
        permissions: row.parsed("permissions")?,
    })
}

impl Store {
    /// The client with this id, enabled or not.
    pub async fn find_client(&self, id: &ClientId) -> Result<Option<Client>> {
        const FIND: &str = "SELECT * FROM clients WHERE id = $1";
        let row = query(FIND).bind(id.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(client).transpose()
    }

    /// The resource server that takes tokens for this audience.
    pub async fn find_audience(&self, audience: &str) -> Result<Option<ResourceServer>> {
        const FIND: &str = "SELECT * FROM resource_servers WHERE audience = $1";
        let row = query(FIND).bind(audience).fetch_optional(&self.readers).await?;
        row.as_ref().map(resource_server).transpose()
    }

    /// The resource server that authenticates as this client.
    pub async fn find_resource_server(&self, id: &ClientId) -> Result<Option<ResourceServer>> {
        const FIND: &str = "SELECT * FROM resource_servers WHERE client_id = $1";
        let row = query(FIND).bind(id.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(resource_server).transpose()
    }
}

impl Tx {
    /// Adds a client.
    pub async fn insert_client(&mut self, client: &Client) -> Result<()> {
        const INSERT: &str = "INSERT INTO clients (id, tenant_id, name, secret_hash, status, version, \
                              redirect_uris, grant_types, scope, permissions, audiences, \
                              default_audience, exchange_for, profile, registration, created_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
                              $15, $16)";
        let grant_types: Vec<_> = client.grant_types.iter().map(String::as_str).collect();
        query(INSERT)
            .bind(client.id.as_str())
            .bind(client.tenant.to_string())
            .bind(&client.name)
            .bind(&client.secret_hash)
            .bind(if client.is_enabled { "active" } else { "disabled" })
            .bind(client.version)
            .bind(json(&client.redirect_uris)?)
            .bind(grant_types.join(" "))
            .bind(client.scope.to_string())
            .bind(client.permissions.to_string())
            .bind(json(&client.audiences)?)
            .bind(&client.default_audience)
            .bind(json(&client.exchange_for)?)
            .bind(client.profile.as_str())
            .bind(json(&client.registration)?)
            .bind(client.created_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Adds a resource server.
    pub async fn insert_resource_server(&mut self, server: &ResourceServer) -> Result<()> {
        const INSERT: &str = "INSERT INTO resource_servers (audience, client_id, accepts_delegated, \
                              permissions) VALUES ($1, $2, $3, $4)";
        query(INSERT)
            .bind(&server.audience)
            .bind(server.client.as_str())
            .bind(i64::from(server.accepts_delegated))
            .bind(server.permissions.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Whether the client is enabled and as it was when it was authenticated: asked again in the
    /// transaction that issues, so that a change in between is not missed.
    pub async fn is_current_client(&mut self, client: &Client) -> Result<bool> {
        const COUNT: &str = "SELECT count(*) AS n FROM clients \
                             WHERE id = $1 AND version = $2 AND status = 'active'";
        let row = query(COUNT)
            .bind(client.id.as_str())
            .bind(client.version)
            .fetch_one(self.connection())
            .await?;
        Ok(row.int("n")? == 1)
    }

    /// Switches a client on or off.
    pub async fn update_client_status(&mut self, id: &ClientId, is_enabled: bool) -> Result<()> {
        const UPDATE: &str = "UPDATE clients SET status = $2, version = version + 1 WHERE id = $1";
        query(UPDATE)
            .bind(id.as_str())
            .bind(if is_enabled { "active" } else { "disabled" })
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
