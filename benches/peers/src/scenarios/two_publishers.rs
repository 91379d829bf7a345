//! Two publishers on two threads, each of which also reads everything that both publish: on one shared ring,
//! and on a lane each.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, Channel, EVENTS, Entry, Lineup};
use crate::halves::{Duplex, Exchanging, Load};
use crate::peers::ringbus as ours;
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Puts the two ends of an exchange on the two threads.
fn both<D: Duplex + 'static>([near, far]: [D; 2]) -> Channel {
    Channel::new(Exchanging::new(near, 0), Exchanging::new(far, 1))
}

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let lineup: Lineup = vec![
        ("ringbus", "lanes, poll(256)", || both(ours::lanes(Spin))),
        ("ringbus shared", "one ring, poll(256)", || {
            both(ours::one_ring(Spin))
        }),
        ("ringbus Park", "lanes, poll(256)", || {
            both(ours::lanes(Park))
        }),
        ("ringbus shared Park", "one ring, poll(256)", || {
            both(ours::one_ring(Park))
        }),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, EVENTS, plan);
    let targets = vec![
        Target::new(&rows, "ringbus", "ringbus shared", 0.5),
        Target::new(&rows, "ringbus Park", "ringbus shared Park", 0.5),
    ];
    Section {
        title: "two publishers, one event at a time, each thread reading all events of both",
        unit: "ns per event of each publisher",
        rows,
        targets,
        ..Section::default()
    }
}
