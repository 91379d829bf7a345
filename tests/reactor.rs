//! A reactor: what it calls, and when its run ends.

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{assert_conserved, finishes, let_others_park, wait_until};
use ringbus::{
    Budget, Bus, Clock, Ended, HandlerId, Overflow, Priority, Publisher, Reactor, Subscriber,
    Timeline, Topic, TryPublishError, WaitStrategy,
};

const HOUR: Duration = Duration::from_secs(3600);

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn lossy(topic: &Topic<u64>, overflow: Overflow) -> Subscriber<u64> {
    topic.subscriber().overflow(overflow).open().unwrap()
}

fn manual<S>() -> (Clock, Reactor<S>) {
    let clock = Clock::manual();
    let reactor = Reactor::builder().clock(clock.clone()).build();
    (clock, reactor)
}

#[test]
fn what_comes_when_a_batch_was_seen_to_its_end_is_in_the_next_one() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 16);
    let (again, closing) = (topic.publisher().unwrap(), topic.clone());
    let mut reactor = Reactor::new();
    reactor.on_batch(topic.subscribe(), move |seen: &mut Vec<u64>, batch, _| {
        seen.extend(batch.map(|(event, _)| *event));
        if seen.len() < 10 {
            // As another thread would, before the handler returns.
            again.publish(seen.len() as u64).unwrap();
        } else {
            closing.close();
        }
    });
    topic.publish(0).unwrap();
    let seen = finishes("a handler that is given all", move || {
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        seen
    });
    assert!(seen.into_iter().eq(0..10));
}

#[test]
fn a_handler_is_given_every_event_in_order_and_the_run_ends_with_the_topic() {
    for wait in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
        let seen = finishes("a run that reads one topic", move || {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, 16);
            let mut reactor = Reactor::builder().wait(wait).build();
            reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, _| {
                seen.push(*event);
            });
            let publisher = {
                let topic = topic.clone();
                thread::spawn(move || {
                    for event in 0..1000 {
                        topic.publish(event).unwrap();
                    }
                    topic.close();
                })
            };
            let mut seen = Vec::new();
            assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
            publisher.join().unwrap();
            assert_eq!(reactor.snapshot().handled, 1000);
            assert_eq!(reactor.snapshot().open, 0);
            seen
        });
        assert!(seen.into_iter().eq(0..1000));
    }
}

#[test]
fn a_batch_handler_is_given_every_event_and_what_it_leaves_is_handled() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 256);
    let mut reactor = Reactor::new();
    reactor.on_batch(topic.subscribe(), |seen: &mut Vec<Vec<u64>>, batch, _| {
        seen.push(batch.take(40).map(|(event, _)| *event).collect());
    });
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.pending), (100, 0));
    assert_eq!(seen.len(), 2);
    assert!(seen[0].iter().copied().eq(0..40));
    assert!(seen[1].iter().copied().eq(64..100));
    assert_conserved(&topic);
}

#[test]
fn a_loss_is_told_once_with_its_exact_count_before_the_next_event() {
    #[derive(Debug, PartialEq)]
    enum Seen {
        Missed(u64),
        Event(u64),
    }
    for batches in [false, true] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 4);
        let mut reactor = Reactor::new();
        let subscriber = lossy(&topic, Overflow::DropOldest);
        let id = if batches {
            reactor.on_batch(subscriber, |seen: &mut Vec<Seen>, batch, _| {
                seen.extend(batch.map(|(event, _)| Seen::Event(*event)));
            })
        } else {
            reactor.on(subscriber, |seen: &mut Vec<Seen>, event, _| {
                seen.push(Seen::Event(*event));
            })
        };
        assert!(reactor.on_missed(id, |seen, missed, _| seen.push(Seen::Missed(missed))));
        for event in 0..10 {
            topic.publish(event).unwrap();
        }
        let mut seen = Vec::new();
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        assert_eq!((turn.missed, turn.handled), (6, 4));
        topic.publish(10).unwrap();
        assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).missed, 0);
        let mut expected = vec![Seen::Missed(6)];
        expected.extend((6..11).map(Seen::Event));
        assert_eq!(seen, expected);
        assert_eq!(reactor.snapshot().missed, 6);
        assert_conserved(&topic);
    }
}

#[test]
fn a_latest_subscription_is_given_the_newest_and_told_what_it_skipped() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let id = reactor.on(
        lossy(&topic, Overflow::Latest),
        |seen: &mut (Vec<u64>, u64), event, _| seen.0.push(*event),
    );
    reactor.on_missed(id, |seen, missed, _| seen.1 += missed);
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = (Vec::new(), 0);
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, (vec![9], 9));
}

