-- Identity providers of tenants (OpenID Connect), and whom they log in as whom.

CREATE TABLE identity_providers (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    name       TEXT COLLATE "C" NOT NULL,
    -- What stands in tokens and in the terms of relationships: the tenant's short name, a slash, the name.
    -- A name is never given twice: whoever trusts it trusts this issuer.
    idp        TEXT COLLATE "C" NOT NULL UNIQUE,
    issuer     TEXT COLLATE "C" NOT NULL,
    settings   TEXT COLLATE "C" NOT NULL CHECK (settings::jsonb IS NOT NULL),
    -- Our secret there, sealed under the master key; in base64.
    sealed     TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    removed_at BIGINT
);
CREATE INDEX identity_providers_of_tenant ON identity_providers (tenant_id);

-- An e-mail domain leads to one provider.
CREATE TABLE identity_domains (
    domain      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    provider_id TEXT COLLATE "C" NOT NULL REFERENCES identity_providers (id),
    tenant_id   TEXT COLLATE "C" NOT NULL REFERENCES tenants (id)
);
CREATE INDEX identity_domains_of_provider ON identity_domains (provider_id);

-- Who of a provider is who of the tenant: one to one.
CREATE TABLE identity_links (
    provider_id TEXT COLLATE "C" NOT NULL REFERENCES identity_providers (id),
    subject     TEXT COLLATE "C" NOT NULL,
    user_id     TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    tenant_id   TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (provider_id, subject),
    UNIQUE (provider_id, user_id)
);

-- Browsers that are away at a provider. A row goes when its browser comes back, or with its request.
CREATE TABLE upstream_logins (
    interaction_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES interactions (id) ON DELETE CASCADE,
    state_hash     TEXT COLLATE "C" NOT NULL UNIQUE,
    provider_id    TEXT COLLATE "C" NOT NULL REFERENCES identity_providers (id),
    browser_hash   TEXT COLLATE "C" NOT NULL,
    expires_at     BIGINT NOT NULL
);

-- A provider that is switched off ends the logins that came by it.
CREATE INDEX sessions_by_provider ON sessions (tenant_id, idp) WHERE ended_at IS NULL;

ALTER TABLE identity_providers ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_providers FORCE ROW LEVEL SECURITY;
CREATE POLICY identity_providers_of_tenant ON identity_providers USING (is_visible(tenant_id));
ALTER TABLE identity_domains ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_domains FORCE ROW LEVEL SECURITY;
CREATE POLICY identity_domains_of_tenant ON identity_domains USING (is_visible(tenant_id));
ALTER TABLE identity_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_links FORCE ROW LEVEL SECURITY;
CREATE POLICY identity_links_of_tenant ON identity_links USING (is_visible(tenant_id));
