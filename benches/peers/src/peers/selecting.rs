//! One thread that looks after many channels, and sends to some of them itself.

use std::ops::Range;
use std::time::Instant;

use crossbeam_channel::{Select, Sender, TrySendError};
use ringbus::WaitStrategy::Park;
use ringbus::{Budget, Bus, ExclusivePublisher, Reactor, Subscriber};

use crate::event::{Check, Event};
use crate::solo::Window;

/// The events a channel holds: few, so that a thousand of them stay small. None holds more than one.
const CAPACITY: usize = 64;

/// Rounds of one window, each with an event to every active channel.
const ROUNDS: u64 = 1_000;

/// One thread's channels.
trait Many {
    /// Sends to one of the channels.
    fn send(&mut self, channel: usize, event: Event);

    /// Hands `count` events that are there to the check of the channel they came by.
    fn serve(&mut self, count: usize, checks: &mut Vec<Check>);
}

/// Returns the nanoseconds per event of one window: `ROUNDS` times an event to each active channel, then
/// all of them served.
#[inline(always)]
fn measure(many: &mut impl Many, channels: usize, active: Range<usize>, first: u64) -> f64 {
    let mut checks: Vec<_> = (0..channels).map(|_| Check::new(first)).collect();
    let start = Instant::now();
    for sequence in first..first + ROUNDS {
        for channel in active.clone() {
            many.send(channel, Event::new(sequence));
        }
        many.serve(active.len(), &mut checks);
    }
    let spent = start.elapsed();
    for (channel, check) in checks.iter().enumerate() {
        if active.contains(&channel) {
            check.verify(ROUNDS);
        } else {
            assert_eq!(check.count(), 0, "an idle channel had an event");
        }
    }
    spent.as_secs_f64() * 1e9 / (ROUNDS * active.len() as u64) as f64
}

/// Creates a window of a reactor that handles a round in one turn, or in a turn for each event.
pub fn reactor<const ONE: bool>(channels: usize, active: Range<usize>) -> Window {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let publishers = (0..channels).map(|channel| {
        let topic = bus.topic_builder().name(format!("{channel}"));
        let topic = topic.capacity(CAPACITY).wait(Park);
        let topic = topic.open().expect("the topic is new");
        reactor.on(
            topic.subscribe(),
            move |checks: &mut Vec<Check>, event, _| {
                checks[channel].see(event);
            },
        );
        topic.exclusive_publisher().expect("it is the first")
    });
    let mut many = Reacting::<ONE> {
        publishers: publishers.collect(),
        reactor,
        _bus: bus,
    };
    let mut first = 0;
    Box::new(move || {
        let nanoseconds = measure(&mut many, channels, active.clone(), first);
        first += ROUNDS;
        nanoseconds
    })
}

struct Reacting<const ONE: bool> {
    publishers: Vec<ExclusivePublisher<Event>>,
    reactor: Reactor<Vec<Check>>,
    /// Keeps the topics open.
    _bus: Bus,
}

impl<const ONE: bool> Many for Reacting<ONE> {
    #[inline(always)]
    fn send(&mut self, channel: usize, event: Event) {
        let publisher = &mut self.publishers[channel];
        publisher.publish(event).expect("the topic is open");
    }

    #[inline(always)]
    fn serve(&mut self, count: usize, checks: &mut Vec<Check>) {
        if ONE {
            for _ in 0..count {
                assert!(self.reactor.poll_one(checks), "the event is there");
            }
        } else {
            let turn = self.reactor.turn(checks, Budget::unlimited());
            assert_eq!(turn.handled, count as u64, "the events are there");
        }
    }
}

/// Creates a window of one channel and nobody who looks after it: the least that a reactor can cost.
pub fn poll() -> Window {
    let bus = Bus::new();
    let (publisher, subscriber) = topic(&bus, 0);
    let mut many = Polling {
        publisher,
        subscriber,
        _bus: bus,
    };
    let mut first = 0;
    Box::new(move || {
        let nanoseconds = measure(&mut many, 1, 0..1, first);
        first += ROUNDS;
        nanoseconds
    })
}

