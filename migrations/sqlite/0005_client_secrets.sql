-- Secrets of clients: at most two are live at once, so that one can take the other's place without a gap.
-- What has ended stays until its client goes: a secret never comes back.
CREATE TABLE client_secrets (
    client_id   TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- A keyed hash.
    secret_hash TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    -- From then on it is worthless; absent: it goes on.
    expires_at  INTEGER,
    PRIMARY KEY (client_id, secret_hash)
) STRICT, WITHOUT ROWID;
INSERT INTO client_secrets
    SELECT id, secret_hash, created_at, NULL FROM clients WHERE secret_hash IS NOT NULL;
ALTER TABLE clients DROP COLUMN secret_hash;

-- What the operator stopped, only the operator lets go on.
ALTER TABLE clients ADD COLUMN is_stopped_by_operator INTEGER NOT NULL DEFAULT 0 CHECK (is_stopped_by_operator IN (0, 1));
UPDATE clients SET is_stopped_by_operator = 1 WHERE status = 'disabled';
CREATE INDEX clients_of_tenant ON clients (tenant_id, id);
CREATE INDEX delegations_of_client ON delegations (client_id);
CREATE INDEX authorization_codes_of_client ON authorization_codes (client_id);
CREATE INDEX consents_of_client ON consents (client_id);

-- Counts the changes of a resource server.
ALTER TABLE resource_servers ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
