//! Turns: the fence in front of each, budgets, and what is carried over.

mod common;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use common::{assert_conserved, finishes};
use proptest::prelude::*;
use ringbus::{Budget, Bus, Clock, Ended, Overflow, Reactor, Subscriber, Topic};

const MS: Duration = Duration::from_millis(1);

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn with(topic: &Topic<u64>, overflow: Overflow) -> Subscriber<u64> {
    topic.subscriber().overflow(overflow).open().unwrap()
}

fn manual<S>() -> (Clock, Reactor<S>) {
    let clock = Clock::manual();
    let reactor = Reactor::builder().clock(clock.clone()).build();
    (clock, reactor)
}

#[test]
fn a_handler_that_publishes_to_its_own_topic_gets_it_in_the_next_turn() {
    finishes("a turn whose handler keeps publishing", || {
        for batches in [false, true] {
            let bus = Bus::new();
            let topic = open(&bus, "t", 64);
            let again = topic.publisher().unwrap();
            let mut reactor = Reactor::new();
            if batches {
                reactor.on_batch(topic.subscribe(), move |seen: &mut Vec<u64>, batch, cx| {
                    for (event, _) in batch {
                        seen.push(*event);
                        cx.publish(&again, *event + 1).unwrap();
                    }
                });
            } else {
                reactor.on(topic.subscribe(), move |seen: &mut Vec<u64>, event, cx| {
                    seen.push(*event);
                    cx.publish(&again, *event + 1).unwrap();
                });
            }
            topic.publish(0).unwrap();
            let mut seen = Vec::new();
            for frame in 0..10 {
                let turn = reactor.turn(&mut seen, Budget::unlimited());
                assert_eq!((turn.handled, turn.pending), (1, 0));
                assert_eq!(seen.len(), frame + 1);
            }
            assert!(seen.into_iter().eq(0..10));
        }
    });
}

#[test]
fn handlers_that_publish_to_each_other_take_a_turn_per_hop() {
    let bus = Bus::new();
    let (ping, pong) = (open(&bus, "ping", 8), open(&bus, "pong", 8));
    let (to_ping, to_pong) = (ping.publisher().unwrap(), pong.publisher().unwrap());
    let mut reactor = Reactor::new();
    reactor.on(ping.subscribe(), move |seen: &mut Vec<u64>, event, cx| {
        seen.push(*event);
        cx.publish(&to_pong, event + 1).unwrap();
    });
    reactor.on(pong.subscribe(), move |seen, event, cx| {
        seen.push(*event);
        cx.publish(&to_ping, event + 1).unwrap();
    });
    ping.publish(0).unwrap();
    let mut seen = Vec::new();
    for frame in 0..20 {
        assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).handled, 1);
        assert_eq!(seen.last(), Some(&frame));
    }
}

#[test]
fn an_event_published_by_a_timer_waits_for_the_next_turn() {
    let bus = Bus::new();
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::Latest] {
        let topic = open(&bus, &format!("{overflow:?}"), 64);
        let (clock, mut reactor) = manual();
        reactor.on(with(&topic, overflow), |seen: &mut Vec<u64>, event, _| {
            seen.push(*event);
        });
        let late = topic.publisher().unwrap();
        reactor.after(MS, move |_, cx| cx.publish(&late, 3).unwrap());
        for event in 0..3 {
            topic.publish(event).unwrap();
        }
        clock.advance(MS);
        let mut seen = Vec::new();
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!(seen.last(), Some(&2), "{overflow:?}");
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!(seen.last(), Some(&3), "{overflow:?}");
        assert_conserved(&topic);
    }
}

#[test]
fn a_budget_of_events_carries_over_and_tells_what_is_pending() {
    let bus = Bus::new();
    let topics = [open(&bus, "a", 256), open(&bus, "b", 256)];
    let mut reactor = Reactor::new();
    for (number, topic) in topics.iter().enumerate() {
        reactor.on(
            topic.subscribe(),
            move |seen: &mut [Vec<u64>; 2], event, _| {
                seen[number].push(*event);
            },
        );
        for event in 0..100 {
            topic.publish(event).unwrap();
        }
    }
    let mut seen = [Vec::new(), Vec::new()];
    let mut left = 200;
    for budget in [0, 1, 63, 64, 65, 0, 1000, 5] {
        let turn = reactor.turn(&mut seen, Budget::events(budget));
        assert_eq!(turn.handled, budget.min(left));
        left -= turn.handled;
        assert_eq!(turn.pending, left);
    }
    assert_eq!(left, 0);
    for seen in seen {
        assert!(seen.into_iter().eq(0..100));
    }
}

#[test]
fn a_budget_counts_timers_too() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 8);
    let (clock, mut reactor) = manual();
    reactor.on(topic.subscribe(), |sum: &mut u64, _, _| *sum += 100);
    for _ in 0..3 {
        reactor.after(MS, |sum, _| *sum += 1);
    }
    topic.publish(0).unwrap();
    clock.advance(MS);
    let mut sum = 0;
    let turn = reactor.turn(&mut sum, Budget::events(2));
    assert_eq!((sum, turn.timers, turn.handled, turn.pending), (2, 2, 0, 1));
    let turn = reactor.turn(&mut sum, Budget::events(2));
    assert_eq!(
        (sum, turn.timers, turn.handled, turn.pending),
        (103, 1, 1, 0)
    );
}

