//! Where a new subscriber starts, and what a topic retains.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Random, assert_conserved, finishes};
use ringbus::{Bus, Overflow, Start, SubscribeError, Subscriber, Topic, TryRecvError};

fn retaining(bus: &Bus, capacity: usize, retain: usize) -> Topic<u64> {
    bus.topic_builder()
        .capacity(capacity)
        .retain(retain)
        .keep_open()
        .open()
        .unwrap()
}

fn join(topic: &Topic<u64>, start: Start) -> Subscriber<u64> {
    topic.subscriber().start(start).open().unwrap()
}

fn events(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    subscriber.try_iter().map(|(event, _)| event).collect()
}

#[test]
fn now_starts_with_the_next_event() {
    let bus = Bus::new();
    let topic = retaining(&bus, 8, 8);
    topic.publish(0).unwrap();
    let mut subscriber = topic.subscribe();
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    topic.publish(1).unwrap();
    assert_eq!(events(&mut subscriber), [1]);
}

#[test]
fn latest_starts_with_the_newest_event_or_the_next_one() {
    let bus = Bus::new();
    let topic = retaining(&bus, 8, 8);
    let mut early = join(&topic, Start::Latest);
    for event in 0..5 {
        topic.publish(event).unwrap();
    }
    let mut late = join(&topic, Start::Latest);
    topic.publish(5).unwrap();
    assert_eq!(events(&mut early), [0, 1, 2, 3, 4, 5]);
    assert_eq!(events(&mut late), [4, 5]);
}

#[test]
fn latest_finds_nothing_that_was_published_before_there_was_a_ring() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    topic.publish(0).unwrap();
    let mut subscriber = join(&topic, Start::Latest);
    topic.publish(1).unwrap();
    assert_eq!(events(&mut subscriber), [1]);
}

#[test]
fn oldest_starts_with_what_the_topic_retains() {
    let mut random = Random(7);
    for _ in 0..if cfg!(miri) { 5 } else { 300 } {
        let bus = Bus::new();
        let capacity = 1 + random.below(300) as usize;
        let capacity = capacity.next_power_of_two();
        let retain = 1 + random.below(capacity as u64) as usize;
        let topic = retaining(&bus, capacity, retain);
        let published = random.below(3 * capacity as u64 + 2);
        let exclusive = random.below(2) == 0;
        let batch = 1 + random.below(capacity as u64);
        if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            let mut next = 0;
            while next < published {
                let end = published.min(next + batch);
                publisher
                    .publish_batch((next..end).collect::<Vec<_>>())
                    .unwrap();
                next = end;
            }
        } else {
            let publisher = topic.publisher().unwrap();
            let mut next = 0;
            while next < published {
                let end = published.min(next + batch);
                publisher.publish_batch(next..end).unwrap();
                next = end;
            }
        }
        let expected: Vec<_> = (published.saturating_sub(retain as u64)..published).collect();
        for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
            let mut subscriber = topic
                .subscriber()
                .overflow(overflow)
                .start(Start::Oldest)
                .open()
                .unwrap();
            assert_eq!(
                events(&mut subscriber),
                expected,
                "retain {retain} of {capacity}"
            );
        }
        assert_conserved(&topic);
    }
}

