-- The twin of the migration of the same name for SQLite: a test compares the two schemas.
-- Times are microseconds since the Unix epoch (UTC). Ids are prefixed texts. Text compares bytewise.

-- The one row that orders everything: whoever writes an audit entry or a revocation updates it in the
-- same transaction, so that commit order is sequence order.
CREATE TABLE head (
    id             BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    revocation_seq BIGINT NOT NULL,
    audit_seq      BIGINT NOT NULL,
    audit_hash     TEXT COLLATE "C" NOT NULL
);
INSERT INTO head VALUES (1, 0, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE tenants (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    slug           TEXT COLLATE "C" NOT NULL UNIQUE,
    name           TEXT COLLATE "C" NOT NULL,
    status         TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'suspended', 'cancelled', 'deleted')),
    plan           TEXT COLLATE "C" NOT NULL,
    partner_access TEXT COLLATE "C" NOT NULL CHECK (partner_access IN ('on', 'restricted', 'off')),
    -- What a partner needs to ask this tenant for a relationship.
    partner_code   TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at     BIGINT NOT NULL
);

CREATE TABLE users (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id     TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    email         TEXT COLLATE "C" NOT NULL UNIQUE,
    name          TEXT COLLATE "C" NOT NULL,
    roles         TEXT COLLATE "C" NOT NULL,
    status        TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'disabled', 'invited')),
    password_hash TEXT COLLATE "C",
    ends_at       BIGINT,
    created_at    BIGINT NOT NULL
);
CREATE INDEX users_of_tenant ON users (tenant_id, id);

CREATE TABLE sessions (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id     TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    tenant_id   TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    cookie_hash TEXT COLLATE "C" NOT NULL UNIQUE,
    auth_time   BIGINT NOT NULL,
    acr         TEXT COLLATE "C" NOT NULL,
    amr         TEXT COLLATE "C" NOT NULL,
    idp         TEXT COLLATE "C" NOT NULL,
    expires_at  BIGINT NOT NULL,
    ended_at    BIGINT
);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL;

CREATE TABLE clients (
    id               TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id        TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    name             TEXT COLLATE "C" NOT NULL,
    -- A keyed hash; absent for public clients.
    secret_hash      TEXT COLLATE "C",
    status           TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Counts the changes, so that a copy in memory can be checked in the transaction that issues.
    version          BIGINT NOT NULL,
    redirect_uris    TEXT COLLATE "C" NOT NULL CHECK (redirect_uris::jsonb IS NOT NULL),
    grant_types      TEXT COLLATE "C" NOT NULL,
    scope            TEXT COLLATE "C" NOT NULL,
    permissions      TEXT COLLATE "C" NOT NULL,
    audiences        TEXT COLLATE "C" NOT NULL CHECK (audiences::jsonb IS NOT NULL),
    default_audience TEXT COLLATE "C",
    exchange_for     TEXT COLLATE "C" NOT NULL CHECK (exchange_for::jsonb IS NOT NULL),
    created_at       BIGINT NOT NULL
);

CREATE TABLE resource_servers (
    audience          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    client_id         TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES clients (id),
    accepts_delegated BIGINT NOT NULL CHECK (accepts_delegated IN (0, 1)),
    permissions       TEXT COLLATE "C" NOT NULL
);

CREATE TABLE relationships (
    id                 TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    partner_id         TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    customer_id        TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    kind               TEXT COLLATE "C" NOT NULL CHECK (kind IN ('manages', 'trust')),
    origin             TEXT COLLATE "C" NOT NULL CHECK (origin IN ('provisioned', 'requested', 'granted')),
    access_role        TEXT COLLATE "C" NOT NULL,
    custom_permissions TEXT COLLATE "C",
    state              TEXT COLLATE "C" NOT NULL CHECK (state IN ('requested', 'active', 'suspended', 'declined', 'expired', 'ended')),
    suspended_by       TEXT COLLATE "C",
    starts_at          BIGINT,
    ends_at            BIGINT,
    access             TEXT COLLATE "C" NOT NULL CHECK (access IN ('on', 'restricted', 'off')),
    approval           TEXT COLLATE "C" NOT NULL CHECK (approval IN ('standing', 'each_time')),
    conditions         TEXT COLLATE "C" NOT NULL CHECK (conditions::jsonb IS NOT NULL),
    reason             TEXT COLLATE "C",
    version            BIGINT NOT NULL,
    -- The latest of its partner, customer and kind; earlier ones are history.
    is_current         BIGINT NOT NULL CHECK (is_current IN (0, 1)),
    created_at         BIGINT NOT NULL,
    changed_at         BIGINT NOT NULL,
    CHECK (partner_id <> customer_id)
);
CREATE UNIQUE INDEX relationships_current ON relationships (partner_id, customer_id, kind) WHERE is_current = 1;
CREATE INDEX relationships_of_customer ON relationships (customer_id) WHERE is_current = 1;