#[test]
fn a_budget_of_time_ends_the_turn_after_the_handler_that_used_it_up() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 256);
    let (clock, mut reactor) = manual();
    let hand = clock.clone();
    reactor.on(topic.subscribe(), move |seen: &mut u64, event, _| {
        assert_eq!(*event, *seen);
        *seen += 1;
        hand.advance(MS);
    });
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    let mut seen = 0;
    let budget = Budget::unlimited().within(10 * MS);
    for frame in 1..=10 {
        let turn = reactor.turn(&mut seen, budget);
        assert_eq!((turn.handled, turn.pending), (10, 100 - 10 * frame));
    }
    topic.publish(100).unwrap();
    let turn = reactor.turn(&mut seen, Budget::unlimited().within(Duration::ZERO));
    assert_eq!((turn.handled, turn.pending), (0, 1));
    let turn = reactor.turn(&mut seen, Budget::unlimited().within(Duration::MAX));
    assert_eq!((turn.handled, turn.pending), (1, 0));
    let both = reactor.turn(&mut seen, Budget::events(3).within(10 * MS));
    assert_eq!(both.handled, 0);
}

#[test]
fn two_turns_in_a_frame_or_none_change_nothing_for_an_event() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 64);
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, _| {
        seen.push(*event);
    });
    let mut seen = Vec::new();
    let mut next = 0;
    for frame in 0..30 {
        for _ in 0..3 {
            topic.publish(next).unwrap();
            next += 1;
        }
        for _ in 0..frame % 3 {
            let _ = reactor.turn(&mut seen, Budget::unlimited());
        }
    }
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert!(seen.into_iter().eq(0..next));
    assert_conserved(&topic);
}

#[test]
fn a_run_takes_what_a_turn_has_left_and_the_other_way_round() {
    finishes("runs and turns by turns", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 256);
        let mut reactor = Reactor::new();
        reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, cx| {
            seen.push(*event);
            if event % 70 == 69 {
                cx.stop();
            }
        });
        for event in 0..200 {
            topic.publish(event).unwrap();
        }
        let mut seen = Vec::new();
        let turn = reactor.turn(&mut seen, Budget::events(10));
        assert_eq!((turn.handled, turn.pending), (10, 190));
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
        assert_eq!(seen.len(), 70);
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.handled, turn.pending, turn.stopped), (70, 60, true));
        topic.close();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        assert!(seen.into_iter().eq(0..200));
    });
}

#[test]
fn a_close_is_told_in_a_turn_after_the_last_event() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 8);
    let mut reactor = Reactor::new();
    let id = reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, _| {
        seen.push(*event);
    });
    reactor.on_closed(id, |seen, _| seen.push(99));
    topic.publish(1).unwrap();
    topic.close();
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::events(1));
    assert_eq!((turn.handled, seen.as_slice()), (1, [1].as_slice()));
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.open), (0, 0));
    assert_eq!(seen, [1, 99]);
}

#[test]
fn a_filtered_subscription_is_given_what_passes() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 256);
    let even = topic
        .subscriber()
        .filter(|event: &u64| event.is_multiple_of(2))
        .open()
        .unwrap();
    let nothing = topic.subscriber().filter(|_: &u64| false).open().unwrap();
    let mut reactor = Reactor::new();
    reactor.on(even, |seen: &mut Vec<u64>, event, _| seen.push(*event));
    reactor.on_batch(nothing, |_, batch, _| assert_eq!(batch.count(), 0));
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (50, 0));
    assert!(seen.into_iter().eq((0..100).step_by(2)));
    assert_conserved(&topic);
}

/// Enough looks for nothing that quiet sources are armed.
const IN_VAIN: usize = 10_000;

#[test]
fn an_event_after_thousands_of_turns_for_nothing_is_handled_in_the_next() {
    for sources in [1, 2] {
        for polled in [false, true] {
            let bus = Bus::new();
            let topics = [open(&bus, "0", 4), open(&bus, "1", 4)];
            let mut reactor = Reactor::new();
            for topic in &topics[..sources] {
                reactor.on(topic.subscribe(), |sum: &mut u64, event, _| *sum += event);
            }
            let mut sum = 0;
            for round in 0..2 {
                for _ in 0..IN_VAIN {
                    if polled {
                        assert!(!reactor.poll_one(&mut sum));
                    } else {
                        assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).handled, 0);
                    }
                }
                topics[0].publish(7).unwrap();
                if polled {
                    assert!(reactor.poll_one(&mut sum));
                } else {
                    assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).handled, 1);
                }
                assert_eq!(sum, 7 * (round + 1));
            }
        }
    }
}

