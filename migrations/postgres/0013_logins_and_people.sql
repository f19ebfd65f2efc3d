-- When what others may know of a person last changed; absent: not since the person was added.
ALTER TABLE users ADD COLUMN changed_at BIGINT;

-- What a login gave is behind the wall of its person: it is seen where the person, or the login, is seen.
-- First whether all is looked at: then nobody else has to be asked, row by row.
ALTER TABLE authorization_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE authorization_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY authorization_codes_of_login ON authorization_codes
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = authorization_codes.session_id));

ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY consents_of_person ON consents
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM users u WHERE u.id = consents.user_id));

ALTER TABLE home_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE home_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY home_tokens_of_person ON home_tokens
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM users u WHERE u.id = home_tokens.user_id));

ALTER TABLE logout_notices ENABLE ROW LEVEL SECURITY;
ALTER TABLE logout_notices FORCE ROW LEVEL SECURITY;
CREATE POLICY logout_notices_of_person ON logout_notices
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM users u WHERE u.id = logout_notices.user_id));

ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY refresh_tokens_of_family ON refresh_tokens
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM refresh_families f WHERE f.origin_hash = refresh_tokens.origin_hash));

ALTER TABLE session_clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE session_clients FORCE ROW LEVEL SECURITY;
CREATE POLICY session_clients_of_login ON session_clients
    USING (is_visible(VARIADIC '{}') OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = session_clients.session_id));
