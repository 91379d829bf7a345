//! Panics of handlers: what is lost, what goes on, who is told.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use common::{assert_conserved, finishes};
use ringbus::{
    Budget, Bus, Clock, Ended, HandlerId, OnPanic, Overflow, Reactor, Topic, TryRecvError,
};

const MS: Duration = Duration::from_millis(1);

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn reactor<S>(policy: OnPanic) -> (Clock, Reactor<S>) {
    let clock = Clock::manual();
    let reactor = Reactor::builder()
        .clock(clock.clone())
        .on_panic(policy)
        .build();
    (clock, reactor)
}

fn panics(call: impl FnOnce()) {
    catch_unwind(AssertUnwindSafe(call)).expect_err("the panic goes on");
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

#[test]
fn a_panic_goes_on_by_default_and_loses_only_its_event() {
    for in_turn in [true, false] {
        let bus = Bus::new();
        let (first, second) = (open(&bus, "first", 64), open(&bus, "second", 64));
        let mut reactor = Reactor::new();
        reactor.on(first.subscribe(), |seen: &mut Vec<u64>, event, _| {
            assert_ne!(*event, 3, "no threes");
            seen.push(*event);
        });
        reactor.on(second.subscribe(), |seen, event, _| seen.push(100 + *event));
        for event in 0..10 {
            first.publish(event).unwrap();
            second.publish(event).unwrap();
        }
        let mut seen = Vec::new();
        panics(|| {
            if in_turn {
                let _ = reactor.turn(&mut seen, Budget::unlimited());
            } else {
                let _ = reactor.run(&mut seen);
            }
        });
        assert_eq!(reactor.snapshot().panicked, 0);
        for event in 10..20 {
            first.publish(event).unwrap();
            second.publish(event).unwrap();
        }
        bus.close();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        let of_second = seen.iter().filter(|seen| **seen >= 100);
        assert!(of_second.copied().eq(100..120));
        let of_first = seen.into_iter().filter(|seen| *seen < 100);
        assert!(of_first.eq((0..20).filter(|event| *event != 3)));
    }
}

#[test]
fn after_a_panic_in_a_turn_what_comes_later_is_delivered_too() {
    finishes("a reactor after a panic", || {
        let bus = Bus::new();
        let topics = [
            open(&bus, "a", 64),
            open(&bus, "b", 64),
            open(&bus, "c", 64),
        ];
        let mut reactor = Reactor::new();
        for (number, topic) in topics.iter().enumerate() {
            reactor.on(topic.subscribe(), move |seen: &mut Vec<usize>, event, _| {
                seen.push(number);
                assert_ne!(*event, 0, "the first of each");
            });
        }
        let mut seen = Vec::new();
        for event in 0..3 {
            for topic in &topics {
                topic.publish(event).unwrap();
            }
            if event == 0 {
                panics(|| {
                    let _ = reactor.turn(&mut seen, Budget::unlimited());
                });
            }
        }
        for _ in 0..2 {
            panics(|| {
                let _ = reactor.turn(&mut seen, Budget::unlimited());
            });
        }
        assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).pending, 0);
        seen.sort_unstable();
        assert_eq!(seen, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    });
}

#[test]
fn an_isolated_panic_is_counted_and_told_with_its_message() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 64);
    let (_clock, mut reactor) = reactor(OnPanic::Isolate);
    let id = reactor.on(
        topic.subscribe(),
        |seen: &mut Vec<String>, event, _| match event {
            1 => panic!("a plain message"),
            2 => panic!("a message about {event}"),
            3 => std::panic::panic_any(*event),
            _ => seen.push(event.to_string()),
        },
    );
    reactor.on_panic(move |seen, panic, cx| {
        assert_eq!(panic.handler, id);
        assert!(cx.contains(id));
        seen.push(panic.message().unwrap_or("no text").to_owned());
    });
    for event in 0..5 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.panicked, turn.pending), (5, 3, 0));
    assert_eq!(
        seen,
        ["0", "a plain message", "a message about 2", "no text", "4"]
    );
    assert_eq!(reactor.snapshot().panicked, 3);
    assert_conserved(&topic);
}

