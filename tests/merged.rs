//! Many topics read as one: who is followed, in which order, what is lost, how it ends.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ringbus::{
    Bus, MergedSubscriber, Overflow, PollError, PublishError, RecvError, RecvTimeoutError, Start,
    SubscribeError, Topic, TopicError, TryPublishError, TryRecvError, WaitStrategy,
};

fn small_of<T: Send + Sync + 'static>(bus: &Bus, name: &str, capacity: usize) -> Topic<T> {
    let topic = bus.topic_builder().name(name).capacity(capacity);
    topic.keep_open().open().unwrap()
}

fn small(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    small_of(bus, name, capacity)
}

fn publish(topic: &Topic<u64>, events: impl IntoIterator<Item = u64>) {
    for event in events {
        topic.publish(event).unwrap();
    }
}

/// What is there now, by topic.
fn drain(merged: &mut MergedSubscriber<u64>) -> BTreeMap<String, Vec<u64>> {
    let mut seen = BTreeMap::<String, Vec<u64>>::new();
    loop {
        let shown = merged.poll(1024, |event, meta| {
            assert_eq!(meta.missed, 0);
            seen.entry(meta.topic.to_string()).or_default().push(*event);
        });
        if shown.is_err() || shown == Ok(0) {
            return seen;
        }
    }
}

fn seen<const N: usize>(expected: [(&str, &[u64]); N]) -> BTreeMap<String, Vec<u64>> {
    let expected = expected.iter();
    expected
        .map(|(topic, events)| (topic.to_string(), events.to_vec()))
        .collect()
}

