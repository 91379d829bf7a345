//! Sixteen channels, all with traffic, on one thread.

use crate::peers::selecting::{self, Ask};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

const CHANNELS: usize = 16;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    let mut entry = |peer, mode, window: &dyn Fn() -> Window| {
        entries.push(Entry::new(peer, mode, window));
    };
    #[rustfmt::skip]
    let () = {
        entry("ringbus turn", "publish, turn", &|| selecting::reactor::<false>(CHANNELS, 0..CHANNELS));
        entry("ringbus poll_one", "publish, poll_one", &|| selecting::reactor::<true>(CHANNELS, 0..CHANNELS));
        entry("crossbeam", "Select, try_select", &|| selecting::crossbeam(Ask::TrySelect, false, CHANNELS, 0..CHANNELS));
        entry("crossbeam", "Select, select", &|| selecting::crossbeam(Ask::Select, false, CHANNELS, 0..CHANNELS));
        entry("crossbeam", "Select, try_ready", &|| selecting::crossbeam(Ask::TryReady, false, CHANNELS, 0..CHANNELS));
        entry("crossbeam biased", "Select, try_select", &|| selecting::crossbeam(Ask::TrySelect, true, CHANNELS, 0..CHANNELS));
        entry("crossbeam biased", "Select, select", &|| selecting::crossbeam(Ask::Select, true, CHANNELS, 0..CHANNELS));
        entry("crossbeam biased", "Select, try_ready", &|| selecting::crossbeam(Ask::TryReady, true, CHANNELS, 0..CHANNELS));
    };
    let rows = solo::play(entries, plan);

    let mut targets = Vec::new();
    for theirs in ["crossbeam", "crossbeam biased"] {
        for ours in ["ringbus turn", "ringbus poll_one"] {
            targets.push(Target::new(&rows, ours, theirs, 0.2));
        }
    }
    Section {
        title: "sixteen channels on one thread: an event published to each, then all handled",
        unit: "ns per event, published and handled; a biased Select starves later channels",
        rows,
        targets,
        ..Section::default()
    }
}
