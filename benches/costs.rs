//! What one operation costs in instructions: run by `ci/costs` under valgrind, which counts what happens inside of
//! [`measured`]. Counts are the same from run to run, whatever else a machine does; they are no times.
//!
//! `costs` prints the names of the operations; `costs NAME ROUNDS` does one of them, 512 times a round.

use std::hint::black_box;

use ringbus::{
    Budget, Bus, ExclusivePublisher, Overflow, Publisher, Reactor, Subscriber, Topic, WaitStrategy,
};

/// Operations of a round.
const ROUND: u64 = 512;

/// An event of so many words.
type Event<const WORDS: usize> = [u64; WORDS];

/// The only place that is counted.
#[inline(never)]
fn measured(operations: impl FnOnce()) {
    operations();
}

/// A function of its own, to be looked at in a disassembly.
#[inline(never)]
fn publish_exclusive(publisher: &mut ExclusivePublisher<Event<8>>, event: Event<8>) {
    let _ = publisher.publish(event);
}

/// As [`publish_exclusive`].
#[inline(never)]
fn publish_shared(publisher: &Publisher<Event<8>>, event: Event<8>) {
    let _ = publisher.publish(event);
}

fn topic<T: Send + Sync + 'static>(bus: &Bus) -> Topic<T> {
    bus.topic_builder()
        .capacity(1024)
        .wait(WaitStrategy::Park)
        .open()
        .expect("the settings are valid")
}

fn drain<T: Send + Sync + 'static>(subscriber: &mut Subscriber<T>) {
    while subscriber.poll(1024, |event, _| _ = black_box(event)) != Ok(0) {}
}

fn exclusive<const WORDS: usize>(rounds: u64) {
    let bus = Bus::new();
    let topic = topic::<Event<WORDS>>(&bus);
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    for _ in 0..rounds {
        measured(|| {
            for word in 0..ROUND {
                let _ = publisher.publish(black_box([word; WORDS]));
            }
        });
        drain(&mut subscriber);
    }
}

fn exclusive_called(rounds: u64) {
    beside(rounds, 1, Overflow::Block, |publisher| {
        for word in 0..ROUND {
            publish_exclusive(publisher, black_box([word; 8]));
        }
    });
}

fn exclusive_batches(rounds: u64) {
    beside(rounds, 1, Overflow::Block, |publisher| {
        for word in 0..ROUND / 16 {
            let batch = (0..16_u32).map(|place| black_box([word + u64::from(place); 8]));
            let _ = publisher.publish_batch(batch);
        }
    });
}

fn exclusive_to_256(rounds: u64) {
    beside(rounds, 256, Overflow::Block, |publisher| {
        for word in 0..ROUND {
            let _ = publisher.publish(black_box([word; 8]));
        }
    });
}

fn exclusive_overrunning(rounds: u64) {
    let bus = Bus::new();
    let topic = topic::<Event<8>>(&bus);
    let builder = topic.subscriber().overflow(Overflow::DropOldest);
    let _behind = builder.open().expect("the settings are valid");
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    for _ in 0..rounds {
        measured(|| {
            for word in 0..ROUND {
                let _ = publisher.publish(black_box([word; 8]));
            }
        });
    }
}

/// Measures publishing to so many subscribers, which read what came after each round.
fn beside(
    rounds: u64,
    subscribers: usize,
    overflow: Overflow,
    mut publish: impl FnMut(&mut ExclusivePublisher<Event<8>>),
) {
    let bus = Bus::new();
    let topic = topic(&bus);
    let open = || topic.subscriber().overflow(overflow).open();
    let mut subscribers: Vec<_> = (0..subscribers)
        .map(|_| open().expect("the settings are valid"))
        .collect();
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    for _ in 0..rounds {
        measured(|| publish(&mut publisher));
        subscribers.iter_mut().for_each(drain);
    }
}

fn observed(rounds: u64) {
    let bus = Bus::new();
    let topic = topic::<Event<8>>(&bus);
    let mut subscriber = topic.subscribe();
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    let _observer = topic.observe(|event| _ = black_box(event));
    for _ in 0..rounds {
        measured(|| {
            for word in 0..ROUND {
                let _ = publisher.publish(black_box([word; 8]));
            }
        });
        drain(&mut subscriber);
    }
}

fn shared(rounds: u64) {
    let bus = Bus::new();
    let topic = topic::<Event<8>>(&bus);
    let mut subscriber = topic.subscribe();
    let publisher = topic.publisher().expect("none is exclusive");
    for _ in 0..rounds {
        measured(|| {
            for word in 0..ROUND {
                publish_shared(&publisher, black_box([word; 8]));
            }
        });
        drain(&mut subscriber);
    }
}

/// Measures reading what was published before each round.
fn read(rounds: u64, overflow: Overflow, mut read: impl FnMut(&mut Subscriber<Event<8>>)) {
    let bus = Bus::new();
    let topic = topic(&bus);
    let builder = topic.subscriber().overflow(overflow);
    let mut subscriber = builder.open().expect("the settings are valid");
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    for _ in 0..rounds {
        for word in 0..ROUND {
            let _ = publisher.publish([word; 8]);
        }
        measured(|| read(&mut subscriber));
        drain(&mut subscriber);
    }
}

fn poll_64(subscriber: &mut Subscriber<Event<8>>) {
    for _ in 0..ROUND / 64 {
        let _ = subscriber.poll(64, |event, _| _ = black_box(event));
    }
}

