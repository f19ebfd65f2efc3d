-- Identity providers of tenants (OpenID Connect), and whom they log in as whom.

CREATE TABLE identity_providers (
    id         TEXT    NOT NULL PRIMARY KEY,
    tenant_id  TEXT    NOT NULL REFERENCES tenants (id),
    name       TEXT    NOT NULL,
    -- What stands in tokens and in the terms of relationships: the tenant's short name, a slash, the name.
    -- A name is never given twice: whoever trusts it trusts this issuer.
    idp        TEXT    NOT NULL UNIQUE,
    issuer     TEXT    NOT NULL,
    settings   TEXT    NOT NULL CHECK (json_valid(settings)),
    -- Our secret there, sealed under the master key; in base64.
    sealed     TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_providers_of_tenant ON identity_providers (tenant_id);

-- An e-mail domain leads to one provider.
CREATE TABLE identity_domains (
    domain      TEXT NOT NULL PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES identity_providers (id),
    tenant_id   TEXT NOT NULL REFERENCES tenants (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_domains_of_provider ON identity_domains (provider_id);

-- Who of a provider is who of the tenant: one to one.
CREATE TABLE identity_links (
    provider_id TEXT    NOT NULL REFERENCES identity_providers (id),
    subject     TEXT    NOT NULL,
    user_id     TEXT    NOT NULL REFERENCES users (id),
    tenant_id   TEXT    NOT NULL REFERENCES tenants (id),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (provider_id, subject),
    UNIQUE (provider_id, user_id)
) STRICT, WITHOUT ROWID;

-- Browsers that are away at a provider. A row goes when its browser comes back, or with its request.
CREATE TABLE upstream_logins (
    interaction_id TEXT    NOT NULL PRIMARY KEY REFERENCES interactions (id) ON DELETE CASCADE,
    state_hash     TEXT    NOT NULL UNIQUE,
    provider_id    TEXT    NOT NULL REFERENCES identity_providers (id),
    browser_hash   TEXT    NOT NULL,
    expires_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A provider that is switched off ends the logins that came by it.
CREATE INDEX sessions_by_provider ON sessions (tenant_id, idp) WHERE ended_at IS NULL;
