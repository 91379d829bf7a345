//! Topics that grow instead of making a publisher wait.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Census, Counted, Random, assert_conserved, finishes, numbers, wait_until};
use ringbus::{
    Budget, Bus, ExclusivePublisher, Overflow, PollError, PublishBatchError, PublishError,
    Publisher, Reactor, RecvError, Start, SubscribeError, Subscriber, Topic, TopicError,
    TryPublishError, TryRecvError, WaitStrategy, select,
};

fn growing<T: Send + Sync + 'static>(bus: &Bus, capacity: usize, grow_to: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .grow_to(grow_to)
        .keep_open()
        .open()
        .unwrap()
}

/// Everything that is there, in as many calls as it takes.
fn drain<T: Clone + Send + Sync + 'static>(subscriber: &mut Subscriber<T>) -> Vec<T> {
    let mut seen = Vec::new();
    while subscriber
        .poll(64, |event, _| seen.push(event.clone()))
        .is_ok_and(|shown| shown > 0)
    {}
    seen
}

#[test]
fn a_frame_publishes_ten_thousand_events_and_then_reads_each_once() {
    for exclusive in [false, true] {
        let bus = Bus::new();
        let topic = growing::<u64>(&bus, 64, 65_536);
        let mut subscriber = topic.subscribe();
        let shared = (!exclusive).then(|| topic.publisher().unwrap());
        let mut sole = exclusive.then(|| topic.exclusive_publisher().unwrap());
        let mut next = 0;
        for frame in [10_u64, 10_000, 3, 20_000, 0, 65_536, 100] {
            for event in next..next + frame {
                let sequence = match (&shared, &mut sole) {
                    (Some(publisher), _) => publisher.publish(event).unwrap(),
                    (_, Some(publisher)) => publisher.publish(event).unwrap(),
                    _ => unreachable!(),
                };
                assert_eq!(sequence, event, "sequences go on across a growth");
            }
            assert_conserved(&topic);
            let mut expected = next;
            while subscriber
                .poll(usize::MAX, |event, meta| {
                    assert_eq!(
                        (*event, meta.sequence, meta.missed),
                        (expected, expected, 0)
                    );
                    expected += 1;
                })
                .unwrap()
                > 0
            {}
            next += frame;
            assert_eq!(expected, next);
            assert_conserved(&topic);
        }
        assert_eq!(topic.capacity(), 65_536);
    }
}

#[test]
fn at_the_bound_it_is_a_bounded_topic() {
    for (capacity, grow_to) in [(1, 2), (1, 64), (2, 4), (4, 64), (64, 128), (64, 1024)] {
        let bus = Bus::new();
        let topic = growing::<u64>(&bus, capacity, grow_to);
        let mut subscriber = topic.subscribe();
        subscriber.poll(1, |_, _| ()).unwrap();
        let publisher = topic.publisher().unwrap();
        for event in 0..grow_to as u64 {
            publisher.try_publish(event).unwrap();
        }
        assert_eq!(topic.capacity(), grow_to);
        // As many may be unread as the bound says, at any time, also while the old rings are read.
        for read in 0..2 * grow_to as u64 {
            let sent = read + grow_to as u64;
            assert_eq!(
                publisher.try_publish(7777),
                Err(TryPublishError::Full(7777)),
                "{capacity} to {grow_to}, {read} read"
            );
            assert_eq!(
                publisher.publish(8888),
                Err(PublishError::WouldDeadlock(8888))
            );
            assert_eq!(subscriber.recv(), Ok(read));
            assert_eq!(publisher.publish(sent), Ok(sent));
        }
        assert_conserved(&topic);
        assert_eq!(drain(&mut subscriber).len(), grow_to);
    }
}

