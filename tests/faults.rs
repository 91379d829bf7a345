//! Threads that die, or never come back, with something of a bus in their hands: the others go on as documented.

mod common;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{assert_conserved, finishes, let_others_park, wait_until};
use ringbus::{
    Bus, GroupMember, Overflow, PollError, PublishError, Reactor, RecvError, Subscriber, Timeline,
    Topic, TryPublishError,
};

/// What becomes of the thread in its handler.
#[derive(Clone)]
enum Fault {
    Dies,
    /// It says that it is there, and never returns.
    Stays(Arc<AtomicBool>),
}

impl Fault {
    fn happen(&self) {
        match self {
            Self::Dies => resume_unwind(Box::new("the thread dies")),
            Self::Stays(there) => {
                there.store(true, Ordering::Release);
                loop {
                    thread::park();
                }
            }
        }
    }
}

/// Owns what is held, and when it is called handles an event with it, in which the fault happens.
type Hold = Box<dyn FnOnce(Fault) + Send>;

/// What a thread may hold.
struct Kind {
    what: &'static str,
    /// Publishers wait for it.
    blocks: bool,
    /// Subscribers wait for it.
    comes_first: bool,
    open: fn(&Bus) -> (Topic<u64>, Hold),
}

const CAPACITY: u64 = 4;

/// Many laps of the ring.
const LOAD: u64 = if cfg!(miri) { 40 } else { 1000 };

fn open(bus: &Bus) -> Topic<u64> {
    let topic = bus.topic_builder().name("a").capacity(CAPACITY as usize);
    topic.keep_open().open().expect("the topic opens")
}

fn reads(mut subscriber: Subscriber<u64>) -> Hold {
    Box::new(move |fault| {
        let _ = subscriber.poll_wait(1, |_, _| fault.happen());
    })
}

fn works(mut member: GroupMember<u64>) -> Hold {
    Box::new(move |fault| {
        let _ = member.poll_wait(64, |_, _| fault.happen());
    })
}

fn runs(mut reactor: Reactor<Fault>) -> Hold {
    Box::new(move |mut fault| {
        let _ = reactor.run(&mut fault);
    })
}

fn with(bus: &Bus, overflow: Overflow) -> (Topic<u64>, Hold) {
    let topic = open(bus);
    let subscriber = topic.subscriber().overflow(overflow).open();
    let hold = reads(subscriber.expect("the subscriber opens"));
    (topic, hold)
}

