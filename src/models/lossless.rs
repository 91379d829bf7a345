//! Hand-over, the gate, leaving, closing, holes: a lossless reader and an exclusive publisher.

use loom::thread;

use super::{explore, publish, publish_until_full, read, read_all, ring};
use crate::ring::{Found, Obstacle, Origin, Policy, Reader, SoleWriter};
use crate::sync::{Arc, AtomicBool, Ordering};

type Publish = fn(&mut SoleWriter<u64>, u64) -> Result<u64, Obstacle>;

/// Publishes one event that is built in its slot, if there is room.
fn publish_built(writer: &mut SoleWriter<u64>, event: u64) -> Result<u64, Obstacle> {
    let turn = writer.claim(1)?.into_turn();
    Ok(writer.ring().build(turn, || event).0)
}

/// Reads in two steps beside a publisher that laps the ring; nothing is lost, torn or out of order.
fn hand_over(preemptions: Option<usize>, capacity: u64, events: u64, publish: Publish) {
    explore(preemptions, move || {
        let ring = ring(capacity, capacity);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = thread::spawn(move || {
            (0..events)
                .take_while(|&event| publish(&mut writer, event).is_ok())
                .count() as u64
        });
        let mut seen = read(&mut reader, 2);
        seen.extend(read(&mut reader, 2));
        let published = publisher.join().unwrap();
        read_all(&mut reader, &mut seen);
        let expected: Vec<_> = (0..published).map(|event| (event, event, 0)).collect();
        assert_eq!(seen, expected);
        assert!(published >= capacity);
    });
}

#[test]
fn hand_over_capacity_1() {
    hand_over(None, 1, 3, publish);
}

#[test]
fn hand_over_capacity_2() {
    hand_over(Some(3), 2, 4, publish);
}

#[test]
fn hand_over_built_in_place() {
    hand_over(None, 1, 3, publish_built);
}

/// The slower of two readers holds the publisher back.
#[test]
fn gate_waits_for_the_slowest() {
    explore(Some(2), || {
        let ring = ring(1, 1);
        let mut one = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut other = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let reader = thread::spawn(move || {
            read(&mut one, 1);
            one
        });
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 0..2));
        let mut seen = read(&mut other, 1);
        let _one = reader.join().unwrap();
        let published = publisher.join().unwrap();
        seen.extend(read(&mut other, 2));
        seen.extend(read(&mut other, 2));
        let expected: Vec<_> = (0..published).map(|event| (event, event, 0)).collect();
        assert_eq!(seen, expected);
    });
}

/// A reader that leaves after reading gives its slot up only when the read is over.
#[test]
fn leave_after_a_read() {
    explore(None, || {
        let ring = ring(1, 1);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let leaving = thread::spawn(move || {
            reader.find(1);
            // The event is shown and the reader dropped without telling that it has read.
            reader.lend(|mut events| {
                events.next_with(|event, _, _| assert_eq!(*event, 0));
            });
            drop(reader);
        });
        let first = publish(&mut writer, 1).is_ok();
        leaving.join().unwrap();
        assert!(
            first || publish(&mut writer, 1).is_ok(),
            "nobody is left to wait for"
        );
    });
}

/// Events lent in a row are those that are there, and their slots are kept until the batch is over.
#[test]
fn runs_are_lent() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publishing = thread::spawn(move || {
            let mut published = 1;
            published += u64::from(publish(&mut writer, published).is_ok());
            published + u64::from(publish(&mut writer, published).is_ok())
        });
        let mut seen = Vec::new();
        reader.lend(|mut events| {
            events.look_along(2);
            assert!(events.has_run(), "one was published before");
            let first = events.next_of_run().map(|(event, _)| *event);
            events.show_rest(|event, _| seen.push(*event));
            seen.insert(0, first.expect("it was published before"));
        });
        let published = publishing.join().unwrap();
        let mut rest = Vec::new();
        read_all(&mut reader, &mut rest);
        seen.extend(rest.into_iter().map(|(_, event, _)| event));
        assert_eq!(seen, (0..published).collect::<Vec<_>>());
    });
}

/// Every publish that was accepted before the close is read, then the reader is told; none after.
#[test]
fn close_is_exact() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let closer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.close())
        };
        let publisher = thread::spawn(move || {
            (0..2)
                .filter(|&event| publish(&mut writer, event).is_ok())
                .count()
        });
        let mut seen = 0;
        // Looks while the others run; once told that the ring is closed, it believes it.
        let mut told = None;
        for _ in 0..2 {
            match reader.find(2) {
                Found::Some => seen += read(&mut reader, 2).len(),
                Found::Closed => {
                    told = Some(seen);
                    break;
                }
                _ => {}
            }
        }
        closer.join().unwrap();
        let accepted = publisher.join().unwrap();
        seen += read(&mut reader, 2).len();
        read(&mut reader, 1);
        assert_eq!(seen, accepted);
        assert!(told.is_none_or(|seen| seen == accepted));
        assert_eq!(reader.find(1), Found::Closed);
    });
}

/// A batch that needs no plan is read whole or refused whole, whatever a close does; and the reader is told of the close
/// after it. Its iterator ends early.
#[test]
fn close_is_exact_for_a_batch() {
    explore(None, || {
        let ring = ring(8, 8);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        // Its plan reaches over the batch.
        publish(&mut writer, 9).unwrap();
        let closer = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || ring.close())
        };
        let publisher = thread::spawn(move || match writer.claim_turns_now(3) {
            Some(turns) => {
                let written = writer.ring().write_turns(turns, &mut (10..12), drop);
                assert_eq!(written, Some(1..3));
                2
            }
            None => {
                assert_eq!(writer.claim(3).unwrap_err(), Obstacle::Closed);
                0
            }
        });
        let mut seen = read(&mut reader, 4);
        let told = (reader.find(4) == Found::Closed).then_some(seen.len());
        closer.join().unwrap();
        let accepted = publisher.join().unwrap();
        seen.extend(read(&mut reader, 4));
        let expected = [(0, 9, 0), (1, 10, 0), (2, 11, 0)];
        assert_eq!(seen, expected[..1 + accepted]);
        assert!(told.is_none_or(|told| told == seen.len()));
        assert_eq!(reader.find(1), Found::Closed);
    });
}

/// Who is told of the close sees what its closer did before.
#[test]
fn close_carries_what_was_done_before() {
    explore(None, || {
        let ring = ring::<u64>(1, 1);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let closer = {
            let (ring, done) = (Arc::clone(&ring), Arc::clone(&done));
            thread::spawn(move || {
                done.store(true, Ordering::Relaxed);
                ring.close();
            })
        };
        if reader.find(1) == Found::Closed {
            assert!(done.load(Ordering::Relaxed));
        }
        closer.join().unwrap();
        assert_eq!(reader.find(1), Found::Closed);
    });
}

/// What a claim leaves unfilled becomes holes that no reader waits at.
#[test]
fn abandoned_claim_leaves_holes() {
    explore(None, || {
        let ring = ring(4, 4);
        let mut reader = Reader::join(&ring, Policy::Lossless, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = thread::spawn(move || {
            let claimed = writer.claim(3).unwrap();
            let mut claim = writer.ring().fill(claimed);
            claim.write(10);
            drop(claim);
            publish(&mut writer, 11).unwrap();
        });
        let mut seen = read(&mut reader, 4);
        publisher.join().unwrap();
        seen.extend(read(&mut reader, 4));
        assert_eq!(seen, [(0, 10, 0), (3, 11, 0)]);
    });
}
