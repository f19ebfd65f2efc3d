//! Opening the database, and the one handle that everybody holds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{Result, Tx, ledger::Ledger, meters::Meters, revocations::RevocationLog, row::Columns};

/// Longer than this nobody waits for a connection: the answer is then "unavailable".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file, created where it is missing.
    File(PathBuf),
    /// In memory, for tests: gone with the store.
    Memory,
}

/// The handle to everything remembered. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) readers: SqlitePool,
    pub(crate) writer: SqlitePool,
    pub(crate) log: Arc<RevocationLog>,
    pub(crate) ledger: Ledger,
    pub(crate) meters: Meters,
}

impl Store {
    /// Opens the database, brings its schema up to date and loads the revocation view.
    ///
    /// The writer is a pool of one: SQLite has one writer anyway, and a queue is fairer and faster
    /// than busy waiting.
    pub async fn open(location: Location) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(2))
            .statement_cache_capacity(256)
            // The checkpointer below moves pages back; without this a commit would do it now and
            // then, and its callers would wait for it.
            .pragma("wal_autocheckpoint", "0");
        let options = match &location {
            Location::File(path) => options.filename(path),
            Location::Memory => options.filename(memory_name()).shared_cache(true),
        };
        let pool = |max: u32| {
            SqlitePoolOptions::new()
                .max_connections(max)
                .min_connections(1)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        sqlx::migrate!("../../migrations/sqlite").run(&writer).await.map_err(|error| {
            tracing::error!(%error, "the schema cannot be brought up to date");
            crate::Error::Unavailable
        })?;
        // In memory there is no WAL, and a shared cache locks tables: one connection serves both.
        let readers = match location {
            Location::File(_) => pool(4).connect_with(options.read_only(true)).await?,
            Location::Memory => writer.clone(),
        };
        let meters = Meters::default();
        let log = Arc::new(RevocationLog::load(&readers, meters.clone()).await?);
        let ledger = Ledger::start(writer.clone(), Arc::clone(&log));
        if matches!(location, Location::File(_)) {
            start_checkpointer(readers.clone(), writer.clone());
        }
        Ok(Self { readers, writer, log, ledger, meters })
    }

    /// Opens a writing transaction. Dropped without a commit, it leaves nothing behind.
    pub async fn begin(&self, now: procura_token::Ts) -> Result<Tx> {
        Tx::begin(&self.writer, Arc::clone(&self.log), now).await
    }

    /// The revocation view of this process.
    #[must_use]
    pub fn revocations(&self) -> &Arc<RevocationLog> {
        &self.log
    }

    /// Closes the connections after what is under way.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }
}

/// Each store in memory has a database of its own.
fn memory_name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("file:procura-{}?mode=memory", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Moves pages from the WAL back into the database on a connection of its own, so that no commit
/// ever waits for it. Ends with the store.
fn start_checkpointer(readers: SqlitePool, writer: SqlitePool) {
    tokio::spawn(async move {
        let options = (*writer.connect_options()).clone();
        let Ok(pool) = SqlitePoolOptions::new().max_connections(1).connect_with(options).await
        else {
            tracing::error!("no connection for the checkpointer: the WAL will grow");
            return;
        };
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        while !readers.is_closed() {
            tick.tick().await;
            if let Err(error) = checkpoint(&pool).await {
                tracing::warn!(%error, "checkpoint failed");
            }
        }
        pool.close().await;
    });
}

/// Moves what can be moved without holding anybody up. Under constant load some pages are always
/// left, and the file would grow for ever: beyond the limit writers wait, once, for all of it.
async fn checkpoint(pool: &SqlitePool) -> Result<()> {
    const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
    const RESTART: &str = "PRAGMA wal_checkpoint(RESTART)";
    /// In pages of 4 KiB: 64 MiB.
    const MAX_PAGES: i64 = 16 * 1024;
    let done = sqlx::query(PASSIVE).fetch_one(pool).await?;
    if done.int("log")? > MAX_PAGES {
        sqlx::query(RESTART).fetch_one(pool).await?;
    }
    Ok(())
}