const KINDS: &[Kind] = &[
    Kind {
        what: "a lossless subscriber",
        blocks: true,
        comes_first: false,
        open: |bus| with(bus, Overflow::Block),
    },
    Kind {
        what: "a subscriber that loses the oldest",
        blocks: false,
        comes_first: false,
        open: |bus| with(bus, Overflow::DropOldest),
    },
    Kind {
        what: "a subscriber to the latest",
        blocks: false,
        comes_first: false,
        open: |bus| with(bus, Overflow::Latest),
    },
    Kind {
        what: "a subscriber that is disconnected",
        blocks: false,
        comes_first: false,
        open: |bus| with(bus, Overflow::Disconnect),
    },
    Kind {
        what: "the only member of a group",
        blocks: true,
        comes_first: false,
        open: |bus| {
            let topic = open(bus);
            let hold = works(topic.group("workers").join().expect("the group opens"));
            (topic, hold)
        },
    },
    Kind {
        what: "the only member of a group by key",
        blocks: true,
        comes_first: false,
        open: |bus| {
            let topic = open(bus);
            let member = topic.group("workers").by_key(|event| event % 3).join();
            let hold = works(member.expect("the group opens"));
            (topic, hold)
        },
    },
    Kind {
        what: "the only member of a lossy group",
        blocks: false,
        comes_first: false,
        open: |bus| {
            let topic = open(bus);
            let builder = topic.group("workers").overflow(Overflow::DropOldest);
            let hold = works(builder.join().expect("the group opens"));
            (topic, hold)
        },
    },
    Kind {
        what: "an editor",
        blocks: true,
        comes_first: true,
        open: |bus| {
            let builder = bus.topic_builder().name("a").capacity(CAPACITY as usize);
            let opened = builder.keep_open().open_edited(["editor"]);
            let (topic, [mut editor]) = opened.expect("the topic opens");
            let hold: Hold = Box::new(move |fault| {
                let _ = editor.poll_wait(1, |_, _| fault.happen());
            });
            (topic, hold)
        },
    },
    Kind {
        what: "a source of a reactor",
        blocks: true,
        comes_first: false,
        open: |bus| {
            let topic = open(bus);
            let mut reactor = Reactor::new();
            reactor.on(topic.subscribe(), |fault: &mut Fault, _, _| fault.happen());
            (topic, runs(reactor))
        },
    },
    Kind {
        what: "a group member in a reactor",
        blocks: true,
        comes_first: false,
        open: |bus| {
            let topic = open(bus);
            let member = topic.group("workers").join().expect("the group opens");
            let mut reactor = Reactor::new();
            reactor.on_group(member, |fault: &mut Fault, _, _| fault.happen());
            (topic, runs(reactor))
        },
    },
    Kind {
        what: "a merged subscriber",
        blocks: true,
        comes_first: false,
        open: |bus| {
            let topic = open(bus);
            let mut merged = bus.subscribe_pattern::<u64>(">").expect("it is a pattern");
            let hold: Hold = Box::new(move |fault| {
                let _ = merged.poll_wait(1, |_, _| fault.happen());
            });
            (topic, hold)
        },
    },
    Kind {
        what: "a topic of a timeline",
        blocks: true,
        comes_first: false,
        open: |bus| {
            let timeline = Timeline::new();
            let builder = bus.topic_builder().name("a").capacity(CAPACITY as usize);
            let topic = builder.keep_open().timeline(&timeline).open();
            let topic: Topic<u64> = topic.expect("the topic opens");
            let other = bus.topic_builder::<i64>().timeline(&timeline).open();
            let other = other.expect("the topic opens");
            let mut reactor = Reactor::new();
            let mut order = reactor.timeline(&timeline);
            order.on(topic.subscribe(), |fault: &mut Fault, _, _| fault.happen());
            order.on(other.subscribe(), |_, _, _| {});
            (topic, runs(reactor))
        },
    },
];

/// Publishes a load, and waits for room.
fn publish(topic: &Topic<u64>) -> thread::JoinHandle<Result<(), PublishError<u64>>> {
    let publisher = topic.publisher().expect("the topic is open");
    thread::spawn(move || {
        for event in 0..LOAD {
            publisher.publish(event)?;
        }
        Ok(())
    })
}

/// Until the ring is full, and who publishes most likely waits.
fn wait_until_full(topic: &Topic<u64>) {
    wait_until("the ring is full", || {
        topic.snapshot().published == CAPACITY
    });
    let_others_park();
}

/// Reads so many events.
fn read(mut subscriber: Subscriber<u64>, events: u64) -> thread::JoinHandle<Vec<u64>> {
    thread::spawn(move || {
        let mut seen = Vec::new();
        while (seen.len() as u64) < events {
            match subscriber.poll_wait(64, |event, _| seen.push(*event)) {
                Ok(_) => {}
                Err(PollError::Closed) => break,
                Err(error) => panic!("{error}"),
            }
        }
        seen
    })
}

