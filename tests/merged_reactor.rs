//! Merged subscribers in a reactor: fences, turns among others, losses, ends, panics.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use ringbus::{
    Budget, Bus, Ended, MergedSubscriber, OnPanic, Overflow, Priority, Reactor, Topic,
    TryPublishError,
};

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    let topic = bus.topic_builder().name(name).capacity(capacity);
    topic.keep_open().open().unwrap()
}

fn publish(topic: &Topic<u64>, events: impl IntoIterator<Item = u64>) {
    for event in events {
        topic.publish(event).unwrap();
    }
}

fn follow(bus: &Bus) -> MergedSubscriber<u64> {
    bus.subscribe_pattern("*").unwrap()
}

#[test]
fn handlers_are_given_the_name_of_the_topic() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    reactor.on_merged(follow(&bus), |seen: &mut Vec<_>, event, meta, _| {
        seen.push((meta.topic.to_string(), meta.sequence, *event));
    });
    publish(&open(&bus, "a", 8), [1, 2]);
    publish(&open(&bus, "b", 8), [3]);
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    seen.sort();
    assert_eq!(
        seen,
        [("a".into(), 0, 1), ("a".into(), 1, 2), ("b".into(), 0, 3)]
    );
    assert_eq!((turn.handled, turn.pending, turn.open), (3, 0, 1));
}

#[test]
fn what_a_turn_publishes_waits_for_the_next_also_in_topics_that_it_opens() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let topics = bus.clone();
    reactor.on_merged(follow(&bus), move |seen: &mut Vec<_>, event, meta, _| {
        seen.push((meta.topic.to_string(), *event));
        // To its own topic, to one that is quiet, and to one that is new.
        for name in [&**meta.topic, "quiet", "new"] {
            publish(&open(&topics, name, 64), [event + 1]);
        }
    });
    let a = open(&bus, "a", 64);
    open(&bus, "quiet", 64);
    publish(&a, [0]);
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (1, 0));
    assert_eq!(seen, [("a".into(), 0)]);
    seen.clear();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (3, 0));
    seen.sort();
    assert_eq!(
        seen,
        [("a".into(), 1), ("new".into(), 1), ("quiet".into(), 1)]
    );
}

#[test]
fn a_budget_leaves_the_rest_of_all_topics_for_the_next_turn() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    reactor.on_merged(
        follow(&bus),
        |seen: &mut BTreeMap<_, Vec<_>>, event, meta, _| {
            seen.entry(meta.topic.to_string()).or_default().push(*event);
        },
    );
    let topics = ["a", "b", "c"].map(|name| open(&bus, name, 256));
    topics.iter().for_each(|topic| publish(topic, 0..100));
    let mut seen = BTreeMap::new();
    let mut left = 300;
    while left > 0 {
        let turn = reactor.turn(&mut seen, Budget::events(70));
        let handled = left.min(70);
        left -= handled;
        assert_eq!((turn.handled, turn.pending), (handled, left));
        // Does not count as left, and comes in a later turn.
        if left == 300 - 70 {
            publish(&topics[0], [100]);
            left += 1;
        }
    }
    assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).handled, 0);
    assert!(seen["a"].iter().copied().eq(0..101));
    assert!(seen["b"].iter().copied().eq(0..100) && seen["c"] == seen["b"]);
}

#[test]
fn a_topic_behind_a_fence_is_read_on_after_the_turn() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let topic = open(&bus, "a", 4);
    let again = topic.clone();
    reactor.on_merged(follow(&bus), move |sum: &mut u64, event, _, cx| {
        *sum += event;
        if *sum < 100 {
            publish(&again, [*event]);
        } else {
            cx.stop();
        }
    });
    publish(&topic, [1]);
    let mut sum = 0;
    for turn in 1..=10 {
        assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).handled, 1);
        assert_eq!(sum, turn);
    }
    // Without fences, and then with them again.
    assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
    assert_eq!(sum, 100);
    publish(&topic, [7]);
    assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).handled, 1);
}

