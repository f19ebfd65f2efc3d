-- Who may still believe what it knows: verifiers that acknowledged to any node, and until when their lease
-- can run by the clock of this database. A lease is written here before it is granted. No reference to
-- clients: one that is gone must not make the leases of others fail.
CREATE TABLE verifiers (
    client_id   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    -- A restart is another verifier, with no lease from before.
    incarnation TEXT    NOT NULL,
    applied     INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    PRIMARY KEY (client_id, name, incarnation)
) STRICT, WITHOUT ROWID;
CREATE INDEX verifiers_by_lease ON verifiers (lease_until);
