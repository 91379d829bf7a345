//! Publishing: sequences, refusals that give the event back, batches, the two kinds of publisher.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{assert_conserved, finishes, let_others_park};
use ringbus::{
    Bus, Overflow, PublishBatchError, PublishError, PublishTimeoutError, Publisher, PublisherError,
    Start, Topic, TryPublishError,
};

/// Neither `Clone` nor `Debug`.
struct Parcel(String);

fn parcel(text: &str) -> Parcel {
    Parcel(text.to_owned())
}

fn small<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn publish_to_full_ring_returns_the_event() {
    let bus = Bus::new();
    let topic = small::<Parcel>(&bus, 1);
    let _subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.try_publish(parcel("one")).unwrap();
    let refused = publisher.try_publish(parcel("two")).unwrap_err();
    assert!(matches!(refused, TryPublishError::Full(_)));
    assert_eq!(refused.into_event().0, "two");

    drop(publisher);
    let mut publisher = topic.exclusive_publisher().unwrap();
    let refused = publisher.try_publish(parcel("two")).unwrap_err();
    assert!(matches!(refused, TryPublishError::Full(_)));
    assert_eq!(refused.into_event().0, "two");
}

#[test]
fn publish_that_times_out_returns_the_event() {
    let bus = Bus::new();
    let topic = small::<Parcel>(&bus, 1);
    let subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(parcel("one")).unwrap();
    let refused = publisher
        .publish_timeout(parcel("two"), Duration::from_millis(1))
        .unwrap_err();
    assert!(matches!(refused, PublishTimeoutError::Timeout(_)));
    assert_eq!(refused.into_event().0, "two");
    let refused = publisher
        .publish_deadline(parcel("two"), Instant::now())
        .unwrap_err();
    assert!(matches!(refused, PublishTimeoutError::Timeout(_)));
    drop(publisher);

    let mut publisher = topic.exclusive_publisher().unwrap();
    let refused = publisher
        .publish_timeout(parcel("two"), Duration::from_millis(1))
        .unwrap_err();
    assert!(matches!(refused, PublishTimeoutError::Timeout(_)));
    let refused = publisher
        .publish_deadline(parcel("two"), Instant::now())
        .unwrap_err();
    assert_eq!(refused.into_event().0, "two");
    drop(subscriber);
    publisher
        .publish_timeout(parcel("two"), Duration::from_millis(1))
        .unwrap();
}

#[test]
fn publish_waits_at_least_as_long_as_it_is_told_to() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 1);
    let _subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(1).unwrap();
    let since = Instant::now();
    publisher
        .publish_timeout(2, Duration::from_millis(20))
        .unwrap_err();
    assert!(since.elapsed() >= Duration::from_millis(20));
}

#[test]
fn publish_with_an_endless_timeout_waits_for_room() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 1);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(1).unwrap();
    let reader = thread::spawn(move || (subscriber.recv(), subscriber.recv()));
    publisher.publish_timeout(2, Duration::MAX).unwrap();
    assert_eq!(reader.join().unwrap(), (Ok(1), Ok(2)));
}

#[test]
fn publish_to_closed_topic_returns_the_event() {
    let bus = Bus::new();
    for heard in [false, true] {
        let topic = bus.topic::<Parcel>();
        let _subscriber = heard.then(|| topic.subscribe());
        let publisher = topic.publisher().unwrap();
        topic.close();

        let refused = publisher.publish(parcel("a")).unwrap_err();
        assert!(matches!(&refused, PublishError::Closed(_)));
        assert_eq!(refused.into_event().0, "a");
        let refused = publisher.try_publish(parcel("b")).unwrap_err();
        assert!(matches!(&refused, TryPublishError::Closed(_)));
        assert_eq!(refused.into_event().0, "b");
        let refused = publisher
            .publish_timeout(parcel("c"), Duration::MAX)
            .unwrap_err();
        assert!(matches!(&refused, PublishTimeoutError::Closed(_)));
        assert_eq!(refused.into_event().0, "c");
        let refused = publisher
            .publish_batch([parcel("d"), parcel("e")])
            .unwrap_err();
        assert!(matches!(&refused, PublishBatchError::Closed(_)));
        let texts: Vec<_> = refused
            .into_events()
            .into_iter()
            .map(|event| event.0)
            .collect();
        assert_eq!(texts, ["d", "e"]);
        let refused = topic.publish(parcel("f")).unwrap_err();
        assert!(matches!(&refused, PublishError::Closed(_)));
        assert_eq!(refused.into_event().0, "f");
        assert!(matches!(topic.publisher(), Err(PublisherError::Closed)));
        assert!(matches!(
            topic.exclusive_publisher(),
            Err(PublisherError::Closed)
        ));
    }
}