#[test]
fn capacity_doubles_only_while_somebody_is_behind() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 64, 1024);
    assert_eq!((topic.capacity(), topic.max_capacity()), (64, 1024));
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let capacities = |unread: u64| {
        for event in 0..unread {
            publisher.publish(event).unwrap();
        }
        topic.capacity()
    };
    assert_eq!(capacities(64), 64);
    drain(&mut subscriber);
    assert_eq!(capacities(64), 64);
    drain(&mut subscriber);
    assert_eq!(capacities(65), 128);
    // Half is read, of which the ring does not know as long as the reader is in the old one.
    assert_eq!(subscriber.poll(33, |_, _| ()), Ok(33));
    assert_eq!(capacities(96), 128);
    assert_eq!(capacities(1), 256);
    drain(&mut subscriber);
    assert_eq!(capacities(256), 256);
    drain(&mut subscriber);
    let snapshot = topic.snapshot();
    assert_eq!((snapshot.capacity, snapshot.max_capacity), (256, 1024));
    // Lossy subscribers and nobody at all make nothing grow.
    drop(subscriber);
    let _lossy = topic.subscriber().overflow(Overflow::DropOldest).open();
    assert_eq!(capacities(5000), 256);
}

#[test]
fn a_batch_larger_than_the_ring_makes_it_grow() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 256);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    assert_eq!(publisher.publish_batch(0..100), Ok(0..100));
    assert_eq!(topic.capacity(), 128);
    assert_eq!(publisher.try_publish_batch(100..200), Ok(100..200));
    assert_eq!(topic.capacity(), 256);
    let refused = publisher.try_publish_batch(200..257).unwrap_err();
    assert_eq!(refused, PublishBatchError::Full((200..257).collect()));
    assert_eq!(publisher.try_publish_batch(200..256), Ok(200..256));
    let refused = publisher.publish_batch(0..257).unwrap_err();
    assert!(matches!(
        refused,
        PublishBatchError::TooLarge {
            length: 257,
            capacity: 256,
            ..
        }
    ));
    assert_eq!(drain(&mut subscriber), (0..256).collect::<Vec<_>>());
    drop(publisher);

    let topic = growing::<u32>(&bus, 64, 256);
    let mut publisher = topic.exclusive_publisher().unwrap();
    assert_eq!(
        publisher.publish_batch(0..200).map_err(drop),
        Ok(0..200),
        "nobody listens"
    );
    assert_eq!(topic.capacity(), 64);
    let mut subscriber = topic.subscribe();
    assert_eq!(publisher.publish_batch(0..65).map_err(drop), Ok(200..265));
    assert_eq!(topic.capacity(), 128);
    assert_eq!(publisher.publish(65), Ok(265));
    assert_eq!(publisher.publish_batch(66..200).map_err(drop), Ok(266..400));
    assert_eq!(topic.capacity(), 256);
    assert_eq!(publisher.publish_with(|| 200).unwrap(), 400);
    assert_eq!(drain(&mut subscriber), (0..201).collect::<Vec<_>>());
    // Lossy subscribers alone: the batch has to fit all the same.
    drop(subscriber);
    let bus = Bus::new();
    let topic = growing::<u32>(&bus, 4, 256);
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    topic.publisher().unwrap().publish_batch(0..200).unwrap();
    assert_eq!(topic.capacity(), 256);
    assert_eq!(drain(&mut lossy), (0..200).collect::<Vec<_>>());
}

#[test]
fn settings_are_checked() {
    let bus = Bus::new();
    let topic = |capacity, grow_to| {
        bus.topic_builder::<u8>()
            .capacity(capacity)
            .grow_to(grow_to)
            .open()
    };
    assert_eq!(
        topic(100, 64).unwrap_err().to_string(),
        "a topic of capacity 128 cannot grow to 64"
    );
    assert_eq!(
        topic(1, 1 << 25).unwrap_err(),
        TopicError::Capacity(1 << 25)
    );
    assert_eq!(
        bus.topic_builder::<u8>()
            .retain(1)
            .grow_to(2048)
            .open()
            .unwrap_err(),
        TopicError::GrowRetaining
    );
    assert_eq!(topic(100, 1000).unwrap().max_capacity(), 1024);
    topic(128, 1024).unwrap();
    let error = topic(128, 2048).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic of u8 is open with another capacity to grow to: 1024, not 2048"
    );
    // To its own capacity: it does not grow.
    let bounded = bus
        .topic_builder::<u16>()
        .capacity(4)
        .grow_to(4)
        .retain(4)
        .open()
        .unwrap();
    assert_eq!((bounded.capacity(), bounded.max_capacity()), (4, 4));
}

