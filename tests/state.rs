//! A state always has its latest value, with a version that never goes back, and is joined without a gap.

mod common;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Census, assert_conserved, finishes, let_others_park, wait_until};
use ringbus::{
    Bus, Overflow, PollError, PublishError, PublishTimeoutError, RecvError, Start, State,
    SubscribeError, TopicError, TryPublishError, WaitStrategy,
};

const ROUNDS: u64 = if cfg!(miri) { 200 } else { 20_000 };

#[test]
fn a_new_state_has_its_initial_value_and_an_open_one_keeps_its_own() {
    let bus = Bus::new();
    let state = bus.state(1_u32).unwrap();
    assert_eq!(state.get(), (1, 0));
    assert_eq!(state.set(2), Ok(1));
    let again = bus.state(7_u32).unwrap();
    assert_eq!(again.get(), (2, 1));
    let named = bus.state_named("other", 7_u32).unwrap();
    assert_eq!((named.name(), named.get()), (Some("other"), (7, 0)));
}

#[test]
fn a_value_needs_no_trait_but_to_be_sent_and_shared() {
    struct Opaque(Box<u32>);
    let bus = Bus::new();
    let state = bus.state(Opaque(Box::new(1))).unwrap();
    state.set(Opaque(Box::new(2))).map_err(drop).unwrap();
    assert_eq!(state.read(|value, version| (*value.0, version)), (2, 1));
    let mut reader = state.reader().unwrap();
    assert_eq!(reader.read(|value, version| (*value.0, version)), (2, 1));
}

#[test]
fn a_state_is_a_topic_that_takes_no_other_publisher() {
    let bus = Bus::new();
    let state = bus.state_named("mode", "idle").unwrap();
    let topic = bus.topic_named::<&str>("mode").unwrap();
    assert!(topic.publisher().is_err());
    assert!(topic.exclusive_publisher().is_err());
    assert_eq!(topic.publish("busy"), Err(PublishError::Exclusive("busy")));
    let mut subscriber = topic.subscriber().start(Start::Latest).open().unwrap();
    state.set("busy").unwrap();
    assert_eq!(subscriber.recv(), Ok("idle"));
    assert_eq!(subscriber.recv(), Ok("busy"));
    let snapshot = bus.snapshot();
    assert_eq!(snapshot.topics.len(), 1);
    assert_eq!(snapshot.topics[0].name.as_deref(), Some("mode"));
    assert_eq!(snapshot.topics[0].published, 2);
}

#[test]
fn a_topic_of_events_is_no_state() {
    let bus = Bus::new();
    bus.topic_named::<u8>("x").unwrap();
    assert_eq!(
        bus.state_named("x", 0_u8).unwrap_err().to_string(),
        "topic \"x\" of u8 is open with another kind: events, not state"
    );
    bus.state_named("y", 0_u8).unwrap();
    let error = bus.state_builder::<u8>().name("y").capacity(4096).open(0);
    assert!(matches!(
        error,
        Err(TopicError::Conflict {
            setting: "capacity",
            ..
        })
    ));
    assert!(bus.state_builder::<u8>().capacity(0).open(0).is_err());
}

#[test]
fn the_latest_value_stays_readable_after_the_close_and_nothing_is_set_any_more() {
    let bus = Bus::new();
    let state = bus.state(1_u32).unwrap();
    let mut reader = state.reader().unwrap();
    state.set(2).unwrap();
    let mut early = state.subscribe();
    bus.close();
    assert!(state.is_closed());
    assert_eq!(state.set(3), Err(PublishError::Closed(3)));
    assert_eq!(state.try_set(3), Err(TryPublishError::Closed(3)));
    let refused = state.set_timeout(3, Duration::from_secs(60));
    assert_eq!(refused, Err(PublishTimeoutError::Closed(3)));
    assert_eq!(state.get(), (2, 1));
    assert_eq!(reader.get(), (2, 1));
    assert_eq!(reader.wait_newer(0), Ok(()));
    assert_eq!(reader.wait_newer(1), Err(PollError::Closed));
    let mut late = state.subscribe();
    for subscriber in [&mut early, &mut late] {
        assert_eq!(subscriber.recv(), Ok(2));
        assert_eq!(subscriber.recv(), Err(RecvError::Closed));
    }
    // On a closed bus a state is closed from the start, and has its value.
    let closed = bus.state("x").unwrap();
    assert!(closed.is_closed());
    assert_eq!(closed.get(), ("x", 0));
}

