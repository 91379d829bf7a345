//! Editors: events that are changed in place before anybody else sees them.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Census, Counted, assert_conserved, finishes, let_others_park, numbers};
use ringbus::{
    Budget, Bus, Editor, Ended, Overflow, PollError, PublishError, Reactor, RecvError, Start,
    Subscriber, Topic, TopicError, TryPublishError, WaitStrategy, select,
};

/// An event that cannot be torn unnoticed: all of it is what one editor or the publisher wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wide([u64; 9]);

impl Wide {
    fn new(number: u64) -> Self {
        Self([number; 9])
    }

    fn add(&mut self, more: u64) {
        self.0.iter_mut().for_each(|word| *word += more);
    }

    fn get(&self) -> u64 {
        assert!(
            self.0.iter().all(|word| *word == self.0[0]),
            "{self:?} is torn"
        );
        self.0[0]
    }
}

/// A topic with two editors, and the bus that closes it when it goes.
fn two_editors(capacity: usize) -> (Bus, Topic<Wide>, [Editor<Wide>; 2]) {
    let bus = Bus::new();
    let (topic, editors) = bus
        .topic_builder()
        .capacity(capacity)
        .keep_open()
        .open_edited(["first", "second"])
        .expect("the topic opens");
    (bus, topic, editors)
}

fn publish(topic: &Topic<Wide>, events: std::ops::Range<u64>) {
    for event in events {
        topic.publish(Wide::new(event)).expect("there is room");
    }
}

fn drain(subscriber: &mut Subscriber<Wide>) -> Vec<u64> {
    let mut seen = Vec::new();
    while subscriber
        .poll(64, |event, _| seen.push(event.get()))
        .is_ok_and(|shown| shown > 0)
    {}
    seen
}

const LOAD: u64 = if cfg!(miri) { 200 } else { 10_000 };

#[test]
fn what_a_chain_of_editors_makes_of_an_event_everybody_sees() {
    let (_bus, topic, [mut first, mut second]) = two_editors(8);
    let mut subscriber = topic.subscribe();
    let mut screen = topic
        .subscriber()
        .overflow(Overflow::DropOldest)
        .open()
        .expect("the subscriber opens");
    let mut display = topic
        .subscriber()
        .overflow(Overflow::Latest)
        .open()
        .expect("the subscriber opens");
    let mut act = topic.subscriber().after(&subscriber).open().unwrap();
    publish(&topic, 0..3);
    assert_eq!(second.poll(64, |_, _| {}), Ok(0));
    assert_eq!(first.poll(2, |event, _| event.add(10)), Ok(2));
    for subscriber in [&mut subscriber, &mut screen, &mut display, &mut act] {
        assert_eq!(drain(subscriber), []);
    }
    let edited = second.poll(64, |event, meta| {
        assert_eq!((event.get(), meta.missed), (meta.sequence + 10, 0));
        event.add(100);
    });
    assert_eq!(edited, Ok(2));
    assert_eq!(drain(&mut act), []);
    assert_eq!(drain(&mut subscriber), [110, 111]);
    assert_eq!(drain(&mut screen), [110, 111]);
    assert_eq!(drain(&mut display), [111]);
    assert_eq!(drain(&mut act), [110, 111]);
    assert_conserved(&topic);
}

/// Reads to the close; each event must have been edited twice, and be the next but for those missed.
fn read_edited(mut subscriber: Subscriber<Wide>) -> (Overflow, u64) {
    let mut next = 0;
    while subscriber
        .poll_wait(16, |event, meta| {
            assert_eq!(event.get() % 4, 2, "both have edited it");
            assert_eq!(event.get() / 4, next + meta.missed);
            next += meta.missed + 1;
        })
        .is_ok()
    {}
    (subscriber.overflow(), next)
}