fn check_death(kind: &'static Kind, in_handler: bool) {
    finishes(kind.what, move || {
        let bus = Bus::new();
        let (topic, hold) = (kind.open)(&bus);
        let reader = read(topic.subscribe(), LOAD);
        let (go, told) = mpsc::channel();
        let holder = thread::spawn(move || {
            let hold = hold;
            told.recv().expect("it is told");
            if in_handler {
                hold(Fault::Dies);
            }
            Fault::Dies.happen();
        });
        let publisher = publish(&topic);
        if kind.blocks {
            wait_until_full(&topic);
        }
        go.send(()).expect("the thread is there");

        let died = holder.join();
        assert!(died.is_err(), "{}: the thread has died", kind.what);
        assert_eq!(publisher.join().unwrap(), Ok(()), "{}", kind.what);
        let seen = reader.join().unwrap();
        assert_eq!(seen, (0..LOAD).collect::<Vec<_>>(), "{}", kind.what);
        let left = topic.snapshot();
        assert!(left.subscribers.is_empty(), "{}: {left:?}", kind.what);
        assert!(left.groups.is_empty(), "{}: {left:?}", kind.what);
    });
}

#[test]
fn a_thread_that_dies_in_its_handler_leaves_the_others_working() {
    for kind in KINDS {
        check_death(kind, true);
    }
}

#[test]
fn a_thread_that_dies_elsewhere_leaves_the_others_working() {
    for kind in KINDS {
        check_death(kind, false);
    }
}

/// A thread that never returns, in its handler or with what it holds in its hands: to the others as if that was
/// leaked.
fn stay(hold: Hold, in_handler: bool) -> Arc<AtomicBool> {
    let there = Arc::new(AtomicBool::new(false));
    let fault = Fault::Stays(Arc::clone(&there));
    thread::spawn(move || {
        if in_handler {
            hold(fault);
        } else {
            let _held = hold;
            fault.happen();
        }
    });
    there
}

fn check_stay(kind: &'static Kind, in_handler: bool) {
    finishes(kind.what, move || {
        let bus = Bus::new();
        let (topic, hold) = (kind.open)(&bus);
        let mut other = topic.subscribe();
        let publisher = topic.publisher().expect("the topic is open");
        publisher.publish(0).expect("there is room");
        let there = stay(hold, in_handler);
        wait_until("the thread stays", || there.load(Ordering::Acquire));

        let mut published = 1;
        let mut seen = Vec::new();
        while published < LOAD {
            match publisher.try_publish(published) {
                Ok(_) => published += 1,
                Err(TryPublishError::Full(event)) => {
                    assert_eq!(event, published);
                    break;
                }
                Err(error) => panic!("{}: {error}", kind.what),
            }
            while let Ok(event) = other.try_recv() {
                seen.push(event);
            }
        }
        while let Ok(event) = other.try_recv() {
            seen.push(event);
        }
        let passed = match kind.blocks {
            true => CAPACITY,
            false => LOAD,
        };
        assert_eq!(published, passed, "{}", kind.what);
        match kind.comes_first {
            true => assert_eq!(seen, [], "{}", kind.what),
            false => assert_eq!(seen, (0..published).collect::<Vec<_>>(), "{}", kind.what),
        }

        // The close frees all but those that the thread comes first of.
        let blocked = kind.blocks.then(|| publish(&topic));
        if kind.blocks {
            wait_until_full(&topic);
        }
        topic.close();
        if let Some(blocked) = blocked {
            let refused = blocked.join().unwrap();
            assert_eq!(refused, Err(PublishError::Closed(0)), "{}", kind.what);
        }
        if !kind.comes_first {
            assert_eq!(other.recv(), Err(RecvError::Closed), "{}", kind.what);
        }
        assert!(topic.publisher().is_err());
    });
}

#[test]
fn a_thread_that_never_returns_from_its_handler_holds_up_only_what_is_documented() {
    for kind in KINDS {
        check_stay(kind, true);
    }
}

#[test]
fn what_a_thread_keeps_for_ever_holds_up_only_what_is_documented() {
    for kind in KINDS {
        check_stay(kind, false);
    }
}

