//! Timers: when they fire, in which order, and what becomes of missed ticks.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{finishes, let_others_park, wait_until};
use proptest::prelude::*;
use ringbus::{Budget, Bus, Clock, Ended, HandlerId, MissedTicks, Reactor, Turn};

const MS: Duration = Duration::from_millis(1);

fn manual<S>() -> (Clock, Reactor<S>) {
    let clock = Clock::manual();
    let reactor = Reactor::builder().clock(clock.clone()).build();
    (clock, reactor)
}

fn turn<S>(reactor: &mut Reactor<S>, state: &mut S) -> Turn {
    reactor.turn(state, Budget::unlimited())
}

#[test]
fn timers_fire_in_the_order_of_their_times_then_of_their_setting() {
    let (clock, mut reactor) = manual();
    for (number, delay) in [3, 1, 2, 1, 3, 0].into_iter().enumerate() {
        reactor.after(delay * MS, move |fired: &mut Vec<usize>, _| {
            fired.push(number);
        });
    }
    clock.advance(5 * MS);
    let mut fired = Vec::new();
    assert_eq!(turn(&mut reactor, &mut fired).timers, 6);
    assert_eq!(fired, [5, 1, 3, 2, 0, 4]);
    assert_eq!(turn(&mut reactor, &mut fired).timers, 0);
}

#[test]
fn a_timer_at_a_time_that_has_passed_fires_at_once() {
    let (clock, mut reactor) = manual();
    let past = reactor.clock().now();
    clock.advance(MS);
    reactor.at(past, |fired: &mut u32, _| *fired += 1);
    reactor.at(past + 2 * MS, |fired, _| *fired += 10);
    let mut fired = 0;
    let _ = turn(&mut reactor, &mut fired);
    assert_eq!(fired, 1);
    clock.advance(MS);
    let _ = turn(&mut reactor, &mut fired);
    assert_eq!(fired, 11);
}

#[test]
fn missed_ticks_are_skipped_made_up_for_or_delayed() {
    // Due at 10, 20, ...; not looked at from 10 to 35.
    let fire_times = |missed: MissedTicks| {
        let (clock, mut reactor) = manual();
        let hand = clock.clone();
        reactor.every_with(10 * MS, missed, move |fired: &mut Vec<u128>, _| {
            fired.push(hand.elapsed().as_millis());
        });
        let mut fired = Vec::new();
        for at in [9, 10, 35, 36, 39, 40, 44, 45, 46, 50] {
            clock.advance_to(at * MS);
            // Whatever the choice, all of it is there within as many turns.
            for _ in 0..3 {
                let _ = turn(&mut reactor, &mut fired);
            }
        }
        fired
    };
    assert_eq!(fire_times(MissedTicks::Skip), [10, 35, 40, 50]);
    assert_eq!(fire_times(MissedTicks::Burst), [10, 35, 35, 40, 50]);
    assert_eq!(fire_times(MissedTicks::Delay), [10, 35, 45]);
    assert_eq!(fire_times(MissedTicks::default()), [10, 35, 40, 50]);
}

#[test]
fn a_burst_makes_up_for_all_missed_ticks_in_one_turn() {
    let (clock, mut reactor) = manual();
    reactor.every_with(5 * MS, MissedTicks::Burst, |steps: &mut u64, _| *steps += 1);
    let mut steps = 0;
    for frame in 1..=20 {
        clock.advance(16 * MS);
        let _ = turn(&mut reactor, &mut steps);
        assert_eq!(
            steps,
            16 * frame / 5,
            "a simulation keeps up with its frames"
        );
    }
}

#[test]
fn a_timer_that_sets_itself_to_the_past_starves_no_other() {
    fn again(cx: &mut ringbus::Context<u64>, past: std::time::Instant) {
        cx.at(past, move |_, cx| again(cx, past));
    }
    let (clock, mut reactor) = manual();
    let past = reactor.clock().now();
    clock.advance(MS);
    again(&mut reactor, past);
    reactor.at(past + MS, |fired, _| *fired += 1);
    let mut fired = 0;
    for _ in 0..10 {
        let _ = turn(&mut reactor, &mut fired);
    }
    assert_eq!(fired, 1);
}

