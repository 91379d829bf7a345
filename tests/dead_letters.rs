//! Events that nobody listens to: told, moved to the dead letters, counted.

mod common;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use common::{Census, Counted, finishes};
use ringbus::{
    Budget, Bus, DeadLetter, PublishBatchError, PublishError, PublisherError, Reactor, Subscriber,
    Topic,
};

fn letters_of<T: Send + Sync + 'static>(bus: &Bus, topic: &Topic<T>) -> Topic<DeadLetter<T>> {
    let letters = bus
        .topic_builder::<DeadLetter<T>>()
        .name(topic.name().unwrap_or("letters"))
        .capacity(8)
        .open()
        .unwrap();
    topic.dead_letters_to(&letters).unwrap();
    letters
}

fn named(bus: &Bus, name: &str) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(4)
        .keep_open()
        .open()
        .unwrap()
}

/// Event and sequence of every letter that waits.
fn read(letters: &mut Subscriber<DeadLetter<u64>>) -> Vec<(u64, u64)> {
    letters
        .try_iter()
        .map(|(letter, _)| (letter.event, letter.sequence))
        .collect()
}

#[test]
fn a_topic_tells_whether_anybody_listens() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    assert!(!topic.has_subscribers());
    let one = topic.subscribe();
    let other = topic.subscribe();
    assert!(topic.has_subscribers());
    drop(one);
    assert!(topic.has_subscribers());
    drop(other);
    assert!(!topic.has_subscribers());
    // A subscriber that is refused is none.
    topic
        .subscriber()
        .start(ringbus::Start::From(1_000))
        .open()
        .unwrap_err();
    assert!(!topic.has_subscribers());
}

#[test]
fn what_nobody_listens_to_goes_to_the_dead_letters_and_nothing_else_does() {
    let bus = Bus::new();
    for exclusive in [false, true] {
        let topic = named(&bus, if exclusive { "exclusive" } else { "shared" });
        let letters = letters_of(&bus, &topic);
        let mut unheard = letters.subscribe();
        let mut publish: Box<dyn FnMut(u64) -> u64> = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            Box::new(move |event| publisher.publish(event).unwrap())
        } else {
            let publisher = topic.publisher().unwrap();
            Box::new(move |event| publisher.publish(event).unwrap())
        };
        // Before there is a ring, and after everybody has left.
        let first = publish(10);
        assert_eq!(read(&mut unheard), [(10, first)]);
        let mut subscriber = topic.subscribe();
        publish(11);
        assert!(read(&mut unheard).is_empty());
        assert_eq!(subscriber.recv(), Ok(11));
        drop(subscriber);
        for event in 12..15 {
            let sequence = publish(event);
            assert_eq!(read(&mut unheard), [(event, sequence)]);
        }
        let mut subscriber = topic.subscribe();
        publish(15);
        assert_eq!(subscriber.recv(), Ok(15), "and nothing before it");
        let snapshot = topic.snapshot();
        assert_eq!(
            (
                snapshot.published,
                snapshot.dead_letters,
                snapshot.dead_letters_lost
            ),
            (6, 4, 0)
        );
    }
}

#[test]
fn letters_name_their_topic() {
    let bus = Bus::new();
    let topic = named(&bus, "orders");
    let letters = letters_of(&bus, &topic);
    let mut unheard = letters.subscribe();
    topic.publish(1).unwrap();
    assert_eq!(unheard.recv().unwrap().topic.as_deref(), Some("orders"));
}