#[test]
fn editors_and_subscribers_of_all_kinds_never_meet_in_an_event() {
    for capacity in [1, 4, 128] {
        finishes("the threads", move || {
            let (_bus, topic, editors) = two_editors(capacity);
            let overflows = [Overflow::Block, Overflow::DropOldest, Overflow::Latest];
            let subscribers = overflows
                .map(|overflow| topic.subscriber().overflow(overflow).open())
                .map(|subscriber| subscriber.expect("the subscriber opens"));
            let reading =
                subscribers.map(|subscriber| thread::spawn(move || read_edited(subscriber)));
            let mut place = 0;
            let editing = editors.map(|mut editor| {
                let before = place;
                place += 1;
                thread::spawn(move || {
                    let edit = |event: &mut Wide, _| {
                        assert_eq!(event.get() % 4, before, "one after the other");
                        event.add(1);
                    };
                    let mut edited = 0;
                    while let Ok(more) = editor.poll_wait(16, edit) {
                        edited += more as u64;
                    }
                    edited
                })
            });
            let publisher = topic.publisher().expect("the topic is open");
            // Every event of a small ring is a round of wake-ups.
            let load = LOAD / if capacity == 1 { 40 } else { 10 };
            for event in 0..load {
                let event = Wide::new(4 * event);
                publisher.publish(event).expect("the topic is open");
                if event.0[0].is_multiple_of(1024) {
                    // Joins in the middle, at the oldest event there is, and leaves at once.
                    let mut late = topic
                        .subscriber()
                        .start(Start::Oldest)
                        .open()
                        .expect("the subscriber opens");
                    let seen = late.poll(64, |event, _| assert_eq!(event.get() % 4, 2));
                    seen.expect("the topic is open");
                }
            }
            topic.close();
            for editor in editing {
                assert_eq!(editor.join().unwrap(), load);
            }
            for reader in reading {
                let (overflow, next) = reader.join().unwrap();
                assert!(overflow != Overflow::Block || next == load);
            }
        });
    }
}

#[test]
fn editor_that_leaves_lets_events_pass_and_the_others_stay() {
    let (_bus, topic, [mut first, second]) = two_editors(8);
    let mut subscriber = topic.subscribe();
    publish(&topic, 0..2);
    drop(second);
    assert_eq!(drain(&mut subscriber), [], "the first has not had them");
    assert_eq!(first.poll(1, |event, _| event.add(10)), Ok(1));
    assert_eq!(drain(&mut subscriber), [10]);
    drop(first);
    assert_eq!(drain(&mut subscriber), [1]);
    publish(&topic, 2..3);
    assert_eq!(drain(&mut subscriber), [2]);
    assert_conserved(&topic);
}

#[test]
fn first_editor_that_leaves_lets_the_second_go_on() {
    let (_bus, topic, [first, mut second]) = two_editors(8);
    let mut subscriber = topic.subscribe();
    publish(&topic, 0..2);
    drop(first);
    // In its seat, and behind the second all the same.
    let mut other = topic.subscriber().start(Start::Oldest).open().unwrap();
    assert_eq!(drain(&mut other), []);
    assert_eq!(second.poll(1, |event, _| event.add(100)), Ok(1));
    assert_eq!(drain(&mut subscriber), [100]);
    assert_eq!(drain(&mut other), [100]);
}

#[test]
fn editors_that_die_under_load_wedge_and_lose_nothing() {
    for dying in 0..2 {
        finishes("the threads", move || {
            let (_bus, topic, editors) = two_editors(4);
            let mut subscriber = topic.subscribe();
            let mut place = 0;
            let editing = editors.map(|mut editor| {
                let dies = place == dying;
                place += 1;
                thread::spawn(move || {
                    let mut edited = 0;
                    while editor
                        .poll_wait(3, |event, _| {
                            if dies && edited == LOAD / 8 {
                                resume_unwind(Box::new("the editor dies"));
                            }
                            event.add(1 << 32);
                            edited += 1;
                        })
                        .is_ok()
                    {}
                    edited
                })
            });
            let publishing = {
                let topic = topic.clone();
                thread::spawn(move || {
                    let publisher = topic.publisher().expect("the topic is open");
                    for event in 0..LOAD / 4 {
                        publisher.publish(Wide::new(event)).unwrap();
                    }
                    topic.close();
                })
            };
            let mut next = 0;
            while subscriber
                .poll_wait(16, |event, _| {
                    let (edits, number) = (event.get() >> 32, event.get() & 0xFFFF_FFFF);
                    assert_eq!(number, next);
                    assert_eq!(edits, if next < LOAD / 8 { 2 } else { 1 });
                    next += 1;
                })
                .is_ok()
            {}
            assert_eq!(next, LOAD / 4);
            publishing.join().unwrap();
            for (place, editor) in editing.into_iter().enumerate() {
                assert_eq!(editor.join().is_err(), place == dying);
            }
        });
    }
}

