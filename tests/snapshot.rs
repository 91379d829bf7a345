//! Numbers for people.

mod common;

use std::thread;
use std::time::Duration;

use common::{assert_conserved, let_others_park};
use ringbus::{Bus, Overflow, WaitStrategy};

#[test]
fn a_snapshot_tells_who_publishes_and_who_listens() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .name("ticks")
        .capacity(4)
        .wait(WaitStrategy::Yield)
        .open()
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let _other = publisher.clone();
    let mut screen = topic
        .subscriber()
        .name("screen")
        .overflow(Overflow::DropOldest)
        .filter(|event| event.is_multiple_of(2))
        .open()
        .unwrap();
    for event in 0..6 {
        publisher.publish(event).unwrap();
    }
    screen.poll(1, |_, _| ()).unwrap();

    let snapshot = topic.snapshot();
    assert_eq!(snapshot.name.as_deref(), Some("ticks"));
    assert_eq!(snapshot.type_name, "u64");
    assert_eq!(snapshot.capacity, 4);
    assert_eq!(snapshot.wait, WaitStrategy::Yield);
    assert!(!snapshot.closed);
    assert_eq!(snapshot.publishers, 2);
    assert_eq!(snapshot.published, 6);
    assert_eq!(
        (snapshot.blocked, snapshot.blocked_time),
        (0, Duration::ZERO)
    );

    let [screen_now] = &snapshot.subscribers[..] else {
        panic!("there is one subscriber")
    };
    assert_eq!(screen_now.name.as_deref(), Some("screen"));
    assert_eq!(screen_now.overflow, Overflow::DropOldest);
    assert_eq!(screen_now.published, 6);
    assert_eq!(screen_now.delivered, 1);
    assert_eq!(screen_now.filtered, 0);
    assert_eq!(screen_now.missed, 2);
    assert_eq!(screen_now.pending, 3);
    assert_eq!((screen_now.position, screen_now.lag), (3, 3));

    assert_eq!(screen.try_iter().count(), 1);
    let numbers = common::numbers(&topic, "screen");
    assert_eq!(
        (numbers.delivered, numbers.filtered, numbers.pending),
        (2, 2, 0)
    );
    drop(screen);
    assert!(topic.snapshot().subscribers.is_empty());
}

#[test]
fn a_snapshot_tells_how_often_publishers_waited() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .capacity(1)
        .keep_open()
        .open()
        .unwrap();
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(0).unwrap();
    let blocked = thread::spawn(move || publisher.publish(1));
    let_others_park();
    assert_eq!(subscriber.recv(), Ok(0));
    blocked.join().unwrap().unwrap();
    let snapshot = topic.snapshot();
    assert_eq!(snapshot.blocked, 1);
    assert!(snapshot.blocked_time > Duration::ZERO);
}

#[test]
fn a_try_that_is_refused_did_not_wait() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(1).open().unwrap();
    let _subscriber = topic.subscribe();
    let publisher = topic.publisher().unwrap();
    publisher.publish(0).unwrap();
    publisher.try_publish(1).unwrap_err();
    assert_eq!(topic.snapshot().blocked, 0);
}

#[test]
fn a_snapshot_of_the_bus_lists_the_nameless_topics_first() {
    let bus = Bus::new();
    bus.topic_named::<u8>("b").unwrap();
    bus.topic_named::<u8>("a").unwrap();
    bus.topic::<u8>();
    let names: Vec<_> = bus
        .snapshot()
        .topics
        .into_iter()
        .map(|topic| topic.name)
        .collect();
    assert_eq!(names, [None, Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn a_closed_bus_still_shows_its_last_numbers() {
    let bus = Bus::new();
    bus.publish(1_u8).unwrap();
    bus.close();
    let snapshot = bus.snapshot();
    assert!(snapshot.topics[0].closed);
    assert_eq!(snapshot.topics[0].published, 1);
}

#[test]
fn a_snapshot_prints_as_a_table() {
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<u64>()
        .name("ticks")
        .capacity(4)
        .open()
        .unwrap();
    let _screen = topic
        .subscriber()
        .name("screen")
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let _nameless = topic
        .subscriber()
        .overflow(Overflow::Latest)
        .open()
        .unwrap();
    for event in 0..7 {
        topic.publish(event).unwrap();
    }
    bus.topic::<String>().close();

    let table = bus.snapshot().to_string();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert_eq!(
        lines[0][3..],
        [
            "position",
            "published",
            "delivered",
            "filtered",
            "missed",
            "pending"
        ]
    );
    assert_eq!(lines[1][..3], ["String", "0", "closed,"]);
    assert_eq!(lines[2][..5], ["ticks", "7", "open,", "1", "publisher"]);
    let screen = lines
        .iter()
        .find(|line| line[0] == "screen")
        .expect("the screen is listed");
    assert_eq!(screen[1..], ["(DropOldest)", "3", "7", "0", "0", "3", "4"]);
    let nameless = lines
        .iter()
        .find(|line| line[0] == "-")
        .expect("the other one is listed");
    assert_eq!(nameless[1], "(Latest)");
    let columns = |line: &str| line.chars().count();
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("  "))
        .map(columns)
        .collect();
    assert!(
        rows.iter()
            .all(|row| *row == columns(table.lines().next().unwrap())),
        "{table}"
    );
}

#[test]
fn handles_are_debuggable_without_debuggable_events() {
    struct Opaque;

    let bus = Bus::new();
    let topic = bus.topic_named::<Opaque>("it").unwrap();
    let mut subscriber = topic.subscribe();
    assert!(format!("{topic:?}").contains("Topic { name: Some(\"it\")"));
    assert!(format!("{subscriber:?}").contains("overflow: Block"));
    assert!(format!("{:?}", topic.publisher().unwrap()).contains("Publisher"));
    assert!(!format!("{:?}", bus.snapshot()).is_empty());
    let topic = bus.topic_named::<Opaque>("it").unwrap();
    topic.publish(Opaque).map(drop).unwrap_or_default();
    let _ = subscriber.poll(1, |Opaque, meta| assert!(!format!("{meta:?}").is_empty()));
}

#[test]
fn gaps_in_a_batch_that_was_not_used_up_are_not_published_events() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
    let mut lossy = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .unwrap();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publisher.publish(0).unwrap();
    let build = || -> u64 { panic!("a gap") };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        publisher.publish_with(build).is_ok()
    }));
    assert!(panicked.is_err());
    publisher.publish(1).unwrap();
    // Lent the event and the gap, of which it takes the event.
    let taken = lossy.poll_batch(2, |mut batch| batch.next().map(|(event, _)| *event));
    assert_eq!(taken, Ok(Some(Some(0))));
    assert_conserved(&topic);
    assert_eq!(topic.snapshot().subscribers[0].published, 2);
}

