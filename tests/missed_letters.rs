//! Events that `DropOldest` subscribers miss: moved to the topic named for them, once.

mod common;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{Census, Counted, assert_conserved};
use ringbus::{
    Bus, DeadLetter, LetterCause, Overflow, Publisher, PublisherError, Start, Subscriber, Timeline,
    Topic, TopicBuilder, TopicError,
};

/// Where letters go, on a bus of its own: what a topic leaves when it goes goes there too.
struct Letters<T: Send + Sync + 'static> {
    _bus: Bus,
    topic: Topic<DeadLetter<T>>,
    reader: Subscriber<DeadLetter<T>>,
}

impl<T: Send + Sync + 'static> Letters<T> {
    fn with_capacity(capacity: usize) -> Self {
        let bus = Bus::new();
        let topic = bus.topic_builder().capacity(capacity).open().unwrap();
        Self {
            reader: topic.subscribe(),
            topic,
            _bus: bus,
        }
    }

    fn new() -> Self {
        Self::with_capacity(1 << 16)
    }

    /// What has come, by `id`, in the order of the sequences, which it is checked to have come in.
    fn read(&mut self, id: impl Fn(&T) -> u64) -> Vec<u64> {
        let mut sequences = Vec::new();
        let mut read = Vec::new();
        while self
            .reader
            .poll(64, |letter, _| {
                assert_eq!(letter.cause, LetterCause::Missed);
                sequences.push(letter.sequence);
                read.push(id(&letter.event));
            })
            .is_ok_and(|shown| shown > 0)
        {}
        assert!(sequences.is_sorted_by(|one, next| one < next));
        read
    }
}

fn ticks(bus: &Bus, capacity: usize) -> TopicBuilder<'_, u64> {
    bus.topic_builder().name("ticks").capacity(capacity)
}

fn drop_oldest<T: Send + Sync + 'static>(topic: &Topic<T>) -> Subscriber<T> {
    let builder = topic.subscriber().overflow(Overflow::DropOldest);
    builder.open().unwrap()
}

fn drain(subscriber: &mut Subscriber<u64>, seen: &mut Vec<u64>) {
    while subscriber
        .poll(64, |event, _| seen.push(*event))
        .is_ok_and(|shown| shown > 0)
    {}
}

const EVENTS: u64 = if cfg!(miri) { 400 } else { 5_000 };

fn all() -> Vec<u64> {
    (0..EVENTS).collect()
}

/// Each of `expected` once, and nothing else; in any order.
#[track_caller]
fn assert_once(mut events: Vec<u64>, expected: impl IntoIterator<Item = u64>) {
    events.sort_unstable();
    let mut expected = expected.into_iter();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(expected.next(), Some(*event), "as event {index} of all");
    }
    assert_eq!(expected.next(), None);
}

/// Each event is read or in the letters, once, whatever the capacity is to the slots.
fn read_or_missed(capacity: usize, mut publish: impl FnMut(&Publisher<u64>, u64)) {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let topic = ticks(&bus, capacity)
        .missed_letters_to(&letters.topic)
        .open()
        .unwrap();
    let mut slow = drop_oldest(&topic);
    let publisher = topic.publisher().unwrap();
    let mut seen = Vec::new();
    for event in 0..EVENTS {
        publish(&publisher, event);
        match event % 1000 {
            300 | 900 => drain(&mut slow, &mut seen),
            310..320 => {
                slow.poll(1, |event, _| seen.push(*event)).unwrap();
            }
            _ => {}
        }
    }
    drain(&mut slow, &mut seen);
    assert_conserved(&topic);
    let missed = topic.snapshot().subscribers[0].missed;
    assert_eq!(missed, EVENTS - seen.len() as u64);
    assert!(missed > 0);
    drop((publisher, slow, topic, bus));
    seen.extend(letters.read(|event| *event));
    assert_once(seen, all());
}

#[test]
fn each_event_is_read_or_goes_to_the_letters_once() {
    for capacity in [1, 4, 64, 256] {
        read_or_missed(capacity, |publisher, event| {
            assert_eq!(publisher.publish(event), Ok(event));
        });
    }
}

/// Publishes all events with an exclusive publisher, a few at a time; tells what was read and what went.
fn exclusively(publish: impl Fn(&mut ringbus::ExclusivePublisher<u64>, u64)) {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 16).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let mut slow = drop_oldest(&topic);
    let mut publisher = topic.exclusive_publisher().unwrap();
    let mut seen = Vec::new();
    for event in (0..EVENTS).step_by(8) {
        publish(&mut publisher, event);
        if event % 800 == 400 {
            drain(&mut slow, &mut seen);
        }
    }
    drain(&mut slow, &mut seen);
    drop((publisher, slow, topic, bus));
    let missed = letters.read(|event| *event);
    assert!(!missed.is_empty() && !seen.is_empty());
    seen.extend(missed);
    assert_once(seen, all());
}

