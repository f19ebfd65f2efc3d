-- What a client is registered as (RFC 7591 §2): the policy that holds for it, and metadata that nothing is
-- searched by. And what a person lets be known (OpenID Connect Core §5.1).
ALTER TABLE clients ADD COLUMN profile TEXT COLLATE "C" NOT NULL DEFAULT 'oauth21' CHECK (profile IN ('oidc', 'oauth21', 'fapi2'));
ALTER TABLE clients ADD COLUMN registration TEXT COLLATE "C" NOT NULL DEFAULT '{}' CHECK (registration::jsonb IS NOT NULL);
UPDATE clients SET registration = '{"token_endpoint_auth_method":"none"}' WHERE secret_hash IS NULL;
ALTER TABLE users ADD COLUMN claims TEXT COLLATE "C" NOT NULL DEFAULT '{}' CHECK (claims::jsonb IS NOT NULL);
