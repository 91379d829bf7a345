//! Readers after readers, and editors before all: order, leaving, waking.

use loom::thread;

use super::{explore, publish, publish_until_full, ring};
use crate::channel::{Core, Editor, RecvError, Settings, Subscriber, Topic};
use crate::ring::{Found, Origin, Policy, Reader, Ring, Shape, SoleWriter};
use crate::select::{Ended, Reactor};
use crate::sync::{Arc, AtomicU64, Barrier, Ordering, Parker};

fn join(ring: &Arc<Ring<u64>>, policy: Policy) -> Reader<u64> {
    Reader::join(ring, policy, Origin::Now).unwrap()
}

fn join_after(ring: &Arc<Ring<u64>>, policy: Policy, upstreams: &[&Reader<u64>]) -> Reader<u64> {
    let mut reader = join(ring, policy);
    for upstream in upstreams {
        reader.come_after(&upstream.lineage());
    }
    reader
}

/// Shows what there is, up to `max` events, to `f`; tells how many.
fn show(reader: &mut Reader<u64>, max: u64, mut f: impl FnMut(u64, u64)) -> u64 {
    let mut shown = 0;
    if reader.find(max) == Found::Some {
        reader.lend(|mut events| {
            while shown < max
                && events
                    .next_with(|event, sequence, _| f(sequence, *event))
                    .is_some()
            {
                shown += 1;
            }
        });
    }
    shown
}

/// What a stage has done with the first events, noted in a way that carries nothing by itself.
#[derive(Clone)]
struct Notes(Arc<[AtomicU64; 4]>);

impl Notes {
    fn new() -> Self {
        Self(Arc::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }

    fn note(&self, sequence: u64) {
        self.0[sequence as usize].store(1, Ordering::Relaxed);
    }

    fn check(&self, sequence: u64) {
        let noted = self.0[sequence as usize].load(Ordering::Relaxed);
        assert_eq!(noted, 1, "event {sequence} is seen too early");
    }
}

/// A downstream sees an event only after what its upstream did with it, and sees that.
fn downstream_comes_after(preemptions: usize, capacity: u64, events: u64, policy: Policy) {
    explore(Some(preemptions), move || {
        // Slots to spare, for a lossy reader.
        let ring = ring(capacity, capacity.max(2));
        let mut upstream = join(&ring, Policy::Lossless);
        let mut downstream = join_after(&ring, policy, &[&upstream]);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let notes = Notes::new();
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 0..events));
        let journal = {
            let notes = notes.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    show(&mut upstream, 1, |sequence, _| notes.note(sequence));
                }
                upstream
            })
        };
        let mut seen = 0;
        let mut look = |downstream: &mut Reader<u64>| {
            show(downstream, 4, |sequence, event| {
                assert_eq!(sequence, event);
                notes.check(sequence);
                seen += 1;
            });
        };
        look(&mut downstream);
        look(&mut downstream);
        let published = publisher.join().unwrap();
        let mut upstream = journal.join().unwrap();
        // Nobody is held up for good: what is left passes now, in as many turns as it takes.
        while show(&mut upstream, 4, |sequence, _| notes.note(sequence)) > 0 {}
        look(&mut downstream);
        assert!(policy != Policy::Lossless || seen == published);
    });
}

#[test]
fn downstream_comes_after_capacity_1() {
    downstream_comes_after(5, 1, 2, Policy::Lossless);
}

#[test]
fn downstream_comes_after_capacity_2() {
    downstream_comes_after(4, 2, 3, Policy::Lossless);
}

#[test]
fn lossy_downstream_comes_after() {
    downstream_comes_after(4, 2, 3, Policy::Lossy);
}

/// The last of a diamond comes after both sides.
#[test]
fn diamond() {
    explore(Some(5), || {
        let ring = ring(2, 2);
        let sides = [join(&ring, Policy::Lossless), join(&ring, Policy::Lossless)];
        let mut last = join_after(&ring, Policy::Lossless, &[&sides[0], &sides[1]]);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        for event in 0..2 {
            publish(&mut writer, event).unwrap();
        }
        let notes = [Notes::new(), Notes::new()];
        let threads: Vec<_> = sides
            .into_iter()
            .zip(notes.clone())
            .map(|(mut side, notes)| {
                thread::spawn(move || {
                    for _ in 0..2 {
                        show(&mut side, 1, |sequence, _| notes.note(sequence));
                    }
                    side
                })
            })
            .collect();
        let mut seen = 0;
        let mut look = |last: &mut Reader<u64>| {
            show(last, 4, |sequence, _| {
                notes.iter().for_each(|notes| notes.check(sequence));
                seen += 1;
            });
        };
        look(&mut last);
        look(&mut last);
        let _sides: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        look(&mut last);
        assert_eq!(seen, 2);
    });
}

