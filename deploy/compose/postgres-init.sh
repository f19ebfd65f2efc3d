#!/bin/sh
# Runs once, in an empty Postgres: a role that passes no row-level security, and its database.
set -eu
# The password reaches psql by its own reading of the file, so that no process list shows it.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat /run/secrets/postgres_procura_password`
CREATE ROLE procura LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
CREATE DATABASE procura OWNER procura TEMPLATE template0 ENCODING 'UTF8';
REVOKE CONNECT ON DATABASE procura FROM PUBLIC;
SQL
