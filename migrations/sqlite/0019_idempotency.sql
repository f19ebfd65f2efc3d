-- Keys by which a change can be asked for again without happening twice.
CREATE TABLE idempotency_keys (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Of the key and the client.
    key_hash     TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    -- Tells this claim of the key from another one.
    claim        TEXT NOT NULL,
    claimed_at   INTEGER NOT NULL,
    -- Set in the transaction of the change.
    done_at      INTEGER,
    -- Sealed: it may hold a secret.
    answer       TEXT,
    PRIMARY KEY (user_id, key_hash),
    CHECK (answer IS NULL OR done_at IS NOT NULL)
) STRICT;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (claimed_at);
