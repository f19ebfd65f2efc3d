//! Postgres: shared by any number of nodes. Connections, what is asked of the server before it is
//! trusted, and the schema.

use std::{io, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::connect::{ACQUIRE_TIMEOUT, OpenError};

/// The oldest server that is tested.
const OLDEST: i32 = 150_000;
/// Another node may be migrating: so long a start waits for it.
const MIGRATION_TIMEOUT: Duration = Duration::from_mins(5);
/// A connection that was used so lately is taken to be alive.
const FRESH: Duration = Duration::from_millis(100);
/// A connection that does not even say this soon that it is alive is thrown away. Without a bound of ours
/// the pool would ask one that is gone without a word for ever, and never get its place back.
const ALIVE_WITHIN: Duration = Duration::from_millis(750);
/// What every connection asks of the server. Nobody waits longer than three seconds for an answer, so
/// no statement may; and a node that was stopped in the middle of a transaction must not keep the
/// head row from the others. `procura.tenant` is the context of the row-level policies: `*` sees all.
const SETTINGS: [(&str, &str); 4] = [
    ("lock_timeout", "2000"),
    ("statement_timeout", "2500"),
    ("idle_in_transaction_session_timeout", "3000"),
    ("procura.tenant", "*"),
];

/// The pools: each has its own connections, so that none can starve another.
pub(crate) struct Opened {
    /// Reads outside of transactions.
    pub readers: PgPool,
    /// Transactions of the verbs.
    pub writer: PgPool,
    /// Transactions that take something away: never behind the others.
    pub urgent: PgPool,
    /// Leases of verifiers: acknowledged also while everything else is busy.
    pub leases: PgPool,
    /// The ledger uses one; the others stand in for one that hangs.
    pub ledger: PgPool,
}

/// Connects, checks the server, and brings the schema up to date under the migrator's advisory lock:
/// of two nodes that start together one migrates, and each migration is a transaction, so that one
/// that dies half way leaves nothing.
pub(crate) async fn open(url: &str) -> Result<Opened, OpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(OpenError::Url);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Url)?;
    let migrating = options.clone().options([("procura.tenant", "*")]);
    let migrated = async {
        let mut connection =
            PgConnection::connect_with(&migrating).await.map_err(OpenError::unreachable)?;
        check(&mut connection).await?;
        let migrations = sqlx::migrate!("../../migrations/postgres");
        migrations.run(&mut connection).await.map_err(OpenError::migration)?;
        connection.close().await.map_err(OpenError::unreachable)
    };
    timeout(MIGRATION_TIMEOUT, migrated).await.map_err(|_| OpenError::Unreachable)??;

    let options = options.options(SETTINGS).statement_cache_capacity(256);
    let pool = |name: &str, max: u32| {
        PgPoolOptions::new()
            .max_connections(max)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(Duration::from_mins(10))
            .max_lifetime(Duration::from_hours(1))
            .test_before_acquire(false)
            // The server may have gone and come back since: then the old connections are dead.
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > FRESH {
                        is_alive(connection).await?;
                    }
                    Ok(true)
                })
            })
            // Whoever used it may have given up waiting for an answer.
            .after_release(|connection, _| {
                Box::pin(async move { is_alive(connection).await.map(|()| true) })
            })
            // Shown beside what each connection does, in `pg_stat_activity`.
            .connect_with(options.clone().application_name(&format!("procura {name}")))
    };
    let pools = tokio::try_join!(
        pool("readers", 8),
        pool("writer", 4),
        pool("urgent", 2),
        pool("leases", 2),
        pool("ledger", 3)
    );
    let (readers, writer, urgent, leases, ledger) = pools.map_err(OpenError::unreachable)?;
    Ok(Opened { readers, writer, urgent, leases, ledger })
}

async fn is_alive(connection: &mut PgConnection) -> sqlx::Result<()> {
    let silence = |_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    timeout(ALIVE_WITHIN, connection.ping()).await.unwrap_or_else(silence)
}

/// What must be true of the server, or a promise of ours would be silently void.
async fn check(connection: &mut PgConnection) -> Result<(), OpenError> {
    const ASK: &str = "SELECT current_setting('server_version_num')::int AS version, \
        current_setting('synchronous_commit') AS commits, current_setting('fsync') AS fsync, \
        pg_is_in_recovery() AS is_standby, \
        (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS passes_walls";
    let row = sqlx::query(ASK).fetch_one(connection).await.map_err(OpenError::unreachable)?;
    let read = || -> Result<_, sqlx::Error> {
        let is_durable =
            row.try_get::<&str, _>("commits")? != "off" && row.try_get::<&str, _>("fsync")? == "on";
        let version: i32 = row.try_get("version")?;
        Ok((version, is_durable, row.try_get("is_standby")?, row.try_get("passes_walls")?))
    };
    match read().map_err(OpenError::unreachable)? {
        (version, ..) if version < OLDEST => Err(OpenError::TooOld),
        (_, false, ..) => Err(OpenError::NotDurable),
        (_, _, true, _) => Err(OpenError::ReadOnly),
        (_, _, _, true) => Err(OpenError::NoWalls),
        _ => Ok(()),
    }
}
