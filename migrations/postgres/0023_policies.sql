-- What tenants demand of their people's logins.
CREATE TABLE login_policies (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id         TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    name              TEXT COLLATE "C" NOT NULL,
    rules             TEXT COLLATE "C" NOT NULL CHECK (rules::jsonb IS NOT NULL),
    for_new_customers BIGINT NOT NULL CHECK (for_new_customers IN (0, 1)),
    version           BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    changed_at        BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);

-- Which of them hold in which tenant, as they were when they were applied: no later change of a policy
-- reaches anybody by itself.
CREATE TABLE applied_policies (
    tenant_id  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    policy_id  TEXT COLLATE "C" NOT NULL REFERENCES login_policies (id),
    owner_id   TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    name       TEXT COLLATE "C" NOT NULL,
    rules      TEXT COLLATE "C" NOT NULL CHECK (rules::jsonb IS NOT NULL),
    version    BIGINT NOT NULL,
    origin     TEXT COLLATE "C" NOT NULL CHECK (origin IN ('own', 'partner', 'onboarding')),
    applied_at BIGINT NOT NULL,
    applied_by TEXT COLLATE "C" NOT NULL,
    -- When an admin of the tenant agreed to what somebody else applied.
    kept_at    BIGINT,
    kept_by    TEXT COLLATE "C",
    PRIMARY KEY (tenant_id, policy_id)
);
CREATE INDEX applied_policies_of_policy ON applied_policies (policy_id);

-- When a login began here: what a provider says of when somebody authenticated can be long ago, or nothing. Who
-- does not say it has an old one.
ALTER TABLE sessions ADD COLUMN started_at BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET started_at = auth_time;

-- What a policy ends at once is looked for again in the same transaction, with all that runs from it.
CREATE INDEX sessions_ended ON sessions (tenant_id, ended_at) WHERE ended_at IS NOT NULL;

ALTER TABLE login_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE login_policies FORCE ROW LEVEL SECURITY;
CREATE POLICY login_policies_of_tenant ON login_policies USING (is_visible(tenant_id));
ALTER TABLE applied_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE applied_policies FORCE ROW LEVEL SECURITY;
CREATE POLICY applied_policies_of_ends ON applied_policies USING (is_visible(tenant_id, owner_id));
