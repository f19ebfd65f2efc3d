-- How much a tenant may have, where it is not the deployment's default; an absent number is that.
CREATE TABLE quotas (
    tenant_id                         TEXT COLLATE "C" PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    users                             BIGINT,
    customers                         BIGINT,
    clients                           BIGINT,
    delegated_tokens_per_day          BIGINT,
    delegated_tokens_received_per_day BIGINT,
    -- Names of those that were copied from the partner that set the tenant up, and which one that was.
    inherited                         TEXT COLLATE "C" NOT NULL,
    inherited_from                    TEXT COLLATE "C",
    version                           BIGINT NOT NULL
);
ALTER TABLE quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE quotas FORCE ROW LEVEL SECURITY;
CREATE POLICY quotas_of_tenant ON quotas USING (is_visible(tenant_id));
-- Delegated tokens, by the day in UTC (its number since 1970-01-01), the customer and the partner. A row whose
-- customer is * sums up what the partner was given everywhere. Changed with nearly every commit: the free
-- space lets a row be written anew beside its old self.
CREATE TABLE token_counts (
    day         BIGINT NOT NULL,
    customer_id TEXT COLLATE "C" NOT NULL,
    partner_id  TEXT COLLATE "C" NOT NULL,
    tokens      BIGINT NOT NULL,
    PRIMARY KEY (day, customer_id, partner_id)
) WITH (fillfactor = 60);
CREATE INDEX token_counts_of_partner ON token_counts (partner_id, day);
CREATE INDEX token_counts_of_customer ON token_counts (customer_id, day);
ALTER TABLE token_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE token_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY token_counts_of_ends ON token_counts USING (is_visible(partner_id, customer_id));