#[test]
fn exclusive_publish_to_closed_topic_returns_the_event() {
    let bus = Bus::new();
    for heard in [false, true] {
        let topic = bus.topic::<Parcel>();
        let _subscriber = heard.then(|| topic.subscribe());
        let mut publisher = topic.exclusive_publisher().unwrap();
        topic.close();

        assert_eq!(
            publisher.publish(parcel("a")).unwrap_err().into_event().0,
            "a"
        );
        assert_eq!(
            publisher
                .try_publish(parcel("b"))
                .unwrap_err()
                .into_event()
                .0,
            "b"
        );
        let refused = publisher.publish_with(|| parcel("c")).unwrap_err();
        assert!(matches!(&refused, PublishError::Closed(_)));
        assert_eq!(refused.into_event().into_event().0, "c");
        let refused = publisher
            .publish_batch([parcel("d"), parcel("e")])
            .unwrap_err();
        assert!(matches!(&refused, PublishBatchError::Closed(_)));
        let texts: Vec<_> = refused.into_events().map(|event| event.0).collect();
        assert_eq!(texts, ["d", "e"]);
    }
}

#[test]
fn publish_beside_an_exclusive_publisher_returns_the_event() {
    let bus = Bus::new();
    let topic = bus.topic::<Parcel>();
    let _exclusive = topic.exclusive_publisher().unwrap();
    let refused = topic.publish(parcel("a")).unwrap_err();
    assert!(matches!(&refused, PublishError::Exclusive(_)));
    assert_eq!(refused.into_event().0, "a");
    let refused = bus.publish(parcel("b")).unwrap_err();
    assert_eq!(refused.into_event().0, "b");
}

#[test]
fn an_exclusive_publisher_is_alone() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 4);
    let exclusive = topic.exclusive_publisher().unwrap();
    assert_eq!(
        topic.exclusive_publisher().unwrap_err(),
        PublisherError::Exclusive
    );
    assert_eq!(topic.publisher().unwrap_err(), PublisherError::Exclusive);
    drop(exclusive);

    let one = topic.publisher().unwrap();
    let two = one.clone();
    assert_eq!(
        topic.exclusive_publisher().unwrap_err(),
        PublisherError::NotAlone(2)
    );
    drop(one);
    assert_eq!(
        topic.exclusive_publisher().unwrap_err(),
        PublisherError::NotAlone(1)
    );
    drop(two);
    drop(topic.exclusive_publisher().unwrap());
}

#[test]
fn the_bus_counts_as_a_publisher_once_it_has_published() {
    let bus = Bus::new();
    let topic = bus.topic::<u8>();
    bus.publish(1_u8).unwrap();
    assert_eq!(
        topic.exclusive_publisher().unwrap_err(),
        PublisherError::NotAlone(1)
    );
    drop(topic.publisher().unwrap());
    assert!(!topic.is_closed());
}

