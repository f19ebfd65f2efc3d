//! Every statement prepares: what a compile-time check would find, found here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't go on has failed"
)]

use std::{fs, path::Path, str::FromStr};

use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

/// The statements of a source file: every `const NAME: &str = "…";` whose text begins like SQL.
fn statements(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in source.split("const ").skip(1) {
        let Some((name, rest)) = part.split_once(": &str =") else { continue };
        let Some(text) = rest.trim_start().strip_prefix('"') else { continue };
        let Some((text, _)) = text.split_once("\";") else { continue };
        let lines = text.split("\\\n").map(str::trim_start);
        let text = lines.collect::<String>();
        let verbs = ["WITH", "SELECT", "INSERT", "UPDATE", "DELETE", "PRAGMA"];
        if verbs.iter().any(|verb| text.starts_with(verb)) {
            found.push((name.to_owned(), text));
        }
    }
    found
}

#[tokio::test]
async fn every_statement_prepares_on_a_migrated_database() {
    let options = SqliteConnectOptions::from_str("sqlite::memory:").unwrap();
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::migrate!("../../migrations/sqlite").run(&mut connection).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut prepared = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        for (name, text) in statements(&fs::read_to_string(&path).unwrap()) {
            let text = sqlx::AssertSqlSafe(text);
            if let Err(error) =
                (&mut connection).prepare(sqlx::SqlSafeStr::into_sql_str(text)).await
            {
                panic!("{} {name}: {error}", path.display());
            }
            prepared += 1;
        }
    }
    assert!(prepared > 60, "only {prepared} statements were found: has their form changed?");
}
