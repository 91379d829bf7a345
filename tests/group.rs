//! Groups: each event to exactly one member, whoever joins, leaves or panics.

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Census, Random, finishes, let_others_park, wait_until};
use ringbus::{
    Budget, Bus, GroupError, GroupMember, GroupSnapshot, Overflow, PollError, PublishError,
    Reactor, RecvError, RecvTimeoutError, Redeliver, Start, SubscribeError, Topic, TryPublishError,
    TryRecvError, WaitStrategy, select,
};

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn join<T: Send + Sync + 'static>(topic: &Topic<T>) -> GroupMember<T> {
    topic.group("workers").join().unwrap()
}

fn numbers<T: Send + Sync + 'static>(topic: &Topic<T>) -> GroupSnapshot {
    let mut groups = topic.snapshot().groups;
    assert_eq!(groups.len(), 1, "there is one group");
    groups.pop().unwrap()
}

#[track_caller]
fn assert_conserved<T: Send + Sync + 'static>(topic: &Topic<T>) {
    for group in topic.snapshot().groups {
        assert_eq!(
            group.published,
            group.delivered + group.missed + group.pending + group.abandoned,
            "published is what was delivered, missed, abandoned and is pending: {group:?}"
        );
    }
}

/// Runs `work` and tells whether it panicked.
fn panics<R>(work: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

/// Everything a member is given now.
fn drain(member: &mut GroupMember<u64>) -> Vec<u64> {
    let mut events = Vec::new();
    while member.poll(64, |event, _| events.push(*event)).unwrap_or(0) > 0 {}
    events
}

#[test]
fn each_event_goes_to_one_member_and_to_every_plain_subscriber() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let (mut one, mut other) = (join(&topic), join(&topic));
    let mut elsewhere = topic.group("archive").join().unwrap();
    let mut plain = topic.subscribe();
    for event in 0..40 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..40 {
        one.poll(1, |event, _| seen.push(*event)).unwrap();
        other.poll(1, |event, _| seen.push(*event)).unwrap();
    }
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    assert_eq!(drain(&mut elsewhere), (0..40).collect::<Vec<_>>());
    let plain: Vec<_> = plain.try_iter().map(|(event, _)| event).collect();
    assert_eq!(plain, (0..40).collect::<Vec<_>>());
    assert_conserved(&topic);
}

#[test]
fn a_member_takes_its_share_and_leaves_the_rest_to_the_others() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let (mut one, mut other) = (join(&topic), join(&topic));
    for event in 0..64 {
        topic.publish(event).unwrap();
    }
    let mut taken_by_the_other = 0;
    let mut share = 0;
    let _ = one.poll(1000, |event, _| {
        if *event == 0 {
            // In the middle of the first one's share: the rest is free.
            share = other
                .poll(1, |event, _| taken_by_the_other = *event)
                .unwrap();
        }
    });
    assert_eq!(
        (share, taken_by_the_other),
        (1, 16),
        "half of what there is, for each of two"
    );
    assert_eq!(numbers(&topic).delivered, 64);
}

#[test]
fn a_batch_of_1_never_keeps_an_event_from_an_idle_member() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let builder = || topic.group("workers").batch(1);
    let (mut one, mut other) = (builder().join().unwrap(), builder().join().unwrap());
    for event in 0..64 {
        topic.publish(event).unwrap();
    }
    one.poll(1, |event, _| {
        assert_eq!(*event, 0);
        let mut rest = Vec::new();
        other.poll(63, |event, _| rest.push(*event)).unwrap();
        assert_eq!(rest, (1..64).collect::<Vec<_>>());
    })
    .unwrap();
}

