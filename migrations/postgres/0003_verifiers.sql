-- Who may still believe what it knows: verifiers that acknowledged to any node, and until when their lease
-- can run by the clock of this database. A lease is written here before it is granted. No reference to
-- clients: one that is gone must not make the leases of others fail.
CREATE TABLE verifiers (
    client_id   TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    -- A restart is another verifier, with no lease from before.
    incarnation TEXT COLLATE "C" NOT NULL,
    applied     BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (client_id, name, incarnation)
);
CREATE INDEX verifiers_by_lease ON verifiers (lease_until);
