//! Readers after readers: a pipeline of three, and two readers with a third after both.

use std::time::Instant;

use ringbus::WaitStrategy::{Park, Spin};

use crate::event::{Check, Event};
use crate::halves::{Receiver, Sender};
use crate::peers::{disruptor, ringbus as ours};
use crate::plan::Plan;
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};

/// Events of one window.
const EVENTS: u64 = 16_384;

/// Events published before the stages take their turns.
const BURSTS: [u64; 3] = [1, 16, 256];

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    for burst in BURSTS {
        let mut entry = |peer: &str, shape: &str, window: &dyn Fn() -> Window| {
            let peer = format!("{peer} {shape} by {burst}");
            entries.push(Entry::new(peer, "publish, each stage polls", window));
        };
        #[rustfmt::skip]
        let () = {
            entry("ringbus", "pipeline", &|| passing(burst, ours::pipeline(Spin)));
            entry("ringbus Park", "pipeline", &|| passing(burst, ours::pipeline(Park)));
            entry("disruptor", "pipeline", &|| passing(burst, disruptor::pipeline()));
            entry("ringbus", "diamond", &|| passing(burst, ours::diamond(Spin)));
            entry("ringbus Park", "diamond", &|| passing(burst, ours::diamond(Park)));
            entry("disruptor", "diamond", &|| passing(burst, disruptor::diamond()));
        };
    }
    let rows = solo::play(entries, plan);

    let mut targets = Vec::new();
    for shape in ["pipeline", "diamond"] {
        for burst in BURSTS {
            for us in ["ringbus", "ringbus Park"] {
                let ours = format!("{us} {shape} by {burst}");
                let theirs = format!("disruptor {shape} by {burst}");
                targets.push(Target::new(&rows, &ours, &theirs, 1.0));
            }
        }
    }
    Section {
        title: "three stages, as a pipeline and as a diamond, all on one thread: a burst is published, then passes",
        unit: "ns per event, published and read three times",
        rows,
        targets,
        ..Section::default()
    }
}

/// Returns a window in which bursts pass all stages, in their order.
fn passing<S, A, B, C>(burst: u64, (mut sender, mut stages): (S, (A, B, C))) -> Window
where
    S: Sender + 'static,
    A: Receiver + 'static,
    B: Receiver + 'static,
    C: Receiver + 'static,
{
    let mut first = 0;
    Box::new(move || {
        let end = first + EVENTS;
        let mut checks: [Check; 3] = std::array::from_fn(|_| Check::new(first));
        let start = Instant::now();
        for sequence in (first..end).step_by(burst as usize) {
            (sequence..sequence + burst).for_each(|sequence| sender.send(Event::new(sequence)));
            let [one, two, three] = &mut checks;
            let passed = sequence + burst - first;
            pass(&mut stages.0, one, passed);
            pass(&mut stages.1, two, passed);
            pass(&mut stages.2, three, passed);
        }
        let spent = start.elapsed();
        checks.iter().for_each(|check| check.verify(EVENTS));
        first = end;
        spent.as_secs_f64() * 1e9 / EVENTS as f64
    })
}

#[inline(always)]
fn pass(stage: &mut impl Receiver, check: &mut Check, until: u64) {
    while check.count() < until {
        stage.receive(|event| check.see(event));
    }
}
