//! Groups: claims, posts, portions that change hands, keys, the end.

use std::sync::Mutex;

use loom::thread;

use super::{explore, publish, publish_until_full, ring};
use crate::channel::{Core, Editor, GroupMember, Next, Overflow, RecvError, Settings, Topic};
use crate::ring::{Group, Origin, Policy, Reader, Ring, Shape, SoleWriter, Taken, Terms, Worker};
use crate::select::{Ended, Reactor};
use crate::sync::{Arc, AtomicU64, Barrier, Ordering, Parker};

const LOSSLESS: Terms = Terms {
    lossy: false,
    batch: 64,
    by_key: false,
};

const LOSSY: Terms = Terms {
    lossy: true,
    ..LOSSLESS
};

const BY_KEY: Terms = Terms {
    by_key: true,
    ..LOSSLESS
};

/// A group whose first worker's post sits before its cursor, and the second one's behind it.
fn group(ring: &Arc<Ring<u64>>, terms: Terms) -> Arc<Group<u64>> {
    let early = Reader::join(ring, Policy::Lossless, Origin::Now).unwrap();
    let group = Group::form(ring, terms, Origin::Now, &[]).unwrap();
    drop(early);
    group
}

/// Takes once, and handles all of what was taken: each event with those lost before it. `None` when there was
/// nothing to take.
fn handle_some(worker: &mut Worker<u64>, max: u64) -> Option<Vec<(u64, u64)>> {
    let mut handled = Vec::new();
    if worker.take(max) != Taken::Portion {
        return None;
    }
    while worker
        .next_with(|event, handed| handled.push((*event, handed.missed)))
        .is_some()
    {}
    worker.finish();
    Some(handled)
}

fn handle(worker: &mut Worker<u64>, max: u64) -> Vec<(u64, u64)> {
    handle_some(worker, max).unwrap_or_default()
}

/// Handles until nothing is left.
fn handle_all(worker: &mut Worker<u64>, handled: &mut Vec<(u64, u64)>) {
    while let Some(more) = handle_some(worker, 64) {
        handled.extend(more);
    }
}

fn events(handled: &[(u64, u64)]) -> Vec<u64> {
    let mut events: Vec<_> = handled.iter().map(|&(event, _)| event).collect();
    events.sort_unstable();
    events
}

/// Two workers beside a publisher that laps the ring: each event is handled once, and no slot is written
/// under a worker.
fn lossless(preemptions: usize, capacity: u64, published: u64, takes: usize) {
    explore(Some(preemptions), move || {
        let ring = ring(capacity, capacity);
        let group = group(&ring, LOSSLESS);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut mine = Worker::join(&group).unwrap();
        let mut other = Worker::join(&group).unwrap();
        let worker = thread::spawn(move || {
            let handled: Vec<_> = (0..takes).flat_map(|_| handle(&mut other, 64)).collect();
            (other, handled)
        });
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 0..published));
        let mut handled: Vec<_> = (0..takes).flat_map(|_| handle(&mut mine, 64)).collect();
        let published = publisher.join().unwrap();
        let (_other, others) = worker.join().unwrap();
        handled.extend(others);
        handle_all(&mut mine, &mut handled);
        assert!(published >= capacity);
        assert_eq!(events(&handled), (0..published).collect::<Vec<_>>());
    });
}

#[test]
fn lossless_1_slot() {
    lossless(2, 1, 3, 1);
}

#[test]
fn lossless_2_slots() {
    lossless(2, 2, 4, 1);
}

/// A group that takes two at a time shares what is there, and a post protects all of it.
#[test]
fn portions_of_2() {
    explore(Some(2), || {
        let ring = ring(4, 4);
        let group = group(&ring, LOSSLESS);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut mine = Worker::join(&group).unwrap();
        for event in 0..4 {
            publish(&mut writer, event).unwrap();
        }
        let worker = thread::spawn(move || {
            let mut handled = handle(&mut mine, 64);
            assert_eq!(handled.len(), 2);
            handled.extend(handle(&mut mine, 64));
            (handled, mine)
        });
        let published = 4 + publish_until_full(&mut writer, 4..8);
        let (mut handled, mut mine) = worker.join().unwrap();
        handle_all(&mut mine, &mut handled);
        assert_eq!(events(&handled), (0..published).collect::<Vec<_>>());
    });
}