#[test]
fn topics_that_exist_and_topics_that_come_later_are_followed() {
    let bus = Bus::new();
    let early = bus.topic_named::<u64>("md.spot.btcusdt").unwrap();
    early.publish(0).unwrap();
    let mut merged = bus.subscribe_pattern::<u64>("md.*.btcusdt").unwrap();
    early.publish(1).unwrap();
    let late = bus.topic_named::<u64>("md.perp.btcusdt").unwrap();
    late.publish(2).unwrap();
    early.publish(3).unwrap();
    late.publish(4).unwrap();
    assert_eq!(
        drain(&mut merged),
        seen([("md.perp.btcusdt", &[2, 4]), ("md.spot.btcusdt", &[1, 3])])
    );
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn other_names_other_types_topics_without_a_name_and_lanes_are_not_followed() {
    let bus = Bus::new();
    let other_type = bus.topic_named::<i64>("a").unwrap();
    let mut merged = bus.subscribe_pattern::<u64>(">").unwrap();
    let mut below = bus.subscribe_pattern::<u64>("a.>").unwrap();
    other_type.publish(1).unwrap();
    bus.topic_named::<i64>("b").unwrap().publish(2).unwrap();
    bus.publish(3_u64).unwrap();
    let mut lane = bus.lanes::<u64>("a").unwrap().publisher().unwrap();
    lane.publish(4).unwrap();
    bus.topic_named::<u64>("a").unwrap().publish(5).unwrap();
    assert_eq!(drain(&mut merged), seen([("a", &[5])]));
    assert_eq!(drain(&mut below), seen([]));
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let bus = Bus::new();
    assert_eq!(
        bus.subscribe_pattern::<u64>("a.>.b")
            .unwrap_err()
            .position(),
        2
    );
    assert_eq!(
        bus.pattern_subscriber::<u64>("a.").unwrap_err().position(),
        2
    );
}

#[test]
fn a_subscription_by_pattern_has_a_name_of_1_to_255_bytes_also_without_topics() {
    let bus = Bus::new();
    let builder = || bus.pattern_subscriber::<u64>("*").unwrap();
    assert_eq!(
        builder().name("").open().unwrap_err(),
        SubscribeError::Name(0)
    );
    let error = builder().name("x".repeat(256)).open().unwrap_err();
    assert_eq!(error, SubscribeError::Name(256));
    let _merged = builder().name("risk").open().unwrap();
    let topic = small(&bus, "a", 4);
    assert_eq!(
        topic.snapshot().subscribers[0].name.as_deref(),
        Some("risk")
    );
}

/// Threads open topics and publish while others subscribe.
#[test]
fn no_event_is_missed_or_seen_twice_while_topics_and_patterns_appear() {
    const OPENERS: usize = 2;
    const TOPICS: usize = if cfg!(miri) { 4 } else { 40 };
    const EVENTS: u64 = 20;
    for _ in 0..if cfg!(miri) { 1 } else { 10 } {
        let bus = Bus::new();
        let start = Barrier::new(OPENERS + 2);
        // Set when the subscription is there.
        let subscribed = [AtomicBool::new(false), AtomicBool::new(false)];
        thread::scope(|scope| {
            let (bus, start, subscribed) = (&bus, &start, &subscribed);
            let openers: Vec<_> = (0..OPENERS)
                .map(|opener| {
                    scope.spawn(move || {
                        start.wait();
                        let mut firsts = Vec::new();
                        for topic in 0..TOPICS {
                            let name = format!("t.{opener}.{topic}");
                            let topic = small(bus, &name, 32);
                            for event in 0..EVENTS {
                                let known = subscribed
                                    .each_ref()
                                    .map(|flag| flag.load(Ordering::Acquire));
                                topic.publish(event).unwrap();
                                firsts.push((name.clone(), event, known));
                            }
                        }
                        firsts
                    })
                })
                .collect();
            let readers: Vec<_> = (0..2)
                .map(|reader: usize| {
                    scope.spawn(move || {
                        start.wait();
                        let mut merged = bus.subscribe_pattern::<u64>("t.>").unwrap();
                        subscribed[reader].store(true, Ordering::Release);
                        let mut seen = HashMap::<String, Vec<u64>>::new();
                        while let Ok(delivery) = merged.recv() {
                            let events = seen.entry(delivery.topic.to_string());
                            events.or_default().push(delivery.event);
                        }
                        seen
                    })
                })
                .collect();
            let published: Vec<_> = openers
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect();
            while !subscribed.iter().all(|flag| flag.load(Ordering::Acquire)) {
                thread::yield_now();
            }
            bus.close();
            for (reader, thread) in readers.into_iter().enumerate() {
                let seen = thread.join().unwrap();
                for events in seen.values() {
                    let first = events[0];
                    assert!(
                        events.iter().copied().eq(first..EVENTS),
                        "a gap or a duplicate: {events:?}"
                    );
                }
                for (topic, event, known) in &published {
                    assert!(
                        !known[reader] || seen[topic].contains(event),
                        "{event} of {topic} was published after the subscription"
                    );
                }
            }
        });
    }
}

#[test]
fn each_topic_keeps_its_order() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let events = if cfg!(miri) { 100 } else { 20_000_u64 };
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let topic = small(&bus, name, 64);
            scope.spawn(move || publish(&topic, 0..events));
        }
        let mut next = HashMap::<Arc<str>, u64>::new();
        let mut left = 3 * events;
        while left > 0 {
            left -= merged
                .poll_wait(100, |event, meta| {
                    let next = next.entry(Arc::clone(meta.topic)).or_default();
                    assert_eq!((*event, meta.sequence, meta.missed), (*next, *next, 0));
                    *next += 1;
                })
                .unwrap() as u64;
        }
    });
}

#[test]
fn topics_take_turns_of_64_events() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    for name in ["a", "b", "c"] {
        let topic = small(&bus, name, 256);
        publish(&topic, 0..200);
    }
    let mut runs: Vec<(String, u64)> = Vec::new();
    let shown = merged.poll(3 * 64 + 10, |_, meta| match runs.last_mut() {
        Some((topic, length)) if **topic == **meta.topic => *length += 1,
        _ => runs.push((meta.topic.to_string(), 1)),
    });
    assert_eq!(shown, Ok(202));
    assert_eq!(
        runs.iter().map(|run| run.1).collect::<Vec<_>>(),
        [64, 64, 64, 10]
    );
    assert_eq!(runs[0].0, runs[3].0);
    // `recv` goes from one to the next.
    let topics: Vec<_> = (0..6).map(|_| merged.recv().unwrap().topic).collect();
    assert_eq!(topics[..3], topics[3..]);
    assert!(topics[0] != topics[1] && topics[1] != topics[2] && topics[2] != topics[0]);
}

