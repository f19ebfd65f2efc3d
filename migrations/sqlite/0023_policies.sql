-- What tenants demand of their people's logins.
CREATE TABLE login_policies (
    id                TEXT    NOT NULL PRIMARY KEY,
    tenant_id         TEXT    NOT NULL REFERENCES tenants (id),
    name              TEXT    NOT NULL,
    rules             TEXT    NOT NULL CHECK (json_valid(rules)),
    for_new_customers INTEGER NOT NULL CHECK (for_new_customers IN (0, 1)),
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    changed_at        INTEGER NOT NULL,
    UNIQUE (tenant_id, name)
) STRICT, WITHOUT ROWID;

-- Which of them hold in which tenant, as they were when they were applied: no later change of a policy
-- reaches anybody by itself.
CREATE TABLE applied_policies (
    tenant_id  TEXT    NOT NULL REFERENCES tenants (id),
    policy_id  TEXT    NOT NULL REFERENCES login_policies (id),
    owner_id   TEXT    NOT NULL REFERENCES tenants (id),
    name       TEXT    NOT NULL,
    rules      TEXT    NOT NULL CHECK (json_valid(rules)),
    version    INTEGER NOT NULL,
    origin     TEXT    NOT NULL CHECK (origin IN ('own', 'partner', 'onboarding')),
    applied_at INTEGER NOT NULL,
    applied_by TEXT    NOT NULL,
    -- When an admin of the tenant agreed to what somebody else applied.
    kept_at    INTEGER,
    kept_by    TEXT,
    PRIMARY KEY (tenant_id, policy_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX applied_policies_of_policy ON applied_policies (policy_id);

-- When a login began here: what a provider says of when somebody authenticated can be long ago, or nothing. Who
-- does not say it has an old one.
ALTER TABLE sessions ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET started_at = auth_time;

-- What a policy ends at once is looked for again in the same transaction, with all that runs from it.
CREATE INDEX sessions_ended ON sessions (tenant_id, ended_at) WHERE ended_at IS NOT NULL;
