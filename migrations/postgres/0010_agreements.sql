-- A list of a condition that is absent demands nothing, one that is empty lets nobody in. Until now an
-- empty one demanded nothing.
UPDATE relationships SET conditions = replace(replace(conditions, '"trusted_idps":[]', '"trusted_idps":null'),
    '"assigned_to":[]', '"assigned_to":null');

-- At its end a relationship goes on for so many days, until one side says otherwise.
ALTER TABLE relationships ADD COLUMN renews_for_days BIGINT;

-- What each change did: the members that changed, before and after. Version 1 is how it began.
CREATE TABLE relationship_versions (
    relationship_id TEXT COLLATE "C" NOT NULL REFERENCES relationships (id),
    version         BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    action          TEXT COLLATE "C" NOT NULL,
    -- Absent where the calendar did it.
    side            TEXT COLLATE "C" CHECK (side IN ('partner', 'customer', 'operator')),
    user_id         TEXT COLLATE "C",
    changes         TEXT COLLATE "C" NOT NULL CHECK (changes::jsonb IS NOT NULL),
    PRIMARY KEY (relationship_id, version)
);
ALTER TABLE relationship_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationship_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY relationship_versions_of_tenant ON relationship_versions
    USING (EXISTS (SELECT 1 FROM relationships r WHERE r.id = relationship_id));

-- Wider terms that the partner asks for while the old ones go on. One at a time.
CREATE TABLE relationship_proposals (
    relationship_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES relationships (id),
    terms           TEXT COLLATE "C" NOT NULL CHECK (terms::jsonb IS NOT NULL),
    reason          TEXT COLLATE "C",
    user_id         TEXT COLLATE "C",
    proposed_at     BIGINT NOT NULL,
    -- Unanswered, it is refused.
    expires_at      BIGINT NOT NULL
);
ALTER TABLE relationship_proposals ENABLE ROW LEVEL SECURITY;
ALTER TABLE relationship_proposals FORCE ROW LEVEL SECURITY;
CREATE POLICY relationship_proposals_of_tenant ON relationship_proposals
    USING (EXISTS (SELECT 1 FROM relationships r WHERE r.id = relationship_id));