/// The words of each line of a bus's table, below the head.
fn table(bus: &Bus) -> Vec<Vec<String>> {
    let table = bus.snapshot().to_string();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    table.lines().skip(1).map(words).collect()
}

mod orders {
    pub(crate) struct Quote;
}

mod prices {
    pub(crate) struct Quote;
    pub(crate) struct Wrapped<T>(std::marker::PhantomData<T>);
}

#[test]
fn the_table_says_what_happened_and_nothing_else() {
    let bus = Bus::new();
    let topic = bus.topic_named::<u32>("ticks").unwrap();
    let mut screen = topic.subscriber().name("screen").open().unwrap();
    let _member = topic.group("workers").join().unwrap();
    let _observer = topic.observe(|tick| assert_ne!(*tick, 1));
    topic.publish(0).unwrap();
    screen.poll(64, |_, _| {}).unwrap();
    let lines = table(&bus);
    assert_eq!(lines[0], ["ticks", "1", "open,", "1", "publisher"]);
    let expected = ["screen", "(Block)", "1", "1", "1", "0", "0", "0"];
    assert_eq!(lines[1], expected);
    let expected = [
        "workers", "(Block,", "group", "of", "1)", "0", "1", "0", "0", "0", "1",
    ];
    assert_eq!(lines[2], expected);
    assert_eq!(lines[3][..3], ["observer,", "priority", "0,"]);
    assert_eq!(lines[3].len(), 4);
    topic.publish(1).unwrap();
    assert_eq!(table(&bus)[3][4..], ["1", "panics"]);
    topic.close();
    assert_eq!(table(&bus)[0][2], "closed,");
}

#[test]
fn waits_are_in_the_table_when_there_were_some() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u32>().capacity(1).open().unwrap();
    let mut subscriber = topic.subscribe();
    subscriber.poll(64, |_, _| {}).unwrap();
    assert!(!bus.snapshot().to_string().contains("blocked"));
    while topic.snapshot().blocked == 0 {
        // The bus is a publisher too, so the topic stays open.
        topic.publish(0).unwrap();
        let publisher = topic.publisher().unwrap();
        let thread = thread::spawn(move || publisher.publish(1).map(drop));
        let_others_park();
        subscriber.poll_wait(1, |_, _| {}).unwrap();
        thread.join().unwrap().unwrap();
        subscriber.poll(1, |_, _| {}).unwrap();
    }
    let line = table(&bus).swap_remove(0);
    assert!(line.contains(&"blocked".to_owned()), "{line:?}");
}

#[test]
fn topics_without_a_name_go_by_short_names_of_types() {
    let bus = Bus::new();
    bus.topic::<prices::Wrapped<Vec<orders::Quote>>>();
    bus.topic::<orders::Quote>();
    let names = |bus: &Bus| -> Vec<String> {
        let lines = table(bus);
        lines.iter().map(|line| line[0].clone()).collect()
    };
    assert_eq!(names(&bus), ["Quote", "Wrapped<Vec<Quote>>"]);
    // Two that would look the same are told apart.
    bus.topic::<prices::Quote>();
    let expected = [
        "snapshot::orders::Quote",
        "snapshot::prices::Quote",
        "Wrapped<Vec<Quote>>",
    ];
    assert_eq!(names(&bus), expected);
}