#[test]
fn a_panicking_handler_is_removed_where_that_was_chosen() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 64);
    let (clock, mut reactor) = reactor(OnPanic::Remove);
    let id = reactor.on(topic.subscribe(), |_: &mut u64, _, _| panic!("once"));
    reactor.on(topic.subscribe(), |sum, event, _| *sum += event);
    let timer = reactor.every(MS, |_, _| panic!("once"));
    reactor.on_panic(move |_, panic, cx| assert!(!cx.contains(panic.handler)));
    for _ in 0..10 {
        topic.publish(1).unwrap();
    }
    clock.advance(MS);
    let mut sum = 0;
    let turn = reactor.turn(&mut sum, Budget::unlimited());
    assert_eq!((turn.panicked, turn.open, sum), (2, 1, 10));
    assert!(!reactor.contains(id) && !reactor.contains(timer));
    clock.advance(MS);
    assert_eq!(reactor.turn(&mut sum, Budget::unlimited()).timers, 0);
    assert_eq!(topic.snapshot().subscribers.len(), 1);
}

#[test]
fn a_panic_in_on_panic_goes_on() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 64);
    let (_clock, mut reactor) = reactor(OnPanic::Isolate);
    reactor.on(topic.subscribe(), |_: &mut u64, event, _| {
        assert_ne!(*event, 0, "first");
    });
    reactor.on_panic(|calls, _, _| {
        *calls += 1;
        panic!("second");
    });
    topic.publish(0).unwrap();
    topic.publish(1).unwrap();
    let mut calls = 0;
    panics(|| {
        let _ = reactor.turn(&mut calls, Budget::unlimited());
    });
    assert_eq!(reactor.turn(&mut calls, Budget::unlimited()).handled, 1);
    topic.publish(0).unwrap();
    panics(|| {
        let _ = reactor.turn(&mut calls, Budget::unlimited());
    });
    assert_eq!(calls, 2, "it is still there");
}

#[test]
fn a_batch_handler_that_panics_in_the_middle_loses_what_it_took() {
    for policy in [OnPanic::Isolate, OnPanic::Propagate] {
        let bus = Bus::new();
        let topic = open(&bus, "t", 64);
        let (_clock, mut reactor) = reactor(policy);
        reactor.on_batch(topic.subscribe(), |seen: &mut Vec<u64>, batch, _| {
            for (event, _) in batch {
                assert_ne!(*event, 3, "no threes");
                seen.push(*event);
            }
        });
        for event in 0..10 {
            topic.publish(event).unwrap();
        }
        let mut seen = Vec::new();
        if policy == OnPanic::Propagate {
            panics(|| {
                let _ = reactor.turn(&mut seen, Budget::unlimited());
            });
        }
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(reactor.snapshot().handled, 10);
        assert_conserved(&topic);
    }
}

#[test]
fn a_batch_handler_that_panics_before_it_takes_anything_hangs_no_turn() {
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<u8>().is_none() {
            silent(panic);
        }
    }));
    finishes("a turn with a batch handler that always panics", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 64);
        let (_clock, mut reactor) = reactor(OnPanic::Isolate);
        reactor.on_batch(topic.subscribe(), |(): &mut (), _, cx| {
            if cx.snapshot().panicked == 10_000 {
                // Ends what would never end, so that nothing runs on behind the test.
                cx.stop();
            }
            std::panic::panic_any(0_u8);
        });
        for event in 0..10 {
            topic.publish(event).unwrap();
        }
        let turn = reactor.turn(&mut (), Budget::unlimited());
        assert!(turn.panicked <= 10, "ten events, {} panics", turn.panicked);
    });
}

#[test]
fn timers_go_on_after_a_panic_in_one() {
    for policy in [OnPanic::Isolate, OnPanic::Propagate] {
        let (clock, mut reactor) = reactor(policy);
        let once = reactor.after(MS, |_: &mut u64, _| panic!("once"));
        reactor.every(MS, |fired, _| {
            *fired += 1;
            assert_ne!(*fired, 1, "the first");
        });
        reactor.after(MS, |fired, _| *fired += 100);
        let mut fired = 0;
        clock.advance(MS);
        if policy == OnPanic::Propagate {
            panics(|| {
                let _ = reactor.turn(&mut fired, Budget::unlimited());
            });
            panics(|| {
                let _ = reactor.turn(&mut fired, Budget::unlimited());
            });
        }
        let _ = reactor.turn(&mut fired, Budget::unlimited());
        assert_eq!(fired, 101);
        assert!(!reactor.contains(once));
        clock.advance(MS);
        let _ = reactor.turn(&mut fired, Budget::unlimited());
        assert_eq!(fired, 102);
    }
}

