//! Many publishers of one topic, in turn on one thread: what each more costs where none is in another's way.

use std::time::{Duration, Instant};

use crate::event::{Check, Event};
use crate::halves::{Receiver, Sender};
use crate::peers::{crossbeam, disruptor, ringbus as ours};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

const PUBLISHERS: [usize; 4] = [1, 4, 16, 64];

/// Events published before they are read: less than the capacity, so that none waits.
const BURST: u64 = 512;

/// Bursts of one window.
const BURSTS: u64 = 40;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    for count in PUBLISHERS {
        let mut entry = |peer: &str, mode, window: &dyn Fn() -> Window| {
            entries.push(Entry::new(format!("{peer}, {count}"), mode, window));
        };
        entry("ringbus shared", "publish", &|| {
            publishing(ours::publishers(count))
        });
        entry("disruptor multi", "publish", &|| {
            publishing(disruptor::producers(count))
        });
        entry("crossbeam-channel", "try_send", &|| {
            publishing(crossbeam::senders(count))
        });
    }
    let rows = solo::play(entries, plan);
    let targets = vec![Target::new(
        &rows,
        "ringbus shared, 64",
        "ringbus shared, 1",
        1.3,
    )];
    Section {
        title: "1, 4, 16, 64 publishers of one topic, in turn on one thread, with one subscriber",
        unit: "ns per event published, reading not included",
        rows,
        targets,
        ..Section::default()
    }
}

/// Returns a window that times the publishing only.
fn publishing<S, R>((mut senders, mut receiver): (Vec<S>, R)) -> Window
where
    S: Sender + 'static,
    R: Receiver + 'static,
{
    let mut first = 0;
    Box::new(move || {
        let mut spent = Duration::ZERO;
        for _ in 0..BURSTS {
            let end = first + BURST;
            let start = Instant::now();
            for sequence in (first..end).step_by(senders.len()) {
                for (sender, sequence) in senders.iter_mut().zip(sequence..end) {
                    sender.send(Event::new(sequence));
                }
            }
            spent += start.elapsed();
            let mut check = Check::new(first);
            while receiver.receive(|event| check.see(event)) > 0 {}
            check.verify(BURST);
            first = end;
        }
        spent.as_secs_f64() * 1e9 / (BURST * BURSTS) as f64
    })
}
