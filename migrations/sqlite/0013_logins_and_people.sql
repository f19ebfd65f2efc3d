-- When what others may know of a person last changed; absent: not since the person was added.
ALTER TABLE users ADD COLUMN changed_at INTEGER;

-- Walls between tenants stand on Postgres alone; its twin adds some.
