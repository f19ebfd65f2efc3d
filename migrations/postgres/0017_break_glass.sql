-- With one of these, once each, a customer shuts partners out when nobody can log in. A new set takes the place of
-- the old one.
CREATE TABLE break_glass_codes (
    tenant_id  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    -- Stands in the code, so that only one hash has to be compared.
    number     BIGINT NOT NULL,
    code_hash  TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (tenant_id, number)
);
ALTER TABLE break_glass_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE break_glass_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY break_glass_codes_of_tenant ON break_glass_codes USING (is_visible(tenant_id));