fn topic(bus: &Bus, number: usize) -> (ExclusivePublisher<Event>, Subscriber<Event>) {
    let topic = bus.topic_builder().name(format!("{number}"));
    let topic = topic.capacity(CAPACITY).wait(Park);
    let topic = topic.open().expect("the topic is new");
    let subscriber = topic.subscribe();
    let publisher = topic.exclusive_publisher().expect("it is the first");
    (publisher, subscriber)
}

struct Polling {
    publisher: ExclusivePublisher<Event>,
    subscriber: Subscriber<Event>,
    /// Keeps the topic open.
    _bus: Bus,
}

impl Many for Polling {
    #[inline(always)]
    fn send(&mut self, _channel: usize, event: Event) {
        self.publisher.publish(event).expect("the topic is open");
    }

    #[inline(always)]
    fn serve(&mut self, count: usize, checks: &mut Vec<Check>) {
        for _ in 0..count {
            let polled = self.subscriber.poll(1, |event, _| checks[0].see(event));
            assert_eq!(polled, Ok(1), "the event is there");
        }
    }
}

/// How a [`Select`] is asked for the channel to receive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `try_select`.
    TrySelect,
    /// `select`, which blocks.
    Select,
    /// `try_ready`, then `try_recv`.
    TryReady,
}

/// Creates a window of a `Select`, built once and outside of the time that is measured. One that is biased
/// does not shuffle the channels, and prefers the earlier ones.
pub fn crossbeam(ask: Ask, biased: bool, channels: usize, active: Range<usize>) -> Window {
    let ends = (0..channels).map(|_| crossbeam_channel::bounded(CAPACITY));
    let (senders, receivers): (Vec<_>, Vec<_>) = ends.unzip();
    let mut first = 0;
    Box::new(move || {
        let mut select = if biased {
            Select::new_biased()
        } else {
            Select::new()
        };
        for receiver in &receivers {
            select.recv(receiver);
        }
        let (senders, receivers) = (&*senders, &*receivers);
        let active = active.clone();
        // One copy of the loop for each way to ask.
        let nanoseconds = match ask {
            Ask::TrySelect => {
                let take = |select: &mut Select<'_>| {
                    let operation = select.try_select().expect("an event is there");
                    let channel = operation.index();
                    (channel, operation.recv(&receivers[channel]).ok())
                };
                measure(
                    &mut Selecting {
                        senders,
                        select,
                        take,
                    },
                    channels,
                    active,
                    first,
                )
            }
            Ask::Select => {
                let take = |select: &mut Select<'_>| {
                    let operation = select.select();
                    let channel = operation.index();
                    (channel, operation.recv(&receivers[channel]).ok())
                };
                measure(
                    &mut Selecting {
                        senders,
                        select,
                        take,
                    },
                    channels,
                    active,
                    first,
                )
            }
            Ask::TryReady => {
                let take = |select: &mut Select<'_>| {
                    let channel = select.try_ready().expect("an event is there");
                    (channel, receivers[channel].try_recv().ok())
                };
                measure(
                    &mut Selecting {
                        senders,
                        select,
                        take,
                    },
                    channels,
                    active,
                    first,
                )
            }
        };
        first += ROUNDS;
        nanoseconds
    })
}

struct Selecting<'a, F> {
    senders: &'a [Sender<Event>],
    select: Select<'a>,
    take: F,
}

impl<'a, F> Many for Selecting<'a, F>
where
    F: FnMut(&mut Select<'a>) -> (usize, Option<Event>),
{
    #[inline(always)]
    fn send(&mut self, channel: usize, event: Event) {
        match self.senders[channel].try_send(event) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => panic!("the channel was served"),
            Err(TrySendError::Disconnected(_)) => panic!("the receiver is gone"),
        }
    }

    #[inline(always)]
    fn serve(&mut self, count: usize, checks: &mut Vec<Check>) {
        for _ in 0..count {
            let (channel, event) = (self.take)(&mut self.select);
            checks[channel].see(&event.expect("the sender is there"));
        }
    }
}