#[test]
fn it_takes_turns_with_other_sources_and_its_topics_within_its_own() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let plain = bus.topic_builder::<u64>().capacity(1024).open().unwrap();
    reactor.on_merged(follow(&bus), |order: &mut Vec<_>, _, meta, _| {
        order.push(meta.topic.to_string());
    });
    reactor.on(plain.subscribe(), |order, _, _| order.push("plain".into()));
    for name in ["a", "b"] {
        publish(&open(&bus, name, 256), 0..128);
    }
    publish(&plain, 0..256);
    let mut order = Vec::new();
    assert_eq!(reactor.turn(&mut order, Budget::unlimited()).handled, 512);
    let rounds: Vec<_> = order.chunks(64).map(|round| round[0].clone()).collect();
    assert!(
        order
            .chunks(64)
            .all(|round| round.iter().all(|name| *name == round[0]))
    );
    let (merged, plain): (Vec<_>, Vec<_>) = rounds
        .iter()
        .enumerate()
        .partition(|(_, name)| *name != "plain");
    assert!(
        merged.iter().all(|(at, _)| at % 2 == merged[0].0 % 2),
        "{rounds:?}"
    );
    assert_eq!(plain.len(), 4);
    assert!(
        merged.windows(2).all(|pair| pair[0].1 != pair[1].1),
        "{rounds:?}"
    );
}

#[test]
fn priorities_hold_for_all_of_its_topics() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let plain = bus.topic::<u64>();
    reactor.on(plain.subscribe(), |order: &mut Vec<_>, _, _| {
        order.push("plain")
    });
    let id = reactor.on_merged(follow(&bus), |order, _, _, _| order.push("merged"));
    assert!(reactor.set_priority(id, Priority::Urgent));
    for name in ["a", "b"] {
        publish(&open(&bus, name, 256), 0..100);
    }
    publish(&plain, 0..100);
    let mut order = Vec::new();
    assert_eq!(reactor.turn(&mut order, Budget::unlimited()).handled, 300);
    assert!(order[..200].iter().all(|name| *name == "merged"));
}

#[test]
fn losses_are_told_exactly_also_of_topics_that_close_behind_them() {
    let bus = Bus::new();
    let mut reactor = Reactor::<(Vec<u64>, Vec<u64>)>::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let merged = builder
        .overflow(Overflow::DropOldest)
        .filter(|event| *event < 100)
        .open()
        .unwrap();
    let id = reactor.on_merged(merged, |seen, event, _, _| seen.0.push(*event));
    reactor.on_missed(id, |seen, missed, _| seen.1.push(missed));
    let (a, b) = (open(&bus, "a", 4), open(&bus, "b", 4));
    publish(&a, 0..10);
    // What is left of this one is for no handler.
    publish(&b, 100..109);
    let mut seen = Default::default();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.missed), (4, 6));
    assert_eq!(seen, (vec![6, 7, 8, 9], vec![6]));
    b.close();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.missed, turn.open), (0, 5, 1));
    assert_eq!(seen.1, [6, 5]);
}

#[test]
fn it_has_ended_when_no_topic_can_come_any_more() {
    let bus = Bus::new();
    let mut reactor = Reactor::<Vec<String>>::new();
    let id = reactor.on_merged(follow(&bus), |log, event, _, _| log.push(event.to_string()));
    reactor.on_closed(id, |log, _| log.push("closed".into()));
    let topic = open(&bus, "a", 4);
    publish(&topic, [1]);
    topic.close();
    let mut log = Vec::new();
    assert_eq!(reactor.turn(&mut log, Budget::unlimited()).open, 1);
    publish(&open(&bus, "b", 4), [2]);
    drop(bus);
    assert_eq!(reactor.run(&mut log), Ok(Ended::Closed));
    assert_eq!(log, ["1", "2", "closed"]);
    assert!(!reactor.contains(id));
}

#[test]
fn a_disconnected_one_is_told_and_removed() {
    let bus = Bus::new();
    let mut reactor = Reactor::<u64>::new();
    let builder = bus.pattern_subscriber::<u64>("*").unwrap();
    let merged = builder.overflow(Overflow::Disconnect).open().unwrap();
    let id = reactor.on_merged(merged, |_, _, _, _| {});
    reactor.on_missed(id, |told, missed, _| *told += missed);
    publish(&open(&bus, "a", 4), 0..5);
    let mut told = 0;
    let turn = reactor.turn(&mut told, Budget::unlimited());
    assert_eq!((told, turn.missed, turn.open), (4, 4, 0));
    assert!(!reactor.contains(id));
}