#[test]
fn every_way_to_receive_gives_the_next_event() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let mut member = join(&topic);
    let soon = Duration::from_millis(5);
    assert_eq!(member.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(member.recv_timeout(soon), Err(RecvTimeoutError::Timeout));
    assert_eq!(
        member.recv_deadline(Instant::now() + soon),
        Err(RecvTimeoutError::Timeout)
    );
    assert_eq!(
        member.poll_deadline(8, Instant::now() + soon, |_, _| {}),
        Ok(0)
    );
    for event in 0..8 {
        topic.publish(event).unwrap();
    }
    let mut seen = vec![
        member.recv().unwrap(),
        member.try_recv().unwrap(),
        member.recv_timeout(soon).unwrap(),
        member.recv_deadline(Instant::now() + soon).unwrap(),
    ];
    member.poll(1, |event, _| seen.push(*event)).unwrap();
    member.poll_wait(1, |event, _| seen.push(*event)).unwrap();
    let deadline = Instant::now() + soon;
    member
        .poll_deadline(1, deadline, |event, meta| {
            assert_eq!((meta.missed, meta.redelivered), (0, false));
            seen.push(*event);
        })
        .unwrap();
    assert_eq!(member.poll(0, |_, _| unreachable!()), Ok(0));
    assert_eq!(member.poll_wait(0, |_, _| unreachable!()), Ok(0));
    assert_eq!(seen, (0..7).collect::<Vec<_>>());
    topic.close();
    assert_eq!(member.recv(), Ok(7));
    assert_eq!(member.recv(), Err(RecvError::Closed));
    assert_eq!(member.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(member.recv_timeout(soon), Err(RecvTimeoutError::Closed));
    assert_eq!(member.poll(1, |_, _| {}), Err(PollError::Closed));
    assert_eq!(member.poll_wait(1, |_, _| {}), Err(PollError::Closed));
}

#[test]
fn a_group_starts_where_its_first_member_says() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .capacity(8)
        .retain(8)
        .open()
        .unwrap();
    for event in 0..6 {
        topic.publish(event).unwrap();
    }
    let mut now = topic.group("now").join().unwrap();
    let mut oldest = topic.group("oldest").start(Start::Oldest).join().unwrap();
    let mut from = topic.group("from").start(Start::From(4)).join().unwrap();
    let mut later = topic.group("from").join().unwrap();
    let mut latest = topic
        .group("latest")
        .overflow(Overflow::DropOldest)
        .start(Start::Latest)
        .join()
        .unwrap();
    assert_eq!(drain(&mut now), []);
    assert_eq!(drain(&mut oldest), [0, 1, 2, 3, 4, 5]);
    assert_eq!(later.recv(), Ok(4));
    assert_eq!(drain(&mut from), [5]);
    assert_eq!(drain(&mut latest), [5]);
    let refused = topic.group("never").start(Start::From(9)).join();
    assert!(matches!(
        refused,
        Err(GroupError::Subscribe(SubscribeError::NotYet {
            wanted: 9,
            next: 6,
            ..
        }))
    ));
    assert_conserved(&topic);
}

#[test]
fn a_member_that_asks_for_other_settings_is_refused() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let _member = topic.group("workers").batch(7).join().unwrap();
    let conflict =
        |builder: ringbus::GroupBuilder<'_, u64>| builder.join().unwrap_err().to_string();
    assert_eq!(
        conflict(topic.group("workers").batch(8)),
        "group is open with another batch: 7, not 8"
    );
    assert_eq!(
        conflict(topic.group("workers").overflow(Overflow::DropOldest)),
        "group is open with another overflow: Block, not DropOldest"
    );
    assert_eq!(
        conflict(topic.group("workers").start(Start::Oldest)),
        "group is open with another start: Now, not Oldest"
    );
    assert!(
        conflict(topic.group("workers").by_key(|event| *event))
            .starts_with("group is open with another key: none, not ")
    );
    assert!(
        conflict(topic.group("workers").on_abandoned(|_, _| {}))
            .starts_with("group is open with another report of abandoned events: none, not ")
    );
    let same = topic
        .group("workers")
        .batch(7)
        .overflow(Overflow::Block)
        .start(Start::Now)
        .redeliver(Redeliver::Never)
        .join();
    assert!(same.is_ok());
    assert_eq!(numbers(&topic).members, 2);
}

#[test]
fn members_that_name_one_key_function_are_one_group() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let join = |topic: &Topic<u64>| topic.group("workers").by_key(|event| event % 2).join();
    let _one = join(&topic).unwrap();
    let _other = join(&topic).unwrap();
    let _plain = topic.group("workers").join().unwrap();
    assert!(
        topic
            .group("workers")
            .by_key(|event| event % 2)
            .join()
            .is_err()
    );
    let group = numbers(&topic);
    assert_eq!((group.members, group.by_key), (3, true));
}

#[test]
fn settings_out_of_their_bounds_are_refused() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    assert_eq!(topic.group("").join().unwrap_err(), GroupError::Name(0));
    assert_eq!(
        topic.group("x".repeat(256)).join().unwrap_err(),
        GroupError::Name(256)
    );
    for batch in [0, 65] {
        assert_eq!(
            topic.group("workers").batch(batch).join().unwrap_err(),
            GroupError::Batch(batch)
        );
    }
    for overflow in [Overflow::Latest, Overflow::Disconnect] {
        assert_eq!(
            topic
                .group("workers")
                .overflow(overflow)
                .join()
                .unwrap_err(),
            GroupError::Overflow(overflow)
        );
    }
    let lossy_by_key = topic
        .group("workers")
        .by_key(|event| *event)
        .overflow(Overflow::DropOldest)
        .join();
    assert_eq!(lossy_by_key.unwrap_err(), GroupError::LossyByKey);
    assert!(topic.snapshot().groups.is_empty());
}

