//! Subscribers that come and go.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{assert_conserved, finishes, let_others_park, numbers, wait_until};
use ringbus::{Bus, Overflow, Start, SubscribeError, Topic};

fn open(bus: &Bus, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn subscribers_join_and_leave_from_many_threads_while_publishers_run() {
    finishes("joining and leaving", || {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let publishers = [topic.publisher().unwrap(), topic.publisher().unwrap()];
            let publishers = publishers.map(|publisher| {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        publisher.publish(0).unwrap();
                    }
                })
            });
            let guests =
                [Overflow::Block, Overflow::DropOldest, Overflow::Latest].map(|overflow| {
                    let topic = &topic;
                    scope.spawn(move || {
                        for _ in 0..if cfg!(miri) { 5 } else { 500 } {
                            let mut guest = topic.subscriber().overflow(overflow).open().unwrap();
                            let mut last = None;
                            while last < Some(3) {
                                guest
                                    .poll_wait(2, |_, meta| {
                                        assert!(last.is_none() || meta.sequence > 0);
                                        last = Some(last.map_or(0, |last: u64| last + 1));
                                    })
                                    .unwrap();
                            }
                        }
                    })
                });
            guests.into_iter().for_each(|guest| guest.join().unwrap());
            stop.store(true, Ordering::Relaxed);
            publishers
                .into_iter()
                .for_each(|publisher| publisher.join().unwrap());
        });
        assert!(topic.snapshot().subscribers.is_empty());
        assert_conserved(&topic);
    });
}

#[test]
fn a_dropped_subscriber_frees_blocked_publishers() {
    finishes("publishers behind a dropped subscriber", || {
        let bus = Bus::new();
        let topic = open(&bus, 2);
        let subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish_batch([0, 1]).unwrap();
        let one = publisher.clone();
        let blocked = [
            thread::spawn(move || one.publish(2).is_ok()),
            thread::spawn(move || publisher.publish_batch([3, 4]).is_ok()),
        ];
        let_others_park();
        drop(subscriber);
        assert!(
            blocked
                .map(|blocked| blocked.join().unwrap())
                .iter()
                .all(|ok| *ok)
        );
    });
}

#[test]
fn a_dropped_subscriber_that_shares_the_blame_frees_nobody() {
    finishes("a publisher behind two subscribers", || {
        let bus = Bus::new();
        let topic = open(&bus, 1);
        let one = topic.subscribe();
        let mut two = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let blocked = thread::spawn(move || publisher.publish(1));
        let_others_park();
        drop(one);
        let_others_park();
        assert!(!blocked.is_finished());
        assert_eq!(two.recv(), Ok(0));
        assert_eq!(blocked.join().unwrap(), Ok(1));
    });
}

#[test]
fn two_subscribers_made_at_one_sequence_are_two() {
    let bus = Bus::new();
    let topic = open(&bus, 2);
    let mut one = topic.subscribe();
    let mut two = topic.subscribe();
    topic.publish(0).unwrap();
    topic.publish(1).unwrap();
    let publisher = topic.publisher().unwrap();
    assert_eq!((one.recv(), one.recv()), (Ok(0), Ok(1)));
    assert!(
        publisher.try_publish(2).is_err(),
        "the other one has read nothing"
    );
    assert_eq!(two.recv(), Ok(0));
    publisher.try_publish(2).unwrap();
    drop(one);
    assert!(publisher.try_publish(3).is_err());
    assert_eq!(two.recv(), Ok(1));
    publisher.try_publish(3).unwrap();
}

#[test]
fn a_subscriber_that_joins_a_full_ring_starts_behind_it() {
    let bus = Bus::new();
    let topic = open(&bus, 2);
    let mut first = topic.subscribe();
    topic.publish(0).unwrap();
    topic.publish(1).unwrap();
    let mut second = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    assert!(publisher.try_publish(2).is_err());
    assert_eq!(first.recv(), Ok(0));
    publisher.try_publish(2).unwrap();
    assert_eq!(second.recv(), Ok(2));
}

#[test]
fn a_subscriber_after_a_time_without_any_gates_the_publishers() {
    let bus = Bus::new();
    let topic = open(&bus, 2);
    let publisher = topic.publisher().unwrap();
    drop(topic.subscribe());
    for event in 0..1000 {
        publisher.try_publish(event).unwrap();
    }
    let mut late = topic.subscribe();
    publisher.try_publish(0).unwrap();
    publisher.try_publish(1).unwrap();
    assert!(publisher.try_publish(2).is_err());
    assert_eq!((late.recv(), late.recv()), (Ok(0), Ok(1)));
}

#[test]
fn there_may_be_many_lossless_subscribers() {
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let mut subscribers: Vec<_> = (0..300).map(|_| topic.subscribe()).collect();
    for round in 0..10 {
        topic.publish(round).unwrap();
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.recv(), Ok(round));
        }
        drop(subscribers.swap_remove(round as usize));
    }
    assert_eq!(topic.snapshot().subscribers.len(), 290);
}

