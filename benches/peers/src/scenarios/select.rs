//! Many channels, one of them with traffic, on one thread.

use std::cell::Cell;

use crate::peers::selecting::{self, Ask};
use crate::plan::{COPIES, Plan};
use crate::plot::{Across, Curve, Plot};
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

/// How many channels there are.
const CHANNELS: [usize; 6] = [1, 2, 16, 64, 256, 1024];

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    for channels in CHANNELS {
        let mut entry = |peer: &str, mode, window: &dyn Fn(usize) -> Window| {
            // The active channel is another one in each copy, spread evenly: its place matters to those who
            // go through all of them.
            let copy = Cell::new(0);
            let window =
                || window((2 * copy.replace(copy.get() + 1) + 1) * channels / (2 * COPIES));
            entries.push(Entry::new(format!("{peer} of {channels}"), mode, window));
        };
        #[rustfmt::skip]
        let () = {
            entry("ringbus turn", "publish, turn", &|at| selecting::reactor::<false>(channels, at..at + 1));
            entry("ringbus poll_one", "publish, poll_one", &|at| selecting::reactor::<true>(channels, at..at + 1));
            if channels <= 256 {
                entry("crossbeam", "Select, try_select", &|at| selecting::crossbeam(Ask::TrySelect, false, channels, at..at + 1));
                entry("crossbeam", "Select, select", &|at| selecting::crossbeam(Ask::Select, false, channels, at..at + 1));
                entry("crossbeam", "Select, try_ready", &|at| selecting::crossbeam(Ask::TryReady, false, channels, at..at + 1));
                entry("crossbeam biased", "Select, try_select", &|at| selecting::crossbeam(Ask::TrySelect, true, channels, at..at + 1));
                entry("crossbeam biased", "Select, select", &|at| selecting::crossbeam(Ask::Select, true, channels, at..at + 1));
                entry("crossbeam biased", "Select, try_ready", &|at| selecting::crossbeam(Ask::TryReady, true, channels, at..at + 1));
            }
        };
    }
    entries.push(Entry::new(
        "ringbus alone",
        "publish, poll(1)",
        selecting::poll,
    ));
    let rows = solo::play(entries, plan);

    let mut targets = Vec::new();
    for us in ["ringbus turn", "ringbus poll_one"] {
        let mut target = |channels: usize, theirs: &str, at_most| {
            let ours = format!("{us} of {channels}");
            targets.push(Target::new(&rows, &ours, theirs, at_most));
        };
        target(1024, &format!("{us} of 1"), 1.5);
        for theirs in ["crossbeam", "crossbeam biased"] {
            target(256, &format!("{theirs} of 256"), 1.0 / 20.0);
            target(16, &format!("{theirs} of 16"), 1.0 / 3.0);
            target(2, &format!("{theirs} of 2"), 1.0);
        }
    }
    Section {
        title: "many channels, one of them active, all on one thread: one event published, then handled",
        unit: "ns per event, published and handled; a biased Select starves later channels",
        plots: vec![Plot {
            file: "select-by-sources",
            title: "One thread with many sources, one of them active: an event published, then handled",
            across: Across::Doubling,
            x: "sources",
            y: "ns per event, median of windows",
            curves: ["ringbus turn", "crossbeam", "crossbeam biased"]
                .map(|peer| Curve::of(&rows, peer, CHANNELS.map(|n| (n, format!("{peer} of {n}")))))
                .into(),
        }],
        rows,
        targets,
        ..Section::default()
    }
}