#[test]
fn shared_and_exclusive_publishers_take_turns_without_a_gap() {
    let bus = Bus::new();
    let topic = small::<u64>(&bus, 8);
    let mut subscriber = topic.subscribe();
    for round in 0..50 {
        let first = if round % 2 == 0 {
            let publisher = topic.publisher().unwrap();
            publisher.publish(round).unwrap();
            publisher.publish_batch([round; 2]).unwrap().start - 1
        } else {
            let mut publisher = topic.exclusive_publisher().unwrap();
            publisher.publish(round).unwrap();
            publisher.publish_batch([round; 2]).unwrap().start - 1
        };
        assert_eq!(first, round * 3);
        let mut sequences = Vec::new();
        subscriber
            .poll(8, |_, meta| sequences.push(meta.sequence))
            .unwrap();
        assert_eq!(sequences, [first, first + 1, first + 2]);
    }
}

#[test]
fn publish_returns_the_sequence_that_subscribers_see() {
    let bus = Bus::new();
    let topic: Topic<u64> = bus
        .topic_builder()
        .capacity(8)
        .first_sequence(1000)
        .keep_open()
        .open()
        .unwrap();
    // Nobody listens, and sequences go on all the same.
    assert_eq!(topic.publish(0), Ok(1000));
    let publisher = topic.publisher().unwrap();
    assert_eq!(publisher.publish_batch([1, 2]), Ok(1001..1003));
    let mut subscriber = topic.subscribe();
    assert_eq!(publisher.publish(3), Ok(1003));
    assert_eq!(publisher.try_publish(4), Ok(1004));
    assert_eq!(publisher.publish_timeout(5, Duration::ZERO), Ok(1005));
    assert_eq!(publisher.publish_batch(6..9), Ok(1006..1009));
    let mut seen = Vec::new();
    subscriber
        .poll(64, |event, meta| seen.push((*event + 1000, meta.sequence)))
        .unwrap();
    assert_eq!(
        seen,
        (1003..1009).map(|event| (event, event)).collect::<Vec<_>>()
    );
}

#[test]
fn an_empty_batch_publishes_nothing() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 2);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    assert!(publisher.publish_batch([]).unwrap().is_empty());
    publisher.publish_batch([1, 2]).unwrap();
    // Also where one event would not fit.
    assert!(publisher.publish_batch([]).unwrap().is_empty());
    assert!(publisher.try_publish_batch([]).unwrap().is_empty());
    drop(publisher);
    let mut publisher = topic.exclusive_publisher().unwrap();
    assert!(publisher.publish_batch([]).unwrap().is_empty());
    assert!(publisher.try_publish_batch([]).unwrap().is_empty());
    assert_eq!(subscriber.try_iter().count(), 2);
}

#[test]
fn a_batch_beyond_the_capacity_is_refused_and_never_waits() {
    let bus = Bus::new();
    for heard in [false, true] {
        let topic = small::<u8>(&bus, 4);
        let mut subscriber = heard.then(|| topic.subscribe());
        let publisher = topic.publisher().unwrap();
        match publisher.publish_batch([7; 5]) {
            Err(PublishBatchError::TooLarge {
                events,
                length: 5,
                capacity: 4,
                ..
            }) => {
                assert_eq!(events, [7; 5]);
            }
            other => panic!("{other:?}"),
        }
        drop(publisher);
        let mut publisher = topic.exclusive_publisher().unwrap();
        match publisher.try_publish_batch([7; 5]) {
            Err(PublishBatchError::TooLarge {
                events,
                length: 5,
                capacity: 4,
                ..
            }) => {
                assert_eq!(events.count(), 5);
            }
            other => panic!("{:?}", other.map_err(|_| ())),
        }
        assert_eq!(publisher.publish_batch([7; 4]).unwrap().count(), 4);
        if let Some(subscriber) = &mut subscriber {
            assert_eq!(subscriber.try_iter().count(), 4);
        }
    }
}

#[test]
fn a_batch_goes_as_a_whole_or_not_at_all() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 4);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish_batch([1, 2]).unwrap();
    let refused = publisher.try_publish_batch([3, 4, 5]).unwrap_err();
    assert!(matches!(&refused, PublishBatchError::Full(_)));
    assert_eq!(refused.into_events(), [3, 4, 5]);
    assert_eq!(subscriber.try_iter().count(), 2);
    publisher.try_publish_batch([3, 4, 5]).unwrap();
    assert_eq!(
        subscriber
            .try_iter()
            .map(|(event, _)| event)
            .collect::<Vec<_>>(),
        [3, 4, 5]
    );
}