#[test]
fn a_topic_that_closes_is_read_to_its_end_and_forgotten() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let one = small(&bus, "one", 4);
    let other = small(&bus, "other", 4);
    assert_eq!(merged.snapshot().topics, 2);
    one.publish(1).unwrap();
    one.close();
    other.publish(2).unwrap();
    assert_eq!(drain(&mut merged), seen([("one", &[1]), ("other", &[2])]));
    assert_eq!(merged.snapshot().topics, 1);
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    other.publish(3).unwrap();
    assert_eq!(drain(&mut merged), seen([("other", &[3])]));
}

#[test]
fn a_topic_that_is_opened_again_is_joined_again() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    for round in 0..5 {
        let topic = small(&bus, "a", 4);
        assert_eq!(topic.publish(10 * round).unwrap(), 0);
        topic.publish(10 * round + 1).unwrap();
        topic.close();
    }
    // None of them has been read yet: they are five topics of one name, each in its order.
    assert_eq!(merged.snapshot().topics, 5);
    let mut events = drain(&mut merged).remove("a").unwrap();
    assert!(events.chunks(2).all(|pair| pair[1] == pair[0] + 1));
    events.sort_unstable();
    assert_eq!(events, [0, 1, 10, 11, 20, 21, 30, 31, 40, 41]);
    assert_eq!(merged.snapshot().topics, 0);
}

#[test]
fn the_end_comes_when_the_bus_is_closed_and_everything_is_read() {
    let bus = Bus::new();
    let topic = small(&bus, "a", 4);
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    bus.close();
    assert!(small(&bus, "b", 4).is_closed());
    assert_eq!(merged.recv().unwrap().event, 1);
    assert_eq!(merged.recv().unwrap().event, 2);
    for _ in 0..2 {
        assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
        assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Closed);
        assert_eq!(merged.poll(4, |_, _| {}), Err(PollError::Closed));
        assert_eq!(merged.poll_wait(4, |_, _| {}), Err(PollError::Closed));
    }
    assert_eq!(merged.poll(0, |_, _| {}), Ok(0));
}

#[test]
fn the_end_comes_when_the_last_handle_of_the_bus_is_dropped() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let topic = small(&bus, "a", 4);
    topic.publish(1).unwrap();
    drop(bus);
    assert_eq!(merged.recv().unwrap().event, 1);
    assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
}

#[test]
fn on_a_closed_bus_it_is_closed_from_the_start() {
    let bus = Bus::new();
    small(&bus, "a", 4).publish(1).unwrap();
    bus.close();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
    assert_eq!(merged.snapshot().topics, 0);
}

#[test]
fn a_lossless_one_makes_the_publishers_of_each_topic_wait() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let (full, other) = (small(&bus, "full", 2), small(&bus, "other", 2));
    let (publisher, other) = (full.publisher().unwrap(), other.publisher().unwrap());
    publisher.publish(1).unwrap();
    publisher.publish(2).unwrap();
    assert_eq!(publisher.try_publish(3), Err(TryPublishError::Full(3)));
    other.try_publish(4).unwrap();
    merged.poll(64, |_, _| {}).unwrap();
    publisher.try_publish(3).unwrap();
}

#[test]
fn a_drop_oldest_one_is_told_how_many_it_missed_of_each_topic() {
    let bus = Bus::new();
    let mut merged = bus
        .pattern_subscriber::<u64>("*")
        .unwrap()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let (a, b) = (small(&bus, "a", 4), small(&bus, "b", 4));
    publish(&a, 0..10);
    publish(&b, 0..7);
    let mut told = BTreeMap::<String, Vec<(u64, u64)>>::new();
    merged
        .poll(64, |event, meta| {
            told.entry(meta.topic.to_string())
                .or_default()
                .push((*event, meta.missed));
        })
        .unwrap();
    assert_eq!(told["a"], [(6, 6), (7, 0), (8, 0), (9, 0)]);
    assert_eq!(told["b"], [(3, 3), (4, 0), (5, 0), (6, 0)]);
    // The counters outside say the same.
    for (topic, missed) in [(a, 6), (b, 3)] {
        let snapshot = topic.snapshot();
        let subscriber = &snapshot.subscribers[0];
        assert_eq!(
            (subscriber.delivered, subscriber.missed, subscriber.pending),
            (4, missed, 0)
        );
    }
}

