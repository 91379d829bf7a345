//! The scenarios: which peers, under which load, held to which target.

mod batches;
mod burst;
mod calls;
mod capacities;
mod dispatch;
mod fan_out;
mod four_readers;
mod latency;
mod memory;
mod one_to_one;
mod overrun;
mod ping_pong;
mod publishers;
mod select;
mod select_all;
mod shared;
mod sharing;
mod sizes;
mod slow_subscriber;
mod stages;
mod stages_alone;
mod three_readers;
mod topics;
mod two_publishers;
mod two_to_one;
mod wake_up;

use crate::plan::Plan;
use crate::report::Section;

/// A scenario's name and its measurement.
pub type Scenario = (&'static str, fn(&mut Plan) -> Section);

/// All scenarios, in the order of the report.
pub const ALL: [Scenario; 29] = [
    ("one-to-one", one_to_one::run),
    ("sizes", sizes::run),
    ("latency", latency::run),
    ("burst", burst::run),
    ("shared", shared::run),
    ("two-to-one", two_to_one::run),
    ("two-publishers", two_publishers::run),
    ("batches", batches::run),
    ("fan-out", fan_out::run),
    ("three-readers", three_readers::apart),
    ("three-readers-alone", three_readers::alone),
    ("four-readers", four_readers::run),
    ("overrun", overrun::run),
    ("slow-subscriber", slow_subscriber::run),
    ("stages", stages::run),
    ("stages-alone", stages_alone::run),
    ("ping-pong", ping_pong::run),
    ("select", select::run),
    ("select-all", select_all::run),
    ("dispatch", dispatch::run),
    ("sharing", sharing::run),
    ("wake-up", wake_up::run),
    ("calls", calls::spinning),
    ("calls-waiting", calls::waiting),
    ("calls-outstanding", calls::outstanding),
    ("capacities", capacities::run),
    ("publishers", publishers::run),
    ("topics", topics::run),
    ("memory", memory::run),
];