#[test]
fn a_lossless_group_makes_publishers_wait_and_its_last_member_frees_them() {
    finishes("a publisher whose group leaves", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 2);
        let (mut one, other) = (join(&topic), join(&topic));
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        publisher.publish(1).unwrap();
        assert_eq!(publisher.try_publish(2), Err(TryPublishError::Full(2)));
        assert_eq!(one.recv(), Ok(0));
        publisher.try_publish(2).unwrap();
        // One member reads on this thread, the other is unread: a thread of its own does not know.
        let publishing = thread::spawn(move || {
            publisher.publish(3).unwrap();
            publisher.publish(4).unwrap();
        });
        let_others_park();
        drop(other);
        let_others_park();
        assert!(!publishing.is_finished());
        drop(one);
        publishing.join().unwrap();
        assert!(topic.snapshot().groups.is_empty());
    });
}

#[test]
fn a_portion_that_is_not_handled_yet_makes_publishers_wait() {
    finishes("a publisher that waits for a portion", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 1);
        let mut member = join(&topic);
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        member
            .poll(1, |_, _| {
                let other = publisher.clone();
                let refused = thread::spawn(move || other.try_publish(1));
                assert_eq!(refused.join().unwrap(), Err(TryPublishError::Full(1)));
            })
            .unwrap();
        publisher.try_publish(1).unwrap();
        assert_eq!(member.recv(), Ok(1));
    });
}

#[test]
fn a_lossy_group_never_blocks_and_counts_exactly() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let lossy = || topic.group("workers").overflow(Overflow::DropOldest).join();
    let (mut one, mut other) = (lossy().unwrap(), lossy().unwrap());
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let missed = numbers(&topic).missed;
    assert_eq!(
        one.recv(),
        Err(RecvError::Missed(missed)),
        "told once, before the next event"
    );
    assert_eq!(other.recv(), Ok(missed));
    let mut told = 0;
    let rest = (missed + 1..10).collect::<Vec<_>>();
    let mut seen = Vec::new();
    one.poll(64, |event, meta| {
        told += meta.missed;
        seen.push(*event);
    })
    .unwrap();
    assert_eq!((seen, told), (rest, 0));
    assert_conserved(&topic);

    // A member that is at an event does not block either, and its event stays as it is.
    topic.publish(10).unwrap();
    one.poll(1, |event, _| {
        for event in 11..200 {
            topic.publish(event).unwrap();
        }
        assert_eq!(*event, 10);
    })
    .unwrap();
    let mut accounted = 0;
    loop {
        match other.try_recv() {
            Ok(_) => accounted += 1,
            Err(TryRecvError::Missed(missed)) => accounted += missed,
            Err(_) => break,
        }
    }
    assert_eq!(accounted, 189);
    let group = numbers(&topic);
    assert_eq!((group.published, group.pending), (200, 0));
    assert_conserved(&topic);
}

#[test]
fn a_topic_takes_as_many_lossy_members_as_lossy_subscribers() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let lossy = || topic.group("workers").overflow(Overflow::DropOldest).join();
    let members: Vec<_> = (0..32).map(|_| lossy().unwrap()).collect();
    let refused = GroupError::Subscribe(SubscribeError::TooManyLossy(32));
    assert_eq!(lossy().unwrap_err(), refused);
    assert!(
        topic
            .subscriber()
            .overflow(Overflow::Latest)
            .open()
            .is_err()
    );
    drop(members);
    assert!(topic.snapshot().groups.is_empty());
    drop(lossy().unwrap());
    let members: Vec<_> = (0..32).map(|_| lossy().unwrap()).collect();
    assert_eq!(members.len(), 32, "every seat came back");
}

/// Each member handles one event, all at once; and a publisher laps them.
#[test]
fn a_full_table_of_lossy_members_at_their_events_never_blocks() {
    fn nest(members: &mut [GroupMember<u64>], topic: &Topic<u64>) {
        if let Some((first, rest)) = members.split_first_mut() {
            let shown = first.poll(1, |event, _| {
                let before = *event;
                nest(rest, topic);
                assert_eq!(*event, before, "an event that is being handled stays");
            });
            assert_eq!(shown, Ok(1));
        } else {
            for event in 1000..2000 {
                topic.publish(event).unwrap();
            }
        }
    }
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let lossy = || topic.group("workers").overflow(Overflow::DropOldest).join();
    let mut members: Vec<_> = (0..32).map(|_| lossy().unwrap()).collect();
    for event in 0..40 {
        topic.publish(event).unwrap();
    }
    nest(&mut members, &topic);
    assert_conserved(&topic);
}