#[test]
fn a_publisher_that_was_refused_a_batch_publishes_the_next_one_alone() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 4);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.try_publish_batch([0; 5]).unwrap_err();
    publisher.publish_batch([1; 4]).unwrap();
    publisher.try_publish_batch([2; 4]).unwrap_err();
    subscriber.try_iter().for_each(drop);
    publisher.publish_batch([3]).unwrap();
    assert_eq!(
        subscriber
            .try_iter()
            .map(|(event, _)| event)
            .collect::<Vec<_>>(),
        [3]
    );
}

#[test]
fn an_exact_size_iterator_that_ends_early_leaves_no_gap_that_blocks() {
    struct Liar(usize);
    impl Iterator for Liar {
        type Item = u8;
        fn next(&mut self) -> Option<u8> {
            self.0 = self.0.checked_sub(1)?;
            Some(7)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (4, Some(4))
        }
    }
    impl ExactSizeIterator for Liar {}

    let bus = Bus::new();
    let topic = small::<u8>(&bus, 4);
    let mut subscriber = topic.subscriber().name("it").open().unwrap();
    let mut publisher = topic.exclusive_publisher().unwrap();
    for round in 0..100 {
        // An iterator that gives more than it said publishes no more than it said.
        let given = [0, 1, 2, 3, 9][round % 5];
        let range = publisher.publish_batch(Liar(given)).unwrap();
        assert_eq!(range.count(), given.min(4));
        assert_eq!(subscriber.try_iter().count(), given.min(4));
        publisher.publish(1).unwrap();
        assert_eq!(subscriber.recv(), Ok(1));
        assert_conserved(&topic);
    }
}

#[test]
fn publish_with_builds_only_when_there_is_room() {
    let bus = Bus::new();
    let topic = small::<[u64; 4]>(&bus, 1);
    let mut subscriber = topic.subscribe();
    assert!(subscriber.try_recv().is_err());
    let mut publisher = topic.exclusive_publisher().unwrap();
    publisher.publish_with(|| [1; 4]).unwrap();
    let mut built = false;
    // The subscriber was read by this thread, so waiting for it is refused.
    let refused = publisher.publish_with(|| {
        built = true;
        [2; 4]
    });
    assert!(matches!(refused, Err(PublishError::WouldDeadlock(_))));
    drop(refused);
    assert!(!built);
    assert_eq!(subscriber.recv(), Ok([1; 4]));
    publisher.publish_with(|| [3; 4]).unwrap();
    assert_eq!(subscriber.recv(), Ok([3; 4]));
}

#[test]
fn publish_with_works_for_events_that_own_memory_and_without_listeners() {
    let bus = Bus::new();
    let topic = small::<String>(&bus, 2);
    let mut publisher = topic.exclusive_publisher().unwrap();
    assert_eq!(publisher.publish_with(|| "unheard".to_owned()).unwrap(), 0);
    let mut subscriber = topic.subscribe();
    for round in 0..200 {
        assert_eq!(
            publisher.publish_with(|| round.to_string()).unwrap(),
            round + 1
        );
        assert_eq!(subscriber.recv(), Ok(round.to_string()));
    }
}

#[test]
fn publish_into_a_ring_that_this_thread_has_read_would_deadlock_at_once() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 2);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    subscriber.poll(1, |_, _| ()).unwrap();
    publisher.publish_batch([1, 2]).unwrap();
    assert_eq!(publisher.publish(3), Err(PublishError::WouldDeadlock(3)));
    assert_eq!(
        publisher.publish_timeout(3, Duration::MAX),
        Err(PublishTimeoutError::WouldDeadlock(3))
    );
    assert!(matches!(
        publisher.publish_batch([3, 4]),
        Err(PublishBatchError::WouldDeadlock(events)) if events == [3, 4]
    ));
    assert_eq!(topic.publish(3), Err(PublishError::WouldDeadlock(3)));
    drop(publisher);
}