#[test]
fn a_disconnected_subscription_tells_its_loss_then_its_end() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut reactor = Reactor::new();
    let id = reactor.on(
        lossy(&topic, Overflow::Disconnect),
        |seen: &mut Vec<String>, event, _| seen.push(event.to_string()),
    );
    reactor.on_missed(id, |seen, missed, _| seen.push(format!("missed {missed}")));
    reactor.on_closed(id, |seen, _| seen.push("closed".to_owned()));
    for event in 0..5 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen, ["missed 4", "closed"]);
    assert!(!reactor.contains(id));
    assert_eq!(reactor.snapshot().missed, 4);
}

#[test]
fn on_closed_comes_after_the_last_event_and_only_once() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 256);
    let mut reactor = Reactor::new();
    let id = reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, _| {
        seen.push(*event);
    });
    assert!(reactor.on_closed(id, |seen, _| seen.push(u64::MAX)));
    assert!(reactor.on_closed(id, |seen, _| seen.push(1000)), "replaces");
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    topic.close();
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert!(seen.into_iter().eq((0..100).chain([1000])));
    assert!(!reactor.on_closed(id, |_, _| ()));
    assert!(!reactor.on_missed(id, |_, _, _| ()));
}

#[test]
fn a_handler_added_by_on_closed_keeps_the_run_going() {
    finishes("a run that goes on", || {
        let bus = Bus::new();
        let first = open::<u64>(&bus, 8);
        let second = bus
            .topic_builder::<u64>()
            .name("second")
            .keep_open()
            .open()
            .unwrap();
        let mut reactor = Reactor::new();
        let id = reactor.on(first.subscribe(), |_: &mut Vec<u64>, _, _| ());
        let subscriber = second.subscribe();
        reactor.on_closed(id, move |_, cx| {
            cx.on(subscriber, |seen, event, _| seen.push(*event));
        });
        second.publish(7).unwrap();
        second.close();
        first.close();
        let mut seen = Vec::new();
        assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
        assert_eq!(seen, [7]);
    });
}

#[test]
fn a_run_without_handlers_ends_at_once() {
    let ended = finishes("a run of nothing", || Reactor::new().run(&mut ()));
    assert_eq!(ended, Ok(Ended::Closed));
}

#[test]
#[cfg_attr(miri, ignore = "Miri is slower than the time it leaves to others")]
fn a_reactor_of_timers_runs_until_the_last_has_fired() {
    let fired = finishes("a run of timers", || {
        let mut reactor = Reactor::new();
        for delay in [3, 1, 2] {
            reactor.after(
                Duration::from_millis(delay),
                move |fired: &mut Vec<_>, _| {
                    fired.push(delay);
                },
            );
        }
        let mut fired = Vec::new();
        assert_eq!(reactor.run(&mut fired), Ok(Ended::Closed));
        fired
    });
    assert_eq!(fired, [1, 2, 3]);
}

#[test]
fn a_removed_timer_does_not_keep_the_run() {
    finishes("a run whose only timer was removed", || {
        let mut reactor = Reactor::new();
        let id = reactor.after(HOUR, |_: &mut (), _| unreachable!("it was removed"));
        assert!(reactor.remove(id));
        assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
    });
}

#[test]
fn timers_do_not_keep_a_run_whose_sources_have_closed() {
    finishes("a run with a far timer", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut reactor = Reactor::new();
        reactor.on(topic.subscribe(), |_: &mut (), _, _| ());
        reactor.every(HOUR, |_, _| ());
        topic.close();
        assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
    });
}

#[test]
fn a_stop_by_a_handler_leaves_the_events_behind_it() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, cx| {
        seen.push(*event);
        if *event == 3 {
            cx.stop();
        }
    });
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Stopped));
    assert_eq!(seen, [0, 1, 2, 3]);
    topic.close();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert!(seen.into_iter().eq(0..10));
}

#[test]
fn after_a_stop_by_a_timer_no_event_is_handled() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let (clock, mut reactor) = manual();
    let armed = reactor.clock().now();
    reactor.on(topic.subscribe(), |handled: &mut u64, _, _| *handled += 1);
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    // One round, in which the source gets in line.
    let _ = reactor.turn(&mut 0, Budget::events(0));
    reactor.at(armed, |_, cx| cx.stop());
    reactor.at(armed, |handled, _| *handled += 100);
    drop(clock);
    let mut handled = 0;
    assert_eq!(reactor.run(&mut handled), Ok(Ended::Stopped));
    assert_eq!(handled, 0);
}

