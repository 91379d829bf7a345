//! Lanes: a ring for each publisher, merged by who reads.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ringbus::{
    Bus, Lanes, MergedSubscriber, Overflow, PollError, PublishError, PublisherError, RecvError,
    SubscribeError, TopicError, TryPublishError, TryRecvError, WaitStrategy,
};

fn lanes(bus: &Bus, capacity: usize) -> Lanes<u64> {
    let lanes = bus.topic_builder().name("ticks").capacity(capacity);
    lanes.open_lanes().unwrap()
}

/// Reads until nothing is there, and checks that each lane's events are the next of it.
fn read(merged: &mut MergedSubscriber<u64>, next: &mut HashMap<Arc<str>, u64>) -> usize {
    let shown = merged.poll(256, |event, meta| {
        let next = next.entry(Arc::clone(meta.topic)).or_default();
        assert_eq!((*event, meta.missed), (*next, 0));
        *next += 1;
    });
    shown.unwrap_or(0)
}

#[test]
fn each_publisher_keeps_its_order_and_none_loses_an_event() {
    const PUBLISHERS: usize = 3;
    let events = if cfg!(miri) { 50 } else { 20_000_u64 };
    let bus = Bus::new();
    let lanes = lanes(&bus, 64);
    let mut readers = [lanes.subscribe(), lanes.subscribe()];
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|_| lanes.publisher().unwrap())
        .collect();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for mut publisher in publishers {
            threads.push(scope.spawn(move || {
                for event in 0..events {
                    publisher.publish(event).unwrap();
                }
            }));
        }
        for merged in &mut readers {
            threads.push(scope.spawn(move || {
                let mut next = HashMap::<Arc<str>, u64>::new();
                let end = loop {
                    let shown = merged.poll_wait(256, |event, meta| {
                        let next = next.entry(Arc::clone(meta.topic)).or_default();
                        assert_eq!((*event, meta.missed), (*next, 0));
                        *next += 1;
                    });
                    if let Err(end) = shown {
                        break end;
                    }
                };
                assert_eq!(end, PollError::Closed);
                assert_eq!(next.len(), PUBLISHERS);
                assert!(next.values().all(|next| *next == events));
            }));
        }
        // Each by itself: the thread sanitizer does not see what the end of a scope waits for.
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_lane_is_seen_from_the_subscription_on() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 8);
    let mut early = lanes.publisher().unwrap();
    early.publish(1).unwrap();
    let mut merged = lanes.subscribe();
    early.publish(2).unwrap();
    let mut late = lanes.publisher().unwrap();
    late.publish(3).unwrap();
    let mut seen: Vec<_> = (0..2)
        .map(|_| {
            let delivery = merged.recv().unwrap();
            (
                delivery.topic.to_string(),
                delivery.event,
                delivery.sequence,
            )
        })
        .collect();
    seen.sort();
    assert_eq!(seen, [("ticks#0".into(), 2, 1), ("ticks#1".into(), 3, 0)]);
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
}

#[test]
fn a_publisher_waits_for_readers_of_its_own_lane_only() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 2);
    let _merged = lanes.subscribe();
    let (mut full, mut other) = (lanes.publisher().unwrap(), lanes.publisher().unwrap());
    full.publish(0).unwrap();
    full.publish(1).unwrap();
    assert_eq!(full.try_publish(2), Err(TryPublishError::Full(2)));
    other.try_publish(0).unwrap();
}

#[test]
fn they_close_when_the_last_publisher_is_dropped() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 8);
    let mut merged = lanes.subscribe();
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    let (mut one, other) = (lanes.publisher().unwrap(), lanes.publisher().unwrap());
    drop(other);
    assert!(!lanes.is_closed());
    one.publish(7).unwrap();
    drop(one);
    assert!(lanes.is_closed());
    assert_eq!(lanes.publisher().unwrap_err(), PublisherError::Closed);
    assert_eq!(merged.recv().unwrap().event, 7);
    assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
    assert_eq!(lanes.subscribe().recv().unwrap_err(), RecvError::Closed);
    // The bus opens others under the name.
    let again = bus.lanes::<u64>("ticks").unwrap();
    assert!(!again.is_closed());
    assert_eq!(
        again.subscribe().try_recv().unwrap_err(),
        TryRecvError::Empty
    );
}

