//! What a backup carries is all there is.
use std::{collections::BTreeSet, str::FromStr};

use procura_store::backup::{LEFT_OUT, TABLES};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, Row, SqlSafeStr, SqliteConnection,
    sqlite::SqliteConnectOptions,
};

use super::Empty;

async fn migrated() -> SqliteConnection {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::migrate!("../migrations/sqlite").run(&mut connection).await.unwrap();
    connection
}

async fn names(connection: &mut SqliteConnection, statement: String) -> BTreeSet<String> {
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("name")).collect()
}

#[tokio::test]
async fn every_table_is_carried_or_left_out_on_purpose() {
    let mut connection = migrated().await;
    let there = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '_sqlx%' \
                 AND name NOT LIKE 'sqlite_%'";
    let there = names(&mut connection, there.to_owned()).await;
    let known = TABLES.iter().map(|table| table.name).chain(LEFT_OUT.iter().copied());
    assert_eq!(there, known.map(ToOwned::to_owned).collect());
    for table in TABLES {
        let there = format!("SELECT name FROM pragma_table_info('{}')", table.name);
        let known = table.column_names().map(ToOwned::to_owned).collect();
        assert_eq!(names(&mut connection, there).await, known, "{}", table.name);
    }
}

#[tokio::test]
async fn no_table_comes_before_one_that_it_refers_to() {
    let mut connection = migrated().await;
    let mut before = BTreeSet::new();
    for table in TABLES {
        let refers =
            format!("SELECT \"table\" AS name FROM pragma_foreign_key_list('{}')", table.name);
        let refers = names(&mut connection, refers).await;
        assert!(refers.is_subset(&before), "{} refers to {refers:?}", table.name);
        before.insert(table.name.to_owned());
    }
}

#[tokio::test]
async fn the_statements_of_a_backup_prepare_on_both_databases() {
    let mut sqlite = migrated().await;
    let empty = Empty::postgres();
    empty.open().await.close().await;
    let mut postgres = PgConnection::connect(empty.url()).await.unwrap();
    for text in TABLES.iter().flat_map(procura_store::backup::Table::statements) {
        let statement = || AssertSqlSafe(text.clone()).into_sql_str();
        let prepared = (&mut sqlite).prepare(statement()).await;
        assert!(prepared.is_ok(), "{text}: {:?}", prepared.err());
        let prepared = (&mut postgres).prepare(statement()).await;
        assert!(prepared.is_ok(), "{text}: {:?}", prepared.err());
    }
}