#[test]
fn a_stop_before_the_run_ends_it_at_once_and_counts_once() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), |handled: &mut u64, _, _| *handled += 1);
    topic.publish(1).unwrap();
    topic.close();
    let handle = reactor.stop_handle();
    let mut handled = 0;

    handle.stop();
    handle.clone().stop();
    assert_eq!(reactor.run(&mut handled), Ok(Ended::Stopped));
    reactor.stop();
    assert_eq!(reactor.run(&mut handled), Ok(Ended::Stopped));
    handle.stop();
    let turn = reactor.turn(&mut handled, Budget::unlimited());
    assert!(turn.stopped);
    assert_eq!((turn.handled, turn.pending, handled), (0, 1, 0));
    assert_eq!(reactor.run(&mut handled), Ok(Ended::Closed));
    assert_eq!(handled, 1);
}

#[test]
#[cfg_attr(miri, ignore = "Miri is slower than the time it leaves to others")]
fn a_stop_handle_stops_a_parked_run() {
    finishes("a parked run that is stopped", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let (_sender, receiver) = crossbeam_channel::bounded::<()>(1);
        for with_foreign in [false, true] {
            let mut reactor = Reactor::new();
            reactor.on(topic.subscribe(), |_: &mut (), _, _| ());
            if with_foreign {
                reactor.on_channel(receiver.clone(), |_, (), _| ());
            }
            let handle = reactor.stop_handle();
            let runner = thread::spawn(move || {
                let ends = [(); 3].map(|()| reactor.run(&mut ()));
                assert!(reactor.snapshot().parked > 0);
                ends
            });
            // Each run takes at most one of them.
            while !runner.is_finished() {
                let_others_park();
                handle.stop();
            }
            assert_eq!(runner.join().unwrap(), [Ok(Ended::Stopped); 3]);
            handle.stop();
        }
    });
}

#[test]
fn a_stop_handle_lets_only_the_running_handler_finish() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let handle = reactor.stop_handle();
    reactor.on(topic.subscribe(), move |handled: &mut u64, _, _| {
        *handled += 1;
        handle.stop();
    });
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut handled = 0;
    assert_eq!(reactor.run(&mut handled), Ok(Ended::Stopped));
    assert_eq!(handled, 1);
}

#[test]
fn the_time_is_that_of_the_clock_outside_of_a_round() {
    let (clock, mut reactor) = manual();
    reactor.after(HOUR, |_: &mut u64, _| ());
    clock.advance(Duration::from_secs(10));
    assert_eq!(reactor.now(), reactor.clock().now());

    reactor.after(Duration::from_secs(5), |fired, _| *fired += 1);
    let mut fired = 0;
    let _ = reactor.turn(&mut fired, Budget::unlimited());
    assert_eq!(fired, 0, "five seconds have not passed since it was set");
    clock.advance(Duration::from_secs(5));
    let _ = reactor.turn(&mut fired, Budget::unlimited());
    assert_eq!(fired, 1);
}

#[test]
fn the_time_moves_on_after_a_run() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let (clock, mut reactor) = manual();
    reactor.on(topic.subscribe(), |_: &mut (), _, _| ());
    reactor.after(HOUR, |_, _| ());
    topic.close();
    assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
    clock.advance(Duration::from_secs(10));
    assert_eq!(reactor.now(), reactor.clock().now());
}

#[test]
fn idle_is_called_before_the_run_waits_and_not_while_there_is_work() {
    finishes("a run with an idle handler", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 256);
        let mut reactor = Reactor::new();
        reactor.on(topic.subscribe(), |log: &mut Vec<&str>, _, _| {
            log.push("event");
        });
        let publisher = topic.publisher().unwrap();
        let mut rounds = 0;
        reactor.on_idle(move |log, cx| {
            log.push("idle");
            rounds += 1;
            if rounds == 3 {
                cx.stop();
            } else {
                for event in 0..100 {
                    cx.publish(&publisher, event).unwrap();
                }
            }
        });
        let mut log = Vec::new();
        assert_eq!(reactor.run(&mut log), Ok(Ended::Stopped));
        let mut expected = vec!["idle"];
        expected.extend([["event"; 100].as_slice(), &["idle"]].concat());
        expected.extend([["event"; 100].as_slice(), &["idle"]].concat());
        assert_eq!(log, expected);
    });
}

