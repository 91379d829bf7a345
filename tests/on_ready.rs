//! A subscriber wakes somebody else's loop.

mod common;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use common::{finishes, let_others_park, wait_until};
use ringbus::{Bus, Overflow, PollError, Subscriber, Topic, TryRecvError};

fn open(bus: &Bus, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

/// Counts the calls of a subscriber's hook.
fn count(subscriber: &mut Subscriber<u64>) -> Arc<AtomicUsize> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    subscriber.on_ready(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    calls
}

fn calls(count: &AtomicUsize) -> usize {
    count.load(Ordering::SeqCst)
}

#[test]
fn the_hook_is_called_once_after_each_call_that_found_nothing() {
    for overflow in [
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
        Overflow::Disconnect,
    ] {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
        let hook = count(&mut subscriber);
        assert_eq!(calls(&hook), 1, "at once");
        topic.publish(0).unwrap();
        topic.publish(1).unwrap();
        assert_eq!(calls(&hook), 1, "nobody has looked");
        let mut expected = 1;
        for round in 0..10 {
            while match round % 3 {
                0 => subscriber.poll(64, |_, _| ()).unwrap() > 0,
                1 => subscriber
                    .poll_batch(64, |batch| batch.count())
                    .unwrap()
                    .is_some(),
                _ => subscriber.try_recv().is_ok(),
            } {}
            assert_eq!(calls(&hook), expected, "{overflow:?} {round}");
            topic.publish(2).unwrap();
            expected += 1;
            assert_eq!(calls(&hook), expected, "{overflow:?} {round}");
            topic.publish(3).unwrap();
            assert_eq!(calls(&hook), expected, "{overflow:?} {round}");
        }
    }
}

#[test]
fn looking_again_and_again_arms_the_hook_once() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut subscriber = topic.subscribe();
    let hook = count(&mut subscriber);
    for _ in 0..100 {
        assert_eq!(subscriber.poll(64, |_, _| ()), Ok(0));
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    }
    topic.publish(0).unwrap();
    assert_eq!(calls(&hook), 2);
}

#[test]
fn the_hook_is_called_for_the_close_and_for_a_disconnect() {
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let mut subscriber = topic.subscribe();
    let hook = count(&mut subscriber);
    assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
    topic.close();
    assert_eq!(calls(&hook), 2);
    assert_eq!(subscriber.poll(1, |_, _| ()), Err(PollError::Closed));

    let topic = bus.topic_named::<u64>("other").unwrap();
    let mut subscriber = topic.subscribe();
    let hook = count(&mut subscriber);
    assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
    bus.close();
    assert_eq!(calls(&hook), 2);
}

#[test]
fn a_filter_that_refuses_everything_does_not_silence_the_hook() {
    for overflow in [Overflow::Block, Overflow::DropOldest] {
        let bus = Bus::new();
        let topic = open(&bus, 8);
        let mut subscriber = topic
            .subscriber()
            .overflow(overflow)
            .filter(|event: &u64| *event == 1000)
            .open()
            .unwrap();
        let (wake, woken) = mpsc::channel();
        subscriber.on_ready(move || wake.send(()).unwrap());
        let mut seen = 0;
        for event in 0..=1000 {
            topic.publish(event).unwrap();
            if event % 5 != 0 {
                continue;
            }
            // A loop that looks only when it is woken must not fall asleep for ever.
            while woken.try_recv().is_ok() {
                while subscriber.poll(64, |_, _| seen += 1).unwrap() > 0 {}
            }
        }
        assert_eq!(seen, 1, "{overflow:?}");
        let mut nothing = topic.subscriber().filter(|_: &u64| false).open().unwrap();
        let hook = count(&mut nothing);
        for round in 0..10 {
            // Until a look has not called for another one.
            loop {
                let before = calls(&hook);
                assert_eq!(nothing.poll_batch(3, |batch| batch.count()), Ok(None));
                if calls(&hook) == before {
                    break;
                }
            }
            let before = calls(&hook);
            topic.publish(round).unwrap();
            while subscriber.poll(64, |_, _| ()).unwrap() > 0 {}
            assert!(calls(&hook) > before);
        }
    }
}

#[test]
fn a_panic_in_the_hook_ends_there() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut other = topic.subscribe();
    let mut subscriber = topic.subscribe();
    let calls_made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls_made);
    subscriber.on_ready(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        panic!("a hook");
    });
    let other_hook = count(&mut other);
    for round in 0..3 {
        while subscriber.poll(64, |_, _| ()).unwrap() > 0 {}
        while other.poll(64, |_, _| ()).unwrap() > 0 {}
        topic.publish(round).unwrap();
        assert_eq!(calls(&calls_made), 2 + round as usize);
        assert_eq!(calls(&other_hook), 2 + round as usize);
    }
}

