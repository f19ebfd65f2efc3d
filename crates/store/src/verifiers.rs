//! The leases of verifiers, as all nodes share them.
//!
//! A lease is written before it is granted, and as durable as everything else. A row that was lost
//! would err to the wrong side: its verifier could still accept, and nobody would wait for it. All
//! times are of the database's own clock, so that the clocks of nodes need not agree.

use std::{collections::HashMap, time::Duration};

use procura_token::{ClientId, Seq, Ts};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    Error, Result, Store, patience,
    row::Columns,
    sql::{ManyRows, Place, Pool, Value, forked, query},
};

/// As many acknowledgements may wait; more are refused at once.
const QUEUE: usize = 4096;
/// As many are written by one statement.
const BATCH: usize = 512;
/// Longer than this nobody waits for one to be written.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of leases that are over are put away this often.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// One start of one verifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// The resource server's client.
    pub client: ClientId,
    /// Its name, chosen by its operator.
    pub name: String,
    /// A random text of this start of the process.
    pub incarnation: String,
}

/// A verifier whose lease may still run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Who.
    pub holder: Holder,
    /// How far it has applied the log.
    pub applied: Seq,
}

struct Job {
    running: Running,
    written: oneshot::Sender<()>,
}

/// The way in: one task that writes whatever waits with one statement.
pub struct Leases(mpsc::Sender<Job>);

impl Leases {
    /// Starts the task. Each lease runs for `length` from when its row is written.
    #[must_use]
    pub fn start(store: &Store, length: Duration) -> Self {
        let (way_in, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(run(jobs, store.leases.clone(), length));
        Self(way_in)
    }

    /// Notes how far a verifier is and that its lease begins; returns when it is written.
    ///
    /// `Unavailable` where it may not be: then no lease may be granted.
    pub async fn note(&self, running: Running) -> Result<()> {
        let (written, is_written) = oneshot::channel();
        self.0.try_send(Job { running, written }).map_err(|_| Error::Unavailable)?;
        match patience::wait(PATIENCE, is_written).await {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::Unavailable),
        }
    }
}

impl Store {
    /// The verifiers whose leases may still run, whichever node they acknowledged to.
    pub async fn list_leases(&self) -> Result<Vec<Running>> {
        const LIST: &str =
            "SELECT client_id, name, incarnation, applied FROM verifiers WHERE lease_until > $1";
        let now = clock(&self.readers).await?;
        let rows = query(LIST).bind(now.0).fetch_all(&self.readers).await?;
        rows.iter()
            .map(|row| {
                let holder = Holder {
                    client: row.parsed("client_id")?,
                    name: row.text("name")?,
                    incarnation: row.text("incarnation")?,
                };
                Ok(Running { holder, applied: Seq(row.int("applied")?) })
            })
            .collect()
    }
}

async fn run(mut jobs: mpsc::Receiver<Job>, writer: Pool, length: Duration) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut last_forgotten = Instant::now();
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let (rows, waiting) = merged(std::mem::take(&mut batch));
        let done = timeout(PATIENCE, write(&writer, rows, length));
        match done.await.unwrap_or(Err(Error::Unavailable)) {
            Ok(()) => {
                for written in waiting {
                    // Whoever has gone away does not want to know.
                    let _ = written.send(());
                }
            }
            Err(error) => tracing::error!(%error, "leases were not written, so none is granted"),
        }
        if last_forgotten.elapsed() > FORGET_EVERY {
            last_forgotten = Instant::now();
            if let Err(error) = forget(&writer).await {
                tracing::warn!(%error, "leases that are over were not put away");
            }
        }
    }
}

/// One row for each holder: a statement may write a row only once.
fn merged(batch: Vec<Job>) -> (Vec<Running>, Vec<oneshot::Sender<()>>) {
    let mut applied = HashMap::with_capacity(batch.len());
    let mut waiting = Vec::with_capacity(batch.len());
    for Job { running, written } in batch {
        waiting.push(written);
        let furthest = applied.entry(running.holder).or_insert(running.applied);
        *furthest = running.applied.max(*furthest);
    }
    let rows = applied.into_iter().map(|(holder, applied)| Running { holder, applied });
    // In one order, so that two nodes never wait for each other's rows in a circle.
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| a.holder.cmp(&b.holder));
    (rows, waiting)
}

static WRITE: ManyRows = ManyRows::new(
    "INSERT INTO verifiers (client_id, name, incarnation, applied, lease_until) VALUES ",
    5,
    " ON CONFLICT (client_id, name, incarnation) DO UPDATE SET \
     applied = CASE WHEN excluded.applied > verifiers.applied \
     THEN excluded.applied ELSE verifiers.applied END, \
     lease_until = CASE WHEN excluded.lease_until > verifiers.lease_until \
     THEN excluded.lease_until ELSE verifiers.lease_until END",
);

/// What is there is never shortened: a node that stalled after it had read the clock would take away
/// what another one granted meanwhile.
///
/// The clock is read before the rows are written, and after the verifiers asked: a lease that is
/// counted from here is over when theirs is.
async fn write(writer: &Pool, rows: Vec<Running>, length: Duration) -> Result<()> {
    let micros = i64::try_from(length.as_micros()).map_err(|_| Error::Corrupt)?;
    let mut open = writer.begin().await?;
    let until = clock(&mut open).await?.0.saturating_add(micros);
    let mut values = Vec::with_capacity(WRITE.columns() * rows.len());
    for Running { holder, applied } in rows {
        values.extend([
            Value::from(holder.client.as_str()),
            Value::from(holder.name),
            Value::from(holder.incarnation),
            Value::from(applied.0),
            Value::from(until),
        ]);
    }
    WRITE.execute(values, &mut open).await?;
    open.commit().await
}

async fn forget(writer: &Pool) -> Result<()> {
    const FORGET: &str = "DELETE FROM verifiers WHERE lease_until < $1";
    // Not at once: what is over by this clock can still be asked about while the clock is set back.
    let long_over = clock(writer).await?.plus_secs(-60);
    query(FORGET).bind(long_over.0).execute(writer).await?;
    Ok(())
}

/// The clock of the database: on SQLite this machine's, on Postgres one for all nodes.
pub(crate) async fn clock<'a>(place: impl Into<Place<'a>>) -> Result<Ts> {
    const CLOCK_SQLITE: &str = "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now";
    const CLOCK_POSTGRES: &str =
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    forked(CLOCK_SQLITE, CLOCK_POSTGRES).fetch_one(place).await?.ts("now")
}