#[test]
fn an_idle_handler_that_removes_itself_is_called_no_more() {
    finishes("a run with an idle handler", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut reactor = Reactor::new();
        reactor.on(topic.subscribe(), |_: &mut u64, _, _| ());
        let id = Arc::new(std::sync::OnceLock::<HandlerId>::new());
        let own = Arc::clone(&id);
        let other = reactor.on_idle(|calls, _| *calls += 100);
        id.set(reactor.on_idle(move |calls, cx| {
            *calls += 1;
            assert!(cx.remove(*own.get().unwrap()));
            assert!(cx.remove(other));
        }))
        .unwrap();
        let stop = reactor.stop_handle();
        let runner = thread::spawn(move || {
            let mut calls = 0;
            reactor.run(&mut calls).unwrap();
            calls
        });
        for event in 0..5 {
            let_others_park();
            topic.publish(event).unwrap();
        }
        let_others_park();
        stop.stop();
        assert_eq!(runner.join().unwrap(), 101);
    });
}

#[test]
#[cfg_attr(miri, ignore = "Miri is slower than the time it leaves to others")]
fn a_parked_run_wakes_for_each_event() {
    finishes("a run that is woken again and again", || {
        let bus = Bus::new();
        let topics: Vec<Topic<u64>> = (0..3)
            .map(|topic| bus.topic_named(&format!("t{topic}")).unwrap())
            .collect();
        let handled = Arc::new(AtomicUsize::new(0));
        let mut reactor = Reactor::new();
        for topic in &topics {
            reactor.on(topic.subscribe(), |handled: &mut Arc<AtomicUsize>, _, _| {
                handled.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut state = Arc::clone(&handled);
        let runner = thread::spawn(move || {
            reactor.run(&mut state).unwrap();
            reactor.snapshot().parked
        });
        for round in 0..30 {
            if round % 3 == 0 {
                let_others_park();
            }
            topics[round % 3].publish(1).unwrap();
            wait_until("the event is handled", || {
                handled.load(Ordering::Relaxed) == round + 1
            });
        }
        let_others_park();
        bus.close();
        assert!(runner.join().unwrap() > 1);
    });
}

#[test]
fn a_handler_that_removes_itself_is_called_no_more() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let (tell, told) = mpsc::channel::<HandlerId>();
    let id = reactor.on(topic.subscribe(), move |seen: &mut Vec<u64>, event, cx| {
        seen.push(*event);
        if *event == 2 {
            let id = told.recv().unwrap();
            assert!(cx.remove(id));
            assert!(!cx.contains(id));
            assert!(!cx.remove(id), "it is removed once");
            assert!(cx.guard(id).is_none());
            assert!(!cx.on_closed(id, |_, _| ()));
        }
    });
    reactor.on_closed(id, |seen, _| seen.push(1000));
    tell.send(id).unwrap();
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen, [0, 1, 2]);
    assert_eq!(
        topic.snapshot().subscribers.len(),
        0,
        "its subscription went"
    );
    assert_eq!(reactor.snapshot().handled, 3);
}

#[test]
fn a_removed_handler_is_not_called_for_its_backlog() {
    for first_removes_second in [true, false] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut reactor = Reactor::new();
        let ids = Arc::new(std::sync::Mutex::new(Vec::<HandlerId>::new()));
        for number in 0..2 {
            let known = Arc::clone(&ids);
            let other = 1 - number;
            let id = reactor.on(topic.subscribe(), move |seen: &mut Vec<usize>, _, cx| {
                seen.push(number);
                if (number == 0) == first_removes_second {
                    cx.remove(known.lock().unwrap()[other]);
                }
            });
            ids.lock().unwrap().push(id);
        }
        for event in 0..10 {
            topic.publish(event).unwrap();
        }
        let mut seen = Vec::new();
        let turn = reactor.turn(&mut seen, Budget::unlimited());
        let (remover, removed) = if first_removes_second { (0, 1) } else { (1, 0) };
        let last = seen.iter().rposition(|number| *number == removed);
        let first = seen.iter().position(|number| *number == remover).unwrap();
        assert!(last.is_none_or(|last| last < first), "{seen:?}");
        assert_eq!((turn.open, turn.pending), (1, 0));
        assert_eq!(topic.snapshot().subscribers.len(), 1);
    }
}

#[test]
fn an_added_handler_does_not_see_the_current_event() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let late = topic.clone();
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), move |_: &mut Vec<u64>, event, cx| {
        if *event == 0 {
            cx.on(late.subscribe(), |seen, event, _| seen.push(*event));
        }
    });
    topic.publish(0).unwrap();
    let mut seen = Vec::new();
    assert_eq!(reactor.turn(&mut seen, Budget::unlimited()).open, 2);
    topic.publish(1).unwrap();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [1]);
}