#[test]
fn a_handler_that_is_removed_by_itself_is_given_no_other_event_of_any_topic() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let id = reactor.on_merged(follow(&bus), |seen: &mut Vec<u64>, event, _, _| {
        seen.push(*event)
    });
    reactor.remove(id);
    let (a, b) = (open(&bus, "a", 2), open(&bus, "b", 2));
    assert!(a.snapshot().subscribers.is_empty());
    let this = std::sync::Arc::new(std::sync::OnceLock::new());
    let own = std::sync::Arc::clone(&this);
    let id = reactor.on_merged(follow(&bus), move |seen, event, _, cx| {
        seen.push(*event);
        assert!(cx.remove(*own.get().unwrap()));
    });
    this.set(id).unwrap();
    for topic in [&a, &b] {
        publish(topic, [1, 2]);
        assert_eq!(
            topic.publisher().unwrap().try_publish(3),
            Err(TryPublishError::Full(3))
        );
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).handled, 1);
    assert_eq!(seen, [1]);
    // It has left both.
    for topic in [a, b] {
        assert!(topic.snapshot().subscribers.is_empty());
        topic.publisher().unwrap().try_publish(3).unwrap();
    }
}

#[test]
fn a_panic_stays_in_its_handler_and_costs_no_other_event() {
    let bus = Bus::new();
    for policy in [OnPanic::Isolate, OnPanic::Propagate] {
        let mut reactor = Reactor::builder().on_panic(policy).build();
        reactor.on_merged(follow(&bus), |seen: &mut Vec<_>, event, meta, _| {
            seen.push((meta.topic.to_string(), *event));
            assert!(event % 2 == 0, "odd");
        });
        let topics = ["a", "b"].map(|name| open(&bus, name, 16));
        topics.iter().for_each(|topic| publish(topic, 0..6));
        let (mut seen, mut panics) = (Vec::new(), 0);
        while seen.len() < 12 {
            let turn = catch_unwind(AssertUnwindSafe(|| {
                reactor.turn(&mut seen, Budget::unlimited())
            }));
            panics += turn.map_or(1, |turn| turn.panicked);
        }
        assert_eq!(panics, 6);
        seen.sort();
        let expected = ["a", "b"]
            .iter()
            .flat_map(|name| (0..6).map(|event| (name.to_string(), event)));
        assert!(seen.into_iter().eq(expected));
        assert_eq!(
            reactor.turn(&mut Vec::new(), Budget::unlimited()).handled,
            0
        );
    }
}

#[test]
fn a_reactor_sleeps_over_it_and_is_woken_by_events_topics_and_the_end() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let silent = bus.topic::<u8>();
    reactor.on(silent.subscribe(), |_: &mut Vec<u64>, _, _| {});
    reactor.on_merged(follow(&bus), |seen, event, _, _| seen.push(*event));
    let publisher = thread::spawn(move || {
        let quiet = Duration::from_millis(15);
        let topic = open(&bus, "a", 4);
        for event in 0..5 {
            thread::sleep(quiet);
            publish(&topic, [event]);
        }
        for event in 5..10 {
            thread::sleep(quiet);
            publish(&open(&bus, &event.to_string(), 4), [event]);
        }
        thread::sleep(quiet);
    });
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    publisher.join().unwrap();
    assert!(seen.iter().copied().eq(0..10), "{seen:?}");
    let parked = reactor.snapshot().parked;
    // Once for each event, as far as it got to sleep between them, and not on and on.
    assert!(parked < 200, "slept {parked} times");
}

/// A reactor that takes turns while another thread publishes, opens and closes: each event once.
#[test]
fn turns_against_publishers_lose_nothing() {
    let events = if cfg!(miri) { 50 } else { 3000_u64 };
    let bus = Bus::new();
    let mut reactor = Reactor::<BTreeMap<String, Vec<u64>>>::new();
    reactor.on_merged(follow(&bus), |seen, event, meta, _| {
        seen.entry(meta.topic.to_string()).or_default().push(*event);
    });
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let bus = bus.clone();
            thread::spawn(move || {
                let steady = open(&bus, &format!("steady{thread}"), 16);
                for event in 0..events {
                    publish(&steady, [event]);
                    if event % 10 == 0 {
                        let brief = open(&bus, &format!("brief{thread}-{event}"), 16);
                        publish(&brief, [event]);
                        brief.close();
                    }
                }
            })
        })
        .collect();
    let total = 2 * (events + events.div_ceil(10)) as usize;
    let mut seen = BTreeMap::new();
    let mut handled = 0;
    while handled < total {
        handled += reactor.turn(&mut seen, Budget::events(100)).handled as usize;
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).handled, 0);
    for (topic, seen) in &seen {
        match topic.strip_prefix("steady") {
            Some(_) => assert!(seen.iter().copied().eq(0..events)),
            None => assert!(topic.ends_with(&format!("-{}", seen[0])) && seen.len() == 1),
        }
    }
}
