-- Where the customer approves each time: who asks to be let in, to do what, and what the customer said.
CREATE TABLE access_requests (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    relationship_id TEXT COLLATE "C" NOT NULL REFERENCES relationships (id),
    partner_id      TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    customer_id     TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    client_id       TEXT COLLATE "C" NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    audience        TEXT COLLATE "C" NOT NULL,
    scope           TEXT COLLATE "C" NOT NULL,
    purpose_code    TEXT COLLATE "C",
    purpose_ref     TEXT COLLATE "C",
    asked_at        BIGINT NOT NULL,
    -- Unanswered, it is refused.
    lapses_at       BIGINT NOT NULL,
    answered_at     BIGINT,
    answered_by     TEXT COLLATE "C",
    -- Both are absent where the answer is no.
    given_scope     TEXT COLLATE "C",
    given_until     BIGINT,
    -- Taken back before that.
    ended_at        BIGINT,
    CHECK ((given_scope IS NULL) = (given_until IS NULL)),
    CHECK (answered_at IS NOT NULL OR (answered_by IS NULL AND given_scope IS NULL)),
    CHECK (ended_at IS NULL OR given_scope IS NOT NULL)
);
CREATE INDEX access_requests_of_person ON access_requests (user_id, relationship_id, asked_at);
CREATE INDEX access_requests_of_customer ON access_requests (customer_id, asked_at);
ALTER TABLE access_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_requests FORCE ROW LEVEL SECURITY;
CREATE POLICY access_requests_of_ends ON access_requests USING (is_visible(partner_id, customer_id));
