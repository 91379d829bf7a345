//! Panics of user code stay where they happen, and leave nothing behind that blocks or is lost.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{assert_conserved, finishes, let_others_park};
use ringbus::{Bus, Overflow, Publisher, Subscriber, Topic};

const POLICIES: [Overflow; 4] = [
    Overflow::Block,
    Overflow::DropOldest,
    Overflow::Latest,
    Overflow::Disconnect,
];

/// Runs `work` and tells whether it panicked.
fn panics<R>(work: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn events(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    subscriber.try_iter().map(|(event, _)| event).collect()
}

#[test]
fn a_panicking_handler_is_done_with_its_event_and_loses_no_other() {
    for overflow in POLICIES {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        let mut other = topic.subscribe();
        for event in 0..6 {
            topic.publish(event).unwrap();
        }
        let mut shown = Vec::new();
        assert!(panics(|| {
            subscriber.poll(64, |event, _| {
                shown.push(*event);
                assert!(*event != 2 && *event != 5, "the handler panics");
            })
        }));
        let rest = events(&mut subscriber);
        if overflow == Overflow::Latest {
            assert_eq!((shown, rest), (vec![5], vec![]));
        } else {
            assert_eq!((shown, rest), (vec![0, 1, 2], vec![3, 4, 5]));
        }
        assert_eq!(
            events(&mut other),
            [0, 1, 2, 3, 4, 5],
            "others do not notice"
        );
        assert_conserved(&topic);
        topic.publish(6).unwrap();
        assert_eq!(events(&mut subscriber), [6]);
    }
}

#[test]
fn numbers_add_up_right_after_a_handler_panicked() {
    for overflow in POLICIES {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        for event in 0..6 {
            topic.publish(event).unwrap();
        }
        assert!(panics(
            || subscriber.poll(64, |_, _| panic!("the handler panics"))
        ));
        assert_conserved(&topic);
    }
}

#[test]
fn a_panicking_batch_handler_keeps_what_it_did_not_take() {
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        for event in 0..4 {
            topic.publish(event).unwrap();
        }
        assert!(panics(|| {
            subscriber.poll_batch(64, |mut batch| {
                batch.next();
                panic!("the handler panics");
            })
        }));
        assert_eq!(events(&mut subscriber), [1, 2, 3]);
        assert_conserved(&topic);
    }
}

#[test]
fn a_panic_in_the_middle_of_folding_a_batch_is_done_with_what_was_shown() {
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        for event in 0..6 {
            topic.publish(event).unwrap();
        }
        assert!(panics(|| {
            subscriber.poll_batch(64, |mut batch| {
                batch.next();
                batch.for_each(|(event, _)| assert!(*event != 1, "the handler panics"));
            })
        }));
        assert_eq!(events(&mut subscriber), [2, 3, 4, 5]);
        assert_conserved(&topic);
    }
}

#[test]
fn a_panicking_filter_is_done_with_its_event_which_counts_as_delivered() {
    for overflow in POLICIES {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic
            .subscriber()
            .name("it")
            .overflow(overflow)
            .filter(|event| {
                assert!(*event != 3, "the filter panics");
                true
            })
            .open()
            .unwrap();
        for event in 0..4 {
            topic.publish(event).unwrap();
        }
        let mut shown = Vec::new();
        assert!(panics(|| subscriber.poll(64, |event, _| shown.push(*event))));
        topic.publish(4).unwrap();
        assert_eq!(events(&mut subscriber), [4]);
        let numbers = common::numbers(&topic, "it");
        assert_eq!(numbers.delivered, shown.len() as u64 + 2);
        assert_conserved(&topic);
    }
}

#[derive(Debug, PartialEq)]
struct Touchy(u64);

impl Clone for Touchy {
    fn clone(&self) -> Self {
        assert!(self.0 != 1, "the clone panics");
        Self(self.0)
    }
}

#[test]
fn a_panicking_clone_is_done_with_its_event_and_loses_no_other() {
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Disconnect] {
        let bus = Bus::new();
        let topic = open::<Touchy>(&bus, 8);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        for event in 0..3 {
            topic.publish(Touchy(event)).unwrap();
        }
        assert_eq!(subscriber.recv(), Ok(Touchy(0)));
        assert!(panics(|| subscriber.recv()));
        assert_eq!(subscriber.recv(), Ok(Touchy(2)));
        assert_conserved(&topic);
    }
}