#[test]
fn batches_and_builds_go_there_too() {
    let bus = Bus::new();
    for had_subscriber in [false, true] {
        let topic = named(&bus, if had_subscriber { "left" } else { "never" });
        let letters = letters_of(&bus, &topic);
        let mut unheard = letters.subscribe();
        drop(had_subscriber.then(|| topic.subscribe()));
        let publisher = topic.publisher().unwrap();
        assert_eq!(publisher.publish_batch([1, 2, 3]).unwrap(), 0..3);
        assert_eq!(read(&mut unheard), [(1, 0), (2, 1), (3, 2)]);
        assert!(publisher.publish_batch([]).unwrap().is_empty());
        drop(publisher);
        let mut publisher = topic.exclusive_publisher().unwrap();
        assert_eq!(publisher.publish_batch([4, 5]).unwrap(), 3..5);
        assert_eq!(publisher.publish_with(|| 6).unwrap(), 5);
        assert_eq!(read(&mut unheard), [(4, 3), (5, 4), (6, 5)]);
        drop(publisher);
        assert_eq!(topic.publish(7), Ok(6));
        assert_eq!(read(&mut unheard), [(7, 6)]);
        assert_eq!(topic.snapshot().published, 7);
    }
}

#[test]
fn a_batch_that_went_there_whole_is_published_whatever_closes_then() {
    for exclusive in [false, true] {
        let bus = Bus::new();
        let topic = named(&bus, "orders");
        let letters = letters_of(&bus, &topic);
        let mut unheard = letters.subscribe();
        let closing = topic.clone();
        let _closer = letters.observe(move |letter| {
            if letter.event == 2 {
                closing.close();
            }
        });
        let published = if exclusive {
            let mut publisher = topic.exclusive_publisher().unwrap();
            publisher.try_publish_batch([1, 2]).unwrap()
        } else {
            let publisher = topic.publisher().unwrap();
            publisher.try_publish_batch([1, 2]).unwrap()
        };
        assert_eq!(published, 0..2);
        assert_eq!(read(&mut unheard), [(1, 0), (2, 1)]);
        assert!(topic.is_closed());
    }
}

#[test]
fn a_full_topic_of_letters_loses_them_and_counts_them() {
    let census = Census::new();
    let bus = Bus::new();
    let topic = bus.topic::<Counted>();
    let letters = letters_of(&bus, &topic);
    let slow = letters.subscribe();
    let publisher = topic.publisher().unwrap();
    for id in 0..20 {
        publisher.publish(census.event(id)).unwrap();
    }
    let snapshot = topic.snapshot();
    assert_eq!((snapshot.dead_letters, snapshot.dead_letters_lost), (8, 12));
    assert_eq!(
        (census.born(), census.dropped()),
        (20, 12),
        "nothing is cloned"
    );
    letters.close();
    publisher.publish(census.event(20)).unwrap();
    assert_eq!(topic.snapshot().dead_letters_lost, 13);
    drop((slow, letters, publisher, topic, bus));
    census.assert_all_dropped_once();
}

#[test]
fn observers_come_first_and_a_veto_is_no_dead_letter() {
    let bus = Bus::new();
    let topic = named(&bus, "observed");
    let letters = letters_of(&bus, &topic);
    assert!(!topic.has_observers());
    let mut unheard = letters.subscribe();
    let _veto = topic.observe_with(0, |event| match event {
        13 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let publisher = topic.publisher().unwrap();
    assert_eq!(publisher.publish(13), Err(PublishError::Vetoed(13)));
    match publisher.publish_batch([1, 13, 2]) {
        Err(PublishBatchError::Vetoed {
            events, published, ..
        }) => assert_eq!((events, published), (vec![13], 0..2)),
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&mut unheard), [(1, 0), (2, 1)]);
}

#[test]
fn retained_events_and_events_for_closed_topics_are_no_dead_letters() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .capacity(4)
        .retain(2)
        .open()
        .unwrap();
    let letters = letters_of(&bus, &topic);
    let mut unheard = letters.subscribe();
    topic.publish(1).unwrap();
    let mut late = topic
        .subscriber()
        .start(ringbus::Start::Oldest)
        .open()
        .unwrap();
    assert_eq!(late.recv(), Ok(1));
    drop(late);
    topic.close();
    assert_eq!(topic.publish(2), Err(PublishError::Closed(2)));
    assert!(read(&mut unheard).is_empty());
}

