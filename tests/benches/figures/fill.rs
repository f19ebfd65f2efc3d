//! A crowd, written into a database in bulk, while no server runs on it.

use std::{fmt::Write as _, path::Path, sync::Arc};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    Failure,
    crowd::{Cell, Crowd, Table},
};

/// Rows in one statement of SQLite: 19 columns times this stay below its 32,766 parameters.
const ROWS: usize = 400;
/// Bytes that are sent to Postgres at once.
const CHUNK: usize = 1 << 20;

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::new(&error.to_string())
    }
}

/// Fills a file of SQLite: many rows a statement, one transaction a table, references checked.
pub async fn sqlite(file: &Path, crowd: Crowd) -> Result<(), Failure> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        // Nobody else is here, and a run that breaks off is thrown away. The server turns both back.
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-400000");
    let mut connection = options.connect().await?;
    for table in crowd.tables() {
        let mut open = connection.begin().await?;
        insert(table, &mut open).await?;
        open.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

async fn insert(table: Table, open: &mut SqliteConnection) -> Result<(), Failure> {
    let Table { name, columns, mut rows } = table;
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let statement = |rows: usize| -> Arc<str> {
        let rows = vec![row.as_str(); rows].join(", ");
        format!("INSERT INTO {name} ({}) VALUES {rows}", columns.join(", ")).into()
    };
    let usual = statement(ROWS);
    loop {
        let batch: Vec<Vec<Cell>> = rows.by_ref().take(ROWS).collect();
        let statement = match batch.len() {
            0 => return Ok(()),
            ROWS => Arc::clone(&usual),
            fewer => statement(fewer),
        };
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for cell in batch.into_iter().flatten() {
            query = match cell {
                Cell::Text(text) => query.bind(text),
                Cell::Int(number) => query.bind(number),
                Cell::Null => query.bind(None::<String>),
            };
        }
        query.execute(&mut *open).await?;
    }
}

/// Fills a database of Postgres by COPY, as the superuser: rows of all tenants come at once, which the
/// walls let nobody else do.
pub async fn postgres(url: &str, crowd: Crowd) -> Result<(), Failure> {
    let mut connection = PgConnection::connect(url).await?;
    // References are checked where the same rows go to SQLite. Here that takes longer than all the rest.
    sqlx::raw_sql("SET session_replication_role = replica").execute(&mut connection).await?;
    for table in crowd.tables() {
        let Table { name, columns, rows } = table;
        let statement = format!("COPY {name} ({}) FROM STDIN", columns.join(", "));
        let mut copy = connection.copy_in_raw(&statement).await?;
        let mut text = String::with_capacity(CHUNK + 1024);
        for row in rows {
            line(&row, &mut text);
            if text.len() >= CHUNK {
                copy.send(text.as_bytes()).await?;
                text.clear();
            }
        }
        copy.send(text.as_bytes()).await?;
        copy.finish().await?;
    }
    // What the server's own upkeep would have done by now, and would otherwise do during the run.
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// One row in the text format; nothing in a crowd has to be escaped.
fn line(row: &[Cell], text: &mut String) {
    for (ix, cell) in row.iter().enumerate() {
        if ix > 0 {
            text.push('\t');
        }
        // Writing to a string cannot fail.
        let _ = match cell {
            Cell::Text(value) => text.write_str(value),
            Cell::Int(number) => write!(text, "{number}"),
            Cell::Null => text.write_str("\\N"),
        };
    }
    text.push('\n');
}
