//! One publisher on a schedule to one reader: from when an event was due until it was handled.

use ringbus::WaitStrategy::{Park, Spin};

use crate::clock::Clock;
use crate::duet::{self, Channel, Entry, Lineup, only, timed};
use crate::halves::{Absent, Due, Load, Schedule};
use crate::peers::disruptor::{self, ALL};
use crate::peers::{
    ONE_TO_ONE, control, crossbeam, crossfire, flume, kanal, mpsc, multiqueue2, ringbus as ours,
    rtrb, thingbuf,
};
use crate::plan::{COPIES, Plan};
use crate::plot::{Across, Curve, Plot};
use crate::report::{Section, Target};
use crate::stats::Row;

/// Events of one window.
const EVENTS: u64 = 10_000;

/// Shares of the rate that a peer reaches when its publisher never waits for the clock.
const SHARES: [(f64, &str); 3] = [(0.1, "10 %"), (0.5, "50 %"), (0.8, "80 %")];

/// The share of the high rate's time that a peer may need for an event, to be measured at it.
const CARRIED: f64 = 0.9;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let clock = Clock::get();
    let mut lineup = lineup();
    let saturated = saturated(&lineup, plan);
    let slowest = saturated.iter().copied().fold(0.0, f64::max);
    let peers = lineup.iter().zip(&saturated);
    let peers = peers.filter(|((peer, ..), _)| ONE_TO_ONE.contains(peer));
    let fastest = peers.map(|(_, &time)| time).fold(f64::MAX, f64::min);
    let (low, high) = (2.0 * slowest, 2.0 * fastest);

    let mut entries = Vec::new();
    for (channel, (peer, mode, _)) in lineup.iter().enumerate() {
        let mut entry = |load: &str, nanoseconds: f64| {
            let rate = 1e3 / nanoseconds;
            entries.push(Entry {
                row: Row::new(
                    format!("{peer} at {load}"),
                    format!("{mode}, {rate:.2} M/s"),
                ),
                channel,
                load: Load::Open(Schedule {
                    period: clock.ticks(nanoseconds),
                    burst: 1,
                }),
            });
        };
        for (share, name) in SHARES {
            entry(name, saturated[channel] / share);
        }
        entry("low rate", low);
        // Who cannot carry it would only show how long its queue is.
        if saturated[channel] <= CARRIED * high {
            entry("high rate", high);
        }
    }
    let channel = lineup.len();
    lineup.push(("", "", || Channel::new(Due, Absent)));
    for (load, nanoseconds) in [("low rate", low), ("high rate", high)] {
        entries.push(Entry {
            row: Row::new(
                format!("no channel at {load}"),
                format!("the schedule alone, {:.2} M/s", 1e3 / nanoseconds),
            ),
            channel,
            load: Load::Open(Schedule {
                period: clock.ticks(nanoseconds),
                burst: 1,
            }),
        });
    }
    let rows = duet::play(&lineup, entries, EVENTS, plan);

    let tails: Vec<_> = rows.iter().map(Row::tail).collect();
    let mut targets = Vec::new();
    for load in ["50 %", "low rate", "high rate"] {
        let theirs = ONE_TO_ONE.map(|peer| format!("{peer} at {load}"));
        let theirs: Vec<_> = theirs.iter().map(String::as_str).collect();
        for us in ["ringbus", "ringbus Park"] {
            targets.push(Target::best(
                &tails,
                &format!("{us} at {load}"),
                &theirs,
                1.0,
            ));
        }
    }
    let plots = vec![
        curves(
            &rows,
            "50 %",
            "latency-half-load",
            "Latency at half of what each peer itself can carry",
        ),
        curves(
            &rows,
            "low rate",
            "latency-low-rate",
            "Latency at one rate for all: half of what the slowest can carry",
        ),
        curves(
            &rows,
            "high rate",
            "latency-high-rate",
            "Latency at one rate: half of what the fastest peer can carry, for those who carry it",
        ),
    ];
    Section {
        title: "one publisher on a schedule to one reader that spins: from when an event was due until it was handled",
        unit: "ns, all windows together; a share is of the peer's own saturated rate with the clock read at both ends, the low rate is half of the slowest channel's, the high rate half of the fastest peer's other than ringbus",
        rows,
        targets,
        plots,
        ..Section::default()
    }
}

/// Returns the nanoseconds per event of each channel when every event is due at once: the clock is read at
/// both ends as ever.
fn saturated(lineup: &Lineup, plan: &mut Plan) -> Vec<f64> {
    let load = Load::Open(Schedule {
        period: 0.0,
        burst: 1,
    });
    let few = &mut plan.at_most(2 * COPIES);
    let rows = duet::play(lineup, Entry::each(lineup, load), EVENTS, few);
    // An interruption only ever makes a window longer.
    rows.iter().map(|row| row.span(25)).collect()
}

fn curves(rows: &[Row], load: &str, file: &'static str, title: &'static str) -> Plot {
    let suffix = format!(" at {load}");
    // Of a peer with several modes the one that is the fastest in the median.
    let mut curves: Vec<(Curve, f64)> = Vec::new();
    for row in rows {
        let (Some(name), Some(latencies)) = (row.peer.strip_suffix(&suffix), row.latencies())
        else {
            continue;
        };
        let median = row.percentile(50);
        // The mode ends with the rate.
        let rate = row.mode.rsplit(", ").next().unwrap_or_default();
        let curve = Curve {
            name: format!("{name}, {rate}"),
            points: latencies.curve(),
        };
        match curves
            .iter_mut()
            .find(|(known, _)| known.name.starts_with(&format!("{name}, ")))
        {
            Some(known) if known.1 <= median => {}
            Some(known) => *known = (curve, median),
            None => curves.push((curve, median)),
        }
    }
    Plot {
        file,
        title,
        across: Across::Nines,
        x: "quantile of the latencies",
        y: "ns from when an event was due until it was handled",
        curves: curves.into_iter().map(|(curve, _)| curve).collect(),
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
        ("disruptor", "publish, poll, no hint", || timed(disruptor::single::<ALL, false>())),
        ("crossbeam-channel", "try_send, try_recv", || timed(crossbeam::trying())),
        ("crossbeam-channel", "send, recv", || timed(crossbeam::blocking())),
        ("std mpsc", "try_send, try_recv", || timed(mpsc::trying())),
        ("std mpsc", "send, recv", || timed(mpsc::blocking())),
        ("crossfire spsc", "try_send, try_recv", || timed(crossfire::spsc_trying())),
        ("crossfire spsc", "send, recv", || timed(crossfire::spsc_blocking())),
        ("kanal", "try_send, try_recv", || timed(kanal::one_by_one())),
        ("kanal", "try_send, drain_into", || timed(kanal::draining())),
        ("flume", "try_send, try_recv", || timed(flume::one_by_one())),
        ("flume", "try_send, drain", || timed(flume::draining())),
        ("thingbuf", "try_send_ref, try_recv_ref", || timed(thingbuf::by_reference())),
        ("multiqueue2", "try_send, try_recv_view", || timed(only(multiqueue2::fan_out(1)))),
    ]
}
