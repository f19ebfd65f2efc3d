//! Identity providers of tenants, whom they log in as whom, and browsers that are away at one. A
//! provider that was removed keeps its name, so that nobody ever gets another one under it.

use procura_domain::ProviderSettings;
use procura_token::{InteractionId, ProviderId, TenantId, Ts, UserId};

use crate::{
    Result, Store, Tx,
    row::{Columns, json},
    sql::{Row, query},
};

/// An identity provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// Whose people it logs in.
    pub tenant: TenantId,
    /// How its tenant calls it.
    pub name: String,
    /// How everybody does: what stands in the claim `idp`.
    pub idp: String,
    /// Its issuer, character by character.
    pub issuer: String,
    /// What can be changed.
    pub settings: ProviderSettings,
    /// Our secret there, sealed, in base64.
    pub sealed: String,
    /// Counted up with each change.
    pub version: i64,
    /// Since when.
    pub created_at: Ts,
}

/// Who of a provider is who of its tenant.
#[derive(Clone, Debug)]
pub struct IdentityLink {
    /// The provider.
    pub provider: ProviderId,
    /// `sub` there.
    pub subject: String,
    /// The person here.
    pub user: UserId,
    /// The tenant of both.
    pub tenant: TenantId,
    /// Since when.
    pub created_at: Ts,
}

/// A browser that is away at a provider.
#[derive(Clone, Debug)]
pub struct UpstreamLogin {
    /// The hash of the `state` that it has to bring back.
    pub state_hash: String,
    /// For which request somebody logs in.
    pub interaction: InteractionId,
    /// Where it is.
    pub provider: ProviderId,
    /// The hash of the browser's cookie.
    pub browser_hash: String,
    /// Then it is too late.
    pub expires_at: Ts,
}

fn provider(row: &Row) -> Result<Provider> {
    Ok(Provider {
        id: row.parsed("id")?,
        tenant: row.parsed("tenant_id")?,
        name: row.text("name")?,
        idp: row.text("idp")?,
        issuer: row.text("issuer")?,
        settings: row.json("settings")?,
        sealed: row.text("sealed")?,
        version: row.int("version")?,
        created_at: row.ts("created_at")?,
    })
}

fn link(row: &Row) -> Result<IdentityLink> {
    Ok(IdentityLink {
        provider: row.parsed("provider_id")?,
        subject: row.text("subject")?,
        user: row.parsed("user_id")?,
        tenant: row.parsed("tenant_id")?,
        created_at: row.ts("created_at")?,
    })
}

const FIND: &str = "SELECT * FROM identity_providers WHERE id = $1 AND removed_at IS NULL";
const LIST: &str = "SELECT * FROM identity_providers WHERE tenant_id = $1 \
                    AND removed_at IS NULL ORDER BY idp";

impl Store {
    /// The provider with this id.
    pub async fn find_provider(&self, id: ProviderId) -> Result<Option<Provider>> {
        let row = query(FIND).bind(id.to_string()).fetch_optional(&self.readers).await?;
        row.as_ref().map(provider).transpose()
    }

    /// A provider of this tenant.
    pub async fn find_provider_of(
        &self,
        tenant: TenantId,
        id: ProviderId,
    ) -> Result<Option<Provider>> {
        const FIND: &str = "SELECT * FROM identity_providers WHERE tenant_id = $1 AND id = $2 \
                            AND removed_at IS NULL";
        let row = query(FIND)
            .bind(tenant.to_string())
            .bind(id.to_string())
            .fetch_optional(&mut self.within(tenant).await?)
            .await?;
        row.as_ref().map(provider).transpose()
    }

    /// The provider that everybody calls so.
    pub async fn find_provider_by_idp(&self, idp: &str) -> Result<Option<Provider>> {
        const FIND: &str = "SELECT * FROM identity_providers WHERE idp = $1 AND removed_at IS NULL";
        let row = query(FIND).bind(idp).fetch_optional(&self.readers).await?;
        row.as_ref().map(provider).transpose()
    }

    /// The provider to which an e-mail domain leads.
    pub async fn find_provider_by_domain(&self, domain: &str) -> Result<Option<Provider>> {
        const FIND: &str = "SELECT p.* FROM identity_domains d \
                            JOIN identity_providers p ON p.id = d.provider_id \
                            WHERE d.domain = $1 AND p.removed_at IS NULL";
        let row = query(FIND).bind(domain).fetch_optional(&self.readers).await?;
        row.as_ref().map(provider).transpose()
    }

    /// The providers of a tenant, by name.
    pub async fn list_providers(&self, tenant: TenantId) -> Result<Vec<Provider>> {
        let rows =
            query(LIST).bind(tenant.to_string()).fetch_all(&mut self.within(tenant).await?).await?;
        rows.iter().map(provider).collect()
    }

    /// All providers there are.
    pub async fn list_all_providers(&self) -> Result<Vec<Provider>> {
        const ALL: &str = "SELECT * FROM identity_providers WHERE removed_at IS NULL ORDER BY idp";
        let rows = query(ALL).fetch_all(&self.readers).await?;
        rows.iter().map(provider).collect()
    }

