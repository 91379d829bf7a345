//! Subscribers that join and leave for ever need no memory.
//!
//! 65,536 of them; with `RINGBUS_CHURN=1048576`, or any other number, so many.

mod counting;

use ringbus::{Bus, Overflow, Redeliver, Start, Topic};

fn rounds() -> usize {
    match std::env::var("RINGBUS_CHURN") {
        Ok(given) => given.parse().expect("RINGBUS_CHURN is a number"),
        Err(_) => 1 << 16,
    }
}

/// Somebody joins, sees what comes, or not, and leaves.
fn come_and_go(bus: &Bus, topic: &Topic<u64>, round: usize) {
    let overflow = match round % 4 {
        0 => Overflow::Block,
        1 => Overflow::DropOldest,
        2 => Overflow::Latest,
        _ => Overflow::Disconnect,
    };
    let start = [Start::Now, Start::Oldest, Start::Latest][round % 3];
    let mut guest = topic
        .subscriber()
        .name("guest")
        .overflow(overflow)
        .start(start)
        .open()
        .unwrap();
    topic.publish(round as u64).unwrap();
    if round.is_multiple_of(2) {
        let mut last = None;
        guest.poll(64, |event, _| last = Some(*event)).unwrap();
        assert_eq!(last, Some(round as u64));
    }
    match round % 16 {
        // A subscriber that comes after another one.
        1 => {
            let before = topic.subscribe();
            drop(topic.subscriber().after(&before).open().unwrap());
        }
        2 => drop(topic.observe(|_| {})),
        3 => {
            let mut member = topic
                .group("workers")
                .redeliver(Redeliver::Once)
                .join()
                .unwrap();
            topic.publish(round as u64).unwrap();
            assert_eq!(member.poll(1, |_, _| {}), Ok(1));
        }
        4 => drop(bus.subscribe_pattern::<u64>("churn.*").unwrap()),
        5 => drop(topic.publisher().unwrap()),
        // Two that leave the wrong way round.
        6 => {
            let first = topic.subscribe();
            let _second = topic.subscribe();
            drop(first);
        }
        _ => {}
    }
}

#[test]
fn subscribers_that_join_and_leave_leave_no_memory_behind() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .name("churn.one")
        .capacity(64)
        .keep_open()
        .open()
        .unwrap();
    let _stays = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let rounds = rounds();
    let churn =
        |from: usize, to: usize| (from..to).for_each(|round| come_and_go(&bus, &topic, round));
    // Tables grow to what is there at once.
    churn(0, 4096);
    let before = counting::live();
    churn(4096, 4096 + rounds);
    let grown = counting::live() - before;
    // The harness has a thread of its own; a leak of a byte a round would be sixty times as much.
    assert!(
        grown < 1024,
        "{rounds} subscribers have left {grown} bytes behind"
    );
    assert_eq!(topic.snapshot().subscribers.len(), 1);
}
