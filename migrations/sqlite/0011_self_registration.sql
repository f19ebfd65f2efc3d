-- Clients that registered themselves (RFC 7591, RFC 7592).

-- What lets software register itself for a tenant: so many times, until then.
CREATE TABLE initial_access_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    tenant_id  TEXT    NOT NULL REFERENCES tenants (id),
    -- A keyed hash.
    token_hash TEXT    NOT NULL UNIQUE,
    name       TEXT    NOT NULL,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    -- Absent where it was made on the command line.
    created_by TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX initial_access_tokens_of_tenant ON initial_access_tokens (tenant_id, id);

CREATE TABLE self_registered_clients (
    client_id        TEXT    NOT NULL PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
    -- A keyed hash of the token by which it looks after itself.
    token_hash       TEXT    NOT NULL,
    -- No reference: what was used up is forgotten one day.
    initial_token_id TEXT,
    -- Nobody having agreed to it until then, it goes.
    kept_until       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX self_registered_clients_by_end ON self_registered_clients (kept_until);
