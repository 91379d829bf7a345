//! Conflation by key in the ring: of what is there, the newest of each key, and every event is accounted for.

mod common;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::{assert_conserved, finishes, numbers};
use proptest::prelude::*;
use ringbus::{Budget, Bus, Meta, Overflow, PollError, Reactor, Subscriber, Topic};

type Quote = (u8, u64);

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn drain(subscriber: &mut Subscriber<Quote>) -> Vec<(u8, u64, u64)> {
    let mut shown = Vec::new();
    let count = subscriber
        .drain_latest_by(
            |quote| quote.0,
            |quote, meta| shown.push((quote.0, quote.1, meta.missed)),
        )
        .unwrap();
    assert_eq!(count, shown.len());
    shown
}

fn panics<R>(work: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

#[test]
fn the_newest_of_each_key_is_shown_in_order_and_tells_what_was_passed_over() {
    let bus = Bus::new();
    let topic = open(&bus, 16);
    let mut subscriber = topic.subscriber().name("it").open().unwrap();
    assert_eq!(drain(&mut subscriber), []);
    for quote in [(1, 10), (2, 20), (1, 11), (3, 30), (1, 12), (2, 21)] {
        topic.publish(quote).unwrap();
    }
    assert_eq!(drain(&mut subscriber), [(3, 30, 3), (1, 12, 0), (2, 21, 0)]);
    assert_eq!(drain(&mut subscriber), []);
    let it = numbers(&topic, "it");
    assert_eq!((it.delivered, it.missed, it.pending), (3, 3, 0));
    assert_conserved(&topic);
    topic.close();
    let closed = subscriber.drain_latest_by(|quote| quote.0, |_, _| ());
    assert_eq!(closed, Err(PollError::Closed));
}

#[test]
fn draining_makes_room_for_a_publisher_that_waits() {
    const EVENTS: u64 = if cfg!(miri) { 200 } else { 10_000 };
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let publishing = thread::spawn(move || {
        for value in 0..EVENTS {
            publisher.publish((value as u8 % 3, value)).unwrap();
        }
    });
    finishes("draining", move || {
        let mut last = HashMap::new();
        let mut accounted = 0;
        while accounted < EVENTS {
            let shown = subscriber
                .drain_latest_by(
                    |quote: &Quote| quote.0,
                    |quote, meta| {
                        let before = last.insert(quote.0, quote.1);
                        assert!(before.is_none_or(|before| before < quote.1));
                        accounted += meta.missed + 1;
                    },
                )
                .unwrap();
            if shown == 0 {
                // On a busy machine the publisher waits for a processor.
                thread::yield_now();
            }
        }
        assert_eq!(accounted, EVENTS);
        assert!((0..3).all(|key| last[&key] >= EVENTS - 3));
    });
    publishing.join().unwrap();
}

#[test]
fn an_event_needs_no_trait_to_be_conflated() {
    struct Opaque(String);
    let bus = Bus::new();
    let topic = open(&bus, 8);
    let mut subscriber = topic.subscribe();
    for text in ["a1", "b1", "a2"] {
        topic
            .publish(Opaque(text.to_string()))
            .map_err(drop)
            .unwrap();
    }
    let mut shown = Vec::new();
    subscriber
        .drain_latest_by(
            |event| event.0[..1].to_string(),
            |event, _| shown.push(event.0.clone()),
        )
        .unwrap();
    assert_eq!(shown, ["b1", "a2"]);
}

#[test]
fn the_type_of_the_key_may_change_from_call_to_call() {
    let bus = Bus::new();
    let topic = open(&bus, 8);
    let mut subscriber = topic.subscribe();
    for _ in 0..3 {
        for quote in [(1, 1), (2, 2), (1, 3)] {
            topic.publish(quote).unwrap();
        }
        assert_eq!(drain(&mut subscriber).len(), 2);
        for quote in [(1, 1), (2, 2), (1, 3)] {
            topic.publish(quote).unwrap();
        }
        let shown = subscriber.drain_latest_by(|quote| u64::from(quote.0), |_, _| ());
        assert_eq!(shown, Ok(2));
    }
}

#[test]
fn refused_events_are_neither_shown_nor_conflated_with() {
    let bus = Bus::new();
    let topic = open(&bus, 16);
    let mut subscriber = topic
        .subscriber()
        .name("it")
        .filter(|quote: &Quote| quote.1 < 100)
        .open()
        .unwrap();
    for quote in [(1, 100), (1, 10), (1, 101), (2, 20), (2, 21), (1, 102)] {
        topic.publish(quote).unwrap();
    }
    assert_eq!(drain(&mut subscriber), [(1, 10, 0), (2, 21, 1)]);
    let it = numbers(&topic, "it");
    assert_eq!((it.delivered, it.filtered, it.missed), (2, 3, 1));
    topic.publish((1, 103)).unwrap();
    assert_eq!(drain(&mut subscriber), []);
    assert_conserved(&topic);
}

#[test]
fn holes_are_passed_over() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut subscriber = topic.subscriber().name("it").open().unwrap();
    let mut holder = topic
        .subscriber()
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let mut last = HashMap::new();
    for round in 0..100_u64 {
        publisher.publish((0, round)).unwrap();
        last.insert(0, round);
        // It holds the slot from here on, so that the publisher steps over it.
        holder.poll_batch(1, |_| ()).unwrap();
        for key in 1..6 {
            publisher.publish((key, round)).unwrap();
            publisher.publish((key, round + 1)).unwrap();
        }
        let shown = drain(&mut subscriber);
        assert_eq!(shown.len(), 6);
        assert_eq!(shown.iter().map(|(_, _, missed)| missed).sum::<u64>(), 5);
    }
    let it = numbers(&topic, "it");
    assert!(it.position > it.published, "there were holes");
    assert_conserved(&topic);
}

