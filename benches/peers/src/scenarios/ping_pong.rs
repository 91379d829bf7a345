//! One event there and back, both ends spinning.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, Entry, Lineup, only, round_trip};
use crate::halves::Load;
use crate::peers::disruptor::{self, ALL};
use crate::peers::{
    bus, control, crossbeam, crossfire, flume, kanal, mpsc, ringbus as ours, rtrb, thingbuf, tokio,
};
use crate::plan::Plan;
use crate::report::{Section, Target};

/// Round trips of one window: no channel holds more than one event, so that the capacity does not
/// bound it.
const TRIPS: u64 = 5_000;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("control", "flag", || round_trip(control::flag(), control::flag())),
        ("control", "stamped ring", || round_trip(control::ring::<true>(), control::ring::<true>())),
        ("ringbus", "publish, poll", || round_trip(only(ours::exclusive::<64>(Spin, 1)), only(ours::exclusive::<64>(Spin, 1)))),
        ("ringbus", "publish, poll(1)", || round_trip(only(ours::exclusive::<1>(Spin, 1)), only(ours::exclusive::<1>(Spin, 1)))),
        ("ringbus", "publish_with, poll", || round_trip(ours::in_place::<64>(Spin), ours::in_place::<64>(Spin))),
        ("ringbus shared", "publish, poll", || round_trip(only(ours::shared::<64>(Spin, 1)), only(ours::shared::<64>(Spin, 1)))),
        ("ringbus Park", "publish, poll", || round_trip(only(ours::exclusive::<64>(Park, 1)), only(ours::exclusive::<64>(Park, 1)))),
        ("rtrb", "push, pop", || round_trip(rtrb::push_pop(), rtrb::push_pop())),
        ("rtrb", "push, read_chunk", || round_trip(rtrb::push_chunks(), rtrb::push_chunks())),
        ("disruptor", "publish, poll", || round_trip(disruptor::single::<ALL, true>(), disruptor::single::<ALL, true>())),
        ("disruptor", "publish, poll, no hint", || round_trip(disruptor::single::<ALL, false>(), disruptor::single::<ALL, false>())),
        ("crossbeam-channel", "try_send, try_recv", || round_trip(crossbeam::trying(), crossbeam::trying())),
        ("crossfire spsc", "try_send, try_recv", || round_trip(crossfire::spsc_trying(), crossfire::spsc_trying())),
        ("std mpsc", "try_send, try_recv", || round_trip(mpsc::trying(), mpsc::trying())),
        ("thingbuf", "try_send_ref, try_recv_ref", || round_trip(thingbuf::by_reference(), thingbuf::by_reference())),
        ("kanal", "try_send, try_recv", || round_trip(kanal::one_by_one(), kanal::one_by_one())),
        ("flume", "try_send, try_recv", || round_trip(flume::one_by_one(), flume::one_by_one())),
        ("bus", "try_broadcast, try_recv", || round_trip(only(bus::fan_out(1)), only(bus::fan_out(1)))),
        ("tokio broadcast", "send, try_recv", || round_trip(tokio::lossless(), tokio::lossless())),
    ];
    let entries = Entry::each(&lineup, Load::Flat);
    let rows = duet::play(&lineup, entries, TRIPS, plan);

    let targets = vec![
        Target::new(&rows, "ringbus", "rtrb", 1.1),
        Target::new(&rows, "ringbus Park", "rtrb", 1.1),
    ];
    Section {
        title: "one event there and back, both ends spinning",
        unit: "ns per round trip; the reader's empty looks are those of the far end",
        rows,
        targets,
        ..Section::default()
    }
}