#[test]
fn recv_tells_a_loss_with_the_event_behind_it() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let mut merged = builder.overflow(Overflow::DropOldest).open().unwrap();
    let topic = small(&bus, "a", 4);
    publish(&topic, 0..6);
    let delivery = merged.recv().unwrap();
    assert_eq!(
        (delivery.event, delivery.missed, delivery.sequence),
        (2, 2, 2)
    );
    assert_eq!(merged.recv().unwrap().missed, 0);
}

#[test]
fn a_loss_that_no_event_follows_is_told_before_the_end() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let mut merged = builder
        .overflow(Overflow::DropOldest)
        .filter(|event| *event < 3)
        .open()
        .unwrap();
    let topic = small(&bus, "a", 4);
    // 0 to 5 are lost; the filter refuses what is left.
    publish(&topic, 0..10);
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    topic.close();
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Missed(6));
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    bus.close();
    assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
}

#[test]
fn a_latest_one_is_shown_the_newest_event_of_each_topic() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let mut merged = builder.overflow(Overflow::Latest).open().unwrap();
    assert_eq!(merged.overflow(), Overflow::Latest);
    let topics = ["a", "b"].map(|name| small(&bus, name, 4));
    for event in 0..20 {
        topics.iter().for_each(|topic| publish(topic, [event]));
    }
    let mut shown = Vec::new();
    let count = merged.poll(64, |event, meta| {
        shown.push((meta.topic.to_string(), *event, meta.missed));
        // Newer than the newest of this call.
        topics.iter().for_each(|topic| publish(topic, [100]));
    });
    shown.sort();
    assert_eq!(count, Ok(2));
    assert_eq!(shown[0], ("a".into(), 19, 19));
    assert_eq!((shown[1].0.as_str(), shown[1].1), ("b", 100));
}

#[test]
fn a_disconnect_one_ends_when_it_is_a_full_ring_behind_in_one_topic() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let mut merged = builder.overflow(Overflow::Disconnect).open().unwrap();
    let (full, other) = (small(&bus, "full", 4), small(&bus, "other", 4));
    publish(&full, 0..5);
    other.publish(1).unwrap();
    let mut error = merged.recv().unwrap_err_or_next(&mut merged);
    assert_eq!(error, RecvError::Disconnected(4));
    error = merged.recv().unwrap_err();
    assert_eq!(error, RecvError::Closed);
    // It has left them all, and joins no more.
    let late = small(&bus, "late", 4);
    assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
    for topic in [full, other, late] {
        assert!(topic.snapshot().subscribers.is_empty(), "{topic:?}");
    }
}

/// The events of other topics may come first.
trait Next {
    fn unwrap_err_or_next(self, merged: &mut MergedSubscriber<u64>) -> RecvError;
}

impl Next for Result<ringbus::Delivery<u64>, RecvError> {
    fn unwrap_err_or_next(self, merged: &mut MergedSubscriber<u64>) -> RecvError {
        self.map(|_| ())
            .err()
            .unwrap_or_else(|| merged.recv().unwrap_err())
    }
}

