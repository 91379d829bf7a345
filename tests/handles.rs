//! What handles, errors and panics tell of themselves.

use std::sync::mpsc;

use ringbus::{
    Budget, Bus, DeadLetter, OnPanic, Overflow, PollError, PublisherError, Reactor, ReactorBuilder,
    RecvError, Redeliver, RunError, Subscriber, Timeline, TopicBuilder, TryRecvError,
};

/// Nothing is derived for it, `Debug` least of all.
struct Opaque;

#[test]
fn a_handle_names_its_topic_and_tells_whether_anybody_listens() {
    let bus = Bus::new();
    let named = bus.topic_builder::<u8>().name("ticks").capacity(100);
    let named = named.open().unwrap();
    let publisher = named.publisher().unwrap();
    assert_eq!(publisher.topic_name(), Some("ticks"));
    assert_eq!(publisher.capacity(), 128);
    assert!(!publisher.has_subscribers());
    let subscriber = named.subscriber().name("screen").open().unwrap();
    assert_eq!(subscriber.name(), Some("screen"));
    assert_eq!(subscriber.topic_name(), Some("ticks"));
    assert!(publisher.has_subscribers() && !publisher.is_closed() && !subscriber.is_closed());
    named.close();
    assert!(publisher.is_closed() && subscriber.is_closed());

    let plain = bus.topic::<Opaque>();
    let exclusive = plain.exclusive_publisher().unwrap();
    assert_eq!((exclusive.topic_name(), exclusive.capacity()), (None, 1024));
    assert!(!exclusive.has_subscribers());
    let subscriber = plain.subscribe();
    assert_eq!((subscriber.name(), subscriber.topic_name()), (None, None));
    assert!(exclusive.has_subscribers() && !exclusive.is_closed());
    bus.close();
    assert!(exclusive.is_closed());
}

#[test]
fn a_subscriber_tells_its_own_numbers_and_nobody_elses() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(4).keep_open();
    let topic = topic.open().unwrap();
    let lossy = |name: &str, overflow| {
        let subscriber = topic.subscriber().name(name).overflow(overflow);
        subscriber.open().unwrap()
    };
    let mut screen = lossy("screen", Overflow::DropOldest);
    let mut journal = lossy("journal", Overflow::Disconnect);
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    screen.poll(2, |_, _| ()).unwrap();
    // Left while it is still being counted, and once it was taken out.
    for _ in 0..2 {
        let numbers = screen.snapshot();
        assert_eq!(numbers.name.as_deref(), Some("screen"));
        assert_eq!(numbers.overflow, Overflow::DropOldest);
        let (delivered, missed, pending) = (numbers.delivered, numbers.missed, numbers.pending);
        assert_eq!((delivered, missed, pending), (2, 6, 2));
        assert_eq!(numbers.published, 10);
        let numbers = journal.snapshot();
        assert_eq!(numbers.name.as_deref(), Some("journal"));
        assert_eq!((numbers.delivered, numbers.pending), (0, 0));
        let _ = journal.poll(1, |_, _| ());
    }
}

#[test]
fn a_subscriber_of_a_topic_that_has_grown_tells_all_its_numbers() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(64).grow_to(1024);
    let topic = topic.open().unwrap();
    let mut subscriber = topic.subscribe();
    for event in 0..1000 {
        topic.publish(event).unwrap();
    }
    let mut left = 1000;
    while left > 0 {
        let numbers = subscriber.snapshot();
        assert_eq!((numbers.delivered, numbers.pending), (1000 - left, left));
        left -= subscriber.poll(300, |_, _| ()).unwrap() as u64;
    }
    assert_eq!(subscriber.snapshot().delivered, 1000);
}

#[test]
fn a_member_tells_the_numbers_of_its_group() {
    let bus = Bus::new();
    let jobs = bus.topic::<u64>();
    let mut one = jobs.group("workers").redeliver(Redeliver::Never).join();
    let other = jobs.group("workers").join().unwrap();
    let _apart = jobs.group("others").join().unwrap();
    for job in 0..5 {
        jobs.publish(job).unwrap();
    }
    one.as_mut().unwrap().poll(2, |_, _| ()).unwrap();
    let numbers = other.snapshot();
    assert_eq!((&*numbers.name, numbers.members), ("workers", 2));
    assert_eq!((numbers.delivered, numbers.pending), (2, 3));
}