#[test]
fn a_lossy_subscriber_conflates_what_it_claims_and_tells_what_it_lost() {
    for overflow in [Overflow::DropOldest, Overflow::Disconnect, Overflow::Latest] {
        let bus = Bus::new();
        let topic = open(&bus, 1024);
        let mut subscriber = topic
            .subscriber()
            .name("it")
            .overflow(overflow)
            .open()
            .unwrap();
        let count = if overflow == Overflow::Disconnect {
            1000
        } else {
            3000
        };
        for value in 0..count {
            topic.publish((value as u8 % 4, value)).unwrap();
        }
        let shown = drain(&mut subscriber);
        let accounted: u64 = shown.iter().map(|(_, _, missed)| missed + 1).sum();
        assert_eq!(accounted, count, "{overflow:?}");
        let newest = shown.iter().map(|quote| quote.1).max();
        assert_eq!(newest, Some(count - 1));
        if overflow != Overflow::Latest {
            for key in 0..4 {
                let of_key: Vec<_> = shown.iter().filter(|quote| quote.0 == key).collect();
                assert!(of_key.windows(2).all(|pair| pair[0].1 < pair[1].1));
                assert!(of_key.last().unwrap().1 >= count - 4);
            }
            assert!(shown.len() < 1000, "it conflates");
        }
        assert_conserved(&topic);
        assert_eq!(drain(&mut subscriber), []);
    }
}

#[test]
fn a_drain_ends_although_the_publisher_does_not() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        topic.publish((0, 0)).unwrap();
        let mut shown = 0;
        // The handler publishes for each event that it is shown.
        subscriber
            .drain_latest_by(
                |quote| quote.0,
                |_, _| {
                    topic.publish((0, 0)).unwrap();
                    shown += 1;
                },
            )
            .unwrap();
        assert_eq!(shown, 1);
    }
}

