#![doc = include_str!("../README.md")]

mod address;
mod budgets;
mod connection;
mod published;
mod reader;
mod writer;

pub use address::{Address, BadAddress};
pub use budgets::{Budgets, Draw, Level, Rate};
pub use published::{BadPlace, Id, Place, Published};
pub use reader::{Message, Reader};
pub use writer::{Held, Writer};

/// Redis did not do what was asked. What exactly it or the network said is logged at debug level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// No connection, or no answer in time.
    #[error("redis_unreachable")]
    Unreachable,
    /// It wants other credentials, or forbids a command.
    #[error("redis_refused_us")]
    Denied,
    /// It answered, but not what was asked for: another type under our key, a replica, a script
    /// that failed.
    #[error("redis_answer_unusable")]
    Unusable,
}

impl From<redis::RedisError> for Failed {
    fn from(error: redis::RedisError) -> Self {
        tracing::debug!(%error, "redis");
        match error.kind() {
            redis::ErrorKind::Io => Self::Unreachable,
            redis::ErrorKind::AuthenticationFailed => Self::Denied,
            _ if matches!(error.code(), Some("NOAUTH" | "NOPERM" | "WRONGPASS")) => Self::Denied,
            _ => Self::Unusable,
        }
    }
}