CREATE TABLE delegations (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    session_id      TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    relationship_id TEXT COLLATE "C" NOT NULL REFERENCES relationships (id),
    client_id       TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    actor_tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    tenant_id       TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    started_at      BIGINT NOT NULL,
    ends_at         BIGINT NOT NULL,
    ended_at        BIGINT
);
CREATE UNIQUE INDEX delegations_live ON delegations (session_id, relationship_id, client_id) WHERE ended_at IS NULL;
CREATE INDEX delegations_of_tenant ON delegations (tenant_id) WHERE ended_at IS NULL;
CREATE INDEX delegations_of_relationship ON delegations (relationship_id) WHERE ended_at IS NULL;
CREATE INDEX delegations_of_user ON delegations (user_id) WHERE ended_at IS NULL;

-- An authorization request that waits for a person in a browser.
CREATE TABLE interactions (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The browser that started it; nobody else can go on with it.
    browser_hash TEXT COLLATE "C" NOT NULL,
    request      TEXT COLLATE "C" NOT NULL CHECK (request::jsonb IS NOT NULL),
    expires_at   BIGINT NOT NULL
);

CREATE TABLE authorization_codes (
    code_hash  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    client_id  TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
    grant_json TEXT COLLATE "C" NOT NULL CHECK (grant_json::jsonb IS NOT NULL),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    -- What the code gave, so that a replay takes it back.
    jti        TEXT COLLATE "C"
);

CREATE TABLE consents (
    user_id   TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    client_id TEXT COLLATE "C" NOT NULL REFERENCES clients (id),
    scope     TEXT COLLATE "C" NOT NULL,
    given_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

CREATE TABLE invitations (
    token_hash TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);

CREATE TABLE signing_keys (
    kid        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    alg        TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    public_jwk TEXT COLLATE "C" NOT NULL CHECK (public_jwk::jsonb IS NOT NULL),
    -- PKCS #8, sealed under the master key with the kid as context.
    sealed     BYTEA    NOT NULL,
    created_at BIGINT NOT NULL
);

-- The durable truth of what is dead. Copies of it go out through the feed.
CREATE TABLE revocations (
    seq        BIGINT NOT NULL PRIMARY KEY,
    prev       BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    key_hash   TEXT COLLATE "C" NOT NULL,
    cause      TEXT COLLATE "C" NOT NULL,
    at         BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE audit (
    seq             BIGINT NOT NULL PRIMARY KEY,
    id              TEXT COLLATE "C" NOT NULL,
    at              BIGINT NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    result          TEXT COLLATE "C" NOT NULL,
    reason          TEXT COLLATE "C",
    actor_user_id   TEXT COLLATE "C",
    actor_tenant_id TEXT COLLATE "C",
    target_tenant_id TEXT COLLATE "C",
    relationship_id TEXT COLLATE "C",
    delegation_id   TEXT COLLATE "C",
    jti             TEXT COLLATE "C",
    client_id       TEXT COLLATE "C",
    ip              TEXT COLLATE "C",
    request_id      TEXT COLLATE "C",
    resource_type   TEXT COLLATE "C",
    resource_id     TEXT COLLATE "C",
    purpose         TEXT COLLATE "C",
    details         TEXT COLLATE "C",
    prev_hash       TEXT COLLATE "C" NOT NULL,
    hash            TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_of_target ON audit (target_tenant_id, seq) WHERE target_tenant_id IS NOT NULL;
CREATE INDEX audit_of_actor ON audit (actor_tenant_id, seq) WHERE actor_tenant_id IS NOT NULL;
CREATE INDEX audit_of_issued ON audit (jti) WHERE jti IS NOT NULL AND action = 'token.exchange';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'the audit log is append-only'; END$$;
CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_is_append_only_delete BEFORE DELETE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_is_append_only_truncate BEFORE TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE audit_checkpoints (
    seq       BIGINT NOT NULL PRIMARY KEY,
    statement TEXT COLLATE "C" NOT NULL
);

-- The second wall between tenants: in the context of a tenant (`procura.tenant`) a statement sees only
-- what that tenant owns or is an end of, also where its own WHERE was forgotten. `*` is the context of
-- what has to look across tenants: logins, exchanges, the operator. Without a context nothing is seen.
-- FORCE, because the tables belong to the role that Procura uses itself.
CREATE FUNCTION is_visible(VARIADIC owners TEXT[]) RETURNS boolean LANGUAGE sql STABLE AS
$$SELECT coalesce(current_setting('procura.tenant', true) = '*'
    OR current_setting('procura.tenant', true) = ANY (owners), false)$$;

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY users_of_tenant ON users USING (is_visible(tenant_id));

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_of_tenant ON sessions USING (is_visible(tenant_id));

ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
CREATE POLICY clients_of_tenant ON clients USING (is_visible(tenant_id));

ALTER TABLE relationships ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationships FORCE ROW LEVEL SECURITY;
CREATE POLICY relationships_of_ends ON relationships USING (is_visible(partner_id, customer_id));

ALTER TABLE delegations ENABLE ROW LEVEL SECURITY;
ALTER TABLE delegations FORCE ROW LEVEL SECURITY;
CREATE POLICY delegations_of_ends ON delegations USING (is_visible(actor_tenant_id, tenant_id));

ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY audit_of_ends ON audit USING (is_visible(actor_tenant_id, target_tenant_id));
