-- With one of these, once each, a customer shuts partners out when nobody can log in. A new set takes the place of
-- the old one.
CREATE TABLE break_glass_codes (
    tenant_id  TEXT    NOT NULL REFERENCES tenants (id),
    -- Stands in the code, so that only one hash has to be compared.
    number     INTEGER NOT NULL,
    code_hash  TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER,
    PRIMARY KEY (tenant_id, number)
) STRICT, WITHOUT ROWID;
