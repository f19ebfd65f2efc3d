-- When a customer wants to look at a relationship again; without a row a year after it was agreed on.
CREATE TABLE relationship_reviews (
    relationship_id TEXT    NOT NULL PRIMARY KEY REFERENCES relationships (id),
    due_at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which permissions were given out under a relationship, and when last; read from the audit log, which may
-- outlive the relationship.
CREATE TABLE relationship_uses (
    relationship_id TEXT    NOT NULL,
    permission      TEXT    NOT NULL,
    customer_id     TEXT    NOT NULL,
    last_at         INTEGER NOT NULL,
    PRIMARY KEY (relationship_id, permission)
) STRICT, WITHOUT ROWID;
CREATE INDEX relationship_uses_of_customer ON relationship_uses (customer_id);

-- Up to which entry the audit log was read for that.
CREATE TABLE uses_read (
    id  INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO uses_read (id, seq) VALUES (1, 0);