#[test]
fn a_ring_takes_as_many_lossy_subscribers_as_it_says() {
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let open = || topic.subscriber().overflow(Overflow::Latest).open();
    let mut lossy = Vec::new();
    let limit = loop {
        match open() {
            Ok(subscriber) => lossy.push(subscriber),
            Err(SubscribeError::TooManyLossy(limit)) => break limit,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(limit, lossy.len() as u64);
    assert_eq!(
        open().unwrap_err().to_string(),
        format!("topic takes at most {limit} lossy subscribers; a larger capacity takes more")
    );
    lossy.pop();
    lossy.push(open().unwrap());
    // Lossless ones are not counted, and all are served.
    let mut lossless = topic.subscribe();
    for event in 0..1000 {
        topic.publish(event).unwrap();
        assert_eq!(lossless.recv(), Ok(event));
    }
    for subscriber in &mut lossy {
        assert_eq!(subscriber.recv(), Ok(999));
    }
    assert_conserved(&topic);
}

#[test]
fn all_lossy_subscribers_holding_an_event_block_nobody() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let mut lossy = Vec::new();
    while let Ok(subscriber) = topic.subscriber().overflow(Overflow::DropOldest).open() {
        lossy.push(subscriber);
    }
    for (index, subscriber) in (0..).zip(&mut lossy) {
        topic.publish(index).unwrap();
        topic.publish(index).unwrap();
        // Takes one of the newest events, and keeps the claim on the next.
        while subscriber
            .poll(1, |_, meta| assert!(meta.sequence <= 2 * index + 1))
            .unwrap()
            == 0
        {}
        subscriber
            .poll_batch(64, |mut batch| assert!(batch.next().is_some()))
            .unwrap();
    }
    let publisher = topic.publisher().unwrap();
    for event in 0..1000 {
        publisher.try_publish(event).unwrap();
        publisher.try_publish_batch(0..10).unwrap();
    }
    for subscriber in &mut lossy {
        while subscriber.poll(64, |_, _| ()).unwrap() > 0 {}
    }
    assert_conserved(&topic);
}

/// Memory of this process, in pages.
#[cfg(target_os = "linux")]
fn resident_pages() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[cfg_attr(miri, ignore = "Miri has no memory to measure")]
#[test]
fn joining_and_leaving_for_ever_needs_no_memory() {
    let bus = Bus::new();
    let topic = open(&bus, 64);
    let _idle = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let churn = |times: u32| {
        for turn in 0..times {
            let overflow = match turn % 4 {
                0 => Overflow::Block,
                1 => Overflow::DropOldest,
                2 => Overflow::Latest,
                _ => Overflow::Disconnect,
            };
            let guest = topic
                .subscriber()
                .name("guest")
                .overflow(overflow)
                .open()
                .unwrap();
            if turn % 16 == 0 {
                topic.publish(1).unwrap();
            }
            drop(guest);
        }
    };
    churn(1 << 12);
    let before = resident_pages();
    churn(1 << 16);
    let grown = resident_pages().saturating_sub(before);
    // Other tests of this binary run beside this one; a leak of 64 bytes a cycle would be 1024 pages.
    assert!(grown < 1024, "65536 cycles have taken {grown} pages");
}

#[test]
fn a_seat_that_is_taken_again_starts_anew() {
    let bus = Bus::new();
    let topic = open(&bus, 4);
    for round in 0..100 {
        let mut guest = topic
            .subscriber()
            .name("guest")
            .overflow(if round % 2 == 0 {
                Overflow::DropOldest
            } else {
                Overflow::Block
            })
            .open()
            .unwrap();
        let numbers = numbers(&topic, "guest");
        assert_eq!(
            (
                numbers.published,
                numbers.delivered,
                numbers.missed,
                numbers.pending
            ),
            (0, 0, 0, 0)
        );
        for event in 0..4 {
            topic.publish(event).unwrap();
        }
        if round % 2 == 0 {
            // Left behind without having noticed that it was pushed.
            topic.publish(4).unwrap();
        } else {
            assert_eq!(guest.recv(), Ok(0));
        }
    }
}

#[test]
fn a_subscriber_is_opened_here_and_read_there() {
    let bus = Bus::new();
    let topic = open(&bus, 4);
    let mut subscriber = topic.subscribe();
    for event in 0..20 {
        topic.publish(event).unwrap();
        subscriber = thread::spawn(move || {
            assert_eq!(subscriber.recv(), Ok(event));
            subscriber
        })
        .join()
        .unwrap();
    }
}

#[test]
fn a_late_joiner_of_a_blocked_topic_is_served() {
    finishes("a join beside a blocked publisher", || {
        let bus = Bus::new();
        let topic = bus
            .topic_builder::<u64>()
            .capacity(4)
            .retain(4)
            .keep_open()
            .open()
            .unwrap();
        let first = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        for event in 0..4 {
            publisher.publish(event).unwrap();
        }
        let blocked = thread::spawn(move || publisher.publish(4));
        let_others_park();
        let mut late = topic.subscriber().start(Start::Oldest).open().unwrap();
        assert_eq!(late.recv(), Ok(0));
        drop(first);
        wait_until("the publisher goes on", || blocked.is_finished());
        assert_eq!(blocked.join().unwrap(), Ok(4));
        assert_eq!(
            late.try_iter().map(|(event, _)| event).collect::<Vec<_>>(),
            [1, 2, 3, 4]
        );
    });
}
