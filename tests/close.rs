//! What closes a topic, and what is still delivered then.

mod common;

use std::thread;
use std::time::Duration;

use common::{assert_conserved, finishes, let_others_park, numbers};
use ringbus::{
    Bus, MAX_SEQUENCE, Overflow, PollError, PublishError, RecvError, RecvTimeoutError, Start,
    TryPublishError, TryRecvError,
};

#[test]
fn everything_published_before_the_close_is_delivered_then_closed() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    topic.close();
    for event in 0..100 {
        assert_eq!(subscriber.recv(), Ok(event));
    }
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    assert_eq!(
        subscriber.recv(),
        Err(RecvError::Closed),
        "closed stays closed"
    );
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(
        subscriber.recv_timeout(Duration::MAX),
        Err(RecvTimeoutError::Closed)
    );
    assert_eq!(subscriber.poll(1, |_, _| ()), Err(PollError::Closed));
    assert_eq!(subscriber.poll_wait(1, |_, _| ()), Err(PollError::Closed));
    assert_eq!(subscriber.poll_batch(1, |_| ()), Err(PollError::Closed));
    assert_eq!(
        subscriber.poll_batch_wait(1, |_| ()),
        Err(PollError::Closed)
    );
    assert_eq!(subscriber.iter().next(), None);
    assert_eq!(subscriber.try_iter().next(), None);
}

#[test]
fn iterators_end_at_the_close() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    topic.close();
    assert_eq!(
        subscriber
            .iter()
            .map(|(event, _)| event)
            .collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn closing_twice_is_closing_once() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    topic.publish(1).unwrap();
    topic.close();
    topic.close();
    bus.close();
    assert!(topic.is_closed() && bus.is_closed());
    assert_eq!(subscriber.recv(), Ok(1));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn closing_overwrites_nothing() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u32>().capacity(4).open().unwrap();
    let mut lossless = topic.subscribe();
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    for event in 0..4 {
        topic.publish(event).unwrap();
    }
    topic.close();
    for event in 0..200 {
        assert_eq!(topic.publish(event), Err(PublishError::Closed(event)));
    }
    assert_eq!(
        lossless
            .try_iter()
            .map(|(event, _)| event)
            .collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert_eq!(
        lossy.try_iter().map(|(event, _)| event).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
}

#[test]
fn the_end_of_the_last_publisher_closes_its_topic() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let other = publisher.clone();
    publisher.publish(1).unwrap();
    drop(publisher);
    assert!(!topic.is_closed());
    other.publish(2).unwrap();
    drop(other);
    assert!(topic.is_closed());
    assert_eq!(subscriber.recv(), Ok(1));
    assert_eq!(subscriber.recv(), Ok(2));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn the_end_of_the_exclusive_publisher_closes_its_topic() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publisher.publish(1).unwrap();
    drop(publisher);
    assert!(topic.is_closed());
    assert_eq!(subscriber.recv(), Ok(1));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn a_topic_that_is_kept_open_outlives_its_publishers() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u32>().keep_open().open().unwrap();
    drop(topic.publisher().unwrap());
    drop(topic.exclusive_publisher().unwrap());
    assert!(!topic.is_closed());
    topic.close();
    assert!(topic.is_closed());
}

#[test]
fn a_topic_that_the_bus_publishes_to_outlives_its_publishers() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    topic.publish(1).unwrap();
    drop(topic.publisher().unwrap());
    assert!(!topic.is_closed());
}

#[test]
fn a_topic_that_never_had_a_publisher_stays_open() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    drop(topic.subscribe());
    drop(topic.clone());
    assert!(!topic.is_closed());
}

#[test]
fn dropping_topics_and_subscribers_closes_nothing() {
    let bus = Bus::new();
    let publisher = bus.topic::<u32>().publisher().unwrap();
    drop(bus.topic::<u32>());
    drop(bus.topic::<u32>().subscribe());
    publisher.publish(1).unwrap();
    assert!(!bus.topic::<u32>().is_closed());
}

#[test]
fn closing_the_bus_closes_every_topic_and_those_to_come() {
    let bus = Bus::new();
    let (one, two) = (bus.topic::<u32>(), bus.topic_named::<u32>("two").unwrap());
    let publisher = two.publisher().unwrap();
    let mut subscriber = two.subscribe();
    bus.clone().close();
    assert!(one.is_closed() && two.is_closed() && bus.is_closed());
    assert_eq!(publisher.try_publish(1), Err(TryPublishError::Closed(1)));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    let late = bus.topic_named::<u32>("late").unwrap();
    assert!(late.is_closed());
    assert_eq!(late.subscribe().recv(), Err(RecvError::Closed));
    assert_eq!(bus.publish(1_u8), Err(PublishError::Closed(1)));
}

