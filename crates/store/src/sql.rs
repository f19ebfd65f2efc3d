//! One way to run a statement on either database: the text is the same, `$n` marks the parameters,
//! and what comes back is read by column name. Only this file knows both drivers.

use std::{borrow::Cow, io, sync::OnceLock, time::Duration};

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool,
    Transaction as Begun,
    postgres::{PgArguments, PgRow},
    query::Query as Typed,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{Error, Result, patience};

/// Longer than this Postgres is not waited for. A little longer than its own limit for a statement, after
/// which it says so; a network that loses everything without a word says nothing, for hours.
const ANSWER_WITHIN: Duration = Duration::from_millis(2750);
/// A file says when it fails; only a request limits how long it may take.
const FILE_WITHIN: Duration = Duration::MAX;

/// A pool of connections.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// An open transaction.
pub(crate) enum Transaction {
    Sqlite(Begun<'static, Sqlite>),
    Postgres(Begun<'static, Postgres>),
}

/// Where a statement runs: on a connection of the transaction, or on any of the pool.
pub(crate) enum Place<'a> {
    SqlitePool(&'a SqlitePool),
    PostgresPool(&'a PgPool),
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A parameter's value. Both databases keep whole numbers in 64 bits.
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Vec<u8>),
}

/// A statement with its values.
pub(crate) struct Query {
    sqlite: Cow<'static, str>,
    postgres: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement that reads the same on both databases.
pub(crate) fn query(text: impl Into<Cow<'static, str>>) -> Query {
    let text = text.into();
    Query { sqlite: text.clone(), postgres: text, values: Vec::new() }
}

/// A statement that has to be spelled differently; the reason stands beside it.
pub(crate) const fn forked(sqlite: &'static str, postgres: &'static str) -> Query {
    Query { sqlite: Cow::Borrowed(sqlite), postgres: Cow::Borrowed(postgres), values: Vec::new() }
}

/// A statement over any number of rows that are given as parameters: several times cheaper than one
/// statement a row, and than a list in JSON that the database takes apart. It is prepared for 1, 2, 4 …
/// rows, so that few texts serve every number.
pub(crate) struct ManyRows {
    before: &'static str,
    columns: usize,
    after: &'static str,
    texts: [OnceLock<(String, String)>; ManyRows::MAX_POWER + 1],
    at_once: [OnceLock<String>; ManyRows::MAX_POWER + 1],
}

impl ManyRows {
    /// At most 256 rows at once; Postgres allows 65,535 parameters, SQLite 32,766.
    const MAX_POWER: usize = 8;

    /// `before ($1, …), ($n, …) after`, with so many columns in a row.
    pub(crate) const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        Self {
            before,
            columns,
            after,
            texts: [const { OnceLock::new() }; Self::MAX_POWER + 1],
            at_once: [const { OnceLock::new() }; Self::MAX_POWER + 1],
        }
    }

    /// How many values a row has.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// Inserts all rows, whose values lie one behind the other. The first column is never absent.
    ///
    /// SQLite gets a whole power of two at a time, until none is left. Each of those would be a round
    /// trip to Postgres, while a batch of exchanges waits: there all rows go at once.
    pub(crate) async fn execute(
        &'static self,
        mut values: Vec<Value>,
        open: &mut Transaction,
    ) -> Result<()> {
        while !values.is_empty() {
            let rows = (values.len() / self.columns).clamp(1, 1 << Self::MAX_POWER);
            let is_at_once = matches!(open, Transaction::Postgres(_));
            let taken = if is_at_once { rows } else { 1 << rows.ilog2() };
            let rest = values.split_off((self.columns * taken).min(values.len()));
            let now = std::mem::replace(&mut values, rest);
            let query = if is_at_once { self.at_once(now)? } else { self.of(now)? };
            query.execute(&mut *open).await?;
        }
        Ok(())
    }

    /// Asks it for as many rows at once as there may be; what is missing to a whole power of two are rows of
    /// nothing.
    pub(crate) async fn fetch_all(
        &'static self,
        mut values: Vec<Value>,
        open: &mut Transaction,
    ) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        while !values.is_empty() {
            let rest = values.split_off((self.columns << Self::MAX_POWER).min(values.len()));
            let now = std::mem::replace(&mut values, rest);
            rows.extend(self.of(self.filled(now)?)?.fetch_all(&mut *open).await?);
        }
        Ok(rows)
    }

    /// With rows of nothing up to a whole power of two.
    fn filled(&self, mut values: Vec<Value>) -> Result<Vec<Value>> {
        let rows = (values.len() / self.columns).max(1).next_power_of_two();
        while values.len() < rows * self.columns {
            // Of the same type as in the row above: Postgres wants one type in a column.
            let above = values.get(values.len().saturating_sub(self.columns));
            values.push(above.ok_or(Error::Corrupt)?.absent());
        }
        Ok(values)
    }

    /// The statement for a whole power of two of rows. SQLite looks the name of each parameter up in a
    /// list of all of them: there they have none.
    fn of(&'static self, values: Vec<Value>) -> Result<Query> {
        let rows = (values.len() / self.columns).max(1);
        let kept = self.texts.get(rows.ilog2() as usize).ok_or(Error::Corrupt)?;
        let (sqlite, postgres) = kept.get_or_init(|| {
            let text = |rows: String| format!("{}{rows}{}", self.before, self.after);
            let numbered = self.rows(rows, |n| format!("${n}"));
            (text(self.rows(rows, |_| "?".to_owned())), text(numbered))
        });
        Ok(Query { values, ..forked(sqlite, postgres) })
    }

    /// An insert for any number of rows, as Postgres understands it: rows of nothing are left out.
    fn at_once(&'static self, values: Vec<Value>) -> Result<Query> {
        let values = self.filled(values)?;
        let rows = (values.len() / self.columns).max(1);
        let kept = self.at_once.get(rows.ilog2() as usize).ok_or(Error::Corrupt)?;
        let text: &'static str = kept.get_or_init(|| {
            let (into, rows) =
                (self.before.trim_end_matches("VALUES "), self.rows(rows, |n| format!("${n}")));
            let given = format!("SELECT * FROM (VALUES {rows}) AS given WHERE column1 IS NOT NULL");
            format!("{into}{given}{}", self.after)
        });
        Ok(Query { values, ..forked(text, text) })
    }

    /// So many rows of parameters.
    fn rows(&self, rows: usize, parameter: impl Fn(usize) -> String) -> String {
        let row = |n: usize| {
            let first = n * self.columns + 1;
            let row: Vec<_> = (first..first + self.columns).map(&parameter).collect();
            format!("({})", row.join(", "))
        };
        (0..rows).map(row).collect::<Vec<_>>().join(", ")
    }
}