#[test]
fn a_topic_that_has_no_room_for_those_who_follow_its_name_is_not_opened() {
    let bus = Bus::new();
    let mut followers: Vec<_> = (0..33)
        .map(|_| {
            let builder = bus.pattern_subscriber::<u64>("a.>").unwrap();
            builder.overflow(Overflow::DropOldest).open().unwrap()
        })
        .collect();
    let open = || bus.topic_builder::<u64>().name("a.b").capacity(4).open();
    let error = open().unwrap_err();
    assert_eq!(error, TopicError::TooManyLossy(32));
    assert!(
        error
            .to_string()
            .starts_with("topic takes at most 32 lossy subscribers")
    );
    assert!(bus.snapshot().topics.is_empty());
    for follower in &mut followers {
        assert_eq!(follower.poll(4, |_, _| {}), Ok(0));
        assert_eq!(follower.snapshot().topics, 0);
    }
    // Where there is room there is a topic.
    followers.pop();
    open().unwrap().publish(7).unwrap();
    for follower in &mut followers {
        assert_eq!(follower.recv().unwrap().event, 7);
    }
    // And who comes when it is there is refused by it.
    let builder = bus.pattern_subscriber::<u64>("a.*").unwrap();
    let error = builder.overflow(Overflow::Latest).open().unwrap_err();
    assert_eq!(error, SubscribeError::TooManyLossy(32));
}

#[test]
fn it_starts_at_retained_events_of_topics_that_are_there() {
    let bus = Bus::new();
    let builder = bus.topic_builder::<u64>().name("old").retain(4).keep_open();
    let old = builder.open().unwrap();
    publish(&old, 0..9);
    let builder = bus.pattern_subscriber("*").unwrap();
    let mut merged = builder.start(Start::Oldest).open().unwrap();
    small(&bus, "new", 4).publish(1).unwrap();
    assert_eq!(
        drain(&mut merged),
        seen([("new", &[1]), ("old", &[5, 6, 7, 8])])
    );
    let builder = bus.pattern_subscriber::<u64>("old").unwrap();
    let error = builder.start(Start::From(100)).open().unwrap_err();
    assert!(matches!(
        error,
        SubscribeError::NotYet {
            wanted: 100,
            next: 9,
            ..
        }
    ));
}

#[test]
fn a_filter_is_asked_for_every_topic_and_counted() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let mut merged = builder.filter(|event| event % 2 == 0).open().unwrap();
    let topics = ["a", "b"].map(|name| small(&bus, name, 16));
    for event in 0..10 {
        topics.iter().for_each(|topic| publish(topic, [event]));
    }
    let even: &[u64] = &[0, 2, 4, 6, 8];
    assert_eq!(drain(&mut merged), seen([("a", even), ("b", even)]));
    for topic in topics {
        let snapshot = topic.snapshot();
        let subscriber = &snapshot.subscribers[0];
        assert_eq!(
            (
                subscriber.delivered,
                subscriber.filtered,
                subscriber.pending
            ),
            (5, 5, 0)
        );
    }
}

#[test]
fn a_filter_that_refuses_everything_does_not_keep_a_call() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let mut merged = builder.filter(|_| false).open().unwrap();
    let topic = small(&bus, "a", 64);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                topic.publish(1).unwrap();
            }
        });
        for _ in 0..20 {
            assert_eq!(merged.poll(64, |_, _| {}), Ok(0));
            assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
        }
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(merged.poll_deadline(64, deadline, |_, _| {}), Ok(0));
        stop.store(true, Ordering::Relaxed);
        drop(merged);
    });
}

#[test]
fn a_handler_that_publishes_to_its_own_topics_does_not_keep_a_call() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let topic = small(&bus, "a", 128);
    topic.publish(0).unwrap();
    let shown = merged.poll(usize::MAX, |event, _| {
        topic.publish(event + 1).unwrap();
    });
    assert!((1..=256).contains(&shown.unwrap()), "shown {shown:?}");
    assert_eq!(merged.poll(1, |_, _| {}), Ok(1));
}

/// Counted, not timed.
#[test]
fn looks_do_not_grow_with_the_topics_that_are_followed() {
    let looks = |topics: usize| {
        let bus = Bus::new();
        let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
        let all: Vec<_> = (0..topics)
            .map(|topic| small(&bus, &topic.to_string(), 2))
            .collect();
        assert_eq!(merged.poll(4, |_, _| {}), Ok(0));
        let active = &all[topics / 2];
        let before = merged.snapshot().looks;
        for event in 0..1000 {
            active.publish(event).unwrap();
            assert_eq!(merged.poll(4, |seen, _| assert_eq!(*seen, event)), Ok(1));
            assert_eq!(merged.poll(4, |_, _| {}), Ok(0));
        }
        merged.snapshot().looks - before
    };
    let topics = if cfg!(miri) { 100 } else { 2000 };
    let (few, many) = (looks(2), looks(topics));
    assert_eq!(few, many);
    assert!(few <= 4000, "{few} looks for 1000 events and 2000 calls");
}

