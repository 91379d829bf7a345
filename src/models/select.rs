//! Select: no ring of a bell is lost, whoever else comes and goes.

use std::time::Duration;

use loom::cell::UnsafeCell;
use loom::thread;

use super::explore;
use crate::channel::{Clock, Core, Overflow, Settings, Start, Subscriber, Topic, WaitStrategy};
use crate::select::schedule::Schedule;
use crate::select::{Ended, Reactor};
use crate::sync::{Arc, AtomicU64, Barrier, Calls, Ordering, Parker, ReadySet, WaitSet};

/// Two sources ring, and the owner sleeps until it has seen both.
#[test]
fn ready_set() {
    explore(Some(3), || {
        let set = ReadySet::new();
        let words = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let (set, words) = (Arc::clone(&set), Arc::clone(&words));
                thread::spawn(move || {
                    words[index].store(1, Ordering::Relaxed);
                    set.ring(index);
                })
            })
            .collect();
        let mut seen = 0;
        while seen < 2 {
            set.take(|index| {
                // The mark carries what was done before it.
                assert_eq!(words[index].load(Ordering::Relaxed), 1);
                seen += 1;
            });
            if seen < 2 {
                set.park(None);
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// A call carries what was done before it, and wakes the owner.
#[test]
fn ready_set_call() {
    explore(None, || {
        let set = ReadySet::new();
        let word = Arc::new(AtomicU64::new(0));
        let thread = {
            let (set, word) = (Arc::clone(&set), Arc::clone(&word));
            thread::spawn(move || {
                word.store(1, Ordering::Relaxed);
                set.call();
            })
        };
        while !set.take(|_| {}).called {
            set.park(None);
        }
        assert_eq!(word.load(Ordering::Relaxed), 1);
        thread.join().unwrap();
    });
}

/// A word that grows, and who waits for that.
struct Source {
    published: AtomicU64,
    waiters: WaitSet,
}

/// Two publishers, each of a source of its own; the owner arms, sleeps and serves until it has seen all.
fn arm_ring_park(preemptions: Option<usize>, events: u64) {
    explore(preemptions, move || {
        let sources: Arc<Vec<Source>> = Arc::new(
            (0..2)
                .map(|_| Source {
                    published: AtomicU64::new(0),
                    waiters: WaitSet::new(Barrier::of_process()),
                })
                .collect(),
        );
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let sources = Arc::clone(&sources);
                thread::spawn(move || {
                    for event in 1..=events {
                        sources[index].published.store(event, Ordering::Release);
                        sources[index].waiters.notify();
                    }
                })
            })
            .collect();
        let mut schedule = Schedule::new(&ReadySet::new());
        schedule.add(0);
        schedule.add(1);
        let mut seen = [0, 0];
        while seen != [events; 2] {
            schedule.collect();
            while let Some(index) = schedule.next() {
                seen[index] = sources[index].published.load(Ordering::Acquire);
                schedule.served(index, false);
            }
            if seen == [events; 2] {
                break;
            }
            schedule.arm(|index, waiter| sources[index].waiters.enlist(waiter));
            schedule
                .send_away(|index| sources[index].published.load(Ordering::Acquire) > seen[index]);
            if !schedule.has_hot() {
                schedule.park(None);
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn arm_ring_park_2_sources() {
    arm_ring_park(Some(3), 1);
}

#[test]
fn arm_ring_park_twice() {
    arm_ring_park(Some(2), 2);
}

/// The owner severs a closure that two threads may be calling, and then has what it used to itself.
#[test]
fn sever_waits_for_calls() {
    explore(None, || {
        let shared = Arc::new((Calls::new(), UnsafeCell::new(0)));
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if let Some(_call) = shared.0.enter() {
                    shared.1.with_mut(|_| {});
                }
            })
        };
        shared.0.sever();
        shared.1.with_mut(|_| {});
        assert!(shared.0.enter().is_none());
        thread.join().unwrap();
    });
}

fn topic() -> Topic<u64> {
    let settings = Settings {
        capacity: 2,
        keep_open: true,
        ..Settings::default()
    };
    Topic::of(Core::new(None, settings))
}

fn subscribe(topic: &Topic<u64>) -> Subscriber<u64> {
    Subscriber::join(topic.core(), None, Overflow::Block, Start::Now, None)
        .expect("a lossless subscriber from now on is never refused")
}

/// A reactor over two topics, each with a publisher on its own thread, until both are handled.
#[test]
fn reactor_2_topics_2_publishers() {
    explore(Some(2), || {
        let topics = [topic(), topic()];
        let mut reactor = Reactor::<u64>::new();
        for topic in &topics {
            reactor.on(subscribe(topic), |sum, event, cx| {
                *sum += event;
                if *sum == 3 {
                    cx.stop();
                }
            });
        }
        let threads: Vec<_> = topics
            .into_iter()
            .zip(1..)
            .map(|(topic, event)| {
                thread::spawn(move || {
                    topic.publish(event).expect("the topic is open");
                })
            })
            .collect();
        let mut sum = 0;
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
        assert_eq!(sum, 3);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// A reactor that sleeps is woken by the close of its only topic, after the event before it.
#[test]
fn reactor_close() {
    explore(Some(3), || {
        let topic = topic();
        let mut reactor = Reactor::<u64>::new();
        reactor.on(subscribe(&topic), |sum, event, _| *sum += event);
        let thread = thread::spawn(move || {
            topic.publish(1).expect("the topic is open");
            topic.close();
        });
        let mut sum = 0;
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Closed));
        assert_eq!(sum, 1);
        thread.join().unwrap();
    });
}

/// A reactor that sleeps, or is about to, is stopped from another thread.
#[test]
fn reactor_stop() {
    explore(None, || {
        let topic = topic();
        let mut reactor = Reactor::<u64>::new();
        reactor.on(subscribe(&topic), |_, _, _| {});
        let stop = reactor.stop_handle();
        let thread = thread::spawn(move || stop.stop());
        assert_eq!(reactor.run(&mut 0), Ok(Ended::Stopped));
        thread.join().unwrap();
    });
}

/// A reactor that sleeps by a manual clock is woken when it is moved.
#[test]
fn reactor_manual_clock() {
    explore(Some(3), || {
        let clock = Clock::manual();
        let mut reactor = Reactor::<u64>::builder().clock(clock.clone()).build();
        reactor.after(Duration::from_secs(1), |fired, _| *fired += 1);
        let thread = thread::spawn(move || clock.advance(Duration::from_secs(1)));
        let mut fired = 0;
        assert_eq!(reactor.run(&mut fired), Ok(Ended::Closed));
        assert_eq!(fired, 1);
        thread.join().unwrap();
    });
}

/// A guard goes while the handler's topic is published to: the handler is not called after that, and the
/// reactor, which then has no source, ends.
#[test]
fn reactor_guard_against_publish() {
    explore(Some(2), || {
        let topic = topic();
        let mut reactor = Reactor::<()>::new();
        let gone = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&gone);
        let id = reactor.on(subscribe(&topic), move |_, _, _| {
            assert_eq!(seen.load(Ordering::Relaxed), 0, "called after the drop");
        });
        let guard = reactor.guard(id).expect("it was just added");
        let publisher = thread::spawn(move || {
            topic.publish(1).expect("the topic is open");
        });
        let thread = thread::spawn(move || {
            drop(guard);
            gone.store(1, Ordering::Relaxed);
        });
        assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
        thread.join().unwrap();
        publisher.join().unwrap();
    });
}

/// A foreign loop that reads until there is nothing and then waits for the hook misses no event.
#[test]
fn hook() {
    explore(Some(3), || {
        let topic = topic();
        let mut subscriber = subscribe(&topic);
        let parker = Arc::new(Parker::new());
        let woken = Arc::clone(&parker);
        subscriber.on_ready(move || woken.unpark());
        let thread = thread::spawn(move || {
            topic.publish(1).expect("the topic is open");
            topic.publish(1).expect("there is room");
        });
        let mut sum = 0;
        while sum < 2 {
            parker.park(None);
            while subscriber.poll(4, |event, _| sum += event) != Ok(0) {}
        }
        thread.join().unwrap();
    });
}

/// Room for what waits in an outbox wakes the reactor that sleeps on it.
#[test]
fn outbox_waits_for_room() {
    explore(Some(2), || {
        let (input, output) = (topic(), topic());
        let mut reader = subscribe(&output);
        let publisher = output.publisher().expect("the topic is open");
        publisher.publish(1).expect("there is room");
        publisher.publish(1).expect("there is room");
        let mut reactor = Reactor::<()>::new();
        reactor.on(subscribe(&input), move |_, event, cx| {
            cx.publish(&publisher, *event).expect("the outbox has room");
        });
        input.publish(7).expect("the topic is open");
        input.close();
        let thread = thread::spawn(move || {
            let mut last = 0;
            // One read makes room; what comes then is waited for.
            reader.poll(1, |_, _| {}).expect("there are two");
            assert_eq!(reader.poll(1, |_, _| {}), Ok(1));
            while last != 7 {
                reader
                    .poll_wait(1, |event, _| last = *event)
                    .expect("the topic stays open");
            }
        });
        assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
        thread.join().unwrap();
    });
}

/// `select!` over two topics takes what either brings.
#[test]
fn select_2_topics() {
    explore(Some(3), || {
        let topics = [topic(), topic()];
        let [mut one, mut other] = [subscribe(&topics[0]), subscribe(&topics[1])];
        assert_eq!(one.strategy(), WaitStrategy::Park);
        let [one_topic, other_topic] = topics;
        let thread = thread::spawn(move || {
            other_topic.publish(2).expect("the topic is open");
            drop(one_topic);
        });
        let seen = crate::select! {
            biased;
            event = one => event,
            event = other => event,
        };
        assert_eq!(seen, Ok(2));
        thread.join().unwrap();
    });
}
