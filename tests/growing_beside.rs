//! Topics that grow beside what else a topic may have: what works together, and what is refused.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use common::{assert_conserved, finishes, numbers};
use ringbus::{
    Bus, DeadLetter, GroupError, MergedSubscriber, Observer, Overflow, PublishBatchError,
    PublishError, Reactor, SubscribeError, Subscriber, Timeline, Topic, TopicBuilder, TopicError,
    TryPublishError,
};

fn growing(builder: TopicBuilder<'_, u64>, capacity: usize, grow_to: usize) -> Topic<u64> {
    let builder = builder.capacity(capacity).grow_to(grow_to);
    builder.keep_open().open().unwrap()
}

fn events(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    subscriber.try_iter().map(|(event, _)| event).collect()
}

/// Writes down what it is shown.
fn watch(topic: &Topic<u64>) -> (Observer, impl Fn() -> Vec<u64> + use<>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let observer = topic.observe(move |event| log.lock().unwrap().push(*event));
    let take = move || std::mem::take(&mut *seen.lock().unwrap());
    (observer, take)
}

/// Everything a pattern or lanes have now, by topic.
fn drain(merged: &mut MergedSubscriber<u64>) -> BTreeMap<String, Vec<u64>> {
    let mut seen = BTreeMap::<String, Vec<u64>>::new();
    while merged
        .poll(1024, |event, meta| {
            assert_eq!(meta.missed, 0);
            seen.entry(meta.topic.to_string()).or_default().push(*event);
        })
        .is_ok_and(|shown| shown > 0)
    {}
    seen
}

#[test]
fn a_subscriber_of_a_topic_that_grows_comes_after_no_other() {
    let bus = Bus::new();
    let topic = growing(bus.topic_builder(), 4, 16);
    let first = topic.subscribe();
    let refused = topic.subscriber().after(&first).open();
    assert_eq!(refused.unwrap_err(), SubscribeError::AfterGrowing);
    // Also when it is as large as it gets.
    topic.publisher().unwrap().publish_batch(0..16).unwrap();
    assert_eq!(topic.capacity(), topic.max_capacity());
    let refused = topic.subscriber().after(first.stage()).open();
    assert_eq!(refused.unwrap_err(), SubscribeError::AfterGrowing);
    assert_eq!(topic.snapshot().subscribers.len(), 1);

    let bounded = bus.topic_builder::<u64>().name("bounded").capacity(16);
    let bounded = bounded.grow_to(16).open().unwrap();
    let first = bounded.subscribe();
    assert!(bounded.subscriber().after(&first).open().is_ok());
}

#[test]
fn a_topic_that_grows_takes_no_groups() {
    let bus = Bus::new();
    let topic = growing(bus.topic_builder(), 4, 16);
    let refused = topic.group("workers").join();
    assert_eq!(refused.unwrap_err(), GroupError::Growing);
    assert!(!topic.has_subscribers());
    assert!(topic.snapshot().groups.is_empty());

    let bounded = bus.topic_builder::<u64>().name("bounded").capacity(16);
    let bounded = bounded.grow_to(16).open().unwrap();
    assert!(bounded.group("workers").join().is_ok());
}

#[test]
fn a_topic_that_grows_takes_no_editors() {
    let bus = Bus::new();
    let edited = || bus.topic_builder::<u64>().name("edited").capacity(4);
    let refused = edited().grow_to(8).open_edited(["it"]);
    assert_eq!(refused.unwrap_err(), TopicError::GrowEdited);
    assert!(edited().grow_to(4).open_edited(["it"]).is_ok());
    let conflict = edited().grow_to(8).open().unwrap_err();
    assert!(matches!(conflict, TopicError::Conflict { setting, .. } if setting.contains("grow")));
}

#[test]
fn a_topic_that_grows_is_on_no_timeline() {
    let bus = Bus::new();
    let timeline = Timeline::new();
    let on_it = |name| {
        let builder = bus.topic_builder::<u64>().name(name).capacity(4);
        builder.timeline(&timeline)
    };
    let refused = on_it("a").grow_to(8).open();
    assert_eq!(refused.unwrap_err(), TopicError::GrowTimeline);
    assert!(on_it("a").grow_to(4).open().is_ok());
    growing(bus.topic_builder().name("b"), 4, 8);
    let conflict = on_it("b").open().unwrap_err();
    assert!(matches!(conflict, TopicError::Conflict { setting, .. } if setting == "timeline"));
}

