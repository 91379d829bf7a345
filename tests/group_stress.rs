//! Members that join, leave and die at random under load: no event is lost, none is handled twice.
//!
//! Runs for a second each; `RINGBUS_STRESS_SECONDS` makes it longer, `RINGBUS_STRESS_SEED` another run.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::Random;
use ringbus::{Bus, GroupMember, Overflow, PollError, Redeliver, Topic, WaitStrategy};

fn setting(name: &str) -> Option<f64> {
    let given = std::env::var(name).ok()?;
    Some(given.parse().expect("the setting is a number"))
}

/// An event of a publisher, with a text that shows whether it is whole.
struct Event {
    publisher: u64,
    number: u64,
    text: String,
}

impl Event {
    fn new(publisher: u64, number: u64) -> Self {
        let text = Self::text(publisher, number);
        Self {
            publisher,
            number,
            text,
        }
    }

    fn text(publisher: u64, number: u64) -> String {
        format!("{:x}", Random((publisher << 40) | number).next())
    }

    fn key(&self) -> u64 {
        (self.publisher << 32) | (self.number % KEYS)
    }
}

const PUBLISHERS: u64 = 2;
const KEYS: u64 = 10;
const MOST: usize = 1 << 22;

/// What became of every event.
struct Ledger {
    /// How many times each was handled to its end, and how many times its handler panicked.
    handled: Vec<AtomicU8>,
    panicked: Vec<AtomicU8>,
    missed: AtomicU64,
    /// By key: the number that was last begun, plus one, and whether somebody is at it.
    last: Vec<AtomicU64>,
    busy: Vec<AtomicBool>,
    keyed: bool,
}

impl Ledger {
    fn new(keyed: bool) -> Self {
        let bytes = || (0..MOST).map(|_| AtomicU8::new(0)).collect();
        let keys = (PUBLISHERS * KEYS) as usize;
        Self {
            handled: bytes(),
            panicked: bytes(),
            missed: AtomicU64::new(0),
            last: (0..keys).map(|_| AtomicU64::new(0)).collect(),
            busy: (0..keys).map(|_| AtomicBool::new(false)).collect(),
            keyed,
        }
    }

    fn index(event: &Event) -> usize {
        (event.number * PUBLISHERS + event.publisher) as usize
    }

    fn handle(&self, event: &Event, redelivered: bool, dies: bool) {
        assert_eq!(event.text, Event::text(event.publisher, event.number));
        let index = Self::index(event);
        assert_eq!(
            self.handled[index].load(Ordering::Relaxed),
            0,
            "handled once"
        );
        assert_eq!(
            self.panicked[index].load(Ordering::Relaxed) > 0,
            redelivered,
            "what was handed out before says so"
        );
        let key = (event.publisher * KEYS + event.number % KEYS) as usize;
        if self.keyed {
            assert!(
                !self.busy[key].swap(true, Ordering::AcqRel),
                "one member is at a key"
            );
            let last = self.last[key].swap(event.number + 1, Ordering::AcqRel);
            let again = last == event.number + 1;
            assert!(
                last <= event.number || (again && redelivered),
                "a key's events keep their order"
            );
        }
        if dies {
            self.panicked[index].fetch_add(1, Ordering::Relaxed);
        } else {
            self.handled[index].fetch_add(1, Ordering::Relaxed);
        }
        if self.keyed {
            self.busy[key].store(false, Ordering::Release);
        }
        if dies {
            std::panic::resume_unwind(Box::new("the handler dies"));
        }
    }
}

struct Plan {
    overflow: Overflow,
    redeliver: Redeliver,
    keyed: bool,
    wait: WaitStrategy,
    capacity: usize,
}

fn join(topic: &Topic<Event>, plan: &Plan) -> GroupMember<Event> {
    let builder = topic
        .group("workers")
        .overflow(plan.overflow)
        .redeliver(plan.redeliver);
    let builder = match plan.keyed {
        true => builder.by_key(Event::key),
        false => builder,
    };
    builder.join().unwrap()
}

/// A member's life: it reads in one way or another, and leaves or dies, or sees the end.
fn live(mut member: GroupMember<Event>, ledger: &Ledger, random: &mut Random) -> bool {
    let deadly = random.below(400);
    let calls = 1 + random.below(300);
    for _ in 0..calls {
        let max = 1 + random.below(100) as usize;
        let mut countdown = deadly;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let handler = |event: &Event, meta: ringbus::GroupMeta| {
                ledger.missed.fetch_add(meta.missed, Ordering::Relaxed);
                countdown = countdown.wrapping_sub(1);
                ledger.handle(event, meta.redelivered, countdown == 0);
            };
            match random.below(3) {
                0 => member.poll(max, handler),
                1 => {
                    let deadline = Instant::now() + Duration::from_micros(random.below(300));
                    member.poll_deadline(max, deadline, handler)
                }
                _ => {
                    let deadline = Instant::now() + Duration::from_millis(20);
                    member.poll_deadline(1, deadline, handler)
                }
            }
        }));
        match outcome {
            Ok(Ok(_)) => {}
            Ok(Err(PollError::Closed)) => return true,
            Ok(Err(error)) => panic!("{error}"),
            // Half of those that panic go on.
            Err(_) if random.below(2) == 0 => return false,
            Err(_) => {}
        }
    }
    false
}

