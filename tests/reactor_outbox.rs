//! Publishing from handlers: rings that are full, and the outbox between.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{Census, assert_conserved, finishes, let_others_park};
use ringbus::{
    Budget, Bus, Ended, OutboxError, Publisher, Reactor, RunError, Subscriber, Topic, TryRecvError,
};

fn open<T: Send + Sync + 'static>(bus: &Bus, name: &str, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn with_outbox<S>(events: usize) -> Reactor<S> {
    Reactor::builder().outbox(events).build()
}

/// A reactor that publishes each event of the input, and what was refused with why.
fn relay(
    outbox: usize,
    input: &Topic<u64>,
    output: Publisher<u64>,
) -> Reactor<Vec<OutboxError<u64>>> {
    let mut reactor = with_outbox(outbox);
    reactor.on(
        input.subscribe(),
        move |refused: &mut Vec<OutboxError<u64>>, event, cx| {
            refused.extend(cx.publish(&output, *event).err());
        },
    );
    reactor
}

fn read_all(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    subscriber.try_iter().map(|(event, _)| event).collect()
}

#[test]
fn a_full_ring_keeps_order_and_is_flushed_when_there_is_room() {
    let bus = Bus::new();
    let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
    let mut reader = output.subscribe();
    let mut reactor = relay(16, &input, output.publisher().unwrap());
    for event in 0..20 {
        input.publish(event).unwrap();
    }
    let mut refused = Vec::new();
    let turn = reactor.turn(&mut refused, Budget::unlimited());
    assert_eq!((turn.handled, turn.outbox), (20, 16));
    assert_eq!(reactor.outbox_room(), 0);
    let mut seen = Vec::new();
    for left in [12, 8, 4, 0, 0] {
        seen.extend(read_all(&mut reader));
        let turn = reactor.turn(&mut refused, Budget::unlimited());
        assert_eq!(turn.outbox, left);
    }
    seen.extend(read_all(&mut reader));
    assert!(seen.into_iter().eq(0..20));
    assert!(refused.is_empty());
    assert_eq!(reactor.outbox_room(), 16);
}

#[test]
fn a_full_outbox_gives_the_event_back() {
    finishes("a full outbox", || {
        let bus = Bus::new();
        let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
        let mut elsewhere = output.subscribe();
        // Another thread reads it.
        let mut elsewhere = thread::spawn(move || {
            elsewhere.poll(0, |_, _| ()).unwrap();
            elsewhere
        })
        .join()
        .unwrap();
        let mut reactor = relay(2, &input, output.publisher().unwrap());
        for event in 0..10 {
            input.publish(event).unwrap();
        }
        let mut refused = Vec::new();
        let turn = reactor.turn(&mut refused, Budget::unlimited());
        assert_eq!(turn.outbox, 2);
        let expected: Vec<_> = (6..10).map(OutboxError::Full).collect();
        assert_eq!(refused, expected);
        assert_eq!(refused.pop().unwrap().into_event(), 9);
        assert_eq!(reactor.snapshot().refused, 4);
        let mut seen = read_all(&mut elsewhere);
        let _ = reactor.turn(&mut refused, Budget::unlimited());
        seen.extend(read_all(&mut elsewhere));
        assert!(seen.into_iter().eq(0..6));
    });
}

#[test]
fn without_an_outbox_every_event_for_a_full_ring_is_refused() {
    let bus = Bus::new();
    let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
    let reader = output.subscribe();
    let mut reactor = relay(0, &input, output.publisher().unwrap());
    for event in 0..10 {
        input.publish(event).unwrap();
    }
    let mut refused = Vec::new();
    let turn = reactor.turn(&mut refused, Budget::unlimited());
    assert_eq!((turn.outbox, refused.len()), (0, 6));
    drop(reader);
}

#[test]
fn a_publish_that_only_this_thread_could_make_room_for_would_deadlock() {
    let bus = Bus::new();
    let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
    let mut reader = output.subscribe();
    assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
    let mut reactor = relay(1, &input, output.publisher().unwrap());
    for event in 0..6 {
        input.publish(event).unwrap();
    }
    let mut refused = Vec::new();
    let _ = reactor.turn(&mut refused, Budget::unlimited());
    assert_eq!(refused, [OutboxError::WouldDeadlock(5)]);
    assert_eq!(read_all(&mut reader), [0, 1, 2, 3]);
}

