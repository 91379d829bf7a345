//! Merged subscribers: a wake-up reaches whoever waits, also through two ready sets, and no topic appears
//! unseen.

use loom::thread;

use super::explore;
use crate::bus::Bus;
use crate::channel::{PollError, RecvError, Topic};
use crate::select::{Ended, MergedSubscriber, Reactor};
use crate::sync::{Arc, AtomicU64, Barrier, Ordering, Parker, ReadySet, WaitSet, Waiter};

fn open(bus: &Bus, name: &str) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(2)
        .keep_open()
        .open()
        .expect("there is such a topic")
}

/// A bus, a subscriber of all its topics, and topics opened afterwards.
fn opened<const N: usize>() -> (Bus, MergedSubscriber<u64>, [Topic<u64>; N]) {
    let bus = Bus::new();
    let merged = bus.subscribe_pattern(">").expect("it is a pattern");
    let topics = std::array::from_fn(|index| open(&bus, ["a", "b"][index]));
    (bus, merged, topics)
}

fn publish_each<const N: usize>(
    topics: [Topic<u64>; N],
    events: u64,
) -> Vec<thread::JoinHandle<()>> {
    topics
        .into_iter()
        .zip(1..)
        .map(|(topic, event)| {
            thread::spawn(move || {
                for _ in 0..events {
                    topic.publish(event).expect("the topic is open");
                }
            })
        })
        .collect()
}