#[test]
fn dropping_the_last_handle_of_the_bus_closes_its_states() {
    let bus = Bus::new();
    let state = bus.state(0_u32).unwrap();
    drop(state.clone());
    assert!(!state.is_closed());
    drop(bus);
    assert!(state.is_closed());
}

#[test]
fn versions_go_on_from_the_first_one() {
    let bus = Bus::new();
    let state = bus.state_builder().first_version(500).open('a').unwrap();
    assert_eq!(state.get(), ('a', 500));
    assert_eq!(state.set('b'), Ok(501));
    let mut reader = state.reader().unwrap();
    assert!(reader.is_newer(500) && !reader.is_newer(501));
    assert_eq!(reader.get(), ('b', 501));
}

#[test]
fn a_full_ring_refuses_or_waits_and_gives_the_value_back() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open(0_u64).unwrap();
    let mut slow = state.subscribe();
    for value in 1..64 {
        state.try_set(value).unwrap();
    }
    assert_eq!(state.try_set(64), Err(TryPublishError::Full(64)));
    let refused = state.set_timeout(64, Duration::from_millis(5));
    assert_eq!(refused, Err(PublishTimeoutError::Timeout(64)));
    assert_eq!(state.get(), (63, 63), "a refused value is not set");
    assert_eq!(slow.recv(), Ok(0));
    assert_eq!(state.set(64), Ok(64));
    // Only this thread reads the subscriber in the way.
    assert_eq!(state.set(65), Err(PublishError::WouldDeadlock(65)));
    let waiting = {
        let state = state.clone();
        thread::spawn(move || state.set(65))
    };
    let_others_park();
    assert_eq!(state.get(), (64, 64), "reading does not wait for who sets");
    assert_eq!(
        state.try_set(66),
        Err(TryPublishError::Full(66)),
        "nor does trying"
    );
    drop(slow);
    assert_eq!(finishes("a set", move || waiting.join().unwrap()), Ok(65));
}

#[test]
fn a_subscriber_is_given_the_latest_value_then_every_later_one() {
    let bus = Bus::new();
    let state = bus.state(0_u64).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let setters: Vec<_> = (0..3)
        .map(|_| {
            let (state, stop) = (state.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // A closed topic ends the test early.
                    state.set(0).unwrap();
                    thread::yield_now();
                }
            })
        })
        .collect();
    finishes("joining", {
        let state = state.clone();
        move || {
            for _ in 0..ROUNDS / 20 {
                let (_, before) = state.get();
                let mut subscriber = state.subscribe();
                let (_, after) = state.get();
                let mut versions = Vec::new();
                while versions.len() < 5 {
                    subscriber
                        .poll_wait(5, |_, meta| versions.push(meta.sequence))
                        .unwrap();
                }
                assert!(before <= versions[0] && versions[0] <= after);
                assert!(
                    versions.windows(2).all(|pair| pair[0] + 1 == pair[1]),
                    "a gap or a duplicate: {versions:?}"
                );
            }
        }
    });
    stop.store(true, Ordering::Relaxed);
    for setter in setters {
        setter.join().unwrap();
    }
}