/// An upstream leaves and another reader, that never reads, takes its seat: the downstream sees what the
/// first did, is held up by nobody, and the publisher by the second alone.
#[test]
fn seat_of_an_upstream_is_taken_again() {
    explore(Some(2), || {
        let ring = ring(2, 2);
        let mut upstream = join(&ring, Policy::Lossless);
        let mut downstream = join_after(&ring, Policy::Lossless, &[&upstream]);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        publish(&mut writer, 1).unwrap();
        let notes = Notes::new();
        let leaving = {
            let (ring, notes) = (Arc::clone(&ring), notes.clone());
            thread::spawn(move || {
                show(&mut upstream, 1, |sequence, _| notes.note(sequence));
                // What it does last; then everything passes.
                notes.note(1);
                drop(upstream);
                join(&ring, Policy::Lossless)
            })
        };
        let publisher = thread::spawn(move || {
            let _ = publish(&mut writer, 2);
            writer
        });
        let mut seen = 0;
        let mut look = |downstream: &mut Reader<u64>| {
            show(downstream, 4, |sequence, _| {
                if sequence < 2 {
                    notes.check(sequence);
                }
                seen += 1;
            });
        };
        look(&mut downstream);
        look(&mut downstream);
        let _in_its_seat = leaving.join().unwrap();
        let _writer = publisher.join().unwrap();
        look(&mut downstream);
        assert_eq!(seen, ring.next_sequence());
    });
}

fn edited(capacity: u64, slots: u64, editors: usize) -> (Arc<Ring<u64>>, Vec<Reader<u64>>) {
    let shape = Shape {
        capacity,
        slots,
        first: 0,
    };
    Ring::edited(shape, Barrier::of_process(), editors)
}

const EDITED: u64 = 100;

fn edit(editor: &mut Reader<u64>, max: u64) {
    editor.edit(max, |event, _| {
        *event += EDITED;
        std::ops::ControlFlow::Continue(())
    });
}

/// An editor, a subscriber and a publisher on the same slots; that they never meet in one the checker sees
/// by itself.
fn editors_alone_touch(preemptions: usize, capacity: u64, slots: u64, policy: Policy) {
    explore(Some(preemptions), move || {
        let (ring, mut editors) = edited(capacity, slots, 1);
        let mut editor = editors.remove(0);
        let mut subscriber = join(&ring, policy);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || {
            let _ = publish(&mut writer, 1);
            writer
        });
        let editing = thread::spawn(move || {
            edit(&mut editor, 1);
            edit(&mut editor, 1);
            editor
        });
        let look = |subscriber: &mut Reader<u64>| {
            show(subscriber, 4, |sequence, event| {
                assert_eq!(event, EDITED + sequence);
            })
        };
        let mut seen = look(&mut subscriber);
        seen += look(&mut subscriber);
        let _writer = publisher.join().unwrap();
        let mut editor = editing.join().unwrap();
        edit(&mut editor, 4);
        seen += look(&mut subscriber);
        assert!(policy != Policy::Lossless || seen == ring.next_sequence());
    });
}

#[test]
fn editors_alone_touch_an_event() {
    editors_alone_touch(4, 1, 1, Policy::Lossless);
}

#[test]
fn editors_alone_touch_an_event_beside_lossy() {
    editors_alone_touch(3, 2, 2, Policy::Lossy);
}