#[test]
fn a_poll_shows_no_more_than_it_is_asked_to_also_of_what_was_handed_back() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut one = topic.group("workers").overflow(overflow).join().unwrap();
        let mut other = topic.group("workers").join().unwrap();
        for event in 0..64 {
            topic.publish(event).unwrap();
        }
        assert!(panics(|| one.poll(64, |_, _| panic!("the handler panics"))));
        assert!(numbers(&topic).returned > 1);

        let mut shown = Vec::new();
        assert_eq!(other.poll(1, |&event, _| shown.push(event)), Ok(1));
        assert_eq!(shown, [1]);
        while other.poll(3, |&event, _| shown.push(event)) != Ok(0) {}
        assert_eq!(shown, (1..64).collect::<Vec<_>>());
        assert_conserved(&topic);
    }
}

#[test]
fn a_panic_abandons_its_event_reports_it_and_hands_back_the_rest() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open::<String>(&bus, 64);
        let reported = Arc::new(Mutex::new(Vec::new()));
        let report = {
            let reported = Arc::clone(&reported);
            move |event: &String, meta: ringbus::GroupMeta| {
                reported
                    .lock()
                    .unwrap()
                    .push((event.clone(), meta.sequence));
                panic!("a report's panic ends there");
            }
        };
        let mut one = topic
            .group("workers")
            .overflow(overflow)
            .on_abandoned(report)
            .join()
            .unwrap();
        let mut other = topic.group("workers").join().unwrap();
        for event in 0..64 {
            topic.publish(event.to_string()).unwrap();
        }
        let mut shown = Vec::new();
        assert!(panics(|| {
            one.poll(64, |event, _| {
                shown.push(event.clone());
                assert!(event != "3", "the handler panics");
            })
        }));
        assert_eq!(shown, ["0", "1", "2", "3"]);
        assert_eq!(*reported.lock().unwrap(), [("3".to_string(), 3)]);
        let group = numbers(&topic);
        assert_eq!(
            (group.abandoned, group.delivered, group.redelivered),
            (1, 3, 0)
        );
        assert!(group.returned > 0);
        assert_conserved(&topic);
        drop(one);
        let mut rest = Vec::new();
        other
            .poll(64, |event, meta| {
                assert!(!meta.redelivered);
                rest.push(event.clone());
            })
            .unwrap();
        let expected: Vec<_> = (4..64).map(|event| event.to_string()).collect();
        assert_eq!(rest, expected, "what was handed back goes first");
        assert_conserved(&topic);
    }
}

#[test]
fn a_panic_hands_its_event_out_once_more_by_choice() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let reports = Arc::new(AtomicUsize::new(0));
        let report = {
            let reports = Arc::clone(&reports);
            move |event: &u64, meta: ringbus::GroupMeta| {
                assert_eq!((*event, meta.redelivered), (2, true));
                reports.fetch_add(1, Ordering::Relaxed);
            }
        };
        let mut one = topic
            .group("workers")
            .overflow(overflow)
            .redeliver(Redeliver::Once)
            .on_abandoned(report)
            .join()
            .unwrap();
        let mut other = topic.group("workers").join().unwrap();
        for event in 0..64 {
            topic.publish(event).unwrap();
        }
        let dying = |member: &mut GroupMember<u64>, at: u64| {
            let mut shown = Vec::new();
            assert!(panics(|| {
                member.poll(64, |event, meta| {
                    shown.push((*event, meta.redelivered));
                    assert!(*event != at, "the handler panics");
                })
            }));
            shown
        };
        assert_eq!(dying(&mut one, 1), [(0, false), (1, false)]);
        assert_eq!(reports.load(Ordering::Relaxed), 0);
        // Another one finishes its work, and panics at the next event.
        assert_eq!(dying(&mut other, 2), [(1, true), (2, false)]);
        // That is its second panic.
        assert_eq!(dying(&mut one, 2), [(2, true)]);
        assert_eq!(reports.load(Ordering::Relaxed), 1);
        assert_conserved(&topic);
        assert_eq!(drain(&mut other), (3..64).collect::<Vec<_>>());
        let group = numbers(&topic);
        assert_eq!(
            (group.delivered, group.redelivered, group.abandoned),
            (63, 2, 1)
        );
        assert_conserved(&topic);
    }
}