#[test]
fn a_loop_over_a_subscriber_goes_on_over_losses_and_ends_with_the_topic() {
    let bus = Bus::new();
    let topic = bus.topic_builder::<u64>().capacity(4).open().unwrap();
    let lossy = topic.subscriber().overflow(Overflow::DropOldest);
    let mut subscriber = lossy.open().unwrap();
    for event in 0..10 {
        topic.publish(event).unwrap();
    }
    topic.close();
    let mut seen = Vec::new();
    for (event, meta) in &mut subscriber {
        seen.push((event, meta.missed));
    }
    assert_eq!(seen, [(6, 6), (7, 0), (8, 0), (9, 0)]);
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn whatever_it_is_of_a_handle_can_be_shown() {
    fn shown(handle: impl std::fmt::Debug) -> String {
        format!("{handle:?}")
    }
    let bus = Bus::new();
    let builder: TopicBuilder<'_, Opaque> = bus.topic_builder().name("quotes").capacity(7);
    let text = shown(&builder);
    assert!(text.contains("quotes") && text.contains("Opaque") && text.contains("Some(7)"));
    let topic = builder.open().unwrap();
    let builder = bus.state_builder::<Opaque>().name("mode");
    assert!(shown(builder).contains("mode"));
    let builder: ReactorBuilder<Opaque> = Reactor::builder().outbox(77);
    assert!(shown(builder).contains("77"));

    let mut subscriber: Subscriber<Opaque> = topic.subscriber().name("screen").open().unwrap();
    let text = shown(&subscriber);
    assert!(text.contains("screen") && text.contains("quotes"), "{text}");
    assert!(shown(subscriber.ready()).contains("screen"));

    let numbers = bus.topic::<u8>();
    let mut subscriber = numbers.subscriber().name("digits").open().unwrap();
    assert!(shown(subscriber.iter()).contains("digits"));
    assert!(shown(subscriber.try_iter()).contains("digits"));
}

#[test]
fn a_bus_is_shown_by_its_size() {
    let bus = Bus::new();
    for name in ["a", "b", "c"] {
        let _ = bus.topic_named::<DeadLetter<Opaque>>(name).unwrap();
    }
    assert_eq!(format!("{bus:?}"), "Bus { topics: 3, closed: false, .. }");
    bus.close();
    assert_eq!(format!("{bus:?}"), "Bus { topics: 3, closed: true, .. }");
}

#[test]
fn one_is_not_several() {
    for (error, said) in [
        (
            PublisherError::NotAlone(1).to_string(),
            "topic has 1 publisher already, an exclusive one must be the only one",
        ),
        (RecvError::Missed(1).to_string(), "missed 1 event"),
        (RecvError::Missed(2).to_string(), "missed 2 events"),
        (
            RecvError::Disconnected(1).to_string(),
            "disconnected a full ring behind, missed 1 event",
        ),
        (TryRecvError::Missed(1).to_string(), "missed 1 event"),
        (
            PollError::Disconnected(3).to_string(),
            "disconnected a full ring behind, missed 3 events",
        ),
        (
            RunError::WouldDeadlock(1).to_string(),
            "1 event in the outbox for rings that only this thread reads: waiting would deadlock",
        ),
    ] {
        assert_eq!(error, said);
    }
}

#[test]
fn a_handlers_panic_says_where_the_handler_was_added() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut reactor = Reactor::builder().on_panic(OnPanic::Remove).build();
    let (line, id) = (
        line!() + 1,
        reactor.on(topic.subscribe(), |_: &mut Vec<String>, event, _| {
            panic!("no luck with {event}")
        }),
    );
    reactor.on_panic(|told, panic, _| {
        assert_eq!(panic.location.unwrap().file(), file!());
        told.push(panic.to_string());
    });
    topic.publish(7).unwrap();
    let mut told = Vec::new();
    assert_eq!(reactor.turn(&mut told, Budget::unlimited()).panicked, 1);
    let [told] = &*told else {
        panic!("told once, not {told:?}")
    };
    assert!(
        told.starts_with(&format!("{id} of {}:{line}:", file!())),
        "{told}"
    );
    assert!(told.ends_with(": no luck with 7"), "{told}");
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_panic_of_what_a_removed_handler_held_says_where_it_was_added_unless_its_place_is_taken() {
    for taken in [false, true] {
        let bus = Bus::new();
        let timeline = Timeline::new();
        let open = || bus.topic_builder::<u64>().timeline(&timeline);
        let topic = open().open().unwrap();
        let mut reactor = Reactor::builder().on_panic(OnPanic::Isolate).build();
        let mut remove = None;
        let (give, given) = mpsc::channel();
        reactor.timeline(&timeline).on(topic.subscribe(), {
            let topic = topic.clone();
            move |_: &mut Vec<_>, _, cx| {
                let id = *remove.get_or_insert_with(|| given.recv().unwrap());
                assert!(cx.remove(id));
                if taken {
                    cx.on(topic.subscribe(), |_, _, _| ());
                }
            }
        });
        let armed = Bomb;
        let mut handlers = reactor.timeline(&timeline);
        let removed = handlers.on(topic.subscribe(), move |_, _, _| {
            let _ = &armed;
        });
        give.send(removed).unwrap();
        reactor.on_panic(move |told, panic, _| {
            assert_eq!((panic.handler, panic.message()), (removed, Some("dropped")));
            told.push((panic.location.is_none(), panic.to_string()));
        });
        topic.publish(0).unwrap();
        let mut told = Vec::new();
        let _ = reactor.turn(&mut told, Budget::unlimited());
        let [(unknown, text)] = &*told else {
            panic!("told once, not {told:?}")
        };
        assert_eq!(
            (*unknown, text.contains(file!())),
            (taken, !taken),
            "{text}"
        );
    }
}

#[test]
fn an_observers_panic_says_where_the_observer_was_added() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let (tell, told) = mpsc::channel();
    topic.on_observer_panic(move |panic| tell.send(panic.to_string()).unwrap());
    let (line, _observer) = (
        line!() + 1,
        topic.observe(|event| panic!("no luck with {event}")),
    );
    topic.publish(7).unwrap();
    let told = told.recv().unwrap();
    assert!(
        told.starts_with(&format!("observer of {}:{line}:", file!())),
        "{told}"
    );
    assert!(told.ends_with(": no luck with 7"), "{told}");
}
