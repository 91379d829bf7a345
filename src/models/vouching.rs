//! Readers that do not look at stamps, where those that they come after have.

use std::ops::ControlFlow;

use loom::thread;

use super::{explore, publish, publish_until_full, read, ring};
use crate::ring::{Origin, Policy, Reader, Ring, Shape, SoleWriter};
use crate::sync::{Arc, Barrier};

fn join(ring: &Arc<Ring<u64>>) -> Reader<u64> {
    Reader::join(ring, Policy::Lossless, Origin::Now).unwrap()
}

/// A reader that comes after `upstream`.
fn join_after(ring: &Arc<Ring<u64>>, origin: Origin, upstream: &Reader<u64>) -> Reader<u64> {
    let mut reader = Reader::join(ring, Policy::Lossless, origin).unwrap();
    reader.come_after(&upstream.lineage());
    reader
}

/// Shows what there is to `f`, as [`Subscriber::poll`](crate::Subscriber::poll) does.
fn run(reader: &mut Reader<u64>, mut f: impl FnMut(u64, u64)) {
    reader.look_upstream();
    loop {
        let shown = reader.show_run(
            4,
            || (),
            |event, sequence| {
                f(sequence, *event);
                ControlFlow::Continue(())
            },
        );
        if shown.is_err() && !reader.pass_gap() {
            return;
        }
    }
}

/// A publisher leaves a hole where an older event lies, an upstream passes it, and a downstream is not shown
/// that event.
fn hole_behind_an_upstream(
    preemptions: usize,
    slots: u64,
    pinned: bool,
    leave_a_hole: fn(&mut SoleWriter<u64>),
) {
    explore(Some(preemptions), move || {
        let ring = ring(2, slots);
        let mut upstream = join(&ring);
        let mut downstream = join_after(&ring, Origin::Now, &upstream);
        let mut holding = Reader::join(&ring, Policy::Lossy, Origin::Now).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        for event in 0..slots {
            publish(&mut writer, event).unwrap();
            if pinned && event == 0 {
                holding.find(1);
            }
            read(&mut upstream, 4);
            run(&mut downstream, |_, _| ());
        }
        let publisher = thread::spawn(move || {
            leave_a_hole(&mut writer);
            publish(&mut writer, slots + 1).unwrap();
            writer
        });
        let journal = thread::spawn(move || {
            read(&mut upstream, 4);
            read(&mut upstream, 4);
            upstream
        });
        let look = move |downstream: &mut Reader<u64>| {
            let mut seen = 0;
            run(downstream, |sequence, event| {
                assert_eq!((sequence, event), (slots + 1, slots + 1));
                seen += 1;
            });
            seen
        };
        // Of a thread of its own: of what the first thread does while others run, too little is explored.
        let looking =
            thread::spawn(move || (look(&mut downstream) + look(&mut downstream), downstream));
        let _writer = publisher.join().unwrap();
        let mut upstream = journal.join().unwrap();
        let (mut seen, mut downstream) = looking.join().unwrap();
        read(&mut upstream, 4);
        seen += look(&mut downstream);
        assert_eq!(seen, 1);
    });
}

#[test]
fn hole_of_a_dropped_claim() {
    hole_behind_an_upstream(2, 2, false, |writer| {
        let claimed = writer.claim(1).unwrap();
        drop(writer.ring().fill(claimed));
    });
}

#[test]
fn hole_of_a_pinned_slot() {
    // The next claim steps over the slot by itself.
    hole_behind_an_upstream(2, 4, true, |_| ());
}

/// Nothing but events: a downstream reads each where its upstream has seen it, also over a lap.
#[test]
fn events_alone() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let mut upstream = join(&ring);
        let mut downstream = join_after(&ring, Origin::Now, &upstream);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 0..3));
        let journal = thread::spawn(move || {
            read(&mut upstream, 4);
            read(&mut upstream, 4);
            upstream
        });
        let mut next = 0;
        let mut look = |downstream: &mut Reader<u64>| {
            run(downstream, |sequence, event| {
                assert_eq!((sequence, event), (next, next));
                next += 1;
            });
        };
        look(&mut downstream);
        look(&mut downstream);
        let published = publisher.join().unwrap();
        let mut upstream = journal.join().unwrap();
        read(&mut upstream, 4);
        look(&mut downstream);
        assert_eq!(next, published);
    });
}

/// A downstream starts with a sequence that is claimed and not written, and its upstream has joined behind that.
#[test]
fn upstream_that_joined_later() {
    explore(None, || {
        let ring = ring(4, 4);
        let mut first = Some(ring.claim_shared(1).unwrap());
        let mut upstream = join(&ring);
        let mut downstream = join_after(&ring, Origin::Oldest(None), &upstream);
        let second = ring.claim_shared(1).unwrap();
        ring.fill(second).write(1);
        let publisher = {
            let ring = Arc::clone(&ring);
            let first = first.take().unwrap();
            thread::spawn(move || ring.fill(first).write(0).0)
        };
        let mut next = 0;
        let mut look = |downstream: &mut Reader<u64>| {
            run(downstream, |sequence, event| {
                assert_eq!((sequence, event), (next, next));
                next += 1;
            });
        };
        read(&mut upstream, 4);
        look(&mut downstream);
        publisher.join().unwrap();
        look(&mut downstream);
        assert_eq!(next, 2);
    });
}

/// An upstream leaves, perhaps before it has seen anything: from then on the downstream looks for itself.
#[test]
fn upstream_that_leaves() {
    explore(Some(4), || {
        let ring = ring(2, 2);
        let mut upstream = join(&ring);
        let mut downstream = join_after(&ring, Origin::Now, &upstream);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || {
            publish(&mut writer, 1).unwrap();
            writer
        });
        let leaving = thread::spawn(move || {
            read(&mut upstream, 1);
            drop(upstream);
        });
        let mut next = 0;
        let mut look = |downstream: &mut Reader<u64>| {
            run(downstream, |sequence, event| {
                assert_eq!((sequence, event), (next, next));
                next += 1;
            });
        };
        look(&mut downstream);
        let _writer = publisher.join().unwrap();
        leaving.join().unwrap();
        look(&mut downstream);
        assert_eq!(next, 2);
    });
}

/// A subscriber behind an editor reads what that has left of each event.
#[test]
fn editor_before_a_subscriber() {
    explore(Some(4), || {
        let shape = Shape {
            capacity: 2,
            slots: 2,
            first: 0,
        };
        let (ring, mut editors) = Ring::edited(shape, Barrier::of_process(), 1);
        let mut editor = editors.remove(0);
        let mut subscriber = join(&ring);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || {
            publish(&mut writer, 1).unwrap();
            writer
        });
        let edit = |editor: &mut Reader<u64>| {
            editor.edit(1, |event, _| {
                *event += 100;
                ControlFlow::Continue(())
            });
        };
        let editing = thread::spawn(move || {
            edit(&mut editor);
            edit(&mut editor);
            editor
        });
        let mut next = 0;
        let mut look = |subscriber: &mut Reader<u64>| {
            run(subscriber, |sequence, event| {
                assert_eq!((sequence, event), (next, 100 + next));
                next += 1;
            });
        };
        look(&mut subscriber);
        look(&mut subscriber);
        let _writer = publisher.join().unwrap();
        let mut editor = editing.join().unwrap();
        edit(&mut editor);
        look(&mut subscriber);
        assert_eq!(next, 2);
    });
}
