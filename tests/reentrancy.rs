//! User code may call the bus from inside of it: no lock is held while it runs.

mod common;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use common::{assert_conserved, finishes};
use ringbus::{
    Bus, Overflow, PublishError, Publisher, RecvError, Start, Subscriber, Topic, TryPublishError,
};

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

/// Everything one can do with a bus, from inside of user code.
fn do_everything(bus: &Bus, topic: &Topic<u64>) {
    topic.publish(100).unwrap();
    let publisher = topic.publisher().unwrap();
    publisher.publish(101).unwrap();
    publisher.publish_batch([102, 103]).unwrap();
    drop(publisher.clone());
    let mut subscriber = topic.subscriber().start(Start::Oldest).open().unwrap();
    subscriber.poll(1, |_, _| ()).unwrap();
    drop(
        topic
            .subscriber()
            .overflow(Overflow::Latest)
            .open()
            .unwrap(),
    );
    drop(topic.snapshot());
    drop(bus.snapshot().to_string());
    let other = bus.topic_named::<String>("other").unwrap();
    other.publish("from inside".to_owned()).unwrap();
    other.close();
}

#[test]
fn a_handler_may_do_everything() {
    finishes("a handler that uses the bus", || {
        for overflow in [
            Overflow::Block,
            Overflow::DropOldest,
            Overflow::Latest,
            Overflow::Disconnect,
        ] {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, 64);
            let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
            topic.publish(0).unwrap();
            let mut shown = Vec::new();
            while subscriber
                .poll(64, |event, _| {
                    shown.push(*event);
                    if *event < 3 {
                        do_everything(&bus, &topic);
                        topic.publish(*event + 1).unwrap();
                    }
                })
                .unwrap()
                > 0
            {}
            assert!(shown.starts_with(&[0]));
            assert!(shown.ends_with(&[3]));
            assert_conserved(&topic);
        }
    });
}

#[test]
fn a_batch_handler_may_do_everything() {
    finishes("a batch handler that uses the bus", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut subscriber = topic.subscribe();
        topic.publish(0).unwrap();
        let count = subscriber
            .poll_batch(64, |batch| batch.inspect(|_| ()).take(1).count())
            .unwrap();
        assert_eq!(count, Some(1));
        topic.publish(0).unwrap();
        subscriber
            .poll_batch(64, |mut batch| {
                batch.next();
                do_everything(&bus, &topic);
            })
            .unwrap();
        assert_eq!(subscriber.try_iter().count(), 4);
        assert_conserved(&topic);
    });
}

#[test]
fn a_filter_may_do_everything() {
    finishes("a filter that uses the bus", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let (inner_bus, inner) = (bus.clone(), topic.clone());
        let mut subscriber = topic
            .subscriber()
            .filter(move |event| {
                if *event == 0 {
                    do_everything(&inner_bus, &inner);
                }
                *event == 0
            })
            .open()
            .unwrap();
        topic.publish(0).unwrap();
        assert_eq!(subscriber.recv(), Ok(0));
        assert_eq!(subscriber.try_iter().count(), 0);
        assert_conserved(&topic);
    });
}

thread_local! {
    static INSIDE: RefCell<Option<(Bus, Topic<u64>)>> = const { RefCell::new(None) };
}

/// Uses the bus when it is cloned or dropped.
struct Busy(u64);

fn use_the_bus() {
    let there = INSIDE.with_borrow(Clone::clone);
    if let Some((bus, topic)) = there {
        do_everything(&bus, &topic);
        // Also the topic that the event is from.
        let busy = bus.topic::<Busy>();
        drop(busy.snapshot());
        drop(busy.subscribe());
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        use_the_bus();
        Self(self.0)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        use_the_bus();
    }
}

#[test]
fn clones_and_drops_of_events_may_do_everything() {
    finishes("events that use the bus", || {
        let bus = Bus::new();
        let topic = open::<Busy>(&bus, 64);
        let numbers = open::<u64>(&bus, 1024);
        INSIDE.set(Some((bus.clone(), numbers)));
        let mut subscriber = topic.subscribe();
        let mut lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let publisher = topic.publisher().unwrap();
        for event in 0..200 {
            publisher.publish(Busy(event)).unwrap();
            assert_eq!(subscriber.recv().unwrap().0, event);
        }
        for _ in 0..20 {
            publisher.publish_batch((0..10).map(Busy)).unwrap();
            subscriber.poll(64, |_, _| ()).unwrap();
        }
        lossy.try_iter().for_each(drop);
        drop(publisher);
        let mut publisher = topic.exclusive_publisher().unwrap();
        for event in 0..100 {
            publisher.publish(Busy(event)).unwrap();
            publisher.publish_with(|| Busy(event)).unwrap();
            publisher.publish_batch([Busy(1), Busy(2)]).unwrap();
            subscriber.poll(64, |_, _| ()).unwrap();
        }
        assert_conserved(&topic);
        topic.close();
        // The ring and its events go here.
        drop((publisher, subscriber, lossy, topic));
        drop(open::<Busy>(&bus, 64));
        INSIDE.set(None);
        drop(bus);
    });
}

#[test]
fn unheard_events_may_use_the_bus_when_they_are_dropped() {
    finishes("unheard events that use the bus", || {
        let bus = Bus::new();
        let numbers = open::<u64>(&bus, 1024);
        INSIDE.set(Some((bus.clone(), numbers)));
        bus.topic_named::<Busy>("unheard")
            .unwrap()
            .publish(Busy(1))
            .unwrap();
        INSIDE.set(None);
    });
}