#[test]
fn a_panicking_handler_is_done_with_its_event_and_loses_no_other() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open(&bus, 256);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        for quote in [(1, 10), (2, 20), (1, 11), (3, 30), (2, 21), (4, 40)] {
            topic.publish(quote).unwrap();
        }
        let mut shown = Vec::new();
        assert!(panics(|| {
            subscriber.drain_latest_by(
                |quote| quote.0,
                |quote, meta| {
                    shown.push((*quote, meta.missed));
                    assert_ne!(quote.0, 3, "the handler panics");
                },
            )
        }));
        assert_eq!(shown, [((1, 11), 2), ((3, 30), 0)]);
        assert_conserved(&topic);
        topic.publish((2, 22)).unwrap();
        let rest = match overflow {
            Overflow::Block => vec![(4, 40, 1), (2, 22, 0)],
            // What is left of its claim comes first.
            _ => vec![(2, 21, 0), (4, 40, 0), (2, 22, 0)],
        };
        assert_eq!(drain(&mut subscriber), rest);
        assert_conserved(&topic);
    }
}

/// A key whose `Hash` or `Eq` panics when it is told to.
#[derive(Clone)]
struct Touchy {
    key: u8,
    hash: bool,
    eq: bool,
}

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!self.hash, "hashing panics");
        self.key.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(!self.eq && !other.eq, "comparing panics");
        self.key == other.key
    }
}

impl Eq for Touchy {}

#[test]
fn a_panic_about_a_key_is_done_with_its_event_and_loses_no_other() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        for what in ["key", "hash", "eq", "filter"] {
            let bus = Bus::new();
            let topic = open::<Quote>(&bus, 256);
            let mut subscriber = topic
                .subscriber()
                .name("it")
                .overflow(overflow)
                .filter(move |quote| {
                    assert!(quote.1 != 666 || what != "filter", "the filter panics");
                    true
                })
                .open()
                .unwrap();
            for quote in [(1, 10), (2, 20), (1, 11), (2, 666), (2, 21), (1, 12)] {
                topic.publish(quote).unwrap();
            }
            let mut shown = Vec::new();
            let mut drain = || {
                subscriber
                    .drain_latest_by(
                        |quote| {
                            let touchy = quote.1 == 666;
                            assert!(!touchy || what != "key", "telling the key panics");
                            Touchy {
                                key: quote.0,
                                hash: touchy && what == "hash",
                                eq: touchy && what == "eq",
                            }
                        },
                        |quote, meta| shown.push((*quote, meta.missed)),
                    )
                    .unwrap()
            };
            assert!(panics(&mut drain), "{what}");
            assert_eq!(drain(), 2, "{what}");
            assert_eq!(
                shown,
                [((2, 20), 1), ((1, 11), 0), ((2, 21), 0), ((1, 12), 0)],
                "{what}"
            );
            let it = numbers(&topic, "it");
            assert_eq!((it.delivered, it.missed), (5, 1), "{what}");
            assert_conserved(&topic);
        }
    }
}

#[test]
fn every_key_is_dropped_once_also_when_its_drop_panics() {
    static ALIVE: AtomicU64 = AtomicU64::new(0);
    #[derive(PartialEq, Eq, Hash)]
    struct Key(u8);
    impl Drop for Key {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Ordering::Relaxed);
            assert!(self.0 != 9 || thread::panicking(), "dropping panics");
        }
    }
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 16);
    let mut subscriber = topic.subscribe();
    let mut shown = Vec::new();
    let mut drain = || {
        subscriber.drain_latest_by(
            |quote| {
                ALIVE.fetch_add(1, Ordering::Relaxed);
                Key(quote.0)
            },
            |quote, _| shown.push(*quote),
        )
    };
    for quote in [(1, 1), (9, 2), (1, 3)] {
        topic.publish(quote).unwrap();
    }
    assert!(panics(&mut drain));
    for quote in [(1, 4), (2, 5), (2, 6)] {
        topic.publish(quote).unwrap();
    }
    drain().unwrap();
    assert_eq!(shown, [(9, 2), (1, 3), (1, 4), (2, 6)]);
    drop(subscriber);
    assert_eq!(ALIVE.load(Ordering::Relaxed), 0);
}

