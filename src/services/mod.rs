//! What is built on the bus: requests and replies, workers, shutdown.
//!
//! # Requests and replies
//!
//! | file        | what                                                                  |
//! |-------------|-----------------------------------------------------------------------|
//! | `request`   | what can be asked                                                     |
//! | `client`    | who asks; which instance is asked                                     |
//! | `ticket`    | a request that was started, and the wait for its answer               |
//! | `server`, `call` | an instance that is pulled, and what it takes                    |
//! | `serving`   | servers and tickets as sources of a reactor and of `select!`          |
//! | `stream`    | many replies, and what a caller feeds                                 |
//! | `instance`  | one of those that serve                                               |
//! | `balance`, `breaker` | which instance is asked, and which is not                    |
//! | `service`   | all that serve one request                                            |
//! | `permits`   | how many calls may be outstanding                                     |
//! | `limited_client` | who asks only so often                                           |
//! | `news`, `snapshot`, `export` | what is told about them                              |
//! | `directory` | all services of a bus                                                 |
//! | `answer`    | a request on its way, and the promise of one answer                   |
//! | `error`     | what can go wrong                                                     |
//!
//! A request lies in the ring of its instance's mailbox and is moved out of there; beside it is the promise of
//! one answer, whose other side the caller has. However a call ends, its promise is kept or dropped, and one
//! that is dropped answers too; so there is one answer. Waiting and waking are those of the floors below.
//!
//! # Workers
//!
//! [`workers`] know nothing of services; `shutdown` ends both.

mod answer;
pub(crate) mod balance;
mod breaker;
mod call;
mod client;
mod directory;
mod error;
#[cfg(feature = "metrics")]
mod export;
pub(crate) mod instance;
#[cfg(feature = "rate-limit")]
mod limited_client;
mod news;
pub(crate) mod permits;
mod request;
mod server;
pub(crate) mod service;
mod serving;
mod shutdown;
mod snapshot;
mod stream;
pub(crate) mod ticket;
pub(crate) mod workers;

pub use balance::Balance;
pub use call::{Call, Responder};
pub use client::{Client, ClientBuilder};
pub use error::{
    CallError, ReplyError, SendError, SendTimeoutError, ServiceError, StartError, TrySendError,
};
#[cfg(feature = "rate-limit")]
pub use limited_client::LimitedClient;
pub use news::{ServiceChange, ServiceEvent};
pub use request::{Idempotent, Request};
pub use server::{Server, ServerBuilder};
pub use shutdown::ShutdownReport;
pub use snapshot::{InstanceSnapshot, ServiceSnapshot};
pub use stream::{Stream, StreamEnd, StreamSender, stream};
pub use ticket::Ticket;
pub use workers::{
    OnFailure, Pool, Restarts, SlowHandler, Watchdog, Worker, WorkerBuilder, WorkerEnd,
    WorkerError, WorkerPanic, WorkerSnapshot, WorkerStatus,
};