#[test]
fn a_handler_added_in_a_turn_begins_with_the_next() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let other = bus.topic_named::<u64>("other").unwrap();
    let waiting = other.subscribe();
    other.publish(7).unwrap();
    let mut waiting = Some(waiting);
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), move |_: &mut Vec<u64>, _, cx| {
        if let Some(waiting) = waiting.take() {
            cx.on(waiting, |seen, event, _| seen.push(*event));
        }
    });
    topic.publish(0).unwrap();
    topic.publish(1).unwrap();
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert!(seen.is_empty());
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [7]);
}

#[test]
fn a_handler_that_replaces_itself_is_no_mix_of_the_two() {
    fn add(cx: &mut ringbus::Context<Vec<(u64, u64)>>, topic: &Topic<u64>, number: u64) {
        let subscriber = topic.subscribe();
        let topic = topic.clone();
        let own = Arc::new(std::sync::OnceLock::<HandlerId>::new());
        let id = Arc::clone(&own);
        let added = cx.on(subscriber, move |seen, event, cx| {
            seen.push((number, *event));
            cx.remove(*own.get().unwrap());
            add(cx, &topic, number + 1);
        });
        id.set(added).unwrap();
    }
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    add(&mut reactor, &topic, 0);
    let mut seen = Vec::new();
    for event in 0..20 {
        topic.publish(event).unwrap();
        let _ = reactor.turn(&mut seen, Budget::unlimited());
    }
    assert!(seen.into_iter().eq((0..20).map(|event| (event, event))));
    assert_eq!(reactor.snapshot().open, 1);
}

#[test]
fn an_on_lag_that_removes_its_handler_is_the_last_call_of_it() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut reactor = Reactor::new();
    let id = reactor.on(
        lossy(&topic, Overflow::DropOldest),
        |seen: &mut Vec<u64>, event, _| seen.push(*event),
    );
    reactor.on_missed(id, move |_, _, cx| assert!(cx.remove(id)));
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [] as [u64; 0]);
}

#[test]
fn ids_are_never_used_again() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let (clock, mut reactor) = manual::<u64>();
    let mut ids = HashSet::new();
    for round in 0..500 {
        let source = reactor.on(topic.subscribe(), |_, _, _| ());
        let timer = reactor.after(Duration::from_secs(1), |fired, _| *fired += 1);
        let idle = reactor.on_idle(|_, _| ());
        for id in [source, timer, idle] {
            assert!(ids.insert(id), "{id} came twice");
        }
        if round % 2 == 0 {
            clock.advance(Duration::from_secs(1));
            let _ = reactor.turn(&mut 0, Budget::unlimited());
        }
        assert_eq!(reactor.remove(timer), round % 2 == 1);
        assert!(reactor.remove(source));
        assert!(reactor.remove(idle));
        assert!(ids.iter().all(|id| !reactor.contains(*id)));
    }
    assert_eq!(topic.snapshot().subscribers.len(), 0);
}

#[test]
fn a_handler_that_drops_its_own_guard_is_called_no_more() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let (give, given) = mpsc::channel();
    let id = reactor.on(topic.subscribe(), move |seen: &mut Vec<u64>, event, _| {
        seen.push(*event);
        if *event == 1 {
            drop::<ringbus::HandlerGuard>(given.recv().unwrap());
        }
    });
    let guard = reactor.guard(id).unwrap();
    assert_eq!(guard.id(), id);
    give.send(guard).unwrap();
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen, [0, 1]);
}

#[test]
fn a_guard_made_and_dropped_in_its_handler_ends_it() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let own = Arc::new(std::sync::OnceLock::<HandlerId>::new());
    let id = Arc::clone(&own);
    let added = reactor.on(topic.subscribe(), move |seen: &mut Vec<u64>, event, cx| {
        seen.push(*event);
        drop(cx.guard(*own.get().unwrap()));
    });
    id.set(added).unwrap();
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut seen = Vec::new();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen, [0]);
}

#[test]
fn a_guard_dropped_by_another_handler_ends_the_one_in_line() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let (give, given) = mpsc::channel::<ringbus::HandlerGuard>();
    reactor.on(topic.subscribe(), move |_: &mut u64, _, _| {
        drop(given.try_recv());
    });
    let id = reactor.on(topic.subscribe(), |calls, _, _| *calls += 1);
    give.send(reactor.guard(id).unwrap()).unwrap();
    topic.publish(0).unwrap();
    let mut calls = 0;
    let _ = reactor.turn(&mut calls, Budget::unlimited());
    assert_eq!(calls, 0);
    assert!(!reactor.contains(id));
}

