//! Names and settings: what is refused, and how it is said.

use ringbus::{
    Bus, MAX_CAPACITY, MAX_NAME, MAX_SEQUENCE, SubscribeError, TopicError, WaitStrategy,
};

/// Error texts are lower-case sentences without a full stop.
#[track_caller]
fn assert_says(error: &impl std::error::Error, text: &str) {
    let said = error.to_string();
    assert_eq!(said, text);
    assert!(said.starts_with(char::is_lowercase) && !said.ends_with('.'));
}

#[test]
fn a_topic_name_has_1_to_255_bytes() {
    let bus = Bus::new();
    let error = bus.topic_named::<u8>("").unwrap_err();
    assert_eq!(error, TopicError::Name(0));
    assert_says(&error, "topic name must have 1 to 255 bytes, got 0");
    let error = bus
        .topic_named::<u8>(&"x".repeat(MAX_NAME + 1))
        .unwrap_err();
    assert_eq!(error, TopicError::Name(256));
    // Bytes, not characters.
    assert_eq!(
        bus.topic_named::<u8>(&"ü".repeat(128)).unwrap_err(),
        TopicError::Name(256)
    );
    assert_eq!(
        bus.topic_named::<u8>(&"x".repeat(MAX_NAME))
            .unwrap()
            .name()
            .unwrap()
            .len(),
        255
    );
    assert_eq!(
        bus.topic_builder::<u8>().name("").open().unwrap_err(),
        TopicError::Name(0)
    );
    assert!(
        bus.snapshot().topics.len() == 1,
        "what is refused is not opened"
    );
}

#[test]
fn a_subscriber_name_has_1_to_255_bytes() {
    let bus = Bus::new();
    let topic = bus.topic::<u8>();
    let error = topic.subscriber().name("").open().unwrap_err();
    assert_eq!(error, SubscribeError::Name(0));
    assert_says(&error, "subscriber name must have 1 to 255 bytes, got 0");
    let error = topic.subscriber().name("x".repeat(256)).open().unwrap_err();
    assert_says(&error, "subscriber name must have 1 to 255 bytes, got 256");
    let _longest = topic.subscriber().name("x".repeat(255)).open().unwrap();
}

#[test]
fn subscribers_may_share_a_name() {
    let bus = Bus::new();
    let topic = bus.topic::<u8>();
    let _both = [0, 1].map(|_| topic.subscriber().name("twin").open().unwrap());
    assert_eq!(topic.snapshot().subscribers.len(), 2);
}

#[test]
fn a_capacity_is_at_least_1_and_at_most_the_maximum() {
    let bus = Bus::new();
    let error = bus.topic_builder::<u8>().capacity(0).open().unwrap_err();
    assert_eq!(error, TopicError::Capacity(0));
    assert_says(&error, "capacity must be 1 to 16777216 events, got 0");
    for capacity in [MAX_CAPACITY + 1, usize::MAX] {
        let error = bus
            .topic_builder::<u8>()
            .capacity(capacity)
            .open()
            .unwrap_err();
        assert_eq!(error, TopicError::Capacity(capacity));
    }
    let largest = bus
        .topic_builder::<u8>()
        .capacity(MAX_CAPACITY)
        .open()
        .unwrap();
    assert_eq!(largest.capacity(), MAX_CAPACITY);
}

#[test]
fn a_capacity_is_rounded_up_to_a_power_of_two() {
    let bus = Bus::new();
    for (wanted, capacity) in [(1, 1), (2, 2), (3, 4), (5, 8), (1000, 1024), (1025, 2048)] {
        let topic = bus
            .topic_builder::<u8>()
            .name(wanted.to_string())
            .capacity(wanted)
            .open()
            .unwrap();
        assert_eq!(topic.capacity(), capacity);
    }
    assert_eq!(bus.topic::<u8>().capacity(), 1024);
}

#[test]
fn a_topic_retains_at_most_its_capacity() {
    let bus = Bus::new();
    let error = bus
        .topic_builder::<u8>()
        .capacity(3)
        .retain(5)
        .open()
        .unwrap_err();
    assert!(matches!(
        error,
        TopicError::Retain {
            retain: 5,
            capacity: 4,
            ..
        }
    ));
    assert_says(
        &error,
        "a topic of capacity 4 can retain at most 4 events, not 5",
    );
    bus.topic_builder::<u8>()
        .capacity(3)
        .retain(4)
        .open()
        .unwrap();
}