/// Runs `look` on a thread while others set; `look` gives a value and its version, which tell the same.
fn never_goes_back(state: &State<[u64; 5]>, look: impl FnMut() -> ([u64; 5], u64) + Send) {
    let set = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let mut look = look;
    thread::scope(|scope| {
        let (set, done) = (&set, &done);
        let setters: Vec<_> = (0..2_u64)
            .map(|me| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let value = me * ROUNDS + round;
                        let version = state.set([value; 5]).unwrap();
                        set.fetch_max(version, Ordering::AcqRel);
                    }
                })
            })
            .collect();
        let looking = scope.spawn(move || {
            let (mut last, mut looks) = (0, 0_u64);
            let mut of_last = None;
            while !done.load(Ordering::Relaxed) || looks < 100 {
                let least = set.load(Ordering::Acquire).max(last);
                let (value, version) = look();
                assert!(version >= least, "{version} was shown after {least}");
                assert!(
                    value.iter().all(|word| *word == value[0]),
                    "torn: {value:?}"
                );
                assert!(
                    version != last || of_last.is_none_or(|of_last| of_last == value),
                    "one version has one value"
                );
                (last, of_last) = (version, Some(value));
                looks += 1;
            }
            look().1
        });
        for setter in setters {
            setter.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(looking.join().unwrap(), set.load(Ordering::Acquire));
    });
}

#[test]
fn a_reader_never_goes_back_nor_behind_what_was_set() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open([0; 5]).unwrap();
    let mut reader = state.reader().unwrap();
    never_goes_back(&state, || reader.get());
}

#[test]
fn reading_without_a_reader_never_goes_back_either() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open([0; 5]).unwrap();
    never_goes_back(&state, || state.get());
}

#[cfg(feature = "plain")]
#[test]
fn a_plain_reader_never_goes_back_nor_tears_a_value() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open([0; 5]).unwrap();
    let reader = state.plain_reader();
    never_goes_back(&state, || reader.get());
}

#[cfg(feature = "plain")]
#[test]
fn a_plain_reader_shows_what_was_set_before_it_and_after_the_state_is_gone() {
    let bus = Bus::new();
    let state = bus.state(-1_i16).unwrap();
    state.set(5).unwrap();
    let reader = state.plain_reader();
    assert_eq!((reader.get(), reader.load()), ((5, 1), 5));
    let other = bus.state(0_i16).unwrap();
    other.set(-6).unwrap();
    let again = state.plain_reader();
    drop((state, other, bus));
    for reader in [reader.clone(), reader, again] {
        assert_eq!((reader.get(), reader.load()), ((-6, 2), -6));
    }
}

#[cfg(feature = "plain")]
#[test]
fn plain_values_of_every_size_keep_their_bytes() {
    fn keeps<T>(values: [T; 3])
    where
        T: bytemuck::NoUninit + bytemuck::AnyBitPattern + Send + Sync + PartialEq + std::fmt::Debug,
    {
        let bus = Bus::new();
        let state = bus.state(values[0]).unwrap();
        let reader = state.plain_reader();
        for (version, value) in (1..).zip(values) {
            state.set(value).unwrap();
            assert_eq!((reader.get(), reader.load()), ((value, version), value));
        }
    }
    keeps([(); 3]);
    keeps([0_u8, 255, 7]);
    keeps([[1_u8, 2, 3], [4, 5, 6], [255, 0, 255]]);
    keeps([1.5_f64, f64::MIN, -0.0]);
    keeps([[1_u8; 9], [2; 9], [255; 9]]);
    keeps([[1_u64; 6], [2; 6], [u64::MAX; 6]]);
    keeps([[1_u64; 7], [2; 7], [u64::MAX; 7]]);
    keeps([[1_u16; 1000], [2; 1000], [3; 1000]]);
}

#[cfg(feature = "plain")]
#[test]
fn whoever_was_given_an_event_finds_its_copy_as_new() {
    let bus = Bus::new();
    let state = bus.state(0_u64).unwrap();
    let reader = state.plain_reader();
    let mut subscriber = state.subscribe();
    let reading = thread::spawn(move || {
        for _ in 0..=ROUNDS {
            subscriber
                .poll_wait(1, |value, meta| {
                    let (latest, version) = reader.get();
                    assert!(version >= meta.sequence && latest >= *value);
                    assert!(reader.load() >= *value);
                })
                .unwrap();
        }
    });
    for value in 1..=ROUNDS {
        state.set(value).unwrap();
    }
    finishes("the reader", move || reading.join().unwrap());
}