#[test]
fn a_lossy_subscriber_moves_over_and_is_told_exactly_what_it_missed() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 64, 512);
    let mut lossless = topic.subscribe();
    let mut lossy = topic
        .subscriber()
        .name("lossy")
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..512 {
        publisher.publish(event).unwrap();
    }
    // Nothing is lost yet: it is no further behind than the capacity.
    assert_eq!(lossy.recv(), Ok(0));
    assert_eq!(numbers(&topic, "lossy").pending, 511);
    assert_eq!(drain(&mut lossless).len(), 512);
    let mut expected = 1;
    for event in 512..3000 {
        publisher.publish(event).unwrap();
        drain(&mut lossless);
        assert_conserved(&topic);
    }
    let mut missed_in_all = 0;
    loop {
        match lossy.try_recv() {
            Ok(event) => {
                assert_eq!(event, expected);
                expected += 1;
            }
            Err(TryRecvError::Missed(missed)) => {
                missed_in_all += missed;
                expected += missed;
            }
            Err(error) => {
                assert_eq!(error, TryRecvError::Empty);
                break;
            }
        }
        assert_conserved(&topic);
    }
    assert_eq!(expected, 3000);
    assert!(missed_in_all >= 3000 - 1 - 512);
    let numbers = numbers(&topic, "lossy");
    assert_eq!((numbers.missed, numbers.pending), (missed_in_all, 0));
    assert_eq!(numbers.published, 3000);
}

#[test]
fn a_lossy_subscriber_loses_the_oldest_first() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 64, 128);
    let mut lossless = topic.subscribe();
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..100 {
        publisher.publish(event).unwrap();
    }
    for event in 100..400 {
        drain(&mut lossless);
        publisher.publish(event).unwrap();
    }
    // What is left in the old ring is older than what was lost in the new one.
    let Err(RecvError::Missed(missed)) = lossy.recv() else {
        panic!("it was overtaken")
    };
    assert!(missed >= 400 - 128);
    assert_eq!(drain(&mut lossy), (missed..400).collect::<Vec<_>>());
}

#[test]
fn the_newest_is_taken_across_rings() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 64, 1024);
    let mut lossless = topic.subscribe();
    let mut newest = topic
        .subscriber()
        .name("newest")
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let mut missed = 0;
    let mut last = 0;
    for (sent, end) in [
        (0, 10),
        (10, 64),
        (64, 65),
        (65, 500),
        (500, 501),
        (501, 1500),
    ] {
        for event in sent..end {
            publisher.publish(event).unwrap();
            if event >= 500 {
                drain(&mut lossless);
            }
        }
        assert_conserved(&topic);
        let shown = newest.poll(9, |event, meta| {
            assert_eq!(*event, end - 1);
            missed += meta.missed;
            last = *event;
        });
        assert_eq!(shown, Ok(1));
        assert_conserved(&topic);
        assert_eq!(numbers(&topic, "newest").missed, missed);
    }
    assert_eq!(missed + 6, last + 1);
}

#[test]
fn gaps_in_the_new_ring_take_nothing_from_a_subscriber_in_the_old_one() {
    for overflow in [Overflow::Disconnect, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = growing::<u64>(&bus, 2, 4);
        let mut lossless = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let mut other = topic.subscriber().overflow(overflow).open().unwrap();
        publisher.publish(1).unwrap();
        let panics = catch_unwind(AssertUnwindSafe(|| {
            publisher.publish_with(|| panic!("not built"))
        }));
        assert!(panics.is_err());
        assert_eq!(topic.capacity(), 4, "the gap took the place of an event");
        assert_eq!(drain(&mut lossless), [0, 1]);
        for event in 2..6 {
            publisher.publish(event).unwrap();
        }
        // The gap was overwritten, which is nothing lost.
        assert_eq!(drain(&mut other), [1, 2, 3, 4, 5]);
        assert_conserved(&topic);
    }
}

#[test]
fn an_expendable_subscriber_is_disconnected_with_the_exact_count() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 64, 256);
    let mut lossless = topic.subscribe();
    let mut journal = topic
        .subscriber()
        .name("journal")
        .overflow(Overflow::Disconnect)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..256 {
        publisher.publish(event).unwrap();
    }
    // It stays while the capacity grows with what it is behind.
    assert_eq!(journal.recv(), Ok(0));
    let mut sent = 256;
    while numbers(&topic, "journal").lag == sent - 1 && sent < 1000 {
        drain(&mut lossless);
        publisher.publish(sent).unwrap();
        sent += 1;
    }
    assert!(sent < 1000, "it was cut off");
    for _ in 0..100 {
        publisher.publish(sent).unwrap();
        drain(&mut lossless);
    }
    assert_conserved(&topic);
    let published = numbers(&topic, "journal").published;
    assert_eq!(journal.recv(), Err(RecvError::Disconnected(published - 1)));
    assert_eq!(journal.recv(), Err(RecvError::Closed));
    assert_conserved(&topic);
}