#[test]
fn a_first_sequence_is_below_the_last_one() {
    let bus = Bus::new();
    let error = bus
        .topic_builder::<u8>()
        .first_sequence(MAX_SEQUENCE)
        .open()
        .unwrap_err();
    assert_eq!(error, TopicError::FirstSequence(MAX_SEQUENCE));
    assert_says(
        &error,
        &format!("first sequence must be below {MAX_SEQUENCE}, got {MAX_SEQUENCE}"),
    );
    bus.topic_builder::<u8>()
        .first_sequence(MAX_SEQUENCE - 1)
        .open()
        .unwrap();
}

#[test]
fn an_open_topic_keeps_its_settings() {
    let bus = Bus::new();
    let open = || bus.topic_builder::<u8>().name("it");
    let _it = open()
        .capacity(100)
        .wait(WaitStrategy::Yield)
        .retain(7)
        .first_sequence(3)
        .open()
        .unwrap();
    for (error, text) in [
        (
            open().capacity(256).open(),
            "topic \"it\" of u8 is open with another capacity: 128, not 256",
        ),
        (
            open().wait(WaitStrategy::Spin).open(),
            "topic \"it\" of u8 is open with another wait strategy: Yield, not Spin",
        ),
        (
            open().retain(8).open(),
            "topic \"it\" of u8 is open with another retain: 7, not 8",
        ),
        (
            open().keep_open().open(),
            "topic \"it\" of u8 is open with another keep_open: false, not true",
        ),
        (
            open().first_sequence(4).open(),
            "topic \"it\" of u8 is open with another first sequence: 3, not 4",
        ),
    ] {
        let error = error.unwrap_err();
        assert!(matches!(error, TopicError::Conflict { .. }));
        assert_says(&error, text);
    }
    // The same again, or nothing, is no conflict; nor is another capacity that is rounded to the same.
    open()
        .capacity(65)
        .wait(WaitStrategy::Yield)
        .retain(7)
        .first_sequence(3)
        .open()
        .unwrap();
    assert_eq!(bus.topic_named::<u8>("it").unwrap().capacity(), 128);
}

#[test]
fn bad_settings_of_an_open_topic_are_bad() {
    let bus = Bus::new();
    let _it = bus.topic::<u8>();
    assert_eq!(
        bus.topic_builder::<u8>().capacity(0).open().unwrap_err(),
        TopicError::Capacity(0)
    );
}

#[test]
fn topics_of_one_name_and_different_types_are_different_topics() {
    let bus = Bus::new();
    let numbers = bus.topic_named::<u64>("it").unwrap();
    let texts = bus.topic_named::<String>("it").unwrap();
    let mut number_reader = numbers.subscribe();
    let mut text_reader = texts.subscribe();
    numbers.publish(1).unwrap();
    texts.publish("one".to_owned()).unwrap();
    assert_eq!(number_reader.recv(), Ok(1));
    assert_eq!(text_reader.recv().as_deref(), Ok("one"));
    assert!(number_reader.try_recv().is_err());
    numbers.close();
    assert!(!texts.is_closed());
}

#[test]
fn topics_of_one_type_and_different_names_are_different_topics() {
    let bus = Bus::new();
    let (one, two) = (
        bus.topic_named::<u64>("one").unwrap(),
        bus.topic_named::<u64>("two").unwrap(),
    );
    let mut subscribers = [one.subscribe(), two.subscribe(), bus.topic().subscribe()];
    one.publish(1).unwrap();
    two.publish(2).unwrap();
    bus.publish(3_u64).unwrap();
    for (subscriber, event) in subscribers.iter_mut().zip(1..) {
        assert_eq!(subscriber.recv(), Ok(event));
        assert!(subscriber.try_recv().is_err());
    }
}

#[test]
fn the_topic_of_a_type_has_no_name() {
    let bus = Bus::new();
    assert_eq!(bus.topic::<u8>().name(), None);
    assert_eq!(bus.topic_named::<u8>("it").unwrap().name(), Some("it"));
}

#[test]
fn a_topic_is_found_again() {
    let bus = Bus::new();
    let mut subscriber = bus.topic_named::<u8>("it").unwrap().subscribe();
    bus.clone()
        .topic_named::<u8>("it")
        .unwrap()
        .publish(1)
        .unwrap();
    assert_eq!(subscriber.recv(), Ok(1));
    assert!(
        Bus::new()
            .topic_named::<u8>("it")
            .unwrap()
            .snapshot()
            .subscribers
            .is_empty()
    );
}