/// Runs the statement with the driver that the place belongs to, by the named method. Each future is
/// put into a box of its own: four kinds of them in one make every future above larger by kilobytes,
/// and those are moved with every request.
macro_rules! run {
    ($query:expr, $place:expr, $method:ident, $sqlite:expr, $postgres:expr) => {
        match $place.into() {
            Place::SqlitePool(on) => {
                answered(FILE_WITHIN, Box::pin($query.for_sqlite().$method(on))).await.map($sqlite)
            }
            Place::Sqlite(on) => {
                answered(FILE_WITHIN, Box::pin($query.for_sqlite().$method(on))).await.map($sqlite)
            }
            Place::PostgresPool(on) => {
                let work = Box::pin($query.for_postgres().$method(on));
                answered(ANSWER_WITHIN, work).await.map($postgres)
            }
            Place::Postgres(on) => {
                let work = Box::pin($query.for_postgres().$method(on));
                answered(ANSWER_WITHIN, work).await.map($postgres)
            }
        }
    };
}

/// The connection is given up with the answer: it could come at any time, and be taken for another one.
async fn answered<T>(
    within: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let silence = || Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
    patience::wait(within, work).await.unwrap_or_else(silence)
}

impl Query {
    /// Gives the next parameter its value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// All rows.
    pub(crate) async fn fetch_all<'a>(self, place: impl Into<Place<'a>>) -> Result<Vec<Row>> {
        let sqlite = |rows: Vec<_>| rows.into_iter().map(Row::Sqlite).collect();
        let postgres = |rows: Vec<_>| rows.into_iter().map(Row::Postgres).collect();
        Ok(run!(self, place, fetch_all, sqlite, postgres)?)
    }

    /// The first row, if there is one.
    pub(crate) async fn fetch_optional<'a>(
        self,
        place: impl Into<Place<'a>>,
    ) -> Result<Option<Row>> {
        let sqlite = |row: Option<_>| row.map(Row::Sqlite);
        let postgres = |row: Option<_>| row.map(Row::Postgres);
        Ok(run!(self, place, fetch_optional, sqlite, postgres)?)
    }

    /// The first row of a statement that always has one.
    pub(crate) async fn fetch_one<'a>(self, place: impl Into<Place<'a>>) -> Result<Row> {
        self.fetch_optional(place).await?.ok_or(Error::Corrupt)
    }

    /// Carries the statement out; answers how many rows it changed.
    pub(crate) async fn execute<'a>(self, place: impl Into<Place<'a>>) -> Result<u64> {
        Ok(run!(self, place, execute, |done| done.rows_affected(), |done| done.rows_affected())?)
    }

    fn for_sqlite(self) -> Typed<'static, Sqlite, SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(self.sqlite));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }

    fn for_postgres(self) -> Typed<'static, Postgres, PgArguments> {
        let query = sqlx::query(AssertSqlSafe(self.postgres));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }
}

