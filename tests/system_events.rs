//! What a bus tells about itself: to whom, when, and that nothing is the worse for it.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use ringbus::{
    Budget, Bus, ListenerKind, OnPanic, Overflow, PollError, Reactor, Subscriber, SystemChange,
    SystemEvent, Timeline, Topic,
};

/// A subscriber that has room for all that a test does.
fn told(bus: &Bus) -> Subscriber<SystemEvent> {
    bus.system_events().subscribe()
}

fn changes(events: &mut Subscriber<SystemEvent>) -> Vec<SystemChange> {
    std::iter::from_fn(|| events.try_recv().ok())
        .map(|event| event.change)
        .collect()
}

/// Each change as `verb name`.
fn verbs(events: &mut Subscriber<SystemEvent>) -> Vec<String> {
    changes(events).iter().map(verb).collect()
}

fn verb(change: &SystemChange) -> String {
    let (verb, listener) = match change {
        SystemChange::Joined { listener, .. } => ("joined", Some(listener)),
        SystemChange::Left { listener, .. } => ("left", Some(listener)),
        SystemChange::Disconnected { listener, .. } => ("disconnected", Some(listener)),
        SystemChange::Missed { listener, .. } => ("missed", Some(listener)),
        SystemChange::Blocked { slowest, .. } => ("blocked", slowest.as_ref()),
        SystemChange::ObserverPanicked { listener, .. } => ("observer panicked", Some(listener)),
        SystemChange::HandlerPanicked { listener, .. } => ("handler panicked", Some(listener)),
        other => return other.to_string(),
    };
    let name = listener.map_or("nobody".to_owned(), |listener| match &listener.name {
        Some(name) => name.to_string(),
        None => listener.kind.to_string(),
    });
    format!("{verb} {name}")
}

fn ticks(bus: &Bus, capacity: usize) -> Topic<u32> {
    bus.topic_builder().capacity(capacity).open().unwrap()
}

fn publish(topic: &Topic<u32>, ticks: impl IntoIterator<Item = u32>) {
    for tick in ticks {
        topic.publish(tick).unwrap();
    }
}

#[test]
fn a_bus_that_nobody_asked_has_no_such_topic() {
    let bus = Bus::new();
    drop(bus.topic::<u32>().subscribe());
    let of_events = |bus: &Bus| {
        let name = std::any::type_name::<SystemEvent>();
        let topics = bus.snapshot().topics;
        topics
            .iter()
            .filter(|topic| topic.type_name == name)
            .count()
    };
    assert_eq!(of_events(&bus), 0);
    bus.system_events();
    assert_eq!(of_events(&bus), 1);
}

#[test]
fn a_topic_of_system_events_that_nobody_asked_for_is_silent() {
    let bus = Bus::new();
    let mut events = bus.topic::<SystemEvent>().subscribe();
    drop(bus.topic::<u32>().subscribe());
    assert!(changes(&mut events).is_empty());
    let same = bus.system_events();
    assert_eq!(same.snapshot().subscribers.len(), 1);
    drop(bus.topic::<u32>().subscribe());
    assert_eq!(verbs(&mut events), ["joined subscriber", "left subscriber"]);
}