#[test]
fn panic_while_an_event_is_edited_lets_it_pass_as_it_is() {
    let bus = Bus::new();
    let (topic, [mut editor]) = bus
        .topic_builder::<Vec<u32>>()
        .open_edited(["editor"])
        .unwrap();
    let mut subscriber = topic.subscribe();
    for number in 0..3 {
        topic.publish(vec![number]).unwrap();
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        editor.poll(64, |event, _| {
            event.push(10);
            if event[0] == 1 {
                resume_unwind(Box::new("in the middle"));
            }
            event.push(20);
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(subscriber.recv(), Ok(vec![0, 10, 20]));
    assert_eq!(subscriber.recv(), Ok(vec![1, 10]));
    assert_eq!(editor.poll(64, |event, _| event.clear()), Ok(1));
    assert_eq!(subscriber.recv(), Ok(vec![]));
}

#[test]
fn forgotten_editor_holds_everybody_up_and_breaks_nothing() {
    let (_bus, topic, [first, mut second]) = two_editors(2);
    let mut subscriber = topic.subscribe();
    std::mem::forget(first);
    publish(&topic, 0..2);
    assert_eq!(second.poll(64, |_, _| {}), Ok(0));
    assert_eq!(drain(&mut subscriber), []);
    let publisher = topic.publisher().unwrap();
    let full = publisher.try_publish(Wide::new(2));
    assert_eq!(full, Err(TryPublishError::Full(Wide::new(2))));
}

#[test]
fn replaced_values_are_dropped_once() {
    let census = Census::new();
    {
        let bus = Bus::new();
        let (topic, [mut editor]) = bus
            .topic_builder::<Counted>()
            .capacity(4)
            .open_edited(["editor"])
            .unwrap();
        let mut subscriber = topic.subscribe();
        let mut kept = Vec::new();
        for number in 0..100 {
            topic.publish(census.event(number)).unwrap();
            let edited = editor.poll(1, |event, _| {
                let new = census.event(number + 1000);
                kept.push(std::mem::replace(event, new));
            });
            assert_eq!(edited, Ok(1));
            let shown = subscriber.poll(1, |event, _| assert_eq!(event.id, number + 1000));
            assert_eq!(shown, Ok(1));
        }
        assert!(kept.iter().map(|event| event.id).eq(0..100));
    }
    census.assert_all_dropped_once();
}

#[test]
fn zero_sized_events_are_edited_too() {
    let bus = Bus::new();
    let (topic, [mut editor]) = bus.topic_builder::<()>().open_edited(["editor"]).unwrap();
    let mut subscriber = topic.subscribe();
    topic.publish(()).unwrap();
    assert_eq!(subscriber.poll(1, |(), _| {}), Ok(0));
    assert_eq!(editor.poll(1, |event, _| *event = ()), Ok(1));
    assert_eq!(subscriber.poll(1, |(), _| {}), Ok(1));
}

#[test]
fn events_are_edited_before_there_is_a_subscriber_and_retained_so() {
    let bus = Bus::new();
    let (topic, [mut editor]) = bus
        .topic_builder::<u64>()
        .capacity(4)
        .retain(4)
        .first_sequence(10)
        .open_edited(["editor"])
        .unwrap();
    for event in 0..3 {
        topic.publish(event).unwrap();
    }
    let mut early = topic.subscriber().start(Start::Oldest).open().unwrap();
    assert_eq!(early.poll(8, |_, _| {}), Ok(0));
    let edited = editor.poll(2, |event, meta| {
        assert_eq!(meta.sequence, *event + 10);
        *event += 100;
    });
    assert_eq!(edited, Ok(2));
    let mut late = topic.subscriber().start(Start::Oldest).open().unwrap();
    for subscriber in [&mut early, &mut late] {
        let seen: Vec<_> = subscriber.try_iter().map(|(event, _)| event).collect();
        assert_eq!(seen, [100, 101]);
    }
    // At the newest, which is not edited yet.
    let mut newest = topic.subscriber().start(Start::Latest).open().unwrap();
    assert!(newest.try_recv().is_err());
    assert_eq!(editor.poll(2, |event, _| *event += 100), Ok(1));
    assert_eq!(newest.try_recv(), Ok(102));
}

#[test]
fn publishers_wait_for_an_editor_and_are_freed_by_it() {
    finishes("the publisher", || {
        let (_bus, topic, [mut first, mut second]) = two_editors(2);
        publish(&topic, 0..2);
        assert_eq!(first.poll(64, |_, _| {}), Ok(2));
        let blocked = {
            let topic = topic.clone();
            thread::spawn(move || topic.publish(Wide::new(2)))
        };
        let_others_park();
        assert!(!blocked.is_finished());
        assert_eq!(second.poll(64, |_, _| {}), Ok(2));
        assert_eq!(blocked.join().unwrap(), Ok(2));
        // This thread reads what is in the way of the next but one.
        publish(&topic, 3..4);
        let refused = topic.publish(Wide::new(4));
        assert_eq!(refused, Err(PublishError::WouldDeadlock(Wide::new(4))));
    });
}

#[test]
fn waiting_behind_an_editor_that_only_this_thread_reads_is_an_error() {
    finishes("a thread that waits for itself", || {
        let (_bus, topic, [mut first, mut second]) = two_editors(8);
        let mut subscriber = topic.subscribe();
        publish(&topic, 0..1);
        assert_eq!(first.poll(0, |_, _| {}), Ok(0));
        assert_eq!(
            second.poll_wait(1, |_, _| {}),
            Err(PollError::WouldDeadlock)
        );
        let deadline = Instant::now() + Duration::from_secs(3600);
        let timed = second.poll_deadline(1, deadline, |_, _| {});
        assert_eq!(timed, Err(PollError::WouldDeadlock));
        assert_eq!(subscriber.recv(), Err(RecvError::WouldDeadlock));
        assert_eq!(first.poll_wait(1, |_, _| {}), Ok(1));
        assert_eq!(second.poll_wait(1, |_, _| {}), Ok(1));
        assert_eq!(subscriber.recv(), Ok(Wide::new(0)));
        let soon = Instant::now() + Duration::from_millis(10);
        assert_eq!(first.poll_deadline(1, soon, |_, _| {}), Ok(0));
    });
}

#[test]
fn close_drains_through_the_editors() {
    let (_bus, topic, [mut first, mut second]) = two_editors(8);
    let mut subscriber = topic.subscribe();
    publish(&topic, 0..2);
    topic.close();
    assert_eq!(subscriber.poll(8, |_, _| {}), Ok(0));
    assert_eq!(second.poll(8, |_, _| {}), Ok(0));
    assert_eq!(first.poll(8, |event, _| event.add(1)), Ok(2));
    assert_eq!(first.poll(8, |_, _| {}), Err(PollError::Closed));
    assert_eq!(second.poll_wait(8, |event, _| event.add(1)), Ok(2));
    assert_eq!(second.poll_wait(8, |_, _| {}), Err(PollError::Closed));
    assert_eq!(drain(&mut subscriber), [2, 3]);
    assert_eq!(subscriber.recv(), Err(RecvError::Closed));
}

#[test]
fn editors_wake_each_other_and_the_subscriber() {
    for strategy in [WaitStrategy::Yield, WaitStrategy::Park] {
        finishes("the sleepers", move || {
            let bus = Bus::new();
            let (topic, editors) = bus
                .topic_builder::<u64>()
                .wait(strategy)
                .open_edited(["first", "second"])
                .unwrap();
            let editing = editors.map(|mut editor| {
                thread::spawn(move || while editor.poll_wait(8, |event, _| *event += 1).is_ok() {})
            });
            let mut subscriber = topic.subscribe();
            let (send, received) = mpsc::channel();
            let reading = thread::spawn(move || {
                while let Ok(event) = subscriber.recv() {
                    send.send(event).unwrap();
                }
            });
            for event in 0..3 {
                let_others_park();
                topic.publish(10 * event).unwrap();
                assert_eq!(received.recv(), Ok(10 * event + 2));
            }
            topic.close();
            for editor in editing {
                editor.join().unwrap();
            }
            reading.join().unwrap();
        });
    }
}

#[test]
fn editors_are_listed_by_their_names() {
    let (_bus, topic, [mut first, _second]) = two_editors(8);
    publish(&topic, 0..3);
    assert_eq!(first.poll(2, |_, _| {}), Ok(2));
    let (first_numbers, second_numbers) = (numbers(&topic, "first"), numbers(&topic, "second"));
    assert_eq!(first_numbers.delivered, 2);
    assert_eq!((first_numbers.pending, second_numbers.pending), (1, 3));
    assert_eq!(first_numbers.overflow, Overflow::Block);
    assert_conserved(&topic);
    drop(first);
    assert_eq!(topic.snapshot().subscribers.len(), 1);
}

#[test]
fn editors_are_given_out_once() {
    let (bus, topic, _editors) = two_editors(8);
    let again = bus.topic_builder::<Wide>().open_edited(["other"]);
    assert_eq!(again.unwrap_err(), TopicError::Open);
    let plain = bus.topic::<Wide>();
    let mut subscriber = plain.subscribe();
    publish(&topic, 0..1);
    assert_eq!(drain(&mut subscriber), [], "the same topic");
    // One that is open without them gets none later.
    bus.topic_named::<Wide>("plain").unwrap();
    let late = bus
        .topic_builder::<Wide>()
        .name("plain")
        .open_edited(["late"]);
    assert_eq!(late.unwrap_err(), TopicError::Open);
    let nameless = bus
        .topic_builder::<Wide>()
        .name("new")
        .open_edited(["", "b"]);
    assert_eq!(nameless.unwrap_err(), TopicError::EditorName(0));
    // A closed one makes place for a new one.
    topic.close();
    assert!(bus.topic_builder::<Wide>().open_edited(["new"]).is_ok());
}

#[test]
fn editors_of_a_closed_bus_are_closed() {
    let bus = Bus::new();
    bus.close();
    let (topic, [mut editor]) = bus.topic_builder::<u32>().open_edited(["editor"]).unwrap();
    assert!(topic.is_closed());
    assert_eq!(editor.poll_wait(1, |_, _| {}), Err(PollError::Closed));
}

#[test]
fn reactor_edits_and_reads() {
    let (_bus, topic, [first, second]) = two_editors(4);
    let mut reactor = Reactor::<Vec<u64>>::new();
    reactor.on(topic.subscribe(), |seen, event, _| seen.push(event.get()));
    reactor.on_edit(second, |_, event, _| event.add(100));
    let first = reactor.on_edit(first, |_, event, cx| {
        event.add(10);
        if event.get() == 12 {
            cx.stop();
        }
    });
    let mut seen = Vec::new();
    publish(&topic, 0..4);
    let turn = reactor.turn(&mut seen, Budget::unlimited());
    assert_eq!((turn.handled, turn.stopped), (3, true));
    while reactor.turn(&mut seen, Budget::unlimited()).handled > 0 {}
    assert_eq!(seen, [110, 111, 112, 113]);
    // A removed editor lets pass; the run ends when everything has come through.
    reactor.remove(first);
    publish(&topic, 4..6);
    topic.close();
    assert_eq!(reactor.run(&mut seen), Ok(Ended::Closed));
    assert_eq!(seen[4..], [104, 105]);
}

#[test]
fn select_and_hooks_wait_for_what_is_to_be_edited() {
    finishes("the waits", || {
        let (_bus, topic, [mut first, mut second]) = two_editors(8);
        let calls = Arc::new(AtomicUsize::new(0));
        let called = Arc::clone(&calls);
        second.on_ready(move || {
            called.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(second.poll(8, |_, _| {}), Ok(0));
        let before = calls.load(Ordering::Relaxed);
        let publishing = {
            let topic = topic.clone();
            thread::spawn(move || {
                let_others_park();
                topic.publish(Wide::new(1)).unwrap();
            })
        };
        let edited = select! {
            _ = first.ready() => first.poll(8, |event, _| event.add(1)),
        };
        assert_eq!(edited, Ok(1));
        assert_eq!(calls.load(Ordering::Relaxed), before + 1);
        assert_eq!(second.poll(8, |event, _| assert_eq!(event.get(), 2)), Ok(1));
        publishing.join().unwrap();
        let doorbell = second.doorbell();
        assert_eq!(doorbell.recv(), Ok(()));
    });
}

#[test]
fn editors_listen_until_they_are_dropped() {
    let bus = Bus::new();
    let (topic, [first, second]) = bus
        .topic_builder::<u64>()
        .open_edited(["first", "second"])
        .unwrap();
    assert!(topic.has_subscribers());
    drop(first);
    assert!(topic.has_subscribers());
    drop(second);
    assert!(!topic.has_subscribers());
    let subscriber = topic.subscribe();
    assert!(topic.has_subscribers());
    drop(subscriber);
    assert!(!topic.has_subscribers());
}

#[test]
fn an_exclusive_publishers_first_event_is_edited_too() {
    let bus = Bus::new();
    let (topic, [mut editor]) = bus.topic_builder::<u64>().open_edited(["editor"]).unwrap();
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().unwrap();
    publisher.publish(1).unwrap();
    assert_eq!(editor.poll(64, |event, _| *event += 1), Ok(1));
    assert_eq!(subscriber.recv(), Ok(2));
}