#[test]
fn a_replaced_hook_is_called_no_more() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut subscriber = topic.subscribe();
    let held = Arc::new(());
    let weak = Arc::downgrade(&held);
    subscriber.on_ready(move || {
        let _ = &held;
    });
    let first = count(&mut subscriber);
    assert!(weak.upgrade().is_none(), "it is dropped");
    assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
    let second = count(&mut subscriber);
    assert_eq!((calls(&first), calls(&second)), (1, 1));
    assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
    topic.publish(0).unwrap();
    assert_eq!((calls(&first), calls(&second)), (1, 2));
    drop(subscriber);
    topic.publish(0).unwrap();
    assert_eq!((calls(&first), calls(&second)), (1, 2));
}

#[test]
fn dropping_a_subscriber_waits_for_its_hook() {
    finishes("a subscriber whose hook runs", || {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let mut subscriber = topic.subscribe();
        let (entered, inside) = mpsc::channel();
        let over = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&over);
        let mut first = AtomicBool::new(true);
        let _ = first.get_mut();
        subscriber.on_ready(move || {
            if first.swap(false, Ordering::SeqCst) {
                return;
            }
            entered.send(()).unwrap();
            let_others_park();
            let_others_park();
            done.store(true, Ordering::SeqCst);
        });
        assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
        let publisher = {
            let topic = topic.clone();
            thread::spawn(move || topic.publish(0).unwrap())
        };
        inside.recv().unwrap();
        drop(subscriber);
        assert!(over.load(Ordering::SeqCst), "the hook was still running");
        publisher.join().unwrap();
    });
}

#[test]
fn a_hook_is_never_called_after_the_drop() {
    finishes("subscribers with hooks under a publisher", || {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let done = Arc::new(AtomicBool::new(false));
        let publisher = {
            let (topic, done) = (topic.clone(), Arc::clone(&done));
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    topic.publish(0).unwrap();
                }
            })
        };
        let late = Arc::new(AtomicUsize::new(0));
        for _ in 0..500 {
            let gone = Arc::new(AtomicBool::new(false));
            let (seen, late) = (Arc::clone(&gone), Arc::clone(&late));
            let mut subscriber = topic.subscribe();
            subscriber.on_ready(move || {
                if seen.load(Ordering::SeqCst) {
                    late.fetch_add(1, Ordering::SeqCst);
                }
            });
            while subscriber.poll(64, |_, _| ()).unwrap() > 0 {}
            drop(subscriber);
            gone.store(true, Ordering::SeqCst);
        }
        done.store(true, Ordering::Relaxed);
        publisher.join().unwrap();
        assert_eq!(late.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_hook_may_drop_its_own_subscriber() {
    finishes("a hook that drops its subscriber", || {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let place = Arc::new(Mutex::new(None::<Subscriber<u64>>));
        let mut subscriber = topic.subscribe();
        let own = Arc::clone(&place);
        subscriber.on_ready(move || {
            let subscriber = own.lock().unwrap().take();
            drop(subscriber);
        });
        assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
        *place.lock().unwrap() = Some(subscriber);
        topic.publish(0).unwrap();
        assert!(topic.snapshot().subscribers.is_empty());
    });
}

#[test]
fn a_hook_may_publish_and_subscribe() {
    finishes("a hook that uses the bus", || {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let other = bus.topic_named::<String>("other").unwrap();
        let mut reader = other.subscribe();
        let mut subscriber = topic.subscribe();
        let (own, to_other) = (topic.clone(), other.clone());
        subscriber.on_ready(move || {
            to_other.publish("ready".to_owned()).unwrap();
            drop(own.subscribe());
        });
        assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
        topic.publish(0).unwrap();
        assert_eq!(reader.try_iter().count(), 2);
    });
}

#[test]
fn a_hook_through_a_pipe_wakes_a_thread_that_sleeps_in_the_kernel() {
    finishes("a loop that reads a pipe", || {
        let bus = Bus::new();
        let topic = open(&bus, 64);
        let mut subscriber = topic.subscribe();
        let (mut woken, wake) = std::io::pipe().unwrap();
        let reader = thread::spawn(move || {
            subscriber.on_ready(move || {
                (&wake).write_all(&[0]).unwrap();
            });
            let mut seen = Vec::new();
            loop {
                woken.read_exact(&mut [0]).unwrap();
                loop {
                    match subscriber.poll(64, |event, _| seen.push(*event)) {
                        Ok(0) => break,
                        Ok(_) => {}
                        Err(_) => return seen,
                    }
                }
            }
        });
        for event in 0..1000 {
            if event % 100 == 0 {
                let_others_park();
            }
            topic.publish(event).unwrap();
        }
        let_others_park();
        topic.close();
        assert!(reader.join().unwrap().into_iter().eq(0..1000));
    });
}

#[test]
fn a_doorbell_in_a_foreign_select_loses_no_event() {
    const EVENTS: u64 = 100_000;
    finishes("a foreign select with a doorbell", || {
        for overflow in [Overflow::Block, Overflow::DropOldest] {
            let bus = Bus::new();
            let topic = open(&bus, 64);
            let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
            let doorbell = subscriber.doorbell();
            let (sender, receiver) = crossbeam_channel::bounded(1);
            let publisher = thread::spawn(move || {
                for event in 0..EVENTS {
                    topic.publish(event).unwrap();
                    if event % 1000 == 0 {
                        sender.send(()).unwrap();
                    }
                    if event % 10_000 == 0 {
                        let_others_park();
                    }
                }
                topic.close();
            });
            let (mut next, mut missed, mut messages) = (0, 0, 0);
            let mut other = Some(receiver);
            'events: loop {
                let never = crossbeam_channel::never();
                crossbeam_channel::select! {
                    recv(doorbell) -> rung => {
                        rung.expect("the subscriber is there");
                        loop {
                            match subscriber.poll(64, |event, meta| {
                                missed += meta.missed;
                                next += 1 + meta.missed;
                                assert_eq!(*event + 1, next);
                            }) {
                                Ok(0) => break,
                                Ok(_) => {}
                                Err(_) => break 'events,
                            }
                        }
                    }
                    recv(other.as_ref().unwrap_or(&never)) -> message => match message {
                        Ok(()) => messages += 1,
                        Err(_) => other = None,
                    }
                }
            }
            publisher.join().unwrap();
            messages += other.map_or(0, |other| other.try_iter().count());
            assert_eq!((next, messages), (EVENTS, 100));
            assert!(missed == 0 || overflow == Overflow::DropOldest);
        }
    });
}