#[test]
fn events_of_an_exclusive_publisher_go_too() {
    exclusively(|publisher, first| {
        for event in first..first + 4 {
            publisher.publish(event).unwrap();
        }
        for event in first + 4..first + 8 {
            publisher.publish_with(|| event).unwrap();
        }
    });
}

#[test]
fn events_of_batches_go_too() {
    exclusively(|publisher, first| {
        let batch: Vec<u64> = (first..first + 8).collect();
        publisher.publish_batch(batch).unwrap();
    });
    let mut batch = Vec::new();
    read_or_missed(32, |publisher, event| {
        batch.push(event);
        if batch.len() == 10 || event % 100 == 0 || event == EVENTS - 1 {
            publisher.publish_batch(batch.drain(..)).unwrap();
        }
    });
}

#[test]
fn what_several_subscribers_miss_goes_once() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 16).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let mut slow = [drop_oldest(&topic), drop_oldest(&topic)];
    let mut seen = [Vec::new(), Vec::new()];
    for event in 0..EVENTS {
        topic.publish(event).unwrap();
        for ((slow, seen), every) in slow.iter_mut().zip(&mut seen).zip([37, 53]) {
            if event % every == 0 {
                drain(slow, seen);
            }
        }
    }
    for (slow, seen) in slow.iter_mut().zip(&mut seen) {
        drain(slow, seen);
    }
    drop((slow, topic, bus));
    let missed: Vec<u64> = all()
        .into_iter()
        .filter(|event| seen.iter().any(|seen| seen.binary_search(event).is_err()))
        .collect();
    assert_eq!(letters.read(|event| *event), missed);
}

#[test]
fn what_others_lose_or_leave_is_not_missed() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let latest = topic.subscriber().overflow(Overflow::Latest);
    let mut latest = latest.open().unwrap();
    let ended = topic.subscriber().overflow(Overflow::Disconnect);
    let ended = ended.open().unwrap();
    for event in 0..1000 {
        topic.publish(event).unwrap();
    }
    assert_eq!(latest.try_recv(), Ok(999));
    // Nobody has read the last events, which nobody was too late for.
    let left = drop_oldest(&topic);
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    drop(left);
    for event in 0..1000 {
        topic.publish(event).unwrap();
    }
    drop((latest, ended, topic, bus));
    assert_eq!(letters.read(|event| *event), []);
}

#[test]
fn event_that_others_have_read_goes_when_they_are_done() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let mut journal = topic.subscribe();
    let mut slow = drop_oldest(&topic);
    let mut seen = Vec::new();
    for event in 0..64 {
        topic.publish(event).unwrap();
    }
    let publisher = topic.publisher().unwrap();
    assert!(
        publisher.try_publish(64).is_err(),
        "the journal holds it up"
    );
    drop(publisher);
    assert_eq!(letters.read(|event| *event), []);
    drain(&mut journal, &mut seen);
    for event in 64..100 {
        topic.publish(event).unwrap();
    }
    drain(&mut journal, &mut seen);
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    let mut rest = Vec::new();
    drain(&mut slow, &mut rest);
    drop((journal, slow, topic, bus));
    assert_eq!(
        letters.read(|event| *event),
        (0..rest[0]).collect::<Vec<_>>()
    );
}

#[test]
fn event_that_is_held_while_the_ring_runs_over_is_not_missed() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let mut holding = drop_oldest(&topic);
    let mut seen = Vec::new();
    for event in 0..8 {
        topic.publish(event).unwrap();
    }
    let mut next = 8;
    holding
        .poll(4, |event, _| {
            seen.push(*event);
            for event in next..next + 100 {
                topic.publish(event).unwrap();
            }
            next += 100;
        })
        .unwrap();
    drain(&mut holding, &mut seen);
    drop((holding, topic, bus));
    seen.extend(letters.read(|event| *event));
    assert_once(seen, 0..next);
}

#[test]
fn group_that_loses_events_has_missed_them() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let group = topic.group("workers").overflow(Overflow::DropOldest);
    let mut member = group.join().unwrap();
    let mut seen = Vec::new();
    for event in 0..EVENTS {
        topic.publish(event).unwrap();
        if event % 100 == 0 {
            member.poll(8, |event, _| seen.push(*event)).unwrap();
        }
    }
    while member.poll(64, |event, _| seen.push(*event)) != Ok(0) {}
    drop((member, topic, bus));
    seen.extend(letters.read(|event| *event));
    assert_once(seen, all());
}

