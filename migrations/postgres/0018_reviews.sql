-- When a customer wants to look at a relationship again; without a row a year after it was agreed on.
CREATE TABLE relationship_reviews (
    relationship_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES relationships (id),
    due_at          BIGINT NOT NULL
);
ALTER TABLE relationship_reviews ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationship_reviews FORCE ROW LEVEL SECURITY;
CREATE POLICY relationship_reviews_of_tenant ON relationship_reviews
    USING (EXISTS (SELECT 1 FROM relationships r WHERE r.id = relationship_id AND is_visible(r.customer_id)));

-- Which permissions were given out under a relationship, and when last; read from the audit log, which may
-- outlive the relationship.
CREATE TABLE relationship_uses (
    relationship_id TEXT COLLATE "C" NOT NULL,
    permission      TEXT COLLATE "C" NOT NULL,
    customer_id     TEXT COLLATE "C" NOT NULL,
    last_at         BIGINT NOT NULL,
    PRIMARY KEY (relationship_id, permission)
);
CREATE INDEX relationship_uses_of_customer ON relationship_uses (customer_id);
ALTER TABLE relationship_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationship_uses FORCE ROW LEVEL SECURITY;
CREATE POLICY relationship_uses_of_customer ON relationship_uses USING (is_visible(customer_id));

-- Up to which entry the audit log was read for that.
CREATE TABLE uses_read (
    id  BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL
);
INSERT INTO uses_read (id, seq) VALUES (1, 0);