#[test]
fn a_panicking_handler_frees_a_blocked_publisher() {
    finishes("a publisher behind a panicking handler", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 1);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(1).unwrap();
        let blocked = thread::spawn(move || publisher.publish(2));
        let_others_park();
        assert!(panics(
            || subscriber.poll(1, |_, _| panic!("the handler panics"))
        ));
        assert!(blocked.join().unwrap().is_ok());
        assert_eq!(subscriber.recv(), Ok(2));
    });
}

#[test]
fn a_reader_thread_that_panics_frees_a_blocked_publisher() {
    finishes("a publisher behind a panicked thread", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 1);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(1).unwrap();
        let reader = thread::spawn(move || {
            subscriber.poll(1, |_, _| {
                let_others_park();
                panic!("the handler panics");
            })
        });
        for event in 2..10 {
            publisher.publish(event).unwrap();
        }
        assert!(reader.join().is_err());
    });
}

#[test]
fn a_panicking_iterator_publishes_nothing_of_a_shared_batch() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    for round in 0..50 {
        assert!(panics(|| {
            publisher.publish_batch((0..5).inspect(|event| assert!(*event != 3, "no more")))
        }));
        assert_eq!(events(&mut subscriber), []);
        assert_eq!(publisher.publish(round), Ok(round));
        assert_eq!(subscriber.recv(), Ok(round));
    }
    assert_conserved(&topic);
}

/// Gives `given` events and panics.
struct Broken {
    given: u64,
    left: usize,
}

impl Iterator for Broken {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.given = self.given.checked_sub(1).expect("the iterator panics");
        self.left -= 1;
        Some(self.given)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Broken {}

#[test]
fn a_panicking_iterator_publishes_what_it_gave_to_an_exclusive_batch() {
    for capacity in [8, 64] {
        for given in 0..4 {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, capacity);
            let mut subscribers: Vec<_> = POLICIES
                .iter()
                .map(|&overflow| topic.subscriber().overflow(overflow).open().unwrap())
                .collect();
            let mut publisher = topic.exclusive_publisher().unwrap();
            for _ in 0..100 {
                assert!(panics(|| publisher.publish_batch(Broken { given, left: 8 })));
                for subscriber in &mut subscribers {
                    let mut expected: Vec<_> = (0..given).rev().collect();
                    if subscriber.overflow() == Overflow::Latest {
                        expected.drain(..expected.len().saturating_sub(1));
                    }
                    assert_eq!(events(subscriber), expected);
                }
                publisher.publish(9).unwrap();
                for subscriber in &mut subscribers {
                    assert_eq!(events(subscriber), [9]);
                }
            }
            assert_conserved(&topic);
        }
    }
}

#[test]
fn gaps_alone_disconnect_nobody() {
    for capacity in [8, 64] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, capacity);
        let mut subscriber = topic
            .subscriber()
            .overflow(Overflow::Disconnect)
            .open()
            .unwrap();
        let mut publisher = topic.exclusive_publisher().unwrap();
        assert!(panics(|| publisher.publish_batch(Broken {
            given: 0,
            left: capacity
        })));
        publisher.publish(9).unwrap();
        assert_eq!(
            subscriber.recv(),
            Ok(9),
            "it was no event behind (capacity {capacity})"
        );
    }
}

#[test]
fn a_ring_full_of_gaps_does_not_stop_a_publisher_whose_readers_have_passed_them() {
    for capacity in [8, 64] {
        finishes("a publisher behind gaps", move || {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, capacity);
            let mut subscriber = topic.subscribe();
            let mut publisher = topic.exclusive_publisher().unwrap();
            assert!(panics(|| {
                publisher.publish_batch(Broken {
                    given: 0,
                    left: capacity,
                })
            }));
            // The subscriber is read by this thread, the publisher waits on another.
            assert_eq!(subscriber.poll(0, |_, _| ()), Ok(0));
            let blocked = thread::spawn(move || {
                publisher.publish(1).unwrap();
                publisher
            });
            let_others_park();
            let mut seen = None;
            subscriber
                .poll_wait(1, |event, _| seen = Some(*event))
                .unwrap();
            assert_eq!(seen, Some(1));
            drop(blocked.join().unwrap());
        });
    }
}

