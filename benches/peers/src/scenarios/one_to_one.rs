//! One exclusive publisher, one reader, one event at a time.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, Channel, EVENTS, Entry, Lineup, one_way, only};
use crate::halves::{Absent, Load, Sending};
use crate::peers::disruptor::{self, ALL};
use crate::peers::{
    async_broadcast, bus, control, crossbeam, crossfire, flume, kanal, mpsc, multiqueue2,
    ringbus as ours, rtrb, thingbuf, tokio,
};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::stats::Row;
use crate::work::turns_for;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let pace = Load::Paced(turns_for(plan.pace));
    let mut lineup = lineup();
    let peers = lineup.iter().enumerate();
    let mut entries: Vec<_> = peers
        .flat_map(|(channel, (peer, mode, _))| {
            [(Load::Flat, ""), (pace, " caught up")].map(|(load, suffix)| Entry {
                row: Row::new(format!("{peer}{suffix}"), *mode),
                channel,
                load,
            })
        })
        .collect();
    let row = Row::new("work alone", "no channel");
    entries.push(Entry {
        row,
        channel: lineup.len(),
        load: pace,
    });
    let row = Row::new("empty loop", "events made, no channel");
    entries.push(Entry {
        row,
        channel: lineup.len(),
        load: Load::Flat,
    });
    lineup.push(("", "", || {
        Channel::new(Sending::<_, 8>(control::Nowhere), Absent)
    }));

    let rows = duet::play(&lineup, entries, EVENTS, plan);
    let (mut flat, caught_up): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| !row.peer.ends_with(" caught up"));
    let empty = flat.pop().expect("the empty loop is the last row");
    let work = flat.pop().expect("the work comes before it");
    let pace = work.percentile(50);
    let mut rows = flat;
    rows.extend(caught_up.iter().map(|row| row.less(pace)));

    let mut targets = Vec::new();
    for us in ["ringbus", "ringbus Park"] {
        targets.push(Target::new(&rows, us, "control", 1.3));
        targets.push(Target::new(&rows, us, "rtrb", 1.0));
        targets.push(Target::new(&rows, us, "disruptor", 1.0));
        targets.push(Target::new(&rows, us, "crossbeam-channel", 1.0 / 3.0));
        targets.push(Target::new(&rows, &format!("{us} caught up"), us, 2.0));
    }
    rows.extend([work, empty]);
    Section {
        title: "one exclusive publisher to one reader, one event at a time",
        unit: "ns per event; a caught-up row is less the work that paces it, which overlaps with it",
        rows,
        targets,
        ..Section::default()
    }
}

#[rustfmt::skip]
fn lineup() -> Lineup {
    vec![
        ("control", "stamped ring, event by event", || one_way(control::ring::<false>())),
        ("control", "stamped ring, run by run", || one_way(control::ring::<true>())),
        ("ringbus", "publish, poll", || one_way(only(ours::exclusive::<64>(Spin, 1)))),
        ("ringbus", "publish, poll(8)", || one_way(only(ours::exclusive::<8>(Spin, 1)))),
        ("ringbus", "publish, poll(1)", || one_way(only(ours::exclusive::<1>(Spin, 1)))),
        ("ringbus", "publish_with, poll", || one_way(ours::in_place::<64>(Spin))),
        ("ringbus Park", "publish, poll", || one_way(only(ours::exclusive::<64>(Park, 1)))),
        ("ringbus Park", "publish, poll(8)", || one_way(only(ours::exclusive::<8>(Park, 1)))),
        ("ringbus Park", "publish, poll(1)", || one_way(only(ours::exclusive::<1>(Park, 1)))),
        ("ringbus Park", "publish_with, poll", || one_way(ours::in_place::<64>(Park))),
        ("rtrb", "push, pop", || one_way(rtrb::push_pop())),
        ("rtrb", "push, read_chunk", || one_way(rtrb::push_chunks())),
        ("disruptor", "publish, poll", || one_way(disruptor::single::<ALL, true>())),
        ("disruptor", "publish, take(64)", || one_way(disruptor::single::<64, true>())),
        ("disruptor", "publish, take(8)", || one_way(disruptor::single::<8, true>())),
        ("disruptor", "publish, take(1)", || one_way(disruptor::single::<1, true>())),
        ("disruptor", "publish, poll, no hint", || one_way(disruptor::single::<ALL, false>())),
        ("crossbeam-channel", "try_send, try_recv", || one_way(crossbeam::trying())),
        ("crossbeam-channel", "send, recv", || one_way(crossbeam::blocking())),
        ("crossfire spsc", "try_send, try_recv", || one_way(crossfire::spsc_trying())),
        ("crossfire spsc", "send, recv", || one_way(crossfire::spsc_blocking())),
        ("std mpsc", "try_send, try_recv", || one_way(mpsc::trying())),
        ("std mpsc", "send, recv", || one_way(mpsc::blocking())),
        ("thingbuf", "try_send_ref, try_recv_ref", || one_way(thingbuf::by_reference())),
        ("thingbuf", "try_send, try_recv", || one_way(thingbuf::by_value())),
        ("kanal", "try_send, try_recv", || one_way(kanal::one_by_one())),
        ("kanal", "try_send, drain_into", || one_way(kanal::draining())),
        ("flume", "try_send, try_recv", || one_way(flume::one_by_one())),
        ("flume", "try_send, drain", || one_way(flume::draining())),
        ("bus", "try_broadcast, try_recv", || one_way(only(bus::fan_out(1)))),
        ("bus", "broadcast, try_recv", || one_way(bus::blocking())),
        ("multiqueue2", "try_send, try_recv_view", || one_way(only(multiqueue2::fan_out(1)))),
        ("async-broadcast", "try_broadcast, try_recv", || one_way(only(async_broadcast::fan_out(1)))),
        ("tokio broadcast", "send, try_recv", || one_way(tokio::lossless())),
    ]
}
