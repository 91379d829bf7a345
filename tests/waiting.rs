//! Waiting and being woken, with every wait strategy.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{finishes, let_others_park, wait_until};
use ringbus::{
    Bus, Overflow, PollError, PublishError, RecvError, RecvTimeoutError, Topic, WaitStrategy,
};

const STRATEGIES: [WaitStrategy; 3] = [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park];

/// Runs `work` for every strategy with a topic of the given capacity.
fn with_every_strategy(what: &str, capacity: usize, work: fn(&Bus, Topic<u64>)) {
    for strategy in STRATEGIES {
        finishes(&format!("{what} ({strategy:?})"), move || {
            let bus = Bus::new();
            let topic = bus
                .topic_builder()
                .capacity(capacity)
                .wait(strategy)
                .keep_open()
                .open()
                .unwrap();
            work(&bus, topic);
        });
    }
}

#[test]
fn a_waiting_reader_wakes_for_an_event() {
    with_every_strategy("a reader that waits for an event", 8, |_, topic| {
        for overflow in [
            Overflow::Block,
            Overflow::DropOldest,
            Overflow::Latest,
            Overflow::Disconnect,
        ] {
            let mut subscriber = topic.subscriber().overflow(overflow).open().unwrap();
            let (sender, received) = mpsc::channel();
            let reader = thread::spawn(move || {
                sender.send(subscriber.recv().unwrap()).unwrap();
                let event = subscriber.recv_timeout(Duration::MAX).unwrap();
                sender.send(event).unwrap();
                sender.send(subscriber.iter().next().unwrap().0).unwrap();
            });
            for event in 0..3 {
                let_others_park();
                topic.publish(event).unwrap();
                // The newest of several would be one event for the reader that takes the latest.
                assert_eq!(received.recv(), Ok(event));
            }
            reader.join().unwrap();
        }
    });
}

#[test]
fn a_waiting_poll_wakes_for_an_event() {
    with_every_strategy("a poll that waits for an event", 8, |_, topic| {
        let mut subscriber = topic.subscribe();
        let reader = thread::spawn(move || {
            let mut seen = Vec::new();
            subscriber
                .poll_wait(8, |event, _| seen.push(*event))
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(3600);
            subscriber
                .poll_deadline(8, deadline, |event, _| seen.push(*event))
                .unwrap();
            seen.extend(
                subscriber
                    .poll_batch_wait(8, |batch| {
                        batch.map(|(event, _)| *event).collect::<Vec<_>>()
                    })
                    .unwrap(),
            );
            seen
        });
        for event in 0..3 {
            let_others_park();
            topic.publish(event).unwrap();
        }
        assert_eq!(reader.join().unwrap(), [0, 1, 2]);
    });
}

#[test]
fn every_kind_of_publish_wakes_a_reader() {
    with_every_strategy("a reader beside an exclusive publisher", 8, |_, topic| {
        let mut subscriber = topic.subscribe();
        let reader = thread::spawn(move || {
            (0..6)
                .map(|_| subscriber.recv().unwrap())
                .collect::<Vec<_>>()
        });
        let mut publisher = topic.exclusive_publisher().unwrap();
        let_others_park();
        publisher.publish(0).unwrap();
        let_others_park();
        publisher.publish_with(|| 1).unwrap();
        let_others_park();
        publisher.publish_batch([2]).unwrap();
        let_others_park();
        publisher.try_publish(3).unwrap();
        drop(publisher);
        let_others_park();
        topic.publisher().unwrap().publish_batch([4]).unwrap();
        let_others_park();
        topic.publish(5).unwrap();
        assert_eq!(reader.join().unwrap(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn all_waiting_readers_wake() {
    with_every_strategy("several readers", 8, |_, topic| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let mut subscriber = topic.subscribe();
                thread::spawn(move || subscriber.recv())
            })
            .collect();
        let_others_park();
        topic.publish(7).unwrap();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), Ok(7));
        }
    });
}

#[test]
fn a_waiting_reader_wakes_for_the_close() {
    with_every_strategy("a reader that waits for the close", 8, |bus, topic| {
        let mut one = topic.subscribe();
        let mut two = topic
            .subscriber()
            .overflow(Overflow::Latest)
            .open()
            .unwrap();
        let mut three = topic.subscribe();
        let one = thread::spawn(move || one.recv());
        let two = thread::spawn(move || two.poll_wait(1, |_, _| ()));
        let three = thread::spawn(move || three.iter().count());
        let_others_park();
        bus.close();
        assert_eq!(one.join().unwrap(), Err(RecvError::Closed));
        assert_eq!(two.join().unwrap(), Err(PollError::Closed));
        assert_eq!(three.join().unwrap(), 0);
    });
}

