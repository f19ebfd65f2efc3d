//! What can go wrong with memory. Absent things are no error, they are `Option`s. The driver's
//! message is logged here and goes no further: it can hold data of a tenant.

/// A failed statement, sorted by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A uniqueness rule refused the write: somebody else was first.
    #[error("conflict")]
    Conflict,
    /// The database cannot be reached, is full, locked or read-only. Nothing was written.
    #[error("storage unavailable")]
    Unavailable,
    /// What is stored cannot be what we wrote.
    #[error("stored data is corrupt")]
    Corrupt,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(e) if e.is_unique_violation() => return Self::Conflict,
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::TypeNotFound { .. } => {
                tracing::error!(%error, "stored data cannot be read");
                return Self::Corrupt;
            }
            _ => {}
        }
        tracing::error!(%error, "a statement failed");
        Self::Unavailable
    }
}
