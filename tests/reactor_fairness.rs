//! Whose turn it is.

mod common;

use std::time::Duration;

use common::finishes;
use proptest::prelude::*;
use ringbus::{Budget, Bus, Clock, Ended, Priority, Reactor, Topic};

const ROUND: usize = 64;

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn topics(bus: &Bus, count: usize) -> Vec<Topic<u64>> {
    (0..count)
        .map(|topic| open(bus, &format!("t{topic}"), 4096))
        .collect()
}

fn give_each(topics: &[Topic<u64>]) {
    for topic in topics {
        topic.publish(0).unwrap();
    }
}

/// Adds a handler for each topic that notes its number.
fn note_all(reactor: &mut Reactor<Vec<usize>>, topics: &[Topic<u64>]) -> Vec<ringbus::HandlerId> {
    topics
        .iter()
        .enumerate()
        .map(|(number, topic)| {
            reactor.on(topic.subscribe(), move |seen: &mut Vec<usize>, _, _| {
                seen.push(number);
            })
        })
        .collect()
}

#[test]
fn sources_take_turns_of_sixty_four_events() {
    let bus = Bus::new();
    let topics = topics(&bus, 3);
    let mut reactor = Reactor::new();
    note_all(&mut reactor, &topics);
    for _ in 0..200 {
        give_each(&topics);
    }
    bus.close();
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    for (number, chunk) in seen.chunks(ROUND).take(9).enumerate() {
        assert_eq!(chunk, [number % 3; ROUND]);
    }
    assert_eq!(seen.len(), 600);
}

#[test]
fn priorities_are_served_in_their_order() {
    let bus = Bus::new();
    let topics = topics(&bus, 3);
    let mut reactor = Reactor::new();
    let ids = note_all(&mut reactor, &topics);
    assert!(reactor.set_priority(ids[0], Priority::Background));
    assert!(reactor.set_priority(ids[2], Priority::Urgent));
    for _ in 0..100 {
        give_each(&topics);
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(turn.handled, 300);
    assert!(seen.chunks(100).eq([[2; 100], [1; 100], [0; 100]]));

    // Also changed while they are in line, and back.
    for _ in 0..10 {
        give_each(&topics);
    }
    seen.clear();
    let _ = reactor.turn(&mut seen, Budget::events(0));
    assert!(reactor.set_priority(ids[0], Priority::Urgent));
    assert!(reactor.set_priority(ids[2], Priority::Background));
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert!(seen.chunks(10).eq([[0; 10], [1; 10], [2; 10]]));
    assert!(reactor.remove(ids[0]));
    assert!(!reactor.set_priority(ids[0], Priority::Normal));
    let timer = reactor.after(Duration::from_secs(1), |_, _| ());
    assert!(!reactor.set_priority(timer, Priority::Urgent));
}

#[test]
fn a_new_handler_in_the_place_of_an_urgent_one_is_normal() {
    let bus = Bus::new();
    let topics = topics(&bus, 2);
    let mut reactor = Reactor::new();
    let first = reactor.on(topics[0].subscribe(), |seen: &mut Vec<usize>, _, _| {
        seen.push(0)
    });
    reactor.set_priority(first, Priority::Background);
    reactor.remove(first);
    note_all(&mut reactor, &topics);
    give_each(&topics);
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [0, 1]);
}

#[test]
fn what_comes_urgent_meanwhile_is_next() {
    let bus = Bus::new();
    let topics = topics(&bus, 2);
    let urgent = topics[1].clone();
    let mut reactor = Reactor::new();
    reactor.on(
        topics[0].subscribe(),
        move |seen: &mut Vec<usize>, event, _| {
            seen.push(0);
            if *event == 10 {
                urgent.publish(0).unwrap();
            }
        },
    );
    let id = reactor.on(topics[1].subscribe(), |seen, _, _| seen.push(1));
    reactor.set_priority(id, Priority::Urgent);
    for event in 0..200 {
        topics[0].publish(event).unwrap();
    }
    // Closed from behind the last event.
    let closer = bus.clone();
    reactor.on_idle(move |_, _| closer.close());
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen.len(), 201);
    assert_eq!(seen.iter().position(|number| *number == 1), Some(ROUND));
}

#[test]
fn timers_go_first() {
    let bus = Bus::new();
    let topics = topics(&bus, 1);
    let clock = Clock::manual();
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    let ids = note_all(&mut reactor, &topics);
    reactor.set_priority(ids[0], Priority::Urgent);
    reactor.after(Duration::from_secs(1), |seen, _| seen.push(99));
    topics[0].publish(0).unwrap();
    clock.advance(Duration::from_secs(1));
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [99, 0]);
}