#[test]
fn the_iterator_of_a_shared_batch_may_do_everything() {
    finishes("an iterator that uses the bus", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher
            .publish_batch((0..3).inspect(|_| {
                do_everything(&bus, &topic);
                publisher.publish(50).unwrap();
            }))
            .unwrap();
        let seen: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
        assert_eq!(seen.len(), 18);
        assert_eq!(
            seen[15..],
            [0, 1, 2],
            "the batch comes after what its iterator published"
        );
    });
}

#[test]
fn the_iterator_of_an_exclusive_batch_may_subscribe_and_read() {
    finishes("an iterator that reads", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let mut seen = Vec::new();
        publisher
            .publish_batch((0..3_u8).map(|event| {
                drop(topic.subscribe());
                drop(topic.snapshot());
                seen.extend(subscriber.try_iter().map(|(event, _)| event));
                u64::from(event)
            }))
            .unwrap();
        assert_eq!(seen, [0, 1], "each event is there as soon as it is given");
        assert_eq!(subscriber.recv(), Ok(2));
    });
}

#[test]
fn a_handler_may_close_its_topic() {
    finishes("a handler that closes", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut subscriber = topic.subscribe();
        for event in 0..3 {
            topic.publish(event).unwrap();
        }
        let mut shown = Vec::new();
        subscriber
            .poll(64, |event, _| {
                shown.push(*event);
                topic.close();
                bus.close();
                assert_eq!(topic.publish(9), Err(PublishError::Closed(9)));
            })
            .unwrap();
        assert_eq!(shown, [0, 1, 2]);
        assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    });
}

#[test]
fn the_iterator_of_a_batch_may_close_the_topic() {
    finishes("an iterator that closes", || {
        for exclusive in [false, true] {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, 64);
            let mut subscriber = topic.subscribe();
            let events = [0, 1, 2].into_iter().inspect(|event| {
                if *event == 1 {
                    topic.close();
                }
            });
            let accepted = if exclusive {
                topic
                    .exclusive_publisher()
                    .unwrap()
                    .publish_batch(events)
                    .is_ok()
            } else {
                topic.publisher().unwrap().publish_batch(events).is_ok()
            };
            // What was accepted is delivered, what was refused is not.
            let seen = subscriber.iter().count();
            assert_eq!(seen, if accepted { 3 } else { 0 });
        }
    });
}

#[test]
fn a_handler_may_drop_another_subscriber_and_itself_is_not_disturbed() {
    finishes("a handler that drops subscribers", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 2);
        let mut subscriber = topic.subscribe();
        let mut others = vec![topic.subscribe(), topic.subscribe()];
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        publisher.publish(1).unwrap();
        subscriber.poll(64, |_, _| drop(others.pop())).unwrap();
        assert!(others.is_empty());
        publisher.try_publish(2).unwrap();
        publisher.try_publish(3).unwrap();
        assert_eq!(publisher.try_publish(4), Err(TryPublishError::Full(4)));
    });
}

#[test]
fn a_handler_may_drop_the_last_handle_of_the_bus() {
    finishes("a handler that drops the bus", || {
        let mut bus = Some(Bus::new());
        let topic = open::<u64>(bus.as_ref().unwrap(), 4);
        let mut subscriber = topic.subscribe();
        topic.publish(0).unwrap();
        subscriber.poll(64, |_, _| drop(bus.take())).unwrap();
        assert!(topic.is_closed());
        assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    });
}

#[test]
fn a_handler_added_while_an_event_is_handled_does_not_see_that_event() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut subscriber = topic.subscribe();
    topic.publish(0).unwrap();
    let mut added = None;
    subscriber
        .poll(1, |_, _| {
            added = Some(topic.subscribe());
        })
        .unwrap();
    topic.publish(1).unwrap();
    assert_eq!(added.unwrap().recv(), Ok(1));
}

#[test]
fn a_publish_inside_a_handler_into_the_full_ring_would_deadlock() {
    finishes("a handler that publishes into its own full ring", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 2);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        publisher.publish(1).unwrap();
        let mut answers = Vec::new();
        subscriber
            .poll(2, |event, _| answers.push(publisher.publish(10 + *event)))
            .unwrap();
        assert_eq!(
            answers,
            [
                Err(PublishError::WouldDeadlock(10)),
                Err(PublishError::WouldDeadlock(11))
            ]
        );
        publisher.publish(12).unwrap();
        assert_eq!(subscriber.recv(), Ok(12));
    });
}

/// An event that brings its own end: it owns publishers and subscribers of its topic.
struct Knot {
    _publisher: Mutex<Publisher<Knot>>,
    _subscriber: Option<Mutex<Subscriber<Knot>>>,
    alive: Arc<()>,
}

#[test]
fn events_that_own_handles_of_their_topic_do_no_harm() {
    finishes("events that own their topic", || {
        let alive = Arc::new(());
        let bus = Bus::new();
        let topic = bus.topic_builder::<Knot>().capacity(1).open().unwrap();
        let publisher = topic.publisher().unwrap();
        for event in 0..200 {
            let subscriber = (event % 4 == 0).then(|| {
                topic
                    .subscriber()
                    .overflow(Overflow::Latest)
                    .open()
                    .unwrap()
            });
            let knot = Knot {
                _publisher: Mutex::new(publisher.clone()),
                _subscriber: subscriber.map(Mutex::new),
                alive: Arc::clone(&alive),
            };
            // The overwritten event drops a publisher and a subscriber of this topic inside the publish.
            if let Err(error) = publisher.try_publish(knot) {
                drop(error.into_event().alive);
            }
        }
        assert!(Arc::strong_count(&alive) <= 65);
    });
}