#[test]
fn joins_and_leaves_pair_up() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic_named::<u32>("ticks").unwrap();
    let one = topic.subscriber().name("one").open().unwrap();
    let other = topic.subscribe();
    let member = topic.group("workers").join().unwrap();
    let observer = topic.observe(|_| {});
    let (_edited, [editor]) = bus.topic_builder::<i64>().open_edited(["editor"]).unwrap();
    drop((one, member, observer, other, editor));

    let mut present = Vec::new();
    let mut kinds = Vec::new();
    for change in changes(&mut events) {
        match change {
            SystemChange::Joined {
                topic, listener, ..
            } => {
                kinds.push(listener.kind);
                present.push((topic, listener));
            }
            SystemChange::Left {
                topic, listener, ..
            } => {
                let who = (topic, listener);
                let at = present.iter().position(|known| *known == who);
                present.remove(at.unwrap_or_else(|| panic!("{who:?} has not joined")));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(present, []);
    use ListenerKind::*;
    assert_eq!(
        kinds,
        [Subscriber, Subscriber, GroupMember, Observer, Editor]
    );
}

#[test]
fn names_and_call_sites_are_told() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic_named::<u32>("ticks").unwrap();
    let here = line!();
    let screen = topic
        .subscriber()
        .name("screen")
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    let joined = events.recv().unwrap();
    let SystemChange::Joined {
        topic: told,
        listener,
        ..
    } = &joined.change
    else {
        panic!("{joined}");
    };
    assert_eq!(told.name.as_deref(), Some("ticks"));
    assert_eq!(told.type_name, "u32");
    assert_eq!(listener.kind, ListenerKind::Subscriber);
    assert_eq!(listener.name.as_deref(), Some("screen"));
    assert_eq!(listener.overflow, Some(Overflow::Latest));
    assert_eq!(listener.location.file(), file!());
    assert!((here..here + 8).contains(&listener.location.line()));
    assert_eq!(joined.thread.as_deref(), thread::current().name());
    assert_eq!(topic.snapshot().subscribers[0].location, listener.location);
    let start = "ticks: subscriber screen (Latest) of tests/system_events.rs:";
    assert!(joined.to_string().starts_with(start), "{joined}");
    drop(screen);
}

#[test]
fn every_way_to_join_tells_the_line_of_the_user() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let lanes = bus.lanes::<u8>("lanes").unwrap();
    let state = bus.state_named("limit", 1_u64).unwrap();
    let topic = bus.topic::<u32>();
    let here = line!();
    let joined = (
        topic.subscribe(),
        topic.group("workers").join().unwrap(),
        topic.observe(|_| {}),
        topic.observe_with(1, |_| ControlFlow::Continue(())),
        topic.observe_once(|_| {}),
        state.subscribe(),
        state.subscriber().open().unwrap(),
        bus.subscribe_pattern::<u16>("md.>").unwrap(),
        lanes.subscribe(),
        bus.topic_builder::<i64>().open_edited(["one"]).unwrap(),
    );
    // These two are what the merged ones join.
    let _later = (
        bus.topic_named::<u16>("md.spot").unwrap(),
        lanes.publisher().unwrap(),
    );
    let changes = changes(&mut events);
    assert_eq!(changes.len(), 10);
    for change in changes {
        let SystemChange::Joined { listener, .. } = &change else {
            panic!("{change}");
        };
        let line = listener.location.line();
        assert_eq!(listener.location.file(), file!(), "{change}");
        assert!((here + 2..=here + 11).contains(&line), "{change}");
    }
    drop(joined);
}

#[test]
fn the_numbers_count_what_is_told() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    (0..10).for_each(|_| drop(topic.subscribe()));
    let numbers: Vec<u64> = std::iter::from_fn(|| events.try_recv().ok())
        .map(|event| event.number)
        .collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn whoever_joins_after_the_call_has_returned_is_told_from_any_thread() {
    for _ in 0..50 {
        let bus = Bus::new();
        let topic = bus.topic::<u32>();
        let (ask, asked) = mpsc::channel();
        let joiner = {
            let topic = topic.clone();
            thread::spawn(move || {
                // One that may come before the switch, and one that surely comes after.
                let before = topic.subscriber().name("before").open().unwrap();
                asked.recv().unwrap();
                let after = topic.subscriber().name("after").open().unwrap();
                drop((before, after));
            })
        };
        let mut events = told(&bus);
        ask.send(()).unwrap();
        joiner.join().unwrap();
        let mut verbs = verbs(&mut events);
        if verbs[0] == "joined before" {
            verbs.remove(0);
        }
        assert_eq!(verbs, ["joined after", "left before", "left after"]);
    }
}

#[test]
fn those_of_many_threads_are_told_each_once() {
    const THREADS: usize = 4;
    const ROUNDS: usize = if cfg!(miri) { 4 } else { 100 };
    let bus = Bus::new();
    let mut events = bus
        .topic_builder::<SystemEvent>()
        .capacity(4096)
        .open()
        .unwrap()
        .subscribe();
    bus.system_events();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let topic = bus.topic::<u32>();
                (0..ROUNDS).for_each(|_| drop(topic.subscribe()));
            });
        }
    });
    let mut numbers = Vec::new();
    let mut joined = Vec::new();
    let mut left = Vec::new();
    while let Ok(event) = events.try_recv() {
        numbers.push(event.number);
        match event.change {
            SystemChange::Joined { listener, .. } => joined.push(listener.id),
            SystemChange::Left { listener, .. } => left.push(listener.id),
            other => panic!("{other}"),
        }
    }
    for told in [&mut joined, &mut left, &mut numbers] {
        told.sort_unstable();
        told.dedup();
    }
    assert_eq!(numbers.len(), 2 * THREADS * ROUNDS);
    assert_eq!((joined.len(), &joined), (THREADS * ROUNDS, &left));
}

