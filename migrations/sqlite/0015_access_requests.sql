-- Where the customer approves each time: who asks to be let in, to do what, and what the customer said.
CREATE TABLE access_requests (
    id              TEXT NOT NULL PRIMARY KEY,
    relationship_id TEXT NOT NULL REFERENCES relationships (id),
    partner_id      TEXT NOT NULL REFERENCES tenants (id),
    customer_id     TEXT NOT NULL REFERENCES tenants (id),
    user_id         TEXT NOT NULL REFERENCES users (id),
    client_id       TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    audience        TEXT NOT NULL,
    scope           TEXT NOT NULL,
    purpose_code    TEXT,
    purpose_ref     TEXT,
    asked_at        INTEGER NOT NULL,
    -- Unanswered, it is refused.
    lapses_at       INTEGER NOT NULL,
    answered_at     INTEGER,
    answered_by     TEXT,
    -- Both are absent where the answer is no.
    given_scope     TEXT,
    given_until     INTEGER,
    -- Taken back before that.
    ended_at        INTEGER,
    CHECK ((given_scope IS NULL) = (given_until IS NULL)),
    CHECK (answered_at IS NOT NULL OR (answered_by IS NULL AND given_scope IS NULL)),
    CHECK (ended_at IS NULL OR given_scope IS NOT NULL)
) STRICT;
CREATE INDEX access_requests_of_person ON access_requests (user_id, relationship_id, asked_at);
CREATE INDEX access_requests_of_customer ON access_requests (customer_id, asked_at);
