//! Sources that come and go while publishers run, and very many of them.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{Random, assert_conserved, finishes, let_others_park, wait_until};
use ringbus::{Budget, Bus, Ended, HandlerId, Overflow, Reactor, Topic};

fn topics(bus: &Bus, count: usize, capacity: usize) -> Vec<Topic<u64>> {
    (0..count)
        .map(|number| {
            bus.topic_builder()
                .name(format!("t{number}"))
                .capacity(capacity)
                .keep_open()
                .open()
                .unwrap()
        })
        .collect()
}

/// Publishes to the topics by turns until it is told to stop; returns how many events.
fn publish_until(topics: &[Topic<u64>], done: &Arc<AtomicBool>) -> thread::JoinHandle<u64> {
    let (topics, done) = (topics.to_vec(), Arc::clone(done));
    thread::spawn(move || {
        let mut count = 0;
        while !done.load(Ordering::Relaxed) {
            for topic in &topics {
                topic.publish(count).unwrap();
                count += 1;
            }
        }
        count
    })
}

#[test]
fn thousands_of_sources_come_and_go_under_a_publisher() {
    finishes("a reactor whose sources come and go", || {
        let bus = Bus::new();
        let topics = topics(&bus, 4, 64);
        let done = Arc::new(AtomicBool::new(false));
        let publisher = publish_until(&topics, &done);
        let mut reactor = Reactor::<u64>::new();
        let mut live: Vec<HandlerId> = Vec::new();
        let mut random = Random(1);
        let mut handled = 0;
        for round in 0..3000 {
            let topic = &topics[random.below(4) as usize];
            let overflow = match random.below(4) {
                0 => Overflow::Block,
                1 => Overflow::Latest,
                _ => Overflow::DropOldest,
            };
            if let Ok(subscriber) = topic.subscriber().overflow(overflow).open() {
                let mut last = None;
                live.push(reactor.on(subscriber, move |handled, event, _| {
                    assert!(last.is_none_or(|last| last < *event), "order");
                    last = Some(*event);
                    *handled += 1;
                }));
            }
            if live.len() > 20 {
                let which = random.below(live.len() as u64) as usize;
                assert!(reactor.remove(live.swap_remove(which)));
            }
            if round % 3 == 0 {
                let _ = reactor.turn(&mut handled, Budget::events(100));
            }
        }
        for id in live {
            assert!(reactor.remove(id));
        }
        done.store(true, Ordering::Relaxed);
        publisher.join().unwrap();
        assert_eq!(reactor.snapshot().open, 0);
        assert_eq!(reactor.snapshot().handled, handled);
        assert!(
            topics
                .iter()
                .all(|topic| topic.snapshot().subscribers.is_empty())
        );
    });
}

#[test]
fn a_running_reactor_adds_and_removes_sources_and_loses_nothing_of_those_that_stay() {
    finishes("a run whose handlers add and remove sources", || {
        let bus = Bus::new();
        let topics = topics(&bus, 2, 32);
        let mut reactor = Reactor::new();
        type State = (u64, Option<HandlerId>);
        let churned = topics[1].clone();
        reactor.on(
            topics[0].subscribe(),
            move |state: &mut State, event, cx| {
                assert_eq!(*event, state.0);
                state.0 += 1;
                if let Some(id) = state.1.take() {
                    assert!(cx.remove(id));
                } else {
                    state.1 = Some(cx.on(churned.subscribe(), |_, _, _| ()));
                }
            },
        );
        let done = Arc::new(AtomicBool::new(false));
        let publisher = publish_until(&topics[1..], &done);
        let counted = {
            let topic = topics[0].clone();
            thread::spawn(move || {
                for event in 0..5000 {
                    topic.publish(event).unwrap();
                }
                topic.close();
            })
        };
        let mut state = (0, None);
        // The churned one may be there at the end, or not.
        let stop = reactor.stop_handle();
        let ender = thread::spawn(move || {
            counted.join().unwrap();
            done.store(true, Ordering::Relaxed);
            done
        });
        let closing = topics[1].clone();
        let closer = thread::spawn(move || {
            ender.join().unwrap();
            publisher.join().unwrap();
            closing.close();
        });
        assert_eq!(reactor.run(&mut state), Ok(Ended::Closed));
        closer.join().unwrap();
        drop(stop);
        assert_eq!(state.0, 5000);
        topics.iter().for_each(assert_conserved);
    });
}