#[test]
fn a_missed_expectation_that_panics_is_there_for_the_next_silence() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 64);
    let (clock, mut reactor) = reactor(OnPanic::Isolate);
    reactor.on_silence(topic.subscribe(), MS, |calls: &mut u64, _| {
        *calls += 1;
        panic!("stale");
    });
    let mut calls = 0;
    for round in 1..=3 {
        clock.advance(MS);
        assert_eq!(reactor.turn(&mut calls, Budget::unlimited()).panicked, 1);
        assert_eq!(calls, round);
        topic.publish(0).unwrap();
        let _ = reactor.turn(&mut calls, Budget::unlimited());
    }
}

#[test]
fn a_panic_in_on_lag_loses_no_event() {
    for batches in [false, true] {
        let bus = Bus::new();
        let topic = open(&bus, "t", 4);
        let subscriber = topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let (_clock, mut reactor) = reactor(OnPanic::Isolate);
        let id = if batches {
            reactor.on_batch(subscriber, |seen: &mut Vec<u64>, batch, _| {
                seen.extend(batch.map(|(event, _)| *event));
            })
        } else {
            reactor.on(subscriber, |seen: &mut Vec<u64>, event, _| {
                seen.push(*event)
            })
        };
        reactor.on_missed(id, |_, _, _| panic!("lagged"));
        for event in 0..10 {
            topic.publish(event).unwrap();
        }
        let mut seen = Vec::new();
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.missed, turn.panicked), (6, 1));
        assert_eq!(seen, [6, 7, 8, 9]);
        assert_eq!(turn.handled, 4);
    }
}

#[test]
fn a_panic_in_on_lag_at_the_end_does_not_keep_on_closed_from_being_called() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 4);
    let subscriber = topic
        .subscriber()
        .overflow(Overflow::Disconnect)
        .open()
        .unwrap();
    let (_clock, mut reactor) = reactor(OnPanic::Isolate);
    let id = reactor.on(subscriber, |_: &mut u64, _, _| ());
    reactor.on_missed(id, |_, _, _| panic!("lagged"));
    reactor.on_closed(id, |closed, _| *closed += 1);
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut closed = 0;
    let turn = reactor.turn(&mut closed, Budget::unlimited());
    assert_eq!((turn.panicked, turn.open, closed), (1, 0, 1));
}

#[test]
fn a_panic_in_on_closed_ends_its_source_all_the_same() {
    for policy in [OnPanic::Isolate, OnPanic::Propagate] {
        let bus = Bus::new();
        let topic = open(&bus, "t", 4);
        let (_clock, mut reactor) = reactor(policy);
        let id = reactor.on(topic.subscribe(), |_: &mut (), _, _| ());
        reactor.on_closed(id, |_, _| panic!("closed"));
        topic.close();
        if policy == OnPanic::Propagate {
            panics(|| {
                let _ = reactor.run(&mut ());
            });
        }
        assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
        assert_eq!(reactor.snapshot().open, 0);
        assert!(!reactor.contains(id));
    }
}

#[test]
fn a_panic_in_idle_is_settled_as_any_other() {
    finishes("a run with a panicking idle handler", || {
        for policy in [OnPanic::Isolate, OnPanic::Remove, OnPanic::Propagate] {
            let bus = Bus::new();
            let topic = open(&bus, "t", 4);
            let (_clock, mut reactor) = reactor(policy);
            reactor.on(topic.subscribe(), |_: &mut u64, _, _| ());
            let id = reactor.on_idle(|calls, _| {
                *calls += 1;
                panic!("idle");
            });
            let closer = topic.clone();
            reactor.on_idle(move |_, _| closer.close());
            let mut calls = 0;
            if policy == OnPanic::Propagate {
                panics(|| {
                    let _ = reactor.run(&mut calls);
                });
                reactor.remove(id);
            }
            assert_eq!(reactor.run(&mut calls), Ok(Ended::Closed));
            assert_eq!(calls, 1);
            assert_eq!(reactor.contains(id), policy == OnPanic::Isolate);
        }
    });
}

#[test]
fn a_foreign_message_whose_handler_panics_is_the_only_one_lost() {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let (_clock, mut reactor) = reactor(OnPanic::Isolate);
    reactor.on_channel(receiver, |seen: &mut Vec<u64>, message, _| {
        assert_ne!(message, 3, "no threes");
        seen.push(message);
    });
    for message in 0..10 {
        sender.send(message).unwrap();
    }
    drop(sender);
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(reactor.snapshot().panicked, 1);
}