#[test]
fn a_clone_that_panics_is_a_handler_that_panics() {
    struct Fragile(u64, Arc<AtomicUsize>);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(
                self.1.fetch_add(1, Ordering::Relaxed) > 0,
                "the first clone panics"
            );
            Self(self.0, Arc::clone(&self.1))
        }
    }
    let bus = Bus::new();
    let topic = open::<Fragile>(&bus, 8);
    let mut member = topic
        .group("workers")
        .redeliver(Redeliver::Once)
        .join()
        .unwrap();
    let clones = Arc::new(AtomicUsize::new(0));
    topic.publish(Fragile(7, Arc::clone(&clones))).unwrap();
    assert!(panics(|| member.try_recv().map(|event| event.0)));
    assert_eq!(member.try_recv().map(|event| event.0), Ok(7));
    assert_eq!(numbers(&topic).redelivered, 1);
}

#[test]
fn what_a_dying_member_hands_back_wakes_one_that_sleeps() {
    for wait in [WaitStrategy::Park, WaitStrategy::Yield] {
        finishes("a member that waits for what was handed back", move || {
            let bus = Bus::new();
            let topic = bus.topic_builder::<u64>().wait(wait).open().unwrap();
            let once = || topic.group("workers").redeliver(Redeliver::Once).join();
            let (mut dying, mut other) = (once().unwrap(), once().unwrap());
            topic.publish(7).unwrap();
            let (taken, wait_for_it) = std::sync::mpsc::channel();
            let (go_on, told) = std::sync::mpsc::channel::<()>();
            let thread = thread::spawn(move || {
                let died = panics(|| {
                    dying.poll(1, |_, _| {
                        taken.send(()).unwrap();
                        told.recv().unwrap();
                        panic!("the handler panics");
                    })
                });
                assert!(died);
            });
            wait_for_it.recv().unwrap();
            let waiting = thread::spawn(move || (other.recv(), other));
            let_others_park();
            assert!(!waiting.is_finished());
            go_on.send(()).unwrap();
            thread.join().unwrap();
            let (received, _other) = waiting.join().unwrap();
            assert_eq!(received, Ok(7));
        });
    }
}

#[test]
fn closing_drains_to_one_member_each_and_waits_for_what_may_come_back() {
    finishes("members of a closed topic", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let (mut one, mut other) = (join(&topic), join(&topic));
        topic.publish(0).unwrap();
        topic.close();
        one.poll(1, |_, _| {
            assert_eq!(
                other.try_recv(),
                Err(TryRecvError::Empty),
                "it may come back"
            );
        })
        .unwrap();
        assert_eq!(other.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(one.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn unread_events_go_with_the_last_member_and_a_new_group_starts_anew() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let mut member = join(&topic);
    for event in 0..8 {
        topic.publish(event).unwrap();
    }
    assert!(panics(
        || member.poll(8, |_, _| panic!("the handler panics"))
    ));
    drop(member);
    for event in 8..20 {
        topic.publish(event).unwrap();
    }
    let mut member = join(&topic);
    topic.publish(20).unwrap();
    assert_eq!(drain(&mut member), [20]);
    let group = numbers(&topic);
    assert_eq!(
        (group.published, group.delivered, group.abandoned),
        (1, 1, 0)
    );
}

#[test]
fn a_member_that_does_not_read_keeps_the_group() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let _keeper = join(&topic);
    let mut worker = join(&topic);
    topic.publish(0).unwrap();
    topic.publish(1).unwrap();
    assert_eq!(worker.recv(), Ok(0));
    drop(worker);
    let mut worker = join(&topic);
    assert_eq!(worker.recv(), Ok(1));
}

#[test]
fn a_leaked_member_blocks_nothing_that_others_read() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 2);
    std::mem::forget(join(&topic));
    let mut member = join(&topic);
    for event in 0..100 {
        topic.publish(event).unwrap();
        assert_eq!(member.recv(), Ok(event));
    }
    drop(member);
    let publisher = topic.publisher().unwrap();
    for event in 0..2 {
        publisher.try_publish(event).unwrap();
    }
    assert_eq!(publisher.try_publish(2), Err(TryPublishError::Full(2)));
}

