//! Every statement prepares on both databases: what a compile-time check would find, found here.

use std::{fs, path::Path, str::FromStr};

use sqlx::{
    AssertSqlSafe, Column, Connection, Executor, PgConnection, SqlSafeStr, SqliteConnection,
    Statement, sqlite::SqliteConnectOptions,
};

use super::Empty;

const SQLITE: &str = "_SQLITE";
const POSTGRES: &str = "_POSTGRES";

/// A statement of the store.
struct Found {
    place: String,
    name: String,
    text: String,
}

/// The statements of a source file: every `const NAME: &str = "…";` whose text begins like SQL. The
/// two that share a text through a macro are put together as the macro does.
fn statements(source: &str, file: &str) -> Vec<Found> {
    let shared = source.split_once("$questions,").and_then(|(_, rest)| literal(rest));
    let mut found = Vec::new();
    for part in source.split("const ").skip(1) {
        let Some((name, rest)) = part.split_once(": &str =") else { continue };
        let rest = rest.trim_start();
        let text = match (rest.strip_prefix("load!("), &shared) {
            (Some(rest), Some(shared)) => literal(rest).map(|text| text + shared),
            _ if rest.starts_with('"') => literal(rest),
            _ => None,
        };
        let Some(text) = text else { continue };
        let verbs = ["WITH", "SELECT", "INSERT", "UPDATE", "DELETE", "PRAGMA"];
        if verbs.iter().any(|verb| text.starts_with(verb)) {
            found.push(Found { place: file.to_owned(), name: name.to_owned(), text });
        }
    }
    found
}

/// The string literal that comes next, with its continued lines joined.
fn literal(source: &str) -> Option<String> {
    let text = source.trim_start().strip_prefix('"')?;
    let (text, _) = text.split_once('"')?;
    Some(text.split("\\\n").map(str::trim_start).collect())
}

fn all_statements() -> Vec<Found> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/store/src");
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let source = fs::read_to_string(&path).unwrap();
        found.extend(statements(&source, path.file_name().unwrap().to_str().unwrap()));
    }
    assert!(found.len() > 60, "only {} were found: has their form changed?", found.len());
    found
}

#[tokio::test]
async fn every_statement_prepares_on_both_databases_with_the_same_columns() {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
    let mut sqlite = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::migrate!("../migrations/sqlite").run(&mut sqlite).await.unwrap();
    let empty = Empty::postgres();
    empty.open().await.close().await;
    let mut postgres = PgConnection::connect(empty.url()).await.unwrap();

    let (mut first_of_fork, mut prepared) = (None, 0);
    for Found { place, name, text } in all_statements() {
        let on_sqlite = !name.ends_with(POSTGRES);
        let on_postgres = !name.ends_with(SQLITE) && place != "sqlite.rs";
        let mut columns = Vec::new();
        if on_sqlite && place != "postgres.rs" {
            let text = AssertSqlSafe(text.clone()).into_sql_str();
            let statement = (&mut sqlite).prepare(text).await;
            let statement = statement.unwrap_or_else(|e| panic!("{place} {name}, SQLite: {e}"));
            columns.push(names(statement.columns()));
        }
        if on_postgres {
            let text = AssertSqlSafe(text).into_sql_str();
            let statement = (&mut postgres).prepare(text).await;
            let statement = statement.unwrap_or_else(|e| panic!("{place} {name}, Postgres: {e}"));
            columns.push(names(statement.columns()));
        }
        if columns.len() == 2 {
            assert_eq!(columns[0], columns[1], "{place} {name}");
        } else if name.ends_with(SQLITE) {
            first_of_fork = columns.pop();
        } else if let Some(first) = first_of_fork.take() {
            assert_eq!(first, columns[0], "{place} {name} and its twin");
        }
        prepared += 1;
    }
    assert!(prepared > 60);
}

fn names<C: Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}
