//! One publisher, one reader, sixteen events at a time where the peer has batches.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, EVENTS, Entry, Lineup, one_way, only};
use crate::halves::Load;
use crate::peers::disruptor::{self, ALL};
use crate::peers::{control, crossbeam, multiqueue2, ringbus as ours, rtrb};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("control", "stamped ring, event by event", || one_way(control::ring::<false>())),
        ("control", "stamped ring, run by run", || one_way(control::ring::<true>())),
        ("ringbus exclusive", "publish_batch, poll", || one_way(only(ours::exclusive::<64>(Spin, 1)))),
        ("ringbus exclusive", "publish_batch, poll(16)", || one_way(only(ours::exclusive::<16>(Spin, 1)))),
        ("ringbus exclusive", "publish_batch, poll(1)", || one_way(only(ours::exclusive::<1>(Spin, 1)))),
        ("ringbus exclusive Park", "publish_batch, poll", || one_way(only(ours::exclusive::<64>(Park, 1)))),
        ("ringbus exclusive Park", "publish_batch, poll(16)", || one_way(only(ours::exclusive::<16>(Park, 1)))),
        ("ringbus exclusive Park", "publish_batch, poll(1)", || one_way(only(ours::exclusive::<1>(Park, 1)))),
        ("ringbus shared", "publish_batch, poll", || one_way(only(ours::shared::<64>(Spin, 1)))),
        ("ringbus shared", "publish_batch, poll(16)", || one_way(only(ours::shared::<16>(Spin, 1)))),
        ("ringbus shared", "publish_batch, poll(1)", || one_way(only(ours::shared::<1>(Spin, 1)))),
        ("ringbus shared Park", "publish_batch, poll", || one_way(only(ours::shared::<64>(Park, 1)))),
        ("ringbus shared Park", "publish_batch, poll(16)", || one_way(only(ours::shared::<16>(Park, 1)))),
        ("ringbus shared Park", "publish_batch, poll(1)", || one_way(only(ours::shared::<1>(Park, 1)))),
        ("rtrb", "write_chunk, pop", || one_way(rtrb::push_pop())),
        ("rtrb", "write_chunk, read_chunk", || one_way(rtrb::push_chunks())),
        ("rtrb", "push_entire_slice, read_chunk", || one_way(rtrb::slices_chunks())),
        ("disruptor single", "batch_publish, poll", || one_way(disruptor::single::<ALL, true>())),
        ("disruptor single", "batch_publish, take(64)", || one_way(disruptor::single::<64, true>())),
        ("disruptor single", "batch_publish, take(16)", || one_way(disruptor::single::<16, true>())),
        ("disruptor single", "batch_publish, poll, no hint", || one_way(disruptor::single::<ALL, false>())),
        ("disruptor multi", "batch_publish, poll", || one_way(disruptor::multi::<ALL, true>())),
        ("disruptor multi", "batch_publish, take(64)", || one_way(disruptor::multi::<64, true>())),
        ("disruptor multi", "batch_publish, take(16)", || one_way(disruptor::multi::<16, true>())),
        ("disruptor multi", "batch_publish, poll, no hint", || one_way(disruptor::multi::<ALL, false>())),
        ("crossbeam-channel", "try_send one by one, try_recv", || one_way(crossbeam::trying())),
        ("multiqueue2", "try_send one by one, try_recv_view", || one_way(only(multiqueue2::fan_out(1)))),
        ("crossbeam-channel", "send one by one, recv", || one_way(crossbeam::blocking())),
    ];
    let entries = Entry::each(&lineup, Load::Batched);
    let rows = duet::play(&lineup, entries, EVENTS, plan);

    let mut targets = Vec::new();
    for us in ["ringbus shared", "ringbus shared Park"] {
        targets.push(Target::new(&rows, us, "crossbeam-channel", 1.0 / 5.0));
        targets.push(Target::new(&rows, us, "disruptor multi", 1.0));
    }
    for us in ["ringbus exclusive", "ringbus exclusive Park"] {
        targets.push(Target::new(&rows, us, "rtrb", 0.7));
        targets.push(Target::new(&rows, us, "disruptor single", 0.7));
    }
    Section {
        title: "one publisher to one reader, batches of 16",
        unit: "ns per event",
        rows,
        targets,
        ..Section::default()
    }
}
