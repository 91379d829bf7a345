//! One of several possible publishers, one reader, one event at a time.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, EVENTS, Entry, Lineup, one_way, only};
use crate::halves::Load;
use crate::peers::disruptor::{self, ALL};
use crate::peers::{
    MANY_TO_ONE, control, crossbeam, crossfire, flume, kanal, mpsc, ringbus as ours, thingbuf,
    tokio,
};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("control", "stamped ring, event by event", || one_way(control::ring::<false>())),
        ("control", "stamped ring, run by run", || one_way(control::ring::<true>())),
        ("ringbus", "publish, poll", || one_way(only(ours::shared::<64>(Spin, 1)))),
        ("ringbus Park", "publish, poll", || one_way(only(ours::shared::<64>(Park, 1)))),
        ("disruptor multi", "publish, poll", || one_way(disruptor::multi::<ALL, true>())),
        ("disruptor multi", "publish, take(64)", || one_way(disruptor::multi::<64, true>())),
        ("disruptor multi", "publish, poll, no hint", || one_way(disruptor::multi::<ALL, false>())),
        ("crossbeam-channel", "try_send, try_recv", || one_way(crossbeam::trying())),
        ("crossbeam-channel", "send, recv", || one_way(crossbeam::blocking())),
        ("crossfire mpsc", "try_send, try_recv", || one_way(crossfire::mpsc_trying())),
        ("crossfire mpsc", "send, recv", || one_way(crossfire::mpsc_blocking())),
        ("std mpsc", "try_send, try_recv", || one_way(mpsc::trying())),
        ("std mpsc", "send, recv", || one_way(mpsc::blocking())),
        ("thingbuf", "try_send_ref, try_recv_ref", || one_way(thingbuf::by_reference())),
        ("kanal", "try_send, try_recv", || one_way(kanal::one_by_one())),
        ("kanal", "try_send, drain_into", || one_way(kanal::draining())),
        ("flume", "try_send, try_recv", || one_way(flume::one_by_one())),
        ("flume", "try_send, drain", || one_way(flume::draining())),
        ("tokio broadcast", "send, try_recv", || one_way(tokio::lossless())),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, EVENTS, plan);

    let mut targets = Vec::new();
    for us in ["ringbus", "ringbus Park"] {
        targets.push(Target::best(&rows, us, &MANY_TO_ONE, 1.0));
    }
    Section {
        title: "one shared publisher to one reader, one event at a time",
        unit: "ns per event",
        rows,
        targets,
        ..Section::default()
    }
}