#[test]
fn what_the_only_source_adds_or_wakes_begins_with_the_next_turn() {
    let bus = Bus::new();
    let topics = [open(&bus, "0", 4), open(&bus, "1", 4)];
    let other = topics[1].clone();
    let mut reactor = Reactor::<Vec<u64>>::new();
    reactor.on(topics[0].subscribe(), move |seen, event, cx| {
        seen.push(*event);
        cx.on(other.subscribe(), |seen, event, _| seen.push(*event));
        cx.at(Instant::now(), |seen, _| seen.push(9));
        other.publish(1).unwrap();
    });
    topics[0].publish(0).unwrap();
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.timers, turn.pending), (1, 0, 0));
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.timers, turn.pending), (1, 1, 0));
    assert_eq!(seen, [0, 9, 1]);
}

#[test]
fn the_only_source_ends_with_the_turn_that_handles_the_last_it_had() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 256);
    let mut reactor = Reactor::<Vec<u64>>::new();
    let id = reactor.on(topic.subscribe(), |seen, event, _| seen.push(*event));
    reactor.on_closed(id, |seen, _| seen.push(99));
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    topic.close();
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::events(10));
    assert_eq!((turn.handled, turn.pending, turn.open), (10, 90, 1));
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending, turn.open), (90, 0, 0));
    assert!(seen.into_iter().eq((0..100).chain([99])));
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize, u64),
    Turn(u64),
    TimedTurn(u64),
    PollOne,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4_usize, 1..20_u64).prop_map(|(topic, count)| Step::Publish(topic, count)),
        3 => (0..150_u64).prop_map(Step::Turn),
        1 => (0..20_u64).prop_map(Step::TimedTurn),
        1 => Just(Step::PollOne),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two lossless topics, of which one is read in batches; handlers of the first publish to the second; a
    /// lossy reader and one of the latest beside them.
    #[test]
    fn every_event_is_handled_once_and_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let bus = Bus::new();
        let topics: Vec<_> = (0..4).map(|n| open(&bus, &format!("t{n}"), 4096)).collect();
        let lossy_topic = open(&bus, "lossy", 8);
        let (clock, mut reactor) = manual();
        let echo = topics[3].publisher().unwrap();
        let hand = clock.clone();
        type State = (Vec<VecDeque<u64>>, Vec<u64>, u64, u64);
        for (number, topic) in topics.iter().enumerate() {
            let (echo, hand) = (echo.clone(), hand.clone());
            if number == 1 {
                reactor.on_batch(topic.subscribe(), move |state: &mut State, batch, _| {
                    for (event, _) in batch {
                        assert_eq!(state.0[number].pop_front(), Some(*event));
                    }
                });
            } else {
                reactor.on(topic.subscribe(), move |state: &mut State, event, cx| {
                    assert_eq!(state.0[number].pop_front(), Some(*event));
                    hand.advance(MS);
                    if number == 0 {
                        cx.publish(&echo, *event).unwrap();
                        state.0[3].push_back(*event);
                    }
                });
            }
        }
        let lossy = reactor.on(with(&lossy_topic, Overflow::DropOldest), |state: &mut State, event, _| {
            state.1.push(*event);
        });
        reactor.on_missed(lossy, |state, missed, _| state.2 += missed);
        let latest = reactor.on(with(&lossy_topic, Overflow::Latest), |state: &mut State, _, _| state.3 += 1);
        reactor.on_missed(latest, |state, missed, _| state.3 += missed);

        let mut state: State = (vec![VecDeque::new(); 4], Vec::new(), 0, 0);
        let (mut next, mut lossy_published) = (0, 0);
        for step in steps {
            match step {
                Step::Publish(topic, count) => {
                    for _ in 0..count {
                        topics[topic].publish(next).unwrap();
                        state.0[topic].push_back(next);
                        next += 1;
                        lossy_topic.publish(lossy_published).unwrap();
                        lossy_published += 1;
                    }
                }
                Step::Turn(events) => {
                    let turn = reactor.turn(&mut state, Budget::events(events));
                    prop_assert!(turn.handled + turn.timers <= events);
                    prop_assert!(turn.pending == 0 || turn.handled == events);
                }
                Step::TimedTurn(ms) => {
                    let _ = reactor.turn(&mut state, Budget::unlimited().within(ms as u32 * MS));
                }
                Step::PollOne => {
                    reactor.poll_one(&mut state);
                }
            }
        }
        for _ in 0..3 {
            let turn = reactor.turn(&mut state, Budget::unlimited());
            prop_assert_eq!(turn.pending, 0);
        }
        prop_assert_eq!(reactor.turn(&mut state, Budget::unlimited()).handled, 0);
        prop_assert!(state.0.iter().all(VecDeque::is_empty));
        prop_assert!(state.1.is_sorted_by(|one, next| one < next));
        prop_assert_eq!(state.1.len() as u64 + state.2, lossy_published);
        prop_assert_eq!(state.3, lossy_published);
        for topic in topics.iter().chain([&lossy_topic]) {
            assert_conserved(topic);
        }
    }
}