#[test]
fn numbers_filters_and_names_move_over() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 256);
    topic.publish(1000).unwrap();
    let mut even = topic
        .subscriber()
        .name("even")
        .filter(|event| event % 2 == 0)
        .open()
        .unwrap();
    for event in 0..200 {
        topic.publish(event).unwrap();
    }
    let before = numbers(&topic, "even");
    assert_eq!((before.position, before.lag), (1, 200));
    assert_eq!((before.published, before.pending), (200, 200));
    assert_eq!(drain(&mut even), (0..200).step_by(2).collect::<Vec<_>>());
    let after = numbers(&topic, "even");
    assert_eq!((after.position, after.lag, after.pending), (201, 0, 0));
    assert_eq!(
        (after.published, after.delivered, after.filtered),
        (200, 100, 100)
    );
    assert_eq!(topic.snapshot().published, 201);
    assert_eq!(topic.snapshot().subscribers.len(), 1);
}

#[test]
fn a_subscriber_that_joins_late_sees_what_comes_after() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 4, 64);
    let mut first = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let mut others = Vec::new();
    for event in 0..64 {
        others.push((event, topic.subscribe()));
        publisher.publish(event).unwrap();
    }
    assert_eq!(drain(&mut first), (0..64).collect::<Vec<_>>());
    for (start, mut other) in others {
        assert_eq!(drain(&mut other), (start..64).collect::<Vec<_>>());
    }
    let mut newest = topic.subscriber().start(Start::Latest).open().unwrap();
    assert_eq!(newest.recv(), Ok(63));
    let mut from = topic.subscriber().start(Start::From(63)).open().unwrap();
    assert_eq!(from.recv(), Ok(63));
    assert!(matches!(
        topic.subscriber().start(Start::From(0)).open(),
        Err(SubscribeError::NotRetained { wanted: 0, .. })
    ));
}

#[test]
fn a_subscriber_that_leaves_makes_room_whichever_ring_it_reads() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 4, 16);
    let publisher = topic.publisher().unwrap();
    for read in [0, 3, 4, 5, 12, 16] {
        let mut subscriber = topic.subscribe();
        while publisher.try_publish(1).is_ok() {}
        subscriber.poll(read, |_, _| ()).unwrap();
        drop(subscriber);
        // Nobody is left to wait for.
        for event in 0..100 {
            publisher.try_publish(event).unwrap();
        }
    }
    assert_eq!(topic.capacity(), 16);
}

#[test]
fn a_leaked_subscriber_gates_as_on_any_topic() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 4);
    let publisher = topic.publisher().unwrap();
    std::mem::forget(topic.subscribe());
    for event in 0..4 {
        publisher.try_publish(event).unwrap();
    }
    assert_eq!(publisher.try_publish(4), Err(TryPublishError::Full(4)));
}

#[test]
fn every_event_is_dropped_once() {
    for exclusive in [false, true] {
        let census = Census::new();
        {
            let bus = Bus::new();
            let topic = growing::<Counted>(&bus, 1, 128);
            let mut reader = topic.subscribe();
            let mut lossy = topic
                .subscriber()
                .overflow(Overflow::DropOldest)
                .open()
                .unwrap();
            let mut idle = topic
                .subscriber()
                .overflow(Overflow::Latest)
                .open()
                .unwrap();
            let mut random = Random(7);
            let shared = (!exclusive).then(|| topic.publisher().unwrap());
            let mut sole = exclusive.then(|| topic.exclusive_publisher().unwrap());
            for id in 0..2000 {
                let refused = match (&shared, &mut sole) {
                    (Some(publisher), _) => publisher.try_publish(census.event(id)).err(),
                    (_, Some(publisher)) => publisher.try_publish(census.event(id)).err(),
                    _ => unreachable!(),
                };
                if refused.is_some() || random.below(40) == 0 {
                    reader
                        .poll(1 + random.below(90) as usize, |_, _| ())
                        .unwrap();
                    lossy
                        .poll(1 + random.below(30) as usize, |_, _| ())
                        .unwrap();
                }
            }
            assert_eq!(topic.capacity(), 128);
            idle.poll(1, |_, _| ()).unwrap();
        }
        census.assert_all_dropped_once();
    }
}