#[test]
fn event_goes_as_the_editor_has_left_it_and_from_a_timeline_too() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let (topic, [mut editor]) = builder.open_edited(["doubling"]).unwrap();
    let mut slow = drop_oldest(&topic);
    for event in 0..100 {
        topic.publish(event).unwrap();
        editor.poll(64, |event, _| *event *= 2).unwrap();
    }
    let mut seen = Vec::new();
    drain(&mut slow, &mut seen);
    drop((slow, editor, topic, bus));
    seen.extend(letters.read(|event| *event));
    assert_once(seen, (0..100).map(|event| event * 2));

    let bus = Bus::new();
    let timeline = Timeline::new();
    let builder = ticks(&bus, 64).timeline(&timeline);
    let topic = builder.missed_letters_to(&letters.topic).open().unwrap();
    let slow = drop_oldest(&topic);
    for event in 0..100 {
        topic.publish(event).unwrap();
    }
    let missed = topic.snapshot().subscribers[0].missed;
    drop((slow, topic, bus));
    assert_eq!(
        letters.read(|event| *event),
        (0..missed).collect::<Vec<_>>()
    );
}

#[test]
fn retained_events_go_when_somebody_missed_them() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).retain(64).first_sequence(7);
    let topic = builder.missed_letters_to(&letters.topic).open().unwrap();
    for event in 0..1000 {
        topic.publish(event).unwrap();
    }
    let replay = topic.subscriber().overflow(Overflow::DropOldest);
    let mut replay = replay.start(Start::Oldest).open().unwrap();
    let mut seen = Vec::new();
    for event in 1000..2000 {
        topic.publish(event).unwrap();
    }
    drain(&mut replay, &mut seen);
    drop((replay, topic, bus));
    seen.extend(letters.read(|event| *event));
    assert_once(seen, 1000 - 64..2000);
}

#[test]
fn every_event_is_dropped_once_also_in_a_batch_that_unwinds() {
    let census = Census::new();
    let bus = Bus::new();
    let mut letters = Letters::<Counted>::new();
    let builder = bus.topic_builder::<Counted>().capacity(16);
    let topic = builder.missed_letters_to(&letters.topic).open().unwrap();
    let mut slow = drop_oldest(&topic);
    let mut publisher = topic.exclusive_publisher().unwrap();
    for id in 0..200 {
        publisher.publish(census.event(id)).unwrap();
    }
    // Nothing of it is published: whatever is watched takes a batch out of its iterator first.
    let batch = std::iter::repeat_n((), 10)
        .enumerate()
        .map(|(id, ())| match id {
            5 => resume_unwind(Box::new("no event")),
            id => census.event(200 + id as u64),
        });
    assert!(catch_unwind(AssertUnwindSafe(|| publisher.publish_batch(batch))).is_err());
    for id in 200..300 {
        publisher.publish(census.event(id)).unwrap();
    }
    let mut seen = Vec::new();
    while slow.poll(64, |event, _| seen.push(event.id)) != Ok(0) {}
    drop((publisher, slow, topic, bus));
    seen.extend(letters.read(|event| event.id));
    assert_once(seen, 0..300);
    drop(letters);
    census.assert_all_dropped_once();
}

#[test]
fn full_or_closed_letters_cost_the_event_and_no_wait() {
    let census = Census::new();
    let bus = Bus::new();
    let mut letters = Letters::<Counted>::with_capacity(4);
    let builder = bus.topic_builder::<Counted>().capacity(64);
    let topic = builder.missed_letters_to(&letters.topic).open().unwrap();
    let slow = drop_oldest(&topic);
    for id in 0..128 {
        topic.publish(census.event(id)).unwrap();
    }
    let snapshot = topic.snapshot();
    assert_eq!((snapshot.dead_letters, snapshot.dead_letters_lost), (4, 60));
    assert_eq!(letters.read(|event| event.id), [0, 1, 2, 3]);
    letters.topic.close();
    topic.publish(census.event(128)).unwrap();
    assert_eq!(topic.snapshot().dead_letters_lost, 61);
    drop((slow, topic, bus, letters));
    census.assert_all_dropped_once();
}

#[test]
fn letter_that_makes_another_comes_to_an_end() {
    let bus = Bus::new();
    let letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let _slow = drop_oldest(&topic);
    let again = topic.clone();
    let deepest = Arc::new(AtomicU64::new(0));
    let depth = Arc::clone(&deepest);
    let _observer = letters.topic.observe(move |letter| {
        // Overwrites the next one, which makes a letter.
        depth.fetch_add(1, Ordering::Relaxed);
        let _ = again.publish(letter.event + 64);
    });
    for event in 0..64 {
        topic.publish(event).unwrap();
    }
    assert_eq!(deepest.load(Ordering::Relaxed), 0);
    topic.publish(64).unwrap();
    assert!(deepest.load(Ordering::Relaxed) > 0);
    assert!(topic.snapshot().dead_letters_lost > 0);
}

