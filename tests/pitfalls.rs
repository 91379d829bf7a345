//! What went wrong in other rings and buses, and must not here. What has a file of its own is tested there:
//! waking in `waiting`, joining and leaving in `membership`, panics in `panics`, losses in `overflow`,
//! processor time in `idle_cpu`.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use common::{assert_conserved, finishes, let_others_park, numbers, wait_until};
use ringbus::{
    Bus, MAX_SEQUENCE, Overflow, PublishError, RecvError, RecvTimeoutError, Topic, TryRecvError,
};

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn a_notify_is_not_elided_while_a_reader_falls_asleep() {
    finishes("a reader that falls asleep at every event", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 4);
        let mut subscriber = topic.subscribe();
        let rounds = if cfg!(miri) { 20 } else { 3000 };
        let (answer, answers) = mpsc::channel();
        let reader = thread::spawn(move || {
            for event in 0..rounds {
                assert_eq!(subscriber.recv(), Ok(event));
                answer.send(event).unwrap();
            }
        });
        let mut publisher = topic.exclusive_publisher().unwrap();
        for event in 0..rounds {
            publisher.publish(event).unwrap();
            // Only the reader's answer lets the next event go: a wake-up that is lost stays lost.
            assert_eq!(answers.recv(), Ok(event));
            for _ in 0..event % 300 {
                std::hint::spin_loop();
            }
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_wake_up_does_not_end_at_a_waiter_that_has_gone() {
    finishes("publishers beside one that gives up", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 1);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        for round in 0..if cfg!(miri) { 2 } else { 30 } {
            publisher.publish(0).unwrap();
            let impatient = publisher.clone();
            let patient = publisher.clone();
            let impatient = thread::spawn(move || {
                impatient
                    .publish_timeout(1, Duration::from_micros(round * 50))
                    .is_ok()
            });
            let patient = thread::spawn(move || patient.publish(2).is_ok());
            let mut seen = vec![subscriber.recv().unwrap()];
            while !seen.contains(&2) {
                seen.push(subscriber.recv().unwrap());
            }
            assert!(patient.join().unwrap());
            if impatient.join().unwrap() && !seen.contains(&1) {
                assert_eq!(subscriber.recv(), Ok(1));
            }
        }
    });
}

#[test]
fn a_topic_without_subscribers_remembers_no_endless_room() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    drop(topic.subscribe());
    let mut publisher = topic.exclusive_publisher().unwrap();
    for event in 0..100 {
        publisher.try_publish(event).unwrap();
        if event % 10 == 0 {
            let mut late = topic.subscribe();
            let taken = (0..10)
                .take_while(|event| publisher.try_publish(*event).is_ok())
                .count();
            assert_eq!(taken, 4);
            assert_eq!(
                late.try_iter().map(|(event, _)| event).collect::<Vec<_>>(),
                [0, 1, 2, 3]
            );
        }
    }
}

#[test]
fn an_unused_subscriber_holds_up_only_the_publishers_of_its_topic() {
    let bus = Bus::new();
    let (stuck, free) = (open::<u64>(&bus, 1), open::<u32>(&bus, 1));
    let _unused = stuck.subscribe();
    stuck.publish(0).unwrap();
    let mut subscriber = free.subscribe();
    for event in 0..1000 {
        free.publish(event).unwrap();
        assert_eq!(subscriber.recv(), Ok(event));
    }
}

