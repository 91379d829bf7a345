//! Conflation by key beside the ring: a slow reader loses no key's last event to other keys.

mod common;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use common::{Census, Counted, assert_conserved, finishes, let_others_park, numbers};
use proptest::prelude::*;
use ringbus::{Bus, Overflow, PollError, Topic, select};

type Quote = (u8, u64);

fn open<T: Send + Sync + 'static>(bus: &Bus, capacity: usize) -> Topic<T> {
    bus.topic_builder()
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

#[test]
fn a_select_is_given_the_newest_of_each_key_and_then_the_end() {
    let bus = Bus::new();
    let (topic, other) = (open::<Quote>(&bus, 64), open::<u64>(&bus, 64));
    // Of two keys it has room for one: the other waits beside the table.
    let mut conflated = topic.subscribe().conflate_by(1, |quote| quote.0);
    let mut others = other.subscribe();
    let mut next = || {
        select! {
            quote = conflated => quote.map(|(quote, meta)| (quote, meta.missed)),
            _event = others => unreachable!("nothing is published there"),
            default => Ok(((0, 0), 0)),
        }
    };
    assert_eq!(next(), Ok(((0, 0), 0)));
    for quote in [(1, 10), (1, 11), (2, 20), (2, 21)] {
        topic.publish(quote).unwrap();
    }
    assert_eq!(next(), Ok(((1, 11), 1)));
    topic.close();
    assert_eq!(next(), Ok(((2, 21), 1)));
    assert_eq!(next(), Err(PollError::Closed));
    assert_eq!(next(), Err(PollError::Closed));
}

#[test]
fn a_select_that_waits_is_woken_for_a_conflated_event_and_for_the_end() {
    finishes("a select that waits for a conflated event", || {
        let bus = Bus::new();
        let (topic, other) = (open::<Quote>(&bus, 64), open::<u64>(&bus, 64));
        let mut conflated = topic.subscribe().conflate_by(8, |quote| quote.0);
        let mut others = other.subscribe();
        let publisher = thread::spawn(move || {
            for event in 0..20 {
                let_others_park();
                topic.publish((1, event)).unwrap();
            }
            let_others_park();
            topic.close();
        });
        let mut seen = 0;
        let end = loop {
            let quote = select! {
                quote = conflated => quote,
                _event = others => unreachable!("nothing is published there"),
            };
            match quote {
                Ok((_, meta)) => seen += 1 + meta.missed,
                Err(end) => break end,
            }
        };
        assert_eq!((seen, end), (20, PollError::Closed));
        publisher.join().unwrap();
    });
}

#[test]
fn each_key_has_its_turn_with_its_newest_event() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let subscriber = topic.subscriber().name("it").open().unwrap();
    let mut conflated = subscriber.conflate_by(8, |quote| quote.0);
    assert_eq!(conflated.try_recv(), Ok(None));
    for quote in [(1, 10), (2, 20), (1, 11)] {
        topic.publish(quote).unwrap();
    }
    let (quote, meta) = conflated.try_recv().unwrap().unwrap();
    assert_eq!((quote, meta.sequence, meta.missed), ((1, 11), 2, 1));
    // The busy key does not keep the other one from its turn, and waits for its own.
    for quote in [(1, 12), (1, 13), (2, 21)] {
        topic.publish(quote).unwrap();
    }
    let (quote, meta) = conflated.recv().unwrap();
    assert_eq!((quote, meta.missed), ((2, 21), 1));
    let (quote, meta) = conflated.recv().unwrap();
    assert_eq!((quote, meta.missed), ((1, 13), 1));
    assert_eq!(conflated.try_recv(), Ok(None));
    let it = numbers(&topic, "it");
    assert_eq!((it.delivered, it.missed, it.pending), (3, 3, 0));
    assert_conserved(&topic);
}