#[test]
fn an_observed_event_finds_the_room_that_the_topic_makes() {
    let bus = Bus::new();
    for exclusive in [false, true] {
        let name = if exclusive { "exclusive" } else { "shared" };
        let topic = growing(bus.topic_builder().name(name), 4, 16);
        let mut subscriber = topic.subscribe();
        let (_observer, shown) = watch(&topic);
        type Try = Box<dyn FnMut(u64) -> Result<u64, TryPublishError<u64>>>;
        let mut publish: Try = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            Box::new(move |event| publisher.try_publish(event))
        } else {
            let publisher = topic.publisher().unwrap();
            Box::new(move |event| publisher.try_publish(event))
        };
        for event in 0..16 {
            assert_eq!(publish(event), Ok(event), "{name}");
        }
        assert_eq!(topic.capacity(), 16);
        assert_eq!(shown(), (0..16).collect::<Vec<_>>());
        // At the bound it is refused before anybody is shown it.
        assert_eq!(publish(16), Err(TryPublishError::Full(16)), "{name}");
        assert_eq!(shown(), []);
        assert_eq!(events(&mut subscriber), (0..16).collect::<Vec<_>>());
        assert_eq!(publish(16), Ok(16), "{name}");
        assert_eq!(shown(), [16]);
        topic.close();
        assert_eq!(publish(17), Err(TryPublishError::Closed(17)), "{name}");
        assert_eq!(shown(), []);
        assert_eq!(events(&mut subscriber), [16]);
        assert_conserved(&topic);
    }
}

#[test]
fn an_observed_batch_makes_the_topic_grow() {
    let bus = Bus::new();
    let some = |events: Range<u64>| events.collect::<Vec<_>>();
    for exclusive in [false, true] {
        let name = if exclusive { "exclusive" } else { "shared" };
        let topic = growing(bus.topic_builder().name(name), 4, 32);
        let mut subscriber = topic.subscribe();
        let (_observer, shown) = watch(&topic);
        let refused = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            assert_eq!(
                publisher.try_publish_batch(some(0..3)).map_err(drop),
                Ok(0..3)
            );
            assert_eq!(
                publisher.try_publish_batch(some(3..32)).map_err(drop),
                Ok(3..32)
            );
            publisher
                .try_publish_batch(some(32..34))
                .map_err(|error| matches!(error, PublishBatchError::Full(_)))
        } else {
            let publisher = topic.publisher().unwrap();
            assert_eq!(publisher.try_publish_batch(0..3), Ok(0..3));
            assert_eq!(publisher.try_publish_batch(3..32), Ok(3..32));
            publisher
                .try_publish_batch(32..34)
                .map_err(|error| matches!(error, PublishBatchError::Full(_)))
        };
        assert_eq!(refused, Err(true), "{name}");
        assert_eq!(shown(), (0..32).collect::<Vec<_>>());
        assert_eq!(events(&mut subscriber), (0..32).collect::<Vec<_>>());
        assert_conserved(&topic);
    }
}

#[test]
fn an_observed_event_of_an_outbox_makes_the_topic_grow() {
    let bus = Bus::new();
    let topic = growing(bus.topic_builder(), 4, 8);
    let mut subscriber = topic.subscribe();
    let (_observer, shown) = watch(&topic);
    let publisher = topic.publisher().unwrap();
    let mut reactor = Reactor::<()>::builder().outbox(1).build();
    for event in 0..9 {
        reactor.publish(&publisher, event).unwrap();
    }
    assert_eq!((topic.capacity(), reactor.outbox_room()), (8, 0));
    assert_eq!(shown(), (0..9).collect::<Vec<_>>());
    assert!(reactor.publish(&publisher, 9).is_err());
    assert_eq!(shown(), []);
    assert_eq!(events(&mut subscriber), (0..8).collect::<Vec<_>>());
}