#[test]
fn publish_into_a_ring_that_nobody_has_read_yet_would_deadlock_after_a_grace() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 1);
    let _subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(1).unwrap();
    let since = Instant::now();
    assert_eq!(publisher.publish(2), Err(PublishError::WouldDeadlock(2)));
    // Long enough for another thread to start reading.
    assert!(since.elapsed() >= Duration::from_millis(500));
}

#[test]
fn a_subscriber_on_its_way_to_another_thread_is_waited_for() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 1);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(1).unwrap();
    let reader = thread::spawn(move || {
        let_others_park();
        [subscriber.recv(), subscriber.recv()]
    });
    publisher.publish(2).unwrap();
    assert_eq!(reader.join().unwrap(), [Ok(1), Ok(2)]);
}

#[test]
fn a_subscriber_that_another_thread_reads_is_waited_for() {
    let bus = Bus::new();
    let topic = small::<u64>(&bus, 2);
    let mut subscriber = topic.subscribe();
    // Read here once, then there for good.
    subscriber.poll(1, |_, _| ()).unwrap();
    let publisher = topic.publisher().unwrap();
    let started = Arc::new(AtomicBool::new(false));
    let is_started = Arc::clone(&started);
    let reader = thread::spawn(move || {
        subscriber.poll(1, |_, _| ()).unwrap();
        is_started.store(true, Ordering::Release);
        (0..1000)
            .map(|_| subscriber.recv().unwrap())
            .collect::<Vec<_>>()
    });
    common::wait_until("the reader reads", || started.load(Ordering::Acquire));
    for event in 0..1000 {
        publisher.publish(event).unwrap();
    }
    assert_eq!(reader.join().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_thread_that_reads_what_it_publishes_never_hangs() {
    finishes("publish, full, drain", || {
        let bus = Bus::new();
        let topic = small::<u64>(&bus, 4);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        subscriber.poll(1, |_, _| ()).unwrap();
        let mut read = 0;
        for mut event in 0..100 {
            loop {
                match publisher.publish(event) {
                    Ok(_) => break,
                    Err(PublishError::WouldDeadlock(refused)) => {
                        event = refused;
                        read += subscriber.poll(64, |_, _| ()).unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        read += subscriber.poll(64, |_, _| ()).unwrap();
        assert_eq!(read, 100);
    });
}

#[test]
fn publishers_make_one_total_order() {
    let bus = Bus::new();
    let topic = small::<(u8, u32)>(&bus, 64);
    let events = if cfg!(miri) { 50 } else { 5000 };
    let publish = |publisher: Publisher<(u8, u32)>, who: u8| {
        thread::spawn(move || {
            let mut sequences = Vec::new();
            for event in 0..events {
                sequences.push(publisher.publish((who, event)).unwrap());
            }
            sequences
        })
    };
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut subscriber = topic.subscribe();
            thread::spawn(move || {
                (0..2 * events)
                    .map(|_| {
                        let mut seen = None;
                        subscriber
                            .poll_wait(1, |event, meta| seen = Some((meta.sequence, *event)))
                            .unwrap();
                        seen.unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let publisher = topic.publisher().unwrap();
    let one = publish(publisher.clone(), 0);
    let two = publish(publisher, 1);
    let sequences = [one.join().unwrap(), two.join().unwrap()];
    let seen: Vec<_> = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .collect();
    assert_eq!(seen[0], seen[1], "both subscribers see one order");
    for (place, &(sequence, (who, event))) in seen[0].iter().enumerate() {
        assert_eq!(place as u64, sequence);
        assert_eq!(sequences[who as usize][event as usize], sequence);
    }
    assert!(sequences.iter().all(|sequences| sequences.is_sorted()));
}

#[test]
fn a_batch_of_shared_publishers_stays_together() {
    let bus = Bus::new();
    let topic = small::<(u8, u32)>(&bus, 64);
    let rounds = if cfg!(miri) { 20 } else { 1000 };
    let mut subscriber = topic.subscribe();
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        while seen.len() < 2 * 8 * rounds {
            subscriber
                .poll_wait(64, |event, _| seen.push(*event))
                .unwrap();
        }
        seen
    });
    let threads: Vec<_> = (0..2)
        .map(|who| {
            let publisher = topic.publisher().unwrap();
            thread::spawn(move || {
                for _ in 0..rounds {
                    publisher
                        .publish_batch((0..8).map(|event| (who, event)))
                        .unwrap();
                }
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    for batch in reader.join().unwrap().chunks(8) {
        let who = batch[0].0;
        assert_eq!(batch, (0..8).map(|event| (who, event)).collect::<Vec<_>>());
    }
}

#[test]
fn a_blocked_batch_waits_for_room_for_all_of_it() {
    let bus = Bus::new();
    let topic = small::<u64>(&bus, 8);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish_batch(0..8).unwrap();
    let blocked = thread::spawn(move || publisher.publish_batch(8..16));
    let_others_park();
    for event in 0..16 {
        assert_eq!(subscriber.recv(), Ok(event));
        if event < 7 {
            assert_eq!(
                topic.snapshot().published,
                8,
                "there is no room for the whole batch"
            );
        }
    }
    assert_eq!(blocked.join().unwrap(), Ok(8..16));
}

#[test]
fn events_without_listeners_are_dropped_and_counted() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    for event in 0..5000 {
        topic.publish(event).unwrap();
    }
    assert_eq!(topic.snapshot().published, 5000);
    let mut subscriber = topic.subscriber().start(Start::Oldest).open().unwrap();
    assert!(subscriber.try_recv().is_err());
    drop(subscriber);
    // With a ring and no subscriber nothing is in the way either.
    for event in 0..5000 {
        topic.publish(event).unwrap();
    }
    assert_eq!(topic.snapshot().published, 10_000);
}

#[test]
fn a_publisher_in_the_batch_iterator_does_not_mix_up_batches() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 16);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher
        .publish_batch((0..3).inspect(|event| {
            publisher.publish_batch([10 + event, 20 + event]).unwrap();
        }))
        .unwrap();
    let seen: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
    assert_eq!(seen, [10, 20, 11, 21, 12, 22, 0, 1, 2]);
}

#[test]
fn errors_name_their_condition_without_the_event() {
    fn check(error: impl std::error::Error, text: &str) {
        assert_eq!(error.to_string(), text);
        assert!(format!("{error:?}").contains(text));
    }
    check(TryPublishError::Full(1), "ring full");
    check(TryPublishError::Closed(1), "topic closed");
    check(PublishError::Closed(1), "topic closed");
    check(
        PublishError::WouldDeadlock(1),
        "ring full of events that only this thread reads: waiting would deadlock",
    );
    check(
        PublishError::Exclusive(1),
        "topic has an exclusive publisher",
    );
    check(
        PublishTimeoutError::Timeout(1),
        "ring full until the deadline",
    );
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 4);
    let too_large = topic
        .publisher()
        .unwrap()
        .publish_batch([1; 5])
        .unwrap_err();
    check(
        too_large,
        "batch of 5 events is larger than the ring's capacity, 4",
    );
    let _publishers = [topic.publisher().unwrap(), topic.publisher().unwrap()];
    assert_eq!(
        topic.exclusive_publisher().unwrap_err().to_string(),
        "topic has 2 publishers already, an exclusive one must be the only one"
    );
    assert_eq!(
        PublisherError::Exclusive.to_string(),
        "topic has an exclusive publisher"
    );
    assert_eq!(PublisherError::Closed.to_string(), "topic closed");
}

#[test]
fn a_lossy_subscriber_is_no_reason_to_wait() {
    let bus = Bus::new();
    let topic = small::<u8>(&bus, 1);
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    subscriber.poll(1, |_, _| ()).unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..200 {
        publisher.publish(event).unwrap();
    }
}
