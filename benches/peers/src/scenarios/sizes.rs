//! One exclusive publisher to one reader, with events from one word to a page.

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, Channel, EVENTS, Entry, Lineup, one_way, only};
use crate::event::CAPACITY;
use crate::halves::{Absent, Load, Sending};
use crate::peers::disruptor::{self, ALL};
use crate::peers::{
    ONE_TO_ONE, control, crossbeam, crossfire, flume, kanal, mpsc, multiqueue2, ringbus as ours,
    rtrb, thingbuf,
};
use crate::plan::Plan;
use crate::plot::{Across, Curve, Plot};
use crate::report::{Section, Target};
use crate::stats::Row;
use crate::work::turns_for;

/// The bytes of an event.
const SIZES: [usize; 7] = [8, 24, 56, 64, 256, 1024, 4096];

/// Sizes up to this are held to the targets, and also measured caught up.
const SMALL: usize = 64;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let pace = Load::Paced(turns_for(plan.pace));
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for size in SIZES {
        let lineup = match size {
            8 => lineup::<1>(),
            24 => lineup::<3>(),
            56 => lineup::<7>(),
            64 => lineup::<8>(),
            256 => lineup::<32>(),
            1024 => lineup::<128>(),
            _ => lineup::<512>(),
        };
        let small = size <= SMALL;
        // The last is the work without a channel.
        let work = lineup.len() - 1;
        let mut entries = Vec::new();
        for (channel, (peer, mode, _)) in lineup.iter().enumerate() {
            let mut entry = |load, suffix: &str| {
                let row = Row::new(format!("{peer}{suffix}, {size} B"), *mode);
                entries.push(Entry { row, channel, load });
            };
            if channel != work {
                entry(Load::Flat, "");
            }
            if small {
                entry(pace, " caught up");
            }
        }
        // Fewer of the larger ones, yet more than four times the capacity.
        let events = if small { EVENTS } else { EVENTS / 4 };
        let measured = duet::play(&lineup, entries, events, plan);
        let (caught_up, mut flat): (Vec<_>, Vec<_>) = measured
            .into_iter()
            .partition(|row| row.peer.contains(" caught up"));
        if let Some((work, caught_up)) = caught_up.split_last() {
            let pace = work.percentile(50);
            flat.extend(caught_up.iter().map(|row| row.less(pace)));
            for us in ["ringbus", "ringbus Park"] {
                let names =
                    |regime: &str| ONE_TO_ONE.map(|peer| format!("{peer}{regime}, {size} B"));
                let theirs = names("");
                let theirs: Vec<_> = theirs.iter().map(String::as_str).collect();
                targets.push(Target::best(
                    &flat,
                    &format!("{us}, {size} B"),
                    &theirs,
                    0.7,
                ));
                let theirs = names(" caught up");
                let theirs: Vec<_> = theirs.iter().map(String::as_str).collect();
                let ours = format!("{us} caught up, {size} B");
                targets.push(Target::added(&flat, &ours, &theirs, 0.7));
            }
        }
        rows.extend(flat);
    }
    let plots = vec![Plot {
        file: "event-size",
        title: "One publisher to one reader, saturated: cost by the size of an event",
        across: Across::Doubling,
        x: "bytes of an event",
        y: "ns per event, median of windows",
        curves: ["control", "ringbus", "ringbus Park"]
            .iter()
            .chain(&ONE_TO_ONE)
            .map(|peer| {
                Curve::of(
                    &rows,
                    peer,
                    SIZES.map(|size| (size, format!("{peer}, {size} B"))),
                )
            })
            .collect(),
    }];
    Section {
        title: "one exclusive publisher to one reader, events of 8 bytes to 4 KiB, each read whole",
        unit: "ns per event; a caught-up row is less the work that paces it, which overlaps with it",
        rows,
        targets,
        plots,
        ..Section::default()
    }
}

#[rustfmt::skip]
fn lineup<const WORDS: usize>() -> Lineup {
    vec![
        ("control", "stamped ring, event by event", || one_way(control::ring_of::<false, WORDS>(CAPACITY))),
        ("control", "stamped ring, run by run", || one_way(control::ring_of::<true, WORDS>(CAPACITY))),
        ("ringbus", "publish, poll", || one_way(only(ours::exclusive_of::<64, WORDS>(Spin, CAPACITY, 1)))),
        ("ringbus", "publish, poll(8)", || one_way(only(ours::exclusive_of::<8, WORDS>(Spin, CAPACITY, 1)))),
        ("ringbus", "publish, poll(1)", || one_way(only(ours::exclusive_of::<1, WORDS>(Spin, CAPACITY, 1)))),
        ("ringbus", "publish_with, poll", || one_way(ours::in_place_of::<64, WORDS>(Spin, CAPACITY))),
        ("ringbus Park", "publish, poll", || one_way(only(ours::exclusive_of::<64, WORDS>(Park, CAPACITY, 1)))),
        ("ringbus Park", "publish, poll(8)", || one_way(only(ours::exclusive_of::<8, WORDS>(Park, CAPACITY, 1)))),
        ("ringbus Park", "publish, poll(1)", || one_way(only(ours::exclusive_of::<1, WORDS>(Park, CAPACITY, 1)))),
        ("ringbus Park", "publish_with, poll", || one_way(ours::in_place_of::<64, WORDS>(Park, CAPACITY))),
        ("rtrb", "push, pop", || one_way(rtrb::push_pop_of::<WORDS>(CAPACITY))),
        ("rtrb", "push, read_chunk", || one_way(rtrb::push_chunks_of::<WORDS>(CAPACITY))),
        ("disruptor", "publish, poll", || one_way(disruptor::single_of::<ALL, true, WORDS>(CAPACITY))),
        ("disruptor", "publish, take(64)", || one_way(disruptor::single_of::<64, true, WORDS>(CAPACITY))),
        ("disruptor", "publish, take(8)", || one_way(disruptor::single_of::<8, true, WORDS>(CAPACITY))),
        ("disruptor", "publish, take(1)", || one_way(disruptor::single_of::<1, true, WORDS>(CAPACITY))),
        ("crossbeam-channel", "try_send, try_recv", || one_way(crossbeam::trying_of::<WORDS>(CAPACITY))),
        ("crossbeam-channel", "send, recv", || one_way(crossbeam::blocking_of::<WORDS>(CAPACITY))),
        ("std mpsc", "try_send, try_recv", || one_way(mpsc::trying_of::<WORDS>(CAPACITY))),
        ("std mpsc", "send, recv", || one_way(mpsc::blocking_of::<WORDS>(CAPACITY))),
        ("crossfire spsc", "try_send, try_recv", || one_way(crossfire::spsc_trying_of::<WORDS>(CAPACITY))),
        ("crossfire spsc", "send, recv", || one_way(crossfire::spsc_blocking_of::<WORDS>(CAPACITY))),
        ("kanal", "try_send, drain_into", || one_way(kanal::draining_of::<WORDS>(CAPACITY))),
        ("flume", "try_send, drain", || one_way(flume::draining_of::<WORDS>(CAPACITY))),
        ("thingbuf", "try_send_ref, try_recv_ref", || one_way(thingbuf::by_reference_of::<WORDS>(CAPACITY))),
        ("multiqueue2", "try_send, try_recv_view", || one_way(only(multiqueue2::fan_out_of::<WORDS>(CAPACITY, 1)))),
        ("work alone", "no channel", || Channel::new(Sending::<_, WORDS>(control::Nowhere), Absent)),
    ]
}
