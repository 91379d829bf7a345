//! Bursts after a pause: from when a burst was due until its last event was handled.

use ringbus::WaitStrategy::{Park, Spin};

use crate::clock::Clock;
use crate::duet::{self, Channel, Entry, Lineup, only, timed};
use crate::halves::{Absent, Due, Load, Schedule};
use crate::peers::disruptor::{self, ALL};
use crate::peers::{
    ONE_TO_ONE, control, crossbeam, crossfire, flume, kanal, mpsc, multiqueue2, ringbus as ours,
    rtrb, thingbuf,
};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::stats::Row;

/// The events of a burst. None fills a channel.
const BURSTS: [u64; 3] = [1, 16, 256];

/// From one burst to the next, in nanoseconds: each channel is empty for most of it.
const PERIOD: f64 = 100_000.0;

/// Bursts of one window.
const COUNT: u64 = 40;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let period = Clock::get().ticks(PERIOD);
    let mut lineup = lineup();
    lineup.push(("no channel", "the publisher's schedule alone", || {
        Channel::new(Due, Absent)
    }));
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for burst in BURSTS {
        let entries = lineup.iter().enumerate();
        let entries = entries.map(|(channel, (peer, mode, _))| Entry {
            row: Row::new(format!("{peer} of {burst}"), *mode),
            channel,
            load: Load::Open(Schedule { period, burst }),
        });
        let more = duet::play(&lineup, entries.collect(), COUNT * burst, plan);
        let theirs = ONE_TO_ONE.map(|peer| format!("{peer} of {burst}"));
        let theirs: Vec<_> = theirs.iter().map(String::as_str).collect();
        targets.push(Target::best(
            &more,
            &format!("ringbus of {burst}"),
            &theirs,
            1.0,
        ));
        rows.extend(more);
    }
    Section {
        title: "bursts of 1, 16, 256 events after a pause, both threads spinning: from when a burst was due until its last event was handled",
        unit: "ns, all windows together; 100 us from one burst to the next",
        rows,
        targets,
        ..Section::default()
    }
}

#[rustfmt::skip]
fn lineup() -> Lineup {
    vec![
        ("control", "stamped ring", || timed(control::ring::<false>())),
        ("ringbus", "publish, poll", || timed(only(ours::exclusive::<64>(Spin, 1)))),
        ("ringbus", "publish, poll(4)", || timed(only(ours::exclusive::<4>(Spin, 1)))),
        ("ringbus Park", "publish, poll", || timed(only(ours::exclusive::<64>(Park, 1)))),
        ("ringbus Park", "publish, poll(4)", || timed(only(ours::exclusive::<4>(Park, 1)))),
        ("ringbus shared", "publish, poll", || timed(only(ours::shared::<64>(Spin, 1)))),
        ("rtrb", "push, pop", || timed(rtrb::push_pop())),
        ("rtrb", "push, read_chunk", || timed(rtrb::push_chunks())),
        ("disruptor", "publish, poll", || timed(disruptor::single::<ALL, true>())),
        ("crossbeam-channel", "try_send, try_recv", || timed(crossbeam::trying())),
        ("crossbeam-channel", "send, recv", || timed(crossbeam::blocking())),
        ("std mpsc", "try_send, try_recv", || timed(mpsc::trying())),
        ("std mpsc", "send, recv", || timed(mpsc::blocking())),
        ("crossfire spsc", "try_send, try_recv", || timed(crossfire::spsc_trying())),
        ("crossfire spsc", "send, recv", || timed(crossfire::spsc_blocking())),
        ("kanal", "try_send, drain_into", || timed(kanal::draining())),
        ("flume", "try_send, try_recv", || timed(flume::one_by_one())),
        ("flume", "try_send, drain", || timed(flume::draining())),
        ("thingbuf", "try_send_ref, try_recv_ref", || timed(thingbuf::by_reference())),
        ("multiqueue2", "try_send, try_recv_view", || timed(only(multiqueue2::fan_out(1)))),
    ]
}
