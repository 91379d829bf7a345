//! The newest value: looked at while it is replaced, waited for, joined.

use loom::thread;

use super::{explore, publish, publish_shared, ring};
use crate::bus::Bus;
use crate::channel::PollError;
use crate::ring::{SoleWriter, View};
use crate::sync::{Arc, AtomicU64, Ordering};

/// Each look shows an event that is not older than the one before, nor than one whose publish has returned; and
/// it stays as it is while it is looked at, also when the ring laps.
fn look(preemptions: usize, events: u64, looks: usize, joins_late: bool) {
    explore(Some(preemptions), move || {
        let ring = ring(4, 4);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let first = if joins_late { 3 } else { 1 };
        for event in 0..first {
            publish(&mut writer, event).unwrap();
        }
        let published = Arc::new(AtomicU64::new(first - 1));
        let mut early = (!joins_late).then(|| View::open(&ring).unwrap());
        let publisher = {
            let published = Arc::clone(&published);
            thread::spawn(move || {
                for event in first..first + events {
                    publish(&mut writer, event).expect("a view is never waited for");
                    published.store(event, Ordering::Release);
                }
            })
        };
        let mut view = early.take().unwrap_or_else(|| View::open(&ring).unwrap());
        let mut last = 0;
        for _ in 0..looks {
            let least = published.load(Ordering::Acquire).max(last);
            last = view.show(|event, _| *event).expect("there is an event");
            assert!(last >= least, "{last} was shown after {least}");
        }
        publisher.join().unwrap();
        let newest = view.show(|event, _| *event);
        assert_eq!(newest, Some(first + events - 1));
    });
}

#[test]
fn look_while_the_ring_laps() {
    look(2, 4, 2, false);
}

#[test]
fn look_from_a_late_join() {
    look(2, 4, 1, true);
}

/// The publisher goes on while a view joins, by more than half a lap: the view finds a value all the same.
#[test]
fn late_join_finds_a_value() {
    explore(Some(2), || {
        let ring = ring(4, 4);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        for event in 0..3 {
            publish(&mut writer, event).unwrap();
        }
        let publisher = thread::spawn(move || {
            for event in 3..8 {
                publish(&mut writer, event).expect("a view is never waited for");
            }
        });
        let mut view = View::open(&ring).unwrap();
        assert!(view.show(|_, _| ()).is_some());
        publisher.join().unwrap();
    });
}

/// Beside several publishers the newest event may be one whose slot is the next to be overwritten: a view that joins
/// then does not look at it.
#[test]
fn look_from_a_late_join_beside_two_publishers() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        publish_shared(&ring, 7).unwrap();
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || publish_shared(&ring, 7).is_ok())
            })
            .collect();
        let mut view = View::open(&ring).unwrap();
        view.show(|event, _| assert_eq!(*event, 7));
        for publisher in publishers {
            publisher.join().unwrap();
        }
        assert!(view.show(|_, _| ()).is_some());
    });
}

/// Two views hold slots of their own, one of which is taken while the ring laps.
#[test]
fn two_views() {
    explore(Some(2), || {
        let ring = ring(4, 4);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let mut view = View::open(&ring).unwrap();
        assert_eq!(view.show(|event, _| *event), Some(0));
        let publisher = thread::spawn(move || {
            for event in 1..5 {
                publish(&mut writer, event).expect("a view is never waited for");
            }
        });
        let mut other = View::open(&ring).unwrap();
        other.show(|event, _| *event).expect("there is an event");
        drop(other);
        publisher.join().unwrap();
        assert_eq!(view.show(|event, _| *event), Some(4));
    });
}

/// A reader that waits is woken by a newer value, and by the close; and it finds the last value before the close.
#[test]
fn wait_newer_then_closed() {
    explore(Some(2), || {
        let bus = Bus::new();
        let state = bus.state(0_u64).unwrap();
        let mut reader = state.reader().unwrap();
        let setter = {
            let state = state.clone();
            thread::spawn(move || state.set(1).is_ok())
        };
        let closer = {
            let state = state.clone();
            thread::spawn(move || state.close())
        };
        let mut seen = 0;
        let ended = loop {
            match reader.wait_newer(seen) {
                Ok(()) => {
                    let version = reader.read(|_, version| version);
                    assert!(version > seen);
                    seen = version;
                }
                Err(error) => break error,
            }
        };
        closer.join().unwrap();
        let last = u64::from(setter.join().unwrap());
        assert_eq!((ended, seen), (PollError::Closed, last));
    });
}

/// A subscriber is given the latest value, then every later one, while two threads set.
#[test]
fn subscribe_without_a_gap() {
    explore(Some(2), || {
        let bus = Bus::new();
        let state = bus.state(0_u64).unwrap();
        let setters: Vec<_> = (1..=2)
            .map(|value| {
                let state = state.clone();
                thread::spawn(move || state.set(value).unwrap())
            })
            .collect();
        let (_, at_least) = state.get();
        let mut subscriber = state.subscribe();
        for setter in setters {
            setter.join().unwrap();
        }
        let mut versions = Vec::new();
        while subscriber
            .poll(1, |_, meta| versions.push(meta.sequence))
            .unwrap()
            > 0
        {}
        assert!(versions[0] >= at_least);
        assert!(versions.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        assert_eq!(versions.last(), Some(&2));
    });
}
