//! One publisher, three subscribers of all events, which take turns on one thread: that of the publisher, or
//! one of their own.

use std::time::Instant;

use ringbus::WaitStrategy::{Park, Spin};

use crate::duet::{self, EVENTS, Entry as Duet, Lineup, one_way};
use crate::event::{Check, Event};
use crate::halves::{Load, Receiver, Sender};
use crate::peers::{
    async_broadcast, bus, crossbeam, disruptor, multiqueue2, ringbus as ours, rtrb, tokio,
};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::scenarios::fan_out::many;
use crate::solo::{self, Entry, Window};

const READERS: usize = 3;

/// Events of one window on one thread.
const ALONE: u64 = 16_384;

/// Events published before the readers take their turns.
const BURSTS: [u64; 3] = [1, 16, 256];

/// Measures the publisher and its readers on one thread.
pub fn alone(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    for burst in BURSTS {
        let mut entry = |peer: &str, mode, window: &dyn Fn() -> Window| {
            entries.push(Entry::new(format!("{peer} by {burst}"), mode, window));
        };
        #[rustfmt::skip]
        let () = {
            entry("ringbus", "publish, poll", &|| interleaved(burst, ours::exclusive::<1024>(Spin, READERS)));
            entry("ringbus Park", "publish, poll", &|| interleaved(burst, ours::exclusive::<1024>(Park, READERS)));
            entry("disruptor", "publish, poll", &|| interleaved(burst, disruptor::fan_out(READERS)));
            entry("bus", "try_broadcast, try_recv", &|| interleaved(burst, bus::fan_out(READERS)));
            entry("tokio broadcast", "send, try_recv", &|| interleaved(burst, tokio::fan_out(READERS)));
            entry("async-broadcast", "try_broadcast, try_recv", &|| interleaved(burst, async_broadcast::fan_out(READERS)));
            entry("multiqueue2", "try_send, try_recv_view", &|| interleaved(burst, multiqueue2::fan_out(READERS)));
            entry("crossbeam-channel x 3", "try_send to each, try_recv", &|| interleaved(burst, many(READERS, crossbeam::trying)));
            entry("rtrb x 3", "push to each, read_chunk", &|| interleaved(burst, many(READERS, rtrb::push_chunks)));
        };
    }
    let rows = solo::play(entries, plan);
    let mut targets = Vec::new();
    for burst in BURSTS {
        let mut target = |theirs: &str, at_most| {
            let ours = format!("ringbus by {burst}");
            targets.push(Target::new(
                &rows,
                &ours,
                &format!("{theirs} by {burst}"),
                at_most,
            ));
        };
        target("disruptor", 1.0);
        for theirs in ["bus", "tokio broadcast", "crossbeam-channel x 3"] {
            target(theirs, 0.25);
        }
    }
    Section {
        title: "one publisher to three subscribers, all on one thread: a burst is published, then each reads it",
        unit: "ns per event, published and read three times",
        rows,
        targets,
        ..Section::default()
    }
}

/// Measures the publisher on one thread and its readers on another.
pub fn apart(plan: &mut Plan) -> Section {
    #[rustfmt::skip]
    let lineup: Lineup = vec![
        ("ringbus", "publish, poll", || one_way(in_turn(ours::exclusive::<64>(Spin, READERS)))),
        ("ringbus Park", "publish, poll", || one_way(in_turn(ours::exclusive::<64>(Park, READERS)))),
        ("ringbus shared", "publish, poll", || one_way(in_turn(ours::shared::<64>(Spin, READERS)))),
        ("disruptor", "publish, poll", || one_way(in_turn(disruptor::fan_out(READERS)))),
        ("bus", "try_broadcast, try_recv", || one_way(in_turn(bus::fan_out(READERS)))),
        ("tokio broadcast", "send, try_recv", || one_way(tokio::paced(in_turn(tokio::fan_out(READERS))))),
        ("async-broadcast", "try_broadcast, try_recv", || one_way(in_turn(async_broadcast::fan_out(READERS)))),
        ("multiqueue2", "try_send, try_recv_view", || one_way(in_turn(multiqueue2::fan_out(READERS)))),
        ("crossbeam-channel x 3", "try_send to each, try_recv", || one_way(in_turn(many(READERS, crossbeam::trying)))),
        ("rtrb x 3", "push to each, read_chunk", || one_way(in_turn(many(READERS, rtrb::push_chunks)))),
    ];
    let rows = duet::play(&lineup, Duet::each(&lineup, Load::Flat), EVENTS, plan);
    let mut targets = Vec::new();
    for us in ["ringbus", "ringbus Park"] {
        targets.push(Target::new(&rows, us, "disruptor", 1.0));
        for theirs in ["bus", "tokio broadcast", "crossbeam-channel x 3"] {
            targets.push(Target::new(&rows, us, theirs, 0.25));
        }
    }
    Section {
        title: "one publisher to three subscribers, which take turns on a thread of their own",
        unit: "ns per event, published and read three times; the burst is that of the last reader",
        rows,
        targets,
        ..Section::default()
    }
}

/// Returns a window in which each burst is read by all before the next is published.
fn interleaved<S, R>(burst: u64, (mut sender, mut receivers): (S, Vec<R>)) -> Window
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    let mut first = 0;
    Box::new(move || {
        let end = first + ALONE;
        let mut checks: [Check; READERS] = std::array::from_fn(|_| Check::new(first));
        let start = Instant::now();
        for sequence in (first..end).step_by(burst as usize) {
            (sequence..sequence + burst).for_each(|sequence| sender.send(Event::new(sequence)));
            for (receiver, check) in receivers.iter_mut().zip(&mut checks) {
                while check.count() < sequence + burst - first {
                    receiver.receive(|event| check.see(event));
                }
            }
        }
        let spent = start.elapsed();
        checks.iter().for_each(|check| check.verify(ALONE));
        first = end;
        spent.as_secs_f64() * 1e9 / ALONE as f64
    })
}

/// Readers of which the last one hands out the events; the others have them too by then, and check them.
struct InTurn<R> {
    readers: Vec<R>,
    checks: Vec<Check>,
    seen: u64,
}

fn in_turn<S, R>((sender, readers): (S, Vec<R>)) -> (S, InTurn<R>) {
    let checks = readers.iter().skip(1).map(|_| Check::new(0)).collect();
    let readers = InTurn {
        readers,
        checks,
        seen: 0,
    };
    (sender, readers)
}

impl<R: Receiver> Receiver for InTurn<R> {
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event)) -> usize {
        let Some((last, others)) = self.readers.split_last_mut() else {
            return 0;
        };
        for (reader, check) in others.iter_mut().zip(&mut self.checks) {
            reader.receive(|event| check.see(event));
        }
        let count = last.receive(each);
        self.seen += count as u64;
        for (reader, check) in others.iter_mut().zip(&mut self.checks) {
            while check.count() < self.seen {
                reader.receive(|event| check.see(event));
            }
        }
        count
    }
}

impl<R> Drop for InTurn<R> {
    fn drop(&mut self) {
        // When all windows are over, every reader has seen all events.
        self.checks.iter().for_each(|check| check.verify(self.seen));
    }
}
