//! One order for all, every event once.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use common::assert_conserved;
use ringbus::{Bus, Overflow, Topic};

fn open(bus: &Bus, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn a_lossless_subscriber_sees_every_event_once_in_order() {
    for exclusive in [false, true] {
        for capacity in [1, 4, 1024] {
            let bus = Bus::new();
            let topic = open(&bus, capacity);
            let events = if cfg!(miri) { 50 } else { 5000 };
            let mut subscriber = topic.subscribe();
            let reader = thread::spawn(move || {
                (0..events)
                    .map(|_| subscriber.recv().unwrap())
                    .collect::<Vec<_>>()
            });
            if exclusive {
                let mut publisher = topic.exclusive_publisher().unwrap();
                for event in 0..events {
                    publisher.publish(event).unwrap();
                }
            } else {
                let publisher = topic.publisher().unwrap();
                for event in 0..events {
                    publisher.publish(event).unwrap();
                }
            }
            assert_eq!(reader.join().unwrap(), (0..events).collect::<Vec<_>>());
            assert_conserved(&topic);
        }
    }
}

#[test]
fn all_ways_to_read_continue_each_other() {
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        topic.publisher().unwrap().publish_batch(0..40).unwrap();
        let mut seen = Vec::new();
        while seen.len() < 40 {
            seen.extend(subscriber.recv());
            seen.extend(subscriber.try_recv());
            subscriber.poll(3, |event, _| seen.push(*event)).unwrap();
            subscriber
                .poll_batch(3, |batch| seen.extend(batch.map(|(event, _)| *event)))
                .unwrap();
            // Takes one and leaves the others.
            subscriber
                .poll_batch(3, |mut batch| {
                    seen.extend(batch.next().map(|(event, _)| *event))
                })
                .unwrap();
            seen.extend(subscriber.try_iter().take(2).map(|(event, _)| event));
        }
        assert_eq!(seen, (0..40).collect::<Vec<_>>());
        assert_conserved(&topic);
    }
}

#[test]
fn a_batch_that_is_not_taken_from_stays_whole() {
    for overflow in [
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
        Overflow::Disconnect,
    ] {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        topic.publish(7).unwrap();
        assert_eq!(subscriber.poll_batch(8, |_| ()), Ok(Some(())));
        assert_eq!(
            subscriber.try_recv(),
            Ok(7),
            "nobody has taken the event ({overflow:?})"
        );
        assert_conserved(&topic);
    }
}

#[test]
fn a_loss_is_still_told_when_its_batch_was_not_taken_from() {
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    subscriber.poll_batch(8, |_| ()).unwrap();
    let mut seen = Vec::new();
    subscriber
        .poll(8, |event, meta| seen.push((*event, meta.missed)))
        .unwrap();
    assert_eq!(seen, [(6, 6), (7, 0), (8, 0), (9, 0)]);
}

#[test]
fn a_batch_that_is_leaked_keeps_what_was_not_taken_from_it() {
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
        let bus = Bus::new();
        let topic = open(&bus, 8);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        for event in 0..4 {
            topic.publish(event).unwrap();
        }
        subscriber
            .poll_batch(8, |mut batch| {
                assert_eq!(batch.next().map(|(event, _)| *event), Some(0));
                assert_eq!(batch.next().map(|(event, _)| *event), Some(1));
                std::mem::forget(batch);
            })
            .unwrap();
        if overflow == Overflow::Block {
            // Nor has one that was not looked into lost anything.
            subscriber
                .poll_batch(8, |batch| std::mem::forget(batch))
                .unwrap();
        }
        let left: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
        assert_eq!(left, [2, 3]);
        assert_conserved(&topic);
    }
}

#[test]
fn a_batch_is_the_same_taken_one_by_one_and_folded() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut publisher = topic.exclusive_publisher().unwrap();
    let mut publish = || {
        for event in 0..5 {
            publisher.publish(event).unwrap();
        }
        // A gap, which a batch passes over.
        let build = || panic!("the build panics");
        let gap = AssertUnwindSafe(|| publisher.publish_with(build).map(drop));
        assert!(catch_unwind(gap).is_err());
        for event in 5..10 {
            publisher.publish(event).unwrap();
        }
    };
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        for filtered in [false, true] {
            for first in 0..12 {
                let mut builder = topic.subscriber().overflow(overflow);
                if filtered {
                    builder = builder.filter(|event| event % 3 != 0);
                }
                let mut subscriber = builder.open().unwrap();
                publish();
                let mut seen = Vec::new();
                let mut counted = 0;
                // A lossy subscriber may be lent less than there is.
                while let Some(folded) = subscriber
                    .poll_batch(64, |mut batch| {
                        seen.extend(batch.by_ref().take(first).map(|(event, _)| *event));
                        batch.fold(seen.len(), |count, (event, _)| {
                            seen.push(*event);
                            count + 1
                        })
                    })
                    .unwrap()
                {
                    counted = folded;
                }
                let expected = (0..10).filter(|event| !filtered || event % 3 != 0);
                assert_eq!(seen, expected.collect::<Vec<_>>());
                assert_eq!(counted, seen.len());
                assert_conserved(&topic);
            }
        }
    }
}

#[test]
fn a_batch_has_at_most_as_many_events_as_were_asked_for() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        topic.publisher().unwrap().publish_batch(0..10).unwrap();
        assert_eq!(subscriber.poll_batch(2, |batch| batch.count()), Ok(Some(2)));
        assert_eq!(subscriber.poll(3, |_, _| ()), Ok(3));
        let left = subscriber.try_iter().count();
        assert_eq!(left, 5);
    }
}

#[test]
fn subscribers_see_one_order_whatever_their_policy() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let events = if cfg!(miri) { 50 } else { 5000 };
    let policies = [
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
        Overflow::Disconnect,
    ];
    let readers = policies.map(|overflow| {
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        thread::spawn(move || {
            subscriber
                .iter()
                .map(|(event, meta)| (meta.sequence, event))
                .collect::<Vec<_>>()
        })
    });
    let publishers = [0, 1].map(|who| {
        let publisher = topic.publisher().unwrap();
        thread::spawn(move || {
            for event in 0..events {
                publisher.publish(event * 2 + who).unwrap();
            }
        })
    });
    publishers
        .into_iter()
        .for_each(|publisher| publisher.join().unwrap());
    topic.close();
    let [all, others @ ..] = readers.map(|reader| reader.join().unwrap());
    assert_eq!(all.len() as u64, 2 * events);
    assert!(all.is_sorted());
    for who in [0, 1] {
        assert!(
            all.iter()
                .map(|seen| seen.1)
                .filter(|event| event % 2 == who)
                .is_sorted()
        );
    }
    for seen in others {
        assert!(seen.is_sorted());
        assert!(
            seen.iter().all(|event| all.binary_search(event).is_ok()),
            "events are the same"
        );
    }
}

#[test]
fn an_event_is_one_value_for_all_subscribers() {
    let bus = Bus::new();
    let topic = bus.topic::<String>();
    let mut subscribers = [topic.subscribe(), topic.subscribe()];
    topic.publish("here".to_owned()).unwrap();
    let places = subscribers.each_mut().map(|subscriber| {
        subscriber.poll_batch(1, |mut batch| {
            std::ptr::from_ref(batch.next().unwrap().0).addr()
        })
    });
    assert_eq!(places[0], places[1], "it is read where it was written");
}