#[test]
fn a_handler_whose_guard_was_dropped_is_gone_before_the_reactor_runs_again() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let timeline = Timeline::new();
    let timed = bus.topic_builder::<u32>().timeline(&timeline);
    let timed = timed.open().unwrap();
    let (_keep, channel) = crossbeam_channel::unbounded::<u64>();
    let mut reactor = Reactor::<()>::new();
    let ids = [
        reactor.on(topic.subscribe(), |(), _, _| ()),
        reactor
            .timeline(&timeline)
            .on(timed.subscribe(), |(), _, _| ()),
        reactor.on_channel(channel, |(), _, _| ()),
        reactor.every(Duration::from_secs(1), |(), _| ()),
        reactor.on_idle(|(), _| ()),
    ];
    let mut open = 3;
    assert_eq!(reactor.snapshot().open, open);
    for (index, id) in ids.into_iter().enumerate() {
        // A handler may have more than one; the first ends it.
        let other = reactor.guard(id).unwrap();
        drop(reactor.guard(id));
        drop(other);
        open -= usize::from(index < 3);
        assert_eq!(reactor.snapshot().open, open, "{id}");
        assert!(!reactor.contains(id), "{id}");
        assert!(!reactor.on_missed(id, |(), _, _| ()), "{id}");
        assert!(!reactor.on_closed(id, |(), _| ()), "{id}");
        assert!(!reactor.set_priority(id, Priority::Urgent), "{id}");
        assert!(reactor.guard(id).is_none(), "{id}");
    }
    assert_eq!(topic.snapshot().subscribers.len(), 1);
    let turn = reactor.turn(&mut (), Budget::unlimited());
    assert_eq!((turn.open, reactor.snapshot().open), (0, 0));
    assert_eq!(topic.snapshot().subscribers.len(), 0);
    assert_eq!(timed.snapshot().subscribers.len(), 0);
}

#[test]
fn removing_a_handler_whose_guard_was_dropped_drops_what_it_holds_at_once() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut reactor = Reactor::<()>::new();
    let id = reactor.on(topic.subscribe(), |(), _, _| ());
    drop(reactor.guard(id));
    let publisher = topic.publisher().unwrap();
    for event in 0..4 {
        publisher.try_publish(event).unwrap();
    }
    assert_eq!(publisher.try_publish(4), Err(TryPublishError::Full(4)));
    assert!(!reactor.remove(id), "the guard has removed it");
    assert_eq!(publisher.try_publish(4), Ok(4));
    // The guard's own request comes late, and to nobody: not to who has the place now.
    let successor = reactor.on(topic.subscribe(), |(), _, _| ());
    let _ = reactor.turn(&mut (), Budget::unlimited());
    assert!(reactor.contains(successor));
    assert_eq!(reactor.snapshot().open, 1);
}

#[test]
fn a_handler_whose_guard_is_dropped_when_it_is_told_of_a_loss_is_not_called() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut reactor = Reactor::new();
    let lossy = topic.subscriber().overflow(Overflow::DropOldest);
    let id = reactor.on(lossy.open().unwrap(), |calls: &mut u64, _, _| *calls += 1);
    let mut guard = reactor.guard(id);
    reactor.on_missed(id, move |_, missed, _| {
        assert_eq!(missed, 6);
        drop(guard.take());
    });
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let mut calls = 0;
    let _ = reactor.turn(&mut calls, Budget::unlimited());
    assert_eq!(calls, 0);
    assert!(!reactor.contains(id));
}

#[test]
fn a_timer_whose_guard_is_dropped_when_it_is_due_is_not_counted_as_fired() {
    let (clock, mut reactor) = manual();
    let (give, given) = mpsc::channel::<ringbus::HandlerGuard>();
    reactor.after(Duration::from_secs(1), move |_: &mut u64, _| {
        drop(given.recv());
    });
    let id = reactor.after(Duration::from_secs(1), |calls, _| *calls += 1);
    give.send(reactor.guard(id).unwrap()).unwrap();
    clock.advance(Duration::from_secs(1));
    let mut calls = 0;
    let turn = reactor.turn(&mut calls, Budget::unlimited());
    assert_eq!((calls, turn.timers), (0, 1));
}

/// Drops a guard on another thread while its handler runs; tells whether the drop returned meanwhile.
fn drop_while_the_handler_runs(guard: ringbus::HandlerGuard) -> bool {
    let dropped = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&dropped);
    thread::spawn(move || {
        drop(guard);
        tell.store(true, Ordering::SeqCst);
    });
    for _ in 0..5 {
        let_others_park();
    }
    dropped.load(Ordering::SeqCst)
}