#[test]
fn letters_need_a_topic_that_others_may_publish_to() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let letters = bus.topic::<DeadLetter<u64>>();
    let publisher = letters.exclusive_publisher().unwrap();
    assert_eq!(
        topic.dead_letters_to(&letters),
        Err(PublisherError::Exclusive)
    );
    drop(publisher);
    let letters = bus.topic::<DeadLetter<u64>>();
    topic.dead_letters_to(&letters).unwrap();
    assert!(matches!(
        letters.exclusive_publisher(),
        Err(PublisherError::NotAlone(1))
    ));
    // Another topic takes over.
    let others = bus.topic_named::<DeadLetter<u64>>("others").unwrap();
    let (mut one, mut other) = (letters.subscribe(), others.subscribe());
    topic.publish(1).unwrap();
    topic.dead_letters_to(&others).unwrap();
    topic.publish(2).unwrap();
    assert_eq!(
        (read(&mut one), read(&mut other)),
        (vec![(1, 0)], vec![(2, 1)])
    );
}

/// An observer of the letters that sends every one back, to where nobody listens.
#[test]
fn letters_that_are_sent_back_end_with_the_depth() {
    finishes("the ping-pong", || {
        let bus = Bus::new();
        let topic = bus.topic::<u64>();
        let letters = letters_of(&bus, &topic);
        let back = topic.clone();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let _observer = letters.observe(move |letter| {
            count.fetch_add(1, Ordering::Relaxed);
            back.publish(letter.event + 1).unwrap();
        });
        topic.publish(0).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), ringbus::MAX_OBSERVER_DEPTH);
        assert_eq!(topic.snapshot().dead_letters_lost, 1);
    });
}

#[test]
fn dead_letters_of_an_outbox() {
    let bus = Bus::new();
    let topic = named(&bus, "outbox");
    let letters = letters_of(&bus, &topic);
    let mut unheard = letters.subscribe();
    let publisher = topic.publisher().unwrap();
    let mut reactor = Reactor::<()>::new();
    reactor.publish(&publisher, 1).unwrap();
    assert_eq!(read(&mut unheard), [(1, 0)]);
    // Kept while somebody is in the way, and flushed when nobody is there any more.
    let subscriber = topic.subscribe();
    for event in 2..8 {
        reactor.publish(&publisher, event).unwrap();
    }
    assert!(read(&mut unheard).is_empty());
    drop(subscriber);
    reactor.turn(&mut (), Budget::events(10));
    let events: Vec<_> = read(&mut unheard).iter().map(|(event, _)| *event).collect();
    assert_eq!(events, [6, 7]);
}

/// Subscribers come and go beside publishers: every event is heard or a dead letter or entered the ring while
/// somebody was joining, and none is two of these.
#[test]
fn no_event_is_both_heard_and_dead() {
    finishes("publishing beside subscribers that come and go", || {
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<u64>()
            .capacity(1 << 14)
            .keep_open()
            .open()
            .unwrap();
        let letters = bus
            .topic_builder::<DeadLetter<u64>>()
            .capacity(1 << 14)
            .open()
            .unwrap();
        topic.dead_letters_to(&letters).unwrap();
        let mut unheard = letters.subscribe();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let publishing: Vec<_> = (0..2)
            .map(|half| {
                let publisher = topic.publisher().unwrap();
                thread::spawn(move || {
                    for round in 0..rounds {
                        publisher.publish(round * 2 + half).unwrap();
                        thread::yield_now();
                    }
                })
            })
            .collect();
        while publishing.iter().any(|thread| !thread.is_finished()) {
            let mut subscriber = topic.subscribe();
            thread::yield_now();
            let mut heard = heard.lock().unwrap();
            heard.extend(subscriber.try_iter().map(|(event, _)| event));
            drop(subscriber);
            thread::yield_now();
        }
        for publishing in publishing {
            publishing.join().unwrap();
        }
        let mut all = heard.lock().unwrap().clone();
        let dead: Vec<_> = read(&mut unheard).iter().map(|(event, _)| *event).collect();
        all.extend(&dead);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "an event was two of these");
        let snapshot = topic.snapshot();
        assert_eq!(snapshot.published, rounds * 2);
        assert_eq!(snapshot.dead_letters, dead.len() as u64);
        assert_eq!(snapshot.dead_letters_lost, 0);
    });
}