    /// Whether there is any.
    pub async fn has_providers(&self) -> Result<bool> {
        const FIND: &str = "SELECT id FROM identity_providers WHERE removed_at IS NULL LIMIT 1";
        Ok(query(FIND).fetch_optional(&self.readers).await?.is_some())
    }

    /// The links of a provider, by subject.
    pub async fn list_identity_links(
        &self,
        tenant: TenantId,
        provider: ProviderId,
    ) -> Result<Vec<IdentityLink>> {
        const LIST: &str = "SELECT * FROM identity_links WHERE tenant_id = $1 AND provider_id = $2 \
                            ORDER BY subject";
        let rows = query(LIST)
            .bind(tenant.to_string())
            .bind(provider.to_string())
            .fetch_all(&mut self.within(tenant).await?)
            .await?;
        rows.iter().map(link).collect()
    }

    /// Remembers that a browser has left for a provider. Each request has one such journey at a time. A
    /// statement of its own: strangers may cause it, and it has no place in the order of all writers.
    pub async fn insert_upstream_login(&self, login: &UpstreamLogin) -> Result<()> {
        const INSERT: &str = "INSERT INTO upstream_logins (interaction_id, state_hash, provider_id, \
                              browser_hash, expires_at) VALUES ($1, $2, $3, $4, $5) \
                              ON CONFLICT (interaction_id) DO UPDATE SET \
                              state_hash = excluded.state_hash, provider_id = excluded.provider_id, \
                              browser_hash = excluded.browser_hash, \
                              expires_at = excluded.expires_at";
        query(INSERT)
            .bind(login.interaction.to_string())
            .bind(&login.state_hash)
            .bind(login.provider.to_string())
            .bind(&login.browser_hash)
            .bind(login.expires_at.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Takes the journey away to which a browser comes back: once, and only for the browser that left,
    /// from where it went.
    pub async fn take_upstream_login(
        &self,
        state_hash: &str,
        browser_hash: &str,
        (provider, now): (ProviderId, Ts),
    ) -> Result<Option<InteractionId>> {
        const TAKE: &str = "DELETE FROM upstream_logins WHERE state_hash = $1 \
                            AND browser_hash = $2 AND provider_id = $3 AND expires_at > $4 \
                            RETURNING interaction_id";
        let row = query(TAKE)
            .bind(state_hash)
            .bind(browser_hash)
            .bind(provider.to_string())
            .bind(now.0)
            .fetch_optional(&self.writer)
            .await?;
        row.map(|row| row.parsed("interaction_id")).transpose()
    }
}

impl Tx {
    /// Adds a provider. A name that was ever given, and a domain that leads elsewhere, are a conflict.
    pub async fn insert_provider(&mut self, provider: &Provider) -> Result<()> {
        const INSERT: &str = "INSERT INTO identity_providers (id, tenant_id, name, idp, issuer, \
                              settings, sealed, version, created_at) \
                              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        query(INSERT)
            .bind(provider.id.to_string())
            .bind(provider.tenant.to_string())
            .bind(&provider.name)
            .bind(&provider.idp)
            .bind(&provider.issuer)
            .bind(json(&provider.settings)?)
            .bind(&provider.sealed)
            .bind(provider.version)
            .bind(provider.created_at.0)
            .execute(self.connection())
            .await?;
        self.write_domains(provider).await
    }

    /// Writes what can be changed of a provider, and counts its version up.
    pub async fn update_provider(&mut self, provider: &Provider) -> Result<()> {
        const UPDATE: &str = "UPDATE identity_providers SET settings = $2, sealed = $3, \
                              version = version + 1 WHERE id = $1";
        query(UPDATE)
            .bind(provider.id.to_string())
            .bind(json(&provider.settings)?)
            .bind(&provider.sealed)
            .execute(self.connection())
            .await?;
        self.write_domains(provider).await
    }

    async fn write_domains(&mut self, provider: &Provider) -> Result<()> {
        const FORGET: &str = "DELETE FROM identity_domains WHERE provider_id = $1";
        const INSERT: &str =
            "INSERT INTO identity_domains (domain, provider_id, tenant_id) VALUES ($1, $2, $3)";
        query(FORGET).bind(provider.id.to_string()).execute(self.connection()).await?;
        for domain in &provider.settings.domains {
            query(INSERT)
                .bind(domain)
                .bind(provider.id.to_string())
                .bind(provider.tenant.to_string())
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// Takes a provider away with its domains, its links, its secret and the browsers that are there. Its
    /// name stays taken.
    pub async fn remove_provider(&mut self, id: ProviderId) -> Result<()> {
        const DOMAINS: &str = "DELETE FROM identity_domains WHERE provider_id = $1";
        const LINKS: &str = "DELETE FROM identity_links WHERE provider_id = $1";
        const AWAY: &str = "DELETE FROM upstream_logins WHERE provider_id = $1";
        const REMOVE: &str = "UPDATE identity_providers SET removed_at = $2, sealed = '', \
                              version = version + 1 WHERE id = $1";
        for statement in [DOMAINS, LINKS, AWAY] {
            query(statement).bind(id.to_string()).execute(self.connection()).await?;
        }
        let now = self.now();
        query(REMOVE).bind(id.to_string()).bind(now.0).execute(self.connection()).await?;
        Ok(())
    }

    /// The provider with this id, as it is in this transaction.
    pub async fn find_provider(&mut self, id: ProviderId) -> Result<Option<Provider>> {
        let row = query(FIND).bind(id.to_string()).fetch_optional(self.connection()).await?;
        row.as_ref().map(provider).transpose()
    }

    /// The providers of a tenant, as they are in this transaction.
    pub async fn list_providers(&mut self, tenant: TenantId) -> Result<Vec<Provider>> {
        let rows = query(LIST).bind(tenant.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(provider).collect()
    }

    /// How many providers a tenant has and had.
    pub async fn count_providers(&mut self, tenant: TenantId) -> Result<i64> {
        const COUNT: &str = "SELECT count(*) AS n FROM identity_providers WHERE tenant_id = $1";
        query(COUNT).bind(tenant.to_string()).fetch_one(self.connection()).await?.int("n")
    }

    /// Whether a tenant had a provider of this name that was removed.
    pub async fn was_provider_removed(&mut self, tenant: TenantId, name: &str) -> Result<bool> {
        const FIND: &str = "SELECT id FROM identity_providers WHERE tenant_id = $1 AND name = $2 \
                            AND removed_at IS NOT NULL";
        let found = query(FIND).bind(tenant.to_string()).bind(name);
        Ok(found.fetch_optional(self.connection()).await?.is_some())
    }

    /// All providers that have a secret.
    pub async fn list_sealed_providers(&mut self) -> Result<Vec<Provider>> {
        const ALL: &str = "SELECT * FROM identity_providers WHERE sealed <> ''";
        let rows = query(ALL).fetch_all(self.connection()).await?;
        rows.iter().map(provider).collect()
    }

    /// Seals the secret anew; nothing else of the provider changes, so its version does not either.
    pub async fn update_provider_seal(&mut self, id: ProviderId, sealed: &str) -> Result<()> {
        const UPDATE: &str = "UPDATE identity_providers SET sealed = $2 WHERE id = $1";
        query(UPDATE).bind(id.to_string()).bind(sealed).execute(self.connection()).await?;
        Ok(())
    }

    /// Links somebody there to a person here. Either of them being linked already is a conflict.
    pub async fn insert_identity_link(&mut self, link: &IdentityLink) -> Result<()> {
        const INSERT: &str = "INSERT INTO identity_links (provider_id, subject, user_id, tenant_id, \
                              created_at) VALUES ($1, $2, $3, $4, $5)";
        query(INSERT)
            .bind(link.provider.to_string())
            .bind(&link.subject)
            .bind(link.user.to_string())
            .bind(link.tenant.to_string())
            .bind(link.created_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// The link of somebody there.
    pub async fn find_identity_link(
        &mut self,
        provider: ProviderId,
        subject: &str,
    ) -> Result<Option<IdentityLink>> {
        const FIND: &str = "SELECT * FROM identity_links WHERE provider_id = $1 AND subject = $2";
        let row = query(FIND)
            .bind(provider.to_string())
            .bind(subject)
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// The link of a person here.
    pub async fn find_identity_link_of(
        &mut self,
        provider: ProviderId,
        user: UserId,
    ) -> Result<Option<IdentityLink>> {
        const FIND: &str = "SELECT * FROM identity_links WHERE provider_id = $1 AND user_id = $2";
        let row = query(FIND)
            .bind(provider.to_string())
            .bind(user.to_string())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// Which admins of a tenant are linked to which of its providers.
    pub async fn list_links_of_admins(
        &mut self,
        tenant: TenantId,
    ) -> Result<Vec<(UserId, ProviderId)>> {
        const LIST: &str = "SELECT l.user_id, l.provider_id FROM identity_links l JOIN users u \
                            ON u.id = l.user_id WHERE l.tenant_id = $1 \
                            AND ' ' || u.roles || ' ' LIKE '% tenant-admin %'";
        let rows = query(LIST).bind(tenant.to_string()).fetch_all(self.connection()).await?;
        rows.iter().map(|row| Ok((row.parsed("user_id")?, row.parsed("provider_id")?))).collect()
    }

    /// Takes the link of a person away; whether there was one.
    pub async fn delete_identity_link(
        &mut self,
        provider: ProviderId,
        user: UserId,
    ) -> Result<bool> {
        const DELETE: &str = "DELETE FROM identity_links WHERE provider_id = $1 AND user_id = $2";
        let done = query(DELETE)
            .bind(provider.to_string())
            .bind(user.to_string())
            .execute(self.connection())
            .await?;
        Ok(done == 1)
    }
}