#[test]
fn the_end_of_the_last_bus_handle_closes_every_topic() {
    let bus = Bus::new();
    let other = bus.clone();
    let topic = bus.topic::<u32>();
    let publisher = topic.publisher().unwrap();
    let mut subscriber = topic.subscribe();
    publisher.publish(1).unwrap();
    drop(bus);
    assert!(!topic.is_closed());
    drop(other);
    assert!(topic.is_closed());
    assert_eq!(publisher.publish(2), Err(PublishError::Closed(2)));
    assert_eq!(subscriber.recv(), Ok(1));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn a_clone_of_a_publisher_whose_topic_was_closed_publishes_nothing() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let publisher = topic.publisher().unwrap();
    topic.close();
    let clone = publisher.clone();
    assert_eq!(clone.publish(1), Err(PublishError::Closed(1)));
}

#[test]
fn a_closed_topic_is_succeeded_by_a_new_one() {
    let bus = Bus::new();
    let old = bus.topic_builder::<u32>().capacity(4).open().unwrap();
    let mut old_subscriber = old.subscribe();
    old.publish(1).unwrap();
    old.close();
    // Other settings than before are no conflict.
    let new = bus.topic_builder::<u32>().capacity(8).open().unwrap();
    assert!(!new.is_closed() && old.is_closed());
    let mut new_subscriber = new.subscribe();
    assert_eq!(new.publish(2), Ok(0));
    assert_eq!(old_subscriber.recv(), Ok(1));
    assert_eq!(old_subscriber.recv(), Err(RecvError::Closed));
    assert_eq!(new_subscriber.recv(), Ok(2));
}

#[test]
fn a_subscriber_of_a_closed_topic_is_told_at_once() {
    let bus = Bus::new();
    for heard in [false, true] {
        let topic = bus.topic_builder::<u32>().keep_open().open().unwrap();
        let _first = heard.then(|| topic.subscribe());
        topic.publish(1).unwrap();
        topic.close();
        assert_eq!(topic.subscribe().recv(), Err(RecvError::Closed));
        for overflow in [Overflow::DropOldest, Overflow::Latest, Overflow::Disconnect] {
            let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
            assert_eq!(subscriber.recv(), Err(RecvError::Closed));
        }
    }
}

#[test]
fn what_a_closed_topic_retains_is_still_there_for_those_who_come_late() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u32>()
        .capacity(4)
        .retain(4)
        .open()
        .unwrap();
    for event in 0..4 {
        topic.publish(event).unwrap();
    }
    topic.close();
    let mut late = topic.subscriber().start(Start::Oldest).open().unwrap();
    assert_eq!(
        late.iter().map(|(event, _)| event).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
}

#[test]
fn refused_publishes_take_no_retained_event_away() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u32>()
        .capacity(4)
        .retain(4)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for event in 0..5 {
        publisher.publish(event).unwrap();
    }
    topic.close();
    for event in 0..20 {
        publisher.publish(event).unwrap_err();
    }
    let mut late = topic.subscriber().start(Start::Oldest).open().unwrap();
    assert_eq!(
        late.iter().map(|(event, _)| event).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
}

#[test]
fn numbers_add_up_after_publishes_that_a_closed_topic_refused() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u32>()
        .capacity(16)
        .keep_open()
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let policies = [
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
        Overflow::Disconnect,
    ];
    let mut subscribers: Vec<_> = policies
        .iter()
        .map(|&overflow| {
            topic
                .subscriber()
                .name(format!("{overflow:?}"))
                .overflow(overflow)
                .open()
                .unwrap()
        })
        .collect();
    publisher.publish(1).unwrap();
    topic.close();
    for event in 0..3 {
        publisher.publish(event).unwrap_err();
    }
    assert_eq!(topic.snapshot().published, 1);
    assert_conserved(&topic);
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.recv(), Ok(1));
        assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    }
    assert_conserved(&topic);
    for overflow in policies {
        let numbers = numbers(&topic, &format!("{overflow:?}"));
        assert_eq!(
            (numbers.published, numbers.delivered, numbers.pending),
            (1, 1, 0)
        );
    }
}

#[test]
fn what_was_accepted_before_a_close_in_the_middle_is_what_is_delivered() {
    let rounds = if cfg!(miri) { 3 } else { 200 };
    for round in 0..rounds {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<(usize, u64)>()
            .capacity(8)
            .keep_open()
            .open()
            .unwrap();
        let mut subscribers = [topic.subscribe(), topic.subscribe()];
        let publishers: Vec<_> = (0..2)
            .map(|who| {
                let publisher = topic.publisher().unwrap();
                thread::spawn(move || {
                    (0..)
                        .take_while(|&event| publisher.publish((who, event)).is_ok())
                        .count()
                })
            })
            .collect();
        let [one, two] = &mut subscribers;
        thread::scope(|scope| {
            let readers = [one, two].map(|subscriber| {
                scope.spawn(move || {
                    subscriber
                        .iter()
                        .map(|(event, _)| event)
                        .collect::<Vec<_>>()
                })
            });
            for _ in 0..round {
                thread::yield_now();
            }
            topic.close();
            let accepted: Vec<_> = publishers
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect();
            for reader in readers {
                let seen = reader.join().unwrap();
                for (who, &accepted) in accepted.iter().enumerate() {
                    let events = seen.iter().filter(|event| event.0 == who);
                    let events: Vec<_> = events.map(|event| event.1).collect();
                    assert_eq!(events, (0..accepted as u64).collect::<Vec<_>>());
                }
            }
            assert_eq!(
                topic.snapshot().published,
                accepted.iter().sum::<usize>() as u64
            );
        });
        assert_conserved(&topic);
    }
}

