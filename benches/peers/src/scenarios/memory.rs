//! What the parts of a bus take, and the peers' channels beside them.

use ringbus::{Bus, Overflow, Reactor, Topic};

use crate::memory::measure;
use crate::peers::disruptor;
use crate::plan::Plan;
use crate::report::{Figure, Section};

const CAPACITY: usize = 1024;

/// How many of each are made.
const COUNT: usize = 64;

/// The events are of eight bytes here, so that little but the parts themselves counts.
type Event = u64;

fn topics(bus: &Bus) -> Vec<Topic<Event>> {
    let open = |index: usize| {
        let builder = bus.topic_builder().name(format!("{index:06}"));
        builder.capacity(CAPACITY).open().expect("it is new")
    };
    (0..COUNT).map(open).collect()
}

/// Measures the parts. There is nothing to repeat: an allocation is as large as it is.
pub fn run(_plan: &mut Plan) -> Section {
    let mut figures = Vec::new();
    let mut figure = |what: &str, bytes: f64| {
        figures.push(Figure {
            what: what.to_owned(),
            value: bytes / COUNT as f64,
            unit: "bytes",
            at_most: None,
        });
    };
    let bus = Bus::new();
    // The registry's own table has grown by then.
    drop(topics(&bus));
    let bus = Bus::new();
    let (topics, bytes) = measure(|| topics(&bus));
    figure("ringbus: an idle topic, without its ring yet", bytes);
    let (mut first, bytes) = measure(|| topics.iter().map(Topic::subscribe).collect::<Vec<_>>());
    figure(
        "ringbus: its first subscriber, with a ring of 1024 events of 8 bytes",
        bytes,
    );
    let (more, bytes) = measure(|| topics.iter().map(Topic::subscribe).collect::<Vec<_>>());
    figure("ringbus: its second subscriber", bytes);
    let many = || {
        (0..COUNT)
            .map(|_| topics[0].subscribe())
            .collect::<Vec<_>>()
    };
    let (many, bytes) = measure(many);
    figure("ringbus: a subscriber of 64 more of one topic", bytes);
    let lossy = |topic: &Topic<Event>| {
        let builder = topic.subscriber().overflow(Overflow::DropOldest);
        builder.open().expect("there is a seat")
    };
    let (lossy, bytes) = measure(|| topics.iter().map(lossy).collect::<Vec<_>>());
    figure("ringbus: a lossy subscriber beside two others", bytes);
    let (publishers, bytes) = measure(|| topics.iter().map(Topic::publisher).collect::<Vec<_>>());
    figure("ringbus: a publisher", bytes);
    let (reactor, bytes) = measure(|| {
        let mut reactor = Reactor::new();
        for subscriber in first.drain(..) {
            reactor.on(subscriber, |sum: &mut u64, event: &Event, _| *sum += event);
        }
        reactor
    });
    figure("ringbus: a subscriber's place in a reactor", bytes);
    drop((reactor, first, more, many, lossy, publishers, topics));

    let (_made, bytes) = measure(|| {
        (0..COUNT)
            .map(|_| crossbeam_channel::bounded::<Event>(CAPACITY))
            .collect::<Vec<_>>()
    });
    figure("crossbeam-channel: an idle channel of 1024", bytes);
    let (_made, bytes) = measure(|| {
        (0..COUNT)
            .map(|_| tokio::sync::broadcast::channel::<Event>(CAPACITY))
            .collect::<Vec<_>>()
    });
    figure("tokio broadcast: an idle channel of 1024", bytes);
    let (_made, bytes) = measure(|| {
        (0..COUNT)
            .map(|_| rtrb::RingBuffer::<Event>::new(CAPACITY))
            .collect::<Vec<_>>()
    });
    figure("rtrb: an idle ring of 1024", bytes);
    let (_made, bytes) = measure(|| {
        (0..COUNT)
            .map(|_| disruptor::single_of::<64, true, 1>(CAPACITY))
            .collect::<Vec<_>>()
    });
    figure("disruptor: an idle ring of 1024 with a poller", bytes);
    Section {
        title: "the memory of the parts of a bus, and of the peers' channels",
        unit: "bytes of each, on average of 64, as asked of the allocator",
        figures,
        ..Section::default()
    }
}
