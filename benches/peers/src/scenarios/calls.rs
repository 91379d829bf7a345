//! Requests and replies: one at a time, and a thousand at once.

use ringbus::WaitStrategy::Spin;

use crate::duet::{self, Entry, Lineup, only, round_trip};
use crate::halves::Load;
use crate::peers::calls::{self, OUTSTANDING};
use crate::peers::{control, ringbus as ours};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Calls of one window.
const CALLS: u64 = 5_000;

/// Measures calls between two threads that spin.
pub fn spinning(plan: &mut Plan) -> Section {
    let lineup: Lineup = vec![
        ("control", "two stamped rings", || {
            round_trip(control::ring::<true>(), control::ring::<true>())
        }),
        ("two rings", "publish, poll(1)", || {
            let there = only(ours::exclusive::<1>(Spin, 1));
            round_trip(there, only(ours::exclusive::<1>(Spin, 1)))
        }),
        ("two shared rings", "publish, poll(1)", || {
            let there = only(ours::shared::<1>(Spin, 1));
            round_trip(there, only(ours::shared::<1>(Spin, 1)))
        }),
        ("ringbus", "call, try_recv", calls::spinning),
    ];
    let rows = duet::play(&lineup, Entry::each(&lineup, Load::Flat), CALLS, plan);
    let targets = vec![Target::new(&rows, "ringbus", "two rings", 1.3)];
    Section {
        title: "one request and its reply, both ends spinning",
        unit: "ns per call",
        rows,
        targets,
        ..Section::default()
    }
}

/// Measures calls between two threads that sleep when they wait for long.
pub fn waiting(plan: &mut Plan) -> Section {
    let lineup: Lineup = vec![
        ("ringbus", "call, recv", calls::waiting),
        ("crossbeam", "send, recv, one-shot", calls::one_shots),
    ];
    // Fewer, as one that sleeps takes many times as long.
    let rows = duet::play(&lineup, Entry::each(&lineup, Load::Flat), CALLS / 5, plan);
    let targets = vec![Target::new(&rows, "ringbus", "crossbeam", 1.0)];
    Section {
        title: "one request and its reply, both ends waiting as they do by default",
        unit: "ns per call",
        rows,
        targets,
        ..Section::default()
    }
}

/// Measures one thread that serves many requests on their way.
pub fn outstanding(plan: &mut Plan) -> Section {
    let lineup: Lineup = vec![
        ("ringbus", "start, wait", calls::outstanding),
        ("crossbeam", "send, recv, one-shot", calls::many_one_shots),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, 10 * OUTSTANDING, plan);
    let targets = vec![Target::new(&rows, "ringbus", "crossbeam", 0.5)];
    Section {
        title: "a thousand requests on their way to one thread",
        unit: "ns per request",
        rows,
        targets,
        ..Section::default()
    }
}