#[test]
fn a_doorbell_disconnects_when_its_subscriber_goes() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut subscriber = topic.subscribe();
    let doorbell = subscriber.doorbell();
    assert_eq!(doorbell.try_recv(), Ok(()));
    assert_eq!(
        doorbell.try_recv(),
        Err(crossbeam_channel::TryRecvError::Empty)
    );
    assert_eq!(subscriber.poll(1, |_, _| ()), Ok(0));
    let second = subscriber.doorbell();
    assert_eq!(
        doorbell.try_recv(),
        Err(crossbeam_channel::TryRecvError::Disconnected)
    );
    drop(subscriber);
    assert_eq!(second.try_recv(), Ok(()));
    assert_eq!(
        second.try_recv(),
        Err(crossbeam_channel::TryRecvError::Disconnected)
    );
}

#[test]
fn a_subscriber_with_a_hook_may_be_given_to_a_reactor() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut subscriber = topic.subscribe();
    let hook = count(&mut subscriber);
    let mut reactor = ringbus::Reactor::new();
    let id = reactor.on(subscriber, |sum: &mut u64, event, _| *sum += event);
    let mut sum = 0;
    for _ in 0..10 {
        topic.publish(1).unwrap();
        let _ = reactor.turn(&mut sum, ringbus::Budget::unlimited());
    }
    assert_eq!(sum, 10);
    reactor.remove(id);
    let before = calls(&hook);
    topic.publish(1).unwrap();
    assert_eq!(calls(&hook), before);
}

#[test]
fn every_publisher_of_many_wakes_a_loop_that_looks_only_when_woken() {
    finishes("a loop with many publishers", || {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let mut subscriber = topic.subscribe();
        let doorbell = subscriber.doorbell();
        let publishers: Vec<_> = (0..3)
            .map(|_| {
                let topic = topic.clone();
                thread::spawn(move || {
                    for event in 0..10_000 {
                        topic.publish(event).unwrap();
                    }
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 30_000 {
            doorbell.recv().unwrap();
            while subscriber.poll(5, |_, _| seen += 1).unwrap() > 0 {}
        }
        publishers.into_iter().for_each(|one| one.join().unwrap());
        wait_until("nothing is left", || {
            subscriber.poll(1, |_, _| ()).unwrap() == 0
        });
    });
}
