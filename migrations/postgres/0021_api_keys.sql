-- Keys of partners' people, by which programs of theirs act without a login.

-- A key has a session of its own, which is nobody's login.
ALTER TABLE sessions ADD COLUMN is_login BIGINT NOT NULL DEFAULT 1 CHECK (is_login IN (0, 1));

CREATE TABLE api_keys (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    tenant_id    TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    client_id    TEXT COLLATE "C" NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- Ends with the key, and the key with it.
    session_id   TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES sessions (id),
    name         TEXT COLLATE "C" NOT NULL,
    -- Of all of its text.
    key_hash     TEXT COLLATE "C" NOT NULL,
    permissions  TEXT COLLATE "C" NOT NULL,
    -- Absent: whichever the person can enter, from anywhere.
    tenants      TEXT COLLATE "C",
    networks     TEXT COLLATE "C",
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, id);
CREATE INDEX api_keys_of_user ON api_keys (user_id);
CREATE INDEX api_keys_of_client ON api_keys (client_id);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY api_keys_of_tenant ON api_keys USING (is_visible(tenant_id));

-- A yes is for whom it was said to: for the person, or for this key. No reference: requests are in backups, keys are not.
ALTER TABLE access_requests ADD COLUMN api_key_id TEXT;
