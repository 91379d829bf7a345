//! One publisher to many subscribers, all on one thread: what publishing costs.

use std::time::{Duration, Instant};

use ringbus::WaitStrategy::{Park, Spin};

use crate::event::{Check, Event};
use crate::halves::{Receiver, Sender};
use crate::peers::{
    async_broadcast, bus, crossbeam, disruptor, multiqueue2, ringbus as ours, rtrb, tokio,
};
use crate::plan::Plan;
use crate::plot::{Across, Curve, Plot};
use crate::report::{Section, Target};
use crate::solo::{self, Entry, Window};
use crate::stats::Row;

/// How many subscribers there are.
const READERS: [usize; 6] = [1, 4, 16, 64, 128, 256];

/// Events published before the subscribers are drained: less than the capacity, so that none waits.
const BURST: u64 = 1_000;

/// Bursts of one window.
const BURSTS: u64 = 20;

/// Measures the scenario.
pub fn run(plan: &mut Plan) -> Section {
    let mut entries = Vec::new();
    for readers in READERS {
        let mut entry = |peer: &str, mode, window: &dyn Fn() -> Window| {
            entries.push(Entry::new(format!("{peer} to {readers}"), mode, window));
        };
        #[rustfmt::skip]
        let () = {
            entry("ringbus exclusive", "publish", &|| publishing(ours::exclusive::<64>(Spin, readers)));
            entry("ringbus shared", "publish", &|| publishing(ours::shared::<64>(Spin, readers)));
            entry("ringbus exclusive Park", "publish", &|| publishing(ours::exclusive::<64>(Park, readers)));
            entry("ringbus shared Park", "publish", &|| publishing(ours::shared::<64>(Park, readers)));
            entry("disruptor", "publish", &|| publishing(disruptor::fan_out(readers)));
            entry("bus", "try_broadcast", &|| publishing(bus::fan_out(readers)));
            entry("async-broadcast", "try_broadcast", &|| publishing(async_broadcast::fan_out(readers)));
            entry("multiqueue2", "try_send", &|| publishing(multiqueue2::fan_out(readers)));
            entry("tokio broadcast", "send", &|| publishing(tokio::fan_out(readers)));
            entry("rtrb", "push to each", &|| publishing(many(readers, rtrb::push_chunks)));
            entry("crossbeam-channel", "try_send to each", &|| publishing(many(readers, crossbeam::trying)));
        };
    }
    let rows = solo::play(entries, plan);

    let mut targets = Vec::new();
    for us in [
        "ringbus exclusive",
        "ringbus shared",
        "ringbus exclusive Park",
        "ringbus shared Park",
    ] {
        let one = format!("{us} to 1");
        targets.push(Target::new(&rows, &format!("{us} to 64"), &one, 1.2));
        targets.push(Target::new(&rows, &format!("{us} to 256"), &one, 1.3));
    }
    Section {
        title: "one publisher to 1, 4, 16, 64, 128, 256 subscribers, all on one thread",
        unit: "ns per event published, reading not included",
        plots: vec![throughput(&rows)],
        rows,
        targets,
        ..Section::default()
    }
}

fn throughput(rows: &[Row]) -> Plot {
    let curves = [
        "ringbus exclusive",
        "ringbus shared",
        "disruptor",
        "bus",
        "async-broadcast",
        "multiqueue2",
        "tokio broadcast",
        "rtrb",
        "crossbeam-channel",
    ]
    .map(|peer| {
        let places = READERS.map(|readers| (readers, format!("{peer} to {readers}")));
        let mut curve = Curve::of(rows, peer, places);
        for (_, nanoseconds) in &mut curve.points {
            *nanoseconds = 1e3 / *nanoseconds;
        }
        curve
    });
    Plot {
        file: "throughput-by-subscribers",
        title: "One thread publishes to many subscribers: events published in a second",
        across: Across::Doubling,
        x: "subscribers (rtrb, crossbeam-channel: a channel for each)",
        y: "million events per second, median of windows",
        curves: curves.into(),
    }
}

/// Returns a window that times the publishing only.
fn publishing<S, R>((mut sender, mut receivers): (S, Vec<R>)) -> Window
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
            (first..end).for_each(|sequence| sender.send(Event::new(sequence)));
            spent += start.elapsed();
            for receiver in &mut receivers {
                let mut check = Check::new(first);
                while receiver.receive(|event| check.see(event)) > 0 {}
                check.verify(BURST);
            }
            first = end;
        }
        spent.as_secs_f64() * 1e9 / (BURST * BURSTS) as f64
    })
}

/// Creates this many one-to-one channels behind one sender.
pub fn many<S, R>(count: usize, channel: impl Fn() -> (S, R)) -> (Each<S>, Vec<R>) {
    let (senders, receivers) = (0..count).map(|_| channel()).unzip();
    (Each(senders), receivers)
}

/// Sends every event to each of several channels.
pub struct Each<S>(Vec<S>);

impl<S: Sender> Sender for Each<S> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.0.iter_mut().for_each(|sender| sender.send(event));
    }
}
