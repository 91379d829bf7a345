//! What a timeline costs, beside the same without one: publishing, handling in order, two publishers.
//!
//! The two sides of each pair take turns by the window, in one process, and what is told is the median of
//! the ratios of neighbours: `cargo bench --bench timeline`. Absolute numbers are those of the machine; the
//! ratios are what the documentation of `Timeline` tells.

use std::cell::Cell;
use std::hint::{black_box, spin_loop};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use ringbus::{Budget, Bus, Overflow, Publisher, Reactor, Timeline, Topic};

type Event = [u64; 4];

const CAPACITY: usize = 1024;
const WINDOWS: usize = 401;

fn topics(timeline: Option<&Timeline>, count: usize) -> Vec<Topic<Event>> {
    let bus = Bus::new();
    let open = |index: usize| {
        let builder = bus.topic_builder().name(format!("{index}"));
        let builder = builder.capacity(CAPACITY).keep_open();
        match timeline {
            Some(timeline) => builder.timeline(timeline).open(),
            None => builder.open(),
        }
        .expect("the settings are valid")
    };
    let topics = (0..count).map(open).collect();
    // The topics are to stay open without their bus.
    std::mem::forget(bus);
    topics
}

/// Nanoseconds for each of `events`.
fn per_event(events: usize, work: impl FnOnce()) -> f64 {
    let since = Instant::now();
    work();
    since.elapsed().as_nanos() as f64 / events as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs windows of both by turns, and tells the medians and that of their ratios.
fn pair(
    what: &str,
    windows: usize,
    mut plain: impl FnMut() -> f64,
    mut timeline: impl FnMut() -> f64,
) {
    for _ in 0..windows / 10 {
        plain();
        timeline();
    }
    let (mut plains, mut timelines) = (Vec::new(), Vec::new());
    for window in 0..windows {
        // Neither is always the first.
        if window % 2 == 0 {
            plains.push(plain());
            timelines.push(timeline());
        } else {
            timelines.push(timeline());
            plains.push(plain());
        }
    }
    let ratios = plains.iter().zip(&timelines).map(|(plain, on)| on / plain);
    let ratio = median(ratios.collect());
    println!(
        "{what:<48} plain {:>7.1} ns   timeline {:>7.1} ns   ratio {ratio:.2}",
        median(plains),
        median(timelines)
    );
}

/// One shared publisher, nobody in the way.
fn publish() {
    let side = |timeline: Option<&Timeline>| {
        let topic = topics(timeline, 1).remove(0);
        let subscriber = topic.subscriber().overflow(Overflow::DropOldest);
        let subscriber = subscriber.open().expect("there is a seat");
        let publisher = topic.publisher().expect("the topic is open");
        move || {
            let _ = &subscriber;
            per_event(512, || {
                for index in 0..512 {
                    let event = black_box([index; 4]);
                    publisher.publish(event).expect("nobody is waited for");
                }
            })
        }
    };
    pair("publish", WINDOWS, side(None), side(Some(&Timeline::new())));
}

/// A reactor's turn over events of several topics: in runs of one topic, or with each event of another one.
fn handle(count: usize, run: usize) {
    let side = |timeline: Option<&Timeline>| {
        let topics = topics(timeline, count);
        let publishers: Vec<_> = topics
            .iter()
            .map(|topic| topic.publisher().expect("the topic is open"))
            .collect();
        let mut reactor = Reactor::<u64>::new();
        for topic in &topics {
            let handler = |sum: &mut u64, event: &Event, _: &mut _| *sum += event[0];
            match timeline {
                Some(timeline) => reactor.timeline(timeline).on(topic.subscribe(), handler),
                None => reactor.on(topic.subscribe(), handler),
            };
        }
        let mut sum = 0;
        move || {
            for index in 0..512 {
                let publisher = &publishers[index / run % count];
                publisher.publish([1; 4]).expect("there is room");
            }
            per_event(512, || {
                let turn = reactor.turn(&mut sum, Budget::unlimited());
                assert_eq!(turn.handled, 512);
            })
        }
    };
    let what = format!("handle, {count} topics, runs of {run}");
    pair(&what, WINDOWS, side(None), side(Some(&Timeline::new())));
}

/// Two threads that publish, each to a topic of its own, which nobody reads.
///
/// A window counts if the two were at it at the same time for most of it, which needs two cores that nobody
/// else wants.
fn two_publishers() {
    const EVENTS: usize = 4_000;
    const STOP: u64 = u64::MAX;
    let sides = [topics(None, 2), topics(Some(&Timeline::new()), 2)];
    let _subscribers: Vec<_> = sides
        .iter()
        .flatten()
        .map(|topic| {
            let subscriber = topic.subscriber().overflow(Overflow::DropOldest);
            subscriber.open().expect("there is a seat")
        })
        .collect();
    let publishers = |thread: usize| {
        sides
            .each_ref()
            .map(|topics| topics[thread].publisher().expect("the topic is open"))
    };
    let publish = |publisher: &Publisher<Event>| {
        let began = Instant::now();
        for index in 0..EVENTS as u64 {
            let event = black_box([index; 4]);
            publisher.publish(event).expect("nobody is waited for");
        }
        (began, Instant::now())
    };
    // The number of a window, twice, and one more for the timeline's: the one that is to begin, that the other
    // thread is ready for, that has started, that the other thread has ended.
    let [begun, ready, started, ended] = [const { AtomicU64::new(0) }; 4];
    let times = Mutex::new((Instant::now(), Instant::now()));
    thread::scope(|scope| {
        let others = publishers(1);
        let (begun, ready, started) = (&begun, &ready, &started);
        let (ended, times) = (&ended, &times);
        scope.spawn(move || {
            let mut last = 0;
            loop {
                let window = begun.load(Ordering::Acquire);
                if window == STOP {
                    return;
                }
                if window == last {
                    spin_loop();
                    continue;
                }
                last = window;
                ready.store(window, Ordering::Release);
                while started.load(Ordering::Acquire) != window {
                    spin_loop();
                }
                *times.lock().expect("nobody panics") = publish(&others[window as usize % 2]);
                ended.store(window, Ordering::Release);
            }
        });
        let own = publishers(0);
        let number = Cell::new(0);
        let window = |side: u64| {
            loop {
                number.set(number.get() + 1);
                let window = number.get() * 2 + side;
                begun.store(window, Ordering::Release);
                // Once the other answers it has a core, for now.
                while ready.load(Ordering::Acquire) != window {
                    spin_loop();
                }
                started.store(window, Ordering::Release);
                let (began, end) = publish(&own[side as usize]);
                while ended.load(Ordering::Acquire) != window {
                    spin_loop();
                }
                let (other_began, other_end) = *times.lock().expect("nobody panics");
                let both = end
                    .min(other_end)
                    .saturating_duration_since(began.max(other_began));
                let either = end.max(other_end) - began.min(other_began);
                if both.as_secs_f64() > 0.8 * either.as_secs_f64() {
                    return either.as_nanos() as f64 / EVENTS as f64;
                }
            }
        };
        pair(
            "two publishers on two topics",
            WINDOWS / 8,
            || window(0),
            || window(1),
        );
        begun.store(STOP, Ordering::Release);
    });
}

fn main() {
    // A test run of the benches, which passes no `--bench`, only builds this one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    publish();
    for count in [2, 4, 16] {
        handle(count, 1);
        handle(count, 8);
    }
    two_publishers();
}