#[test]
fn small_budgets_reach_every_kind_of_source() {
    let bus = Bus::new();
    let topics = topics(&bus, 3);
    let channels: Vec<_> = (0..3).map(|_| crossbeam_channel::unbounded()).collect();
    let mut reactor = Reactor::new();
    note_all(&mut reactor, &topics);
    for (number, (_, receiver)) in channels.iter().enumerate() {
        reactor.on_channel(receiver.clone(), move |seen: &mut Vec<usize>, (), _| {
            seen.push(3 + number);
        });
    }
    for budget in [1, 3, 10] {
        let mut seen = Vec::new();
        for _ in 0..60 {
            // All of them always have more than the budget.
            for _ in 0..10 {
                give_each(&topics);
                for (sender, _) in &channels {
                    sender.send(()).unwrap();
                }
            }
            assert_eq!(
                reactor.turn(&mut seen, Budget::events(budget)).handled,
                budget
            );
        }
        for number in 0..6 {
            assert!(seen.contains(&number), "{number} with a budget of {budget}");
        }
    }
}

#[test]
fn a_foreign_channel_that_is_always_ready_starves_no_topic_in_a_run() {
    finishes("a run with a busy foreign channel", || {
        let bus = Bus::new();
        let topics = topics(&bus, 2);
        let mut reactor = Reactor::new();
        let (sender, receiver) = crossbeam_channel::unbounded();
        sender.send(()).unwrap();
        reactor.on_channel(receiver, move |_: &mut Vec<usize>, (), _| {
            sender.send(()).unwrap();
        });
        for (number, topic) in topics.iter().enumerate() {
            reactor.on(topic.subscribe(), move |seen: &mut Vec<usize>, _, cx| {
                seen.push(number);
                if seen.len() == 200 {
                    cx.stop();
                }
            });
        }
        for _ in 0..100 {
            give_each(&topics);
        }
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_eq!(seen.len(), 200);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Source 0 publishes to itself and is always ready; the others are given something now and then.
    #[test]
    fn whoever_is_ready_is_served_within_one_round(
        others in 1..12_usize,
        batches in any::<bool>(),
        given in prop::collection::vec((0..12_usize, 1..150_u64), 1..12),
    ) {
        let bus = Bus::new();
        let topics = topics(&bus, others + 1);
        let mut reactor = Reactor::new();
        let again = topics[0].publisher().unwrap();
        if batches {
            reactor.on_batch(topics[0].subscribe(), move |seen: &mut Vec<usize>, batch, cx| {
                for (event, _) in batch {
                    seen.push(0);
                    cx.publish(&again, *event).unwrap();
                }
            });
        } else {
            reactor.on(topics[0].subscribe(), move |seen: &mut Vec<usize>, event, cx| {
                seen.push(0);
                cx.publish(&again, *event).unwrap();
            });
        }
        for (number, topic) in topics.iter().enumerate().skip(1) {
            let mut expected = 0;
            reactor.on(topic.subscribe(), move |seen: &mut Vec<usize>, event, _| {
                assert_eq!(*event, expected, "order within a source");
                expected += 1;
                seen.push(number);
            });
        }
        let mut left = vec![0_usize; others + 1];
        for (other, events) in given {
            let other = 1 + other % others;
            for _ in 0..events {
                topics[other].publish(left[other] as u64).unwrap();
                left[other] += 1;
            }
        }
        for _ in 0..100 {
            topics[0].publish(0).unwrap();
        }
        let total: usize = left.iter().sum();
        let mut handled = 0;
        let mut seen = Vec::new();
        // Small turns see the same order as a run.
        while handled < total {
            let before = seen.len();
            let _ = reactor.turn(&mut seen, Budget::events(50));
            handled = seen.iter().filter(|number| **number != 0).count();
            prop_assert!(seen.len() > before);
            prop_assert!(seen.len() < 64 * (2 * total + 64));
        }
        for number in 0..=others {
            let mut remaining = if number == 0 { usize::MAX } else { left[number] };
            let mut waited = 0;
            for served in &seen {
                if *served == number {
                    remaining = remaining.saturating_sub(1);
                    waited = 0;
                } else if remaining > 0 {
                    waited += 1;
                    // A round of 64 for each other source; a turn may cut one in two.
                    prop_assert!(waited <= 2 * ROUND * others, "{number} waited for {waited} events");
                }
            }
            if number > 0 {
                prop_assert_eq!(remaining, 0);
            }
        }
    }
}

/// Two sources that always have more, and one that had something and then had nothing.
fn two_busy_and_a_quiet_one() -> (Bus, Vec<Topic<u64>>, Reactor<Vec<usize>>) {
    let bus = Bus::new();
    let topics = topics(&bus, 3);
    let mut reactor = Reactor::new();
    note_all(&mut reactor, &topics);
    give_each(&topics);
    let mut seen = Vec::new();
    while reactor.poll_one(&mut seen) {}
    for _ in 0..1000 {
        give_each(&topics[..2]);
    }
    (bus, topics, reactor)
}

#[test]
fn who_gets_something_waits_for_those_in_line_and_no_longer() {
    let (_bus, topics, mut reactor) = two_busy_and_a_quiet_one();
    let mut seen = Vec::new();
    for _ in 0..100 {
        assert!(reactor.poll_one(&mut seen));
        topics[2].publish(0).unwrap();
        seen.clear();
        for _ in 0..4 {
            assert!(reactor.poll_one(&mut seen));
        }
        let quiet = seen.iter().filter(|&&number| number == 2).count();
        assert_eq!(quiet, 1, "{seen:?}");
    }
}

#[test]
fn who_gets_something_during_a_run_is_served_in_its_turn() {
    let bus = Bus::new();
    let topics = topics(&bus, 3);
    let mut reactor = Reactor::<Vec<usize>>::new();
    for number in 0..2 {
        let (own, quiet) = (topics[number].clone(), topics[2].clone());
        reactor.on(topics[number].subscribe(), move |seen, _, cx| {
            // So that it always has more.
            own.publish(0).unwrap();
            seen.push(number);
            if seen.len() == 5000 {
                cx.stop();
            }
            if seen.len() == 200 {
                quiet.publish(0).unwrap();
            }
        });
    }
    reactor.on(topics[2].subscribe(), |seen, _, cx| {
        seen.push(2);
        if seen.len() > 100 {
            cx.stop();
        }
    });
    give_each(&topics);
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
    assert!(seen.len() <= 200 + 4 * ROUND, "{}", seen.len());
}

#[test]
fn an_event_is_found_behind_those_in_line_that_have_none_after_all() {
    let bus = Bus::new();
    let topics = topics(&bus, 3);
    let mut reactor = Reactor::<Vec<usize>>::new();
    for (number, topic) in topics.iter().enumerate() {
        let subscriber = topic.subscriber().filter(|&event| event == 0).open();
        reactor.on(subscriber.unwrap(), move |seen, _, _| seen.push(number));
    }
    give_each(&topics);
    let mut seen = Vec::new();
    while reactor.poll_one(&mut seen) {}
    // The first two have something to look at, and after one of them all that is left is refused.
    topics[0].publish(0).unwrap();
    topics[0].publish(1).unwrap();
    topics[1].publish(1).unwrap();
    assert!(reactor.poll_one(&mut seen));
    topics[2].publish(0).unwrap();
    seen.clear();
    assert!(reactor.poll_one(&mut seen));
    assert_eq!(seen, [2]);
    assert!(!reactor.poll_one(&mut seen));
}

#[test]
fn an_urgent_one_that_gets_something_goes_before_those_in_line() {
    let (_bus, topics, mut reactor) = two_busy_and_a_quiet_one();
    let urgent = reactor.on(topics[2].subscribe(), |seen: &mut Vec<usize>, _, _| {
        seen.push(3);
    });
    assert!(reactor.set_priority(urgent, Priority::Urgent));
    let mut seen = Vec::new();
    assert!(reactor.poll_one(&mut seen));
    topics[2].publish(0).unwrap();
    assert!(reactor.poll_one(&mut seen));
    assert_eq!(seen.last(), Some(&3));
}

#[test]
fn who_is_removed_from_the_line_leaves_the_others_in_it() {
    let bus = Bus::new();
    let topics = topics(&bus, 5);
    let mut reactor = Reactor::new();
    let ids = note_all(&mut reactor, &topics);
    for _ in 0..3 {
        give_each(&topics);
    }
    let mut seen = Vec::new();
    assert!(reactor.poll_one(&mut seen));
    assert!(reactor.remove(ids[2]));
    for _ in 0..8 {
        assert!(reactor.poll_one(&mut seen));
    }
    assert_eq!(seen, [0, 1, 3, 4, 0, 1, 3, 4, 0]);
}
