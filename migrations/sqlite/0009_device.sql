-- Devices without a browser that wait until a person has allowed them at another one (RFC 8628).
CREATE TABLE device_codes (
    -- The hash of what the device shows to us.
    code_hash    TEXT    NOT NULL PRIMARY KEY,
    -- The keyed hash of what the device shows to the person: that is short enough to be tried out.
    user_hash    TEXT    NOT NULL UNIQUE,
    client_id    TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- What is asked for.
    grant_json   TEXT    NOT NULL CHECK (json_valid(grant_json)),
    -- The device may ask again then, and so many seconds after each time that it asked.
    next_poll_at INTEGER NOT NULL,
    interval_secs INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    -- The person's answer, and the login that gave it.
    answer       TEXT    CHECK (answer IN ('allow', 'deny')),
    session_id   TEXT    REFERENCES sessions (id),
    -- When it was redeemed.
    used_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX device_codes_by_end ON device_codes (expires_at);
CREATE INDEX device_codes_of_client ON device_codes (client_id);
