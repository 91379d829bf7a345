//! Joining beside a publisher whose last plan did not see the joiner; seats that are taken again.

use loom::thread;

use super::{explore, publish, publish_shared, publish_until_full, read, read_all, ring};
use crate::ring::{Found, Origin, Policy, Reader, SoleWriter};
use crate::sync::Arc;

/// From its start on the joiner sees every event, or is told how many it missed; and no slot is overwritten
/// under it. Events are numbered; sequences have gaps where the publisher stepped over a pin.
fn sees_everything_from_its_start(seen: &[(u64, u64, u64)], published: u64, lossless: bool) {
    let mut last = None;
    for &(_, event, missed) in seen {
        assert!(last.is_none_or(|last| event == last + missed + 1));
        assert!(missed == 0 || !lossless);
        last = Some(event);
    }
    assert!(last.is_none_or(|last| last + 1 == published));
}

fn join(preemptions: usize, policy: Policy, origin: Origin, before: u64, events: u64) {
    explore(Some(preemptions), move || {
        let ring = ring(2, 2);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        for event in 0..before {
            publish(&mut writer, event).unwrap();
        }
        let publisher =
            thread::spawn(move || publish_until_full(&mut writer, before..before + events));
        let mut reader = Reader::join(&ring, policy, origin).unwrap();
        let mut seen = read(&mut reader, 1);
        let published = before + publisher.join().unwrap();
        read_all(&mut reader, &mut seen);
        sees_everything_from_its_start(&seen, published, policy == Policy::Lossless);
    });
}

#[test]
fn join_now() {
    join(4, Policy::Lossless, Origin::Now, 0, 4);
}

#[test]
fn join_now_lossy() {
    join(2, Policy::Lossy, Origin::Now, 0, 4);
}

#[test]
fn join_oldest() {
    join(4, Policy::Lossless, Origin::Oldest(None), 1, 4);
}

#[test]
fn join_oldest_lossy() {
    join(2, Policy::Lossy, Origin::Oldest(None), 1, 3);
}

#[test]
fn join_newest() {
    join(3, Policy::Lossless, Origin::Newest, 1, 3);
}

/// Who is to be disconnected when it is a full ring behind can be that only from its start on, and not while it looks
/// for it.
#[test]
fn join_newest_to_be_disconnected() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || {
            for event in 1..3 {
                publish(&mut writer, event).unwrap();
            }
        });
        let mut reader = Reader::join(&ring, Policy::Expendable, Origin::Newest).unwrap();
        publisher.join().unwrap();
        match reader.find(4) {
            Found::Some => {}
            Found::Expelled(missed) => assert!(missed >= 2),
            found => panic!("the newest event is there, it found {found:?}"),
        }
    });
}

/// The event before the one that is on its way can no longer be joined: then the start is that one.
#[test]
fn join_newest_while_it_is_replaced() {
    explore(Some(3), || {
        let ring = ring(1, 2);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || publish(&mut writer, 1).map_or(1, |_| 2));
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Newest).unwrap();
        let published = publisher.join().unwrap();
        let mut seen = Vec::new();
        read_all(&mut reader, &mut seen);
        assert_eq!(seen.last().map(|&(_, event, _)| event + 1), Some(published));
    });
}

#[test]
fn join_now_beside_two_publishers() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let publishers: Vec<_> = (0..2)
            .map(|_| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || (0..2).filter(|_| publish_shared(&ring, 7).is_ok()).count())
            })
            .collect();
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut seen: Vec<_> = read(&mut reader, 1);
        for publisher in publishers {
            publisher.join().unwrap();
        }
        read_all(&mut reader, &mut seen);
        for pair in seen.windows(2) {
            assert_eq!(pair[0].0 + 1, pair[1].0);
        }
        if let Some(last) = seen.last() {
            assert_eq!(last.0 + 1, ring.next_sequence());
        }
    });
}

/// The one seat of the table goes from a lossy reader to a lossless one while a publisher walks over it.
#[test]
fn seat_is_taken_again() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let leaving = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 1..5));
        drop(leaving);
        let before = ring.next_sequence();
        let mut reader = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        let mut seen = Vec::new();
        let published = 1 + publisher.join().unwrap();
        read_all(&mut reader, &mut seen);
        // What the seat's last member lost is not counted.
        assert!(
            seen.first()
                .is_none_or(|&(_, event, missed)| event - missed >= before)
        );
        sees_everything_from_its_start(&seen, published, false);
    });
}

/// A joiner that finds no empty seat adds a block that the publisher then sees.
#[test]
fn second_seat_is_seen() {
    explore(Some(3), || {
        let ring = ring(1, 1);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut one = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        publish(&mut writer, 0).unwrap();
        read(&mut one, 1);
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 1..4));
        let mut other = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        drop(one);
        let published = 1 + publisher.join().unwrap();
        let mut seen = Vec::new();
        read_all(&mut other, &mut seen);
        sees_everything_from_its_start(&seen, published, true);
    });
}