#[test]
fn what_an_exclusive_publisher_was_granted_before_a_close_is_what_is_delivered() {
    let rounds = if cfg!(miri) { 3 } else { 200 };
    for round in 0..rounds {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<u64>()
            .capacity(64)
            .keep_open()
            .open()
            .unwrap();
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let publisher = thread::spawn(move || {
            let mut accepted = 0;
            while let Ok(range) = publisher.publish_batch([accepted, accepted + 1, accepted + 2]) {
                accepted += range.count() as u64;
            }
            accepted
        });
        let reader = thread::spawn(move || {
            subscriber
                .iter()
                .map(|(event, _)| event)
                .collect::<Vec<_>>()
        });
        for _ in 0..round {
            thread::yield_now();
        }
        topic.close();
        let accepted = publisher.join().unwrap();
        assert_eq!(reader.join().unwrap(), (0..accepted).collect::<Vec<_>>());
    }
}

#[test]
fn a_blocked_publisher_and_a_parked_reader_return_when_the_last_bus_handle_goes() {
    finishes("the end of the bus", || {
        let bus = Bus::new();
        let full = bus.topic_builder::<u32>().capacity(1).open().unwrap();
        let empty = bus.topic::<u64>();
        let publisher = full.publisher().unwrap();
        let mut subscriber = empty.subscribe();
        let _in_the_way = full.subscribe();
        publisher.publish(1).unwrap();
        let blocked = thread::spawn(move || publisher.publish(2));
        let parked = thread::spawn(move || subscriber.recv());
        let_others_park();
        drop(bus);
        assert_eq!(blocked.join().unwrap(), Err(PublishError::Closed(2)));
        assert_eq!(parked.join().unwrap(), Err(RecvError::Closed));
    });
}

#[test]
fn a_topic_that_has_used_up_its_sequences_is_closed() {
    for exclusive in [false, true] {
        for heard in [false, true] {
            let bus = Bus::new();
            let topic = bus
                .topic_builder::<u64>()
                .capacity(8)
                .first_sequence(MAX_SEQUENCE - 3)
                .keep_open()
                .open()
                .unwrap();
            let mut subscriber = heard.then(|| topic.subscribe());
            let publish = |topic: &ringbus::Topic<u64>, event| {
                if exclusive {
                    topic
                        .exclusive_publisher()
                        .map_err(drop)
                        .and_then(|mut publisher| publisher.try_publish(event).map_err(drop))
                } else {
                    topic
                        .publisher()
                        .map_err(drop)
                        .and_then(|publisher| publisher.try_publish(event).map_err(drop))
                }
            };
            for event in 0..3 {
                assert_eq!(publish(&topic, event), Ok(MAX_SEQUENCE - 3 + event));
            }
            assert_eq!(
                publish(&topic, 3),
                Err(()),
                "heard: {heard}, exclusive: {exclusive}"
            );
            assert!(topic.is_closed(), "heard: {heard}, exclusive: {exclusive}");
            if let Some(subscriber) = &mut subscriber {
                let seen: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
                assert_eq!(seen, [0, 1, 2]);
                assert_eq!(subscriber.try_recv(), Err(TryRecvError::Closed));
            }
        }
    }
}

#[test]
fn no_sequence_is_given_out_beyond_the_last_one() {
    for exclusive in [false, true] {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<u64>()
            .capacity(16)
            .first_sequence(MAX_SEQUENCE - 3)
            .keep_open()
            .open()
            .unwrap();
        let _subscriber = topic.subscribe();
        let given: Vec<_> = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            (0..10)
                .map_while(|event| publisher.try_publish(event).ok())
                .collect()
        } else {
            let publisher = topic.publisher().unwrap();
            (0..10)
                .map_while(|event| publisher.try_publish(event).ok())
                .collect()
        };
        assert_eq!(given, (MAX_SEQUENCE - 3..MAX_SEQUENCE).collect::<Vec<_>>());
    }
}

#[test]
fn a_reader_that_waits_when_the_sequences_run_out_is_told_closed() {
    finishes("the end of the sequences", || {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<u64>()
            .capacity(1)
            .first_sequence(MAX_SEQUENCE - 1)
            .keep_open()
            .open()
            .unwrap();
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(1).unwrap();
        assert_eq!(subscriber.recv(), Ok(1));
        assert_eq!(publisher.publish(2), Err(PublishError::Closed(2)));
        assert_eq!(
            subscriber.recv_timeout(Duration::from_millis(100)),
            Err(RecvTimeoutError::Closed)
        );
    });
}