#[test]
fn a_panicking_filter_loses_its_event_and_the_reactor_goes_on() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 64);
    let subscriber = topic
        .subscriber()
        .filter(|event: &u64| {
            assert_ne!(*event, 3, "no threes");
            true
        })
        .open()
        .unwrap();
    let (_clock, mut reactor) = reactor(OnPanic::Isolate);
    reactor.on(subscriber, |seen: &mut Vec<u64>, event, _| {
        seen.push(*event)
    });
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.panicked, turn.pending), (1, 0));
    assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_panic_in_the_drop_of_an_ended_handler_is_settled_as_any_other() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 4);
    let (_clock, mut reactor) = reactor(OnPanic::Isolate);
    let bomb = Bomb;
    reactor.on(topic.subscribe(), move |(): &mut (), _, _| {
        let _ = &bomb;
    });
    topic.close();
    assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
    assert_eq!(reactor.snapshot().panicked, 1);
}

#[test]
fn a_panic_in_the_drop_of_a_handler_in_a_turn_takes_nothing_from_the_others() {
    finishes("a run after a turn that ended by a panic", || {
        for remove_itself in [false, true] {
            let bus = Bus::new();
            let (dying, other) = (open(&bus, "dying", 64), open(&bus, "other", 64));
            let mut reactor = Reactor::new();
            let bomb = Bomb;
            let (tell, told) = mpsc::channel::<HandlerId>();
            let id = reactor.on(dying.subscribe(), move |_: &mut Vec<u64>, _, cx| {
                let _ = &bomb;
                if remove_itself {
                    cx.remove(told.recv().unwrap());
                }
            });
            tell.send(id).unwrap();
            reactor.on(other.subscribe(), |seen, event, _| seen.push(*event));
            other.publish(0).unwrap();
            if remove_itself {
                dying.publish(0).unwrap();
            } else {
                dying.close();
            }
            let mut seen = Vec::new();
            // It may end the turn, or not.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                reactor.turn(&mut seen, Budget::unlimited())
            }));
            assert!(!reactor.contains(id));
            assert_eq!(reactor.snapshot().open, 1);
            for event in 1..5 {
                other.publish(event).unwrap();
            }
            other.close();
            assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
    });
}

#[test]
fn a_panic_in_the_drop_of_a_handler_in_a_turn_takes_nothing_from_foreign_channels() {
    finishes("a run after a turn that ended by a panic", || {
        let bus = Bus::new();
        let dying = open(&bus, "dying", 64);
        let mut reactor = Reactor::new();
        let (sender, receiver) = crossbeam_channel::unbounded();
        let stop = reactor.stop_handle();
        reactor.on_channel(receiver, move |seen: &mut Vec<u64>, message, _| {
            seen.push(message);
        });
        let bomb = Bomb;
        reactor.on(dying.subscribe(), move |_, _, _| {
            let _ = &bomb;
        });
        dying.close();
        let mut seen = Vec::new();
        sender.send(0).unwrap();
        // It may end the turn, or not.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            reactor.turn(&mut seen, Budget::unlimited())
        }));
        for message in 1..10 {
            sender.send(message).unwrap();
        }
        drop(sender);
        // Ends a run that would go on for ever, behind the back of the test.
        let watchdog = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_secs(5));
            stop.stop();
        });
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        drop(watchdog);
        assert!(seen.into_iter().eq(0..10));
    });
}

#[test]
fn a_panic_in_the_drop_of_one_guarded_handler_does_not_keep_the_next() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 4);
    let (_clock, mut reactor) = reactor::<()>(OnPanic::Propagate);
    let guards: Vec<_> = (0..3)
        .map(|_| {
            let bomb = Bomb;
            let id = reactor.on(topic.subscribe(), move |(), _, _| {
                let _ = &bomb;
            });
            reactor.guard(id).unwrap()
        })
        .collect();
    drop(guards);
    for _ in 0..3 {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            reactor.turn(&mut (), Budget::unlimited())
        }));
    }
    assert_eq!(reactor.snapshot().open, 0);
    assert_eq!(topic.snapshot().subscribers.len(), 0);
}

/// An event whose drop panics.
struct Bad(bool);

impl Drop for Bad {
    fn drop(&mut self) {
        if self.0 && !std::thread::panicking() {
            panic!("an event that panics");
        }
    }
}