#[test]
fn the_merged_topics_of_a_dead_thread_are_all_free() {
    finishes("a publisher", || {
        let bus = Bus::new();
        let topics: Vec<Topic<u64>> = ["a", "b", "c"]
            .map(|name| {
                let builder = bus.topic_builder().name(name).capacity(2);
                builder.keep_open().open().expect("the topic opens")
            })
            .into();
        let mut merged = bus.subscribe_pattern::<u64>(">").expect("it is a pattern");
        for topic in &topics {
            topic.publish(0).expect("there is room");
        }
        let holder = thread::spawn(move || {
            let _ = merged.poll_wait(2, |_, _| Fault::Dies.happen());
        });
        assert!(holder.join().is_err());
        for topic in &topics {
            let mut reader = topic.subscribe();
            let publisher = topic.publisher().expect("the topic is open");
            for event in 0..LOAD {
                publisher.try_publish(event).expect("there is room");
                assert_eq!(reader.recv(), Ok(event));
            }
        }
    });
}

/// A stage, and one that comes after it.
fn pipeline(topic: &Topic<u64>) -> (Subscriber<u64>, Subscriber<u64>) {
    let stage = topic.subscribe();
    let behind = topic.subscriber().after(&stage).open();
    (stage, behind.expect("the subscriber opens"))
}