/// Two sources ring a set whose owner waits outside, by a wait set that the alarm notifies.
#[test]
fn ready_set_watch() {
    explore(Some(3), || {
        let set = ReadySet::new();
        let outer = Arc::new(WaitSet::new(Barrier::of_process()));
        let woken = Arc::clone(&outer);
        set.set_alarm(move || woken.notify());
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let set = Arc::clone(&set);
                thread::spawn(move || set.ring(index))
            })
            .collect();
        let parker = Arc::new(Parker::new());
        let waiter = Waiter::Thread(Arc::clone(&parker));
        let mut seen = 0;
        while seen < 2 {
            set.take(|_| seen += 1);
            if seen < 2 {
                outer.enlist(&waiter);
                if set.watch() {
                    parker.park(None);
                }
                outer.leave(&waiter);
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Read by itself: it sleeps until both topics have published.
#[test]
fn park_2_topics() {
    explore(Some(3), || {
        let (_bus, mut merged, topics) = opened::<2>();
        let threads = publish_each(topics, 1);
        let mut sum = 0;
        while sum < 3 {
            merged
                .poll_wait(4, |event, _| sum += event)
                .expect("the topics stay open");
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// In a reactor: what rings inside wakes the sleep outside, again and again.
fn reactor<const N: usize>(preemptions: usize, events: u64) {
    explore(Some(preemptions), move || {
        let (_bus, merged, topics) = opened::<N>();
        let expected = (1..=N as u64).sum::<u64>() * events;
        let mut reactor = Reactor::<u64>::new();
        reactor.on_merged(merged, move |sum, event, _, cx| {
            *sum += event;
            if *sum == expected {
                cx.stop();
            }
        });
        let threads = publish_each(topics, events);
        let mut sum = 0;
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
        assert_eq!(sum, expected);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn reactor_2_topics() {
    reactor::<2>(2, 1);
}

#[test]
fn reactor_1_topic_twice() {
    reactor::<1>(3, 2);
}

/// `select!` sleeps over two merged subscribers and takes what either brings.
#[test]
fn select_merged() {
    explore(Some(3), || {
        let (_bus, mut one, [topic]) = opened::<1>();
        let (_other_bus, mut other, [other_topic]) = opened::<1>();
        let thread = thread::spawn(move || {
            other_topic.publish(2).expect("the topic is open");
            drop(topic);
        });
        let seen = crate::select! {
            biased;
            event = one => event,
            event = other => event,
        };
        assert_eq!(seen.map(|delivery| delivery.event), Ok(2));
        thread.join().unwrap();
    });
}

/// A topic appears and publishes while the subscriber goes to sleep.
#[test]
fn topic_appears_against_park() {
    explore(Some(3), || {
        let (bus, mut merged, []) = opened::<0>();
        let opener = bus.clone();
        let thread = thread::spawn(move || {
            open(&opener, "a").publish(1).expect("the topic is open");
        });
        let mut seen = 0;
        assert_eq!(merged.poll_wait(4, |event, _| seen += event), Ok(1));
        assert_eq!(seen, 1);
        thread.join().unwrap();
    });
}

/// The same while a reactor goes to sleep over it.
#[test]
fn topic_appears_against_reactor() {
    explore(Some(3), || {
        let (bus, merged, []) = opened::<0>();
        let mut reactor = Reactor::<u64>::new();
        reactor.on_merged(merged, |sum, event, _, cx| {
            *sum += event;
            cx.stop();
        });
        let opener = bus.clone();
        let thread = thread::spawn(move || {
            open(&opener, "a").publish(1).expect("the topic is open");
        });
        let mut sum = 0;
        assert_eq!(reactor.run(&mut sum), Ok(Ended::Stopped));
        assert_eq!(sum, 1);
        thread.join().unwrap();
    });
}

/// A topic is opened while a subscriber of its pattern is: whichever comes first, what is published after
/// the subscription is seen, once.
#[test]
fn topic_appears_against_subscribe() {
    explore(Some(3), || {
        let bus = Bus::new();
        let subscribed = Arc::new(AtomicU64::new(0));
        let (opener, seen) = (bus.clone(), Arc::clone(&subscribed));
        let thread = thread::spawn(move || {
            let topic = open(&opener, "a");
            let first = seen.load(Ordering::Acquire);
            topic.publish(1).expect("the topic is open");
            first
        });
        let mut merged = bus.subscribe_pattern::<u64>("*").expect("it is a pattern");
        subscribed.store(1, Ordering::Release);
        let subscribed_first = thread.join().unwrap() == 1;
        let mut seen = 0;
        merged
            .poll(4, |event, _| seen += event)
            .expect("it is open");
        assert!(seen == 1 || seen == 0 && !subscribed_first, "seen {seen}");
        assert_eq!(merged.snapshot().topics, 1);
    });
}

/// Somebody finds a topic that another has just opened, and publishes: who reads after that finds the
/// event, though the opener has perhaps not woken anybody yet.
#[test]
fn what_is_published_can_be_read() {
    explore(Some(3), || {
        let (bus, mut merged, []) = opened::<0>();
        let opener = bus.clone();
        let thread = thread::spawn(move || drop(open(&opener, "a")));
        open(&bus, "a").publish(1).expect("the topic is open");
        let mut seen = 0;
        merged
            .poll(4, |event, _| seen += event)
            .expect("it is open");
        assert_eq!(seen, 1);
        thread.join().unwrap();
    });
}

/// The bus closes while the subscriber sleeps: the event before it, then the end.
#[test]
fn bus_closes() {
    explore(Some(3), || {
        let (bus, mut merged, [topic]) = opened::<1>();
        let thread = thread::spawn(move || {
            topic.publish(1).expect("the topic is open");
            bus.close();
        });
        let mut seen = 0;
        assert_eq!(merged.poll_wait(4, |event, _| seen += event), Ok(1));
        assert_eq!(merged.poll_wait(4, |_, _| {}), Err(PollError::Closed));
        assert_eq!(seen, 1);
        thread.join().unwrap();
    });
}

/// A lane is made, used and dropped while the reader sleeps: its event, then the end, as it was the last.
#[test]
fn last_lane_ends() {
    explore(Some(3), || {
        let bus = Bus::new();
        let lanes = bus
            .topic_builder::<u64>()
            .capacity(2)
            .open_lanes()
            .expect("there are such lanes");
        let mut merged = lanes.subscribe();
        let thread = thread::spawn(move || {
            let mut publisher = lanes.publisher().expect("the lanes are open");
            publisher.publish(1).expect("the lane is open");
        });
        assert_eq!(merged.recv().map(|delivery| delivery.event), Ok(1));
        assert_eq!(merged.recv().map(|_| ()), Err(RecvError::Closed));
        thread.join().unwrap();
    });
}