/// Many that had events a moment ago are not looked at for ever either.
#[test]
fn topics_that_fall_silent_are_looked_at_no_more() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let all: Vec<_> = (0..1000)
        .map(|topic| small(&bus, &topic.to_string(), 2))
        .collect();
    for topic in &all {
        topic.publish(1).unwrap();
    }
    assert_eq!(merged.poll(usize::MAX, |_, _| {}), Ok(1000));
    for _ in 0..10 {
        assert_eq!(merged.poll(4, |_, _| {}), Ok(0));
    }
    let before = merged.snapshot().looks;
    for _ in 0..1000 {
        assert_eq!(merged.poll(4, |_, _| {}), Ok(0));
    }
    assert_eq!(merged.snapshot().looks, before);
    // And each of them is found when it has something.
    for (event, topic) in (0..).zip(&all) {
        topic.publish(event).unwrap();
        assert_eq!(merged.recv().unwrap().event, event);
    }
}

#[test]
fn a_panic_of_the_handler_costs_the_event_it_was_given_and_no_other() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    for name in ["a", "b"] {
        let topic = small(&bus, name, 8);
        publish(&topic, 0..5);
    }
    let mut seen = BTreeMap::<String, Vec<u64>>::new();
    let mut panics = 0;
    while seen.values().map(Vec::len).sum::<usize>() < 10 {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            merged.poll(64, |event, meta| {
                seen.entry(meta.topic.to_string()).or_default().push(*event);
                assert!(event % 2 == 0, "odd events are not for this handler");
            })
        }));
        panics += usize::from(polled.is_err());
    }
    assert_eq!(panics, 4);
    assert!(
        seen.values().all(|events| *events == [0, 1, 2, 3, 4]),
        "{seen:?}"
    );
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn a_panic_of_a_clone_or_a_filter_costs_the_event_it_was_given_and_no_other() {
    #[derive(Debug)]
    struct Fragile(u64);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(self.0 != 1, "not this one");
            Self(self.0)
        }
    }
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<Fragile>("*").unwrap();
    let mut merged = builder
        .filter(|event| {
            assert!(event.0 != 3, "nor this one");
            true
        })
        .open()
        .unwrap();
    let topic = small_of(&bus, "a", 8);
    for event in 0..5 {
        topic.publish(Fragile(event)).unwrap();
    }
    let outcomes: Vec<_> = (0..5)
        .map(|_| catch_unwind(AssertUnwindSafe(|| merged.recv().unwrap().event.0)).ok())
        .collect();
    assert_eq!(outcomes, [Some(0), None, Some(2), None, Some(4)]);
}

#[test]
fn it_sleeps_and_is_woken_by_an_event_a_new_topic_and_the_end() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let topic = small(&bus, "a", 4);
    let (tell, told) = mpsc::channel();
    let reader = thread::spawn(move || {
        loop {
            match merged.recv() {
                Ok(_) => tell.send(merged.snapshot().parked).unwrap(),
                Err(error) => return error,
            }
        }
    });
    let mut parked = 0;
    // Again, until it was asleep for it.
    let mut wakes = |wake: &dyn Fn(usize)| {
        for attempt in 0.. {
            thread::sleep(Duration::from_millis(5 << attempt));
            wake(attempt);
            let before = std::mem::replace(&mut parked, told.recv().unwrap());
            if parked > before {
                return;
            }
        }
    };
    wakes(&|_| publish(&topic, [1]));
    wakes(&|attempt| publish(&small(&bus, &attempt.to_string(), 4), [2]));
    wakes(&|_| publish(&topic, [3]));
    thread::sleep(Duration::from_millis(20));
    bus.close();
    assert_eq!(reader.join().unwrap(), RecvError::Closed);
}