#[test]
fn an_event_that_panics_when_it_is_dropped_does_not_keep_the_outbox_from_emptying() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<Bad>()
        .name("bad")
        .capacity(64)
        .keep_open()
        .open()
        .unwrap();
    let input = open(&bus, "input", 256);
    let mut reader = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    let mut reactor = Reactor::new();
    reactor.on(input.subscribe(), move |refused: &mut u64, event, cx| {
        *refused += u64::from(cx.publish(&publisher, Bad(*event == 0)).is_err());
    });
    for event in 0..70 {
        input.publish(event).unwrap();
    }
    let mut refused = 0;
    let turn = reactor.turn(&mut refused, Budget::unlimited());
    assert_eq!((turn.outbox, refused), (6, 0));
    assert_eq!(reader.poll(100, |_, _| ()), Ok(64));
    // The first event is overwritten now.
    for _ in 0..3 {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            reactor.turn(&mut refused, Budget::unlimited())
        }));
    }
    assert_eq!(reactor.snapshot().outbox, 0);
    assert_eq!(reader.poll(100, |_, _| ()), Ok(6));
}

#[test]
fn a_reactor_may_be_dropped_after_a_panic_and_frees_its_publishers() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 2);
    let mut reader = topic.subscribe();
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), |_: &mut (), _, _| panic!("always"));
    topic.publish(0).unwrap();
    topic.publish(1).unwrap();
    panics(|| {
        let _ = reactor.run(&mut ());
    });
    drop(reactor);
    assert_eq!(reader.try_iter().count(), 2);
    topic.publish(2).unwrap();
    topic.publish(3).unwrap();
    assert_eq!(reader.try_iter().count(), 2);
    assert!(matches!(reader.try_recv(), Err(TryRecvError::Empty)));
}

/// Turns a reactor until a bad event has been overwritten, and panicked, on its way out of the outbox; gives
/// back what is needed to go on.
fn flush_a_bad_event(
    reactor: &mut Reactor<Vec<u64>>,
    kept: u64,
) -> (Bus, Topic<u64>, Topic<Bad>, ringbus::HandlerId) {
    let bus = Bus::new();
    let bad = bus
        .topic_builder::<Bad>()
        .name("bad")
        .capacity(64)
        .open()
        .unwrap();
    let input = open(&bus, "input", 256);
    let mut reader = bad.subscribe();
    let publisher = bad.publisher().unwrap();
    let id = reactor.on(input.subscribe(), move |_: &mut Vec<u64>, event, cx| {
        if *event < 1000 {
            assert!(cx.publish(&publisher, Bad(*event == 0)).is_ok());
        }
    });
    for event in 0..64 + kept {
        input.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(turn.outbox as u64, kept);
    assert_eq!(reader.poll(100, |_, _| ()), Ok(64));
    (bus, input, bad, id)
}

#[test]
fn a_panic_while_the_outbox_is_flushed_in_a_turn_takes_nothing_from_foreign_channels() {
    finishes("a run after a turn that ended by a panic", || {
        let mut reactor = Reactor::new();
        let (_bus, input, _bad, _id) = flush_a_bad_event(&mut reactor, 6);
        let (sender, receiver) = crossbeam_channel::unbounded();
        reactor.on_channel(receiver, |seen: &mut Vec<u64>, message, _| {
            seen.push(message);
        });
        sender.send(0).unwrap();
        // Flushes after its handler, and before the channel is asked.
        input.publish(1000).unwrap();
        let mut seen = Vec::new();
        let _ = catch_unwind(AssertUnwindSafe(|| {
            reactor.turn(&mut seen, Budget::unlimited())
        }));
        for message in 1..10 {
            sender.send(message).unwrap();
        }
        drop(sender);
        input.close();
        // Ends a run that would go on for ever, behind the back of the test.
        let stop = reactor.stop_handle();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_secs(5));
            stop.stop();
        });
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        assert!(seen.into_iter().eq(0..10));
    });
}

#[test]
fn a_panic_while_the_outbox_is_flushed_does_not_keep_the_topic_open() {
    let mut reactor = Reactor::new();
    let (_bus, _input, bad, id) = flush_a_bad_event(&mut reactor, 1);
    // With the handler goes the only publisher but for the outbox.
    assert!(reactor.remove(id));
    assert!(!bad.is_closed());
    for _ in 0..3 {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            reactor.turn(&mut Vec::new(), Budget::unlimited())
        }));
    }
    assert_eq!(reactor.snapshot().outbox, 0);
    assert!(bad.is_closed());
}