/// The ring that another one takes the place of is closed for a moment before that is there.
#[test]
fn no_observed_event_is_refused_while_another_publisher_makes_the_topic_grow() {
    const PUBLISHERS: u64 = 3;
    let rounds = if cfg!(miri) { 2 } else { 200 };
    let bus = Bus::new();
    for round in 0..rounds {
        let topic = growing(bus.topic_builder().name(format!("round {round}")), 1, 256);
        let mut subscriber = topic.subscribe();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let _observer = topic.observe(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        thread::scope(|scope| {
            let threads: Vec<_> = (0..PUBLISHERS)
                .map(|publisher| {
                    let publisher_of = topic.publisher().unwrap();
                    scope.spawn(move || {
                        for event in 0..64 {
                            publisher_of.publish(publisher * 64 + event).unwrap();
                        }
                    })
                })
                .collect();
            // Each by itself: the thread sanitizer does not see what the end of a scope waits for.
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(seen.load(Ordering::Relaxed), 192);
        let mut read = events(&mut subscriber);
        read.sort_unstable();
        assert_eq!(read, (0..192).collect::<Vec<_>>());
    }
}

#[test]
fn letters_are_dead_also_behind_a_ring_that_has_been_replaced() {
    let bus = Bus::new();
    for exclusive in [false, true] {
        let name = if exclusive { "exclusive" } else { "shared" };
        let topic = growing(bus.topic_builder().name(name), 2, 8);
        let letters = bus.topic_builder::<DeadLetter<u64>>().name(name);
        let letters = letters.open().unwrap();
        topic.dead_letters_to(&letters).unwrap();
        let mut unheard = letters.subscribe();
        type Publish = Box<dyn FnMut(u64) -> Result<u64, PublishError<u64>>>;
        let mut publish: Publish = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            Box::new(move |event| publisher.publish(event))
        } else {
            let publisher = topic.publisher().unwrap();
            Box::new(move |event| publisher.publish(event))
        };
        let mut dead = || {
            let letters = unheard.try_iter();
            letters
                .map(|(letter, _)| (letter.event, letter.sequence))
                .collect::<Vec<_>>()
        };

        assert_eq!(publish(0), Ok(0));
        let mut subscriber = topic.subscribe();
        for event in 1..8 {
            publish(event).unwrap();
        }
        assert_eq!(topic.capacity(), 8);
        assert_eq!(dead(), [(0, 0)]);
        assert!(topic.has_subscribers());
        assert_eq!(events(&mut subscriber), (1..8).collect::<Vec<_>>());
        drop(subscriber);
        assert!(!topic.has_subscribers());
        for event in 8..30 {
            assert_eq!(publish(event), Ok(event), "{name}");
        }
        assert_eq!(
            dead(),
            (8..30).map(|event| (event, event)).collect::<Vec<_>>()
        );
        let mut subscriber = topic.subscriber().name("late").open().unwrap();
        publish(30).unwrap();
        assert_eq!(events(&mut subscriber), [30]);
        assert_eq!(dead(), []);
        let snapshot = topic.snapshot();
        assert_eq!((snapshot.published, snapshot.dead_letters), (31, 23));
        assert_eq!(numbers(&topic, "late").published, 1);
        assert_conserved(&topic);
    }
}

#[test]
fn a_topic_of_dead_letters_grows_before_it_loses_any() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let letters = bus
        .topic_builder::<DeadLetter<u64>>()
        .capacity(2)
        .grow_to(8);
    let letters = letters.open().unwrap();
    topic.dead_letters_to(&letters).unwrap();
    let mut unheard = letters.subscribe();
    // Shown to an observer, too, before they go there.
    let _observer = letters.observe(|_| ());
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let snapshot = topic.snapshot();
    assert_eq!((snapshot.dead_letters, snapshot.dead_letters_lost), (8, 2));
    let read: Vec<u64> = unheard.try_iter().map(|(letter, _)| letter.event).collect();
    assert_eq!(read, (0..8).collect::<Vec<_>>());
}

#[test]
fn a_pattern_follows_topics_that_grow() {
    let bus = Bus::new();
    let early = growing(bus.topic_builder().name("hits.a"), 2, 64);
    let mut merged = bus.subscribe_pattern::<u64>("hits.*").unwrap();
    let late = growing(bus.topic_builder().name("hits.b"), 2, 64);
    for event in 0..40 {
        early.publish(event).unwrap();
        late.publish(100 + event).unwrap();
    }
    assert_eq!((early.capacity(), late.capacity()), (64, 64));
    let seen = drain(&mut merged);
    assert_eq!(seen["hits.a"], (0..40).collect::<Vec<_>>());
    assert_eq!(seen["hits.b"], (100..140).collect::<Vec<_>>());
    assert_conserved(&early);
    assert_conserved(&late);
    // Who reads them is known in the ring that they have come to, whoever opened the topic.
    for event in 0..64 {
        early.publish(event).unwrap();
    }
    let refused = early.publish(64);
    assert_eq!(refused, Err(PublishError::WouldDeadlock(64)));
    assert_eq!(drain(&mut merged)["hits.a"], (0..64).collect::<Vec<_>>());
    bus.close();
    assert!(merged.poll(1, |_, _| ()).is_err());
}

#[test]
fn a_pattern_s_lossy_subscription_counts_across_rings() {
    let bus = Bus::new();
    let builder = bus.pattern_subscriber::<u64>("hits.*").unwrap();
    let mut merged = builder.overflow(Overflow::DropOldest).open().unwrap();
    let topic = growing(bus.topic_builder().name("hits.a"), 2, 4);
    let mut gate = topic.subscribe();
    for event in 0..40 {
        topic.publish(event).unwrap();
        if event % 4 == 3 {
            events(&mut gate);
        }
    }
    let (mut seen, mut missed) = (0, 0);
    while merged
        .poll(64, |_, meta| {
            seen += 1;
            missed += meta.missed;
        })
        .is_ok_and(|shown| shown > 0)
    {}
    assert_eq!(seen + missed, 40);
    assert!(missed > 0);
    assert_conserved(&topic);
}

#[test]
fn lanes_grow_each_by_itself() {
    let bus = Bus::new();
    let lanes = bus
        .topic_builder::<u64>()
        .name("hits")
        .capacity(2)
        .grow_to(32);
    let lanes = lanes.open_lanes().unwrap();
    let mut merged = lanes.subscribe();
    let mut large = lanes.publisher().unwrap();
    let mut small = lanes.publisher().unwrap();
    for event in 0..32 {
        large.publish(event).unwrap();
    }
    small.publish(7).unwrap();
    assert!(matches!(
        large.try_publish(32),
        Err(TryPublishError::Full(32))
    ));
    small.publish(8).unwrap();
    small.publish(9).unwrap();
    let seen: Vec<_> = drain(&mut merged).into_values().collect();
    assert_eq!(seen, [(0..32).collect::<Vec<_>>(), vec![7, 8, 9]]);
    // A reader on another thread comes to the same. Publishers know where it is when it has read from both.
    let (read, came) = mpsc::channel();
    let reader = thread::spawn(move || {
        while merged
            .poll_wait(64, |event, _| read.send(*event).unwrap())
            .is_ok()
        {}
    });
    large.publish(32).unwrap();
    small.publish(10).unwrap();
    let first: BTreeSet<_> = came.iter().take(2).collect();
    assert_eq!(first, BTreeSet::from([10, 32]));
    for event in 33..1_000 {
        large.publish(event).unwrap();
    }
    drop(small);
    drop(large);
    finishes("the reader", move || reader.join().unwrap());
    assert_eq!(
        came.iter().collect::<Vec<_>>(),
        (33..1_000).collect::<Vec<_>>()
    );
}

#[test]
fn conflating_by_key_reads_on_in_the_next_ring() {
    let bus = Bus::new();
    let topic = growing(bus.topic_builder(), 4, 32);
    let mut drained = topic.subscriber().name("drained").open().unwrap();
    let table = topic.subscriber().name("table").open().unwrap();
    let mut table = table.conflate_by(4, |event| event % 2);
    for event in 0..20 {
        topic.publish(event).unwrap();
    }
    let mut newest = BTreeMap::new();
    let (mut shown, mut missed) = (0, 0);
    let called = drained
        .drain_latest_by(
            |event| event % 2,
            |event, meta| {
                newest.insert(event % 2, *event);
                shown += 1;
                missed += meta.missed;
            },
        )
        .unwrap();
    assert_eq!(newest, BTreeMap::from([(0, 18), (1, 19)]));
    assert_eq!((called, shown + missed), (shown as usize, 20));
    let mut newest = BTreeMap::new();
    let (mut shown, mut missed) = (0, 0);
    while let Some((event, meta)) = table.try_recv().unwrap() {
        newest.insert(event % 2, event);
        shown += 1;
        missed += meta.missed;
    }
    assert_eq!(newest, BTreeMap::from([(0, 18), (1, 19)]));
    assert_eq!(shown + missed, 20);
    for name in ["drained", "table"] {
        assert_eq!(numbers(&topic, name).pending, 0);
    }
    assert_conserved(&topic);
}

#[test]
fn what_nobody_heard_and_what_went_through_several_rings_is_counted_once() {
    let bus = Bus::new();
    let builder = bus.topic_builder().first_sequence(1_000);
    let topic = growing(builder, 2, 8);
    let publisher = topic.publisher().unwrap();
    for event in 0..10 {
        publisher.publish(event).unwrap();
    }
    let mut subscriber = topic.subscribe();
    for event in 10..17 {
        assert_eq!(publisher.publish(event), Ok(1_000 + event));
    }
    assert_eq!((topic.capacity(), topic.snapshot().published), (8, 17));
    assert_eq!(events(&mut subscriber), (10..17).collect::<Vec<_>>());
    let control = ControlFlow::<()>::Break(());
    let _veto = topic.observe_with(0, move |_| control);
    assert_eq!(publisher.publish(17), Err(PublishError::Vetoed(17)));
    assert_eq!(topic.snapshot().published, 17);
}
