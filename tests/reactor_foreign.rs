//! Channels of another crate as sources of a reactor.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{finishes, let_others_park, wait_until};
use crossbeam_channel::{after, bounded, never, tick, unbounded};
use ringbus::{Budget, Bus, Clock, Ended, HandlerId, Reactor, Topic};

const MS: Duration = Duration::from_millis(1);

fn open(bus: &Bus) -> Topic<u64> {
    bus.topic_builder().keep_open().open().unwrap()
}

#[test]
fn messages_come_in_order_and_a_disconnect_ends_the_source() {
    finishes("a run of a foreign channel", || {
        let (sender, receiver) = bounded(4);
        let mut reactor = Reactor::new();
        let id = reactor.on_channel(receiver, |seen: &mut Vec<u64>, message: Box<u64>, _| {
            seen.push(*message);
        });
        reactor.on_closed(id, |seen, _| seen.push(u64::MAX));
        let sending = thread::spawn(move || {
            for message in 0..1000 {
                sender.send(Box::new(message)).unwrap();
            }
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        sending.join().unwrap();
        assert!(seen.into_iter().eq((0..1000).chain([u64::MAX])));
        assert_eq!(reactor.snapshot().handled, 1000);
        assert!(!reactor.contains(id));
    });
}

#[test]
fn a_rendezvous_channel_hands_over() {
    finishes("a run of a channel without room", || {
        let (sender, receiver) = bounded(0);
        let mut reactor = Reactor::new();
        reactor.on_channel(receiver, |seen: &mut Vec<u64>, message, _| {
            seen.push(message)
        });
        let sending = thread::spawn(move || {
            for message in 0..100 {
                sender.send(message).unwrap();
            }
        });
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        sending.join().unwrap();
        assert!(seen.into_iter().eq(0..100));
    });
}

#[test]
fn an_unlimited_turn_takes_all_messages_that_were_there() {
    let (sender, receiver) = unbounded();
    let mut reactor = Reactor::new();
    reactor.on_channel(receiver, |seen: &mut Vec<u64>, message, _| {
        seen.push(message)
    });
    for message in 0..1000 {
        sender.send(message).unwrap();
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (1000, 0));
    assert!(seen.into_iter().eq(0..1000));
}

#[test]
fn a_budget_leaves_messages_and_counts_them() {
    let (sender, receiver) = unbounded();
    let mut reactor = Reactor::new();
    reactor.on_channel(receiver, |seen: &mut Vec<u64>, message, _| {
        seen.push(message)
    });
    for message in 0..100 {
        sender.send(message).unwrap();
    }
    let mut seen = Vec::new();
    for left in [90, 80, 70] {
        let turn = reactor.turn(&mut seen, Budget::events(10));
        assert_eq!((turn.handled, turn.pending), (10, left));
    }
    assert!(seen.into_iter().eq(0..30));
}

#[test]
fn a_message_that_is_sent_during_a_turn_waits_for_the_next() {
    for busy in [false, true] {
        let clock = Clock::manual();
        let mut reactor = Reactor::builder().clock(clock.clone()).build();
        let (sender, receiver) = unbounded();
        if busy {
            sender.send(0).unwrap();
        }
        let again = sender.clone();
        reactor.on_channel(receiver, move |seen: &mut Vec<u64>, message, _| {
            seen.push(message);
            again.send(2).unwrap();
        });
        reactor.after(MS, move |_, _| sender.send(1).unwrap());
        clock.advance(MS);
        let mut seen = Vec::new();
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!(seen, if busy { vec![0] } else { vec![] });
        let _ = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!(seen.len(), if busy { 3 } else { 1 });
    }
}

#[test]
fn a_foreign_source_added_in_a_turn_begins_with_the_next() {
    let clock = Clock::manual();
    let mut reactor = Reactor::builder().clock(clock.clone()).build();
    let (sender, receiver) = unbounded();
    sender.send(7).unwrap();
    reactor.after(MS, move |_: &mut Vec<u64>, cx| {
        cx.on_channel(receiver, |seen, message, _| seen.push(message));
    });
    clock.advance(MS);
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert!(seen.is_empty());
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [7]);
}

#[test]
fn a_parked_run_wakes_for_a_message_and_for_an_event() {
    finishes("a parked run with both kinds of sources", || {
        let bus = Bus::new();
        let topic = open(&bus);
        let (sender, receiver) = unbounded();
        let handled = Arc::new(AtomicUsize::new(0));
        let mut reactor = Reactor::new();
        type State = Arc<AtomicUsize>;
        reactor.on_channel(receiver, |handled: &mut State, (), _| {
            handled.fetch_add(1, Ordering::Relaxed);
        });
        reactor.on(topic.subscribe(), |handled: &mut State, _, _| {
            handled.fetch_add(1, Ordering::Relaxed);
        });
        let mut state = Arc::clone(&handled);
        let runner = thread::spawn(move || {
            let ended = reactor.run(&mut state);
            (ended, reactor.snapshot().parked > 0)
        });
        for round in 0..40 {
            if round % 4 < 2 {
                let_others_park();
            }
            match round % 2 {
                0 => sender.send(()).unwrap(),
                _ => assert_eq!(topic.publish(0), Ok(round as u64 / 2)),
            }
            wait_until("it is handled", || {
                handled.load(Ordering::Relaxed) == round + 1
            });
        }
        let_others_park();
        drop(sender);
        let_others_park();
        topic.close();
        assert_eq!(runner.join().unwrap(), (Ok(Ended::Closed), true));
    });
}

#[test]
fn timers_of_the_other_crate_and_of_the_reactor_fire_side_by_side() {
    finishes("a run of both kinds of timers", || {
        let mut reactor = Reactor::new();
        type State = (u32, u32, u32);
        reactor.on_channel(after(2 * MS), |state: &mut State, _, _| state.0 += 1);
        reactor.on_channel(tick(MS), |state: &mut State, _, _| state.1 += 1);
        reactor.on_channel(never::<()>(), |_, (), _| unreachable!("it never comes"));
        reactor.every(MS, |state, cx| {
            state.2 += 1;
            if state.0 >= 1 && state.1 >= 5 && state.2 >= 5 {
                cx.stop();
            }
        });
        let mut state = (0, 0, 0);
        assert_eq!(reactor.run(&mut state), Ok(Ended::Stopped));
        assert_eq!(state.0, 1);
    });
}

#[test]
fn foreign_sources_are_removed_by_handlers_without_skipping_others() {
    for remover in 0..4 {
        for removed in 0..4 {
            let mut reactor = Reactor::new();
            let ids = Arc::new(std::sync::Mutex::new(Vec::<HandlerId>::new()));
            let mut senders = Vec::new();
            for number in 0..4 {
                let (sender, receiver) = unbounded();
                sender.send(()).unwrap();
                sender.send(()).unwrap();
                senders.push(sender);
                let known = Arc::clone(&ids);
                let id = reactor.on_channel(receiver, move |seen: &mut Vec<usize>, (), cx| {
                    seen.push(number);
                    if number == remover {
                        cx.remove(known.lock().unwrap()[removed]);
                    }
                });
                ids.lock().unwrap().push(id);
            }
            let mut seen = Vec::new();
            let turn = reactor.turn(&mut seen, Budget::unlimited());
            assert_eq!((turn.open, turn.pending), (3, 0));
            for number in (0..4).filter(|number| *number != removed) {
                let times = seen.iter().filter(|seen| **seen == number).count();
                assert_eq!(times, 2, "{number}; {remover} removes {removed}");
            }
            assert!(seen.iter().filter(|seen| **seen == removed).count() <= 2);
            if remover == removed {
                assert_eq!(seen.iter().filter(|seen| **seen == removed).count(), 1);
            }
        }
    }
}

#[test]
fn a_guard_removes_a_foreign_source_of_a_parked_run() {
    finishes("a parked run whose foreign source goes", || {
        let (_sender, receiver) = unbounded::<()>();
        let mut reactor = Reactor::new();
        let id = reactor.on_channel(receiver, |_: &mut (), (), _| ());
        let guard = reactor.guard(id).unwrap();
        let runner = thread::spawn(move || reactor.run(&mut ()));
        let_others_park();
        drop(guard);
        assert_eq!(runner.join().unwrap(), Ok(Ended::Closed));
    });
}

#[test]
fn messages_and_events_from_many_threads_all_arrive() {
    finishes("a run fed by many threads", || {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<u64>()
            .capacity(16)
            .keep_open()
            .open()
            .unwrap();
        let mut reactor = Reactor::new();
        reactor.on(topic.subscribe(), |sum: &mut [u64; 2], _, _| sum[0] += 1);
        let (sender, receiver) = bounded(8);
        reactor.on_channel(receiver, |sum: &mut [u64; 2], (), _| sum[1] += 1);
        let feeding: Vec<_> = (0..4)
            .map(|feeder| {
                let (topic, sender) = (topic.clone(), sender.clone());
                thread::spawn(move || {
                    for event in 0..5000 {
                        match feeder % 2 {
                            0 => assert!(topic.publish(event).is_ok()),
                            _ => sender.send(()).unwrap(),
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        let closer = thread::spawn(move || {
            feeding.into_iter().for_each(|one| one.join().unwrap());
            topic.close();
        });
        let mut sum = [0, 0];
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Closed));
        closer.join().unwrap();
        assert_eq!(sum, [10_000, 10_000]);
    });
}