fn poll_1(subscriber: &mut Subscriber<Event<8>>) {
    for _ in 0..ROUND {
        let _ = subscriber.poll(1, |event, _| _ = black_box(event));
    }
}

fn fold_64(subscriber: &mut Subscriber<Event<8>>) {
    for _ in 0..ROUND / 64 {
        let _ = subscriber.poll_batch(64, |batch| batch.for_each(|item| _ = black_box(item)));
    }
}

fn try_recv(subscriber: &mut Subscriber<Event<8>>) {
    for _ in 0..ROUND {
        let _ = black_box(subscriber.try_recv());
    }
}

fn poll_nothing(rounds: u64) {
    let bus = Bus::new();
    let topic = topic::<Event<8>>(&bus);
    let mut subscriber = topic.subscribe();
    for _ in 0..rounds {
        measured(|| {
            for _ in 0..ROUND {
                let _ = subscriber.poll(64, |event, _| _ = black_box(event));
            }
        });
    }
}

/// Turns of a reactor with so many subscriptions, one of which is given so many events a turn.
fn turns(rounds: u64, subscriptions: usize, events: u64) {
    let bus = Bus::new();
    let topics: Vec<_> = (0..subscriptions)
        .map(|index| {
            bus.topic_named::<Event<8>>(&format!("topic.{index}"))
                .expect("the name is valid")
        })
        .collect();
    let mut reactor = Reactor::<u64>::new();
    for topic in &topics {
        reactor.on(topic.subscribe(), |sum, event, _| *sum += event[0]);
    }
    let mut publisher = topics[0].exclusive_publisher().expect("it is the only one");
    let mut sum = 0;
    for _ in 0..rounds {
        for _ in 0..ROUND / events {
            for word in 0..events {
                let _ = publisher.publish([word; 8]);
            }
            measured(|| _ = black_box(reactor.turn(&mut sum, Budget::events(events))));
        }
    }
}

/// Events handled one by one, of a reactor whose subscriptions all have one at a time.
fn polls_one(rounds: u64, subscriptions: u64) {
    let bus = Bus::new();
    let topics: Vec<_> = (0..subscriptions)
        .map(|index| {
            bus.topic_named::<Event<8>>(&format!("topic.{index}"))
                .expect("the name is valid")
        })
        .collect();
    let mut reactor = Reactor::<u64>::new();
    for topic in &topics {
        reactor.on(topic.subscribe(), |sum, event, _| *sum += event[0]);
    }
    let mut publishers: Vec<_> = topics
        .iter()
        .map(|topic| topic.exclusive_publisher().expect("it is the only one"))
        .collect();
    let mut sum = 0;
    for _ in 0..rounds * ROUND / subscriptions {
        for publisher in &mut publishers {
            let _ = publisher.publish([1; 8]);
        }
        measured(|| {
            for _ in 0..subscriptions {
                assert!(reactor.poll_one(&mut sum), "the events are there");
            }
        });
    }
}

#[cfg(feature = "services")]
fn call(rounds: u64) {
    struct Double(u64);

    impl ringbus::Request for Double {
        type Reply = u64;
    }

    let bus = Bus::new();
    let mut server = bus.serve::<Double>();
    let client = bus.client::<Double>();
    for _ in 0..rounds {
        measured(|| {
            for number in 0..ROUND {
                let Ok(mut ticket) = client.start(Double(black_box(number))) else {
                    unreachable!("there is a server with room");
                };
                if let Ok(call) = server.try_recv() {
                    let Double(number) = *call.request();
                    call.reply(2 * number);
                }
                let _ = black_box(ticket.try_take());
            }
        });
    }
}

type Cost = (&'static str, fn(u64));

const COSTS: &[Cost] = &[
    ("publish, exclusive, 8 bytes", exclusive::<1>),
    ("publish, exclusive, 24 bytes", exclusive::<3>),
    ("publish, exclusive, 56 bytes", exclusive::<7>),
    ("publish, exclusive, 64 bytes", exclusive::<8>),
    ("publish, exclusive, by a call", exclusive_called),
    ("publish, exclusive, batches of 16", exclusive_batches),
    ("publish, exclusive, 256 subscribers", exclusive_to_256),
    ("publish, exclusive, one overrun", exclusive_overrunning),
    ("publish, exclusive, one observer", observed),
    ("publish, shared", shared),
    ("poll(64), an event", |rounds| {
        read(rounds, Overflow::Block, poll_64);
    }),
    ("poll(64), an event, lossy", |rounds| {
        read(rounds, Overflow::DropOldest, poll_64);
    }),
    ("poll(1)", |rounds| read(rounds, Overflow::Block, poll_1)),
    ("poll(64), nothing there", poll_nothing),
    ("poll_batch(64), an event, folded", |rounds| {
        read(rounds, Overflow::Block, fold_64);
    }),
    ("try_recv", |rounds| read(rounds, Overflow::Block, try_recv)),
    ("turn of 1, 64 events, an event", |rounds| {
        turns(rounds, 1, 64);
    }),
    ("turn of 1", |rounds| turns(rounds, 1, 1)),
    ("turn of 1024, one active", |rounds| turns(rounds, 1024, 1)),
    ("poll_one of 16, all active", |rounds| polls_one(rounds, 16)),
    #[cfg(feature = "services")]
    ("start, try_recv, reply, try_take", call),
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|name| name != "--bench");
    let Some(name) = arguments.next() else {
        COSTS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok());
    let (_, cost) = COSTS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("there is no operation {name:?}"));
    cost(rounds.expect("a number of rounds"));
}