#[test]
fn an_event_for_a_ring_that_has_room_again_is_not_refused() {
    let bus = Bus::new();
    let (input, output) = (open::<u64>(&bus, "in", 64), open::<u64>(&bus, "out", 4));
    let publisher = output.publisher().unwrap();
    let mut reactor = with_outbox(1);
    let mut reader = output.subscribe();
    reactor.on(input.subscribe(), move |seen: &mut Vec<u64>, _, cx| {
        for event in 0..5 {
            cx.publish(&publisher, event).unwrap();
        }
        seen.extend(read_all(&mut reader));
        // The ring is empty; four is in the outbox, and has to go first.
        cx.publish(&publisher, 5).unwrap();
        seen.extend(read_all(&mut reader));
        cx.publish(&publisher, 6).unwrap();
        seen.extend(read_all(&mut reader));
    });
    input.publish(0).unwrap();
    let mut seen = Vec::new();
    let _ = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_publish_to_the_own_full_topic_does_not_hang() {
    finishes("a handler that floods its own topic", || {
        for outbox in [0, 1, 8, 1024] {
            let bus = Bus::new();
            let topic = open::<u64>(&bus, "t", 4);
            let again = topic.publisher().unwrap();
            let mut reactor = with_outbox(outbox);
            type State = (u64, u64, u64);
            reactor.on(topic.subscribe(), move |state: &mut State, _, cx| {
                state.0 += 1;
                for event in 0..2 {
                    match cx.publish(&again, event) {
                        Ok(()) => state.1 += 1,
                        Err(refused) => {
                            assert!(!matches!(refused, OutboxError::Closed(_)));
                            state.2 += 1;
                        }
                    }
                }
            });
            let mut fed = 0;
            let mut state = (0, 0, 0);
            for _ in 0..1000 {
                fed += u64::from(topic.publisher().unwrap().try_publish(0).is_ok());
                let _ = reactor.turn(&mut state, Budget::unlimited());
            }
            assert!(state.0 >= 1000, "{state:?} with an outbox of {outbox}");
            assert_eq!(state.1 + state.2, 2 * state.0);
            assert_eq!(reactor.snapshot().refused, state.2);
            let left = topic.snapshot().subscribers[0].pending + reactor.snapshot().outbox as u64;
            assert_eq!(
                state.0 + left,
                fed + state.1,
                "accepted is handled or waits"
            );
            assert_conserved(&topic);
        }
    });
}

#[test]
fn two_reactors_that_flood_each_other_neither_hang_nor_lose_count() {
    finishes("two reactors that flood each other", || {
        for (capacity, outbox) in [(1, 0), (1, 1), (2, 3), (4, 64), (8, 2)] {
            let bus = Bus::new();
            let topics = [
                open::<u64>(&bus, "left", capacity),
                open::<u64>(&bus, "right", capacity),
            ];
            let [accepted, refused, handled] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
            let mut stops = Vec::new();
            let runners: Vec<_> = (0..2)
                .map(|me| {
                    let mut reactor = with_outbox(outbox);
                    stops.push(reactor.stop_handle());
                    let to_other = topics[1 - me].publisher().unwrap();
                    let (accepted, refused, handled) = (
                        Arc::clone(&accepted),
                        Arc::clone(&refused),
                        Arc::clone(&handled),
                    );
                    reactor.on(topics[me].subscribe(), move |(): &mut (), event, cx| {
                        handled.fetch_add(1, Ordering::Relaxed);
                        for _ in 0..3 {
                            match cx.publish(&to_other, event + 1) {
                                Ok(()) => accepted.fetch_add(1, Ordering::Relaxed),
                                Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                            };
                        }
                    });
                    thread::spawn(move || {
                        reactor.run(&mut ()).unwrap();
                        reactor
                    })
                })
                .collect();
            // Feeds them, as the flood dries up when much is refused.
            let feeders = [0, 1].map(|topic: usize| topics[topic].publisher().unwrap());
            let mut fed = 0;
            common::wait_until("they have handled many events", || {
                for feeder in &feeders {
                    fed += u64::from(feeder.try_publish(0).is_ok());
                }
                handled.load(Ordering::Relaxed) > 20_000
            });
            stops.iter().for_each(ringbus::StopHandle::stop);
            let reactors: Vec<_> = runners
                .into_iter()
                .map(|runner| runner.join().unwrap())
                .collect();
            let handled = handled.load(Ordering::Relaxed);
            let accepted = accepted.load(Ordering::Relaxed);
            let refused = refused.load(Ordering::Relaxed);
            assert_eq!(accepted + refused, 3 * handled);
            let pending: u64 = topics
                .iter()
                .map(|topic| topic.snapshot().subscribers[0].pending)
                .sum();
            let waiting: usize = reactors
                .iter()
                .map(|reactor| reactor.snapshot().outbox)
                .sum();
            assert_eq!(handled + pending + waiting as u64, fed + accepted);
            let snapshots = reactors.iter().map(|reactor| reactor.snapshot());
            assert_eq!(snapshots.map(|one| one.refused).sum::<u64>(), refused);
            topics.iter().for_each(assert_conserved);
        }
    });
}

#[test]
fn events_whose_topic_closes_while_they_wait_are_undeliverable() {
    let bus = Bus::new();
    let census = Census::new();
    let input = open::<u64>(&bus, "in", 64);
    let output = open::<common::Counted>(&bus, "out", 4);
    let reader = output.subscribe();
    let publisher = output.publisher().unwrap();
    let mut reactor = Reactor::new();
    let source = census.clone();
    reactor.on(input.subscribe(), move |closed: &mut u64, event, cx| {
        if let Err(refused) = cx.publish(&publisher, source.event(*event)) {
            assert!(matches!(refused, OutboxError::Closed(_)));
            *closed += 1;
        }
    });
    for event in 0..10 {
        input.publish(event).unwrap();
    }
    let mut closed = 0;
    assert_eq!(reactor.turn(&mut closed, Budget::unlimited()).outbox, 6);
    output.close();
    input.publish(10).unwrap();
    assert_eq!(reactor.turn(&mut closed, Budget::unlimited()).outbox, 0);
    input.publish(11).unwrap();
    let _ = reactor.turn(&mut closed, Budget::unlimited());
    // The eleventh may have waited behind the others, or have been refused.
    let undeliverable = reactor.snapshot().undeliverable;
    assert_eq!((undeliverable + closed, reactor.snapshot().outbox), (8, 0));
    assert!(undeliverable >= 6 && closed >= 1);
    drop((reactor, reader, output, input, bus));
    census.assert_all_dropped_once();
}

#[test]
fn the_end_of_a_run_waits_until_the_outbox_is_empty() {
    finishes("a run that ends with a full outbox", || {
        let bus = Bus::new();
        let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
        let mut reader = output.subscribe();
        let reader = thread::spawn(move || {
            let mut seen = Vec::new();
            while seen.len() < 50 {
                let_others_park();
                reader.poll(4, |event, _| seen.push(*event)).unwrap();
            }
            seen
        });
        let mut reactor = relay(64, &input, output.publisher().unwrap());
        for event in 0..50 {
            input.publish(event).unwrap();
        }
        input.close();
        let mut refused = Vec::new();
        assert_eq!(reactor.run(&mut refused), Ok(Ended::Closed));
        assert_eq!(reactor.snapshot().outbox, 0);
        assert!(refused.is_empty());
        assert!(reader.join().unwrap().into_iter().eq(0..50));
    });
}

#[test]
fn a_run_that_ends_goes_on_when_the_subscriber_in_the_way_leaves_or_the_topic_closes() {
    finishes("a run that waits for room at its end", || {
        for close in [false, true] {
            let bus = Bus::new();
            let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
            let mut reactor = relay(64, &input, output.publisher().unwrap());
            let subscriber = output.subscribe();
            for event in 0..50 {
                input.publish(event).unwrap();
            }
            input.close();
            let runner = thread::spawn(move || {
                let ended = reactor.run(&mut Vec::new());
                (ended, reactor.snapshot().undeliverable)
            });
            let_others_park();
            if close {
                output.close();
            }
            drop(subscriber);
            let undeliverable = if close { 46 } else { 0 };
            assert_eq!(runner.join().unwrap(), (Ok(Ended::Closed), undeliverable));
        }
    });
}

#[test]
fn a_run_that_could_never_end_says_so_and_keeps_the_events() {
    finishes("a run whose outbox is for its own thread", || {
        for was_read in [true, false] {
            let bus = Bus::new();
            let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 4));
            let mut reader = output.subscribe();
            if was_read {
                reader.poll(0, |_, _| ()).unwrap();
            }
            let mut reactor = relay(64, &input, output.publisher().unwrap());
            for event in 0..10 {
                input.publish(event).unwrap();
            }
            input.close();
            let mut refused = Vec::new();
            assert_eq!(reactor.run(&mut refused), Err(RunError::WouldDeadlock(6)));
            let mut seen = read_all(&mut reader);
            assert_eq!(reactor.run(&mut refused), Err(RunError::WouldDeadlock(2)));
            seen.extend(read_all(&mut reader));
            assert_eq!(reactor.run(&mut refused), Ok(Ended::Closed));
            seen.extend(read_all(&mut reader));
            assert!(seen.into_iter().eq(0..10));
        }
    });
}