#[test]
fn a_rare_key_is_not_lost_to_a_busy_one_although_the_reader_is_slower_than_the_ring() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let subscriber = topic
        .subscriber()
        .name("it")
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut conflated = subscriber.conflate_by(300, |quote| quote.0);
    // 200 keys say something once.
    let mut accounted = 0;
    let mut shown = HashMap::new();
    let mut receive = |conflated: &mut ringbus::Conflated<Quote, u8, _>| {
        let (quote, meta) = conflated.try_recv().unwrap()?;
        accounted += meta.missed + 1;
        shown.insert(quote.0, quote.1);
        Some(())
    };
    let mut published = 0;
    for key in 1..=200 {
        topic.publish((key, 7)).unwrap();
        published += 1;
        for value in 0..30 {
            topic.publish((0, value)).unwrap();
            published += 1;
        }
        // One event in 31.
        receive(&mut conflated);
    }
    while receive(&mut conflated).is_some() {}
    assert_eq!(shown.len(), 201);
    assert_eq!(accounted, published);
    assert_eq!(numbers(&topic, "it").pending, 0);
    assert_conserved(&topic);
}

#[test]
fn what_the_ring_itself_loses_is_told() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let subscriber = topic.subscriber().overflow(Overflow::DropOldest).open();
    let mut conflated = subscriber.unwrap().conflate_by(8, |quote| quote.0);
    for value in 0..1000 {
        topic.publish((1, value)).unwrap();
    }
    let (quote, meta) = conflated.recv().unwrap();
    assert_eq!((quote, meta.missed), ((1, 999), 999));
    assert_conserved(&topic);
}

#[test]
fn another_key_waits_until_a_full_table_has_been_handed_out() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let mut conflated = topic.subscribe().conflate_by(2, |quote| quote.0);
    for quote in [(1, 1), (2, 2), (1, 3), (3, 4), (1, 5), (4, 6), (3, 7)] {
        topic.publish(quote).unwrap();
    }
    let mut shown = Vec::new();
    while let Some((quote, meta)) = conflated.try_recv().unwrap() {
        shown.push((quote, meta.missed));
    }
    // Key 3 came when the table was full, key 4 again.
    let expected = [
        ((1, 3), 1),
        ((2, 2), 0),
        ((3, 4), 0),
        ((1, 5), 0),
        ((4, 6), 0),
        ((3, 7), 0),
    ];
    assert_eq!(shown, expected);
    assert_conserved(&topic);
}

#[test]
fn everything_is_handed_out_before_the_end_is_told() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let mut conflated = topic.subscribe().conflate_by(1, |quote| quote.0);
    for quote in [(1, 1), (2, 2), (2, 3)] {
        topic.publish(quote).unwrap();
    }
    topic.close();
    assert_eq!(conflated.recv().unwrap().0, (1, 1));
    assert_eq!(conflated.recv().unwrap().0, (2, 3));
    for _ in 0..2 {
        assert_eq!(conflated.recv(), Err(PollError::Closed));
        assert_eq!(conflated.try_recv(), Err(PollError::Closed));
    }

    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 4);
    let subscriber = topic.subscriber().overflow(Overflow::Disconnect).open();
    let mut conflated = subscriber.unwrap().conflate_by(4, |quote| quote.0);
    topic.publish((1, 1)).unwrap();
    topic.publish((2, 2)).unwrap();
    assert_eq!(conflated.try_recv().unwrap().unwrap().0, (1, 1));
    for value in 0..5 {
        topic.publish((3, value)).unwrap();
    }
    assert_eq!(conflated.try_recv().unwrap().unwrap().0, (2, 2));
    assert_eq!(conflated.try_recv(), Err(PollError::Disconnected(4)));
    assert_eq!(conflated.recv(), Err(PollError::Closed));
}

#[test]
fn a_waiting_reader_is_woken_by_an_event_by_the_close_and_by_its_deadline() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let mut conflated = topic.subscribe().conflate_by(4, |quote| quote.0);
    let soon = Instant::now() + Duration::from_millis(2);
    assert_eq!(conflated.recv_deadline(soon), Ok(None));
    let reading = thread::spawn(move || {
        assert_eq!(conflated.recv().unwrap().0, (1, 1));
        assert_eq!(conflated.recv(), Err(PollError::Closed));
    });
    let_others_park();
    topic.publish((1, 1)).unwrap();
    let_others_park();
    topic.close();
    finishes("the reader", move || reading.join().unwrap());
}

