//! A subscriber with what its thread measures while it reads.

use std::time::Instant;

use hdrhistogram::Histogram;
use ringbus::{Meta, Subscriber};

use crate::event::Stamped;

/// A subscription of one thread.
pub(crate) struct Reader<T: Send + Sync + 'static> {
    name: String,
    topic: String,
    lossless: bool,
    subscriber: Subscriber<Stamped<T>>,
    tally: Tally,
}

impl<T: Send + Sync + 'static> Reader<T> {
    /// A reader that may miss events.
    pub(crate) fn lossy(name: &str, topic: &str, subscriber: Subscriber<Stamped<T>>) -> Self {
        let (name, topic) = (name.to_owned(), topic.to_owned());
        Self {
            name,
            topic,
            lossless: false,
            subscriber,
            tally: Tally::new(),
        }
    }

    /// A reader that must see every event.
    pub(crate) fn lossless(name: &str, topic: &str, subscriber: Subscriber<Stamped<T>>) -> Self {
        Self {
            lossless: true,
            ..Self::lossy(name, topic, subscriber)
        }
    }

    /// Waits for events and handles up to `max`; false once the topic is closed and drained.
    pub(crate) fn wait(&mut self, max: usize, mut handle: impl FnMut(&Stamped<T>)) -> bool {
        let tally = &mut self.tally;
        let polled = self.subscriber.poll_wait(max, |event, meta| {
            tally.count(event, meta);
            handle(event);
        });
        polled.is_ok()
    }

    /// Waits for events and hands over up to `max` as one batch; `None` once the topic is closed
    /// and drained.
    pub(crate) fn wait_batch<R>(
        &mut self,
        max: usize,
        handle: impl FnOnce(&mut dyn Iterator<Item = &Stamped<T>>) -> R,
    ) -> Option<R> {
        let tally = &mut self.tally;
        let polled = self.subscriber.poll_batch_wait(max, |batch| {
            handle(&mut batch.map(|(event, meta)| {
                tally.count(event, meta);
                event
            }))
        });
        polled.ok()
    }

    pub(crate) fn finish(self) -> Finished {
        Finished {
            name: self.name,
            topic: self.topic,
            lossless: self.lossless,
            tally: self.tally,
            _seat: Box::new(self.subscriber),
        }
    }
}

/// A reader whose topic is closed and drained.
pub(crate) struct Finished {
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) lossless: bool,
    pub(crate) tally: Tally,
    /// The subscriber: the bus lists it in a snapshot only while it exists.
    _seat: Box<dyn Send>,
}

/// What a reader saw of its topic.
pub(crate) struct Tally {
    pub(crate) handled: u64,
    /// Events that the subscriber was told it missed, and those that came out of order.
    pub(crate) irregular: u64,
    /// Nanoseconds from publish to handle.
    pub(crate) latency: Histogram<u64>,
    /// The least sequence that the next event may have.
    next: u64,
}

impl Tally {
    fn new() -> Self {
        // One minute in three digits; longer times count as one minute.
        let latency =
            Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid");
        Self {
            handled: 0,
            irregular: 0,
            latency,
            next: 0,
        }
    }

    fn count<T>(&mut self, event: &Stamped<T>, meta: Meta) {
        let latency = Instant::now().saturating_duration_since(event.published);
        self.latency.saturating_record(latency.as_nanos() as u64);
        self.handled += 1;
        // Sequences may have gaps where nothing was published, so they tell the order and no more;
        // that the number of events is right is for the report to compare with the feeds.
        self.irregular += meta.missed + u64::from(meta.sequence < self.next);
        self.next = meta.sequence + 1;
    }
}
