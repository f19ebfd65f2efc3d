-- Keys of partners' people, by which programs of theirs act without a login.

-- A key has a session of its own, which is nobody's login.
ALTER TABLE sessions ADD COLUMN is_login INTEGER NOT NULL DEFAULT 1 CHECK (is_login IN (0, 1));

CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_id      TEXT    NOT NULL REFERENCES users (id),
    tenant_id    TEXT    NOT NULL REFERENCES tenants (id),
    client_id    TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- Ends with the key, and the key with it.
    session_id   TEXT    NOT NULL UNIQUE REFERENCES sessions (id),
    name         TEXT    NOT NULL,
    -- Of all of its text.
    key_hash     TEXT    NOT NULL,
    permissions  TEXT    NOT NULL,
    -- Absent: whichever the person can enter, from anywhere.
    tenants      TEXT    CHECK (json_valid(tenants)),
    networks     TEXT    CHECK (json_valid(networks)),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, id);
CREATE INDEX api_keys_of_user ON api_keys (user_id);
CREATE INDEX api_keys_of_client ON api_keys (client_id);

-- A yes is for whom it was said to: for the person, or for this key. No reference: requests are in backups, keys are not.
ALTER TABLE access_requests ADD COLUMN api_key_id TEXT;