#[test]
fn a_stage_whose_thread_dies_lets_through_what_it_holds_up() {
    for in_handler in [true, false] {
        finishes("those behind", move || {
            let bus = Bus::new();
            let topic = open(&bus);
            let (stage, behind) = pipeline(&topic);
            let behind = read(behind, LOAD);
            let hold = reads(stage);
            let publisher = publish(&topic);
            wait_until_full(&topic);
            let holder = thread::spawn(move || {
                let hold = hold;
                if in_handler {
                    hold(Fault::Dies);
                }
                Fault::Dies.happen();
            });
            assert!(holder.join().is_err());
            assert_eq!(publisher.join().unwrap(), Ok(()));
            assert_eq!(behind.join().unwrap(), (0..LOAD).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_stage_whose_thread_stays_holds_up_those_behind_and_nobody_else() {
    for in_handler in [true, false] {
        finishes("the others", move || {
            let bus = Bus::new();
            let topic = open(&bus);
            let (stage, mut behind) = pipeline(&topic);
            let mut beside = topic.subscribe();
            topic.publish(0).expect("there is room");
            let there = stay(reads(stage), in_handler);
            wait_until("the thread stays", || there.load(Ordering::Acquire));
            let publisher = topic.publisher().expect("the topic is open");
            for event in 1..CAPACITY {
                publisher.try_publish(event).expect("there is room");
            }
            let full = publisher.try_publish(CAPACITY);
            assert_eq!(full, Err(TryPublishError::Full(CAPACITY)));
            for event in 0..CAPACITY {
                assert_eq!(beside.recv(), Ok(event));
            }
            let soon = Instant::now() + Duration::from_millis(5);
            let shown = behind.poll_deadline(64, soon, |event, _| panic!("{event} is shown"));
            assert_eq!(shown, Ok(0));
            topic.close();
            assert_eq!(beside.recv(), Err(RecvError::Closed));
            let shown = behind.poll(64, |event, _| panic!("{event} is shown"));
            assert_eq!(shown, Ok(0));
        });
    }
}

#[test]
fn one_behind_whose_thread_dies_frees_the_stage_and_the_publishers() {
    finishes("the stage", || {
        let bus = Bus::new();
        let topic = open(&bus);
        let (stage, behind) = pipeline(&topic);
        let stage = read(stage, LOAD);
        let publisher = publish(&topic);
        wait_until_full(&topic);
        let hold = reads(behind);
        let holder = thread::spawn(move || hold(Fault::Dies));
        assert!(holder.join().is_err());
        assert_eq!(publisher.join().unwrap(), Ok(()));
        assert_eq!(stage.join().unwrap(), (0..LOAD).collect::<Vec<_>>());
    });
}

/// A group with its overflow, and keys if it is to have them.
fn join(topic: &Topic<u64>, overflow: Overflow, keyed: bool) -> GroupMember<u64> {
    let builder = topic.group("workers").overflow(overflow);
    let builder = match keyed {
        true => builder.by_key(|event| event % 3),
        false => builder,
    };
    builder.join().expect("the group opens")
}

const GROUPS: [(Overflow, bool); 3] = [
    (Overflow::Block, false),
    (Overflow::Block, true),
    (Overflow::DropOldest, false),
];

#[test]
fn a_member_whose_thread_dies_loses_the_others_the_event_that_it_was_at_and_no_more() {
    for (overflow, keyed) in GROUPS {
        finishes("the other members", move || {
            let bus = Bus::new();
            let topic = open(&bus);
            let dying = works(join(&topic, overflow, keyed));
            let mut other = join(&topic, overflow, keyed);
            for event in 0..CAPACITY {
                topic.publish(event).expect("there is room");
            }
            let holder = thread::spawn(move || dying(Fault::Dies));
            assert!(holder.join().is_err());
            topic.close();
            let mut seen = Vec::new();
            while other.poll(64, |event, _| seen.push(*event)).is_ok() {}
            seen.sort_unstable();
            assert_eq!(seen, (1..CAPACITY).collect::<Vec<_>>());
            let group = other.snapshot();
            assert_eq!((group.abandoned, group.missed), (1, 0));
            assert_eq!((group.members, group.pending), (1, 0));
        });
    }
}

#[test]
fn a_member_whose_thread_stays_in_its_handler_keeps_what_it_took_and_nothing_else() {
    for (overflow, keyed) in GROUPS {
        finishes("the other members", move || {
            let bus = Bus::new();
            let topic = bus.topic_builder().name("a").capacity(64).keep_open();
            let topic: Topic<u64> = topic.open().expect("the topic opens");
            let staying = works(join(&topic, overflow, keyed));
            let mut other = join(&topic, overflow, keyed);
            topic.publish(0).expect("there is room");
            let there = stay(staying, true);
            wait_until("the thread stays", || there.load(Ordering::Acquire));
            // A key that it is at waits for it, as promised.
            let (mut seen, mut wanted) = (Vec::new(), Vec::new());
            for event in 1..64 {
                topic.publish(event).expect("there is room");
                if !keyed || event % 3 != 0 {
                    wanted.push(event);
                }
                while other.poll(64, |event, _| seen.push(*event)) != Ok(0) {}
            }
            seen.sort_unstable();
            assert_eq!(seen, wanted);

            let publisher = topic.publisher().expect("the topic is open");
            match publisher.try_publish(64) {
                Ok(_) => assert_eq!(overflow, Overflow::DropOldest),
                Err(error) => {
                    assert_eq!(error, TryPublishError::Full(64));
                    assert_eq!(overflow, Overflow::Block);
                }
            }
            topic.close();
            // What it is at it may still hand back.
            while other.poll(64, |_, _| {}).is_ok_and(|shown| shown > 0) {}
            assert_eq!(other.poll(64, |_, _| {}), Ok(0));
        });
    }
}

#[test]
fn a_publisher_whose_thread_dies_or_stays_leaves_the_topic_to_the_others() {
    finishes("the others", || {
        let bus = Bus::new();
        let topic = open(&bus);
        let mut reader = topic.subscribe();
        let dying = topic.publisher().expect("the topic is open");
        let holder = thread::spawn(move || {
            dying.publish(0).expect("there is room");
            Fault::Dies.happen();
        });
        assert!(holder.join().is_err());
        let staying = topic.publisher().expect("the topic is open");
        let there = Arc::new(AtomicBool::new(false));
        let fault = Fault::Stays(Arc::clone(&there));
        thread::spawn(move || {
            staying.publish(1).expect("there is room");
            fault.happen();
        });
        wait_until("the thread stays", || there.load(Ordering::Acquire));
        topic.publish(2).expect("there is room");
        assert_eq!(
            [reader.recv(), reader.recv(), reader.recv()],
            [Ok(0), Ok(1), Ok(2)]
        );
        assert_conserved(&topic);
        topic.close();
        assert_eq!(reader.recv(), Err(RecvError::Closed));
    });
}
