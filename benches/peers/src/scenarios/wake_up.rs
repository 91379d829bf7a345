//! One event to a thread that sleeps.

use crate::duet::{self, Entry, Lineup};
use crate::halves::Load;
use crate::peers::{asleep, crossbeam};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Events of one window. Each is sent 200 us after the one before was handled.
const WAKES: u64 = 40;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let lineup: Lineup = vec![
        ("control", "raw ring, unpark", || {
            asleep::receiving(asleep::parking())
        }),
        ("event-listener", "raw ring, notify", || {
            asleep::receiving(asleep::listening())
        }),
        ("ringbus reactor", "publish, run", || asleep::reactor(1)),
        ("ringbus reactor of 256", "publish, run", || {
            asleep::reactor(256)
        }),
        ("ringbus", "publish, poll_wait", || {
            asleep::receiving(asleep::poll_wait())
        }),
        ("crossbeam", "send, recv", || {
            asleep::receiving(crossbeam::blocking())
        }),
        ("crossbeam of 256", "send, Select", || {
            asleep::receiving(asleep::select(256))
        }),
    ];
    let rows = duet::play(&lineup, Entry::each(&lineup, Load::Flat), WAKES, plan);
    for row in &rows {
        // Less than half the time asleep is no measurement of sleepers.
        assert!(row.empty() > 0.5, "{} did not sleep", row.peer);
    }

    let targets = vec![
        Target::new(&rows, "ringbus reactor", "crossbeam", 1.0),
        Target::new(&rows, "ringbus reactor of 256", "crossbeam", 1.0),
        Target::new(&rows, "ringbus", "crossbeam", 1.0),
    ];
    Section {
        title: "one event to a thread that sleeps, from before the sending until the handler has it",
        unit: "ns, the median of 40 wake-ups in each window; the last column is sleeps per event",
        rows,
        targets,
        ..Section::default()
    }
}
