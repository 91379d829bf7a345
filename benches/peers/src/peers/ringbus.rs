//! ringbus: read by reference through `poll`.

use ::ringbus::{
    Bus, ExclusivePublisher, MergedSubscriber, Publisher, Subscriber, Topic, TryPublishError,
    WaitStrategy,
};

use crate::event::{BATCH, CAPACITY, Event};
use crate::halves::{Duplex, Receiver, Sender, TrySender};

/// Creates a topic whose waits are of this strategy. The topic closes with its bus.
fn topic(wait: WaitStrategy) -> (Bus, Topic<Event>) {
    topic_of(wait, CAPACITY)
}

fn topic_of<const WORDS: usize>(wait: WaitStrategy, capacity: usize) -> (Bus, Topic<Event<WORDS>>) {
    let bus = Bus::new();
    let builder = bus.topic_builder().capacity(capacity).wait(wait);
    let topic = builder.open().expect("the topic is new");
    (bus, topic)
}

/// Creates a topic with an exclusive publisher and this many subscribers.
pub fn exclusive<const MOST: usize>(
    wait: WaitStrategy,
    subscribers: usize,
) -> (Publish<ExclusivePublisher<Event>>, Vec<Poll<MOST>>) {
    exclusive_of(wait, CAPACITY, subscribers)
}

/// As [`exclusive`], for events of any size.
pub fn exclusive_of<const MOST: usize, const WORDS: usize>(
    wait: WaitStrategy,
    capacity: usize,
    subscribers: usize,
) -> (
    Publish<ExclusivePublisher<Event<WORDS>>>,
    Vec<Poll<MOST, WORDS>>,
) {
    let (bus, topic) = topic_of(wait, capacity);
    let subscribers = (0..subscribers).map(|_| Poll(topic.subscribe())).collect();
    let publisher = topic.exclusive_publisher().expect("it is the first");
    (
        Publish {
            publisher,
            _bus: bus,
        },
        subscribers,
    )
}

/// Creates a topic with a shared publisher and this many subscribers.
pub fn shared<const MOST: usize>(
    wait: WaitStrategy,
    subscribers: usize,
) -> (Publish<Publisher<Event>>, Vec<Poll<MOST>>) {
    let (bus, topic) = topic(wait);
    let subscribers = (0..subscribers).map(|_| Poll(topic.subscribe())).collect();
    let publisher = topic.publisher().expect("the topic is open");
    (
        Publish {
            publisher,
            _bus: bus,
        },
        subscribers,
    )
}

/// Creates a topic with this many publishers and one subscriber.
pub fn publishers(count: usize) -> (Vec<Publish<Publisher<Event>>>, Poll<64>) {
    let (bus, topic) = topic(WaitStrategy::Spin);
    let subscriber = Poll(topic.subscribe());
    let publish = |_| Publish {
        publisher: topic.publisher().expect("the topic is open"),
        _bus: bus.clone(),
    };
    ((0..count).map(publish).collect(), subscriber)
}

/// As many at a time as there are.
const ALL: usize = usize::MAX;

type Stages = (Poll<ALL>, Poll<ALL>, Poll<ALL>);

/// Creates a topic with three subscribers, each of which comes after the one before.
pub fn pipeline(wait: WaitStrategy) -> (Publish<ExclusivePublisher<Event>>, Stages) {
    let (bus, topic) = topic(wait);
    let one = topic.subscribe();
    let two = topic.subscriber().after(&one).open().expect("it may");
    let three = topic.subscriber().after(&two).open().expect("it may");
    let publisher = topic.exclusive_publisher().expect("it is the first");
    let publish = Publish {
        publisher,
        _bus: bus,
    };
    (publish, (Poll(one), Poll(two), Poll(three)))
}

/// Creates a topic with two subscribers and a third that comes after both.
pub fn diamond(wait: WaitStrategy) -> (Publish<ExclusivePublisher<Event>>, Stages) {
    let (bus, topic) = topic(wait);
    let (left, right) = (topic.subscribe(), topic.subscribe());
    let last = topic.subscriber().after(&left).after(&right).open();
    let last = last.expect("it may");
    let publisher = topic.exclusive_publisher().expect("it is the first");
    let publish = Publish {
        publisher,
        _bus: bus,
    };
    (publish, (Poll(left), Poll(right), Poll(last)))
}

/// Creates a topic whose exclusive publisher makes its events in their slots, with one subscriber.
pub fn in_place<const MOST: usize>(wait: WaitStrategy) -> (PublishWith, Poll<MOST>) {
    in_place_of(wait, CAPACITY)
}

/// As [`in_place`], for events of any size.
pub fn in_place_of<const MOST: usize, const WORDS: usize>(
    wait: WaitStrategy,
    capacity: usize,
) -> (PublishWith<WORDS>, Poll<MOST, WORDS>) {
    let (publish, mut subscribers) = exclusive_of(wait, capacity, 1);
    let subscriber = subscribers.pop().expect("there is one");
    (PublishWith(publish), subscriber)
}