#[test]
fn a_reactor_may_be_dropped_while_publishers_run() {
    finishes("publishers whose reactor goes", || {
        let bus = Bus::new();
        let topics = topics(&bus, 3, 4);
        let done = Arc::new(AtomicBool::new(false));
        let publishers = [0, 1].map(|_| publish_until(&topics, &done));
        for round in 0..300 {
            let mut reactor = Reactor::new();
            for topic in &topics {
                reactor.on(topic.subscribe(), move |left: &mut u64, _, cx| {
                    *left -= 1;
                    if *left == 0 {
                        cx.stop();
                    }
                });
            }
            let mut left = 1 + round % 100;
            assert_eq!(reactor.run(&mut left), Ok(Ended::Stopped));
            drop(reactor);
        }
        done.store(true, Ordering::Relaxed);
        for publisher in publishers {
            assert!(publisher.join().unwrap() > 0);
        }
        assert!(
            topics
                .iter()
                .all(|topic| topic.snapshot().subscribers.is_empty())
        );
    });
}

#[test]
fn each_of_three_thousand_sources_wakes_a_parked_run() {
    finishes("a run of three thousand sources", || {
        const SOURCES: usize = 3000;
        let bus = Bus::new();
        let topics = topics(&bus, SOURCES, 1);
        let last = Arc::new(AtomicU64::new(u64::MAX));
        let mut reactor = Reactor::new();
        for (number, topic) in topics.iter().enumerate() {
            reactor.on(
                topic.subscribe(),
                move |last: &mut Arc<AtomicU64>, event, _| {
                    assert_eq!(*event, number as u64, "of this source and no other");
                    last.store(*event, Ordering::Release);
                },
            );
        }
        let mut state = Arc::clone(&last);
        let runner = thread::spawn(move || {
            let ended = reactor.run(&mut state);
            (ended, reactor.snapshot())
        });
        let mut random = Random(7);
        for round in 0..SOURCES {
            // Every one, in an order that jumps.
            let number = round * 1009 % SOURCES;
            if random.below(100) == 0 {
                let_others_park();
            }
            topics[number].publish(number as u64).unwrap();
            wait_until("it is handled", || {
                last.load(Ordering::Acquire) == number as u64
            });
        }
        bus.close();
        let (ended, snapshot) = runner.join().unwrap();
        assert_eq!(ended, Ok(Ended::Closed));
        assert_eq!((snapshot.handled, snapshot.open), (SOURCES as u64, 0));
        assert!(snapshot.parked > 10);
    });
}

#[test]
fn ever_new_topics_leave_nothing_behind() {
    let bus = Bus::new();
    let mut reactor = Reactor::new();
    let mut handled = 0_u64;
    for round in 0..2000 {
        let topic = bus.topic_named::<u64>(&format!("t{}", round % 7)).unwrap();
        let publisher = topic.publisher().unwrap();
        let id = reactor.on(topic.subscribe(), |handled: &mut u64, _, _| *handled += 1);
        publisher.publish(0).unwrap();
        let turn = reactor.turn(&mut handled, Budget::unlimited());
        assert_eq!((turn.handled, turn.open), (1, 1));
        assert!(reactor.remove(id));
        drop(publisher);
        if topic.is_closed() {
            // The name is taken by a closed topic.
            break;
        }
    }
    assert_eq!(reactor.snapshot().open, 0);
}