#[test]
fn kept_open_they_outlive_their_publishers_until_they_are_closed() {
    let bus = Bus::new();
    let builder = bus.topic_builder::<u64>().name("ticks").keep_open();
    let lanes = builder.open_lanes().unwrap();
    let mut merged = lanes.subscribe();
    for event in 0..3 {
        lanes.publisher().unwrap().publish(event).unwrap();
    }
    let mut events: Vec<_> = (0..3).map(|_| merged.recv().unwrap().event).collect();
    events.sort_unstable();
    assert_eq!(events, [0, 1, 2]);
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(merged.snapshot().topics, 0);
    let mut publisher = lanes.publisher().unwrap();
    publisher.publish(3).unwrap();
    lanes.close();
    assert_eq!(publisher.publish(4), Err(PublishError::Closed(4)));
    assert_eq!(lanes.publisher().unwrap_err(), PublisherError::Closed);
    assert_eq!(merged.recv().unwrap().event, 3);
    assert_eq!(merged.poll(4, |_, _| {}), Err(PollError::Closed));
}

#[test]
fn they_close_with_their_bus() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 8);
    let mut sleeper = lanes.subscribe();
    let mut publisher = lanes.publisher().unwrap();
    let reader = thread::spawn(move || sleeper.recv());
    thread::sleep(Duration::from_millis(20));
    drop(bus);
    assert_eq!(reader.join().unwrap().unwrap_err(), RecvError::Closed);
    assert_eq!(publisher.publish(1), Err(PublishError::Closed(1)));
    assert!(lanes.is_closed());
    let bus = Bus::new();
    bus.close();
    assert!(bus.lanes::<u64>("ticks").unwrap().is_closed());
}

#[test]
fn opening_them_again_gives_the_same() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 8);
    assert_eq!((lanes.name(), lanes.capacity()), (Some("ticks"), 8));
    let mut merged = bus.lanes::<u64>("ticks").unwrap().subscribe();
    lanes.publisher().unwrap().publish(7).unwrap();
    assert_eq!(merged.recv().unwrap().event, 7);
    let builder = || bus.topic_builder::<u64>().name("other");
    let _kept = builder().capacity(8).open_lanes().unwrap();
    let error = builder().capacity(16).open_lanes().unwrap_err();
    assert!(
        matches!(
            error,
            TopicError::Conflict {
                setting: "capacity",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(bus.lanes::<u64>("").unwrap_err(), TopicError::Name(0));
}

#[test]
fn lanes_and_topics_of_one_name_are_apart() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 8);
    let (topic, unnamed) = (bus.topic_named::<u64>("ticks").unwrap(), bus.topic::<u64>());
    // Nobody can open a lane's ring, or lanes, as a topic.
    let lane = bus.topic_named::<u64>("ticks#0").unwrap();
    let odd = bus.topic_named::<Lanes<u64>>("ticks").unwrap();
    let (mut merged, mut subscriber) = (lanes.subscribe(), topic.subscribe());
    let mut publisher = lanes.publisher().unwrap();
    publisher.publish(1).unwrap();
    topic.publish(2).unwrap();
    lane.publish(3).unwrap();
    unnamed.publish(4).unwrap();
    odd.publish(lanes.clone()).unwrap();
    assert_eq!(merged.recv().unwrap().event, 1);
    assert_eq!(merged.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(
        (subscriber.recv(), subscriber.try_recv()),
        (Ok(2), Err(TryRecvError::Empty))
    );
    let nameless = bus.topic_builder::<u64>().open_lanes().unwrap();
    let mut merged = nameless.subscribe();
    nameless.publisher().unwrap().publish(5).unwrap();
    let delivery = merged.recv().unwrap();
    assert_eq!((&*delivery.topic, delivery.event), ("#0", 5));
}

#[test]
fn a_snapshot_shows_lanes_until_they_are_read() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 8);
    let mut merged = lanes.subscriber().name("strategy").open().unwrap();
    let names = || {
        let topics = bus.snapshot().topics.into_iter();
        topics.map(|topic| topic.name.unwrap()).collect::<Vec<_>>()
    };
    assert!(names().is_empty());
    let (mut one, _other) = (lanes.publisher().unwrap(), lanes.publisher().unwrap());
    one.publish(0).unwrap();
    drop(one);
    assert_eq!(names(), ["ticks#0", "ticks#1"]);
    let snapshot = bus.snapshot();
    let lane = &snapshot.topics[0];
    assert_eq!((lane.closed, lane.published, lane.capacity), (true, 1, 8));
    let subscriber = &lane.subscribers[0];
    assert_eq!(
        (subscriber.name.as_deref(), subscriber.pending),
        (Some("strategy"), 1)
    );
    assert!(snapshot.to_string().contains("ticks#0"));
    assert_eq!(read(&mut merged, &mut HashMap::new()), 1);
    assert_eq!(names(), ["ticks#1"]);
}