#[test]
fn events_given_before_the_iterator_panicked_wake_a_parked_reader() {
    finishes("a reader behind a panicking iterator", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let reader = thread::spawn(move || subscriber.recv());
        let_others_park();
        assert!(panics(
            || publisher.publish_batch(Broken { given: 1, left: 4 })
        ));
        assert_eq!(reader.join().unwrap(), Ok(0));
    });
}

#[test]
fn a_panicking_build_leaves_a_gap_and_no_event() {
    let bus = Bus::new();
    let plain = open::<[u64; 8]>(&bus, 4);
    let owning = open::<String>(&bus, 4);
    let mut plain_reader = plain.subscribe();
    let mut owning_reader = owning.subscribe();
    let mut plain_publisher = plain.exclusive_publisher().unwrap();
    let mut owning_publisher = owning.exclusive_publisher().unwrap();
    for round in 0..200 {
        assert!(panics(
            || plain_publisher.publish_with(|| panic!("the build panics"))
        ));
        assert!(panics(
            || owning_publisher.publish_with(|| panic!("the build panics"))
        ));
        assert!(plain_reader.try_recv().is_err());
        assert!(owning_reader.try_recv().is_err());
        plain_publisher.publish_with(|| [round; 8]).unwrap();
        owning_publisher.publish_with(|| round.to_string()).unwrap();
        assert_eq!(plain_reader.recv(), Ok([round; 8]));
        assert_eq!(owning_reader.recv(), Ok(round.to_string()));
    }
    assert_conserved(&plain);
    assert_conserved(&owning);
}

#[test]
fn gaps_alone_never_block_a_publisher() {
    let bus = Bus::new();
    for capacity in [1, 8, 64] {
        let topic = open::<[u64; 2]>(&bus, capacity);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        for _ in 0..capacity / 2 {
            assert!(panics(
                || publisher.publish_with(|| panic!("the build panics"))
            ));
        }
        assert!(subscriber.try_recv().is_err());
        for _ in 0..capacity {
            publisher.try_publish([1; 2]).unwrap();
        }
        topic.close();
    }
}

/// Panics when it is dropped, if it is armed and nothing is panicking already.
struct Bomb {
    armed: Arc<AtomicBool>,
    goes_off: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.goes_off && self.armed.load(Ordering::Relaxed) && !thread::panicking() {
            panic!("the drop panics");
        }
    }
}

