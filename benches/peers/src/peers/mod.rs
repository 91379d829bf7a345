//! The peers, each used as its own documentation recommends for speed.
//!
//! A sender that finds its channel full tries again at once with a spin hint between, as does a
//! receiver that finds nothing; where the blocking calls of a peer may be faster they are a mode of
//! their own.

pub mod asleep;
pub mod async_broadcast;
pub mod bus;
pub mod calls;
pub mod control;
pub mod crossbeam;
pub mod crossfire;
pub mod disruptor;
pub mod ends;
pub mod flume;
pub mod frames;
pub mod kanal;
pub mod lossy;
pub mod mpsc;
pub mod multiqueue2;
pub mod ringbus;
pub mod rtrb;
pub mod selecting;
pub mod thingbuf;
pub mod tokio;

/// The peers of one publisher and one reader, by the names of their rows.
pub const ONE_TO_ONE: [&str; 9] = [
    "rtrb",
    "disruptor",
    "crossbeam-channel",
    "std mpsc",
    "crossfire spsc",
    "kanal",
    "flume",
    "thingbuf",
    "multiqueue2",
];

/// The peers of several publishers and one reader, by the names of their rows.
pub const MANY_TO_ONE: [&str; 7] = [
    "disruptor multi",
    "crossbeam-channel",
    "std mpsc",
    "crossfire mpsc",
    "kanal",
    "flume",
    "thingbuf",
];

/// The crates whose versions the report prints.
pub const CRATES: [&str; 16] = [
    "ringbus",
    "async-broadcast",
    "bevy_ecs",
    "bus",
    "crossbeam-channel",
    "crossfire",
    "disruptor",
    "event-listener",
    "flume",
    "kanal",
    "multiqueue2",
    "rtrb",
    "shrev",
    "thingbuf",
    "tokio",
    "hdrhistogram",
];