/// A subscriber that joins at the oldest event while an editor is at it reads what the editor has left.
#[test]
fn late_joiner_reads_edited_events() {
    explore(Some(2), || {
        let (ring, mut editors) = edited(2, 2, 1);
        let mut editor = editors.remove(0);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let publisher = thread::spawn(move || {
            let _ = publish(&mut writer, 1);
            writer
        });
        let editing = thread::spawn(move || {
            edit(&mut editor, 1);
            edit(&mut editor, 1);
            editor
        });
        let mut subscriber = Reader::join(&ring, Policy::Lossless, Origin::Oldest(None)).unwrap();
        show(&mut subscriber, 4, |sequence, event| {
            assert_eq!(event, EDITED + sequence);
        });
        let _writer = publisher.join().unwrap();
        let _editor = editing.join().unwrap();
    });
}

/// The second of two editors leaves: subscribers still come after the first.
#[test]
fn second_editor_leaves() {
    explore(Some(5), || {
        let (ring, mut editors) = edited(2, 2, 2);
        let second = editors.remove(1);
        let mut first = editors.remove(0);
        let mut subscriber = join(&ring, Policy::Lossless);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        let editing = thread::spawn(move || {
            edit(&mut first, 1);
            first
        });
        let leaving = thread::spawn(move || drop(second));
        let look = |subscriber: &mut Reader<u64>| {
            show(subscriber, 4, |_, event| assert_eq!(event, EDITED))
        };
        let mut seen = look(&mut subscriber);
        seen += look(&mut subscriber);
        let _first = editing.join().unwrap();
        leaving.join().unwrap();
        seen += look(&mut subscriber);
        assert_eq!(seen, 1);
    });
}

/// An editor leaves in the middle: what it edited comes edited, and what it left alone comes too.
#[test]
fn editor_leaves() {
    explore(Some(5), || {
        let (ring, mut editors) = edited(2, 2, 1);
        let mut editor = editors.remove(0);
        let mut subscriber = join(&ring, Policy::Lossless);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        publish(&mut writer, 1).unwrap();
        let leaving = {
            let ring = Arc::clone(&ring);
            thread::spawn(move || {
                edit(&mut editor, 1);
                drop(editor);
                // Perhaps in its seat.
                join(&ring, Policy::Lossless)
            })
        };
        let mut next = 0;
        let mut look = |subscriber: &mut Reader<u64>| {
            show(subscriber, 4, |sequence, event| {
                assert_eq!(event, if sequence == 0 { EDITED } else { sequence });
                next = sequence + 1;
            });
        };
        look(&mut subscriber);
        look(&mut subscriber);
        let _joined = leaving.join().unwrap();
        look(&mut subscriber);
        assert_eq!(next, 2);
    });
}

fn topic() -> Topic<u64> {
    let settings = Settings {
        capacity: 2,
        ..Settings::default()
    };
    Topic::of(Core::new(None, settings))
}

fn after(topic: &Topic<u64>, upstream: &Subscriber<u64>) -> Subscriber<u64> {
    topic.subscriber().after(upstream).open().unwrap()
}

/// A publisher, an editor and a subscriber, all of which sleep for one another.
#[test]
fn editor_between_publisher_and_subscriber() {
    explore(Some(1), || {
        let settings = Settings {
            capacity: 1,
            ..Settings::default()
        };
        let (topic, [mut editor]) = Editor::open(None, settings, ["editor"]);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let publishing = thread::spawn(move || {
            for event in 0..2 {
                publisher.publish(event).unwrap();
            }
        });
        let editing = thread::spawn(move || {
            for _ in 0..2 {
                let edited = editor.poll_wait(1, |event, _| *event += EDITED);
                assert_eq!(edited, Ok(1));
            }
            // Kept: its drop would wake the subscriber too.
            editor
        });
        assert_eq!(subscriber.recv(), Ok(EDITED));
        assert_eq!(subscriber.recv(), Ok(EDITED + 1));
        publishing.join().unwrap();
        let _editor = editing.join().unwrap();
    });
}

/// A downstream sleeps until its upstream is done, also when it comes after all to it.
#[test]
fn going_on_wakes_who_comes_after() {
    explore(Some(4), || {
        let topic = topic();
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &journal);
        topic.publish(7).unwrap();
        // On a thread that did not open the journal, and so knows nothing of it.
        let acting = thread::spawn(move || {
            assert_eq!(act.recv(), Ok(7));
        });
        assert_eq!(journal.try_recv(), Ok(7));
        acting.join().unwrap();
    });
}