#[test]
fn a_loss_is_told_at_once_and_then_as_it_doubles() {
    let bus = Bus::new();
    let topic = ticks(&bus, 4);
    let mut screen = topic
        .subscriber()
        .name("screen")
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    // Whoever asks afterwards is told of subscribers that were there.
    let mut events = told(&bus);
    publish(&topic, 0..10);
    assert!(changes(&mut events).is_empty(), "it has not read on");
    screen.poll(64, |_, _| {}).unwrap();
    let first = changes(&mut events);
    let [SystemChange::Missed { missed: 6, .. }] = first[..] else {
        panic!("{first:?}");
    };
    let mut losses = 0;
    for _ in 0..1000 {
        publish(&topic, 0..10);
        let mut missed = 0;
        screen.poll(64, |_, meta| missed += meta.missed).unwrap();
        losses += u64::from(missed > 0);
    }
    let later = changes(&mut events);
    let told: u64 = later
        .iter()
        .map(|change| match change {
            SystemChange::Missed { missed, .. } => *missed,
            other => panic!("{other}"),
        })
        .sum();
    assert!(losses > 900 && !later.is_empty());
    assert!((later.len() as u64) < losses, "told at every loss");
    // Half of it at least, as it is told as it doubles; never more than it was.
    let missed = topic.snapshot().subscribers[0].missed;
    assert!(
        told + 6 <= missed && 2 * (told + 6) > missed,
        "{told} of {missed}"
    );
}

#[test]
fn what_latest_skips_is_no_loss() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = ticks(&bus, 4);
    let mut screen = topic
        .subscriber()
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    for _ in 0..10 {
        publish(&topic, 0..10);
        screen.poll(64, |_, _| {}).unwrap();
    }
    assert_eq!(verbs(&mut events), ["joined subscriber"]);
}

#[test]
fn a_group_that_loses_is_told_by_the_member_that_notices() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = ticks(&bus, 4);
    let mut one = topic
        .group("workers")
        .overflow(Overflow::DropOldest)
        .join()
        .unwrap();
    let other = topic.group("workers").join().unwrap();
    publish(&topic, 0..10);
    let mut missed = 0;
    one.poll(64, |_, meta| missed += meta.missed).unwrap();
    assert!(missed > 0);
    let changes = changes(&mut events);
    let [
        SystemChange::Joined { .. },
        SystemChange::Joined {
            listener: second, ..
        },
        SystemChange::Missed {
            listener,
            missed: told,
            ..
        },
    ] = &changes[..]
    else {
        panic!("{changes:?}");
    };
    assert_eq!(*told, missed);
    assert_eq!(
        (listener.name.as_deref(), listener.overflow),
        (Some("workers"), Some(Overflow::DropOldest))
    );
    assert_eq!(second.overflow, Some(Overflow::DropOldest));
    drop(other);
}

#[test]
fn a_disconnection_is_told_once_and_then_that_it_leaves() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = ticks(&bus, 4);
    let mut journal = topic
        .subscriber()
        .name("journal")
        .overflow(Overflow::Disconnect)
        .open()
        .unwrap();
    publish(&topic, 0..5);
    assert_eq!(journal.poll(64, |_, _| {}), Err(PollError::Disconnected(4)));
    assert_eq!(journal.poll(64, |_, _| {}), Err(PollError::Closed));
    drop(journal);
    let expected = ["joined journal", "disconnected journal", "left journal"];
    assert_eq!(verbs(&mut events), expected);
}

