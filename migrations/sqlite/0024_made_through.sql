-- Through which client a key was made, whose person let that client have what is in it. Absent: it was made before this was written down.
ALTER TABLE api_keys ADD COLUMN made_through TEXT REFERENCES clients (id) ON DELETE CASCADE;
CREATE INDEX api_keys_made_through ON api_keys (made_through);