#[test]
fn without_retain_oldest_starts_with_at_least_half_of_the_capacity() {
    for capacity in [1, 16, 32, 64, 1024] {
        let bus = Bus::new();
        let topic: Topic<u64> = bus
            .topic_builder()
            .capacity(capacity)
            .keep_open()
            .open()
            .unwrap();
        drop(topic.subscribe());
        let capacity = capacity as u64;
        for published in 0..capacity * 3 {
            topic.publish(published).unwrap();
            if published % 37 == 0 || capacity < 64 {
                let mut subscriber = join(&topic, Start::Oldest);
                let seen = events(&mut subscriber);
                let there = (published + 1).min(capacity);
                let count = seen.len() as u64;
                assert!(count <= there && count >= there.min(capacity / 2));
                assert_eq!(
                    seen,
                    (published + 1 - count..=published).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn from_starts_with_that_very_event() {
    let bus = Bus::new();
    let topic = retaining(&bus, 8, 8);
    for event in 0..20 {
        topic.publish(event).unwrap();
    }
    for wanted in 12..=20 {
        let mut subscriber = join(&topic, Start::From(wanted));
        assert_eq!(events(&mut subscriber), (wanted..20).collect::<Vec<_>>());
    }
}

#[test]
fn from_refuses_what_is_gone_and_what_is_not_yet_there() {
    let bus = Bus::new();
    let topic = retaining(&bus, 8, 8);
    for event in 0..20 {
        topic.publish(event).unwrap();
    }
    for overflow in [
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
        Overflow::Disconnect,
    ] {
        let open = |wanted| {
            topic
                .subscriber()
                .overflow(overflow)
                .start(Start::From(wanted))
                .open()
        };
        for wanted in [0, 11] {
            let error = open(wanted).unwrap_err();
            assert!(matches!(
                error,
                SubscribeError::NotRetained { wanted: refused, oldest: 12, .. } if refused == wanted
            ));
            assert_eq!(
                error.to_string(),
                format!("sequence {wanted} is no longer retained, the oldest is 12")
            );
        }
        for wanted in [21, u64::MAX] {
            let error = open(wanted).unwrap_err();
            assert!(matches!(
                error,
                SubscribeError::NotYet { wanted: refused, next: 20, .. } if refused == wanted
            ));
            assert_eq!(
                error.to_string(),
                format!("sequence {wanted} is not published yet, the next is 20")
            );
        }
    }
    assert!(
        topic.snapshot().subscribers.is_empty(),
        "a refused subscriber is none"
    );
}

#[test]
fn a_refused_subscriber_leaves_nothing_in_the_way() {
    let bus = Bus::new();
    let topic = retaining(&bus, 4, 4);
    let publisher = topic.publisher().unwrap();
    for event in 0..1000 {
        publisher.try_publish(event).unwrap();
        topic
            .subscriber()
            .start(Start::From(u64::MAX))
            .open()
            .unwrap_err();
        if event > 4 {
            topic.subscriber().start(Start::From(0)).open().unwrap_err();
        }
    }
}

#[test]
fn sequences_start_where_they_are_told_to() {
    let bus = Bus::new();
    let topic: Topic<u64> = bus
        .topic_builder()
        .capacity(4)
        .retain(4)
        .first_sequence(1_000_003)
        .open()
        .unwrap();
    assert!(matches!(
        topic.subscriber().start(Start::From(1_000_002)).open(),
        Err(SubscribeError::NotRetained {
            oldest: 1_000_003,
            ..
        })
    ));
    assert_eq!(topic.publish(7), Ok(1_000_003));
    let mut subscriber = join(&topic, Start::From(1_000_003));
    assert_eq!(subscriber.recv(), Ok(7));
    assert_eq!(topic.snapshot().published, 1);
}

#[test]
fn a_start_in_the_past_counts_from_there() {
    let bus = Bus::new();
    let topic = retaining(&bus, 8, 8);
    for event in 0..20 {
        topic.publish(event).unwrap();
    }
    let mut subscriber = topic
        .subscriber()
        .name("it")
        .start(Start::From(15))
        .open()
        .unwrap();
    let numbers = common::numbers(&topic, "it");
    assert_eq!(
        (numbers.position, numbers.published, numbers.pending),
        (15, 5, 5)
    );
    assert_eq!(events(&mut subscriber).len(), 5);
    assert_conserved(&topic);
}

#[test]
fn between_what_was_there_and_what_comes_is_neither_a_gap_nor_a_duplicate() {
    for exclusive in [false, true] {
        finishes("joining a running topic", move || {
            let bus = Bus::new();
            let topic = retaining(&bus, 64, 64);
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            let on = topic.clone();
            let publisher = thread::spawn(move || {
                let mut event = 0;
                let mut sole = exclusive.then(|| on.exclusive_publisher().unwrap());
                let shared = (!exclusive).then(|| on.publisher().unwrap());
                while !stopped.load(Ordering::Relaxed) {
                    match (&mut sole, &shared) {
                        (Some(sole), _) => assert_eq!(sole.publish(event), Ok(event)),
                        (_, Some(shared)) => assert_eq!(shared.publish(event), Ok(event)),
                        _ => unreachable!(),
                    }
                    event += 1;
                }
            });
            let starts = [Start::Now, Start::Latest, Start::Oldest];
            for round in 0..if cfg!(miri) { 5 } else { 300 } {
                let start = match topic.snapshot().published {
                    next if round % 4 == 3 => Start::From(next),
                    _ => starts[round % 3],
                };
                // The sequence may be gone again when the subscriber comes.
                let Ok(mut subscriber) = topic.subscriber().start(start).open() else {
                    continue;
                };
                let mut next = match start {
                    Start::From(sequence) => Some(sequence),
                    _ => None,
                };
                for _ in 0..100 {
                    let event = subscriber.recv().unwrap();
                    assert!(
                        next.is_none_or(|next| next == event),
                        "{start:?}: {next:?}, {event}"
                    );
                    next = Some(event + 1);
                }
            }
            stop.store(true, Ordering::Relaxed);
            publisher.join().unwrap();
        });
    }
}

#[test]
fn events_published_after_subscribe_returned_are_all_seen() {
    finishes("subscribing beside a publisher", || {
        let bus = Bus::new();
        let topic: Topic<u64> = bus.topic_builder().capacity(64).keep_open().open().unwrap();
        for _ in 0..if cfg!(miri) { 3 } else { 500 } {
            let other = topic.publisher().unwrap();
            let noise = thread::spawn(move || {
                for _ in 0..20 {
                    other.publish(u64::MAX).unwrap();
                }
            });
            let mut subscriber = topic.subscribe();
            let first = topic.publish(1).unwrap();
            let mut seen = None;
            while seen.is_none() {
                subscriber
                    .poll_wait(1, |event, meta| {
                        if *event == 1 {
                            seen = Some(meta.sequence);
                        }
                    })
                    .unwrap();
            }
            assert_eq!(seen, Some(first));
            drop(subscriber);
            noise.join().unwrap();
        }
    });
}