#[test]
fn dropping_a_guard_waits_for_the_handler_that_runs() {
    let early = finishes("a guard that is dropped elsewhere", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut reactor = Reactor::new();
        let (give, given) = mpsc::channel();
        let id = reactor.on(topic.subscribe(), move |early: &mut Vec<bool>, _, _| {
            early.push(drop_while_the_handler_runs(given.recv().unwrap()));
        });
        give.send(reactor.guard(id).unwrap()).unwrap();
        topic.publish(0).unwrap();
        topic.publish(1).unwrap();
        let mut early = Vec::new();
        let _ = reactor.turn(&mut early, Budget::unlimited());
        early
    });
    assert_eq!(
        early,
        [false],
        "the drop returned, or there was another call"
    );
}

#[test]
#[cfg_attr(miri, ignore = "Miri is slower than the time it leaves to others")]
fn dropping_a_guard_that_was_made_in_the_call_waits_for_that_call() {
    let early = finishes("a guard that is dropped elsewhere", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut reactor = Reactor::new();
        let own = Arc::new(std::sync::OnceLock::<HandlerId>::new());
        let id = Arc::clone(&own);
        let added = reactor.on(topic.subscribe(), move |early: &mut Vec<bool>, _, cx| {
            let guard = cx.guard(*own.get().unwrap()).unwrap();
            early.push(drop_while_the_handler_runs(guard));
        });
        id.set(added).unwrap();
        topic.publish(0).unwrap();
        topic.publish(1).unwrap();
        let mut early = Vec::new();
        let _ = reactor.turn(&mut early, Budget::unlimited());
        early
    });
    assert_eq!(
        early,
        [false],
        "the drop returned, or there was another call"
    );
}

#[test]
fn a_handler_is_never_called_after_its_guard_was_dropped() {
    finishes("guards that are dropped while publishers run", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let done = Arc::new(AtomicBool::new(false));
        let publisher = {
            let (topic, done) = (topic.clone(), Arc::clone(&done));
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    topic.publish(0).unwrap();
                }
            })
        };
        let mut reactor = Reactor::<()>::new();
        let mut guards = Vec::new();
        for _ in 0..50 {
            let over = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&over);
            let id = reactor.on(topic.subscribe(), move |(), _, _| {
                assert!(!seen.load(Ordering::SeqCst), "called after the drop");
            });
            guards.push((reactor.guard(id).unwrap(), over));
        }
        let stop = reactor.stop_handle();
        let runner = thread::spawn(move || {
            let ended = reactor.run(&mut ());
            (ended, reactor.snapshot().open)
        });
        for (guard, over) in guards {
            drop(guard);
            over.store(true, Ordering::SeqCst);
        }
        // With the last guard goes the last source.
        let answer = runner.join().unwrap();
        assert_eq!(answer, (Ok(Ended::Closed), 0));
        done.store(true, Ordering::Relaxed);
        publisher.join().unwrap();
        stop.stop();
        assert_eq!(topic.snapshot().subscribers.len(), 0);
    });
}

#[test]
fn the_guard_of_a_finished_handler_does_no_harm() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let (clock, mut reactor) = manual();
    let id = reactor.after(Duration::from_secs(1), |fired: &mut u64, _| *fired += 1);
    let guard = reactor.guard(id).unwrap();
    clock.advance(Duration::from_secs(1));
    let mut count = 0;
    let _ = reactor.turn(&mut count, Budget::unlimited());
    assert!(!reactor.contains(id));
    // Takes the place of the timer.
    let successor = reactor.on(topic.subscribe(), |count, _, _| *count += 10);
    drop(guard);
    topic.publish(0).unwrap();
    let _ = reactor.turn(&mut count, Budget::unlimited());
    assert_eq!(count, 11);
    assert!(reactor.contains(successor));

    let guard = reactor.guard(successor).unwrap();
    drop(reactor);
    drop(guard);
}

#[test]
fn a_guard_wakes_a_parked_run_to_drop_what_its_handler_holds() {
    finishes("a parked run whose guard is dropped", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 64);
        let mut reactor = Reactor::new();
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        let id = reactor.on(topic.subscribe(), move |_: &mut (), _, _| {
            let _ = &held;
        });
        reactor.on(topic.subscribe(), |_, _, _| ());
        let guard = reactor.guard(id).unwrap();
        let stop = reactor.stop_handle();
        let runner = thread::spawn(move || reactor.run(&mut ()));
        let_others_park();
        drop(guard);
        wait_until("what the handler held is dropped", || {
            weak.upgrade().is_none()
        });
        stop.stop();
        assert_eq!(runner.join().unwrap(), Ok(Ended::Stopped));
    });
}

