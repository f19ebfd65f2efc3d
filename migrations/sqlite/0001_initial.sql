-- Times are microseconds since the Unix epoch (UTC). Ids are prefixed texts. Text compares bytewise.

-- The one row that orders everything: whoever writes an audit entry or a revocation updates it in the
-- same transaction, so that commit order is sequence order.
CREATE TABLE head (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    revocation_seq INTEGER NOT NULL,
    audit_seq      INTEGER NOT NULL,
    audit_hash     TEXT    NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE tenants (
    id             TEXT    NOT NULL PRIMARY KEY,
    slug           TEXT    NOT NULL UNIQUE,
    name           TEXT    NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('active', 'suspended', 'cancelled', 'deleted')),
    plan           TEXT    NOT NULL,
    partner_access TEXT    NOT NULL CHECK (partner_access IN ('on', 'restricted', 'off')),
    -- What a partner needs to ask this tenant for a relationship.
    partner_code   TEXT    NOT NULL UNIQUE,
    created_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    tenant_id     TEXT    NOT NULL REFERENCES tenants (id),
    email         TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    roles         TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('active', 'disabled', 'invited')),
    password_hash TEXT,
    ends_at       INTEGER,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_of_tenant ON users (tenant_id, id);

CREATE TABLE sessions (
    id          TEXT    NOT NULL PRIMARY KEY,
    user_id     TEXT    NOT NULL REFERENCES users (id),
    tenant_id   TEXT    NOT NULL REFERENCES tenants (id),
    cookie_hash TEXT    NOT NULL UNIQUE,
    auth_time   INTEGER NOT NULL,
    acr         TEXT    NOT NULL,
    amr         TEXT    NOT NULL,
    idp         TEXT    NOT NULL,
    expires_at  INTEGER NOT NULL,
    ended_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE clients (
    id               TEXT    NOT NULL PRIMARY KEY,
    tenant_id        TEXT    NOT NULL REFERENCES tenants (id),
    name             TEXT    NOT NULL,
    -- A keyed hash; absent for public clients.
    secret_hash      TEXT,
    status           TEXT    NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Counts the changes, so that a copy in memory can be checked in the transaction that issues.
    version          INTEGER NOT NULL,
    redirect_uris    TEXT    NOT NULL CHECK (json_valid(redirect_uris)),
    grant_types      TEXT    NOT NULL,
    scope            TEXT    NOT NULL,
    permissions      TEXT    NOT NULL,
    audiences        TEXT    NOT NULL CHECK (json_valid(audiences)),
    default_audience TEXT,
    exchange_for     TEXT    NOT NULL CHECK (json_valid(exchange_for)),
    created_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE resource_servers (
    audience          TEXT    NOT NULL PRIMARY KEY,
    client_id         TEXT    NOT NULL UNIQUE REFERENCES clients (id),
    accepts_delegated INTEGER NOT NULL CHECK (accepts_delegated IN (0, 1)),
    permissions       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE relationships (
    id                 TEXT    NOT NULL PRIMARY KEY,
    partner_id         TEXT    NOT NULL REFERENCES tenants (id),
    customer_id        TEXT    NOT NULL REFERENCES tenants (id),
    kind               TEXT    NOT NULL CHECK (kind IN ('manages', 'trust')),
    origin             TEXT    NOT NULL CHECK (origin IN ('provisioned', 'requested', 'granted')),
    access_role        TEXT    NOT NULL,
    custom_permissions TEXT,
    state              TEXT    NOT NULL CHECK (state IN ('requested', 'active', 'suspended', 'declined', 'expired', 'ended')),
    suspended_by       TEXT,
    starts_at          INTEGER,
    ends_at            INTEGER,
    access             TEXT    NOT NULL CHECK (access IN ('on', 'restricted', 'off')),
    approval           TEXT    NOT NULL CHECK (approval IN ('standing', 'each_time')),
    conditions         TEXT    NOT NULL CHECK (json_valid(conditions)),
    reason             TEXT,
    version            INTEGER NOT NULL,
    -- The latest of its partner, customer and kind; earlier ones are history.
    is_current         INTEGER NOT NULL CHECK (is_current IN (0, 1)),
    created_at         INTEGER NOT NULL,
    changed_at         INTEGER NOT NULL,
    CHECK (partner_id <> customer_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX relationships_current ON relationships (partner_id, customer_id, kind) WHERE is_current = 1;
CREATE INDEX relationships_of_customer ON relationships (customer_id) WHERE is_current = 1;

CREATE TABLE delegations (
    id              TEXT    NOT NULL PRIMARY KEY,
    session_id      TEXT    NOT NULL REFERENCES sessions (id),
    relationship_id TEXT    NOT NULL REFERENCES relationships (id),
    client_id       TEXT    NOT NULL REFERENCES clients (id),
    user_id         TEXT    NOT NULL REFERENCES users (id),
    actor_tenant_id TEXT    NOT NULL REFERENCES tenants (id),
    tenant_id       TEXT    NOT NULL REFERENCES tenants (id),
    started_at      INTEGER NOT NULL,
    ends_at         INTEGER NOT NULL,
    ended_at        INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX delegations_live ON delegations (session_id, relationship_id, client_id) WHERE ended_at IS NULL;
CREATE INDEX delegations_of_tenant ON delegations (tenant_id) WHERE ended_at IS NULL;
CREATE INDEX delegations_of_relationship ON delegations (relationship_id) WHERE ended_at IS NULL;
CREATE INDEX delegations_of_user ON delegations (user_id) WHERE ended_at IS NULL;

-- An authorization request that waits for a person in a browser.
CREATE TABLE interactions (
    id           TEXT    NOT NULL PRIMARY KEY,
    -- The browser that started it; nobody else can go on with it.
    browser_hash TEXT    NOT NULL,
    request      TEXT    NOT NULL CHECK (json_valid(request)),
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE authorization_codes (
    code_hash  TEXT    NOT NULL PRIMARY KEY,
    session_id TEXT    NOT NULL REFERENCES sessions (id),
    client_id  TEXT    NOT NULL REFERENCES clients (id),
    grant_json TEXT    NOT NULL CHECK (json_valid(grant_json)),
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    -- What the code gave, so that a replay takes it back.
    jti        TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE consents (
    user_id   TEXT    NOT NULL REFERENCES users (id),
    client_id TEXT    NOT NULL REFERENCES clients (id),
    scope     TEXT    NOT NULL,
    given_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitations (
    token_hash TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    alg        TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_jwk TEXT    NOT NULL CHECK (json_valid(public_jwk)),
    -- PKCS #8, sealed under the master key with the kid as context.
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The durable truth of what is dead. Copies of it go out through the feed.
CREATE TABLE revocations (
    seq        INTEGER NOT NULL PRIMARY KEY,
    prev       INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    key_hash   TEXT    NOT NULL,
    cause      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    seq             INTEGER NOT NULL PRIMARY KEY,
    id              TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    action          TEXT    NOT NULL,
    result          TEXT    NOT NULL,
    reason          TEXT,
    actor_user_id   TEXT,
    actor_tenant_id TEXT,
    target_tenant_id TEXT,
    relationship_id TEXT,
    delegation_id   TEXT,
    jti             TEXT,
    client_id       TEXT,
    ip              TEXT,
    request_id      TEXT,
    resource_type   TEXT,
    resource_id     TEXT,
    purpose         TEXT,
    details         TEXT,
    prev_hash       TEXT    NOT NULL,
    hash            TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_of_target ON audit (target_tenant_id, seq) WHERE target_tenant_id IS NOT NULL;
CREATE INDEX audit_of_actor ON audit (actor_tenant_id, seq) WHERE actor_tenant_id IS NOT NULL;
CREATE INDEX audit_of_issued ON audit (jti) WHERE jti IS NOT NULL AND action = 'token.exchange';

CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE audit_checkpoints (
    seq       INTEGER NOT NULL PRIMARY KEY,
    statement TEXT    NOT NULL
) STRICT;
