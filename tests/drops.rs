//! Every event is dropped exactly once, whatever becomes of it.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Census, Counted};
use ringbus::{Bus, Overflow, Start, Topic};

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

/// Runs `work` with a bus of its own, and checks that no event outlives it or is dropped twice.
fn counts(work: impl FnOnce(&Bus, &Census)) {
    let census = Census::new();
    let bus = Bus::new();
    work(&bus, &census);
    drop(bus);
    assert!(census.born() > 0);
    census.assert_all_dropped_once();
}

#[test]
fn events_nobody_listens_to_are_dropped_at_once() {
    counts(|bus, census| {
        let topic = open(bus, 4);
        for id in 0..10 {
            topic.publish(census.event(id)).unwrap();
            census.assert_all_dropped_once();
        }
        topic
            .publisher()
            .unwrap()
            .publish_batch((0..4).map(|id| census.event(id)))
            .unwrap();
        census.assert_all_dropped_once();
    });
    counts(|bus, census| {
        let topic = open(bus, 4);
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(census.event(0)).unwrap();
        publisher.publish_with(|| census.event(1)).unwrap();
        publisher
            .publish_batch([census.event(2), census.event(3)])
            .unwrap();
        census.assert_all_dropped_once();
    });
}

#[test]
fn events_that_are_never_read_are_dropped_with_the_ring() {
    for overflow in [
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
        Overflow::Disconnect,
    ] {
        counts(|bus, census| {
            let topic = open(bus, 16);
            let _subscriber = topic.subscriber().overflow(overflow).open().unwrap();
            for id in 0..10 {
                topic.publish(census.event(id)).unwrap();
            }
            assert_eq!(census.dropped(), 0);
        });
    }
}

#[test]
fn a_subscriber_that_outlives_everything_keeps_the_events() {
    counts(|_, census| {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let mut subscriber = topic.subscribe();
        for id in 0..10 {
            topic.publish(census.event(id)).unwrap();
        }
        drop((bus, topic));
        assert_eq!(census.dropped(), 0);
        assert_eq!(subscriber.recv().unwrap().id, 0);
        drop(subscriber);
        census.assert_all_dropped_once();
    });
}

#[test]
fn overwritten_events_are_dropped_when_they_are_overwritten() {
    for overflow in [Overflow::DropOldest, Overflow::Latest, Overflow::Disconnect] {
        for exclusive in [false, true] {
            counts(|bus, census| {
                let topic = open(bus, 64);
                let _subscriber = topic.subscriber().overflow(overflow).open().unwrap();
                if exclusive {
                    let mut publisher = topic.exclusive_publisher().unwrap();
                    for id in 0..500 {
                        publisher.publish(census.event(id)).unwrap();
                    }
                } else {
                    let publisher = topic.publisher().unwrap();
                    for id in 0..500 {
                        publisher.publish(census.event(id)).unwrap();
                    }
                }
                assert_eq!(census.born() - census.dropped(), 64);
            });
        }
    }
}

#[test]
fn events_that_were_read_are_dropped_once() {
    counts(|bus, census| {
        let topic = open(bus, 4);
        let mut one = topic.subscribe();
        let mut two = topic
            .subscriber()
            .filter(|event: &Counted| event.id.is_multiple_of(2))
            .open()
            .unwrap();
        let mut three = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let publisher = topic.publisher().unwrap();
        for round in 0..100 {
            publisher
                .publish_batch((0..3).map(|id| census.event(round * 3 + id)))
                .unwrap();
            one.poll(64, |_, _| ()).unwrap();
            two.try_iter().for_each(drop);
            let _ = three.try_recv();
            let _ = three.recv_timeout(Duration::ZERO);
        }
    });
}

#[test]
fn refused_events_belong_to_the_caller() {
    counts(|bus, census| {
        let topic = open(bus, 2);
        let mut subscriber = topic.subscribe();
        subscriber.poll(1, |_, _| ()).unwrap();
        let publisher = topic.publisher().unwrap();
        publisher
            .publish_batch([census.event(0), census.event(1)])
            .unwrap();
        let before = census.dropped();
        let refused = (
            publisher.try_publish(census.event(2)).unwrap_err(),
            publisher.publish(census.event(3)).unwrap_err(),
            publisher
                .publish_timeout(census.event(4), Duration::ZERO)
                .unwrap_err(),
            publisher.try_publish_batch([census.event(5)]).unwrap_err(),
            publisher
                .publish_batch((6..10).map(|id| census.event(id)))
                .unwrap_err(),
        );
        assert_eq!(census.dropped(), before);
        drop(refused);
        assert_eq!(census.dropped(), before + 8);
        topic.close();
        drop(publisher.publish(census.event(10)).unwrap_err());
        drop(topic.publish(census.event(11)).unwrap_err());
        assert_eq!(census.dropped(), before + 10);
    });
}

#[test]
fn events_under_gaps_are_dropped_once() {
    counts(|bus, census| {
        let topic = open(bus, 8);
        let mut subscriber = topic.subscribe();
        let mut lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let mut publisher = topic.exclusive_publisher().unwrap();
        for round in 0..100 {
            // Gaps over slots that hold events of an earlier lap, in changing places.
            let result = catch_unwind(AssertUnwindSafe(|| {
                publisher.publish_batch((0..7_u8).map(|id| {
                    assert!(u64::from(id) != round % 7, "the iterator panics");
                    census.event(id.into())
                }))
            }));
            assert!(result.is_err());
            assert!(
                catch_unwind(AssertUnwindSafe(|| {
                    publisher.publish_with(|| panic!("the build panics"))
                }))
                .is_err()
            );
            subscriber.poll(64, |_, _| ()).unwrap();
            let _ = lossy.try_recv();
        }
    });
}

