//! The two schemas agree, whatever each database calls its types.

use std::{collections::BTreeSet, str::FromStr};

use sqlx::{Connection, PgConnection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use super::Empty;

/// Table, column, kind of value, whether it may be absent.
type Column = (String, String, &'static str, bool);

fn kind(declared: &str) -> &'static str {
    match declared.to_ascii_lowercase().as_str() {
        "text" => "text",
        "integer" | "bigint" => "whole number",
        "blob" | "bytea" => "bytes",
        other => panic!("no type of ours: {other}"),
    }
}

async fn of_sqlite() -> (BTreeSet<Column>, BTreeSet<String>) {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::migrate!("../migrations/sqlite").run(&mut connection).await.unwrap();
    let columns = sqlx::query(
        "SELECT m.name AS t, p.name AS c, p.type AS k, p.\"notnull\" = 0 AS n \
         FROM sqlite_schema m, pragma_table_info(m.name) p \
         WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
    );
    let columns = columns.fetch_all(&mut connection).await.unwrap();
    let indexes = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql <> ''");
    let indexes = indexes.fetch_all(&mut connection).await.unwrap();
    (
        columns
            .iter()
            .map(|row| (row.get("t"), row.get("c"), kind(row.get("k")), row.get("n")))
            .collect(),
        indexes.iter().map(|row| row.get("name")).collect(),
    )
}

async fn of_postgres() -> (BTreeSet<Column>, BTreeSet<String>) {
    let empty = Empty::postgres();
    empty.open().await.close().await;
    let mut connection = PgConnection::connect(empty.url()).await.unwrap();
    let columns = sqlx::query(
        "SELECT table_name::text AS t, column_name::text AS c, data_type::text AS k, \
         is_nullable = 'YES' AS n FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    );
    let columns = columns.fetch_all(&mut connection).await.unwrap();
    // Those behind a PRIMARY KEY or a UNIQUE of the table have names of Postgres's own.
    let indexes = sqlx::query(
        "SELECT c.relname::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' \
         AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid \
             AND k.contype IN ('p', 'u'))",
    );
    let indexes = indexes.fetch_all(&mut connection).await.unwrap();
    (
        columns
            .iter()
            .map(|row| (row.get("t"), row.get("c"), kind(row.get("k")), row.get("n")))
            .collect(),
        indexes.iter().map(|row| row.get("name")).collect(),
    )
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let (sqlite, postgres) = (of_sqlite().await, of_postgres().await);
    assert_eq!(sqlite.0.difference(&postgres.0).collect::<Vec<_>>(), Vec::<&Column>::new());
    assert_eq!(postgres.0.difference(&sqlite.0).collect::<Vec<_>>(), Vec::<&Column>::new());
    assert_eq!(sqlite.1, postgres.1);
    assert!(sqlite.0.len() > 100, "only {} columns were found", sqlite.0.len());
}

/// What `Tx::delete_client` takes away by statements of its own, or refuses to go without.
const BY_HAND: [&str; 4] = ["authorization_codes", "consents", "delegations", "resource_servers"];

#[tokio::test]
async fn whatever_refers_to_a_client_goes_with_it() {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::migrate!("../migrations/sqlite").run(&mut connection).await.unwrap();
    let references = sqlx::query(
        "SELECT m.name AS t, f.on_delete AS d FROM sqlite_schema m, pragma_foreign_key_list(m.name) f \
         WHERE m.type = 'table' AND f.\"table\" = 'clients' ORDER BY 1",
    );
    let references = references.fetch_all(&mut connection).await.unwrap();
    assert!(references.len() > BY_HAND.len(), "client_secrets is one more");
    for row in references {
        let (table, deleted): (String, String) = (row.get("t"), row.get("d"));
        let is_by_hand = BY_HAND.contains(&table.as_str());
        assert!(is_by_hand || deleted == "CASCADE", "{table}: a client could not be deleted");
    }
}