#[test]
fn an_event_that_waits_keeps_its_topic_open() {
    let bus = Bus::new();
    let input = open::<u64>(&bus, "in", 64);
    let output = bus
        .topic_builder::<u64>()
        .name("out")
        .capacity(2)
        .open()
        .unwrap();
    let mut reader = output.subscribe();
    let publisher = output.publisher().unwrap();
    let mut reactor = Reactor::new();
    let id = reactor.on(input.subscribe(), move |(): &mut (), event, cx| {
        cx.publish(&publisher, *event).unwrap();
    });
    for event in 0..4 {
        input.publish(event).unwrap();
    }
    let _ = reactor.turn(&mut (), Budget::unlimited());
    // With its handler goes the only publisher but for the outbox.
    assert!(reactor.remove(id));
    assert_eq!(read_all(&mut reader), [0, 1]);
    assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(reactor.turn(&mut (), Budget::unlimited()).outbox, 0);
    assert_eq!(read_all(&mut reader), [2, 3]);
    assert_eq!(reader.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn an_outbox_of_several_topics_does_not_hold_up_one_for_another() {
    let bus = Bus::new();
    let input = open::<u64>(&bus, "in", 64);
    let (full, free) = (
        open::<u64>(&bus, "full", 2),
        open::<String>(&bus, "free", 64),
    );
    let (_in_the_way, mut reader) = (full.subscribe(), free.subscribe());
    let (to_full, to_free) = (full.publisher().unwrap(), free.publisher().unwrap());
    let mut reactor = Reactor::new();
    reactor.on(input.subscribe(), move |(): &mut (), event, cx| {
        cx.publish(&to_full, *event).unwrap();
        cx.publish(&to_free, event.to_string()).unwrap();
    });
    for event in 0..10 {
        input.publish(event).unwrap();
    }
    assert_eq!(reactor.turn(&mut (), Budget::unlimited()).outbox, 8);
    assert_eq!(reader.try_iter().count(), 10);
}

#[test]
fn a_parked_run_flushes_its_outbox_when_another_thread_makes_room() {
    finishes("a parked run with a full outbox", || {
        let bus = Bus::new();
        let (input, output) = (open(&bus, "in", 64), open::<u64>(&bus, "out", 2));
        let mut reader = output.subscribe();
        let mut reactor = relay(64, &input, output.publisher().unwrap());
        for event in 0..40 {
            input.publish(event).unwrap();
        }
        let stop = reactor.stop_handle();
        let done = Arc::new(AtomicBool::new(false));
        let runner = thread::spawn(move || reactor.run(&mut Vec::new()));
        for event in 0..40 {
            if event % 8 == 0 {
                let_others_park();
            }
            assert_eq!(reader.recv(), Ok(event));
        }
        done.store(true, Ordering::Relaxed);
        stop.stop();
        assert_eq!(runner.join().unwrap(), Ok(Ended::Stopped));
    });
}