/// A plan reads the seat of the post, then a portion is claimed, then it reads the cursor, which has passed the
/// portion. It goes far enough for the next publish to write under the worker, were it not for a second look.
#[test]
fn claim_in_the_middle_of_a_plan() {
    explore(Some(3), || {
        let ring = ring(4, 4);
        let group = group(&ring, LOSSLESS);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut mine = Worker::join(&group).unwrap();
        for event in 0..4 {
            publish(&mut writer, event).unwrap();
        }
        let mut handled = handle(&mut mine, 2);
        handled.extend(handle(&mut mine, 1));
        assert_eq!(events(&handled), [0, 1, 2]);
        for event in 4..6 {
            publish(&mut writer, event).unwrap();
        }
        // The next publish needs a plan, and the one after it may go by that.
        let worker = thread::spawn(move || (handle(&mut mine, 1), mine));
        let published = 6 + publish_until_full(&mut writer, 6..8);
        let (others, mut mine) = worker.join().unwrap();
        handled.extend(others);
        handle_all(&mut mine, &mut handled);
        assert_eq!(events(&handled), (0..published).collect::<Vec<_>>());
    });
}

/// What a worker hands back stays protected, and goes to the other one, who handles it once.
#[test]
fn handed_back_to_another() {
    explore(Some(2), || {
        let ring = ring(1, 1);
        let group = group(&ring, LOSSLESS);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut mine = Worker::join(&group).unwrap();
        let mut leaving = Worker::join(&group).unwrap();
        publish(&mut writer, 0).unwrap();
        let worker = thread::spawn(move || {
            let mut handled = Vec::new();
            if leaving.take(64) == Taken::Portion {
                leaving.next_with(|event, _| handled.push((*event, 0)));
                // It was not handled after all.
                leaving.refuse();
                handled.clear();
                leaving.finish();
            }
            drop(leaving);
            handled
        });
        let publisher = thread::spawn(move || publish_until_full(&mut writer, 1..3));
        let mut handled = handle(&mut mine, 64);
        let published = 1 + publisher.join().unwrap();
        handled.extend(worker.join().unwrap());
        handle_all(&mut mine, &mut handled);
        assert_eq!(events(&handled), (0..published).collect::<Vec<_>>());
    });
}

/// Two workers that a publisher overruns: each event is handled or counted, and no pinned slot is written.
#[test]
fn lossy_4_slots() {
    explore(Some(2), || {
        let ring = ring(4, 4);
        let group = group(&ring, LOSSY);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut mine = Worker::join(&group).unwrap();
        let mut other = Worker::join(&group).unwrap();
        for event in 0..4 {
            publish(&mut writer, event).unwrap();
        }
        let worker = thread::spawn(move || (handle(&mut mine, 64), mine));
        for event in 4..6 {
            publish(&mut writer, event).expect("a lossy group is never waited for");
        }
        let mut handled = handle(&mut other, 64);
        let (others, _mine) = worker.join().unwrap();
        handled.extend(others);
        handle_all(&mut other, &mut handled);
        let missed: u64 = handled.iter().map(|&(_, missed)| missed).sum();
        let mut seen = events(&handled);
        let count = seen.len() as u64;
        seen.dedup();
        assert_eq!(seen.len() as u64, count, "no event is handled twice");
        assert_eq!(count + missed, 6);
        assert_eq!(seen.last(), Some(&5));
    });
}

/// One worker of a lossy group is told of a loss before the event that follows it.
#[test]
fn loss_is_told_before_the_event() {
    explore(Some(3), || {
        let ring = ring(2, 2);
        let group = group(&ring, LOSSY);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut worker = Worker::join(&group).unwrap();
        let publisher = thread::spawn(move || {
            for event in 0..4 {
                publish(&mut writer, event).expect("a lossy group is never waited for");
            }
        });
        let mut handled = handle(&mut worker, 1);
        publisher.join().unwrap();
        handle_all(&mut worker, &mut handled);
        let mut expected = 0;
        let mut lost = 0;
        for (event, missed) in handled {
            assert_eq!(event, expected + missed);
            expected = event + 1;
            lost += missed;
        }
        assert_eq!(expected, 4, "the newest event is never lost");
        assert_eq!(worker.take_untold(), lost, "as much is told outside");
    });
}

