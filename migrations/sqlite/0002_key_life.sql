-- The life of a signing key: next, active, retired, gone. The private part goes at retirement; the
-- public one stays for ever, because checkpoints of the audit log were signed with it.
CREATE TABLE signing_keys_with_life (
    kid        TEXT    NOT NULL PRIMARY KEY,
    alg        TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('next', 'active', 'retired', 'gone')),
    public_jwk TEXT    NOT NULL CHECK (json_valid(public_jwk)),
    -- PKCS #8, sealed under the master key with the kid as context; empty once it signs no more.
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    -- Since when it is in this state.
    changed_at INTEGER NOT NULL,
    -- Until when a retired key is published.
    ends_at    INTEGER,
    CHECK (length(sealed) > 0 OR state IN ('retired', 'gone'))
) STRICT, WITHOUT ROWID;
INSERT INTO signing_keys_with_life
    SELECT kid, alg, state, public_jwk, sealed, created_at, created_at, NULL FROM signing_keys;
DROP TABLE signing_keys;
ALTER TABLE signing_keys_with_life RENAME TO signing_keys;
-- Two nodes that rotate at the same moment must not make two keys that sign.
CREATE UNIQUE INDEX signing_keys_in_use ON signing_keys (alg, state) WHERE state IN ('next', 'active');

-- Counts the changes of the keys, so that a node with an old copy of them knows it.
ALTER TABLE head ADD COLUMN keys_version INTEGER NOT NULL DEFAULT 0;

-- Random secrets of the deployment, sealed under the master key, so that another one can take its place.
CREATE TABLE sealed_secrets (
    name       TEXT    NOT NULL PRIMARY KEY,
    -- base64url
    sealed     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
