//! Groups on every kind of topic: behind editors and stages, observed, retaining, on a timeline, read by
//! pattern, of a state; and who counts as listening.

mod common;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use common::{finishes, let_others_park};
use ringbus::{
    Budget, Bus, DeadLetter, GroupError, GroupMember, Overflow, PollError, PublishError, Reactor,
    RecvError, Start, SubscribeError, Timeline, Topic, TryPublishError, TryRecvError, select,
};

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn join(topic: &Topic<u64>) -> GroupMember<u64> {
    topic.group("workers").join().unwrap()
}

/// Everything the members are given now, in turns of one event.
fn drain<const N: usize>(mut members: [&mut GroupMember<u64>; N]) -> Vec<u64> {
    let mut events = Vec::new();
    loop {
        let before = events.len();
        for member in &mut members {
            member.poll(1, |event, _| events.push(*event)).unwrap();
        }
        if events.len() == before {
            return events;
        }
    }
}

#[test]
fn members_see_events_when_all_editors_are_done_with_them() {
    let bus = Bus::new();
    let (topic, [mut add, mut double]) = bus
        .topic_builder::<u64>()
        .capacity(4)
        .keep_open()
        .open_edited(["add", "double"])
        .unwrap();
    let mut plain = [join(&topic), join(&topic)];
    let mut lossy = topic
        .group("lossy")
        .overflow(Overflow::DropOldest)
        .join()
        .unwrap();
    // The key is that of the edited event.
    let mut keyed = topic
        .group("keyed")
        .by_key(|event| {
            assert_eq!(event % 2, 0, "a key is looked up after the edits");
            *event
        })
        .join()
        .unwrap();
    for lap in 0..20 {
        for event in 0..4 {
            topic.publish(lap * 4 + event).unwrap();
        }
        let [one, other] = &mut plain;
        let edits: [&mut dyn FnMut(); 3] = [
            &mut || {},
            &mut || assert_eq!(add.poll(64, |event, _| *event += 1), Ok(4)),
            &mut || assert_eq!(double.poll(3, |event, _| *event *= 2), Ok(3)),
        ];
        for (done, edit) in edits.into_iter().enumerate() {
            edit();
            let expected: Vec<_> = (0..3)
                .filter(|_| done == 2)
                .map(|event| (lap * 4 + event + 1) * 2)
                .collect();
            assert_eq!(drain([&mut *one, &mut *other]), expected);
            assert_eq!(drain([&mut lossy]), expected);
            assert_eq!(drain([&mut keyed]), expected);
        }
        assert_eq!(double.poll(64, |event, _| *event *= 2), Ok(1));
        for mut group in [vec![one, other], vec![&mut lossy], vec![&mut keyed]] {
            let last = group.pop().unwrap();
            assert_eq!(last.try_recv(), Ok((lap * 4 + 4) * 2));
            assert_eq!(last.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn what_a_member_behind_an_editor_hands_back_is_handed_out_edited() {
    let bus = Bus::new();
    let (topic, [mut editor]) = bus
        .topic_builder::<u64>()
        .capacity(8)
        .keep_open()
        .open_edited(["editor"])
        .unwrap();
    let (mut dying, mut other) = (join(&topic), join(&topic));
    for event in 0..8 {
        topic.publish(event).unwrap();
    }
    assert_eq!(editor.poll(5, |event, _| *event += 100), Ok(5));
    let died = thread::spawn(move || {
        let _ = dying.poll(64, |_, _| panic!("as it was told to"));
    });
    assert!(died.join().is_err());
    assert_eq!(drain([&mut other]), [101, 102, 103, 104]);
    // The editor dies too: the rest comes as it is.
    drop(editor);
    assert_eq!(drain([&mut other]), [5, 6, 7]);
    topic.publish(8).unwrap();
    assert_eq!(other.recv(), Ok(8));
}

#[test]
fn members_wait_for_an_editor_and_then_for_publishers() {
    finishes("members", || {
        let bus = Bus::new();
        let (topic, [mut editor]) = bus
            .topic_builder::<u64>()
            .capacity(4)
            .open_edited(["editor"])
            .unwrap();
        let publisher = topic.publisher().unwrap();
        let handled = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..2)
            .map(|_| {
                let mut member = join(&topic);
                let handled = Arc::clone(&handled);
                thread::spawn(move || {
                    let mut sum = 0;
                    while let Ok(shown) = member.poll_wait(64, |event, _| sum += event) {
                        handled.fetch_add(shown, Ordering::Relaxed);
                    }
                    sum
                })
            })
            .collect();
        let_others_park();
        for event in 0..100 {
            publisher.publish(event).unwrap();
            let edited = editor.poll_wait(64, |event, _| *event += 1_000);
            assert_eq!(edited, Ok(1));
        }
        drop(editor);
        for event in 0..100 {
            publisher.publish(event).unwrap();
        }
        drop(publisher);
        let sum: u64 = members
            .into_iter()
            .map(|member| member.join().unwrap())
            .sum();
        assert_eq!(sum, 2 * (99 * 100 / 2) + 100 * 1_000);
        assert_eq!(handled.load(Ordering::Relaxed), 200);
    });
}

#[test]
fn a_thread_that_would_wait_for_its_own_editor_is_told() {
    finishes("members", || {
        let bus = Bus::new();
        let (topic, [mut editor]) = bus
            .topic_builder::<u64>()
            .capacity(4)
            .keep_open()
            .open_edited(["editor"])
            .unwrap();
        let mut plain = join(&topic);
        let mut keyed = topic.group("keyed").by_key(|event| *event).join().unwrap();
        topic.publish(7).unwrap();
        assert_eq!(editor.poll(0, |_, _| {}), Ok(0));
        for member in [&mut plain, &mut keyed] {
            assert_eq!(
                member.poll_wait(64, |_, _| {}),
                Err(PollError::WouldDeadlock)
            );
            assert_eq!(member.recv(), Err(RecvError::WouldDeadlock));
        }
        assert_eq!(editor.poll(64, |event, _| *event += 1), Ok(1));
        assert_eq!([plain.recv(), keyed.recv()], [Ok(8), Ok(8)]);
    });
}

#[test]
fn a_group_comes_after_subscribers_as_its_first_member_says() {
    let bus = Bus::new();
    let topic = open(&bus, "orders", 8);
    let mut journal = topic.subscribe();
    let mut replica = topic.subscriber().after(&journal).open().unwrap();
    let other = topic.subscribe();
    let mut workers = [
        topic.group("workers").after(&replica).join().unwrap(),
        join(&topic),
        topic.group("workers").after(&replica).join().unwrap(),
        // The same, as the replica comes after the journal.
        topic
            .group("workers")
            .after(&journal)
            .after(&replica)
            .join()
            .unwrap(),
    ];
    for builder in [
        topic.group("workers").after(&journal),
        topic.group("workers").after(&replica).after(&other),
    ] {
        let refused = builder.join().unwrap_err();
        assert_eq!(refused, GroupError::After);
        assert_eq!(refused.to_string(), "group is open after other subscribers");
    }
    let mut free = topic.group("free").join().unwrap();
    let late = topic.group("free").after(&journal).join();
    assert_eq!(late.unwrap_err(), GroupError::After);

    topic.publish(7).unwrap();
    let [one, two, three, four] = &mut workers;
    assert_eq!(drain([&mut free]), [7]);
    assert_eq!(drain([one, two, three, four]), []);
    assert_eq!(journal.try_recv(), Ok(7));
    assert_eq!(drain([one, two, three, four]), []);
    assert_eq!(replica.try_recv(), Ok(7));
    assert_eq!(drain([one, two, three, four]), [7]);

    // The replica leaves: the journal still comes first.
    drop(replica);
    topic.publish(8).unwrap();
    assert_eq!(drain([one, two, three, four]), []);
    assert_eq!(journal.try_recv(), Ok(8));
    assert_eq!(drain([one, two, three, four]), [8]);
    drop(journal);
    topic.publish(9).unwrap();
    assert_eq!(drain([one, two, three, four]), [9]);
}

#[test]
fn a_group_comes_after_lossless_subscribers_of_its_topic_alone() {
    let bus = Bus::new();
    let topic = open(&bus, "orders", 8);
    let elsewhere = open(&bus, "others", 8).subscribe();
    let lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let after =
        |stage: &ringbus::Subscriber<u64>| topic.group("workers").after(stage).join().unwrap_err();
    assert_eq!(
        after(&elsewhere),
        GroupError::Subscribe(SubscribeError::OtherTopic)
    );
    assert_eq!(
        after(&lossy),
        GroupError::Subscribe(SubscribeError::AfterLossy)
    );
    assert!(topic.snapshot().groups.is_empty());
}

#[test]
fn a_group_listens_from_its_first_member_to_its_last() {
    let bus = Bus::new();
    let topic = open(&bus, "jobs", 8);
    let letters = bus.topic_builder::<DeadLetter<u64>>().capacity(8).open();
    let letters = letters.unwrap();
    topic.dead_letters_to(&letters).unwrap();
    let mut unheard = letters.subscribe();
    let mut dead = || -> Vec<u64> {
        let letters = unheard.try_iter();
        letters.map(|(letter, _)| letter.event).collect()
    };

    let refused = topic.group("workers").start(Start::From(1_000)).join();
    assert!(refused.is_err());
    assert!(!topic.has_subscribers(), "a group that is refused is none");
    topic.publish(0).unwrap();
    assert_eq!(dead(), [0]);

    let mut one = join(&topic);
    let mut other = join(&topic);
    assert!(topic.has_subscribers());
    let conflict = topic.group("workers").batch(7).join();
    assert!(conflict.is_err());
    topic.publish(1).unwrap();
    assert_eq!(one.try_recv(), Ok(1));
    drop(one);
    assert!(topic.has_subscribers());
    topic.publish(2).unwrap();
    assert_eq!(other.try_recv(), Ok(2));
    drop(other);
    assert!(!topic.has_subscribers());
    topic.publish(3).unwrap();
    assert_eq!(dead(), [3]);

    // One of two groups goes.
    let mut one = topic.group("one").join().unwrap();
    drop(join(&topic));
    assert!(topic.has_subscribers());
    topic.publish(4).unwrap();
    assert_eq!(one.try_recv(), Ok(4));
    assert_eq!(dead(), []);
}

#[test]
fn a_topic_that_retains_keeps_its_events_for_a_group_that_comes_later() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .name("jobs")
        .capacity(8)
        .retain(4)
        .keep_open()
        .open()
        .unwrap();
    let letters = bus.topic_builder::<DeadLetter<u64>>().capacity(8).open();
    let letters = letters.unwrap();
    topic.dead_letters_to(&letters).unwrap();
    let mut dead = letters.subscribe();
    for event in 0..6 {
        topic.publish(event).unwrap();
    }
    let join = |start| topic.group("workers").start(start).join().unwrap();
    let mut first = join(Start::Oldest);
    assert_eq!(drain([&mut first]), [2, 3, 4, 5]);
    // The group goes with its last member, and what is retained stays.
    drop(first);
    assert!(!topic.has_subscribers());
    topic.publish(6).unwrap();
    assert_eq!(drain([&mut join(Start::Oldest)]), [3, 4, 5, 6]);
    assert_eq!(drain([&mut join(Start::Latest)]), [6]);
    assert_eq!(drain([&mut join(Start::Now)]), []);
    assert!(dead.try_recv().is_err(), "what is retained is not dead");
}

#[test]
fn observers_come_before_groups_and_what_they_veto_reaches_none() {
    let bus = Bus::new();
    let topic = open(&bus, "jobs", 8);
    let seen = Arc::new(AtomicUsize::new(0));
    let _observer = topic.observe_with(0, {
        let seen = Arc::clone(&seen);
        move |event| {
            seen.fetch_add(1, Ordering::Relaxed);
            match event % 2 {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        }
    });
    let (mut one, mut other) = (join(&topic), join(&topic));
    for event in 0..6 {
        let published = topic.publish(event);
        assert_eq!(published.is_ok(), event % 2 == 0);
        if let Err(error) = published {
            assert_eq!(error, PublishError::Vetoed(event));
        }
    }
    assert_eq!(seen.load(Ordering::Relaxed), 6);
    assert_eq!(drain([&mut one, &mut other]), [0, 2, 4]);
}

#[test]
fn an_observer_may_join_a_group_and_publish_to_it() {
    let bus = Bus::new();
    let topic = open(&bus, "jobs", 8);
    let (sender, members) = mpsc::channel();
    let _observer = topic.observe({
        let topic = topic.clone();
        move |event| {
            if *event == 0 {
                sender.send(join(&topic)).unwrap();
                topic.publish(1).unwrap();
            }
        }
    });
    topic.publish(0).unwrap();
    // It joined before either event was in the ring.
    let mut member = members.recv().unwrap();
    assert_eq!(drain([&mut member]), [1, 0]);
}

#[test]
fn a_group_on_a_timeline_leaves_its_order_alone() {
    let bus = Bus::new();
    let timeline = Timeline::new();
    let open = |name: &str| {
        bus.topic_builder::<u64>()
            .name(name)
            .capacity(64)
            .timeline(&timeline)
            .open()
            .unwrap()
    };
    let topics = [open("a"), open("b")];
    let mut reactor = Reactor::<Vec<u64>>::new();
    for topic in &topics {
        let subscriber = topic.subscribe();
        reactor
            .timeline(&timeline)
            .on(subscriber, |log: &mut Vec<u64>, event, _| log.push(*event));
    }
    let (mut one, mut other) = (join(&topics[0]), join(&topics[0]));
    let mut lossy = topics[1]
        .group("lossy")
        .overflow(Overflow::DropOldest)
        .join()
        .unwrap();
    let mut log = Vec::new();
    for round in 0..10 {
        for event in round * 30..(round + 1) * 30 {
            let topic = &topics[usize::from(event % 3 == 0)];
            topic.publish(event).unwrap();
        }
        let mut shared = drain([&mut one, &mut other]);
        shared.sort_unstable();
        let of_round = round * 30..(round + 1) * 30;
        let expected: Vec<_> = of_round.clone().filter(|event| event % 3 != 0).collect();
        assert_eq!(shared, expected);
        let _ = reactor.turn(&mut log, Budget::unlimited());
    }
    assert_eq!(log, (0..300).collect::<Vec<_>>());
    // It lost what it was too slow for, and nothing else.
    let mut accounted = 0;
    while lossy
        .poll(64, |_, meta| accounted += 1 + meta.missed)
        .unwrap()
        > 0
    {}
    assert_eq!(accounted, 100);
}

#[test]
fn a_subscriber_by_pattern_and_a_group_read_one_topic_each_by_itself() {
    let bus = Bus::new();
    let mut all = bus.subscribe_pattern::<u64>("jobs.*").unwrap();
    let topics = [open(&bus, "jobs.a", 8), open(&bus, "jobs.b", 8)];
    let (mut one, mut other) = (join(&topics[0]), join(&topics[0]));
    for event in 0..6 {
        for topic in &topics {
            topic.publish(event).unwrap();
        }
    }
    assert_eq!(drain([&mut one, &mut other]), [0, 1, 2, 3, 4, 5]);
    let mut seen = Vec::new();
    while all
        .poll(64, |event, meta| {
            seen.push((meta.topic.to_string(), *event))
        })
        .unwrap()
        > 0
    {}
    seen.sort();
    let expected: Vec<_> = ["jobs.a", "jobs.b"]
        .into_iter()
        .flat_map(|topic| (0..6).map(move |event| (topic.to_owned(), event)))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_group_is_given_the_values_of_a_state_and_reading_it_goes_on() {
    let bus = Bus::new();
    let limit = bus
        .state_builder::<u64>()
        .name("limit")
        .capacity(64)
        .open(0)
        .unwrap();
    limit.set(1).unwrap();
    let topic = limit.topic();
    let start = |name: &str| topic.group(name).start(Start::Latest);
    let (mut one, mut other) = (
        start("workers").join().unwrap(),
        topic.group("workers").join().unwrap(),
    );
    let mut lossy = start("lossy")
        .overflow(Overflow::DropOldest)
        .join()
        .unwrap();
    for value in 2..65 {
        limit.set(value).unwrap();
        assert_eq!(limit.get().0, value);
    }
    // A lossless group is one that those who set it wait for.
    assert!(matches!(limit.try_set(65), Err(TryPublishError::Full(65))));
    assert_eq!(limit.read(|value, _| *value), 64);
    assert_eq!(drain([&mut one, &mut other]), (1..65).collect::<Vec<_>>());
    drop((one, other));
    // Held for as long as it takes, in the middle of the lossy group's portion.
    let mut reader = limit.reader().unwrap();
    lossy
        .poll(1, |event, _| {
            assert_eq!(*event, 1);
            for value in 65..500 {
                limit.set(value).unwrap();
                assert_eq!(reader.read(|value, _| *value), value);
            }
            assert_eq!(*event, 1, "it is pinned");
        })
        .unwrap();
    let mut last = 1;
    while lossy
        .poll(64, |event, meta| {
            assert_eq!(*event, last + meta.missed + 1);
            last = *event;
        })
        .unwrap()
        > 0
    {}
    assert_eq!(last, 499);
}

#[test]
fn a_foreign_loop_is_woken_for_what_a_member_can_take() {
    let bus = Bus::new();
    let topic = open(&bus, "jobs", 8);
    let (mut one, mut other) = (join(&topic), join(&topic));
    let doorbell = one.doorbell();
    assert!(doorbell.try_recv().is_ok(), "the first ring comes at once");
    assert_eq!(one.poll(64, |_, _| {}), Ok(0));
    assert!(doorbell.try_recv().is_err());
    topic.publish(1).unwrap();
    assert!(doorbell.try_recv().is_ok());
    // Another member is faster.
    assert_eq!(other.try_recv(), Ok(1));
    assert_eq!(one.poll(64, |_, _| {}), Ok(0));
    topic.publish(2).unwrap();
    assert!(doorbell.try_recv().is_ok());
    // A call that may show nothing leaves the bell for what is there.
    assert_eq!(one.poll(0, |_, _| {}), Ok(0));
    assert!(doorbell.try_recv().is_ok());
    assert_eq!(one.poll(64, |_, _| {}), Ok(1));
    assert_eq!(one.poll(0, |_, _| {}), Ok(0));
    assert!(doorbell.try_recv().is_err());
    // What dies in another's hands wakes it too.
    topic.publish(3).unwrap();
    assert!(doorbell.try_recv().is_ok());
    let died = thread::spawn(move || {
        topic.publish(4).unwrap();
        let _ = other.poll(64, |_, _| panic!("as it was told to"));
    });
    assert!(died.join().is_err());
    assert_eq!(drain([&mut one]), [4]);
    drop(one);
    assert_eq!(
        doorbell.try_recv(),
        Err(crossbeam_channel::TryRecvError::Disconnected)
    );
}

#[test]
fn select_tells_of_a_member_whose_events_are_not_clone() {
    struct Job(u64);

    let bus = Bus::new();
    let jobs = bus.topic::<Job>();
    let mut member = jobs.group("workers").join().unwrap();
    let mut sum = 0;
    for job in 1..=3 {
        jobs.publish(Job(job)).ok().unwrap();
        select! {
            _ = member.ready() => assert_eq!(member.poll(64, |job, _| sum += job.0), Ok(1)),
        }
    }
    assert_eq!(sum, 6);
    jobs.close();
    select! {
        _ = member.ready() => assert_eq!(member.poll(64, |_, _| {}), Err(PollError::Closed)),
    }
}

#[test]
fn a_leaked_member_behind_an_editor_blocks_nothing_that_others_read() {
    let bus = Bus::new();
    let (topic, [mut editor]) = bus
        .topic_builder::<u64>()
        .capacity(2)
        .keep_open()
        .open_edited(["editor"])
        .unwrap();
    let mut member = join(&topic);
    std::mem::forget(join(&topic));
    for event in 0..20 {
        topic.publish(event).unwrap();
        assert_eq!(editor.poll(1, |event, _| *event += 100), Ok(1));
        assert_eq!(member.recv(), Ok(event + 100));
    }
}

#[test]
fn a_hook_whose_drop_panics_leaves_no_group_behind() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it was told to");
        }
    }

    let bus = Bus::new();
    let topic = open(&bus, "jobs", 1);
    let mut member = join(&topic);
    let bomb = Bomb;
    member.on_ready(move || {
        let _ = &bomb;
    });
    assert_eq!(member.poll(64, |_, _| {}), Ok(0));
    let dropped = thread::spawn(move || drop(member)).join();
    assert!(dropped.is_err());
    assert!(!topic.has_subscribers());
    assert!(topic.snapshot().groups.is_empty());
    for event in 0..3 {
        topic.publish(event).unwrap();
    }
}
