//! Why a call failed. All texts are constants: neither a URL nor anything of an answer fits in here.

/// Why a call was not made, or not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The URL is none that is called: its scheme, port, user name, fragment, length or characters.
    #[error("the URL is not allowed")]
    BadUrl,
    /// It leads to addresses of which none may be called.
    #[error("the address is not allowed")]
    AddressRefused,
    /// The name leads to no address.
    #[error("the name is unknown")]
    NameUnknown,
    /// No connection, no TLS, or it broke.
    #[error("not reachable")]
    Unreachable,
    /// It took too long.
    #[error("no answer in time")]
    Slow,
    /// Too many calls are under way, to this host or in all.
    #[error("too many calls at once")]
    Busy,
    /// The answer is larger than what is read.
    #[error("the answer is too large")]
    TooLarge,
    /// Another status than the one that says yes.
    #[error("refused with status {0}")]
    Status(u16),
    /// The answer is not what was asked for.
    #[error("the answer is malformed")]
    Malformed,
}