#[test]
fn every_wait_strategy_waits() {
    for strategy in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
        let bus = Bus::new();
        let builder = bus.pattern_subscriber::<u64>("*").unwrap();
        let mut merged = builder.wait(strategy).open().unwrap();
        let opener = bus.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5));
            small(&opener, "a", 4).publish(1).unwrap();
        });
        assert_eq!(merged.recv().unwrap().event, 1);
        let timeout = Duration::from_millis(5);
        assert_eq!(
            merged.recv_timeout(timeout).unwrap_err(),
            RecvTimeoutError::Timeout
        );
        let deadline = Instant::now() + timeout;
        assert_eq!(
            merged.recv_deadline(deadline).unwrap_err(),
            RecvTimeoutError::Timeout
        );
        assert!(Instant::now() >= deadline);
        assert_eq!(merged.poll_deadline(4, Instant::now(), |_, _| {}), Ok(0));
        thread.join().unwrap();
    }
}

#[test]
fn dropping_it_frees_the_publishers_that_wait_for_it() {
    let bus = Bus::new();
    let merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let topic = small(&bus, "a", 2);
    let publisher = thread::spawn(move || {
        publish(&topic, 0..10);
    });
    thread::sleep(Duration::from_millis(20));
    drop(merged);
    publisher.join().unwrap();
}

/// Its members are joined by those who open topics, and read by another thread.
#[test]
fn who_opens_a_topic_and_fills_it_waits_for_the_reader() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let opener = bus.clone();
    let publisher = thread::spawn(move || {
        let topic = small(&opener, "a", 2);
        (0..4).try_for_each(|event| topic.publish(event).map(drop))
    });
    // Longer than a publisher waits for a subscriber that it has opened itself.
    thread::sleep(Duration::from_millis(1300));
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.push(merged.recv().unwrap().event);
    }
    assert_eq!(publisher.join().unwrap(), Ok(()));
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn the_thread_that_reads_is_told_when_publishing_would_wait_for_itself() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let fill = |topic: &Topic<u64>| {
        publish(topic, 0..2);
    };
    assert_eq!(merged.poll(4, |_, _| {}), Ok(0));
    let topic = small(&bus, "a", 2);
    fill(&topic);
    assert_eq!(topic.publish(2), Err(PublishError::WouldDeadlock(2)));
    // When another thread reads, also before it has come to this topic.
    let quiet = small(&bus, "quiet", 2);
    let (polled, publishing) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        let (polled, publishing) = (&polled, &publishing);
        scope.spawn(move || {
            merged.poll(64, |_, _| {}).unwrap();
            polled.wait();
            while !publishing.load(Ordering::Acquire) {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            while merged.recv().unwrap().event != 7 {}
        });
        polled.wait();
        fill(&quiet);
        publishing.store(true, Ordering::Release);
        quiet.publish(7).unwrap();
    });
}

#[test]
fn select_waits_for_merged_subscribers() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("md.>").unwrap();
    let (stop, mut stopped) = (bus.topic::<()>(), bus.topic::<()>().subscribe());
    let publisher = bus.clone();
    let thread = thread::spawn(move || {
        for event in 0..20 {
            let topic = small(&publisher, &format!("md.{}", event % 3), 4);
            topic.publish(event).unwrap();
            if event % 5 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        thread::sleep(Duration::from_millis(5));
        stop.publish(()).unwrap();
    });
    let mut seen = Vec::new();
    loop {
        ringbus::select! {
            biased;
            quote = merged => seen.push(quote.unwrap().event),
            _ = stopped => break,
        }
    }
    thread.join().unwrap();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..20), "{seen:?}");
}