#[test]
fn a_publisher_in_the_middle_of_a_batch_makes_nobody_spin() {
    finishes("an unfinished batch", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let (pause, paused) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        let thread = thread::spawn(move || {
            let batch = (0..2_u8).map(|event| {
                pause.send(()).unwrap();
                goes_on.recv().unwrap();
                u64::from(event)
            });
            publisher.publish_batch(batch).unwrap();
        });
        paused.recv().unwrap();
        // Claimed and not written: that is no event, and nothing to wait for.
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(
            subscriber.recv_timeout(Duration::from_millis(5)),
            Err(RecvTimeoutError::Timeout)
        );
        let mut late = topic.subscribe();
        go_on.send(()).unwrap();
        paused.recv().unwrap();
        assert_eq!(subscriber.try_recv(), Ok(0));
        assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
        go_on.send(()).unwrap();
        assert_eq!(subscriber.recv(), Ok(1));
        thread.join().unwrap();
        assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_close_in_the_middle_of_a_batch_waits_for_what_was_claimed() {
    finishes("a close in the middle of a batch", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 8);
        let mut subscriber = topic.subscribe();
        let mut publisher = topic.exclusive_publisher().unwrap();
        let on = topic.clone();
        let batch = [0, 1].into_iter().inspect(|event| {
            if *event == 0 {
                on.close();
            }
        });
        publisher.publish_batch(batch).unwrap();
        let seen: Vec<_> = subscriber.iter().map(|(event, _)| event).collect();
        assert_eq!(seen, [0, 1]);
    });
}

#[test]
fn lagging_never_looks_like_closing() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 2);
    let mut subscriber = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    topic.close();
    assert_eq!(subscriber.recv(), Err(RecvError::Missed(98)));
    assert_eq!(subscriber.recv(), Ok(98));
    assert_eq!(subscriber.recv(), Ok(99));
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn a_reader_that_resumes_at_the_oldest_event_is_not_lagging_again_at_once() {
    finishes("a slow reader beside a fast publisher", || {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, 4);
        let mut subscriber = topic
            .subscriber()
            .name("slow")
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let publisher = topic.publisher().unwrap();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut event = 0;
            while !stopped.load(Ordering::Relaxed) {
                event = publisher.publish(event).unwrap() + 1;
            }
        });
        let mut missed = 0;
        for _ in 0..if cfg!(miri) { 5 } else { 500 } {
            match subscriber.recv() {
                Ok(_) => {}
                Err(RecvError::Missed(count)) => {
                    missed += count;
                    // The event behind the notice is held, so it cannot be lost before it is read.
                    subscriber.recv().unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        missed += subscriber
            .try_iter()
            .map(|(_, meta)| meta.missed)
            .sum::<u64>();
        assert_eq!(numbers(&topic, "slow").missed, missed);
        assert_conserved(&topic);
    });
}

#[test]
fn sequences_near_the_last_one_count_as_any_other() {
    for capacity in [1, 2, 64] {
        let bus = Bus::new();
        let topic: Topic<u64> = bus
            .topic_builder()
            .capacity(capacity)
            .first_sequence(MAX_SEQUENCE - 1000)
            .keep_open()
            .open()
            .unwrap();
        let mut subscriber = topic.subscribe();
        let mut lossy = topic
            .subscriber()
            .name("lossy")
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let publisher = topic.publisher().unwrap();
        for event in 0..900 {
            assert_eq!(publisher.publish(event), Ok(MAX_SEQUENCE - 1000 + event));
            assert_eq!(subscriber.recv(), Ok(event));
        }
        let (mut seen, mut missed) = (0, 0);
        for (_, meta) in lossy.try_iter() {
            seen += 1;
            missed += meta.missed;
        }
        assert_eq!(seen + missed, 900);
        assert_conserved(&topic);
    }
}

#[test]
fn a_batch_of_the_whole_capacity_fits_at_every_place_of_the_ring() {
    for capacity in [1, 2, 4, 64] {
        let bus = Bus::new();
        let topic = open::<u64>(&bus, capacity);
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        for offset in 0..150 {
            publisher.publish(offset).unwrap();
            assert_eq!(subscriber.recv(), Ok(offset));
            publisher.try_publish_batch(0..capacity as u64).unwrap();
            assert!(publisher.try_publish(0).is_err());
            assert_eq!(subscriber.try_iter().count(), capacity);
        }
    }
}

