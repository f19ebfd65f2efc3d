//! What a verb can answer instead of doing it. Each door has one file that turns this into its own
//! shape; no text of a tenant's data fits in here.

use procura_domain::{Quota, Refusal, policy::Denied};

/// Why a verb did not happen. Whatever it is, nothing changed, and where it matters the audit log
/// already knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The decision said no.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The relationship asks for a stronger or fresher login (RFC 9470).
    #[error("step-up required")]
    StepUp {
        /// The weakest acceptable authentication context.
        acr: Option<&'static str>,
        /// The oldest acceptable login in seconds.
        max_age: Option<i64>,
    },
    /// The subject token cannot be exchanged, for whatever reason.
    #[error("subject token unusable")]
    SubjectUnusable,
    /// Wrong credentials, or none.
    #[error("unauthenticated")]
    Unauthenticated,
    /// The client's assertion (RFC 7523) proves nothing; says why.
    #[error("assertion refused: {0}")]
    AssertionRefused(&'static str),
    /// The proof of possession (RFC 9449) is missing or no good; says why.
    #[error("proof refused: {0}")]
    ProofRefused(&'static str),
    /// The proof needs a nonce of ours (RFC 9449 §8).
    #[error("proof without a nonce")]
    NonceWanted,
    /// The client may not use this grant.
    #[error("grant not allowed")]
    GrantNotAllowed,
    /// The code is wrong, used, expired, or of another client (RFC 6749 §5.2).
    #[error("invalid grant")]
    BadGrant,
    /// A device gets nothing yet, or never will; says why (RFC 8628 §3.5).
    #[error("device: {}", .0.code())]
    Device(crate::device::Unready),
    /// Nothing of the requested scope can be granted.
    #[error("invalid scope")]
    BadScope,
    /// The request is malformed; names the parameter or member.
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// A member of what is to be registered is not as it must be; says how it must be.
    #[error("invalid {0}")]
    Unfit(procura_domain::Fault),
    /// Only the operator may do this; names the member.
    #[error("beyond what a tenant may: {0}")]
    Beyond(&'static str),
    /// The thing was changed since the caller saw it (RFC 9110 §13.1.1).
    #[error("changed since")]
    Stale,
    /// Only who names the version that it has seen may do this (RFC 6585 §3).
    #[error("version missing")]
    VersionMissing,
    /// The caller may know of the thing and may not do this to it.
    #[error("forbidden")]
    Forbidden,
    /// There is no such thing, or the caller may not know of it.
    #[error("not found")]
    NotFound,
    /// Not in this state; names the state.
    #[error("not possible while {0}")]
    WrongState(&'static str),
    /// Somebody else was first, or the name is taken.
    #[error("conflict")]
    Conflict,
    /// Too many at once: try again later.
    #[error("busy")]
    Busy,
    /// Too many failures of strangers at the caller's address, or too many logins that were begun there.
    /// Whoever proves an identity is never answered so.
    #[error("too many failures")]
    TooManyFailures {
        /// When to try again, in seconds.
        wait_secs: u32,
    },
    /// The caller has asked for more than one caller may in a while.
    #[error("too many requests")]
    TooManyRequests {
        /// When to try again, in seconds.
        wait_secs: u32,
    },
    /// The tenant has as many as its quota allows; names the quota.
    #[error("quota used up: {0}")]
    QuotaUsedUp(Quota),
    /// A quota of the day is used up.
    #[error("refused for today: {refusal}")]
    UsedUpToday {
        /// Whose.
        refusal: Refusal,
        /// When the day is over, in seconds.
        wait_secs: u32,
    },
    /// Storage, keys or randomness failed.
    #[error("broken")]
    Broken,
}

impl From<procura_store::Error> for Error {
    fn from(error: procura_store::Error) -> Self {
        match error {
            procura_store::Error::Conflict => Self::Conflict,
            procura_store::Error::Unavailable => Self::Busy,
            procura_store::Error::Corrupt => Self::Broken,
        }
    }
}

impl From<crate::device::Unready> for Error {
    fn from(unready: crate::device::Unready) -> Self {
        Self::Device(unready)
    }
}

impl From<procura_token::crypto::Failure> for Error {
    fn from(_: procura_token::crypto::Failure) -> Self {
        Self::Broken
    }
}

impl From<procura_domain::Fault> for Error {
    fn from(fault: procura_domain::Fault) -> Self {
        Self::Unfit(fault)
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Forbidden => Self::Forbidden,
            Denied::Hidden => Self::NotFound,
        }
    }
}

impl Error {
    /// The word for the audit log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) | Self::UsedUpToday { refusal, .. } => refusal.as_str(),
            Self::QuotaUsedUp(_) => "quota_used_up",
            Self::StepUp { .. } => "step_up_required",
            Self::SubjectUnusable => "subject_token_unusable",
            Self::Unauthenticated => "unauthenticated",
            Self::AssertionRefused(reason) | Self::ProofRefused(reason) => reason,
            Self::NonceWanted => "proof_nonce_wanted",
            Self::GrantNotAllowed => "grant_not_allowed",
            Self::BadGrant => "grant_invalid",
            Self::Device(unready) => unready.code(),
            Self::BadScope => "scope_invalid",
            Self::Invalid(_) | Self::Unfit(_) => "request_invalid",
            Self::Forbidden | Self::Beyond(_) => "forbidden",
            Self::Stale => "stale",
            Self::VersionMissing => "version_missing",
            Self::NotFound => "not_found",
            Self::WrongState(_) => "wrong_state",
            Self::Conflict => "conflict",
            Self::Busy => "unavailable",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Broken => "internal_error",
        }
    }
}