/// Handles what there is of a group with keys, the key being the parity, and logs where each event begins and
/// ends; a point between the two lets the others run. `false` when there was nothing.
fn handle_keyed(
    worker: &mut Worker<u64>,
    log: &Mutex<Vec<(u64, bool)>>,
    point: &AtomicU64,
) -> bool {
    let mut taken = worker.take(64);
    while taken == Taken::Keys {
        worker.route(|event, _| Some(event % 2));
        taken = worker.take(64);
    }
    if taken != Taken::Portion {
        return false;
    }
    while worker
        .next_with(|event, _| {
            let mut begun = log.lock().unwrap();
            assert!(!begun.contains(&(*event, true)), "an event is handled once");
            begun.push((*event, true));
            drop(begun);
            point.load(Ordering::Relaxed);
            log.lock().unwrap().push((*event, false));
        })
        .is_some()
    {}
    worker.finish();
    true
}

/// Events of one key are handled in order, and one has ended before the next begins.
#[test]
fn by_key() {
    explore(Some(4), || {
        let ring = ring(2, 2);
        let group = group(&ring, BY_KEY);
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        let mut mine = Worker::join(&group).unwrap();
        let mut other = Worker::join(&group).unwrap();
        let log = std::sync::Arc::new(Mutex::new(Vec::new()));
        let point = Arc::new(AtomicU64::new(0));
        publish(&mut writer, 0).unwrap();
        publish(&mut writer, 2).unwrap();
        let worker = {
            let (log, point) = (std::sync::Arc::clone(&log), Arc::clone(&point));
            thread::spawn(move || {
                handle_keyed(&mut other, &log, &point);
                other
            })
        };
        // The same key, and in the slot of the first one.
        let published = 2 + u64::from(publish(&mut writer, 4).is_ok());
        handle_keyed(&mut mine, &log, &point);
        let _other = worker.join().unwrap();
        let published = published + u64::from(publish(&mut writer, published * 2).is_ok());
        while handle_keyed(&mut mine, &log, &point) {}
        let expected: Vec<_> = (0..published)
            .flat_map(|event| [(event * 2, true), (event * 2, false)])
            .collect();
        assert_eq!(*log.lock().unwrap(), expected);
    });
}

fn topic(capacity: usize) -> Topic<u64> {
    let settings = Settings {
        capacity,
        ..Settings::default()
    };
    Topic::of(Core::new(None, settings))
}

fn member(topic: &Topic<u64>) -> GroupMember<u64> {
    topic.group("workers").join().unwrap()
}

/// Receives until the end.
fn receive_all(mut member: GroupMember<u64>) -> Vec<u64> {
    let mut received = Vec::new();
    loop {
        match member.recv() {
            Ok(event) => received.push(event),
            Err(error) => {
                assert_eq!(error, RecvError::Closed);
                return received;
            }
        }
    }
}

/// After the close the members get what is left, once, and none of them sleeps on.
#[test]
fn close_is_told_to_each() {
    explore(Some(2), || {
        let topic = topic(2);
        let (one, other) = (member(&topic), member(&topic));
        let mut publisher = topic.exclusive_publisher().unwrap();
        let receiving = thread::spawn(move || receive_all(one));
        publisher.publish(7).unwrap();
        // The last publisher: its drop closes.
        drop(publisher);
        let mut received = receive_all(other);
        received.extend(receiving.join().unwrap());
        assert_eq!(received, [7]);
    });
}