#[test]
fn a_waiting_reader_is_woken_by_a_newer_value_by_the_close_and_by_its_deadline() {
    for wait in [WaitStrategy::Spin, WaitStrategy::Yield, WaitStrategy::Park] {
        let bus = Bus::new();
        let state = bus.state_builder().wait(wait).open(0_u32).unwrap();
        let mut reader = state.reader().unwrap();
        let soon = Instant::now() + Duration::from_millis(2);
        assert_eq!(reader.wait_newer_deadline(0, soon), Ok(false));
        let waiting = thread::spawn(move || {
            reader.wait_newer(0).unwrap();
            let (value, version) = reader.get();
            assert_eq!((version, value), (1, 1));
            assert_eq!(reader.wait_newer(version), Err(PollError::Closed));
        });
        let_others_park();
        state.set(1).unwrap();
        let_others_park();
        state.close();
        finishes("the reader", move || waiting.join().unwrap());
    }
}

#[test]
fn a_value_stays_as_it_is_while_it_is_read_however_often_it_is_set() {
    let bus = Bus::new();
    let state = bus
        .state_builder()
        .capacity(64)
        .open(Box::new(0_u64))
        .unwrap();
    let mut reader = state.reader().unwrap();
    reader.read(|outer, version| {
        assert_eq!((**outer, version), (0, 0));
        for value in 1..1000 {
            state.set(Box::new(value)).unwrap();
            assert_eq!(state.read(|inner, _| **inner), value);
        }
        assert_eq!(**outer, 0);
    });
    assert_eq!(reader.read(|value, _| **value), 999);
}

#[test]
fn the_latest_value_is_found_behind_a_run_of_slots_that_readers_hold() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open(0_u64).unwrap();
    let mut lossy = state
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut readers: Vec<_> = std::iter::from_fn(|| state.reader().ok()).collect();
    assert_eq!(readers.len(), 31);
    // Each holds a slot of its own, one beside the other.
    for (value, reader) in (1..).zip(&mut readers) {
        state.try_set(value).unwrap();
        assert_eq!(reader.get().0, value);
    }
    lossy.poll_batch(1, |_| ()).unwrap();
    for value in 100..1000 {
        let version = state.try_set(value).unwrap();
        assert_eq!(state.get(), (value, version));
        assert_eq!(state.subscribe().recv(), Ok(value));
    }
    for reader in &mut readers {
        assert_eq!(reader.get().0, 999);
    }
}

#[test]
fn more_reads_at_once_than_there_are_places_all_show_the_latest_value() {
    fn nest(state: &State<u64>, depth: u64) {
        state.read(|value, _| {
            assert_eq!(*value, state.get().0);
            if depth > 0 {
                state.set(depth).unwrap();
                nest(state, depth - 1);
                assert_eq!(state.get().0, 1);
            }
        });
    }
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open(0).unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| state.reader().ok()).collect();
    assert_eq!(taken.len(), 32);
    assert!(matches!(
        state.reader(),
        Err(SubscribeError::TooManyLossy(32))
    ));
    nest(&state, 40);
    drop(taken);
    nest(&state, 40);
    state.reader().unwrap();
    // Whoever read as a lossless subscriber has left.
    for value in 0..1000 {
        state.try_set(value).unwrap();
    }
}

