//! Several publishers: one order, the turn of a slot, close, and the change to an exclusive one.

use loom::thread;

use super::{explore, publish, publish_shared, read, read_all, ring};
use crate::ring::{Found, Origin, Policy, Reader, SoleWriter};
use crate::sync::Arc;

/// Two publishers a lap apart, and no reader that keeps them from each other.
#[test]
fn lap_without_readers() {
    explore(Some(3), || {
        let ring = ring(1, 1);
        let other = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || publish_shared(&ring, 1).is_ok())
        };
        publish_shared(&ring, 2).ok();
        publish_shared(&ring, 3).ok();
        other.join().unwrap();
        publish_shared(&ring, 4).expect("every claim is done");
    });
}

#[test]
fn lap_with_two_slots() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let other = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                publish_shared(&ring, 1).ok();
                publish_shared(&ring, 2).ok();
            })
        };
        for event in 3..6 {
            publish_shared(&ring, event).ok();
        }
        other.join().unwrap();
    });
}

/// Every accepted event is read once, each publisher's in its order.
#[test]
fn two_publishers_one_order() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let publishers: Vec<_> = [10, 20]
            .into_iter()
            .map(|base| {
                let ring = Arc::clone(&ring);
                thread::spawn(move || {
                    (base..base + 2)
                        .filter(|&event| publish_shared(&ring, event).is_ok())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut seen = read(&mut reader, 2);
        let accepted: Vec<_> = publishers
            .into_iter()
            .map(|publisher| publisher.join().unwrap())
            .collect();
        read_all(&mut reader, &mut seen);
        for accepted in accepted {
            let own: Vec<_> = seen
                .iter()
                .map(|&(_, event, _)| event)
                .filter(|event| {
                    accepted
                        .first()
                        .is_some_and(|first| event / 10 == first / 10)
                })
                .collect();
            assert_eq!(own, accepted);
        }
        for (index, &(sequence, _, _)) in seen.iter().enumerate() {
            assert_eq!(sequence, index as u64);
        }
    });
}

/// A publisher that claims below the stop of another's plan writes into slots that a reader gave up: that the
/// plan saw it do so comes with the stop.
#[test]
fn claim_below_the_stop_of_another() {
    explore(Some(2), || {
        let ring = ring(4, 4);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        for event in 0..4 {
            publish_shared(&ring, event).unwrap();
        }
        let reading = thread::spawn(move || {
            let seen = read(&mut reader, 4);
            (reader, seen)
        });
        let other = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || publish_shared(&ring, 4).is_ok())
        };
        let mut accepted = usize::from(publish_shared(&ring, 4).is_ok());
        accepted += usize::from(other.join().unwrap());
        let (mut reader, mut seen) = reading.join().unwrap();
        read_all(&mut reader, &mut seen);
        let events: Vec<_> = seen.iter().map(|&(_, event, _)| event).collect();
        assert_eq!(events, [0, 1, 2, 3, 4, 4][..4 + accepted]);
    });
}

/// A batch steps over a pinned slot, and before it is written the pin goes and another publisher passes that
/// slot by a lap. The batch leaves the slot alone all the same.
#[test]
fn batch_around_a_pin_beside_a_lap() {
    explore(None, || {
        let ring = ring(4, 4);
        let mut reader = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        publish_shared(&ring, 10).unwrap();
        assert_eq!(reader.find(1), Found::Some);
        for event in 11..13 {
            publish_shared(&ring, event).unwrap();
        }
        let claimed = ring.claim_shared(2).unwrap();
        assert_eq!(read(&mut reader, 1), [(0, 10, 0)]);
        let other = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                (30..33)
                    .take_while(|&event| publish_shared(&ring, event).is_ok())
                    .count()
            })
        };
        let mut claim = ring.fill(claimed);
        let first = claim.write(20).0;
        // A look at what the other moves, so that the checker tries every order of the two.
        let lapped = ring.next_sequence();
        let second = claim.write(21).0;
        assert_eq!(
            (first, second),
            (3, 5),
            "4 was pinned; claimed up to {lapped}"
        );
        drop(claim);
        other.join().unwrap();
        publish_shared(&ring, 40).expect("every claim is done");
    });
}

#[test]
fn close_is_exact() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || publish_shared(&ring, 1).is_ok())
        };
        let closer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.close())
        };
        let accepted =
            u64::from(publish_shared(&ring, 2).is_ok()) + u64::from(publisher.join().unwrap());
        closer.join().unwrap();
        assert_eq!(read(&mut reader, 2).len() as u64, accepted);
        reader.lend(|mut events| assert!(events.next_with(|_, _, _| ()).is_none()));
        assert_eq!(reader.find(1), Found::Closed);
    });
}

/// Shared publishers go on where an exclusive one has stopped.
#[test]
fn exclusive_hands_over_to_shared() {
    explore(None, || {
        let ring = ring(1, 1);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                publish(&mut writer, 1).unwrap();
                drop(writer);
                publish_shared(&ring, 2).is_ok()
            })
        };
        let mut seen = read(&mut reader, 1).len();
        let second = publisher.join().unwrap();
        seen += read(&mut reader, 1).len();
        seen += read(&mut reader, 1).len();
        assert_eq!(seen, 1 + usize::from(second));
    });
}