#[test]
fn zero_sized_events_are_counted() {
    #[derive(Clone, Debug, PartialEq)]
    struct Tick;
    let bus = Bus::new();
    let topic = growing::<Tick>(&bus, 1, 1 << 12);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    for _ in 0..1 << 12 {
        publisher.publish(Tick).unwrap();
    }
    assert_eq!(drain(&mut subscriber).len(), 1 << 12);
}

#[test]
fn a_panic_while_an_event_is_built_leaves_the_topic_growing() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 64);
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    let mut sent = Vec::new();
    for event in 0..30 {
        let panics = catch_unwind(AssertUnwindSafe(|| {
            publisher.publish_with(|| panic!("not built"))
        }));
        assert!(panics.is_err());
        publisher.publish(event).unwrap();
        sent.push(event);
    }
    assert_conserved(&topic);
    assert_eq!(drain(&mut subscriber), sent);
    assert_eq!(topic.snapshot().published, 30);
    assert_conserved(&topic);
}

#[test]
fn gaps_alone_do_not_fill_a_small_topic() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 1, 2);
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publisher.publish(0).unwrap();
    publisher.publish(1).unwrap();
    assert_eq!(topic.capacity(), 2);
    assert_eq!(subscriber.recv(), Ok(0));
    assert_eq!(subscriber.recv(), Ok(1));
    for event in 2..40 {
        let panics = catch_unwind(AssertUnwindSafe(|| {
            publisher.publish_with(|| panic!("not built"))
        }));
        assert!(panics.is_err());
        publisher.publish(event).unwrap();
        assert_eq!(subscriber.recv(), Ok(event));
    }
}

#[test]
fn publishing_from_an_event_s_drop_grows_the_topic_it_is_in() {
    struct Echo {
        publisher: Option<Arc<std::sync::Mutex<Option<Publisher<Echo>>>>>,
    }
    impl Drop for Echo {
        fn drop(&mut self) {
            if let Some(publisher) = self.publisher.take()
                && let Ok(publisher) = publisher.try_lock()
                && let Some(publisher) = &*publisher
            {
                publisher.try_publish(Echo { publisher: None }).ok();
            }
        }
    }
    let bus = Bus::new();
    let topic = growing::<Echo>(&bus, 64, 256);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let own = Arc::new(std::sync::Mutex::new(Some(publisher.clone())));
    let mut seen = 0;
    for _ in 0..2000 {
        let echo = Echo {
            publisher: Some(Arc::clone(&own)),
        };
        if publisher.try_publish(echo).is_err() {
            seen += subscriber.poll(100, |_, _| ()).unwrap();
        }
    }
    assert!(seen > 0);
    assert_eq!(topic.capacity(), 256);
    own.lock().unwrap().take();
}

#[test]
fn close_is_exact_after_a_growth() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 64);
    let mut subscriber = topic.subscribe();
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..40 {
        publisher.publish(event).unwrap();
    }
    topic.close();
    assert_eq!(publisher.publish(40), Err(PublishError::Closed(40)));
    assert_eq!(publisher.try_publish(40), Err(TryPublishError::Closed(40)));
    assert_eq!(drain(&mut subscriber), (0..40).collect::<Vec<_>>());
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    assert_eq!(drain(&mut lossy), (0..40).collect::<Vec<_>>());
    assert_eq!(lossy.poll(1, |_, _| ()), Err(PollError::Closed));
    assert_eq!(topic.subscribe().recv(), Err(RecvError::Closed));
    assert_conserved(&topic);
}

#[test]
fn publishers_take_turns_on_a_topic_that_has_grown() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 64);
    let mut subscriber = topic.subscribe();
    let shared = topic.publisher().unwrap();
    for event in 0..20 {
        shared.publish(event).unwrap();
    }
    drop(shared);
    let mut sole = topic.exclusive_publisher().unwrap();
    for event in 20..50 {
        sole.publish(event).unwrap();
    }
    drop(sole);
    let shared = topic.publisher().unwrap();
    shared.publish_batch(50..55).unwrap();
    drop(shared);
    topic.publish(55).unwrap();
    assert_eq!(drain(&mut subscriber), (0..56).collect::<Vec<_>>());
    assert_eq!(topic.capacity(), 64);
}

