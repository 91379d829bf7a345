//! disruptor: publication into the slot, read through event pollers.
//!
//! Its documentation puts managed threads and pollers on a par; a managed thread would be a third
//! one here.

use ::disruptor::{
    BusySpin, EventPoller, MultiConsumerBarrier, MultiProducer, MultiProducerBarrier, Polling,
    Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
};

use crate::event::{BATCH, CAPACITY, Event};
use crate::halves::{Receiver, Sender, TrySender};

/// No limit to the events of one poll.
pub const ALL: usize = usize::MAX;

type Single<C, const WORDS: usize = 8> = Publish<SingleProducer<Event<WORDS>, C>>;
type Multi<C> = Publish<MultiProducer<Event, C>>;

fn empty<const WORDS: usize>() -> Event<WORDS> {
    Event::new(0)
}

/// Creates a single-producer disruptor with one poller.
pub fn single<const MOST: usize, const HINT: bool>() -> (
    Single<SingleConsumerBarrier>,
    Poll<SingleProducerBarrier, MOST, HINT>,
) {
    single_of(CAPACITY)
}

/// As [`single`], for events of any size.
pub fn single_of<const MOST: usize, const HINT: bool, const WORDS: usize>(
    capacity: usize,
) -> (
    Single<SingleConsumerBarrier, WORDS>,
    Poll<SingleProducerBarrier, MOST, HINT, WORDS>,
) {
    let builder = ::disruptor::build_single_producer(capacity, empty, BusySpin);
    let (poller, builder) = builder.new_event_poller();
    (Publish(builder.build()), Poll(poller))
}

/// Creates a multi-producer disruptor with one poller.
pub fn multi<const MOST: usize, const HINT: bool>() -> (
    Multi<SingleConsumerBarrier>,
    Poll<MultiProducerBarrier, MOST, HINT>,
) {
    let builder = ::disruptor::build_multi_producer(CAPACITY, empty, BusySpin);
    let (poller, builder) = builder.new_event_poller();
    (Publish(builder.build()), Poll(poller))
}

/// Creates a multi-producer disruptor with this many producers and one poller.
pub fn producers(
    count: usize,
) -> (
    Vec<Multi<SingleConsumerBarrier>>,
    Poll<MultiProducerBarrier, ALL, true>,
) {
    let (Publish(producer), poller) = multi();
    let producers = (0..count).map(|_| Publish(producer.clone()));
    (producers.collect(), poller)
}

/// Creates a single-producer disruptor with this many pollers.
pub fn fan_out(
    pollers: usize,
) -> (
    Single<MultiConsumerBarrier>,
    Vec<Poll<SingleProducerBarrier, ALL, true>>,
) {
    fan_out_of(pollers)
}

/// As [`fan_out`], whose pollers take at most `MOST` events at once.
pub fn fan_out_of<const MOST: usize>(
    pollers: usize,
) -> (
    Single<MultiConsumerBarrier>,
    Vec<Poll<SingleProducerBarrier, MOST, true>>,
) {
    let builder = ::disruptor::build_single_producer(CAPACITY, empty, BusySpin);
    let mut builder = builder.with_multi_consumer();
    let mut all = Vec::new();
    for _ in 0..pollers {
        let (poller, next) = builder.new_event_poller();
        all.push(Poll(poller));
        builder = next;
    }
    (Publish(builder.build()), all)
}

/// Three pollers: behind the producer, and behind others or the producer.
type Three<Second, Third> = (
    Poll<SingleProducerBarrier, ALL, true>,
    Poll<Second, ALL, true>,
    Poll<Third, ALL, true>,
);

/// Creates a single-producer disruptor with three pollers, each of which depends on the one before.
pub fn pipeline() -> (
    Single<SingleConsumerBarrier>,
    Three<SingleConsumerBarrier, SingleConsumerBarrier>,
) {
    let builder = ::disruptor::build_single_producer(CAPACITY, empty, BusySpin);
    let (one, builder) = builder.new_event_poller();
    let (two, builder) = builder.and_then().new_event_poller();
    let (three, builder) = builder.and_then().new_event_poller();
    (
        Publish(builder.build()),
        (Poll(one), Poll(two), Poll(three)),
    )
}

/// Creates a single-producer disruptor with two pollers, and a third that depends on both.
pub fn diamond() -> (
    Single<SingleConsumerBarrier>,
    Three<SingleProducerBarrier, MultiConsumerBarrier>,
) {
    let builder = ::disruptor::build_single_producer(CAPACITY, empty, BusySpin);
    let (left, builder) = builder.new_event_poller();
    let (right, builder) = builder.new_event_poller();
    let (last, builder) = builder.and_then().new_event_poller();
    (
        Publish(builder.build()),
        (Poll(left), Poll(right), Poll(last)),
    )
}

/// `publish` and `batch_publish`, which write the event in its slot.
#[derive(Clone)]
pub struct Publish<P>(P);

impl<P, const WORDS: usize> Sender<WORDS> for Publish<P>
where
    P: Producer<Event<WORDS>> + Send,
{
    #[inline(always)]
    fn send(&mut self, event: Event<WORDS>) {
        self.0.publish(|slot| *slot = event);
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) {
        self.0.batch_publish(BATCH, |slots| {
            for (slot, sequence) in slots.zip(first..) {
                *slot = Event::new(sequence);
            }
        });
    }
}

impl<P> TrySender for Publish<P>
where
    P: Producer<Event> + Send,
{
    #[inline(always)]
    fn try_send(&mut self, event: Event) -> Result<(), Event> {
        let published = self.0.try_publish(|slot| *slot = event);
        published.map(drop).map_err(|_| event)
    }
}

/// A poller that takes at most `MOST` events at once, with or without a spin hint when there is none.
pub struct Poll<B, const MOST: usize, const HINT: bool, const WORDS: usize = 8>(
    EventPoller<Event<WORDS>, B>,
);

impl<B, const MOST: usize, const HINT: bool, const WORDS: usize> Receiver<WORDS>
    for Poll<B, MOST, HINT, WORDS>
where
    EventPoller<Event<WORDS>, B>: Send + Polled<WORDS>,
{
    #[inline(always)]
    fn receive(&mut self, each: impl FnMut(&Event<WORDS>)) -> usize {
        self.0.polled(MOST as u64, each)
    }

    #[inline(always)]
    fn idle() {
        if HINT {
            std::hint::spin_loop();
        }
    }
}

/// What [`Poll`] needs of a poller.
pub trait Polled<const WORDS: usize> {
    fn polled(&mut self, most: u64, each: impl FnMut(&Event<WORDS>)) -> usize;
}

/// The bound common to the pollers of both kinds of disruptor is private to the crate, so that no
/// generic function can stand here.
macro_rules! polled {
    ($barrier:ty) => {
        impl<const WORDS: usize> Polled<WORDS> for EventPoller<Event<WORDS>, $barrier> {
            #[inline(always)]
            fn polled(&mut self, most: u64, mut each: impl FnMut(&Event<WORDS>)) -> usize {
                match self.take(most) {
                    Ok(mut events) => {
                        let count = (&mut events).len();
                        for event in &mut events {
                            each(event);
                        }
                        count
                    }
                    Err(Polling::NoEvents) => 0,
                    Err(Polling::Shutdown) => panic!("the producer is gone"),
                }
            }
        }
    };
}

polled!(SingleProducerBarrier);
polled!(MultiProducerBarrier);
polled!(SingleConsumerBarrier);
polled!(MultiConsumerBarrier);