#[test]
fn a_publisher_that_waits_is_told_and_who_is_the_slowest() {
    let bus = Bus::new();
    let topic = ticks(&bus, 4);
    let fast = topic.subscriber().name("fast").open().unwrap();
    let mut slow = topic.subscriber().name("slow").open().unwrap();
    let mut fast = fast;
    let (tell, told) = mpsc::channel();
    // Inline, so that the publisher is found in its wait.
    let _observer = bus.system_events().observe(move |event| {
        let _ = tell.send(event.clone());
    });
    let publisher = topic.publisher().unwrap();
    let thread = thread::Builder::new().name("feed".into());
    let thread = thread.spawn(move || {
        (0..5).for_each(|tick| assert!(publisher.publish(tick).is_ok()));
    });
    let thread = thread.unwrap();
    // The two readers are another thread's, so it waits for them; and `fast` is ahead when it does or soon after.
    let mut read = 0;
    while read < 3 {
        read += fast.poll_wait(3 - read, |_, _| {}).unwrap();
    }
    let event = told.recv().unwrap();
    let SystemChange::Blocked { slowest, times, .. } = &event.change else {
        panic!("{event}");
    };
    assert_eq!(event.thread.as_deref(), Some("feed"));
    assert_eq!(*times, 1);
    let slowest = slowest.as_ref().and_then(|slowest| slowest.name.clone());
    assert!(
        matches!(slowest.as_deref(), Some("slow" | "fast")),
        "{event}"
    );
    fast.poll_wait(64, |_, _| {}).unwrap();
    slow.poll_wait(64, |_, _| {}).unwrap();
    while fast.poll(64, |_, _| {}) == Ok(0) && !thread.is_finished() {
        thread::yield_now();
    }
    thread.join().unwrap();
}

#[test]
fn the_slowest_of_two_is_named() {
    let bus = Bus::new();
    let topic = ticks(&bus, 4);
    let mut fast = topic.subscriber().name("fast").open().unwrap();
    let mut slow = topic.subscriber().name("slow").open().unwrap();
    let mut members = topic.group("workers").join().unwrap();
    let mut events = told(&bus);
    publish(&topic, 0..4);
    fast.poll(64, |_, _| {}).unwrap();
    members.poll(64, |_, _| {}).unwrap();
    let publisher = topic.publisher().unwrap();
    let thread = thread::spawn(move || publisher.publish(4).map(drop));
    let event = events.recv().unwrap();
    assert_eq!(verb(&event.change), "blocked slow");
    slow.poll_wait(64, |_, _| {}).unwrap();
    thread.join().unwrap().unwrap();
}

#[test]
fn a_publish_that_is_refused_at_once_has_not_waited() {
    let bus = Bus::new();
    let topic = ticks(&bus, 4);
    let mut reader = topic.subscribe();
    reader.poll(64, |_, _| {}).unwrap();
    let mut events = told(&bus);
    publish(&topic, 0..4);
    topic.publish(4).unwrap_err();
    let publisher = topic.publisher().unwrap();
    publisher.try_publish(4).unwrap_err();
    assert!(changes(&mut events).is_empty());
}

#[test]
fn a_panic_of_an_observer_is_told() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    let _faulty = topic.observe(|tick| assert_ne!(*tick, 13, "unlucky"));
    publish(&topic, 12..15);
    let changes = changes(&mut events);
    let [_, SystemChange::ObserverPanicked { message, .. }] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert!(message.as_deref().unwrap().contains("unlucky"));
}

#[test]
fn an_observer_that_is_there_for_one_event_leaves_once() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    let spent = topic.observe_once(|_| {});
    let unlucky = topic.observe_once(|_| panic!("unlucky"));
    topic.publish(1).unwrap();
    drop((spent, unlucky));
    let expected = [
        "joined observer",
        "joined observer",
        "left observer",
        "left observer",
        "observer panicked observer",
    ];
    let mut verbs = verbs(&mut events);
    verbs.sort();
    assert_eq!(verbs, expected);
}

#[test]
fn a_panic_that_stays_in_its_handler_is_told() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    let screen = topic.subscriber().name("screen").open().unwrap();
    let member = topic.group("workers").join().unwrap();
    let mut reactor = Reactor::<()>::builder().on_panic(OnPanic::Isolate).build();
    reactor.on(screen, |_, tick, _| assert_ne!(*tick, 13, "unlucky"));
    reactor.on_group(member, |_, tick, _| assert_ne!(*tick, 13, "too"));
    changes(&mut events);
    publish(&topic, 12..15);
    let turn = reactor.turn(&mut (), Budget::unlimited());
    assert_eq!(turn.panicked, 2);
    let expected = ["handler panicked screen", "handler panicked workers"];
    let mut verbs = verbs(&mut events);
    verbs.sort();
    assert_eq!(verbs, expected);
}