#[test]
fn a_timer_without_delay_that_sets_itself_hangs_no_turn() {
    fn again(cx: &mut ringbus::Context<u64>) {
        cx.after(Duration::ZERO, |fired, cx| {
            *fired += 1;
            again(cx);
        });
    }
    finishes("a turn with a timer that sets itself", || {
        let (_clock, mut reactor) = manual();
        again(&mut reactor);
        let mut fired = 0;
        for frame in 1..=10 {
            assert_eq!(turn(&mut reactor, &mut fired).timers, 1);
            assert_eq!(fired, frame);
        }
    });
}

#[test]
fn a_run_with_a_timer_that_sets_itself_still_serves_its_sources() {
    fn again(cx: &mut ringbus::Context<u64>) {
        cx.after(Duration::ZERO, |_, cx| again(cx));
    }
    finishes("a run with a timer that sets itself", || {
        let bus = Bus::new();
        let topic = bus.topic::<u64>();
        let mut reactor = Reactor::new();
        reactor.on(topic.subscribe(), |sum: &mut u64, event, _| *sum += event);
        again(&mut reactor);
        for _ in 0..200 {
            topic.publish(1).unwrap();
        }
        bus.close();
        let mut sum = 0;
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Closed));
        assert_eq!(sum, 200);
    });
}

#[test]
fn timers_set_by_timers_fire_when_they_are_due() {
    let (clock, mut reactor) = manual();
    let hand = clock.clone();
    reactor.after(MS, move |fired: &mut Vec<u128>, cx| {
        fired.push(hand.elapsed().as_millis());
        cx.after(2 * MS, move |fired, cx| {
            fired.push(hand.elapsed().as_millis());
            cx.after(3 * MS, move |fired, _| {
                fired.push(hand.elapsed().as_millis());
            });
        });
    });
    let mut fired = Vec::new();
    for _ in 0..10 {
        clock.advance(MS);
        let _ = turn(&mut reactor, &mut fired);
    }
    assert_eq!(fired, [1, 3, 6]);
}

#[test]
fn a_periodic_timer_that_removes_itself_fires_no_more() {
    let (clock, mut reactor) = manual();
    let (tell, told) = mpsc::channel::<HandlerId>();
    let id = reactor.every_with(MS, MissedTicks::Burst, move |fired: &mut u64, cx| {
        *fired += 1;
        if *fired == 3 {
            assert!(cx.remove(told.recv().unwrap()));
        }
    });
    tell.send(id).unwrap();
    let mut fired = 0;
    for _ in 0..10 {
        clock.advance(3 * MS);
        let _ = turn(&mut reactor, &mut fired);
    }
    assert_eq!(fired, 3);
    assert!(!reactor.contains(id));
}

#[test]
fn a_timer_removed_by_one_that_is_due_with_it_does_not_fire() {
    let (clock, mut reactor) = manual();
    let (tell, told) = mpsc::channel::<HandlerId>();
    reactor.after(MS, move |_: &mut u64, cx| {
        assert!(cx.remove(told.recv().unwrap()));
    });
    tell.send(reactor.after(MS, |fired, _| *fired += 1))
        .unwrap();
    clock.advance(MS);
    let mut fired = 0;
    assert_eq!(turn(&mut reactor, &mut fired).timers, 1);
    assert_eq!(fired, 0);
}

#[test]
#[should_panic(expected = "a period must be longer than zero")]
fn a_period_of_zero_is_refused() {
    Reactor::<()>::new().every(Duration::ZERO, |_, _| ());
}

#[test]
fn times_beyond_the_clock_never_come_and_do_no_harm() {
    let (clock, mut reactor) = manual();
    let id = reactor.after(Duration::MAX, |fired: &mut u64, _| *fired += 1);
    reactor.every(Duration::MAX, |fired, _| *fired += 1);
    reactor.every(Duration::from_nanos(1), |fired, _| *fired += 100);
    clock.advance(Duration::from_secs(100_000_000));
    let mut fired = 0;
    let _ = turn(&mut reactor, &mut fired);
    assert_eq!(fired, 100);
    assert!(reactor.contains(id));
    assert!(reactor.remove(id));
}

#[test]
fn an_expectation_fires_once_for_each_silence() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let (clock, mut reactor) = manual();
    let id = reactor.on_silence(topic.subscribe(), 10 * MS, |stale: &mut u64, _| *stale += 1);
    let mut stale = 0;
    let mut at = |ms: u32, publish: bool, expected: u64| {
        clock.advance_to(ms * MS);
        if publish {
            topic.publish(0).unwrap();
        }
        let _ = reactor.turn(&mut stale, Budget::unlimited());
        assert_eq!(stale, expected, "at {ms}");
    };
    at(9, false, 0);
    at(10, false, 1);
    at(50, false, 1);
    at(60, true, 1);
    at(69, false, 1);
    at(69, true, 1);
    at(70, false, 1);
    at(78, false, 1);
    at(79, false, 2);
    at(100, true, 2);
    // It came in time, and waits for its turn.
    at(110, true, 2);
    at(119, false, 2);
    at(120, false, 3);
    assert_eq!(reactor.snapshot().timers, 3);
    assert!(reactor.remove(id));
}

