//! Reading typed values out of a row: whatever does not parse is `Corrupt`, never a default.

use std::str::FromStr;

use procura_token::Ts;
use serde::de::DeserializeOwned;
use sqlx::Row as _;

use crate::{Error, Result, sql::Row};

/// Typed columns.
pub(crate) trait Columns {
    fn str(&self, column: &str) -> Result<&str>;
    fn opt_str(&self, column: &str) -> Result<Option<&str>>;
    fn text(&self, column: &str) -> Result<String>;
    fn opt_text(&self, column: &str) -> Result<Option<String>>;
    fn int(&self, column: &str) -> Result<i64>;
    fn opt_int(&self, column: &str) -> Result<Option<i64>>;
    fn bytes(&self, column: &str) -> Result<Vec<u8>>;

    fn is(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    fn ts(&self, column: &str) -> Result<Ts> {
        self.int(column).map(Ts)
    }

    fn opt_ts(&self, column: &str) -> Result<Option<Ts>> {
        Ok(self.opt_int(column)?.map(Ts))
    }

    fn parsed<T: FromStr>(&self, column: &str) -> Result<T> {
        self.str(column)?.parse().map_err(|_| corrupt(column))
    }

    fn opt_parsed<T: FromStr>(&self, column: &str) -> Result<Option<T>> {
        let parse = |text: &str| text.parse().map_err(|_| corrupt(column));
        self.opt_str(column)?.map(parse).transpose()
    }

    /// Words parted by single spaces.
    fn words<T: FromStr>(&self, column: &str) -> Result<Vec<T>> {
        let text = self.str(column)?;
        let words = text.split(' ').filter(|word| !word.is_empty());
        words.map(|word| word.parse().map_err(|_| corrupt(column))).collect()
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(self.str(column)?).map_err(|_| corrupt(column))
    }
}

fn corrupt(column: &str) -> Error {
    tracing::error!(column, "stored data cannot be read");
    Error::Corrupt
}

/// The value of a column, whichever database it came from.
macro_rules! get {
    ($row:expr, $column:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($column)?,
            Row::Postgres(row) => row.try_get($column)?,
        }
    };
}

impl Columns for Row {
    fn str(&self, column: &str) -> Result<&str> {
        Ok(get!(self, column))
    }

    fn opt_str(&self, column: &str) -> Result<Option<&str>> {
        Ok(get!(self, column))
    }

    fn text(&self, column: &str) -> Result<String> {
        Ok(get!(self, column))
    }

    fn opt_text(&self, column: &str) -> Result<Option<String>> {
        Ok(get!(self, column))
    }

    fn int(&self, column: &str) -> Result<i64> {
        Ok(get!(self, column))
    }

    fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(get!(self, column))
    }

    fn bytes(&self, column: &str) -> Result<Vec<u8>> {
        Ok(get!(self, column))
    }
}

/// Words parted by single spaces.
pub(crate) fn joined<T: ToString>(words: &[T]) -> String {
    words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// JSON for a column; our own types always serialise.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt)
}
