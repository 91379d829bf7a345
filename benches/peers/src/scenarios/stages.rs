//! Readers after readers: the publisher on one thread, three stages that take turns on another.

use std::hint::black_box;

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, EVENTS, Entry, Lineup, one_way};
use crate::event::Event;
use crate::halves::{Load, Receiver};
use crate::peers::{disruptor, ringbus as ours};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("ringbus pipeline", "publish, poll", || one_way(in_turn(ours::pipeline(Spin)))),
        ("ringbus Park pipeline", "publish, poll", || one_way(in_turn(ours::pipeline(Park)))),
        ("disruptor pipeline", "publish, poll", || one_way(in_turn(disruptor::pipeline()))),
        ("ringbus diamond", "publish, poll", || one_way(in_turn(ours::diamond(Spin)))),
        ("ringbus Park diamond", "publish, poll", || one_way(in_turn(ours::diamond(Park)))),
        ("disruptor diamond", "publish, poll", || one_way(in_turn(disruptor::diamond()))),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, EVENTS, plan);

    let mut targets = Vec::new();
    for shape in ["pipeline", "diamond"] {
        for us in ["ringbus", "ringbus Park"] {
            let (ours, theirs) = (format!("{us} {shape}"), format!("disruptor {shape}"));
            targets.push(Target::new(&rows, &ours, &theirs, 1.0));
        }
    }
    Section {
        title: "one exclusive publisher to three stages, which take turns on a thread of their own",
        unit: "ns per event, published and read three times",
        rows,
        targets,
        ..Section::default()
    }
}

/// Three stages of which the last one hands out the events.
struct InTurn<A, B, C>(A, B, C);

fn in_turn<S, A, B, C>((sender, stages): (S, (A, B, C))) -> (S, InTurn<A, B, C>) {
    (sender, InTurn(stages.0, stages.1, stages.2))
}

impl<A: Receiver, B: Receiver, C: Receiver> Receiver for InTurn<A, B, C> {
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event)) -> usize {
        self.0.receive(look);
        self.1.receive(look);
        self.2.receive(each)
    }
}

/// What a stage does: reads the event, whole.
#[inline(always)]
fn look(event: &Event) {
    black_box(*event);
}
