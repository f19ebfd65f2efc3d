-- What a login gave to a client, so that it can be taken back, and who has to hear that it is over.

-- A client's right to come back without the person (scope offline_access). It begins with one code and
-- goes on through tokens that take each other's place.
CREATE TABLE refresh_families (
    -- The hash of the code that it began with.
    origin_hash  TEXT    NOT NULL PRIMARY KEY,
    session_id   TEXT    NOT NULL REFERENCES sessions (id),
    user_id      TEXT    NOT NULL REFERENCES users (id),
    tenant_id    TEXT    NOT NULL REFERENCES tenants (id),
    client_id    TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- What was agreed, as it stood in the code.
    grant_json   TEXT    NOT NULL CHECK (json_valid(grant_json)),
    ends_at      INTEGER NOT NULL,
    -- Unused until then, it is over.
    idle_ends_at INTEGER NOT NULL,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families_of_session ON refresh_families (session_id) WHERE ended_at IS NULL;
CREATE INDEX refresh_families_of_user ON refresh_families (user_id) WHERE ended_at IS NULL;

CREATE TABLE refresh_tokens (
    token_hash     TEXT    NOT NULL PRIMARY KEY,
    origin_hash    TEXT    NOT NULL REFERENCES refresh_families (origin_hash) ON DELETE CASCADE,
    used_at        INTEGER,
    -- What took its place.
    successor_hash TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_of_family ON refresh_tokens (origin_hash);

-- Home tokens that may still be alive.
CREATE TABLE home_tokens (
    jti         TEXT    NOT NULL PRIMARY KEY,
    session_id  TEXT    NOT NULL REFERENCES sessions (id),
    user_id     TEXT    NOT NULL REFERENCES users (id),
    client_id   TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- The hash of the code that it goes back to.
    origin_hash TEXT    NOT NULL,
    -- What the client asked to hear at userinfo besides what scopes say (OpenID Connect Core §5.5).
    claims      TEXT,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX home_tokens_of_origin ON home_tokens (origin_hash);
CREATE INDEX home_tokens_of_user ON home_tokens (user_id, client_id);

-- Clients that were told of a login.
CREATE TABLE session_clients (
    session_id TEXT NOT NULL REFERENCES sessions (id),
    client_id  TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    PRIMARY KEY (session_id, client_id)
) STRICT, WITHOUT ROWID;

-- Clients that must hear that a login is over (OpenID Connect Back-Channel Logout 1.0). A row goes when
-- it was delivered or given up.
CREATE TABLE logout_notices (
    id         INTEGER NOT NULL PRIMARY KEY,
    client_id  TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    session_id TEXT    NOT NULL REFERENCES sessions (id),
    attempts   INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (session_id, client_id)
) STRICT;
CREATE INDEX logout_notices_due ON logout_notices (next_at);