/// What is handed back wakes a member that sleeps; also after the close.
fn handed_back_wakes(closed: bool) {
    explore(Some(3), move || {
        let topic = topic(2);
        let (mut one, mut other) = (member(&topic), member(&topic));
        topic.publish(7).unwrap();
        if closed {
            topic.close();
        }
        let refusing = thread::spawn(move || {
            let _ = one.poll_until(1, |_, _| Next::Refuse);
            one
        });
        assert_eq!(other.recv(), Ok(7));
        let _one = refusing.join().unwrap();
        if closed {
            assert_eq!(other.recv(), Err(RecvError::Closed));
        }
    });
}

#[test]
fn handed_back_wakes_another() {
    handed_back_wakes(false);
}

#[test]
fn handed_back_wakes_another_after_the_close() {
    handed_back_wakes(true);
}

/// A member that waits for the end is woken by the one that handles the last event.
#[test]
fn last_event_wakes_who_waits_for_the_end() {
    explore(Some(3), || {
        let topic = topic(1);
        let (mut one, mut other) = (member(&topic), member(&topic));
        topic.publish(7).unwrap();
        let handling = thread::spawn(move || {
            let handled = one.poll(1, |_, _| {}).unwrap_or(0);
            (handled, one)
        });
        topic.close();
        let waited = match other.recv() {
            Ok(_) => 1,
            Err(_) => 0,
        };
        let (handled, _one) = handling.join().unwrap();
        assert_eq!(handled + waited, 1);
    });
}

/// The last member that leaves frees a publisher that waits already.
#[test]
fn leaving_frees_a_blocked_publisher() {
    explore(Some(2), || {
        let topic = topic(1);
        let (one, other) = (member(&topic), member(&topic));
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let leaving = thread::spawn(move || {
            drop(other);
            drop(one);
        });
        publisher.publish(1).unwrap();
        leaving.join().unwrap();
    });
}

/// A member that has handled an event frees a publisher that waits already.
#[test]
fn handling_frees_a_blocked_publisher() {
    explore(Some(2), || {
        let topic = topic(1);
        let (mut one, _other) = (member(&topic), member(&topic));
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let handling = thread::spawn(move || {
            let handled = one.poll(1, |_, _| {});
            assert_eq!(handled, Ok(1));
            one
        });
        publisher.publish(1).unwrap();
        let _one = handling.join().unwrap();
    });
}

/// So has one of a lossy group, in whose hand the slot was that the publisher wants: the ring has none to spare, and
/// there is no room behind a subscriber for stepping over it.
#[test]
fn lossy_handling_frees_a_blocked_publisher() {
    explore(Some(2), || {
        let topic = topic(64);
        let mut reader = topic.subscribe();
        let workers = topic.group("workers").overflow(Overflow::DropOldest);
        let mut one = workers.join().unwrap();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish_batch(vec![0; 64]).unwrap();
        assert_eq!(reader.poll(1, |_, _| {}), Ok(1));
        let handling = thread::spawn(move || {
            assert_eq!(one.poll(1, |_, _| {}), Ok(1));
            one
        });
        let publishing = thread::spawn(move || publisher.publish(1).unwrap());
        assert_eq!(publishing.join().unwrap(), 64);
        let _one = handling.join().unwrap();
    });
}

/// A member that waits for a key to be looked up is woken when that is done.
#[test]
fn router_wakes_the_others() {
    explore(Some(2), || {
        let topic = topic(2);
        let join = || {
            topic
                .group("workers")
                .by_key(|event| *event)
                .join()
                .unwrap()
        };
        let (mut one, mut other) = (join(), join());
        topic.publish(0).unwrap();
        topic.publish(1).unwrap();
        let receiving = thread::spawn(move || (one.recv(), one));
        let mut received = vec![other.recv().unwrap()];
        let (event, _one) = receiving.join().unwrap();
        received.push(event.unwrap());
        received.sort_unstable();
        assert_eq!(received, [0, 1]);
    });
}

/// A lossy group through handles: the losses that recv tells and the events are all there was.
#[test]
fn lossy_members_account_for_everything() {
    explore(Some(2), || {
        let topic = topic(1);
        let join = || {
            let builder = topic.group("workers").overflow(Overflow::DropOldest);
            builder.join().unwrap()
        };
        let mut one = join();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let publishing = thread::spawn(move || {
            for event in 0..3 {
                publisher.publish(event).unwrap();
            }
        });
        let mut accounted = 0;
        loop {
            match one.recv() {
                Ok(_) => accounted += 1,
                Err(RecvError::Missed(missed)) => accounted += missed,
                Err(_) => break,
            }
        }
        publishing.join().unwrap();
        assert_eq!(accounted, 3);
    });
}