#[test]
fn a_turn_hands_out_what_was_published_before_it_across_rings() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 1024);
    let publisher = topic.publisher().unwrap();
    let mut reactor = Reactor::<Vec<u64>>::new();
    let again = publisher.clone();
    reactor.on(topic.subscribe(), move |seen, event, _| {
        seen.push(*event);
        // Grows the topic during the turn; it is for the next one.
        again.publish(event + 1000).unwrap();
    });
    let mut seen = Vec::new();
    for event in 0..10 {
        publisher.publish(event).unwrap();
    }
    let turn = reactor.turn(&mut seen, Budget::events(4));
    assert_eq!((turn.handled, turn.pending), (4, 6));
    assert_eq!(seen, [0, 1, 2, 3]);
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (10, 0));
    assert_eq!(seen[4..], [4, 5, 6, 7, 8, 9, 1000, 1001, 1002, 1003]);
    for _ in 0..3 {
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.handled, turn.pending), (10, 0));
    }
    assert_eq!(seen.len(), 44);
}

#[test]
fn a_turn_takes_batches_and_lossy_subscriptions_across_rings() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 2, 256);
    let publisher = topic.publisher().unwrap();
    let mut reactor = Reactor::<(Vec<u64>, Vec<u64>)>::new();
    reactor.on_batch(topic.subscribe(), |(seen, _), batch, _| {
        seen.extend(batch.map(|(event, _)| *event));
    });
    let lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    reactor.on(lossy, |(_, seen), event, _| seen.push(*event));
    let mut state = (Vec::new(), Vec::new());
    for event in 0..200 {
        publisher.publish(event).unwrap();
    }
    let turn = reactor.turn(&mut state, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (400, 0));
    let expected: Vec<_> = (0..200).collect();
    assert_eq!((&state.0, &state.1), (&expected, &expected));
}

#[test]
fn select_and_batches_look_into_the_next_ring() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 1, 8);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(0).unwrap();
    publisher.publish(1).unwrap();
    assert_eq!(subscriber.recv(), Ok(0));
    // At the end of the first ring; the next has an event.
    let taken = select! {
        event = subscriber => Some(event.unwrap()),
        default => None,
    };
    assert_eq!(taken, Some(1));
    for event in 2..10 {
        publisher.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    while subscriber
        .poll_batch(3, |batch| seen.extend(batch.map(|(event, _)| *event)))
        .unwrap()
        .is_some()
    {}
    assert_eq!(seen, (2..10).collect::<Vec<_>>());
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_hook_is_called_for_what_comes_after_a_growth() {
    let bus = Bus::new();
    let topic = growing::<u64>(&bus, 1, 8);
    let mut slow = topic.subscribe();
    let mut subscriber = topic.subscribe();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    subscriber.on_ready(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let publisher = topic.publisher().unwrap();
    for event in 0..8 {
        let before = calls.load(Ordering::Relaxed);
        assert_eq!(subscriber.poll(4, |_, _| ()), Ok(0));
        publisher.publish(event).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), before + 1);
        assert_eq!(subscriber.poll(4, |_, _| ()), Ok(1));
    }
    assert_eq!(drain(&mut slow).len(), 8);
}