#[test]
fn a_panicking_drop_of_an_overwritten_event_has_published_the_new_one() {
    for overflow in POLICIES {
        for exclusive in [false, true] {
            let bus = Bus::new();
            let topic = open::<Bomb>(&bus, 64);
            let armed = Arc::new(AtomicBool::new(true));
            let bomb = |goes_off| Bomb {
                armed: Arc::clone(&armed),
                goes_off,
            };
            let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
            let mut read = |topic: &Topic<Bomb>| {
                let mut shown = 0;
                while subscriber.poll(64, |_, _| shown += 1).unwrap() > 0 {}
                assert_conserved(topic);
                shown
            };
            if exclusive {
                let mut publisher = topic.exclusive_publisher().unwrap();
                for round in 0..64 {
                    publisher.publish(bomb(round % 2 == 0)).unwrap();
                    read(&topic);
                }
                for round in 0..64 {
                    assert_eq!(panics(|| publisher.publish(bomb(false))), round % 2 == 0);
                    assert_eq!(read(&topic), 1);
                }
            } else {
                let publisher = topic.publisher().unwrap();
                for round in 0..64 {
                    publisher.publish(bomb(round % 2 == 0)).unwrap();
                    read(&topic);
                }
                for round in 0..64 {
                    assert_eq!(panics(|| publisher.publish(bomb(false))), round % 2 == 0);
                    assert_eq!(read(&topic), 1);
                }
            }
            armed.store(false, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_panicking_drop_inside_a_shared_batch_has_published_the_batch() {
    let bus = Bus::new();
    let topic = open::<Bomb>(&bus, 64);
    let armed = Arc::new(AtomicBool::new(true));
    let bomb = |goes_off| Bomb {
        armed: Arc::clone(&armed),
        goes_off,
    };
    let mut subscriber = topic.subscribe();
    let publisher: Publisher<_> = topic.publisher().unwrap();
    publisher
        .publish_batch((0..64).map(|event| bomb(event == 3)))
        .unwrap();
    assert_eq!(subscriber.poll(64, |_, _| ()), Ok(64));
    assert!(panics(
        || publisher.publish_batch((0..8).map(|_| bomb(false)))
    ));
    assert_eq!(subscriber.poll(64, |_, _| ()), Ok(8));
    publisher
        .publish_batch((0..8).map(|_| bomb(false)))
        .unwrap();
    assert_eq!(subscriber.poll(64, |_, _| ()), Ok(8));
    assert_conserved(&topic);
    armed.store(false, Ordering::Relaxed);
}

#[test]
fn a_panicking_drop_inside_an_exclusive_batch_leaves_nothing_that_blocks() {
    let bus = Bus::new();
    let topic = open::<Bomb>(&bus, 64);
    let armed = Arc::new(AtomicBool::new(true));
    let bomb = |goes_off| Bomb {
        armed: Arc::clone(&armed),
        goes_off,
    };
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    let batch = |range: std::ops::Range<usize>, goes_off: Option<usize>| {
        range
            .map(|event| bomb(Some(event) == goes_off))
            .collect::<Vec<_>>()
    };
    publisher.publish_batch(batch(0..64, Some(3))).unwrap();
    assert_eq!(subscriber.poll(64, |_, _| ()), Ok(64));
    assert!(panics(|| publisher.publish_batch(batch(0..8, None))));
    let shown = subscriber.poll(64, |_, _| ()).unwrap();
    assert!(
        shown >= 4,
        "what was written before the panic is published, got {shown}"
    );
    for _ in 0..100 {
        publisher.publish(bomb(false)).unwrap();
        assert_eq!(subscriber.poll(64, |_, _| ()), Ok(1));
    }
    assert_conserved(&topic);
    armed.store(false, Ordering::Relaxed);
}

#[test]
fn a_panicking_drop_of_an_unheard_event_passes_through_the_publish() {
    let bus = Bus::new();
    let topic = open::<Bomb>(&bus, 4);
    let armed = Arc::new(AtomicBool::new(true));
    let bomb = |goes_off| Bomb {
        armed: Arc::clone(&armed),
        goes_off,
    };
    let publisher = topic.publisher().unwrap();
    assert!(panics(|| publisher.publish(bomb(true))));
    assert!(panics(|| publisher.publish_batch([bomb(true), bomb(false)])));
    armed.store(false, Ordering::Relaxed);
    let mut subscriber = topic.subscribe();
    publisher.publish(bomb(false)).unwrap();
    assert_eq!(subscriber.poll(4, |_, _| ()), Ok(1));
}

#[test]
fn what_was_not_built_for_nobody_is_not_counted_as_published() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut publisher = topic.exclusive_publisher().unwrap();
    assert!(panics(
        || publisher.publish_with(|| panic!("the build panics"))
    ));
    assert_eq!(topic.snapshot().published, 0);
    assert!(panics(
        || publisher.publish_batch(Broken { given: 1, left: 4 })
    ));
    assert_eq!(topic.snapshot().published, 1);
    let _subscriber = topic.subscribe();
    assert_eq!(topic.snapshot().published, 1);
    publisher.publish(1).unwrap();
    assert_eq!(topic.snapshot().published, 2);
}

#[test]
fn a_panicking_handler_is_no_poison_for_anybody() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 16);
    let mut subscriber = topic.subscribe();
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    for event in 0..1000 {
        topic.publish(event).unwrap();
        assert!(panics(
            || subscriber.poll(1, |_, _| panic!("the handler panics"))
        ));
        assert!(panics(|| lossy.poll(1, |_, _| panic!("the handler panics"))));
        drop(topic.subscribe());
    }
    assert_conserved(&topic);
    assert!(subscriber.recv_timeout(Duration::ZERO).is_err());
}