/// An event that comes while one member looks up keys wakes another, who had nothing to do meanwhile; also when
/// it is behind the fence of the first one.
fn published_while_routing_wakes(fenced: bool) {
    explore(Some(3), move || {
        let topic = topic(2);
        let join = || {
            topic
                .group("workers")
                .by_key(|event| *event)
                .join()
                .unwrap()
        };
        let (mut one, mut other) = (join(), join());
        topic.publish(0).unwrap();
        if fenced {
            one.fence();
        }
        // The one stays at its event until the other has had one too.
        let parker = Arc::new(Parker::new());
        let staying = {
            let parker = Arc::clone(&parker);
            thread::spawn(move || {
                let _ = one.poll(1, |_, _| {
                    parker.park(None);
                });
                one
            })
        };
        let publishing = {
            let topic = topic.clone();
            thread::spawn(move || topic.publish(1).unwrap())
        };
        assert!(other.recv().is_ok());
        parker.unpark();
        publishing.join().unwrap();
        let _one = staying.join().unwrap();
    });
}

#[test]
fn published_while_routing_wakes_another() {
    published_while_routing_wakes(false);
}

#[test]
fn published_behind_the_routers_fence_wakes_another() {
    published_while_routing_wakes(true);
}

const EDITED: u64 = 100;

fn edit(editor: &mut Reader<u64>) {
    editor.edit(1, |event, _| {
        *event += EDITED;
        std::ops::ControlFlow::Continue(())
    });
}

/// An editor and two workers, one of whom hands back what it claimed, on the same slots; that they never meet
/// in one the checker sees by itself.
fn after_an_editor(preemptions: usize, terms: Terms) {
    explore(Some(preemptions), move || {
        let shape = Shape {
            capacity: 2,
            slots: 2,
            first: 0,
        };
        let (ring, mut editors) = Ring::edited(shape, Barrier::of_process(), 1);
        let mut editor = editors.remove(0);
        let group = Group::form(&ring, terms, Origin::Now, &[]).unwrap();
        let mut mine = Worker::join(&group).unwrap();
        let mut leaving = Worker::join(&group).unwrap();
        let mut writer = SoleWriter::new(Arc::clone(&ring));
        publish(&mut writer, 0).unwrap();
        publish(&mut writer, 0).unwrap();
        let take = |worker: &mut Worker<u64>| {
            let mut taken = worker.take(1);
            while taken == Taken::Keys {
                worker.route(|event, _| {
                    assert_eq!(*event, EDITED);
                    Some(7)
                });
                taken = worker.take(1);
            }
            taken == Taken::Portion
        };
        let handle = move |worker: &mut Worker<u64>| {
            let mut handled = 0;
            while take(worker) {
                while worker
                    .next_with(|event, _| assert_eq!(*event, EDITED))
                    .is_some()
                {
                    handled += 1;
                }
                worker.finish();
            }
            handled
        };
        let worker = thread::spawn(move || {
            if take(&mut leaving) {
                leaving.finish();
            }
            drop(leaving);
        });
        let editing = thread::spawn(move || {
            edit(&mut editor);
            edit(&mut editor);
            editor
        });
        let mut handled = handle(&mut mine);
        let _editor = editing.join().unwrap();
        worker.join().unwrap();
        handled += handle(&mut mine);
        assert_eq!(handled, 2);
    });
}

#[test]
fn members_come_after_an_editor() {
    after_an_editor(3, LOSSLESS);
}

#[test]
fn members_by_key_come_after_an_editor() {
    after_an_editor(3, BY_KEY);
}

fn edited() -> (Topic<u64>, Editor<u64>) {
    let settings = Settings {
        capacity: 2,
        ..Settings::default()
    };
    let (topic, [editor]) = Editor::open(None, settings, ["editor"]);
    (topic, editor)
}