/// As above, where the thread that sleeps has opened the other one: it might be waiting for itself.
#[test]
fn going_on_wakes_who_opened_both() {
    explore(Some(3), || {
        let topic = topic();
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &journal);
        let journalling = {
            let topic = topic.clone();
            thread::spawn(move || {
                topic.publish(7).unwrap();
                assert_eq!(journal.recv(), Ok(7));
                journal
            })
        };
        assert_eq!(act.recv(), Ok(7));
        let _journal = journalling.join().unwrap();
    });
}

/// A publish tells a thread that waits for itself; it would sleep for ever.
#[test]
fn publish_tells_who_waits_for_itself() {
    explore(Some(4), || {
        let topic = topic();
        let mut journal = topic.subscribe();
        let mut act = after(&topic, &journal);
        assert!(journal.try_recv().is_err());
        let publisher = {
            let topic = topic.clone();
            thread::spawn(move || {
                topic.publish(7).unwrap();
            })
        };
        assert_eq!(act.recv(), Err(RecvError::WouldDeadlock));
        publisher.join().unwrap();
    });
}

/// The upstream leaves a sleeping downstream, which from then on sleeps until the next event.
#[test]
fn leaving_wakes_who_comes_after() {
    explore(Some(4), || {
        let topic = topic();
        let journal = topic.subscribe();
        let mut act = after(&topic, &journal);
        let acting = thread::spawn(move || {
            assert_eq!(act.recv(), Ok(7));
        });
        drop(journal);
        topic.publish(7).unwrap();
        acting.join().unwrap();
    });
}

/// As above for what is there already.
#[test]
fn leaving_lets_pass() {
    explore(Some(4), || {
        let topic = topic();
        let journal = topic.subscribe();
        let mut act = after(&topic, &journal);
        topic.publish(7).unwrap();
        let acting = thread::spawn(move || {
            assert_eq!(act.recv(), Ok(7));
        });
        drop(journal);
        acting.join().unwrap();
    });
}

/// A close wakes a downstream that has nothing left.
#[test]
fn close_wakes_who_comes_after() {
    explore(Some(5), || {
        let topic = topic();
        let _journal = topic.subscribe();
        let mut act = after(&topic, &_journal);
        let acting = thread::spawn(move || {
            assert_eq!(act.recv(), Err(RecvError::Closed));
        });
        topic.close();
        acting.join().unwrap();
    });
}

/// A hook is called for what an upstream lets through, and, when that has left, for what is published.
#[test]
fn hook_of_a_downstream() {
    explore(Some(3), || {
        let topic = topic();
        let journal = topic.subscribe();
        let mut act = after(&topic, &journal);
        let parker = Arc::new(Parker::new());
        let woken = Arc::clone(&parker);
        act.on_ready(move || woken.unpark());
        let thread = thread::spawn(move || {
            drop(journal);
            topic.publish(7).unwrap();
        });
        let mut seen = 0;
        while seen == 0 {
            parker.park(None);
            while act.poll(4, |_, _| seen += 1) != Ok(0) {}
        }
        thread.join().unwrap();
    });
}

/// The same for a bell.
#[test]
fn reactor_of_a_downstream() {
    explore(Some(3), || {
        let topic = topic();
        let journal = topic.subscribe();
        let act = after(&topic, &journal);
        let mut reactor = Reactor::<u64>::new();
        reactor.on(act, |seen, _, cx| {
            *seen += 1;
            cx.stop();
        });
        let thread = thread::spawn(move || {
            drop(journal);
            topic.publish(7).unwrap();
        });
        let mut seen = 0;
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_eq!(seen, 1);
        thread.join().unwrap();
    });
}

/// And where it is served between two sleeps while the upstream is there.
#[test]
fn reactor_of_a_downstream_served_before() {
    explore(Some(3), || {
        let topic = topic();
        let mut journal = topic.subscribe();
        let act = after(&topic, &journal);
        let mut reactor = Reactor::<u64>::new();
        reactor.on(act, |seen, _, cx| {
            *seen += 1;
            if *seen == 2 {
                cx.stop();
            }
        });
        let thread = thread::spawn(move || {
            topic.publish(7).unwrap();
            assert_eq!(journal.try_recv(), Ok(7));
            drop(journal);
            topic.publish(8).unwrap();
        });
        let mut seen = 0;
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_eq!(seen, 2);
        thread.join().unwrap();
    });
}