impl Transaction {
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(open) => open.commit().await?,
            Self::Postgres(open) => answered(ANSWER_WITHIN, Box::pin(open.commit())).await?,
        }
        Ok(())
    }
}

impl Pool {
    /// Opens a transaction that will write.
    pub(crate) async fn begin(&self) -> Result<Transaction> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let begun = Box::pin(pool.begin_with("BEGIN IMMEDIATE"));
                Transaction::Sqlite(answered(FILE_WITHIN, begun).await?)
            }
            Self::Postgres(pool) => {
                Transaction::Postgres(answered(ANSWER_WITHIN, Box::pin(pool.begin())).await?)
            }
        })
    }

    /// One instant of everything, to be read at leisure; nobody is held up by it.
    pub(crate) async fn read(&self) -> Result<Transaction> {
        const BEGIN_POSTGRES: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        const AT_LEISURE_POSTGRES: &str = "SET LOCAL idle_in_transaction_session_timeout = 0";
        Ok(match self {
            Self::Sqlite(pool) => Transaction::Sqlite(Box::pin(pool.begin()).await?),
            Self::Postgres(pool) => {
                let begun = Box::pin(pool.begin_with(BEGIN_POSTGRES));
                let mut open = Transaction::Postgres(answered(ANSWER_WITHIN, begun).await?);
                query(AT_LEISURE_POSTGRES).execute(&mut open).await?;
                open
            }
        })
    }

    /// Open connections, and those of them at rest.
    pub(crate) fn size(&self) -> (i64, i64) {
        let (open, idle) = match self {
            Self::Sqlite(pool) => (pool.size(), pool.num_idle()),
            Self::Postgres(pool) => (pool.size(), pool.num_idle()),
        };
        (i64::from(open), i64::try_from(idle).unwrap_or(i64::MAX))
    }

    /// Waits until every connection is closed.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl<'a> From<&'a Pool> for Place<'a> {
    fn from(pool: &'a Pool) -> Self {
        match pool {
            Pool::Sqlite(pool) => Self::SqlitePool(pool),
            Pool::Postgres(pool) => Self::PostgresPool(pool),
        }
    }
}

impl<'a> From<&'a mut Transaction> for Place<'a> {
    fn from(open: &'a mut Transaction) -> Self {
        match open {
            Transaction::Sqlite(open) => Self::Sqlite(open),
            Transaction::Postgres(open) => Self::Postgres(open),
        }
    }
}

impl Value {
    /// A value of the same type that is not there.
    const fn absent(&self) -> Self {
        match self {
            Self::Int(_) => Self::Int(None),
            Self::Text(_) | Self::Bytes(_) => Self::Text(None),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(ToOwned::to_owned))
    }
}

impl From<Option<&String>> for Value {
    fn from(value: Option<&String>) -> Self {
        Self::Text(value.cloned())
    }
}

impl From<&Vec<u8>> for Value {
    fn from(value: &Vec<u8>) -> Self {
        Self::Bytes(value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Columns;

    static NUMBERS: ManyRows =
        ManyRows::new("WITH w (n) AS (VALUES ", 1, ") SELECT n FROM w WHERE n IS NOT NULL");

    #[tokio::test]
    async fn more_rows_than_one_statement_takes_are_asked_for_in_several() {
        let pool = Pool::Sqlite(SqlitePool::connect("sqlite::memory:").await.unwrap());
        for count in [1_i64, 255, 256, 257, 512, 1000] {
            let mut open = pool.begin().await.unwrap();
            let values = (0..count).map(Value::from).collect();
            let rows = NUMBERS.fetch_all(values, &mut open).await.unwrap();
            let found: Vec<_> = rows.iter().map(|row| row.int("n").unwrap()).collect();
            assert_eq!(found, (0..count).collect::<Vec<_>>());
        }
    }
}
