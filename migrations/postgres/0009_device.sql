-- Devices without a browser that wait until a person has allowed them at another one (RFC 8628).
CREATE TABLE device_codes (
    -- The hash of what the device shows to us.
    code_hash    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- The keyed hash of what the device shows to the person: that is short enough to be tried out.
    user_hash    TEXT COLLATE "C" NOT NULL UNIQUE,
    client_id    TEXT COLLATE "C" NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- What is asked for.
    grant_json   TEXT COLLATE "C" NOT NULL CHECK (grant_json::jsonb IS NOT NULL),
    -- The device may ask again then, and so many seconds after each time that it asked.
    next_poll_at BIGINT NOT NULL,
    interval_secs BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    -- The person's answer, and the login that gave it.
    answer       TEXT COLLATE "C" CHECK (answer IN ('allow', 'deny')),
    session_id   TEXT COLLATE "C" REFERENCES sessions (id),
    -- When it was redeemed.
    used_at      BIGINT
);
CREATE INDEX device_codes_by_end ON device_codes (expires_at);
CREATE INDEX device_codes_of_client ON device_codes (client_id);
