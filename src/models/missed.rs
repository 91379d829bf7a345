//! Events that a lossy reader misses: each is read, or leaves the ring as missed, once.

use loom::thread;

use super::{explore, read, read_all, ring};
use crate::ring::{Origin, Policy, Reader, Replaced, Ring, SoleWriter, Turn};
use crate::sync::Arc;

/// The events that were missed, and the sequences that their marks told. No word of the protocol, so the checker
/// does not see it.
type Missed = std::sync::Arc<std::sync::Mutex<Vec<(u64, u64)>>>;

/// A ring of which every event is its own sequence, so that it shows when a mark names another one.
fn marked(capacity: u64, slots: u64) -> (Arc<Ring<u64>>, Missed) {
    let ring = ring(capacity, slots);
    let missed = Missed::default();
    let left = missed.clone();
    ring.mark_missed(Arc::new(Box::new(move |event, sequence| {
        note(&left, event, sequence);
    })));
    (ring, missed)
}

fn note(missed: &Missed, event: u64, sequence: u64) {
    missed.lock().unwrap().push((event, sequence));
}

/// What was missed, in order.
fn all(missed: &Missed) -> Vec<u64> {
    let mut all = Vec::new();
    for &(event, sequence) in &*missed.lock().unwrap() {
        assert_eq!(event, sequence, "a mark names another event");
        all.push(sequence);
    }
    all.sort_unstable();
    all
}

fn write(ring: &Ring<u64>, turn: Turn, missed: &Missed) {
    let event = turn.sequence();
    let (_, old) = ring.replace(turn, event);
    if let Some(Replaced {
        event,
        missed: Some(sequence),
    }) = old
    {
        note(missed, event, sequence);
    }
}

/// Publishes beside others, if there is room.
fn publish(ring: &Ring<u64>, missed: &Missed) {
    if let Ok(claimed) = ring.claim_shared(1) {
        write(ring, claimed.into_turn(), missed);
    }
}

fn publish_alone(writer: &mut SoleWriter<u64>, missed: &Missed) {
    if let Ok(claimed) = writer.claim(1) {
        write(writer.ring(), claimed.into_turn(), missed);
    }
}

fn drop_oldest(ring: &Arc<Ring<u64>>, origin: Origin) -> Reader<u64> {
    Reader::join(ring, Policy::Lossy, origin).unwrap()
}

/// What was read, and what was missed when the ring goes, are the first `events`.
fn check(ring: Arc<Ring<u64>>, missed: &Missed, mut reader: Reader<u64>, mut seen: Vec<u64>) {
    let mut rest = Vec::new();
    read_all(&mut reader, &mut rest);
    seen.extend(rest.into_iter().map(|(sequence, ..)| sequence));
    let holes = ring.holes();
    let next = ring.next_sequence();
    drop(reader);
    drop(ring);
    seen.extend(all(missed));
    seen.sort_unstable();
    let events = seen.len() as u64;
    seen.dedup();
    assert_eq!(seen.len() as u64, events, "an event is read and missed");
    assert_eq!(events + holes, next, "an event is neither read nor missed");
}

fn read_now(reader: &mut Reader<u64>) -> Vec<u64> {
    let read = read(reader, 1);
    read.into_iter().map(|(sequence, ..)| sequence).collect()
}

/// Two publishers, which mark and write beside each other, and a reader.
fn two_publishers(preemptions: usize, capacity: u64, before: u64) {
    explore(Some(preemptions), move || {
        let (ring, missed) = marked(capacity, 2);
        let mut reader = drop_oldest(&ring, Origin::Now);
        for _ in 0..before {
            publish(&ring, &missed);
        }
        let publishers = [(); 2].map(|()| {
            let (ring, missed) = (Arc::clone(&ring), missed.clone());
            thread::spawn(move || publish(&ring, &missed))
        });
        let seen = read_now(&mut reader);
        for publisher in publishers {
            publisher.join().unwrap();
        }
        check(ring, &missed, reader, seen);
    });
}

#[test]
fn two_publishers_capacity_1() {
    two_publishers(2, 1, 2);
}

#[test]
fn two_publishers_capacity_2() {
    two_publishers(2, 2, 3);
}

/// A reader that holds what it has claimed while the publisher goes round.
#[test]
fn reader_with_a_pin() {
    explore(Some(2), || {
        let (ring, missed) = marked(2, 2);
        let mut reader = drop_oldest(&ring, Origin::Now);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish_alone(&mut writer, &missed);
        let publisher = {
            let missed = missed.clone();
            thread::spawn(move || (0..3).for_each(|_| publish_alone(&mut writer, &missed)))
        };
        let seen = read_now(&mut reader);
        publisher.join().unwrap();
        check(ring, &missed, reader, seen);
    });
}

/// A reader joins where publishers are about to overwrite: what it is pushed over before it has joined is marked
/// only where it still is.
#[test]
fn joiner_beside_two_publishers() {
    explore(Some(2), || {
        let (ring, missed) = marked(2, 2);
        publish(&ring, &missed);
        publish(&ring, &missed);
        let publishers = [2, 1].map(|events| {
            let (ring, missed) = (Arc::clone(&ring), missed.clone());
            thread::spawn(move || (0..events).for_each(|_| publish(&ring, &missed)))
        });
        let reader = drop_oldest(&ring, Origin::Oldest(None));
        for publisher in publishers {
            publisher.join().unwrap();
        }
        drop(reader);
        drop(ring);
        assert!(all(&missed).is_sorted_by(|one, next| one < next));
    });
}
