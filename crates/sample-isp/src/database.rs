//! The resource server's own database: one writer, several readers, every row a tenant's.

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// The schema. Money in cents, times in Unix seconds, dates as `YYYY-MM-DD`.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS invoices (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    issued_on TEXT NOT NULL,
    due_on TEXT NOT NULL,
    amount_cents INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'paid', 'overdue')),
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE TABLE IF NOT EXISTS tickets (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    description TEXT NOT NULL,
    priority TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    status TEXT NOT NULL CHECK (status IN ('open', 'in_progress', 'resolved', 'closed')),
    opened_at INTEGER NOT NULL,
    resolved_at INTEGER,
    opened_by TEXT,
    opened_by_tenant TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE TABLE IF NOT EXISTS subscribers (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    phone TEXT NOT NULL,
    plan TEXT NOT NULL,
    traffic_gb INTEGER NOT NULL,
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    report_id TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
    jti TEXT NOT NULL,
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id TEXT,
    happened_at INTEGER NOT NULL,
    refused_with INTEGER,
    refused_for TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (id) WHERE refused_with IS NULL;
";

/// The outbox of before refusals were reported has no place for them.
const IS_OLD: &str = "SELECT NOT EXISTS (SELECT 1 FROM pragma_table_info('outbox') \
    WHERE name = 'refused_for')";
const RENEW: &str = "ALTER TABLE outbox ADD COLUMN refused_for TEXT";

/// The database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("{0}")]
    Folder(#[from] std::io::Error),
    /// SQLite refuses.
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
}

/// The database. Clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    /// For reading.
    pub readers: SqlitePool,
    writer: SqlitePool,
}

impl Database {
    /// Opens `isp.db` in this folder and makes both where they are missing. The folder is its
    /// owner's alone, because there are personal data in it.
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join("isp.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A report must outlive a power cut, or an accepted call could go unseen.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        // One writer: requests queue fairly in the pool instead of polling for SQLite's lock.
        let writer =
            SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::raw_sql(SCHEMA).execute(&writer).await?;
        if sqlx::query_scalar(IS_OLD).fetch_one(&writer).await? {
            sqlx::raw_sql(RENEW).execute(&writer).await?;
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { readers, writer })
    }

    /// Begins a transaction that may write. Dropped without commit, it changes nothing.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}