fn run(name: &str, plan: Plan) {
    let seconds = setting("RINGBUS_STRESS_SECONDS").unwrap_or(1.0);
    let seed = setting("RINGBUS_STRESS_SEED").unwrap_or(1.0) as u64;
    let bus = Bus::new();
    let topic = bus
        .topic_builder::<Event>()
        .capacity(plan.capacity)
        .wait(plan.wait)
        .keep_open()
        .open()
        .unwrap();
    let ledger = Arc::new(Ledger::new(plan.keyed));
    let plan = Arc::new(plan);
    // Keeps the group while nobody works.
    let keeper = join(&topic, &plan);
    let members: Vec<_> = (0..4)
        .map(|index| {
            let (topic, ledger, plan) = (topic.clone(), Arc::clone(&ledger), Arc::clone(&plan));
            thread::spawn(move || {
                let mut random = Random((seed << 8) | index);
                while !live(join(&topic, &plan), &ledger, &mut random) {}
            })
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            let topic = topic.publisher().unwrap();
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut random = Random((seed << 16) | publisher);
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) && number + 16 < MOST as u64 / PUBLISHERS {
                    let batch = 1 + random.below(plan_batch(number));
                    let events =
                        (number..number + batch).map(|number| Event::new(publisher, number));
                    number += batch;
                    topic.publish_batch(events).unwrap();
                }
                number
            })
        })
        .collect();
    thread::sleep(Duration::from_secs_f64(seconds));
    stop.store(true, Ordering::Relaxed);
    let published: Vec<u64> = publishers
        .into_iter()
        .map(|publisher| publisher.join().unwrap())
        .collect();
    topic.close();
    for member in members {
        member.join().unwrap();
    }
    let group = topic.snapshot().groups.pop().unwrap();
    drop(keeper);

    let total: u64 = published.iter().sum();
    let (mut handled, mut abandoned, mut absent) = (0, 0, 0);
    let mut panics = 0;
    for (publisher, &numbers) in (0..).zip(&published) {
        for number in 0..numbers {
            let index = (number * PUBLISHERS + publisher) as usize;
            let done = ledger.handled[index].load(Ordering::Relaxed);
            let panicked = ledger.panicked[index].load(Ordering::Relaxed);
            panics += u64::from(panicked);
            let gives_up = match plan.redeliver {
                Redeliver::Once => 2,
                _ => 1,
            };
            match (done, panicked) {
                (1, panicked) if panicked < gives_up => handled += 1,
                (0, panicked) if panicked == gives_up => abandoned += 1,
                (0, 0) => absent += 1,
                other => panic!("event {number} of {publisher}: handled, panicked {other:?}"),
            }
        }
    }
    assert_eq!(group.published, total);
    assert_eq!((group.delivered, group.abandoned), (handled, abandoned));
    assert_eq!(group.redelivered + group.abandoned, panics);
    assert_eq!(group.pending, 0);
    assert_eq!(group.missed, absent);
    assert!(ledger.missed.load(Ordering::Relaxed) <= absent);
    assert!(
        plan.overflow == Overflow::DropOldest || absent == 0,
        "nothing is lost"
    );
    assert!(handled > 0);
    println!(
        "{name}: {total} published, {handled} handled, {abandoned} abandoned, {absent} missed"
    );
}

/// Batches fit the smallest ring.
fn plan_batch(number: u64) -> u64 {
    if number.is_multiple_of(3) { 1 } else { 4 }
}

#[test]
fn lossless_members_handle_each_event_once() {
    run(
        "lossless",
        Plan {
            overflow: Overflow::Block,
            redeliver: Redeliver::Never,
            keyed: false,
            wait: WaitStrategy::Park,
            capacity: 64,
        },
    );
}

#[test]
fn lossless_members_of_a_small_ring_handle_each_event_once() {
    run(
        "small",
        Plan {
            overflow: Overflow::Block,
            redeliver: Redeliver::Once,
            keyed: false,
            wait: WaitStrategy::Yield,
            capacity: 4,
        },
    );
}

#[test]
fn lossy_members_handle_or_count_each_event_once() {
    run(
        "lossy",
        Plan {
            overflow: Overflow::DropOldest,
            redeliver: Redeliver::Once,
            keyed: false,
            wait: WaitStrategy::Park,
            capacity: 64,
        },
    );
}

#[test]
fn members_by_key_handle_each_event_once_and_each_key_in_order() {
    run(
        "by key",
        Plan {
            overflow: Overflow::Block,
            redeliver: Redeliver::Once,
            keyed: true,
            wait: WaitStrategy::Park,
            capacity: 64,
        },
    );
}

#[test]
fn members_by_key_of_a_small_ring_handle_each_event_once_and_each_key_in_order() {
    run(
        "by key, small",
        Plan {
            overflow: Overflow::Block,
            redeliver: Redeliver::Never,
            keyed: true,
            wait: WaitStrategy::Yield,
            capacity: 8,
        },
    );
}
