//! Reading many events at once: more than the stamps that a reader looks at before it shows their events.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringbus::{Bus, ExclusivePublisher, Subscriber, Topic};

/// Events of a run; a reader looks at fewer stamps at once.
const MANY: u64 = 300;

fn topic() -> (Bus, Topic<u64>) {
    let bus = Bus::new();
    let builder = bus.topic_builder().capacity(1024).keep_open();
    let topic = builder.open().unwrap();
    (bus, topic)
}

fn publish(publisher: &mut ExclusivePublisher<u64>, events: std::ops::Range<u64>) {
    for event in events {
        publisher.publish(event).unwrap();
    }
}

/// Everything that is there, by one call.
fn poll_all(subscriber: &mut Subscriber<u64>) -> Vec<u64> {
    let mut seen = Vec::new();
    let shown = subscriber.poll(usize::MAX, |event, _| seen.push(*event));
    assert_eq!(shown, Ok(seen.len()));
    seen
}

/// Says it has more events than it gives.
struct Short(std::ops::Range<u64>, usize);

impl Iterator for Short {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let given = (self.0.end - self.0.start) as usize;
        (given + self.1, Some(given + self.1))
    }
}

impl ExactSizeIterator for Short {}

#[test]
fn a_poll_shows_what_was_there_and_not_what_its_handler_publishes() {
    let (_bus, topic) = topic();
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publish(&mut publisher, 0..MANY);
    let mut seen = Vec::new();
    let shown = subscriber.poll(usize::MAX, |event, _| {
        publisher.publish(MANY + *event).unwrap();
        seen.push(*event);
    });
    assert_eq!(shown, Ok(MANY as usize));
    assert!(seen.into_iter().eq(0..MANY));
    assert!(poll_all(&mut subscriber).into_iter().eq(MANY..2 * MANY));
}

#[test]
fn long_runs_are_read_whole_whoever_published_them() {
    let (_bus, topic) = topic();
    let mut subscriber = topic.subscribe();
    let mut next = 0;
    for _ in 0..5 {
        let mut publisher = topic.exclusive_publisher().unwrap();
        publish(&mut publisher, next..next + MANY);
        drop(publisher);
        let shared = topic.publisher().unwrap();
        for event in next + MANY..next + 2 * MANY {
            shared.publish(event).unwrap();
        }
        drop(shared);
        let end = next + 2 * MANY;
        assert!(poll_all(&mut subscriber).into_iter().eq(next..end));
        next = end;
    }
}

#[test]
fn batches_are_read_whole_as_long_runs() {
    let (_bus, topic) = topic();
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    for length in [1, 2, 16, 500] {
        let batch: Vec<u64> = (0..length).collect();
        publisher.publish_batch(batch).unwrap();
        publish(&mut publisher, length..length + MANY);
        let all = 0..length + MANY;
        assert!(poll_all(&mut subscriber).into_iter().eq(all));
    }
}

#[test]
fn the_gaps_of_batches_end_no_long_run_for_good() {
    let (_bus, topic) = topic();
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    for _ in 0..3 {
        publish(&mut publisher, 0..MANY);
        publisher.publish_batch(Short(MANY..MANY + 5, 7)).unwrap();
        publish(&mut publisher, MANY + 5..2 * MANY);
        let mut seen = Vec::new();
        while subscriber.poll(usize::MAX, |event, _| seen.push(*event)) != Ok(0) {}
        assert!(seen.into_iter().eq(0..2 * MANY));
    }
    assert_eq!(subscriber.snapshot().pending, 0);
}

#[test]
fn a_panic_within_a_long_run_loses_only_its_own_event() {
    let (_bus, topic) = topic();
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publish(&mut publisher, 0..MANY);
    let mut seen = Vec::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        subscriber.poll(usize::MAX, |event, _| {
            assert_ne!(*event, 200, "this one is too much");
            seen.push(*event);
        })
    }));
    assert!(panicked.is_err());
    seen.extend(poll_all(&mut subscriber));
    assert!(seen.into_iter().eq((0..200).chain(201..MANY)));
    assert_eq!(subscriber.snapshot().delivered, MANY);
}

#[test]
fn a_long_batch_is_the_same_folded_and_taken_one_by_one() {
    let (_bus, topic) = topic();
    let mut folded = topic.subscribe();
    let mut taken = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publish(&mut publisher, 0..MANY);
    publisher.publish_batch(Short(MANY..MANY + 5, 7)).unwrap();
    publish(&mut publisher, MANY + 5..2 * MANY);
    let by_fold = folded.poll_batch(500, |batch| batch.map(|(event, _)| *event).collect());
    let by_next = taken.poll_batch(500, |batch| {
        let mut events = Vec::new();
        for (event, _) in batch {
            events.push(*event);
        }
        events
    });
    let by_fold: Vec<u64> = by_fold.unwrap().unwrap();
    assert!(by_fold.iter().copied().eq(0..500));
    assert_eq!(by_next.unwrap().unwrap(), by_fold);
    assert!(poll_all(&mut folded).into_iter().eq(500..2 * MANY));
    assert_eq!(
        (folded.snapshot().delivered, folded.snapshot().pending),
        (600, 0)
    );
}
