//! Threads that publish, read, join and leave at random, with events that cannot be mistaken.
//!
//! Runs for a second; `RINGBUS_STRESS_SECONDS` makes it longer, `RINGBUS_STRESS_SEED` another run.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Random, assert_conserved};
use ringbus::{
    Bus, Meta, Overflow, PollError, RecvTimeoutError, Start, Subscriber, Topic, WaitStrategy,
};

/// An event that tells who published it, as which of his, and whether it is whole.
#[derive(Clone)]
struct Event {
    publisher: u64,
    number: u64,
    text: String,
}

impl Event {
    fn new(publisher: u64, number: u64) -> Self {
        Self {
            publisher,
            number,
            text: Self::text(publisher, number),
        }
    }

    fn text(publisher: u64, number: u64) -> String {
        let check = Random(publisher << 40 | number).next();
        format!("{check:016x}").repeat(1 + (check % 4) as usize)
    }

    fn check(&self) {
        assert_eq!(
            self.text,
            Self::text(self.publisher, self.number),
            "an event is whole"
        );
    }
}

fn seconds() -> f64 {
    let given = std::env::var("RINGBUS_STRESS_SECONDS").ok();
    given.map_or(1.0, |given| {
        given.parse().expect("RINGBUS_STRESS_SECONDS is a number")
    })
}

fn seed() -> u64 {
    let given = std::env::var("RINGBUS_STRESS_SEED").ok();
    given.map_or(1, |given| {
        given.parse().expect("RINGBUS_STRESS_SEED is a number")
    })
}

/// What a reader has seen so far.
#[derive(Default)]
struct Seen {
    last_sequence: Option<u64>,
    /// The last number of each publisher.
    last: [Option<u64>; 2],
    events: u64,
    missed: u64,
}

impl Seen {
    fn note(&mut self, event: &Event, meta: Meta, lossless: bool) {
        event.check();
        assert!(
            self.last_sequence < Some(meta.sequence),
            "events come in order"
        );
        self.last_sequence = Some(meta.sequence);
        let last = &mut self.last[event.publisher as usize];
        if let Some(last) = *last {
            if lossless {
                assert_eq!(
                    event.number,
                    last + 1,
                    "a lossless subscriber sees every event once"
                );
            } else {
                assert!(event.number > last, "a publisher's events keep their order");
            }
        }
        *last = Some(event.number);
        if lossless {
            assert_eq!(meta.missed, 0);
        }
        self.missed += meta.missed;
        self.events += 1;
    }
}

/// Reads in all ways, until the topic is closed or `turns` are over; tells whether it was closed.
fn read(
    subscriber: &mut Subscriber<Event>,
    random: &mut Random,
    turns: u64,
    seen: &mut Seen,
) -> bool {
    let lossless = subscriber.overflow() == Overflow::Block;
    for _ in 0..turns {
        let max = 1 + random.below(40) as usize;
        let deadline = Instant::now() + Duration::from_micros(random.below(2000));
        let ended = match random.below(5) {
            0 => subscriber
                .poll(max, |event, meta| seen.note(event, meta, lossless))
                .err(),
            1 => subscriber
                .poll_deadline(max, deadline, |event, meta| {
                    seen.note(event, meta, lossless)
                })
                .err(),
            2 => subscriber
                .poll_batch(max, |mut batch| {
                    // At least one is taken, and perhaps not all.
                    let take = 1 + max / 2;
                    for _ in 0..take {
                        let Some((event, meta)) = batch.next() else {
                            break;
                        };
                        seen.note(event, meta, lossless);
                    }
                })
                .err(),
            3 => {
                for (event, meta) in subscriber.try_iter().take(max) {
                    seen.note(&event, meta, lossless);
                }
                None
            }
            _ if subscriber.overflow() == Overflow::Latest => None,
            _ => match subscriber.recv_deadline(deadline) {
                Ok(event) => {
                    event.check();
                    let last = &mut seen.last[event.publisher as usize];
                    assert!(last.is_none_or(|last| {
                        if lossless {
                            event.number == last + 1
                        } else {
                            event.number > last
                        }
                    }));
                    *last = Some(event.number);
                    seen.events += 1;
                    None
                }
                Err(RecvTimeoutError::Missed(missed)) => {
                    assert!(!lossless && missed > 0);
                    seen.missed += missed;
                    None
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected(missed)) => {
                    Some(PollError::Disconnected(missed))
                }
                Err(RecvTimeoutError::Closed) => Some(PollError::Closed),
                Err(error) => panic!("{error}"),
            },
        };
        match ended {
            Some(PollError::Disconnected(missed)) => {
                assert_eq!(subscriber.overflow(), Overflow::Disconnect);
                seen.missed += missed;
                assert!(matches!(
                    subscriber.poll(1, |_, _| ()),
                    Err(PollError::Closed)
                ));
                return false;
            }
            Some(_) => return true,
            None => {}
        }
    }
    false
}