#[test]
fn a_panic_in_a_handler_of_a_timeline_is_told_with_its_topic() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let timeline = Timeline::new();
    let open = |name| {
        let builder = bus.topic_builder::<u32>().name(name);
        builder.timeline(&timeline).open().unwrap()
    };
    let (quotes, trades) = (open("quotes"), open("trades"));
    for policy in [OnPanic::Isolate, OnPanic::Remove] {
        let mut reactor = Reactor::<()>::builder().on_panic(policy).build();
        let mut order = reactor.timeline(&timeline);
        order.on(quotes.subscribe(), |_, _, _| {});
        order.on(trades.subscribe(), |_, tick, _| {
            assert_ne!(*tick, 13, "unlucky");
        });
        changes(&mut events);
        publish(&quotes, [13]);
        publish(&trades, 12..15);
        assert_eq!(reactor.turn(&mut (), Budget::unlimited()).panicked, 1);
        assert_told_of("trades", &changes(&mut events));
    }
}

#[test]
fn a_panic_in_a_handler_of_merged_topics_is_told_with_the_one_whose_event_it_was() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topics = ["a", "b", "c"].map(|name| bus.topic_named::<u32>(name).unwrap());
    for policy in [OnPanic::Isolate, OnPanic::Remove] {
        let mut reactor = Reactor::<()>::builder().on_panic(policy).build();
        let merged = bus.subscribe_pattern::<u32>(">").unwrap();
        reactor.on_merged(merged, |_, tick, _, _| assert_ne!(*tick, 13, "unlucky"));
        changes(&mut events);
        for (topic, tick) in topics.iter().zip(12..) {
            publish(topic, [tick]);
        }
        assert_eq!(reactor.turn(&mut (), Budget::unlimited()).panicked, 1);
        assert_told_of("b", &changes(&mut events));
    }
}

/// One panic was told, of a handler of this topic.
fn assert_told_of(name: &str, changes: &[SystemChange]) {
    let told: Vec<_> = changes
        .iter()
        .filter_map(|change| match change {
            SystemChange::HandlerPanicked { topic, message, .. } => {
                assert!(message.as_deref().unwrap().contains("unlucky"));
                Some(topic.name.as_deref())
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [Some(name)]);
}

#[test]
fn a_panic_that_goes_on_is_not_told_here() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    let mut reactor = Reactor::<()>::new();
    reactor.on(topic.subscribe(), |_, _, _| panic!("unlucky"));
    topic.publish(1).unwrap();
    let turn = AssertUnwindSafe(|| reactor.turn(&mut (), Budget::unlimited()));
    catch_unwind(turn).unwrap_err();
    assert_eq!(verbs(&mut events), ["joined subscriber"]);
}

#[test]
fn an_observer_of_the_system_topic_may_panic() {
    let bus = Bus::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let system = bus.system_events();
    let mut events = system.subscribe();
    let _faulty = system.observe(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("unlucky");
    });
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    topic.publish(1).unwrap();
    assert_eq!(subscriber.recv(), Ok(1));
    drop(subscriber);
    // The panics are not told: the topic tells nothing of itself.
    assert_eq!(verbs(&mut events), ["joined subscriber", "left subscriber"]);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(system.snapshot().observers[0].panics, 2);
}

#[test]
fn what_an_observer_of_the_system_topic_does_is_not_told_and_leaves_a_gap() {
    let bus = Bus::new();
    let topic = bus.topic::<u32>();
    let system = bus.system_events();
    let mut events = system.subscribe();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let (topic, kept, inner) = (topic.clone(), Arc::clone(&kept), system.clone());
        system.observe(move |_| {
            // Told, each of these would be observed, and that again.
            drop(topic.subscribe());
            kept.lock().unwrap().push(topic.subscribe());
            drop(topic.observe(|_| {}));
            drop(inner.subscribe());
        })
    };
    let subscriber = topic.subscribe();
    drop(observer);
    drop(subscriber);
    let told: Vec<SystemEvent> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let numbers: Vec<u64> = told.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [0, 6]);
    assert_eq!(kept.lock().unwrap().len(), 1);
}

