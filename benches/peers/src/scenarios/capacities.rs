//! One exclusive publisher to one reader, with rings from a page to more than the caches hold.

use ringbus::WaitStrategy::Spin;

use crate::duet::{self, Channel, Entry, Lineup, one_way, only};
use crate::halves::Load;
use crate::peers::disruptor::{self, ALL};
use crate::peers::{control, crossbeam, ringbus as ours, rtrb};
use crate::plan::{COPIES, Plan};
use crate::plot::{Across, Curve, Plot};
use crate::report::Section;
use crate::stats::Row;

const CAPACITIES: [usize; 8] = [
    64,
    256,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
];

const PEERS: [&str; 5] = [
    "control",
    "ringbus",
    "rtrb",
    "disruptor",
    "crossbeam-channel",
];

/// Events of one window, at least. A window is never shorter than the capacity, so that the first one, which
/// does not count, touches all of the memory.
const EVENTS: usize = 40_000;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut rows = Vec::new();
    for capacity in CAPACITIES {
        let lineup = lineup(capacity);
        let entries = lineup.iter().enumerate();
        let entries = entries.map(|(channel, (peer, mode, _))| Entry {
            row: Row::new(format!("{peer}, {capacity} slots"), *mode),
            channel,
            load: Load::Flat,
        });
        let entries = entries.collect();
        let events = EVENTS.max(capacity) as u64;
        let plan = &mut plan.at_most(3 * COPIES);
        rows.extend(duet::play(&lineup, entries, events, plan));
    }
    let curves = PEERS.map(|peer| {
        let places = CAPACITIES.map(|capacity| (capacity, format!("{peer}, {capacity} slots")));
        Curve::of(&rows, peer, places)
    });
    Section {
        title: "one exclusive publisher to one reader, capacities of 64 to 2^20 events of 16 bytes",
        unit: "ns per event",
        plots: vec![Plot {
            file: "capacity",
            title: "One publisher to one reader, saturated: cost by the capacity",
            across: Across::Doubling,
            x: "events of 16 bytes that the channel holds",
            y: "ns per event, median of windows",
            curves: curves.into(),
        }],
        rows,
        ..Section::default()
    }
}

/// Events are of two words here, so that the copies of the largest rings fit in memory.
const WORDS: usize = 2;

fn lineup(capacity: usize) -> Lineup<Box<dyn Fn() -> Channel>> {
    #[rustfmt::skip]
    let lineup: Lineup<Box<dyn Fn() -> Channel>> = vec![
        ("control", "stamped ring, event by event", Box::new(move || one_way(control::ring_of::<false, WORDS>(capacity)))),
        ("ringbus", "publish, poll", Box::new(move || one_way(only(ours::exclusive_of::<64, WORDS>(Spin, capacity, 1))))),
        ("rtrb", "push, pop", Box::new(move || one_way(rtrb::push_pop_of::<WORDS>(capacity)))),
        ("rtrb", "push, read_chunk", Box::new(move || one_way(rtrb::push_chunks_of::<WORDS>(capacity)))),
        ("disruptor", "publish, poll", Box::new(move || one_way(disruptor::single_of::<ALL, true, WORDS>(capacity)))),
        ("crossbeam-channel", "try_send, try_recv", Box::new(move || one_way(crossbeam::trying_of::<WORDS>(capacity)))),
    ];
    lineup
}
