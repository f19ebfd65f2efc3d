-- The life of a signing key: next, active, retired, gone. The private part goes at retirement; the
-- public one stays for ever, because checkpoints of the audit log were signed with it.
ALTER TABLE signing_keys DROP CONSTRAINT signing_keys_state_check;
ALTER TABLE signing_keys ADD CHECK (state IN ('next', 'active', 'retired', 'gone'));
-- Since when it is in this state.
ALTER TABLE signing_keys ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0;
UPDATE signing_keys SET changed_at = created_at;
ALTER TABLE signing_keys ALTER COLUMN changed_at DROP DEFAULT;
-- Until when a retired key is published.
ALTER TABLE signing_keys ADD COLUMN ends_at BIGINT;
-- Empty once it signs no more.
ALTER TABLE signing_keys ADD CHECK (length(sealed) > 0 OR state IN ('retired', 'gone'));
-- Two nodes that rotate at the same moment must not make two keys that sign.
CREATE UNIQUE INDEX signing_keys_in_use ON signing_keys (alg, state) WHERE state IN ('next', 'active');

-- Counts the changes of the keys, so that a node with an old copy of them knows it.
ALTER TABLE head ADD COLUMN keys_version BIGINT NOT NULL DEFAULT 0;

-- Random secrets of the deployment, sealed under the master key, so that another one can take its place.
CREATE TABLE sealed_secrets (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- base64url
    sealed     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
