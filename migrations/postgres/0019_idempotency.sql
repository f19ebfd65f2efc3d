-- Keys by which a change can be asked for again without happening twice.
CREATE TABLE idempotency_keys (
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Of the key and the client.
    key_hash     TEXT COLLATE "C" NOT NULL,
    request_hash TEXT COLLATE "C" NOT NULL,
    -- Tells this claim of the key from another one.
    claim        TEXT COLLATE "C" NOT NULL,
    claimed_at   BIGINT NOT NULL,
    -- Set in the transaction of the change.
    done_at      BIGINT,
    -- Sealed: it may hold a secret.
    answer       TEXT COLLATE "C",
    PRIMARY KEY (user_id, key_hash),
    CHECK (answer IS NULL OR done_at IS NOT NULL)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (claimed_at);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY idempotency_keys_of_person ON idempotency_keys
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM users u WHERE u.id = idempotency_keys.user_id));
