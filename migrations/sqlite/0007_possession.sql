-- One-time values of others (`jti` of client assertions and DPoP proofs), as digests, until nobody would
-- accept them for their age anyway. Whoever inserts first has used it, on whichever node.
CREATE TABLE used_values (
    digest     TEXT    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_values_by_end ON used_values (expires_at);

-- Authorization requests that clients have pushed (RFC 9126), by the hash of their URI. No reference to
-- clients: one that is gone must not be kept by what it has asked a minute ago.
CREATE TABLE pushed_requests (
    uri_hash   TEXT    NOT NULL PRIMARY KEY,
    client_id  TEXT    NOT NULL,
    request    TEXT    NOT NULL CHECK (json_valid(request)),
    expires_at INTEGER NOT NULL,
    -- When it was answered with a code or a refusal; looking at it does not count.
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX pushed_requests_by_end ON pushed_requests (expires_at);