#[test]
fn publishing_into_a_ring_that_only_this_thread_drains_is_refused() {
    for keyed in [false, true] {
        finishes("a publish that would wait for itself", move || {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, 1);
            let join = || {
                let builder = topic.group("workers");
                let builder = if keyed {
                    builder.by_key(|event| *event)
                } else {
                    builder
                };
                builder.join().unwrap()
            };
            let (mut one, mut other) = (join(), join());
            topic.publish(0).unwrap();
            assert_eq!(one.recv(), Ok(0));
            assert_eq!(other.try_recv(), Err(TryRecvError::Empty));
            topic.publish(1).unwrap();
            // Both members are this thread's.
            assert_eq!(topic.publish(2), Err(PublishError::WouldDeadlock(2)));
            // The event it is at is in the way.
            let mut refused = None;
            one.poll(1, |_, _| refused = Some(topic.publish(3)))
                .unwrap();
            assert_eq!(refused, Some(Err(PublishError::WouldDeadlock(3))));
            // Now another thread reads the other member, and drains what is in the way.
            let reading = thread::spawn(move || {
                let received = [other.recv(), other.recv()];
                (received, other)
            });
            wait_until("the other thread reads", || numbers(&topic).members == 2);
            let_others_park();
            topic.publish(4).unwrap();
            topic.publish(5).unwrap();
            let (received, other) = reading.join().unwrap();
            assert_eq!(received, [Ok(4), Ok(5)]);
            // It leaves: only this thread is left.
            topic.publish(6).unwrap();
            drop(other);
            assert_eq!(topic.publish(7), Err(PublishError::WouldDeadlock(7)));
            assert_eq!(one.recv(), Ok(6));
        });
    }
}

#[test]
fn what_was_handed_back_counts_as_the_groups_for_a_publisher_that_would_wait_for_itself() {
    finishes("a publish that would wait for itself", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 1);
        let mut member = topic
            .group("workers")
            .redeliver(Redeliver::Once)
            .join()
            .unwrap();
        topic.publish(0).unwrap();
        assert!(panics(
            || member.poll(1, |_, _| panic!("the handler panics"))
        ));
        assert_eq!(topic.publish(1), Err(PublishError::WouldDeadlock(1)));
        assert_eq!(member.recv(), Ok(0));
        topic.publish(1).unwrap();
    });
}

#[test]
fn zero_sized_events_are_counted_like_others() {
    let bus = Bus::new();
    let topic = open::<()>(&bus, 1);
    let (mut one, mut other) = (
        topic.group("workers").by_key(|()| 0).join().unwrap(),
        topic.group("workers").join().unwrap(),
    );
    let mut plain = topic.group("plain").join().unwrap();
    for _ in 0..100 {
        topic.publish(()).unwrap();
        let mut shown = one.poll(1, |(), _| {}).unwrap();
        shown += other.poll(1, |(), _| {}).unwrap();
        assert_eq!(shown, 1);
        assert_eq!(plain.recv(), Ok(()));
    }
    assert_conserved(&topic);
}

#[test]
fn a_handler_may_join_leave_publish_and_read() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut member = join(&topic);
    topic.publish(1).unwrap();
    let mut nested = Vec::new();
    let mut spare = Some(join(&topic));
    member
        .poll(1, |event, _| {
            topic.publish(event + 1).unwrap();
            let mut inner = join(&topic);
            assert_eq!(inner.recv(), Ok(2));
            drop(spare.take());
            topic.publish(3).unwrap();
            nested.push(numbers(&topic).members);
            drop(inner);
            nested.push(numbers(&topic).members);
        })
        .unwrap();
    assert_eq!(nested, [2, 1]);
    assert_eq!(drain(&mut member), [3]);
    assert_conserved(&topic);
}

#[test]
fn every_event_is_dropped_once() {
    let census = Census::new();
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let mut random = Random(1);
    let mut members: Vec<GroupMember<common::Counted>> = Vec::new();
    for id in 0..500 {
        match random.below(4) {
            0 if members.len() < 3 => {
                members.push(
                    topic
                        .group("workers")
                        .overflow(Overflow::DropOldest)
                        .join()
                        .unwrap(),
                );
            }
            1 if !members.is_empty() => {
                members.pop();
            }
            2 => {
                if let Some(member) = members.first_mut() {
                    let _ = panics(|| member.poll(3, |event, _| assert!(event.id % 7 != 0)));
                }
            }
            _ => drop(topic.publish(census.event(id)).unwrap()),
        }
        assert_conserved(&topic);
    }
    drop((members, topic, bus));
    census.assert_all_dropped_once();
}

// By key.

#[test]
fn a_key_stays_with_the_member_that_is_at_it() {
    let bus = Bus::new();
    let topic = open::<(u64, u64)>(&bus, 16);
    let join = || {
        topic
            .group("workers")
            .by_key(|event: &(u64, u64)| event.0)
            .batch(1)
            .join()
    };
    let keyed = |topic: &Topic<(u64, u64)>| topic.group("workers").join().unwrap();
    let mut one = join().unwrap();
    let mut other = keyed(&topic);
    for event in [(7, 0), (7, 1), (8, 2), (7, 3)] {
        topic.publish(event).unwrap();
    }
    one.poll(1, |event, _| {
        assert_eq!(*event, (7, 0));
        let mut seen = Vec::new();
        other.poll(64, |event, _| seen.push(*event)).unwrap();
        assert_eq!(seen, [(8, 2)], "what waits behind 7 waits");
    })
    .unwrap();
    let mut seen = Vec::new();
    other.poll(64, |event, _| seen.push(*event)).unwrap();
    assert_eq!(
        seen,
        [(7, 1), (7, 3)],
        "and is anybody's when that is handled"
    );
}

