-- A list of a condition that is absent demands nothing, one that is empty lets nobody in. Until now an
-- empty one demanded nothing.
UPDATE relationships SET conditions = replace(replace(conditions, '"trusted_idps":[]', '"trusted_idps":null'),
    '"assigned_to":[]', '"assigned_to":null');

-- At its end a relationship goes on for so many days, until one side says otherwise.
ALTER TABLE relationships ADD COLUMN renews_for_days INTEGER;

-- What each change did: the members that changed, before and after. Version 1 is how it began.
CREATE TABLE relationship_versions (
    relationship_id TEXT    NOT NULL REFERENCES relationships (id),
    version         INTEGER NOT NULL,
    at              INTEGER NOT NULL,
    action          TEXT    NOT NULL,
    -- Absent where the calendar did it.
    side            TEXT    CHECK (side IN ('partner', 'customer', 'operator')),
    user_id         TEXT,
    changes         TEXT    NOT NULL CHECK (json_valid(changes)),
    PRIMARY KEY (relationship_id, version)
) STRICT, WITHOUT ROWID;

-- Wider terms that the partner asks for while the old ones go on. One at a time.
CREATE TABLE relationship_proposals (
    relationship_id TEXT    NOT NULL PRIMARY KEY REFERENCES relationships (id),
    terms           TEXT    NOT NULL CHECK (json_valid(terms)),
    reason          TEXT,
    user_id         TEXT,
    proposed_at     INTEGER NOT NULL,
    -- Unanswered, it is refused.
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
