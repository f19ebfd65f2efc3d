//! The embedded database: one file, one process, one writer.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use sqlx::{
    Connection as _, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::time::{Instant, sleep};

use crate::connect::{ACQUIRE_TIMEOUT, OpenError};

/// Another process may be bringing the schema up to date: so long an opening waits for it.
const OPENING_TIMEOUT: Duration = Duration::from_secs(30);

/// The writer and the readers.
pub(crate) struct Opened {
    pub writer: SqlitePool,
    pub readers: SqlitePool,
}

/// Opens the file, or a database in memory that is gone with the store, and brings the schema up to
/// date.
///
/// The writer is a pool of one: SQLite has one writer anyway, and a queue is fairer and faster than
/// busy waiting.
pub(crate) async fn open(file: Option<&Path>) -> Result<Opened, OpenError> {
    // Held until the schema is there: a command beside a first start would find half of it.
    let _turn = match file {
        Some(path) => Some(take_turn(path).await?),
        None => None,
    };
    let options = SqliteConnectOptions::new()
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(2))
        .statement_cache_capacity(256)
        // The checkpointer below moves pages back; without this a commit would do it now and then,
        // and its callers would wait for it.
        .pragma("wal_autocheckpoint", "0");
    let options = match file {
        Some(path) => options.filename(path),
        None => options.filename(memory_name()).shared_cache(true),
    };
    let pool = |max: u32| {
        SqlitePoolOptions::new()
            .max_connections(max)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // After an error of the disk SQLite has rolled back by itself. The driver's own attempt then
            // fails, and it believes for ever to be inside a transaction: such a connection is replaced.
            .before_acquire(|connection, _| {
                let is_good = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_good) })
            })
    };
    let writer = pool(1).connect_with(options.clone()).await.map_err(OpenError::unreachable)?;
    sqlx::migrate!("../../migrations/sqlite").run(&writer).await.map_err(OpenError::migration)?;
    // In memory there is no WAL, and a shared cache locks tables: one connection serves both.
    let readers = match file {
        Some(_) => {
            pool(4).connect_with(options.read_only(true)).await.map_err(OpenError::unreachable)?
        }
        None => writer.clone(),
    };
    if file.is_some() {
        start_checkpointer(readers.clone(), writer.clone());
    }
    Ok(Opened { writer, readers })
}

/// Waits until nobody else is opening the file. The lock is on a file beside it: SQLite loses its own locks
/// when a process that holds them closes the database's file by another handle.
async fn take_turn(database: &Path) -> Result<File, OpenError> {
    let path = database.with_extension("opening");
    let mut options = OpenOptions::new();
    let lock = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let lock = lock.map_err(|error| OpenError::unreachable(error.into()))?;
    let deadline = Instant::now() + OPENING_TIMEOUT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::Opening),
            Err(TryLockError::Error(error)) => return Err(OpenError::unreachable(error.into())),
        }
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
async fn checkpoint(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
    const RESTART: &str = "PRAGMA wal_checkpoint(RESTART)";
    /// In pages of 4 KiB: 64 MiB.
    const MAX_PAGES: i64 = 16 * 1024;
    let done = sqlx::query(PASSIVE).fetch_one(pool).await?;
    if done.try_get::<i64, _>("log")? > MAX_PAGES {
        sqlx::query(RESTART).fetch_one(pool).await?;
    }
    Ok(())
}
