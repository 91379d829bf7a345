//! The peers, each used as its own documentation recommends for speed.
//!
//! A sender that finds its channel full tries again at once with a spin hint between, as does a
//! receiver that finds nothing; where the blocking calls of a peer may be faster they are a mode of
//! their own.

pub mod asleep;
pub mod bus;
pub mod calls;
pub mod control;
pub mod crossbeam;
pub mod crossfire;
pub mod disruptor;
pub mod flume;
pub mod kanal;
pub mod ringbus;
pub mod rtrb;
pub mod selecting;
pub mod tokio;

/// The crates whose versions the report prints.
pub const CRATES: [&str; 9] = [
    "ringbus",
    "bus",
    "crossbeam-channel",
    "crossfire",
    "disruptor",
    "flume",
    "kanal",
    "rtrb",
    "tokio",
];