#[test]
fn a_reactor_may_be_moved_between_runs() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), |sum: &mut u64, event, cx| {
        *sum += event;
        cx.stop();
    });
    let mut sum = 0;
    for event in [1, 2, 4] {
        topic.publish(event).unwrap();
        (reactor, sum) = thread::spawn(move || {
            assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
            (reactor, sum)
        })
        .join()
        .unwrap();
    }
    assert_eq!(sum, 7);
}

#[test]
fn a_handler_may_turn_another_reactor() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut inner = Reactor::new();
    inner.on(topic.subscribe(), |sum: &mut u64, event, _| *sum += event);
    let mut outer = Reactor::new();
    outer.on(topic.subscribe(), move |sum: &mut u64, _, _| {
        let _ = inner.turn(sum, Budget::unlimited());
    });
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    let mut sum = 0;
    let _ = outer.turn(&mut sum, Budget::unlimited());
    assert_eq!(sum, 3);
}

#[test]
fn poll_one_handles_one_event_or_timer() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let (clock, mut reactor) = manual();
    reactor.on(topic.subscribe(), |seen: &mut Vec<u64>, event, _| {
        seen.push(*event);
    });
    reactor.after(Duration::from_secs(1), |seen, _| seen.push(100));
    let mut seen = Vec::new();
    assert!(!reactor.poll_one(&mut seen));
    for event in 0..3 {
        topic.publish(event).unwrap();
    }
    clock.advance(Duration::from_secs(1));
    for handled in 1..=4 {
        assert!(reactor.poll_one(&mut seen));
        assert_eq!(seen.len(), handled);
    }
    assert!(!reactor.poll_one(&mut seen));
    assert_eq!(seen, [100, 0, 1, 2]);
}

#[test]
fn a_publisher_held_by_a_handler_keeps_its_topic_open_until_the_handler_goes() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut reader = topic.subscribe();
    let input = bus.topic::<String>();
    let mut reactor = Reactor::new();
    let publisher: Publisher<u64> = topic.publisher().unwrap();
    let id = reactor.on(input.subscribe(), move |_: &mut (), _, cx| {
        cx.publish(&publisher, 1).unwrap();
    });
    input.publish("go".to_owned()).unwrap();
    let _ = reactor.turn(&mut (), Budget::unlimited());
    assert_eq!(reader.try_recv(), Ok(1));
    assert_eq!(reader.try_recv(), Err(ringbus::TryRecvError::Empty));
    assert!(reactor.remove(id));
    assert_eq!(reader.try_recv(), Err(ringbus::TryRecvError::Closed));
}

#[test]
fn a_stop_handle_used_by_a_handler_ends_its_round() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    for by_timer in [true, false] {
        let (_clock, mut reactor) = manual();
        let (sender, receiver) = crossbeam_channel::unbounded();
        sender.send(()).unwrap();
        let [first, second] = [(); 2].map(|()| reactor.stop_handle());
        if by_timer {
            reactor.after(Duration::ZERO, move |handled: &mut u64, _| {
                *handled += 1;
                first.stop();
            });
            reactor.after(Duration::ZERO, |handled, _| *handled += 1);
        }
        reactor.on(topic.subscribe(), move |handled: &mut u64, _, _| {
            *handled += 1;
            second.stop();
        });
        reactor.on_channel(receiver, |handled, (), _| *handled += 1);
        topic.publish(0).unwrap();
        topic.publish(0).unwrap();
        // Gets the topic in line.
        let _ = reactor.turn(&mut 0, Budget::events(0));
        let mut handled = 0;
        assert_eq!(reactor.run(&mut handled), Ok(Ended::Stopped));
        assert_eq!(handled, 1, "by a timer: {by_timer}");
    }
}

#[test]
fn a_stop_handle_used_in_a_turn_ends_it() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 64);
    let mut reactor = Reactor::new();
    let handle = reactor.stop_handle();
    reactor.on(topic.subscribe(), move |_: &mut (), event, _| {
        if *event == 3 {
            handle.stop();
        }
    });
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    let turn = reactor.turn(&mut (), Budget::unlimited());
    assert_eq!((turn.handled, turn.pending, turn.stopped), (4, 6, true));
    let turn = reactor.turn(&mut (), Budget::unlimited());
    assert_eq!((turn.handled, turn.stopped), (6, false));
}
