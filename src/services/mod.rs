//! What is built on the bus: workers, their supervision, shutdown.
//!
//! | file             | what                                                    |
//! |------------------|---------------------------------------------------------|
//! | `worker`, `worker_builder` | a named thread that runs a reactor            |
//! | `run`, `restarts` | running, and running again after a panic               |
//! | `post`           | what a worker and the other threads know of each other  |
//! | `crew`           | the workers of a bus                                    |
//! | `shutdown`       | the end of a bus, and what was left                     |
//! | `watchdog`       | handlers that take long                                 |
//! | `worker_snapshot`, `worker_error` | numbers; refusals                      |
//!
//! No thread is here but those that were asked for: a worker is supervised by its own thread, and a watchdog
//! looks when it is told to. Threads meet under the lock of a [`Post`](post::Post), which may be taken under
//! that of a [`Crew`](crew::Crew); no user code runs under either.

pub(crate) mod crew;
pub(crate) mod post;
mod restarts;
pub(crate) mod run;
mod shutdown;
mod watchdog;
mod worker;
mod worker_builder;
mod worker_error;
pub(crate) mod worker_snapshot;

pub use restarts::{OnFailure, Restarts};
pub use shutdown::ShutdownReport;
pub use watchdog::{SlowHandler, Watchdog};
pub use worker::Worker;
pub use worker_builder::WorkerBuilder;
pub use worker_error::WorkerError;
pub use worker_snapshot::{WorkerEnd, WorkerPanic, WorkerSnapshot, WorkerStatus};