#[test]
fn an_expectation_may_remove_itself_and_end() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let (clock, mut reactor) = manual();
    let (tell, told) = mpsc::channel::<HandlerId>();
    let id = reactor.on_silence(topic.subscribe(), MS, move |stale: &mut u64, cx| {
        *stale += 1;
        cx.remove(told.recv().unwrap());
    });
    tell.send(id).unwrap();
    clock.advance(MS);
    let mut stale = 0;
    let _ = turn(&mut reactor, &mut stale);
    assert!(!reactor.contains(id));
    let id = reactor.on_silence(topic.subscribe(), MS, |stale, _| *stale += 1);
    reactor.on_closed(id, |stale, _| *stale += 100);
    topic.publish(0).unwrap();
    topic.close();
    let _ = turn(&mut reactor, &mut stale);
    clock.advance(10 * MS);
    let _ = turn(&mut reactor, &mut stale);
    assert_eq!(stale, 101);
    assert_eq!(topic.snapshot().subscribers.len(), 0);
}

#[test]
fn thousands_of_timers_each_fire_once() {
    let (clock, mut reactor) = manual();
    let mut ids = Vec::new();
    for number in 0..10_000_u64 {
        let delay = (number * 7919 % 1000) as u32;
        ids.push(reactor.after(delay * MS, |fired: &mut u64, _| *fired += 1));
    }
    let mut removed = 0;
    for id in ids.iter().step_by(3) {
        removed += u64::from(reactor.remove(*id));
    }
    let mut fired = 0;
    for _ in 0..1000 {
        let _ = turn(&mut reactor, &mut fired);
        clock.advance(MS);
    }
    assert_eq!(fired + removed, 10_000);
    assert!(ids.iter().all(|id| !reactor.contains(*id)));
    assert_eq!(reactor.snapshot().timers, fired);
}

#[test]
fn a_manual_clock_wakes_a_parked_run() {
    finishes("a run that waits for a manual clock", || {
        for with_foreign in [false, true] {
            let (clock, mut reactor) = manual();
            let (_sender, receiver) = crossbeam_channel::bounded::<()>(1);
            if with_foreign {
                reactor.on_channel(receiver, |_: &mut Arc<AtomicUsize>, (), _| ());
            }
            reactor.every(MS, |fired: &mut Arc<AtomicUsize>, cx| {
                if fired.fetch_add(1, Ordering::Relaxed) == 9 {
                    cx.stop();
                }
            });
            let fired = Arc::new(AtomicUsize::new(0));
            let mut state = Arc::clone(&fired);
            let runner = thread::spawn(move || reactor.run(&mut state));
            for round in 0..10 {
                if round % 3 == 0 {
                    let_others_park();
                }
                assert_eq!(fired.load(Ordering::Relaxed), round);
                clock.advance(MS);
                wait_until("the timer has fired", || {
                    fired.load(Ordering::Relaxed) == round + 1
                });
            }
            assert_eq!(runner.join().unwrap(), Ok(Ended::Stopped));
        }
    });
}

#[test]
fn moving_a_clock_from_two_threads_loses_nothing() {
    let clock = Clock::manual();
    let start = Arc::new(std::sync::Barrier::new(2));
    let hands: Vec<_> = (0..2)
        .map(|_| {
            let (clock, start) = (clock.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                for _ in 0..200_000 {
                    clock.advance(MS);
                }
            })
        })
        .collect();
    for hand in hands {
        hand.join().unwrap();
    }
    assert_eq!(clock.elapsed(), 400_000 * MS);
}

#[test]
fn a_clock_does_not_go_back() {
    let clock = Clock::manual();
    clock.advance_to(5 * MS);
    clock.advance_to(3 * MS);
    assert_eq!(clock.elapsed(), 5 * MS);
    assert_eq!(Clock::system().elapsed(), Duration::ZERO);
}

#[derive(Clone, Debug)]
enum Step {
    After(u32),
    Every(u32, MissedTicks),
    Cancel(usize),
    Advance(u32),
    Turn,
}

