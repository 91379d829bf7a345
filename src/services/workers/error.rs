//! Why a worker was not spawned.

use std::io;

use thiserror::Error;

use crate::channel::MAX_NAME;

/// Why a worker was not spawned. Its reactor is dropped, and its subscriptions have left.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The name is empty or longer than [`MAX_NAME`] bytes, or has a zero byte.
    #[error("worker name must have 1 to {MAX_NAME} bytes, none of them 0, got {0:?}")]
    Name(String),
    /// A worker of this name is running on the bus.
    #[error("worker {0:?} is running already")]
    Taken(String),
    /// The bus is shut down, or about to be.
    #[error("bus is shut down")]
    ShutDown,
    /// The system has no such core, or does not let this process use it.
    #[error("thread was not pinned to core {core}")]
    #[non_exhaustive]
    Core {
        /// The core that was asked for.
        core: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no thread.
    #[error("thread was not spawned")]
    Thread(#[source] io::Error),
}