#[test]
fn an_observer_of_the_system_topic_may_open_what_was_just_being_opened() {
    // Joins by a pattern happen under the lock of the registry, and of the lanes; they are told without.
    let bus = Bus::new();
    let lanes = bus.topic_builder::<u8>().name("lanes").keep_open();
    let lanes = lanes.open_lanes().unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    let _observer = {
        let (weak, lanes, seen) = (bus.clone(), lanes.clone(), Arc::clone(&seen));
        bus.system_events().observe(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
            weak.topic_named::<u16>("md.other").unwrap();
            drop(lanes.publisher());
            drop(weak.snapshot());
        })
    };
    let quotes = bus.subscribe_pattern::<u16>("md.>").unwrap();
    let merged = lanes.subscribe();
    bus.topic_named::<u16>("md.spot").unwrap();
    drop(lanes.publisher().unwrap());
    assert!(seen.load(Ordering::Relaxed) >= 2);
    drop((quotes, merged));
}

#[test]
fn an_observer_of_the_system_topic_may_close_the_bus() {
    let bus = Bus::new();
    let _observer = {
        let bus = bus.clone();
        bus.clone().system_events().observe(move |_| bus.close())
    };
    let topic = bus.topic::<u32>();
    let mut subscriber = topic.subscribe();
    assert!(bus.is_closed());
    assert_eq!(subscriber.poll(64, |_, _| {}), Err(PollError::Closed));
}

#[test]
fn what_ends_with_the_bus_is_not_told() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let subscriber = bus.topic::<u32>().subscribe();
    bus.close();
    drop(subscriber);
    drop(bus.system_events());
    drop(bus.topic::<u32>().subscribe());
    assert_eq!(events.recv().map(|event| event.number), Ok(0));
    assert!(events.recv().is_err(), "closed");
}

#[test]
fn a_bus_that_goes_takes_the_topic_with_it() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    let subscriber = topic.subscribe();
    drop(bus);
    drop(subscriber);
    assert_eq!(verbs(&mut events), ["joined subscriber"]);
    assert!(events.recv().is_err());
}

#[test]
fn a_system_topic_that_was_closed_is_opened_anew() {
    let bus = Bus::new();
    bus.system_events().close();
    drop(bus.topic::<u32>().subscribe());
    let mut events = told(&bus);
    drop(bus.topic::<u32>().subscribe());
    assert_eq!(verbs(&mut events), ["joined subscriber", "left subscriber"]);
}

#[test]
fn nobody_waits_for_a_reader_of_system_events() {
    let bus = Bus::new();
    let mut events = bus
        .topic_builder::<SystemEvent>()
        .capacity(4)
        .open()
        .unwrap()
        .subscribe();
    bus.system_events();
    let topic = bus.topic::<u32>();
    (0..10).for_each(|_| drop(topic.subscribe()));
    let numbers: Vec<u64> = std::iter::from_fn(|| events.try_recv().ok())
        .map(|event| event.number)
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
    drop(topic.subscribe());
    assert_eq!(events.recv().unwrap().number, 20);
}

#[test]
fn system_events_keep_nothing_alive() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let bus = Bus::new();
    let bomb = Bomb(Arc::clone(&drops));
    bus.system_events()
        .observe(move |_| assert_eq!(bomb.0.load(Ordering::Relaxed), 0))
        .keep();
    let topic = bus.topic::<Bomb>();
    let subscriber = topic.subscribe();
    topic
        .publish(Bomb(Arc::clone(&drops)))
        .map(drop)
        .unwrap_or_else(|_| panic!("refused"));
    drop((subscriber, topic, bus));
    assert_eq!(drops.load(Ordering::Relaxed), 2);
}

#[test]
fn those_who_follow_a_pattern_are_told_with_the_topic_that_they_join() {
    let bus = Bus::new();
    let mut events = told(&bus);
    let quotes = bus
        .pattern_subscriber::<u16>("md.>")
        .unwrap()
        .name("quotes")
        .open()
        .unwrap();
    bus.topic_named::<u16>("md.spot").unwrap();
    bus.topic_named::<u16>("md.futures").unwrap();
    drop(quotes);
    let changes = changes(&mut events);
    let of = |wanted: &str| {
        let told = changes.iter().filter(|change| verb(change) == wanted);
        let mut topics: Vec<_> = told
            .map(|change| match change {
                SystemChange::Joined { topic, .. } | SystemChange::Left { topic, .. } => {
                    topic.to_string()
                }
                other => panic!("{other}"),
            })
            .collect();
        topics.sort();
        topics
    };
    assert_eq!(changes.len(), 4);
    assert_eq!(of("joined quotes"), ["md.futures", "md.spot"]);
    assert_eq!(of("left quotes"), ["md.futures", "md.spot"]);
}

