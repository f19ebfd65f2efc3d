-- How much a tenant may have, where it is not the deployment's default; an absent number is that.
CREATE TABLE quotas (
    tenant_id                         TEXT    PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    users                             INTEGER,
    customers                         INTEGER,
    clients                           INTEGER,
    delegated_tokens_per_day          INTEGER,
    delegated_tokens_received_per_day INTEGER,
    -- Names of those that were copied from the partner that set the tenant up, and which one that was.
    inherited                         TEXT    NOT NULL,
    inherited_from                    TEXT,
    version                           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Delegated tokens, by the day in UTC (its number since 1970-01-01), the customer and the partner. A row whose
-- customer is * sums up what the partner was given everywhere.
CREATE TABLE token_counts (
    day         INTEGER NOT NULL,
    customer_id TEXT    NOT NULL,
    partner_id  TEXT    NOT NULL,
    tokens      INTEGER NOT NULL,
    PRIMARY KEY (day, customer_id, partner_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_counts_of_partner ON token_counts (partner_id, day);
CREATE INDEX token_counts_of_customer ON token_counts (customer_id, day);