/// As [`published_while_routing_wakes_another`], where it is an editor that lets the event through.
#[test]
fn edited_while_routing_wakes_another() {
    explore(Some(2), || {
        let (topic, mut editor) = edited();
        let join = || {
            topic
                .group("workers")
                .by_key(|event| *event)
                .join()
                .unwrap()
        };
        let (mut one, mut other) = (join(), join());
        topic.publish(0).unwrap();
        topic.publish(1).unwrap();
        assert_eq!(editor.poll(1, |_, _| {}), Ok(1));
        let parker = Arc::new(Parker::new());
        let staying = {
            let parker = Arc::clone(&parker);
            thread::spawn(move || {
                let _ = one.poll(1, |_, _| {
                    parker.park(None);
                });
                one
            })
        };
        // Neither has opened the editor, and so knows nothing of it.
        let receiving = thread::spawn(move || {
            assert!(other.recv().is_ok());
            parker.unpark();
            other
        });
        assert_eq!(editor.poll(1, |_, _| {}), Ok(1));
        let _other = receiving.join().unwrap();
        let _one = staying.join().unwrap();
    });
}

/// A member sleeps until the editor is done.
#[test]
fn editor_wakes_a_member() {
    explore(Some(3), || {
        let (topic, mut editor) = edited();
        let mut one = member(&topic);
        topic.publish(7).unwrap();
        // On a thread that did not open the editor, and so knows nothing of it.
        let receiving = thread::spawn(move || assert_eq!(one.recv(), Ok(EDITED + 7)));
        assert_eq!(editor.poll(1, |event, _| *event += EDITED), Ok(1));
        receiving.join().unwrap();
    });
}

/// The editor leaves a sleeping member, which from then on sleeps until the next event.
#[test]
fn leaving_editor_wakes_a_member() {
    explore(Some(3), || {
        let (topic, editor) = edited();
        let mut one = member(&topic);
        let receiving = thread::spawn(move || assert_eq!(one.recv(), Ok(7)));
        drop(editor);
        topic.publish(7).unwrap();
        receiving.join().unwrap();
    });
}

/// What a member hands back wakes one that waits for an editor.
#[test]
fn handed_back_wakes_one_behind_an_editor() {
    explore(Some(3), || {
        let (topic, mut editor) = edited();
        let (mut one, mut other) = (member(&topic), member(&topic));
        topic.publish(7).unwrap();
        assert_eq!(editor.poll(1, |_, _| {}), Ok(1));
        let receiving = thread::spawn(move || (other.recv(), other));
        let _ = one.poll_until(1, |_, _| Next::Refuse);
        let (received, _other) = receiving.join().unwrap();
        assert_eq!(received, Ok(7));
    });
}

/// The bell of a member moves when the editor has left.
#[test]
fn reactor_of_a_member_behind_an_editor() {
    explore(Some(3), || {
        let (topic, mut editor) = edited();
        let mut reactor = Reactor::<u64>::new();
        reactor.on_group(member(&topic), |seen, _, cx| {
            *seen += 1;
            if *seen == 2 {
                cx.stop();
            }
        });
        let thread = thread::spawn(move || {
            topic.publish(7).unwrap();
            assert_eq!(editor.poll(1, |_, _| {}), Ok(1));
            drop(editor);
            topic.publish(8).unwrap();
        });
        let mut seen = 0;
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_eq!(seen, 2);
        thread.join().unwrap();
    });
}

/// A hook is called for what is handed back, as for what is published.
#[test]
fn hook_of_a_member() {
    explore(Some(3), || {
        let topic = topic(2);
        let (mut one, mut other) = (member(&topic), member(&topic));
        let parker = Arc::new(Parker::new());
        let woken = Arc::clone(&parker);
        other.on_ready(move || woken.unpark());
        let thread = thread::spawn(move || {
            topic.publish(7).unwrap();
            let _ = one.poll_until(1, |_, _| Next::Refuse);
            one
        });
        let mut seen = 0;
        while seen == 0 {
            parker.park(None);
            while other.poll(4, |_, _| seen += 1) != Ok(0) {}
        }
        let _one = thread.join().unwrap();
    });
}
