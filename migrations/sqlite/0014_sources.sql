-- Whose tokens a delegation came from, where that is another client than the one that exchanged them: when
-- they are taken back, so is what came of them.
CREATE TABLE delegation_sources (
    delegation_id TEXT     NOT NULL REFERENCES delegations (id) ON DELETE CASCADE,
    client_id     TEXT     NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    PRIMARY KEY (delegation_id, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX delegation_sources_of_client ON delegation_sources (client_id);

-- Why somebody changed it, in their own words.
ALTER TABLE relationship_versions ADD COLUMN reason TEXT;