#[test]
fn events_that_lossy_readers_hold_are_dropped_once() {
    counts(|bus, census| {
        let topic = open(bus, 64);
        let mut lossy = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let mut latest = topic
            .subscriber()
            .overflow(Overflow::Latest)
            .open()
            .unwrap();
        for id in 0..1000 {
            topic.publish(census.event(id)).unwrap();
            if id % 90 == 0 {
                lossy
                    .poll_batch(8, |mut batch| assert!(batch.next().is_some()))
                    .unwrap();
                let _ = lossy.try_recv();
                latest.poll_batch(8, |_| ()).unwrap();
            }
        }
    });
}

#[test]
fn retained_events_are_dropped_once() {
    counts(|bus, census| {
        let topic = bus
            .topic_builder::<Counted>()
            .capacity(8)
            .retain(8)
            .open()
            .unwrap();
        for id in 0..50 {
            topic.publish(census.event(id)).unwrap();
        }
        let mut subscriber = topic.subscriber().start(Start::Oldest).open().unwrap();
        assert_eq!(subscriber.try_iter().count(), 8);
    });
}

#[test]
fn a_closed_topic_keeps_what_is_not_read_and_drops_it_once() {
    counts(|bus, census| {
        let topic = open(bus, 8);
        let mut subscriber = topic.subscribe();
        for id in 0..8 {
            topic.publish(census.event(id)).unwrap();
        }
        topic.close();
        subscriber.poll(3, |_, _| ()).unwrap();
        let successor = open::<Counted>(bus, 8);
        assert!(!successor.is_closed());
        subscriber
            .poll(64, |event, _| assert!(event.id >= 3))
            .unwrap();
    });
}

#[test]
fn events_of_many_threads_are_dropped_once() {
    counts(|bus, census| {
        let topic = open::<Counted>(bus, 16);
        let events = if cfg!(miri) { 50 } else { 5000 };
        let mut readers = vec![topic.subscriber(), topic.subscriber()];
        let lossless = readers.pop().unwrap().open().unwrap();
        let lossy = readers
            .pop()
            .unwrap()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let readers = [lossless, lossy].map(|mut subscriber| {
            thread::spawn(move || subscriber.iter().map(|(event, _)| event.id).max())
        });
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let (publisher, census) = (topic.publisher().unwrap(), census.clone());
                thread::spawn(move || {
                    for id in 0..events {
                        publisher.publish(census.event(id)).unwrap();
                    }
                })
            })
            .collect();
        publishers
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        topic.close();
        readers
            .into_iter()
            .for_each(|thread| assert!(thread.join().is_ok()));
    });
}

static NOTHINGS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Has no size, and a drop all the same.
struct Nothing;

impl Nothing {
    fn new() -> Self {
        NOTHINGS[0].fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Clone for Nothing {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        NOTHINGS[1].fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn events_without_size_are_dropped_once() {
    let bus = Bus::new();
    let topic = open(&bus, 8);
    let mut subscriber = topic.subscribe();
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    for _ in 0..20 {
        publisher
            .publish_batch((0..5).map(|_| Nothing::new()))
            .unwrap();
        assert_eq!(subscriber.try_iter().count(), 5);
    }
    assert!(lossy.recv().is_err());
    assert!(lossy.recv().is_ok());
    drop((publisher, topic, subscriber, lossy, bus));
    let [born, dropped] = NOTHINGS
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed));
    assert_eq!(born, dropped);
}

#[test]
fn large_events_arrive_whole() {
    let bus = Bus::new();
    let topic = open::<[u64; 512]>(&bus, 4);
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    for round in 0..200 {
        publisher.publish_with(|| [round; 512]).unwrap();
        publisher.publish([round + 1; 512]).unwrap();
        let mut seen = Vec::new();
        subscriber
            .poll(4, |event, _| {
                assert!(event.iter().all(|word| *word == event[0]));
                seen.push(event[0]);
            })
            .unwrap();
        assert_eq!(seen, [round, round + 1]);
    }
}

#[test]
fn events_with_a_large_alignment_are_aligned() {
    #[derive(Clone)]
    #[repr(align(256))]
    struct Aligned(u8);

    let bus = Bus::new();
    let topic = open::<Aligned>(&bus, 4);
    let mut subscriber = topic.subscribe();
    for event in 0..100 {
        topic.publish(Aligned(event)).unwrap();
        subscriber
            .poll(1, |seen, _| {
                assert_eq!(std::ptr::from_ref(seen).addr() % 256, 0);
                assert_eq!(seen.0, event);
            })
            .unwrap();
    }
}

#[test]
fn boxes_strings_and_trait_objects_are_events() {
    type Job = Box<dyn Fn() -> u64 + Send + Sync>;

    let bus = Bus::new();
    let boxes = open::<Box<u64>>(&bus, 2);
    let strings = open::<String>(&bus, 2);
    let jobs = open::<Job>(&bus, 2);
    let mut box_reader = boxes.subscribe();
    let mut string_reader = strings.subscribe();
    let mut job_reader = jobs.subscribe();
    for event in 0..200_u64 {
        boxes.publish(Box::new(event)).unwrap();
        strings.publish(event.to_string()).unwrap();
        jobs.publish(Box::new(move || event)).unwrap();
        assert_eq!(box_reader.recv(), Ok(Box::new(event)));
        assert_eq!(string_reader.recv(), Ok(event.to_string()));
        let mut answer = None;
        job_reader.poll(1, |job, _| answer = Some(job())).unwrap();
        assert_eq!(answer, Some(event));
    }
}