#[test]
fn a_batch_in_a_reactor_is_conflated_and_counts_as_handled() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let mut reactor = Reactor::<Vec<(Quote, u64)>>::new();
    reactor.on_batch(topic.subscribe(), |shown, batch, _| {
        // The first is taken as it is.
        shown.extend(batch.next().map(|(quote, meta)| (*quote, meta.missed)));
        let count = batch.latest_by(
            |quote| quote.0,
            |quote, meta: Meta| shown.push((*quote, meta.missed)),
        );
        assert_eq!(count, 2);
        assert!(batch.next().is_none());
    });
    for quote in [(1, 0), (1, 1), (2, 2), (1, 3)] {
        topic.publish(quote).unwrap();
    }
    let mut shown = Vec::new();
    let turn = reactor.turn(&mut shown, Budget::events(100));
    assert_eq!(shown, [((1, 0), 0), ((2, 2), 1), ((1, 3), 0)]);
    assert_eq!((turn.handled, turn.pending), (4, 0));
    assert_conserved(&topic);
}

#[test]
fn a_hook_is_called_for_what_comes_after_a_drain_that_found_nothing() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        let calls = Arc::new(AtomicU64::new(0));
        let called = Arc::clone(&calls);
        subscriber.on_ready(move || {
            called.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(drain(&mut subscriber), []);
        let before = calls.load(Ordering::Relaxed);
        topic.publish((1, 1)).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), before + 1);
        assert_eq!(drain(&mut subscriber).len(), 1);
        assert_eq!(drain(&mut subscriber), []);
        topic.publish((1, 1)).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), before + 2);
    }
}

/// What conflation shows, told plainly: the last of each key, in order, with what was passed over before it.
fn naive(events: &[Quote], filter: fn(&Quote) -> bool) -> Vec<(u8, u64, u64)> {
    let events: Vec<_> = events.iter().filter(|quote| filter(quote)).collect();
    let mut shown = Vec::new();
    let mut missed = 0;
    for (index, quote) in events.iter().enumerate() {
        if events[index + 1..].iter().any(|later| later.0 == quote.0) {
            missed += 1;
        } else {
            shown.push((quote.0, quote.1, missed));
            missed = 0;
        }
    }
    shown
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    #[test]
    fn a_drain_shows_what_the_naive_model_shows(
        rounds in prop::collection::vec(prop::collection::vec((0..6_u8, 0..100_u64), 0..16), 1..12),
        filtered in any::<bool>(),
        lossless in any::<bool>(),
        polled in 0..3_usize,
    ) {
        let filter: fn(&Quote) -> bool = if filtered { |quote| quote.1 % 3 != 0 } else { |_| true };
        let bus = Bus::new();
        // A lossy subscriber claims more than a round at a time.
        let topic = open::<Quote>(&bus, if lossless { 16 } else { 1024 });
        let overflow = if lossless { Overflow::Block } else { Overflow::DropOldest };
        let mut subscriber = topic
            .subscriber()
            .overflow(overflow)
            .filter(filter)
            .open()
            .unwrap();
        for round in &rounds {
            for quote in round {
                topic.publish(*quote).unwrap();
            }
            // Some are taken as they are.
            let mut events = round.iter().copied().filter(filter);
            for _ in 0..polled {
                let mut taken = None;
                subscriber.poll(1, |quote, _| taken = Some(*quote)).unwrap();
                prop_assert_eq!(taken, events.next());
            }
            let rest: Vec<_> = events.collect();
            prop_assert_eq!(drain(&mut subscriber), naive(&rest, |_| true));
            assert_conserved(&topic);
        }
    }
}