#[test]
fn select_tells_of_events_that_are_not_clone_and_of_the_end() {
    struct Order(u64);
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<Order>("*").unwrap();
    let (_quiet, mut quiet) = (bus.topic::<u8>(), Bus::new().topic::<u8>().subscribe());
    let publisher = bus.clone();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(10));
        small_of(&publisher, "a", 4)
            .publish(Order(7))
            .map_err(drop)
            .unwrap();
        thread::sleep(Duration::from_millis(10));
        publisher.close();
    });
    let mut sum = 0;
    let end = loop {
        ringbus::select! {
            biased;
            _ = merged.ready() => match merged.poll(4, |order, _| sum += order.0) {
                Ok(_) => {}
                Err(error) => break error,
            },
            // Its bus is gone: closed at once, but it comes second.
            _ = quiet.ready() => thread::yield_now(),
        }
    };
    thread.join().unwrap();
    assert_eq!((sum, end), (7, PollError::Closed));
}

#[test]
fn select_times_out_over_a_merged_subscriber_and_goes_on_behind_that() {
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    let topic = small(&bus, "a", 4);
    for event in 0..3 {
        ringbus::select! {
            _ = merged => panic!("nothing was published"),
            default(Duration::from_millis(5)) => {}
        }
        // By itself behind a select, and in a select behind that.
        topic.publish(event).unwrap();
        assert_eq!(merged.recv().unwrap().event, event);
        let timeout = Duration::from_millis(5);
        assert_eq!(
            merged.recv_timeout(timeout).unwrap_err(),
            RecvTimeoutError::Timeout
        );
    }
}

/// Whatever user code is dropped on the way may use the bus.
#[test]
fn no_lock_is_held_while_filters_and_events_are_dropped() {
    struct Nosy(Bus);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = self.0.snapshot();
            let _ = self.0.topic_named::<u8>("found").unwrap();
            let _ = self.0.subscribe_pattern::<u8>(">").unwrap();
        }
    }
    let bus = Bus::new();
    let follow = || {
        let nosy = Nosy(bus.clone());
        let builder = bus.pattern_subscriber::<Nosy>("*").unwrap();
        builder.filter(move |_| !nosy.0.is_closed()).open().unwrap()
    };
    let (mut one, other) = (follow(), follow());
    for name in ["a", "b", "a"] {
        let topic = small_of::<Nosy>(&bus, name, 2);
        topic.publish(Nosy(bus.clone())).map_err(drop).unwrap();
        topic.close();
    }
    assert_eq!(one.poll(8, |_, _| {}), Ok(3));
    drop(other);
    let lanes = bus.lanes::<Nosy>("l").unwrap();
    let mut lane = lanes.publisher().unwrap();
    let reader = lanes.subscribe();
    lane.publish(Nosy(bus.clone())).map_err(drop).unwrap();
    drop((lane, reader));
    assert!(!bus.lanes::<Nosy>("l").unwrap().is_closed());
    assert!(lanes.is_closed());
    bus.close();
    drop(one);
}

/// A subscriber goes while topics appear: whoever has it last drops it without a lock.
#[test]
fn subscribers_go_while_topics_appear() {
    struct Nosy(Bus);
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = self.0.snapshot();
        }
    }
    let rounds = if cfg!(miri) { 3 } else { 200 };
    let bus = Bus::new();
    thread::scope(|scope| {
        let opener = bus.clone();
        scope.spawn(move || {
            for round in 0..rounds {
                let topic = small_of::<Nosy>(&opener, &round.to_string(), 2);
                topic.publish(Nosy(opener.clone())).map_err(drop).unwrap();
                topic.close();
            }
        });
        for _ in 0..rounds {
            let mut merged = bus.subscribe_pattern::<Nosy>("*").unwrap();
            let _ = merged.poll(4, |_, _| {});
        }
    });
}

#[test]
fn it_may_be_opened_on_one_thread_and_read_on_another() {
    fn is_send<T: Send>() {}
    is_send::<MergedSubscriber<AtomicUsize>>();
    let bus = Bus::new();
    let mut merged = bus.subscribe_pattern::<u64>("*").unwrap();
    small(&bus, "a", 4).publish(1).unwrap();
    let delivery = thread::spawn(move || merged.recv())
        .join()
        .unwrap()
        .unwrap();
    assert_eq!(
        (&*delivery.topic, delivery.event, delivery.sequence),
        ("a", 1, 0)
    );
}
