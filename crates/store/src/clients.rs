//! Clients and resource servers.

use std::collections::BTreeSet;

use procura_domain::{AuthMethod, ClientSettings, Permissions, Profile, Registration};
use procura_token::{Algorithm, ClientId, Scope, TenantId, Ts, UserId};

use crate::{
    Error, Result, Store, Tx,
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
    /// Its newest secrets, two at most: none for whoever proves itself by a key, or not at all.
    pub secrets: Vec<ClientSecret>,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// Whether the operator has stopped it: then its tenant cannot let it go on.
    pub is_stopped_by_operator: bool,
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

    /// Everything about it that can be changed.
    #[must_use]
    pub fn settings(&self) -> ClientSettings {
        ClientSettings {
            name: self.name.clone(),
            profile: self.profile,
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

    /// The same client with other settings.
    #[must_use]
    pub fn with(self, settings: ClientSettings) -> Self {
        Self {
            name: settings.name,
            profile: settings.profile,
            redirect_uris: settings.redirect_uris,
            grant_types: settings.grant_types,
            scope: settings.scope,
            permissions: settings.permissions,
            audiences: settings.audiences,
            default_audience: settings.default_audience,
            exchange_for: settings.exchange_for,
            registration: settings.registration,
            ..self
        }
    }
}

/// A secret of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its keyed hash, in hex.
    pub hash: String,
    /// Since when.
    pub created_at: Ts,
    /// From then on it is worthless.
    pub expires_at: Option<Ts>,
}

impl ClientSecret {
    /// Whether it opens anything at this instant.
    #[must_use]
    pub fn is_live(&self, now: Ts) -> bool {
        self.expires_at.is_none_or(|end| now < end)
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
    /// Counts the changes.
    pub version: i64,
}

/// Two rows at most: a client with each of its newest secrets.
const FIND: &str = "SELECT c.*, s.secret_hash, s.created_at AS secret_at, \
                    s.expires_at AS secret_until FROM clients c \
                    LEFT JOIN client_secrets s ON s.client_id = c.id WHERE c.id = $1 \
                    ORDER BY s.created_at DESC LIMIT 2";
const FIND_SERVER: &str = "SELECT * FROM resource_servers WHERE client_id = $1";
const FIND_AUDIENCE: &str = "SELECT * FROM resource_servers WHERE audience = $1";

fn client(row: &Row) -> Result<Client> {
    Ok(Client {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        secrets: Vec::new(),
        is_enabled: row.text("status")? == "active",
        is_stopped_by_operator: row.is("is_stopped_by_operator")?,
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
        version: row.int("version")?,
    })
}

/// Clients out of rows that stand together, one for each secret, the newest first.
fn clients(rows: &[Row]) -> Result<Vec<Client>> {
    const NEWEST: usize = 2;
    let mut clients: Vec<Client> = Vec::new();
    for row in rows {
        let secret = row.opt_text("secret_hash")?.map(|hash| {
            Ok::<_, Error>(ClientSecret {
                hash,
                created_at: row.ts("secret_at")?,
                expires_at: row.opt_ts("secret_until")?,
            })
        });
        match clients.last_mut() {
            Some(last) if last.id.as_str() == row.str("id")? => {
                if last.secrets.len() < NEWEST {
                    last.secrets.extend(secret.transpose()?);
                }
            }
            _ => {
                let secrets = secret.transpose()?.into_iter().collect();
                clients.push(Client { secrets, ..client(row)? });
            }
        }
    }
    Ok(clients)
}

impl Store {
    /// The client with this id, enabled or not.
    pub async fn find_client(&self, id: &ClientId) -> Result<Option<Client>> {
        let rows = query(FIND).bind(id.as_str()).fetch_all(&self.readers).await?;
        Ok(clients(&rows)?.pop())
    }

    /// The client with this id, if the tenant owns it.
    pub async fn find_client_of(&self, tenant: TenantId, id: &ClientId) -> Result<Option<Client>> {
        let mut wall = self.within(tenant).await?;
        let rows = query(FIND).bind(id.as_str()).fetch_all(&mut wall).await?;
        Ok(clients(&rows)?.pop().filter(|client| client.tenant == tenant))
    }

    /// All clients of a tenant.
    pub async fn list_clients(&self, tenant: TenantId) -> Result<Vec<Client>> {
        const LIST: &str = "SELECT c.*, s.secret_hash, s.created_at AS secret_at, \
                            s.expires_at AS secret_until FROM clients c \
                            LEFT JOIN client_secrets s ON s.client_id = c.id \
                            WHERE c.tenant_id = $1 ORDER BY c.id, s.created_at DESC";
        let rows =
            query(LIST).bind(tenant.to_string()).fetch_all(&mut self.within(tenant).await?).await?;
        clients(&rows)
    }

    /// All clients there are: for the operator.
    pub async fn list_all_clients(&self) -> Result<Vec<Client>> {
        const LIST: &str = "SELECT c.*, s.secret_hash, s.created_at AS secret_at, \
                            s.expires_at AS secret_until FROM clients c \
                            LEFT JOIN client_secrets s ON s.client_id = c.id \
                            ORDER BY c.id, s.created_at DESC";
        clients(&query(LIST).fetch_all(&self.readers).await?)
    }

    /// The resource server that takes tokens for this audience.
    pub async fn find_audience(&self, audience: &str) -> Result<Option<ResourceServer>> {
        let row = query(FIND_AUDIENCE).bind(audience).fetch_optional(&self.readers).await?;
        row.as_ref().map(resource_server).transpose()
    }

    /// The resource server that authenticates as this client.
    pub async fn find_resource_server(&self, id: &ClientId) -> Result<Option<ResourceServer>> {
        let row = query(FIND_SERVER).bind(id.as_str()).fetch_optional(&self.readers).await?;
        row.as_ref().map(resource_server).transpose()
    }

    /// All resource servers.
    pub async fn list_resource_servers(&self) -> Result<Vec<ResourceServer>> {
        const LIST: &str = "SELECT * FROM resource_servers ORDER BY audience";
        query(LIST).fetch_all(&self.readers).await?.iter().map(resource_server).collect()
    }
}

impl Tx {
    /// Adds a client with its secrets.
    pub async fn insert_client(&mut self, client: &Client) -> Result<()> {
        const INSERT: &str = "INSERT INTO clients (id, tenant_id, name, status, version, \
                              is_stopped_by_operator, redirect_uris, grant_types, scope, permissions, \
                              audiences, default_audience, exchange_for, profile, registration, \
                              created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                              $13, $14, $15, $16)";
        let grant_types: Vec<_> = client.grant_types.iter().map(String::as_str).collect();
        query(INSERT)
            .bind(client.id.as_str())
            .bind(client.tenant.to_string())
            .bind(&client.name)
            .bind(if client.is_enabled { "active" } else { "disabled" })
            .bind(client.version)
            .bind(i64::from(client.is_stopped_by_operator))
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
        for secret in &client.secrets {
            self.insert_client_secret(&client.id, secret).await?;
        }
        Ok(())
    }

    /// The client with this id, as it is in this transaction.
    pub async fn find_client(&mut self, id: &ClientId) -> Result<Option<Client>> {
        let rows = query(FIND).bind(id.as_str()).fetch_all(self.connection()).await?;
        Ok(clients(&rows)?.pop())
    }

    /// The clients of a tenant with this name.
    pub async fn list_clients_named(
        &mut self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Vec<ClientId>> {
        const FIND: &str = "SELECT id FROM clients WHERE tenant_id = $1 AND name = $2 ORDER BY id";
        let rows =
            query(FIND).bind(tenant.to_string()).bind(name).fetch_all(self.connection()).await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }

    /// Writes what a client is registered as, and counts its version up. It is a conflict if somebody
    /// else changed the version that the caller saw.
    pub async fn update_client(&mut self, client: &Client) -> Result<Client> {
        const UPDATE: &str = "UPDATE clients SET name = $3, redirect_uris = $4, grant_types = $5, \
                              scope = $6, permissions = $7, audiences = $8, default_audience = $9, \
                              exchange_for = $10, profile = $11, registration = $12, \
                              version = version + 1 WHERE id = $1 AND version = $2";
        let grant_types: Vec<_> = client.grant_types.iter().map(String::as_str).collect();
        let done = query(UPDATE)
            .bind(client.id.as_str())
            .bind(client.version)
            .bind(&client.name)
            .bind(json(&client.redirect_uris)?)
            .bind(grant_types.join(" "))
            .bind(client.scope.to_string())
            .bind(client.permissions.to_string())
            .bind(json(&client.audiences)?)
            .bind(&client.default_audience)
            .bind(json(&client.exchange_for)?)
            .bind(client.profile.as_str())
            .bind(json(&client.registration)?)
            .execute(self.connection())
            .await?;
        if done == 0 {
            return Err(Error::Conflict);
        }
        Ok(Client { version: client.version.saturating_add(1), ..client.clone() })
    }

    /// Takes a client away with all that was kept for it; the audit log keeps what it did. Its
    /// delegations must have ended. A table that refers to clients by `ON DELETE CASCADE` needs
    /// nothing here.
    pub async fn delete_client(&mut self, id: &ClientId) -> Result<()> {
        const DELEGATIONS: &str = "DELETE FROM delegations WHERE client_id = $1";
        const CODES: &str = "DELETE FROM authorization_codes WHERE client_id = $1";
        const CONSENTS: &str = "DELETE FROM consents WHERE client_id = $1";
        const CLIENT: &str = "DELETE FROM clients WHERE id = $1";
        for statement in [DELEGATIONS, CODES, CONSENTS, CLIENT] {
            query(statement).bind(id.as_str()).execute(self.connection()).await?;
        }
        Ok(())
    }

    /// Adds a secret. One that the client ever had is a conflict.
    pub async fn insert_client_secret(
        &mut self,
        id: &ClientId,
        secret: &ClientSecret,
    ) -> Result<()> {
        const INSERT: &str = "INSERT INTO client_secrets (client_id, secret_hash, created_at, \
                              expires_at) VALUES ($1, $2, $3, $4)";
        query(INSERT)
            .bind(id.as_str())
            .bind(&secret.hash)
            .bind(secret.created_at.0)
            .bind(secret.expires_at.map(|at| at.0))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Whether the client ever had this secret.
    pub async fn has_client_secret(&mut self, id: &ClientId, hash: &str) -> Result<bool> {
        const COUNT: &str = "SELECT count(*) AS n FROM client_secrets \
                             WHERE client_id = $1 AND secret_hash = $2";
        let row = query(COUNT).bind(id.as_str()).bind(hash).fetch_one(self.connection()).await?;
        Ok(row.int("n")? > 0)
    }

    /// Lets a secret end, at the latest, at this instant.
    pub async fn end_client_secret(&mut self, id: &ClientId, hash: &str, at: Ts) -> Result<()> {
        const END: &str = "UPDATE client_secrets SET expires_at = $3 WHERE client_id = $1 \
                           AND secret_hash = $2 AND (expires_at IS NULL OR expires_at > $3)";
        query(END).bind(id.as_str()).bind(hash).bind(at.0).execute(self.connection()).await?;
        Ok(())
    }

    /// Voids the codes that one person's logins gave one client and nobody has redeemed.
    pub async fn void_codes_between(&mut self, user: UserId, client: &ClientId) -> Result<()> {
        const VOID: &str = "DELETE FROM authorization_codes WHERE client_id = $2 AND used_at IS NULL \
                            AND session_id IN (SELECT id FROM sessions WHERE user_id = $1)";
        query(VOID).bind(user.to_string()).bind(client.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// Voids the codes that nobody has redeemed yet; what was, stays, so that a replay is seen.
    pub async fn void_codes_of(&mut self, id: &ClientId) -> Result<()> {
        const VOID: &str =
            "DELETE FROM authorization_codes WHERE client_id = $1 AND used_at IS NULL";
        query(VOID).bind(id.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// Makes every copy of the client in memory worthless.
    pub async fn bump_client(&mut self, id: &ClientId) -> Result<()> {
        const BUMP: &str = "UPDATE clients SET version = version + 1 WHERE id = $1";
        query(BUMP).bind(id.as_str()).execute(self.connection()).await?;
        Ok(())
    }

    /// The resource server that takes tokens for this audience.
    pub async fn find_audience(&mut self, audience: &str) -> Result<Option<ResourceServer>> {
        let row = query(FIND_AUDIENCE).bind(audience).fetch_optional(self.connection()).await?;
        row.as_ref().map(resource_server).transpose()
    }

    /// The resource server that authenticates as this client.
    pub async fn find_resource_server(&mut self, id: &ClientId) -> Result<Option<ResourceServer>> {
        let row = query(FIND_SERVER).bind(id.as_str()).fetch_optional(self.connection()).await?;
        row.as_ref().map(resource_server).transpose()
    }

    /// Writes what a resource server takes, and counts its version up.
    pub async fn update_resource_server(&mut self, server: &ResourceServer) -> Result<()> {
        const UPDATE: &str = "UPDATE resource_servers SET client_id = $2, accepts_delegated = $3, \
                              permissions = $4, version = version + 1 WHERE audience = $1";
        query(UPDATE)
            .bind(&server.audience)
            .bind(server.client.as_str())
            .bind(i64::from(server.accepts_delegated))
            .bind(server.permissions.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Takes a resource server away. Its client stays.
    pub async fn delete_resource_server(&mut self, audience: &str) -> Result<()> {
        const DELETE: &str = "DELETE FROM resource_servers WHERE audience = $1";
        query(DELETE).bind(audience).execute(self.connection()).await?;
        Ok(())
    }

    /// Adds a resource server.
    pub async fn insert_resource_server(&mut self, server: &ResourceServer) -> Result<()> {
        const INSERT: &str = "INSERT INTO resource_servers (audience, client_id, accepts_delegated, \
                              permissions, version) VALUES ($1, $2, $3, $4, $5)";
        query(INSERT)
            .bind(&server.audience)
            .bind(server.client.as_str())
            .bind(i64::from(server.accepts_delegated))
            .bind(server.permissions.to_string())
            .bind(server.version)
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
    pub async fn update_client_status(
        &mut self,
        id: &ClientId,
        is_enabled: bool,
        is_stopped_by_operator: bool,
    ) -> Result<()> {
        const UPDATE: &str = "UPDATE clients SET status = $2, is_stopped_by_operator = $3, \
                              version = version + 1 WHERE id = $1";
        query(UPDATE)
            .bind(id.as_str())
            .bind(if is_enabled { "active" } else { "disabled" })
            .bind(i64::from(is_stopped_by_operator))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