#[test]
fn unheard_and_missed_events_may_go_to_one_topic() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 64).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    topic.dead_letters_to(&letters.topic).unwrap();
    topic.publish(7).unwrap();
    let letter = letters.reader.try_recv().unwrap();
    assert_eq!((letter.cause, letter.event), (LetterCause::Unheard, 7));
    let slow = drop_oldest(&topic);
    for event in 8..73 {
        topic.publish(event).unwrap();
    }
    let letter = letters.reader.try_recv().unwrap();
    assert_eq!((letter.cause, letter.event), (LetterCause::Missed, 8));
    assert_eq!(letter.topic.as_deref(), Some("ticks"));
    drop(slow);
}

#[test]
fn publishers_on_two_threads_lose_and_double_nothing() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 16).missed_letters_to(&letters.topic);
    let topic = builder.open().unwrap();
    let mut slow = drop_oldest(&topic);
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let mut seen = Vec::new();
            while !done.load(Ordering::Acquire) {
                slow.poll(3, |event, _| seen.push(*event)).unwrap();
                thread::yield_now();
            }
            drain(&mut slow, &mut seen);
            seen
        })
    };
    let publishers = [0, 1].map(|odd| {
        let publisher = topic.publisher().unwrap();
        thread::spawn(move || {
            for event in (odd..EVENTS).step_by(2) {
                publisher.publish(event).unwrap();
            }
            publisher
        })
    });
    let publishers = publishers.map(|thread| thread.join().unwrap());
    done.store(true, Ordering::Release);
    let mut seen = reader.join().unwrap();
    drop((publishers, topic, bus));
    while letters
        .reader
        .poll(64, |letter, _| seen.push(letter.event))
        .is_ok_and(|shown| shown > 0)
    {}
    assert_once(seen, all());
}

#[test]
fn letters_are_what_they_say_while_subscribers_come_and_go() {
    let bus = Bus::new();
    let mut letters = Letters::new();
    let builder = ticks(&bus, 32).retain(32).keep_open();
    let topic = builder.missed_letters_to(&letters.topic).open().unwrap();
    let mut steady = drop_oldest(&topic);
    let done = Arc::new(AtomicBool::new(false));
    let churn = {
        let (done, topic) = (Arc::clone(&done), topic.clone());
        thread::spawn(move || {
            let mut round = 0;
            while !done.load(Ordering::Acquire) {
                let start = [Start::Oldest, Start::Now, Start::Latest][round % 3];
                let overflow = [Overflow::DropOldest, Overflow::Latest][round % 2];
                let builder = topic.subscriber().start(start).overflow(overflow);
                let mut passing = builder.open().unwrap();
                passing.poll(round % 5, |_, _| thread::yield_now()).unwrap();
                round += 1;
            }
        })
    };
    let publishers = [0, 1].map(|odd| {
        let publisher = topic.publisher().unwrap();
        thread::spawn(move || {
            let events = (odd..EVENTS).step_by(2);
            let published = events.map(|event| (publisher.publish(event).unwrap(), event));
            published.collect::<Vec<_>>()
        })
    });
    let mut seen = Vec::new();
    while publishers.iter().any(|thread| !thread.is_finished()) {
        steady.poll(2, |event, _| seen.push(*event)).unwrap();
        thread::yield_now();
    }
    let published = publishers.map(|thread| thread.join().unwrap()).concat();
    done.store(true, Ordering::Release);
    churn.join().unwrap();
    drain(&mut steady, &mut seen);
    drop((steady, topic, bus));

    let published: HashMap<u64, u64> = published.into_iter().collect();
    let mut sequences = HashSet::new();
    while letters
        .reader
        .poll(64, |letter, _| {
            assert_eq!(published[&letter.sequence], letter.event);
            assert!(sequences.insert(letter.sequence), "a letter comes twice");
            seen.push(letter.event);
        })
        .is_ok_and(|shown| shown > 0)
    {}
    // Others may have missed what the steady one has read, and the other way round.
    seen.sort_unstable();
    seen.dedup();
    assert_once(seen, all());
}

#[test]
fn what_does_not_go_together_is_refused() {
    let bus = Bus::new();
    let letters = Letters::new();
    let builder = || ticks(&bus, 64).missed_letters_to(&letters.topic);
    let growing = builder().grow_to(128).open();
    assert_eq!(growing.unwrap_err(), TopicError::GrowMissed);
    let lanes = builder().open_lanes();
    assert_eq!(lanes.unwrap_err(), TopicError::MissedLanes);
    let topic = ticks(&bus, 64).open().unwrap();
    let again = builder().open();
    assert_eq!(again.unwrap_err(), TopicError::MissedOpen);
    drop(topic);
    letters.topic.close();
    let refused = builder().name("others").open().unwrap_err();
    assert_eq!(refused, TopicError::MissedLetters(PublisherError::Closed));
    assert_eq!(
        refused.to_string(),
        "the topic for missed events takes none: topic closed"
    );
}
