//! Named threads that run reactors, and what becomes of them.
//!
//! | file                | what                                                    |
//! |---------------------|---------------------------------------------------------|
//! | `worker`, `builder` | a named thread that runs a reactor                      |
//! | `pool`              | several, over a group                                   |
//! | `run`, `restarts`   | running, and running again after a panic                |
//! | `post`              | what a worker and the other threads know of each other  |
//! | `crew`              | the workers of a bus                                    |
//! | `watchdog`          | handlers that take long                                 |
//! | `snapshot`, `export`, `error` | numbers; refusals                             |
//!
//! No thread is here but those that were asked for: a worker is supervised by its own thread, and a watchdog
//! looks when it is told to. Threads meet under the lock of a [`Post`](post::Post), which may be taken under
//! that of a [`Crew`](crew::Crew); no user code runs under either.

mod builder;
pub(crate) mod crew;
mod error;
#[cfg(feature = "metrics")]
mod export;
mod pool;
pub(crate) mod post;
mod restarts;
pub(crate) mod run;
pub(crate) mod snapshot;
mod watchdog;
mod worker;

pub use builder::WorkerBuilder;
pub use error::WorkerError;
pub use pool::Pool;
pub use restarts::{OnFailure, Restarts};
pub use snapshot::{WorkerEnd, WorkerPanic, WorkerSnapshot, WorkerStatus};
pub use watchdog::{SlowHandler, Watchdog};
pub use worker::Worker;
