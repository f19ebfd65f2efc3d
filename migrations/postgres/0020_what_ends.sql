-- Looked for every minute, at every node.
CREATE INDEX relationships_ending ON relationships (ends_at) WHERE is_current = 1 AND state = 'active';
CREATE INDEX access_requests_by_lapse ON access_requests (lapses_at);