#[test]
fn a_subscriber_that_goes_with_its_thread_is_told() {
    thread_local! {
        static KEPT: RefCell<Vec<Subscriber<u32>>> = const { RefCell::new(Vec::new()) };
    }
    let bus = Bus::new();
    let mut events = told(&bus);
    let topic = bus.topic::<u32>();
    let thread = thread::Builder::new().name("reader".into());
    // Dropped while the thread's locals are being destroyed.
    let thread = thread.spawn(move || KEPT.with_borrow_mut(|kept| kept.push(topic.subscribe())));
    thread.unwrap().join().unwrap();
    assert_eq!(verbs(&mut events), ["joined subscriber", "left subscriber"]);
}

#[cfg(feature = "services")]
mod workers {
    use std::time::Duration;

    use super::*;
    use ringbus::{Restarts, ServiceEvent, WorkerEnd};

    #[test]
    fn a_worker_is_told_from_its_start_to_its_end() {
        let bus = Bus::new();
        let topic = bus.topic::<u32>();
        let mut risk = Reactor::<()>::new();
        let line = line!() + 1;
        risk.on(topic.subscribe(), |_, tick, _| {
            assert_ne!(*tick, 13, "unlucky")
        });
        let mut events = told(&bus);
        let restarts = Restarts::up_to(1).back_off(Duration::ZERO, Duration::ZERO);
        let worker = bus
            .worker("risk")
            .restart(restarts)
            .spawn(risk, || ())
            .unwrap();
        publish(&topic, [12, 13, 14, 13]);
        assert_eq!(worker.join(), Some(WorkerEnd::Panicked));

        let changes = changes(&mut events);
        let names: Vec<String> = changes.iter().map(verb).collect();
        assert_eq!(names[0], "worker risk runs");
        assert_eq!(names[2], "worker risk runs again, restarted 1 times so far");
        // Its subscriber goes with it, before it has ended.
        assert_eq!(names[4], "left subscriber");
        assert_eq!(names[5], "worker risk has ended: panicked");
        assert_eq!(names.len(), 6);
        for panicked in [&changes[1], &changes[3]] {
            let SystemChange::WorkerPanicked {
                worker,
                handler,
                message,
                ..
            } = panicked
            else {
                panic!("{panicked}");
            };
            assert_eq!(&**worker, "risk");
            assert_eq!(handler.map(|handler| handler.line()), Some(line));
            assert!(message.as_deref().unwrap().contains("unlucky"));
        }
    }

    #[test]
    fn handlers_that_panic_are_told_where_they_were_added() {
        let bus = Bus::new();
        let mut events = told(&bus);
        let topic = bus.topic::<u32>();
        let mut reactor = Reactor::<()>::builder().on_panic(OnPanic::Remove).build();
        let line = line!() + 1;
        reactor.on(topic.subscribe(), |_, _, _| panic!("unlucky"));
        topic.publish(1).unwrap();
        let _ = reactor.turn(&mut (), Budget::unlimited());
        let changes = changes(&mut events);
        let [
            SystemChange::Joined { .. },
            SystemChange::HandlerPanicked { handler, .. },
            SystemChange::Left { .. },
        ] = &changes[..]
        else {
            panic!("{changes:?}");
        };
        assert_eq!(handler.map(|handler| handler.line()), Some(line));
    }

    #[test]
    fn services_are_told_on_their_own_topic_alone() {
        struct Square(#[expect(dead_code, reason = "nobody serves it")] u64);
        impl ringbus::Request for Square {
            type Reply = u64;
        }
        let bus = Bus::new();
        let mut events = told(&bus);
        let mut services = bus.topic::<ServiceEvent>().subscribe();
        drop(bus.serve::<Square>());
        assert_eq!(verbs(&mut events), ["joined subscriber"]);
        assert_eq!(services.poll(64, |_, _| {}), Ok(2));
    }
}