#[test]
fn two_threads_with_full_rings_for_each_other_are_freed_by_the_close() {
    finishes("a ring of rings", || {
        let bus = Bus::new();
        let (one, two) = (open::<u8>(&bus, 1), open::<u16>(&bus, 1));
        let (mut from_one, mut from_two) = (one.subscribe(), two.subscribe());
        let (to_one, to_two) = (one.publisher().unwrap(), two.publisher().unwrap());
        to_one.publish(0).unwrap();
        to_two.publish(0).unwrap();
        // Each reads its own topic only after it has published to the other's, and after the other has too: the
        // topics close one after the other, and whoever is freed first would make room for the other.
        let freed = Arc::new(Barrier::new(2));
        let also_freed = Arc::clone(&freed);
        let first = thread::spawn(move || {
            from_one.poll(0, |_, _| ()).unwrap();
            let refused = to_two.publish(1);
            freed.wait();
            (refused, from_one.recv(), from_one.recv())
        });
        let second = thread::spawn(move || {
            from_two.poll(0, |_, _| ()).unwrap();
            let refused = to_one.publish(1);
            also_freed.wait();
            (refused, from_two.recv(), from_two.recv())
        });
        let_others_park();
        bus.close();
        let (refused, last, end) = first.join().unwrap();
        assert_eq!(
            (refused, last, end),
            (Err(PublishError::Closed(1)), Ok(0), Err(RecvError::Closed))
        );
        let (refused, last, end) = second.join().unwrap();
        assert_eq!(
            (refused, last, end),
            (Err(PublishError::Closed(1)), Ok(0), Err(RecvError::Closed))
        );
    });
}

#[test]
fn a_reader_that_skips_frames_or_runs_twice_sees_each_event_once_or_counts_it_lost() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 8);
    let mut sure = topic
        .subscriber()
        .name("sure")
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut next = 0;
    let mut seen = 0;
    let mut missed = 0;
    for frame in 0_u64..200 {
        for _ in 0..frame % 4 {
            topic.publish(next).unwrap();
            next += 1;
        }
        let runs = [1, 2, 0, 0, 0, 1][frame as usize % 6];
        for _ in 0..runs {
            for (event, meta) in sure.try_iter() {
                missed += meta.missed;
                assert_eq!(event, seen + missed, "no event is seen twice");
                seen += 1;
            }
        }
        assert_conserved(&topic);
    }
    for (_, meta) in sure.try_iter() {
        seen += 1;
        missed += meta.missed;
    }
    assert_eq!(seen + missed, next);
    assert_eq!(numbers(&topic, "sure").missed, missed);
}

#[test]
fn a_handler_that_panics_every_time_loses_nothing_of_others() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut broken = topic.subscriber().name("broken").open().unwrap();
    let mut fine = topic.subscribe();
    for event in 0..100 {
        topic.publish(event).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            broken.poll(8, |_, _| panic!("every time"))
        }));
        assert!(result.is_err());
        assert_eq!(fine.recv(), Ok(event));
        assert_conserved(&topic);
    }
    assert_eq!(numbers(&topic, "broken").delivered, 100);
}

#[test]
fn waiting_in_vain_for_ever_needs_no_memory() {
    let bus = Bus::new();
    let topic = open::<u64>(&bus, 4);
    let mut subscriber = topic.subscribe();
    for _ in 0..if cfg!(miri) { 10 } else { 2000 } {
        assert_eq!(
            subscriber.recv_timeout(Duration::from_micros(1)),
            Err(RecvTimeoutError::Timeout)
        );
    }
    // The waiter of each turn is gone: one event wakes nobody else.
    topic.publish(1).unwrap();
    assert_eq!(subscriber.recv(), Ok(1));
}

#[test]
fn the_last_event_is_not_lost_between_empty_and_closed() {
    for _ in 0..if cfg!(miri) { 5 } else { 500 } {
        let bus = Bus::new();
        let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
        let mut subscriber = topic.subscribe();
        let publisher = topic.publisher().unwrap();
        let thread = thread::spawn(move || {
            publisher.publish(1).unwrap();
            // The end of the publisher closes the topic.
        });
        let mut seen = 0;
        wait_until("the topic is closed", || match subscriber.try_recv() {
            Ok(event) => {
                seen += event;
                false
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Closed) => true,
            Err(error) => panic!("{error}"),
        });
        assert_eq!(seen, 1);
        thread.join().unwrap();
    }
}
