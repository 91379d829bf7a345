//! Why there is no answer.

use ringbus::CallError;
use thiserror::Error;

/// Why a service did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Failure {
    #[error("no such item")]
    UnknownItem,
    #[error("nobody serves this now")]
    Unavailable,
    #[error("everybody who serves this is busy")]
    Overloaded,
    #[error("no answer in time; it may have been done all the same")]
    Timeout,
    #[error("failed while it was being done")]
    Failed,
}

impl Failure {
    /// What HTTP calls it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::UnknownItem => 404,
            Self::Unavailable => 503,
            Self::Overloaded => 429,
            Self::Timeout => 504,
            Self::Failed => 500,
        }
    }
}

impl<R> From<CallError<R>> for Failure {
    fn from(error: CallError<R>) -> Self {
        match error {
            CallError::NoResponder(_) | CallError::Closed(_) => Self::Unavailable,
            CallError::Overloaded(_) => Self::Overloaded,
            CallError::Timeout => Self::Timeout,
            // The instance panicked, or dropped the call; `WouldDeadlock` is for who serves what it asks.
            _ => Self::Failed,
        }
    }
}
