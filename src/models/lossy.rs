//! Claim, pin, push and step-over; the count of what was lost; taking newest; being expelled.

use loom::thread;

use super::{explore, publish, publish_shared, read, read_all, ring};
use crate::ring::{Found, Loss, Origin, Policy, Reader, SoleWriter};
use crate::sync::Arc;

/// Each event comes with the exact number of those missed before it, and the publisher never waits.
fn overrun(preemptions: usize, policy: Policy, slots: u64, events: u64, reads: usize) {
    explore(Some(preemptions), move || {
        let ring = ring(slots, slots);
        let mut reader = Reader::join(&ring, policy, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = thread::spawn(move || {
            // Stepping over takes sequences, so the event's value is its number and not its sequence.
            for event in 0..events {
                publish(&mut writer, event).expect("a lossy reader is never waited for");
            }
        });
        let mut seen = Vec::new();
        for _ in 0..reads {
            seen.extend(read(&mut reader, slots));
        }
        publisher.join().unwrap();
        read_all(&mut reader, &mut seen);
        let mut expected = 0;
        for (_, event, missed) in seen {
            assert_eq!(event, expected + missed);
            expected = event + 1;
        }
        assert_eq!(expected, events, "the newest event is never lost");
    });
}

#[test]
fn drop_oldest_2_slots() {
    overrun(3, Policy::Lossy, 2, 4, 1);
}

#[test]
fn drop_oldest_4_slots_claims_of_2() {
    overrun(2, Policy::Lossy, 4, 6, 1);
}

#[test]
fn latest_2_slots() {
    overrun(3, Policy::Newest, 2, 4, 1);
}

/// A pinned slot is not written while the event is being looked at, however often the ring laps.
#[test]
fn pinned_event_stays() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || {
            for event in 1..4 {
                publish(&mut writer, event).unwrap();
            }
        });
        reader.find(1);
        reader.lend(|mut events| {
            events.next_with(|event, _, _| {
                let before = *event;
                thread::yield_now();
                assert_eq!(before, *event);
            });
        });
        publisher.join().unwrap();
    });
}

/// Two publishers push the same reader.
#[test]
fn drop_oldest_behind_two_publishers() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || {
                    (0..2).filter(|_| publish_shared(&ring, 7).is_ok()).count() as u64
                })
            })
            .collect();
        let mut seen = read(&mut reader, 2);
        let published: u64 = publishers
            .into_iter()
            .map(|publisher| publisher.join().unwrap())
            .sum();
        read_all(&mut reader, &mut seen);
        let accounted: u64 = seen.iter().map(|(_, _, missed)| missed + 1).sum();
        assert_eq!(accounted, published);
    });
}

/// An expendable reader is told once, with the count of what it did not read.
#[test]
fn disconnect_is_told_with_the_count() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Expendable, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = thread::spawn(move || {
            for event in 0..4 {
                publish(&mut writer, event).expect("an expendable reader is never waited for");
            }
        });
        let mut seen = 0;
        let mut expelled = None;
        for _ in 0..2 {
            match reader.find(1) {
                Found::Some => seen += read(&mut reader, 1).len() as u64,
                Found::Expelled(missed) => {
                    expelled = Some(missed);
                    break;
                }
                _ => {}
            }
        }
        publisher.join().unwrap();
        while expelled.is_none() {
            match reader.find(1) {
                Found::Some => seen += read(&mut reader, 1).len() as u64,
                Found::Expelled(missed) => expelled = Some(missed),
                _ => break,
            }
        }
        match expelled {
            // It was cut off when the third or the fourth event came.
            Some(missed) => assert!((2..4).contains(&(seen + missed))),
            None => assert_eq!(seen, 4),
        }
    });
}

/// The alarm is raised for each lost event once, before the loss is told in-band; and it holds nothing, so that
/// publishing from it, which pushes the very reader, loses no count.
#[test]
fn alarm_for_each_loss_once() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        let raised = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let mut again = Some(Arc::clone(&ring));
        reader.set_alarm({
            let raised = std::sync::Arc::clone(&raised);
            Box::new(move |loss| {
                let Loss::Missed(missed) = loss else {
                    panic!("{loss:?}");
                };
                raised.fetch_add(missed, std::sync::atomic::Ordering::Relaxed);
                // Refused while the other publisher is in the middle of a publish.
                if let Some(ring) = again.take()
                    && publish_shared(&ring, 7).is_ok()
                {
                    raised.fetch_add(1 << 32, std::sync::atomic::Ordering::Relaxed);
                }
            })
        });
        let publisher = thread::spawn({
            let ring = Arc::clone(&ring);
            move || (0..4).filter(|_| publish_shared(&ring, 7).is_ok()).count() as u64
        });
        let mut seen = read(&mut reader, 1);
        let published = publisher.join().unwrap();
        read_all(&mut reader, &mut seen);
        let raised = raised.load(std::sync::atomic::Ordering::Relaxed);
        let missed: u64 = seen.iter().map(|(_, _, missed)| missed).sum();
        assert_eq!(missed, raised & u64::from(u32::MAX));
        assert_eq!(seen.len() as u64 + missed, published + (raised >> 32));
    });
}
