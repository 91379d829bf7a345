//! Readers that do not look at stamps, where the sole writer has said that there are events.

use std::ops::ControlFlow;

use loom::thread;

use super::{explore, publish, publish_shared, ring};
use crate::ring::{Origin, Policy, Reader, Ring, SoleWriter};
use crate::sync::Arc;

fn join(ring: &Arc<Ring<u64>>) -> Reader<u64> {
    Reader::join(ring, Policy::Lossless, Origin::Now).unwrap()
}

/// Shows what there is, once, and notes sequences and events.
fn look(reader: &mut Reader<u64>, seen: &mut Vec<(u64, u64)>) {
    let _ = reader.show_run(
        8,
        || (),
        |event, sequence| {
            seen.push((sequence, *event));
            ControlFlow::Continue(())
        },
    );
}

/// Shows what is left, now that nobody publishes any more.
fn finish(reader: &mut Reader<u64>, seen: &mut Vec<(u64, u64)>) {
    loop {
        let before = reader.position();
        look(reader, seen);
        reader.pass_gap();
        if reader.position() == before {
            return;
        }
    }
}

/// Publishes a batch of which the iterator has as many events as are asked for, without a plan if it may.
fn publish_batch(writer: &mut SoleWriter<u64>, first: u64, events: u64) {
    let mut batch = first..first + events;
    match writer.claim_turns_now(events) {
        Some(turns) => writer.ring().write_turns(turns, &mut batch, drop),
        None => {
            let claimed = writer.claim(events).unwrap();
            writer.ring().write_all(claimed, &mut batch, drop)
        }
    };
    writer.filled();
}

/// A reader looks while another thread publishes by `act`, and sees each event where it belongs.
fn looking_beside(
    preemptions: usize,
    expected: &'static [(u64, u64)],
    act: fn(&Arc<Ring<u64>>, SoleWriter<u64>),
) {
    explore(Some(preemptions), move || {
        let ring = ring(8, 8);
        let mut reader = join(&ring);
        let writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || act(&ring, writer))
        };
        let mut seen = Vec::new();
        look(&mut reader, &mut seen);
        publisher.join().unwrap();
        finish(&mut reader, &mut seen);
        assert_eq!(seen, expected);
    });
}

#[test]
fn one_at_a_time() {
    let expected = &[(0, 10), (1, 11), (2, 12), (3, 13)];
    looking_beside(3, expected, |_, mut writer| {
        for event in 10..14 {
            publish(&mut writer, event).unwrap();
        }
    });
}

/// The claim of a batch says where it begins, here one that needs no plan.
#[test]
fn batch_behind_single_events() {
    let expected = &[(0, 10), (1, 11), (2, 12), (3, 13), (4, 14)];
    looking_beside(3, expected, |_, mut writer| {
        publish(&mut writer, 10).unwrap();
        publish(&mut writer, 11).unwrap();
        publish_batch(&mut writer, 12, 2);
        publish(&mut writer, 14).unwrap();
    });
}

/// And one that does.
#[test]
fn batch_behind_a_batch() {
    let expected = &[(0, 10), (1, 11), (2, 12), (3, 13), (4, 14)];
    looking_beside(3, expected, |_, mut writer| {
        publish_batch(&mut writer, 10, 3);
        publish_batch(&mut writer, 13, 2);
    });
}

/// A hole is counted before what is claimed behind it says that it is done.
#[test]
fn hole_of_a_dropped_claim() {
    let expected = &[(0, 10), (1, 11), (3, 13), (4, 14)];
    looking_beside(3, expected, |_, mut writer| {
        publish(&mut writer, 10).unwrap();
        publish(&mut writer, 11).unwrap();
        let claimed = writer.claim(1).unwrap();
        drop(writer.ring().fill(claimed));
        publish(&mut writer, 13).unwrap();
        publish(&mut writer, 14).unwrap();
    });
}

/// Where the sole writer has gone, what others claim and have not filled is not taken for done.
#[test]
fn others_come_after_the_sole_writer() {
    let expected = &[(0, 10), (1, 11), (2, 12), (3, 13), (4, 14)];
    looking_beside(3, expected, |ring, mut writer| {
        publish(&mut writer, 10).unwrap();
        publish(&mut writer, 11).unwrap();
        drop(writer);
        let claimed = ring.claim_shared(3).unwrap();
        ring.write_all(claimed, &mut (12..15), drop);
    });
}

/// What others have published is seen by who sees that a sole writer has come after them.
#[test]
fn sole_writer_comes_after_others() {
    explore(Some(3), || {
        let ring = ring(8, 8);
        let mut reader = join(&ring);
        let publisher = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                for event in 10..14 {
                    publish_shared(&ring, event).unwrap();
                }
                drop(SoleWriter::new(ring));
            })
        };
        let mut seen = Vec::new();
        look(&mut reader, &mut seen);
        publisher.join().unwrap();
        finish(&mut reader, &mut seen);
        assert_eq!(seen, [(0, 10), (1, 11), (2, 12), (3, 13)]);
    });
}
