//! What an idle part of a bus takes. Alone in its binary, as the allocator counts for the whole process; and
//! one test, as tests run beside each other.

mod counting;

use ringbus::{Bus, Overflow, Reactor};

/// Returns the bytes that `make` leaves allocated.
fn bytes<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = counting::live();
    let made = make();
    let bytes = counting::live() - before;
    (made, bytes.try_into().expect("it allocates"))
}

#[test]
fn what_is_idle_is_small() {
    const TOPICS: usize = 100_000;
    let bus = Bus::new();
    let ((), idle) = bytes(|| {
        for number in 0..TOPICS {
            // Nobody keeps the handle: the bus has the topic.
            bus.topic_named::<u64>(&format!("sensor/{number:06}"))
                .unwrap();
        }
    });
    let each = idle / TOPICS;
    assert!(each < 1_000, "an idle topic takes {each} bytes");

    let topic = bus.topic_named::<u64>("sensor/000000").unwrap();
    let (_first, ring) = bytes(|| topic.subscribe());
    // A slot is the event and its stamp.
    let slots = topic.capacity() * 16;
    assert!(
        ring > slots && ring < slots + 2_048,
        "a ring takes {ring} bytes"
    );
    let (mut more, subscribers) =
        bytes(|| (0..1_000).map(|_| topic.subscribe()).collect::<Vec<_>>());
    let each = subscribers / 1_000;
    assert!(each < 560, "a subscriber and its handle take {each} bytes");

    let lossy = || {
        topic
            .subscriber()
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap()
    };
    let (_lossy, lossy) = bytes(lossy);
    assert!(lossy < 2_048, "a lossy subscriber takes {lossy} bytes");

    let (_reactor, sources) = bytes(|| {
        let mut reactor = Reactor::new();
        for subscriber in more.drain(..) {
            reactor.on(subscriber, |sum: &mut u64, event: &u64, _| *sum += event);
        }
        reactor
    });
    let each = sources / 1_000;
    assert!(each < 1_024, "a place in a reactor takes {each} bytes");
}