#[test]
fn a_key_whose_member_panics_goes_on_elsewhere_in_order() {
    let bus = Bus::new();
    let topic = open::<(u64, u64)>(&bus, 16);
    let mut one = topic
        .group("workers")
        .by_key(|event: &(u64, u64)| event.0)
        .redeliver(Redeliver::Once)
        .join()
        .unwrap();
    let mut other = topic.group("workers").join().unwrap();
    for number in 0..8 {
        topic.publish((number % 2, number)).unwrap();
    }
    assert!(panics(|| {
        one.poll(64, |event, _| assert!(event.1 != 2, "the handler panics"))
    }));
    drop(one);
    let mut seen: HashMap<u64, Vec<(u64, bool)>> = HashMap::new();
    other
        .poll(64, |event, meta| {
            let entry = (event.1, meta.redelivered);
            seen.entry(event.0).or_default().push(entry);
        })
        .unwrap();
    assert_eq!(seen[&0], [(2, true), (4, false), (6, false)]);
    assert_eq!(
        seen[&1]
            .iter()
            .map(|entry| entry.0)
            .collect::<Vec<_>>()
            .last(),
        Some(&7)
    );
    let group = numbers(&topic);
    assert_eq!(
        (group.delivered, group.redelivered, group.abandoned),
        (8, 1, 0)
    );
    assert_conserved(&topic);
}

#[test]
fn a_key_function_that_panics_abandons_its_event_and_stays_unheard() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 16);
    let reported = Arc::new(AtomicU64::new(0));
    let report = {
        let reported = Arc::clone(&reported);
        move |event: &u64, _: ringbus::GroupMeta| {
            reported.fetch_add(*event, Ordering::Relaxed);
        }
    };
    let mut member = topic
        .group("workers")
        .by_key(|event| {
            assert!(*event != 3, "the key function panics");
            event % 2
        })
        .on_abandoned(report)
        .join()
        .unwrap();
    for event in 0..6 {
        topic.publish(event).unwrap();
    }
    let mut seen = drain(&mut member);
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 4, 5]);
    assert_eq!(reported.load(Ordering::Relaxed), 3);
    assert_eq!(numbers(&topic).abandoned, 1);
    assert_conserved(&topic);
    for event in 10..50 {
        topic.publish(event).unwrap();
        assert_eq!(member.recv(), Ok(event), "the ring is not held back");
    }
}

#[test]
fn a_key_function_may_publish_to_its_own_topic() {
    finishes("a key function that publishes", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 2);
        let refused = Arc::new(AtomicUsize::new(0));
        let key = {
            let (topic, refused) = (topic.clone(), Arc::clone(&refused));
            move |event: &u64| {
                if topic.publish(event + 10).is_err() {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                *event
            }
        };
        let mut member = topic.group("workers").by_key(key).join().unwrap();
        topic.publish(1).unwrap();
        topic.publish(2).unwrap();
        let mut seen = 0;
        member.poll(2, |_, _| seen += 1).unwrap();
        assert_eq!(
            (seen, refused.load(Ordering::Relaxed)),
            (2, 2),
            "the ring was full"
        );
    });
}

#[test]
fn a_slow_key_holds_its_lane_and_at_last_the_ring_and_nothing_else() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let mut one = topic
        .group("workers")
        .by_key(|event| *event)
        .batch(1)
        .join()
        .unwrap();
    let mut other = topic.group("workers").join().unwrap();
    let publisher = topic.publisher().unwrap();
    publisher.publish(0).unwrap();
    one.poll(1, |_, _| {
        for event in 1..8 {
            publisher.publish(event).unwrap();
        }
        let mut seen = drain(&mut other);
        seen.sort_unstable();
        assert_eq!(seen, (1..8).collect::<Vec<_>>());
        assert_eq!(publisher.try_publish(8), Err(TryPublishError::Full(8)));
    })
    .unwrap();
    for event in 8..16 {
        publisher.try_publish(event).unwrap();
    }
    assert_conserved(&topic);
}

// Reactor and select.