/// Publishers and readers on threads of their own, with slow phases that make the topic grow.
fn under_load(wait: WaitStrategy, publishers: u64, events: u64, exclusive: bool) {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<(u64, u64)>()
        .capacity(2)
        .grow_to(256)
        .wait(wait)
        .keep_open()
        .open()
        .unwrap();
    let readers: Vec<_> = [Overflow::Block, Overflow::Block, Overflow::DropOldest]
        .into_iter()
        .enumerate()
        .map(|(index, overflow)| {
            let mut subscriber = topic
                .subscriber()
                .name(format!("reader {index}"))
                .overflow(overflow)
                .open()
                .unwrap();
            thread::spawn(move || {
                let mut random = Random(index as u64);
                let mut last = vec![None; publishers as usize];
                let mut accounted = 0;
                let mut sequence = None;
                loop {
                    let shown =
                        subscriber.poll_wait(1 + random.below(50) as usize, |event, meta| {
                            assert!(sequence.is_none_or(|before| before < meta.sequence));
                            sequence = Some(meta.sequence);
                            let (publisher, number) = *event;
                            let before = &mut last[publisher as usize];
                            match overflow {
                                Overflow::Block => {
                                    assert_eq!(number, before.map_or(0, |before: u64| before + 1));
                                }
                                _ => assert!(before.is_none_or(|before| before < number)),
                            }
                            *before = Some(number);
                            accounted += 1 + meta.missed;
                        });
                    if shown.is_err() {
                        return (subscriber, accounted);
                    }
                    if random.below(30) == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let senders: Vec<_> = (0..publishers)
        .map(|index| {
            let topic = topic.clone();
            let mut sole: Option<ExclusivePublisher<_>> =
                exclusive.then(|| topic.exclusive_publisher().unwrap());
            let shared = (!exclusive).then(|| topic.publisher().unwrap());
            thread::spawn(move || {
                for number in 0..events {
                    match (&mut sole, &shared) {
                        (Some(publisher), _) => publisher.publish((index, number)).unwrap(),
                        (_, Some(publisher)) => publisher.publish((index, number)).unwrap(),
                        _ => unreachable!(),
                    };
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    topic.close();
    let readers: Vec<_> = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .collect();
    for (_, accounted) in &readers {
        assert_eq!(*accounted, publishers * events);
    }
    assert_conserved(&topic);
    assert_eq!(topic.snapshot().published, publishers * events);
}

#[test]
fn grows_under_load_and_loses_nothing() {
    let events = if cfg!(miri) { 200 } else { 20_000 };
    for round in 0..10 {
        finishes("one publisher", move || {
            under_load(WaitStrategy::Park, 1, events, round % 2 == 0)
        });
        finishes("two publishers", move || {
            under_load(WaitStrategy::Park, 2, events / 2, false)
        });
        finishes("yielding", move || {
            under_load(WaitStrategy::Yield, 2, events / 2, false)
        });
    }
}

#[test]
fn subscribers_come_and_go_while_it_grows() {
    finishes("coming and going", || {
        for round in 0..20 {
            let bus = Bus::new();
            let topic = growing::<u64>(&bus, 1, 512);
            let publisher = topic.publisher().unwrap();
            let mut steady = topic.subscribe();
            let sender = thread::spawn(move || {
                for event in 0..5000 {
                    publisher.publish(event).unwrap();
                }
            });
            let visitors: Vec<_> = (0..2)
                .map(|index| {
                    let topic = topic.clone();
                    thread::spawn(move || {
                        let mut random = Random(round * 10 + index);
                        for _ in 0..100 {
                            let overflow =
                                [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect]
                                    [random.below(3) as usize];
                            let mut visitor = topic.subscriber().overflow(overflow).open().unwrap();
                            let mut next = None;
                            for _ in 0..random.below(4) {
                                let polled = visitor.poll(16, |event, meta| {
                                    assert!(next.is_none_or(|next| *event == next + meta.missed));
                                    next = Some(event + 1);
                                });
                                if polled.is_err() {
                                    break;
                                }
                            }
                        }
                    })
                })
                .collect();
            for event in 0..5000 {
                assert_eq!(steady.recv(), Ok(event));
            }
            sender.join().unwrap();
            for visitor in visitors {
                visitor.join().unwrap();
            }
            assert_conserved(&topic);
            assert_eq!(topic.snapshot().subscribers.len(), 1);
        }
    });
}

#[test]
fn a_publisher_that_waits_at_the_bound_goes_on_when_an_old_ring_is_read() {
    finishes("waiting at the bound", || {
        let bus = Bus::new();
        let topic = growing::<u64>(&bus, 1, 4);
        let mut subscriber = topic.subscribe();
        let sender = {
            let publisher = topic.publisher().unwrap();
            thread::spawn(move || {
                for event in 0..200 {
                    publisher.publish(event).unwrap();
                }
            })
        };
        wait_until("the publisher is at the bound", || topic.capacity() == 4);
        for event in 0..200 {
            assert_eq!(subscriber.recv_timeout(Duration::from_secs(10)), Ok(event));
        }
        sender.join().unwrap();
    });
}