#[test]
fn a_panic_is_done_with_its_event_and_loses_no_other() {
    let bus = Bus::new();
    let topic = open::<Quote>(&bus, 64);
    let subscriber = topic.subscriber().name("it").open().unwrap();
    let mut conflated = subscriber.conflate_by(8, |quote| {
        assert_ne!(quote.1, 666, "telling the key panics");
        quote.0
    });
    for quote in [(1, 1), (1, 2), (2, 666), (3, 3), (1, 4)] {
        topic.publish(quote).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| conflated.try_recv())).is_err());
    assert_conserved(&topic);
    assert_eq!(conflated.recv().unwrap().0, (1, 4));
    assert_eq!(conflated.recv().unwrap().0, (3, 3));
    let it = numbers(&topic, "it");
    assert_eq!((it.delivered, it.missed), (3, 2));
    assert_conserved(&topic);
}

#[test]
fn every_clone_is_dropped_once_and_the_table_stays_bounded() {
    let census = Census::new();
    let bus = Bus::new();
    let topic = open::<Counted>(&bus, 64);
    let mut conflated = topic.subscribe().conflate_by(16, |event| event.id);
    for id in 0..5000 {
        topic.publish(census.event(id)).map_err(drop).unwrap();
        if id % 3 != 0 {
            conflated.try_recv().unwrap();
        }
        if id % 50 == 0 {
            while conflated.try_recv().unwrap().is_some() {}
        }
        // The ring's slots, the table's keys and the one that waits.
        assert!(census.born() - census.dropped() <= 64 + 16 + 1);
    }
    drop((conflated, topic, bus));
    census.assert_all_dropped_once();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]

    /// `Some` publishes, `None` receives.
    #[test]
    fn per_key_the_newest_and_every_event_is_accounted_for(
        steps in prop::collection::vec(prop::option::weighted(0.8, 0..12_u8), 0..200),
        keys in 1..15_usize,
    ) {
        let bus = Bus::new();
        let topic = open::<Quote>(&bus, 256);
        let mut conflated = topic.subscribe().conflate_by(keys, |quote| quote.0);
        let mut newest = HashMap::new();
        let mut shown = HashMap::new();
        let (mut published, mut accounted) = (0, 0);
        let steps = steps.into_iter().chain(std::iter::repeat_n(None, 201));
        for step in steps {
            if let Some(key) = step {
                topic.publish((key, published)).unwrap();
                newest.insert(key, published);
                published += 1;
            } else if let Some(((key, value), meta)) = conflated.try_recv().unwrap() {
                accounted += meta.missed + 1;
                let before = shown.insert(key, value);
                prop_assert!(before.is_none_or(|before| before < value));
                prop_assert!(keys < 12 || newest[&key] == value, "with room for all it is the newest");
            }
        }
        prop_assert_eq!(shown, newest);
        prop_assert_eq!(accounted, published);
        assert_conserved(&topic);
    }
}

#[test]
fn a_wait_that_would_deadlock_is_no_end() {
    let bus = Bus::new();
    let topic = bus.topic::<(u8, u32)>();
    let mut journal = topic.subscribe();
    journal.poll(1, |_, _| {}).unwrap();
    let mut act = topic
        .subscriber()
        .after(&journal)
        .open()
        .unwrap()
        .conflate_by(8, |event| event.0);
    topic.publish((1, 10)).unwrap();
    // Only this thread reads the journal.
    assert_eq!(act.recv().unwrap_err(), PollError::WouldDeadlock);
    assert_eq!(act.recv().unwrap_err(), PollError::WouldDeadlock);
    journal.poll(64, |_, _| {}).unwrap();
    assert_eq!(act.recv().unwrap().0, (1, 10));
    topic.close();
    assert_eq!(act.recv().unwrap_err(), PollError::Closed);
}