#[test]
fn a_reactor_and_a_thread_share_a_group() {
    const LAST: u64 = if cfg!(miri) { 200 } else { 10_000 };
    finishes("a reactor in a group", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut reactor = Reactor::<u64>::new();
        reactor.on_group(join(&topic), |sum, event, _| *sum += event);
        let mut other = join(&topic);
        let thread = thread::spawn(move || {
            let mut sum = 0;
            while other.poll_wait(64, |event, _| sum += event).is_ok() {}
            sum
        });
        let publisher = topic.publisher().unwrap();
        let publishing = thread::spawn(move || {
            for event in 1..=LAST {
                publisher.publish(event).unwrap();
            }
        });
        let closing = {
            let topic = topic.clone();
            thread::spawn(move || {
                publishing.join().unwrap();
                topic.close();
            })
        };
        let mut sum = 0;
        reactor.run(&mut sum).unwrap();
        closing.join().unwrap();
        assert_eq!(sum + thread.join().unwrap(), LAST * (LAST + 1) / 2);
    });
}

#[test]
fn a_reactors_turn_takes_what_was_there_when_it_began() {
    for keyed in [false, true] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let builder = topic.group("workers");
        let builder = if keyed {
            builder.by_key(|event| *event)
        } else {
            builder
        };
        let member = builder.join().unwrap();
        let mut reactor = Reactor::<Vec<u64>>::new();
        let publisher = topic.publisher().unwrap();
        reactor.on_group(member, move |seen, event, cx| {
            seen.push(*event);
            cx.publish(&publisher, event + 10).unwrap();
        });
        topic.publish(1).unwrap();
        topic.publish(2).unwrap();
        let mut seen = Vec::new();
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.handled, turn.pending), (2, 0));
        assert_eq!(seen, [1, 2]);
        let turn = reactor.turn(&mut seen, Budget::events(1));
        assert_eq!((turn.handled, turn.pending), (1, 1));
        assert_eq!(seen, [1, 2, 11]);
        assert_conserved(&topic);
    }
}

#[test]
fn a_handler_that_removes_itself_hands_back_the_rest() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let mut other = join(&topic);
    let mut id = None;
    let ids = Arc::new(Mutex::new(None));
    {
        let ids = Arc::clone(&ids);
        id.replace(
            reactor.on_group(join(&topic), move |seen: &mut Vec<u64>, event, cx| {
                seen.push(*event);
                cx.remove(ids.lock().unwrap().unwrap());
            }),
        );
    }
    *ids.lock().unwrap() = id;
    for event in 0..64 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [0]);
    assert_eq!(numbers(&topic).members, 1);
    assert_eq!(drain(&mut other), (1..64).collect::<Vec<_>>());
    assert_conserved(&topic);
}

#[test]
fn a_lossy_member_of_a_reactor_tells_its_losses() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let member = topic
        .group("workers")
        .overflow(Overflow::DropOldest)
        .join()
        .unwrap();
    let mut reactor = Reactor::<(u64, u64)>::new();
    let id = reactor.on_group(member, |state: &mut (u64, u64), _, _| state.0 += 1);
    reactor.on_missed(id, |state, missed, _| state.1 += missed);
    for event in 0..20 {
        topic.publish(event).unwrap();
    }
    let mut state = (0, 0);
    let turn = reactor.turn(&mut state, Budget::unlimited());
    assert_eq!(state.0 + state.1, 20);
    assert_eq!((turn.handled, turn.missed), (state.0, state.1));
}

#[test]
fn select_takes_what_a_member_is_given() {
    finishes("select over a member", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let quiet = open::<String>(&bus, 8);
        let (mut member, mut other) = (join(&topic), quiet.subscribe());
        let publisher = topic.publisher().unwrap();
        let publishing = thread::spawn(move || {
            let_others_park();
            publisher.publish(7).unwrap();
        });
        let chosen = select! {
            event = member => event,
            _ = other => unreachable!("nothing was published"),
        };
        assert_eq!(chosen, Ok(7));
        publishing.join().unwrap();
        let nothing = select! {
            _ = member => false,
            default => true,
        };
        assert!(nothing);
        topic.close();
        let end = select! {
            event = member => event,
        };
        assert_eq!(end, Err(RecvError::Closed));
    });
}

#[test]
fn a_bus_snapshot_shows_groups() {
    let bus = Bus::new();
    let topic = bus.topic_named::<u64>("jobs").unwrap();
    let _members = (join(&topic), join(&topic));
    topic.publish(1).unwrap();
    let table = bus.snapshot().to_string();
    let line = table
        .lines()
        .find(|line| line.contains("workers (Block, group of 2)"))
        .expect("the group has a line");
    assert!(!line.contains("returned"), "{line}");
}
