-- Walls between tenants stand on Postgres alone; its twin adds some.
SELECT 1;
