//! Opening the database, and the one handle that everybody holds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use procura_token::{TenantId, Ts};

use crate::{
    Result, Tx,
    ledger::Ledger,
    meters::Meters,
    postgres,
    revocations::RevocationLog,
    sql::{Place, Pool, Transaction, query},
    sqlite, verifiers,
};

/// Longer than this nobody waits for a connection: the answer is then "unavailable".
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    /// A file of SQLite, created where it is missing.
    File(PathBuf),
    /// SQLite in memory, for tests: gone with the store.
    Memory,
    /// A URL of Postgres. It can hold a password, so it is never printed.
    Postgres(String),
}

/// Why the database cannot be used. The driver's message is logged and goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the URL of a Postgres database.
    #[error("the database's URL cannot be read")]
    Url,
    /// It does not answer, or refuses the login, or the file cannot be opened.
    #[error("it cannot be opened")]
    Unreachable,
    /// Somebody else has been opening it for half a minute.
    #[error("another process is opening it")]
    Opening,
    /// Its schema was made by a newer program.
    #[error("its schema is newer than this program: install that version, or a later one")]
    Newer,
    /// Its schema is not what a migration of that number made.
    #[error("its schema was changed by somebody else")]
    Changed,
    /// A migration failed; nothing of it is left.
    #[error("its schema cannot be brought up to date")]
    Migration,
    /// An old server.
    #[error("the server is older than Postgres 15")]
    TooOld,
    /// It would lose what was acknowledged.
    #[error("it does not keep what it commits: synchronous_commit and fsync must be on")]
    NotDurable,
    /// A standby.
    #[error("it is read-only: a standby")]
    ReadOnly,
    /// The role is a superuser or has BYPASSRLS, and would pass the walls between tenants.
    #[error("its role passes row-level security: use one without SUPERUSER and BYPASSRLS")]
    NoWalls,
}

impl OpenError {
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn unreachable(error: sqlx::Error) -> Self {
        tracing::error!(%error, "the database cannot be opened");
        Self::Unreachable
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn migration(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        tracing::error!(%error, "the schema cannot be brought up to date");
        match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => Self::Newer,
            MigrateError::VersionMismatch(_) => Self::Changed,
            _ => Self::Migration,
        }
    }
}

impl From<crate::Error> for OpenError {
    fn from(_: crate::Error) -> Self {
        Self::Unreachable
    }
}

/// What the handle is made of.
struct Pools {
    readers: Pool,
    writer: Pool,
    urgent: Pool,
    leases: Pool,
}

/// The handle to everything remembered. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) readers: Pool,
    pub(crate) writer: Pool,
    pub(crate) urgent: Pool,
    pub(crate) leases: Pool,
    pub(crate) log: Arc<RevocationLog>,
    pub(crate) ledger: Ledger,
    pub(crate) meters: Meters,
}

impl Store {
    /// Opens the database, brings its schema up to date and loads the revocation view.
    pub async fn open(location: Location) -> Result<Self, OpenError> {
        let file = match &location {
            Location::Postgres(url) => {
                let opened = Box::pin(postgres::open(url)).await?;
                let ledger = Pool::Postgres(opened.ledger);
                let pools = Pools {
                    readers: Pool::Postgres(opened.readers),
                    writer: Pool::Postgres(opened.writer),
                    urgent: Pool::Postgres(opened.urgent),
                    leases: Pool::Postgres(opened.leases),
                };
                return Self::start(pools, ledger).await;
            }
            Location::File(path) => Some(path.as_path()),
            Location::Memory => None,
        };
        let opened = sqlite::open(file).await?;
        // SQLite has one writer, whatever it writes.
        let writer = Pool::Sqlite(opened.writer);
        let pools = Pools {
            readers: Pool::Sqlite(opened.readers),
            writer: writer.clone(),
            urgent: writer.clone(),
            leases: writer.clone(),
        };
        Self::start(pools, writer).await
    }

    async fn start(pools: Pools, ledger: Pool) -> Result<Self, OpenError> {
        let Pools { readers, writer, urgent, leases } = pools;
        let meters = Meters::default();
        let log = Arc::new(RevocationLog::load(&readers, meters.clone()).await?);
        let ledger = Ledger::start(ledger, Arc::clone(&log));
        Ok(Self { readers, writer, urgent, leases, log, ledger, meters })
    }

    /// Opens a writing transaction. Dropped without a commit, it leaves nothing behind.
    pub async fn begin(&self, now: Ts) -> Result<Tx> {
        Tx::begin(&self.writer, Arc::clone(&self.log), now).await
    }

    /// Opens a writing transaction that takes something away. It has connections of its own where the
    /// database allows it, so that it never waits behind the others.
    pub async fn begin_urgent(&self, now: Ts) -> Result<Tx> {
        Tx::begin(&self.urgent, Arc::clone(&self.log), now).await
    }

    /// The context of one tenant, for reads of what it owns. On Postgres the policies of the tables
    /// show nothing else in it, whatever the statement says; SQLite has no such wall.
    pub(crate) async fn within(&self, tenant: TenantId) -> Result<Within> {
        const ENTER_POSTGRES: &str = "SELECT set_config('procura.tenant', $1, true) AS tenant";
        let Pool::Postgres(_) = &self.readers else {
            return Ok(Within::Anywhere(self.readers.clone()));
        };
        let mut open = self.readers.begin().await?;
        query(ENTER_POSTGRES).bind(tenant.to_string()).fetch_one(&mut open).await?;
        Ok(Within::Walled(open))
    }

    /// The revocation view of this process.
    #[must_use]
    pub fn revocations(&self) -> &Arc<RevocationLog> {
        &self.log
    }

    /// The clock of the database, where it is not this machine's.
    pub async fn database_clock(&self) -> Result<Option<Ts>> {
        match &self.readers {
            Pool::Sqlite(_) => Ok(None),
            Pool::Postgres(_) => verifiers::clock(&self.readers).await.map(Some),
        }
    }

    /// Closes the connections after what is under way.
    pub async fn close(&self) {
        self.writer.close().await;
        self.urgent.close().await;
        self.leases.close().await;
        self.ledger.pool().close().await;
        self.readers.close().await;
    }
}

/// Where a read of a tenant's own rows runs.
pub(crate) enum Within {
    Anywhere(Pool),
    Walled(Transaction),
}

impl<'a> From<&'a mut Within> for Place<'a> {
    fn from(within: &'a mut Within) -> Self {
        match within {
            Within::Anywhere(pool) => Place::from(&*pool),
            Within::Walled(open) => Place::from(open),
        }
    }
}
