-- Clients that registered themselves (RFC 7591, RFC 7592).

-- What lets software register itself for a tenant: so many times, until then.
CREATE TABLE initial_access_tokens (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    -- A keyed hash.
    token_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    name       TEXT COLLATE "C" NOT NULL,
    uses_left  BIGINT NOT NULL CHECK (uses_left >= 0),
    -- Absent where it was made on the command line.
    created_by TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at   BIGINT
);
CREATE INDEX initial_access_tokens_of_tenant ON initial_access_tokens (tenant_id, id);
ALTER TABLE initial_access_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE initial_access_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY initial_access_tokens_of_tenant ON initial_access_tokens USING (is_visible(tenant_id));

CREATE TABLE self_registered_clients (
    client_id        TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
    -- A keyed hash of the token by which it looks after itself.
    token_hash       TEXT COLLATE "C" NOT NULL,
    -- No reference: what was used up is forgotten one day.
    initial_token_id TEXT COLLATE "C",
    -- Nobody having agreed to it until then, it goes.
    kept_until       BIGINT NOT NULL
);
CREATE INDEX self_registered_clients_by_end ON self_registered_clients (kept_until);
-- The wall of a client is the wall of what it registered.
ALTER TABLE self_registered_clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE self_registered_clients FORCE ROW LEVEL SECURITY;
CREATE POLICY self_registered_clients_of_client ON self_registered_clients
    USING (EXISTS (SELECT 1 FROM clients c WHERE c.id = self_registered_clients.client_id));