#[test]
fn a_waiting_reader_wakes_when_the_last_publisher_goes() {
    for strategy in STRATEGIES {
        finishes("a reader without publishers", move || {
            let bus = Bus::new();
            let topic = bus.topic_builder::<u64>().wait(strategy).open().unwrap();
            let publisher = topic.publisher().unwrap();
            let mut subscriber = topic.subscribe();
            let reader = thread::spawn(move || subscriber.recv());
            let_others_park();
            drop(publisher);
            assert_eq!(reader.join().unwrap(), Err(RecvError::Closed));
        });
    }
}

#[test]
fn a_waiting_reader_wakes_at_its_deadline_and_not_before() {
    with_every_strategy("a reader with a deadline", 8, |_, topic| {
        let mut subscriber = topic.subscribe();
        let wait = Duration::from_millis(20);
        let since = Instant::now();
        assert_eq!(
            subscriber.recv_timeout(wait),
            Err(RecvTimeoutError::Timeout)
        );
        assert!(since.elapsed() >= wait);
        let deadline = Instant::now() + wait;
        assert_eq!(
            subscriber.recv_deadline(deadline),
            Err(RecvTimeoutError::Timeout)
        );
        assert!(Instant::now() >= deadline);
        let deadline = Instant::now() + wait;
        assert_eq!(subscriber.poll_deadline(8, deadline, |_, _| ()), Ok(0));
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn a_deadline_in_the_past_takes_what_is_there() {
    with_every_strategy("a deadline in the past", 8, |_, topic| {
        let mut subscriber = topic.subscribe();
        topic.publish(1).unwrap();
        topic.publish(2).unwrap();
        let past = Instant::now();
        assert_eq!(subscriber.recv_deadline(past), Ok(1));
        assert_eq!(subscriber.poll_deadline(1, past, |_, _| ()), Ok(1));
        assert_eq!(
            subscriber.recv_deadline(past),
            Err(RecvTimeoutError::Timeout)
        );
    });
}

#[test]
fn events_that_the_filter_refuses_do_not_end_the_wait() {
    with_every_strategy("a filtered reader", 8, |_, topic| {
        let mut subscriber = topic
            .subscriber()
            .filter(|event| *event == 9)
            .open()
            .unwrap();
        let reader = thread::spawn(move || subscriber.recv());
        for event in 0..10 {
            topic.publish(event).unwrap();
            if event % 3 == 0 {
                let_others_park();
            }
        }
        assert_eq!(reader.join().unwrap(), Ok(9));
    });
}

#[test]
fn a_blocked_publisher_wakes_for_space() {
    with_every_strategy("a publisher that waits for space", 2, |_, topic| {
        let publisher = topic.publisher().unwrap();
        let mut subscriber = topic.subscribe();
        publisher.publish_batch([0, 1]).unwrap();
        let blocked = thread::spawn(move || {
            for event in 2..6 {
                publisher.publish(event).unwrap();
            }
        });
        let mut seen = Vec::new();
        let_others_park();
        seen.push(subscriber.recv().unwrap());
        let_others_park();
        subscriber.poll(1, |event, _| seen.push(*event)).unwrap();
        let_others_park();
        subscriber
            .poll_batch(1, |batch| seen.extend(batch.map(|(event, _)| *event)))
            .unwrap();
        let_others_park();
        seen.push(subscriber.try_recv().unwrap());
        blocked.join().unwrap();
        seen.extend(subscriber.try_iter().map(|(event, _)| event));
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        assert!(topic.snapshot().blocked >= 1);
    });
}

#[test]
fn a_blocked_publisher_wakes_when_the_filter_refuses_what_is_in_the_way() {
    with_every_strategy("a publisher behind a filter", 2, |_, topic| {
        let publisher = topic.publisher().unwrap();
        let mut subscriber = topic.subscriber().filter(|_| false).open().unwrap();
        publisher.publish_batch([0, 1]).unwrap();
        let blocked = thread::spawn(move || publisher.publish(2));
        let_others_park();
        assert_eq!(subscriber.poll(8, |_, _| ()), Ok(0));
        assert!(blocked.join().unwrap().is_ok());
    });
}

#[test]
fn a_blocked_publisher_wakes_for_the_close() {
    with_every_strategy("a publisher that waits for the close", 1, |_, topic| {
        let _subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let others = [publisher.clone(), publisher];
        let blocked = others.map(|publisher| thread::spawn(move || publisher.publish(1)));
        let_others_park();
        topic.close();
        for blocked in blocked {
            assert_eq!(blocked.join().unwrap(), Err(PublishError::Closed(1)));
        }
    });
}

#[test]
fn a_blocked_exclusive_publisher_wakes_for_space_a_leaver_and_the_close() {
    with_every_strategy("an exclusive publisher", 1, |_, topic| {
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        publisher.publish(0).unwrap();
        let blocked = thread::spawn(move || {
            publisher.publish(1).unwrap();
            publisher.publish(2).unwrap();
            (3..).find_map(|event| publisher.publish(event).err())
        });
        let_others_park();
        assert_eq!(subscriber.recv(), Ok(0));
        wait_until("the second event is there", || {
            topic.snapshot().published == 2
        });
        let_others_park();
        drop(subscriber);
        wait_until("the third event is there", || {
            topic.snapshot().published >= 3
        });
        let _in_the_way = topic.subscribe();
        let_others_park();
        topic.close();
        assert!(matches!(
            blocked.join().unwrap(),
            Some(PublishError::Closed(_))
        ));
    });
}

#[test]
fn a_blocked_publisher_wakes_for_a_leaving_subscriber() {
    with_every_strategy("a publisher behind a leaving subscriber", 1, |_, topic| {
        let subscriber = topic.subscribe();
        let mut other = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish(0).unwrap();
        let blocked = thread::spawn(move || publisher.publish(1));
        assert_eq!(other.recv(), Ok(0));
        let_others_park();
        drop(subscriber);
        assert_eq!(blocked.join().unwrap(), Ok(1));
        assert_eq!(other.recv(), Ok(1));
    });
}

#[test]
fn all_blocked_publishers_go_on_when_there_is_room() {
    with_every_strategy("several publishers", 4, |_, topic| {
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        publisher.publish_batch([0; 4]).unwrap();
        let blocked: Vec<_> = (1..5)
            .map(|event| {
                let publisher = publisher.clone();
                thread::spawn(move || publisher.publish(event).map(drop))
            })
            .collect();
        let_others_park();
        assert_eq!(subscriber.poll(4, |_, _| ()), Ok(4));
        for blocked in blocked {
            assert_eq!(blocked.join().unwrap(), Ok(()));
        }
        let mut seen: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4]);
    });
}

#[test]
fn a_disconnected_reader_that_waits_is_told() {
    with_every_strategy("a reader that is disconnected", 1, |_, topic| {
        let mut subscriber = topic
            .subscriber()
            .overflow(Overflow::Disconnect)
            .open()
            .unwrap();
        topic.publish(0).unwrap();
        topic.publish(1).unwrap();
        let reader = thread::spawn(move || subscriber.recv());
        assert_eq!(reader.join().unwrap(), Err(RecvError::Disconnected(1)));
    });
}

#[test]
fn ping_pong_loses_no_wake_up() {
    with_every_strategy("ping pong", 1, |bus, there| {
        let back: Topic<i64> = bus.topic_builder().capacity(1).keep_open().open().unwrap();
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        let mut requests = there.subscribe();
        let mut answers = back.subscribe();
        let answerer = thread::spawn(move || {
            let publisher = back.publisher().unwrap();
            for _ in 0..rounds {
                let request = requests.recv().unwrap();
                publisher.publish(-(request as i64)).unwrap();
            }
        });
        let publisher = there.publisher().unwrap();
        for round in 0..rounds {
            publisher.publish(round).unwrap();
            assert_eq!(answers.recv(), Ok(-(round as i64)));
        }
        answerer.join().unwrap();
    });
}

#[test]
fn tokens_of_other_libraries_neither_wake_nor_starve_a_reader() {
    finishes("a reader with stolen tokens", || {
        let bus = Bus::new();
        let topic = bus.topic::<u64>();
        let mut subscriber = topic.subscribe();
        let reader = thread::spawn(move || {
            let event = subscriber.recv();
            // The token that the test left is still there for whoever it was meant for.
            thread::park();
            event
        });
        let_others_park();
        reader.thread().unpark();
        let_others_park();
        assert!(!reader.is_finished());
        topic.publish(1).unwrap();
        assert_eq!(reader.join().unwrap(), Ok(1));
    });
}

#[test]
fn the_snapshot_tells_how_often_threads_parked() {
    finishes("a parked reader", || {
        let bus = Bus::new();
        let topic = bus.topic::<u64>();
        let mut subscriber = topic.subscribe();
        // On a busy machine the time may pass before the thread comes to sleep.
        let mut waits = 0;
        wait_until("a wait has come to sleep", || {
            waits += 1;
            assert!(subscriber.recv_timeout(Duration::from_millis(20)).is_err());
            topic.snapshot().parked > 0
        });
        assert_eq!(topic.snapshot().parked, 1, "in {waits} waits");
        assert!(topic.snapshot().parked_time > Duration::ZERO);
    });
}
