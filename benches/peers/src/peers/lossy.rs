//! Subscribers that may lose events, and say how many.

use std::marker::Send;

use ringbus::WaitStrategy::Spin;
use ringbus::{Bus, ExclusivePublisher, Overflow, Publisher, Subscriber, Topic};
use tokio::sync::broadcast::{self, error::TryRecvError};

use crate::event::{CAPACITY, Event};
use crate::halves;

/// A receiver that is told what it lost.
pub trait Receiver: Send {
    /// Hands at most `most` events to `each`, with how many were lost before each; returns how many it handed.
    fn receive(&mut self, most: usize, each: impl FnMut(&Event, u64)) -> usize;
}

/// What a receiver has had, and lost.
#[derive(Debug, Default)]
pub struct Account {
    /// The sequence after the last event that was received.
    next: u64,
    /// Events that were received.
    received: u64,
    /// Events that the peer said were lost.
    lost: u64,
    /// Bits in which the loss told differed from the gap between the sequences.
    wrong: u64,
}

impl Account {
    /// Takes an event into account, and how many were lost before it.
    #[inline(always)]
    pub fn see(&mut self, event: &Event, lost: u64) {
        self.wrong |= (event.sequence() - self.next) ^ lost;
        self.next = event.sequence() + 1;
        self.received += 1;
        self.lost += lost;
    }

    /// Returns the events up to the last one received.
    pub fn passed(&self) -> u64 {
        self.next
    }

    /// Returns how many events were lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Checks the books.
    ///
    /// # Panics
    ///
    /// Panics unless all `published` events were received or told to be lost, each where it was lost.
    pub fn verify(&self, published: u64) {
        assert_eq!(self.wrong, 0, "a loss was told wrongly");
        assert_eq!(
            self.received + self.lost,
            published,
            "events neither received nor told lost"
        );
    }
}

/// Creates a topic that has its ring: without one, events to nobody would not even be written.
fn topic() -> (Bus, Topic<Event>) {
    let bus = Bus::new();
    let builder = bus.topic_builder().capacity(CAPACITY).wait(Spin);
    let topic = builder.open().expect("the topic is new");
    drop(topic.subscribe());
    (bus, topic)
}

fn lossy(topic: &Topic<Event>) -> Subscriber<Event> {
    let builder = topic.subscriber().overflow(Overflow::DropOldest);
    builder.open().expect("there is a seat")
}

/// A publisher of ringbus, and what keeps its topic open.
pub struct Publish<P> {
    publisher: P,
    /// Keeps the topic open.
    _bus: Bus,
}

impl halves::Sender for Publish<ExclusivePublisher<Event>> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.publisher.publish(event).expect("the topic is open");
    }
}

impl halves::Sender for Publish<Publisher<Event>> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.publisher.publish(event).expect("the topic is open");
    }
}

/// A subscriber of ringbus.
pub struct Poll(Subscriber<Event>);

impl Receiver for Poll {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut each: impl FnMut(&Event, u64)) -> usize {
        let polled = self.0.poll(most, |event, meta| each(event, meta.missed));
        polled.expect("the topic is open")
    }
}

/// Creates a topic with an exclusive publisher and this many lossy subscribers.
pub fn exclusive(subscribers: usize) -> (Publish<ExclusivePublisher<Event>>, Vec<Poll>) {
    let (bus, topic) = topic();
    let subscribers = (0..subscribers).map(|_| Poll(lossy(&topic))).collect();
    let publisher = topic.exclusive_publisher().expect("it is the first");
    (
        Publish {
            publisher,
            _bus: bus,
        },
        subscribers,
    )
}

/// Creates a topic with a shared publisher and this many lossy subscribers.
pub fn shared(subscribers: usize) -> (Publish<Publisher<Event>>, Vec<Poll>) {
    let (bus, topic) = topic();
    let subscribers = (0..subscribers).map(|_| Poll(lossy(&topic))).collect();
    let publisher = topic.publisher().expect("the topic is open");
    (
        Publish {
            publisher,
            _bus: bus,
        },
        subscribers,
    )
}

/// Creates a topic with an exclusive publisher, a lossless subscriber, and a lossy one.
pub fn beside() -> (Publish<ExclusivePublisher<Event>>, Poll, Poll) {
    let (bus, topic) = topic();
    let (fast, slow) = (Poll(topic.subscribe()), Poll(lossy(&topic)));
    let publisher = topic.exclusive_publisher().expect("it is the first");
    (
        Publish {
            publisher,
            _bus: bus,
        },
        fast,
        slow,
    )
}

/// A sender of tokio's broadcast.
pub struct Broadcast(broadcast::Sender<Event>);

impl halves::Sender for Broadcast {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        assert!(self.0.send(event).is_ok(), "the receivers are gone");
    }
}

/// A receiver of tokio's broadcast.
pub struct TryRecv(broadcast::Receiver<Event>);

impl Receiver for TryRecv {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut each: impl FnMut(&Event, u64)) -> usize {
        let mut lost = 0;
        for received in 0..most {
            loop {
                match self.0.try_recv() {
                    Ok(event) => break each(&event, std::mem::take(&mut lost)),
                    Err(TryRecvError::Lagged(events)) => lost += events,
                    // A receiver that lags finds an event next.
                    Err(TryRecvError::Empty) => return received,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        most
    }
}

/// Creates a broadcast of tokio with this many receivers.
pub fn tokio(receivers: usize) -> (Broadcast, Vec<TryRecv>) {
    let (sender, first) = broadcast::channel(CAPACITY);
    let mut all = vec![TryRecv(first)];
    all.extend((1..receivers).map(|_| TryRecv(sender.subscribe())));
    (Broadcast(sender), all)
}

/// A receiver that loses nothing.
pub struct Lossless<R>(pub R);

impl<R: halves::Receiver> Receiver for Lossless<R> {
    #[inline(always)]
    fn receive(&mut self, most: usize, mut each: impl FnMut(&Event, u64)) -> usize {
        let mut received = 0;
        while received < most {
            match self.0.receive(|event| each(event, 0)) {
                0 => break,
                count => received += count,
            }
        }
        received
    }
}