#[test]
fn overflow_and_filter_are_each_lanes_own() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 4);
    let builder = lanes.subscriber().overflow(Overflow::DropOldest);
    let mut merged = builder.filter(|event| event % 2 == 0).open().unwrap();
    let (mut one, mut other) = (lanes.publisher().unwrap(), lanes.publisher().unwrap());
    for event in 0..10 {
        one.publish(event).unwrap();
    }
    other.publish(0).unwrap();
    let mut seen = Vec::new();
    merged
        .poll(64, |event, meta| {
            seen.push((meta.topic.to_string(), *event, meta.missed))
        })
        .unwrap();
    seen.sort();
    assert_eq!(
        seen,
        [
            ("ticks#0".into(), 6, 6),
            ("ticks#0".into(), 8, 0),
            ("ticks#1".into(), 0, 0)
        ]
    );
}

#[test]
fn a_lane_that_has_no_room_for_the_lossy_readers_is_not_made() {
    let bus = Bus::new();
    let lanes = lanes(&bus, 4);
    let lossy = || lanes.subscriber().overflow(Overflow::Latest).open();
    let mut readers: Vec<_> = (0..33).map(|_| lossy().unwrap()).collect();
    let error = lanes.publisher().unwrap_err();
    assert_eq!(error, PublisherError::TooManyLossy(32));
    assert_eq!(
        error.to_string(),
        "lane takes at most 32 lossy subscribers; a larger capacity takes more"
    );
    assert!(!lanes.is_closed());
    for reader in &mut readers {
        assert_eq!(reader.poll(4, |_, _| {}), Ok(0));
        assert_eq!(reader.snapshot().topics, 0);
    }
    readers.pop();
    let mut publisher = lanes.publisher().unwrap();
    publisher.publish(7).unwrap();
    for reader in &mut readers {
        let delivery = reader.recv().unwrap();
        assert_eq!((&*delivery.topic, delivery.event), ("ticks#0", 7));
    }
    assert_eq!(lossy().unwrap_err(), SubscribeError::TooManyLossy(32));
}

#[test]
fn readers_wait_as_the_lanes_do() {
    for strategy in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
        let bus = Bus::new();
        let builder = bus.topic_builder::<u64>().name("ticks").wait(strategy);
        let lanes = builder.open_lanes().unwrap();
        let mut merged = lanes.subscribe();
        let publisher = thread::spawn(move || {
            let mut lane = lanes.publisher().unwrap();
            for event in 0..3 {
                thread::sleep(Duration::from_millis(5));
                lane.publish(event).unwrap();
            }
        });
        for event in 0..3 {
            assert_eq!(merged.recv().unwrap().event, event);
        }
        assert_eq!(merged.recv().unwrap_err(), RecvError::Closed);
        assert!(strategy == WaitStrategy::Park || merged.snapshot().parked == 0);
        publisher.join().unwrap();
    }
}

/// Publishers come and go on threads of their own while readers do.
#[test]
fn publishers_and_readers_come_and_go() {
    let rounds = if cfg!(miri) { 3 } else { 100 };
    let bus = Bus::new();
    let builder = bus
        .topic_builder::<u64>()
        .name("ticks")
        .capacity(16)
        .keep_open();
    let lanes = builder.open_lanes().unwrap();
    let mut all = lanes.subscribe();
    thread::scope(|scope| {
        let lanes = &lanes;
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    for _ in 0..rounds {
                        let mut lane = lanes.publisher().unwrap();
                        (0..20).for_each(|event| assert_eq!(lane.publish(event).unwrap(), event));
                    }
                })
            })
            .collect();
        let short = scope.spawn(move || {
            for _ in 0..rounds {
                let mut merged = lanes.subscribe();
                let mut last = HashMap::<Arc<str>, u64>::new();
                let _ = merged.poll(30, |event, meta| {
                    let before = last.insert(Arc::clone(meta.topic), *event);
                    assert!(before.is_none_or(|before| before + 1 == *event));
                });
            }
        });
        let mut next = HashMap::new();
        let mut total = 0;
        while total < 2 * rounds * 20 {
            total += read(&mut all, &mut next);
        }
        assert!(next.len() == 2 * rounds && next.values().all(|next| *next == 20));
        publishers
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        short.join().unwrap();
    });
    // Each lane's close is seen, and none is kept.
    while all.snapshot().topics > 0 {
        assert_eq!(all.poll(64, |_, _| {}), Ok(0));
    }
    assert!(bus.snapshot().topics.is_empty());
}