/// Lets everybody else end when a thread fails, instead of waiting for it.
struct CloseOnPanic<'a>(&'a Topic<Event>);

impl Drop for CloseOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close();
        }
    }
}

/// One topic under fire for a while.
fn storm(random: &mut Random, wait: WaitStrategy, capacity: usize, last: Duration) {
    let bus = Bus::new();
    let topic: Topic<Event> = bus
        .topic_builder()
        .capacity(capacity)
        .wait(wait)
        .retain(capacity / 2)
        .keep_open()
        .open()
        .unwrap();
    let stop = AtomicBool::new(false);
    let published = AtomicU64::new(0);
    // These stay from the first event to the last.
    let policies = [
        Overflow::Block,
        Overflow::Block,
        Overflow::DropOldest,
        Overflow::Latest,
    ];
    let mut stayers: Vec<_> = policies
        .iter()
        .map(|&overflow| topic.subscriber().overflow(overflow).open().unwrap())
        .collect();

    thread::scope(|scope| {
        let mut readers = Vec::new();
        for stayer in &mut stayers {
            let mut random = Random(random.next());
            let (published, topic) = (&published, &topic);
            readers.push(scope.spawn(move || {
                let _close = CloseOnPanic(topic);
                let mut seen = Seen::default();
                while !read(stayer, &mut random, 1000, &mut seen) {}
                let published = published.load(Ordering::Acquire);
                if stayer.overflow() == Overflow::Block {
                    assert_eq!((seen.events, seen.missed), (published, 0));
                } else {
                    assert_eq!(seen.events + seen.missed, published, "the loss is exact");
                }
            }));
        }
        for _ in 0..2 {
            let mut random = Random(random.next());
            let (topic, stop) = (&topic, &stop);
            readers.push(scope.spawn(move || {
                let _close = CloseOnPanic(topic);
                while !stop.load(Ordering::Relaxed) {
                    let overflow = match random.below(4) {
                        0 => Overflow::Block,
                        1 => Overflow::DropOldest,
                        2 => Overflow::Latest,
                        _ => Overflow::Disconnect,
                    };
                    let start = match random.below(3) {
                        0 => Start::Now,
                        1 => Start::Latest,
                        _ => Start::Oldest,
                    };
                    let mut guest = topic
                        .subscriber()
                        .overflow(overflow)
                        .start(start)
                        .open()
                        .unwrap();
                    let turns = random.below(30);
                    read(&mut guest, &mut random, turns, &mut Seen::default());
                }
            }));
        }
        let publishers: Vec<_> = (0..2)
            .map(|who| {
                let mut random = Random(random.next());
                let publisher = topic.publisher().unwrap();
                let stop = &stop;
                scope.spawn(move || {
                    let mut number = 0;
                    while !stop.load(Ordering::Relaxed) {
                        match random.below(4) {
                            0 => {
                                number += u64::from(
                                    publisher.try_publish(Event::new(who, number)).is_ok(),
                                );
                            }
                            1 => {
                                let count = 1 + random.below(capacity as u64);
                                let range = publisher
                                    .publish_batch(
                                        (number..number + count).map(|it| Event::new(who, it)),
                                    )
                                    .unwrap();
                                assert!(range.end - range.start >= count);
                                number += count;
                            }
                            _ => {
                                publisher.publish(Event::new(who, number)).unwrap();
                                number += 1;
                            }
                        }
                    }
                    number
                })
            })
            .collect();
        thread::sleep(last);
        stop.store(true, Ordering::Relaxed);
        let numbers = publishers
            .into_iter()
            .map(|publisher| publisher.join().unwrap());
        published.store(numbers.sum(), Ordering::Release);
        topic.close();
        // Each by itself: the thread sanitizer does not see what the end of a scope waits for.
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(
        topic.snapshot().published,
        published.load(Ordering::Acquire)
    );
    assert_conserved(&topic);
}

#[test]
fn nothing_is_lost_doubled_torn_or_out_of_order() {
    let mut random = Random(seed());
    let each = Duration::from_secs_f64(seconds() / 6.0);
    for (wait, capacity) in [
        (WaitStrategy::Park, 1),
        (WaitStrategy::Park, 8),
        (WaitStrategy::Yield, 64),
        (WaitStrategy::Park, 64),
        (WaitStrategy::Yield, 4),
        (WaitStrategy::Park, 1024),
    ] {
        storm(&mut random, wait, capacity, each);
    }
}