/// `publish` and `publish_batch`.
#[derive(Clone)]
pub struct Publish<P> {
    publisher: P,
    /// Keeps the topic open.
    _bus: Bus,
}

impl<const WORDS: usize> Sender<WORDS> for Publish<ExclusivePublisher<Event<WORDS>>> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        self.publisher.publish(event).expect("the topic is open");
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) {
        let batch = (0..BATCH).map(|i| Event::new(first + i as u64));
        self.publisher
            .publish_batch(batch)
            .expect("the topic is open");
    }
}

impl Sender for Publish<Publisher<Event>> {
    #[inline(always)]
    fn send(&mut self, event: Event) {
        self.publisher.publish(event).expect("the topic is open");
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) {
        let batch = (0..BATCH).map(|i| Event::new(first + i as u64));
        self.publisher
            .publish_batch(batch)
            .expect("the topic is open");
    }
}

impl TrySender for Publish<Publisher<Event>> {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        let sent = self.publisher.try_publish(event);
        sent.map(drop).map_err(TryPublishError::into_event)
    }
}

/// `publish_with`, which makes the event in its slot.
pub struct PublishWith<const WORDS: usize = 8>(Publish<ExclusivePublisher<Event<WORDS>>>);

impl<const WORDS: usize> Sender<WORDS> for PublishWith<WORDS> {
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        self.0
            .publisher
            .publish_with(|| event)
            .expect("the topic is open");
    }
}

/// `poll`, at most `MOST` events at once.
pub struct Poll<const MOST: usize, const WORDS: usize = 8>(Subscriber<Event<WORDS>>);

impl<const MOST: usize, const WORDS: usize> Receiver<WORDS> for Poll<MOST, WORDS> {
    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event<WORDS>)) -> usize {
        let polled = self.0.poll(MOST, |event, _meta| each(event));
        polled.expect("the topic is open")
    }
}

impl<const MOST: usize> Poll<MOST> {
    /// Returns the subscriber.
    pub fn into_inner(self) -> Subscriber<Event> {
        self.0
    }
}

/// Creates two ends that share one ring.
pub fn one_ring(wait: WaitStrategy) -> [OneRing; 2] {
    let (bus, topic) = topic(wait);
    [(); 2].map(|()| OneRing {
        publisher: topic.publisher().expect("the topic is open"),
        subscriber: topic.subscribe(),
        _bus: bus.clone(),
    })
}

/// Creates two ends with a lane each.
pub fn lanes(wait: WaitStrategy) -> [OwnLane; 2] {
    let bus = Bus::new();
    let builder = bus.topic_builder().capacity(CAPACITY).wait(wait);
    let lanes = builder.open_lanes().expect("they are new");
    [(); 2].map(|()| OwnLane {
        publisher: lanes.publisher().expect("the lanes are open"),
        subscriber: lanes.subscribe(),
        _bus: bus.clone(),
    })
}

/// Creates a lane to publish to, and an end with a lane of its own that reads both.
pub fn two_lanes(wait: WaitStrategy) -> (Publish<ExclusivePublisher<Event>>, OwnLane) {
    let bus = Bus::new();
    let builder = bus.topic_builder().capacity(CAPACITY).wait(wait);
    let lanes = builder.open_lanes().expect("they are new");
    let publisher = || lanes.publisher().expect("the lanes are open");
    let near = Publish {
        publisher: publisher(),
        _bus: bus.clone(),
    };
    let far = OwnLane {
        publisher: publisher(),
        subscriber: lanes.subscribe(),
        _bus: bus,
    };
    (near, far)
}

/// A publisher and a subscriber of one ring.
pub struct OneRing {
    publisher: Publisher<Event>,
    subscriber: Subscriber<Event>,
    _bus: Bus,
}

impl Duplex for OneRing {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        let sent = self.publisher.try_publish(event);
        sent.map(drop).map_err(TryPublishError::into_event)
    }

    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let polled = self.subscriber.poll(256, |event, _meta| each(event));
        polled.expect("the topic is open")
    }
}

/// The publisher of a lane, and a subscriber of all.
pub struct OwnLane {
    publisher: ExclusivePublisher<Event>,
    subscriber: MergedSubscriber<Event>,
    _bus: Bus,
}

impl Duplex for OwnLane {
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        let sent = self.publisher.try_publish(event);
        sent.map(drop).map_err(TryPublishError::into_event)
    }

    #[inline(always)]
    fn receive(&mut self, mut each: impl FnMut(&Event)) -> usize {
        let polled = self.subscriber.poll(256, |event, _meta| each(event));
        polled.expect("the lanes are open")
    }
}