#[test]
fn a_panic_while_reading_leaves_the_state_working() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open(1_u32).unwrap();
    let mut reader = state.reader().unwrap();
    let taken: Vec<_> = std::iter::from_fn(|| state.reader().ok()).collect();
    let panics = |work: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(work)).is_err();
    assert!(panics(
        &mut || reader.read(|_, _| panic!("the closure panics"))
    ));
    assert!(panics(
        &mut || state.read(|_, _| panic!("the closure panics"))
    ));
    drop(taken);
    for _ in 0..100 {
        assert!(panics(
            &mut || state.read(|_, _| panic!("the closure panics"))
        ));
    }
    for value in 2..200 {
        state.try_set(value).unwrap();
    }
    assert_eq!((state.get().0, reader.get().0), (199, 199));
}

#[test]
fn a_leaked_reader_costs_a_slot_and_nothing_else() {
    let bus = Bus::new();
    let state = bus.state_builder().capacity(64).open(1_u32).unwrap();
    let mut reader = state.reader().unwrap();
    reader.get();
    std::mem::forget(reader);
    let mut subscriber = state.subscribe();
    for value in 2..500 {
        state.try_set(value).unwrap();
        subscriber.try_iter().for_each(drop);
        assert_eq!(state.get().0, value);
    }
    assert_conserved(&state.topic());
}

#[test]
fn every_value_is_dropped_once_and_the_initial_one_of_an_open_state_at_once() {
    let census = Census::new();
    let bus = Bus::new();
    let state = bus.state(census.event(0)).unwrap();
    drop(bus.state(census.event(1)).unwrap());
    assert_eq!((census.born(), census.dropped()), (2, 1));
    let mut reader = state.reader().unwrap();
    for id in 2..1000 {
        state.set(census.event(id)).map_err(drop).unwrap();
        assert_eq!(reader.read(|value, _| value.id), id);
        assert_eq!(state.read(|value, _| value.id), id);
    }
    assert!(census.born() - census.dropped() <= 256);
    state.close();
    assert!(state.set(census.event(1000)).is_err());
    drop((bus, state, reader));
    census.assert_all_dropped_once();
}

#[test]
fn setting_in_the_drop_of_a_value_is_legal() {
    struct Sets(Option<State<u32>>);
    impl Drop for Sets {
        fn drop(&mut self) {
            if let Some(state) = &self.0 {
                // Refused when the bus goes, and this value with it.
                let _ = state.set(state.get().0 + 1);
            }
        }
    }
    let bus = Bus::new();
    let counter = bus.state(0_u32).unwrap();
    let state = bus.state_builder().capacity(64).open(Sets(None)).unwrap();
    finishes("setting", move || {
        for _ in 0..200 {
            state
                .set(Sets(Some(counter.clone())))
                .map_err(drop)
                .unwrap();
        }
        assert_eq!(counter.get().0, 200 - 64);
    });
}

#[test]
fn a_conflating_subscriber_of_a_state_ends_with_its_last_value() {
    let bus = Bus::new();
    let state = bus.state(0_u64).unwrap();
    let mut display = state
        .subscriber()
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    let reading = thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while display
            .poll_wait(1, |value, _| assert!(seen.insert(*value)))
            .is_ok()
        {}
        seen.into_iter().next_back()
    });
    for value in 1..=ROUNDS {
        state.set(value).unwrap();
    }
    state.close();
    assert_eq!(
        finishes("the display", move || reading.join().unwrap()),
        Some(ROUNDS)
    );
    wait_until("the topic is quiet", || {
        state.topic().snapshot().subscribers.is_empty()
    });
}

#[test]
fn an_observer_sees_what_is_set_and_may_veto_it() {
    let bus = Bus::new();
    let state = bus.state(1_u64).unwrap();
    let limit = state.topic().observe_with(0, |value| match value {
        0..=100 => std::ops::ControlFlow::Continue(()),
        _ => std::ops::ControlFlow::Break(()),
    });
    state.set(2).unwrap();
    assert_eq!(state.set(101), Err(PublishError::Vetoed(101)));
    assert_eq!(state.get().0, 2);
    drop(limit);
    state.set(101).unwrap();
    assert_eq!(state.get().0, 101);
}