fn step() -> impl Strategy<Value = Step> {
    let missed = prop_oneof![
        Just(MissedTicks::Skip),
        Just(MissedTicks::Burst),
        Just(MissedTicks::Delay)
    ];
    prop_oneof![
        3 => (0..30_u32).prop_map(Step::After),
        1 => (1..20_u32, missed).prop_map(|(period, missed)| Step::Every(period, missed)),
        2 => (0..100_usize).prop_map(Step::Cancel),
        3 => (0..25_u32).prop_map(Step::Advance),
        3 => Just(Step::Turn),
    ]
}

/// A timer of the naive model: a list that is searched.
struct Naive {
    number: usize,
    due: u32,
    every: Option<(u32, MissedTicks)>,
    id: HandlerId,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn timers_fire_as_a_sorted_list_would_have_them(steps in prop::collection::vec(step(), 1..80)) {
        let (clock, mut reactor) = manual::<Vec<usize>>();
        let (mut model, mut now, mut numbers) = (Vec::<Naive>::new(), 0, 0);
        let (mut fired, mut expected) = (Vec::new(), Vec::new());
        for step in steps {
            // Times count from here, also for what is set outside of a turn.
            let base = reactor.clock().now();
            match step {
                Step::After(delay) => {
                    let number = numbers;
                    let id = reactor.at(base + delay * MS, move |fired, _| fired.push(number));
                    model.push(Naive { number, due: now + delay, every: None, id });
                    numbers += 1;
                }
                Step::Every(period, missed) => {
                    let number = numbers;
                    // A turn makes the time anew.
                    let _ = reactor.turn(&mut fired, Budget::events(0));
                    let id = reactor.every_with(period * MS, missed, move |fired, _| fired.push(number));
                    let _ = reactor.turn(&mut fired, Budget::events(0));
                    model.push(Naive { number, due: now + period, every: Some((period, missed)), id });
                    numbers += 1;
                }
                Step::Cancel(which) if !model.is_empty() => {
                    let cancelled = model.remove(which % model.len());
                    prop_assert!(reactor.remove(cancelled.id));
                    prop_assert!(!reactor.remove(cancelled.id));
                }
                Step::Cancel(_) => {}
                Step::Advance(by) => {
                    clock.advance(by * MS);
                    now += by;
                }
                Step::Turn => {
                    // As many turns as it takes, so that bursts are over.
                    while reactor.turn(&mut fired, Budget::unlimited()).timers > 0 {}
                    while let Some(at) = (0..model.len()).filter(|&at| model[at].due <= now).min_by_key(|&at| model[at].due) {
                        let timer = &mut model[at];
                        expected.push(timer.number);
                        match timer.every {
                            None => drop(model.remove(at)),
                            Some((period, missed)) => {
                                timer.due = match missed {
                                    MissedTicks::Burst => timer.due + period,
                                    MissedTicks::Delay => now + period,
                                    _ => timer.due + ((now - timer.due) / period + 1) * period,
                                };
                            }
                        }
                    }
                    // Among those of one time the order of setting counts, which bursts change.
                    prop_assert_eq!(fired.len(), expected.len());
                    let sorted = |mut list: Vec<usize>| { list.sort_unstable(); list };
                    prop_assert_eq!(sorted(fired.clone()), sorted(expected.clone()));
                    if model.iter().all(|timer| timer.every.is_none()) && numbers == model.len() + expected.len() {
                        prop_assert_eq!(&fired, &expected);
                    }
                    for timer in &model {
                        prop_assert!(reactor.contains(timer.id));
                    }
                }
            }
        }
    }
}

#[test]
fn an_expectation_that_was_met_fires_in_the_order_of_its_new_deadline() {
    let clock = Clock::manual();
    let bus = Bus::new();
    let feed = bus.topic::<u32>();
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    reactor.on_silence(feed.subscribe(), 500 * MS, |log: &mut Vec<&str>, _| {
        log.push("stale since 300")
    });
    reactor.after(600 * MS, |log, _| log.push("after 600"));
    reactor.after(900 * MS, |log, _| log.push("after 900"));
    let mut log = Vec::new();
    clock.advance_to(300 * MS);
    feed.publish(1).unwrap();
    reactor.turn(&mut log, Budget::unlimited());
    clock.advance_to(1000 * MS);
    reactor.turn(&mut log, Budget::unlimited());
    assert_eq!(log, ["after 600", "stale since 300", "after 900"]);
}
