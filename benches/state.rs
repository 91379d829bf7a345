//! What reading the latest value costs beside a lock around it, and what conflation by key costs.
//!
//! `with a writer`: another thread sets the value all the time.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parking_lot::{Mutex, RwLock};
use ringbus::{Bus, Subscriber};

type Value = [u64; 4];

/// Sets all the time until it is dropped.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    fn start(mut set: impl FnMut(Value) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut value = 0;
            while !stopped.load(Ordering::Relaxed) {
                set([value; 4]);
                value += 1;
                // A busy feed, not a contest for one line.
                for _ in 0..50 {
                    std::hint::spin_loop();
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the writer ends when it is told to");
        }
    }
}

fn read(criterion: &mut Criterion) {
    for writes in [false, true] {
        let beside = if writes { "with a writer" } else { "alone" };
        let mut group = criterion.benchmark_group(format!("read the latest value, {beside}"));

        let bus = Bus::new();
        let state = bus.state([0; 4]).expect("the bus is new");
        let plain = state.plain_reader();
        let mut reader = state.reader().expect("there is room for a reader");
        let writer = writes.then(|| {
            let state = state.clone();
            Writer::start(move |value| {
                state.set(value).expect("the state is open");
            })
        });
        group.bench_function("PlainReader::get", |bencher| bencher.iter(|| plain.get()));
        group.bench_function("StateReader::read", |bencher| {
            bencher.iter(|| reader.read(|value, version| (version, *value)));
        });
        group.bench_function("State::get", |bencher| bencher.iter(|| state.get()));
        drop(writer);

        let word = bus.state(0_u64).expect("the bus has no state of this type");
        let plain = word.plain_reader();
        let writer = writes.then(|| {
            let word = word.clone();
            Writer::start(move |value| {
                word.set(value[0]).expect("the state is open");
            })
        });
        group.bench_function("PlainReader::load, one word", |bencher| {
            bencher.iter(|| plain.load());
        });
        drop(writer);

        let lock = Arc::new(RwLock::new((0_u64, [0; 4])));
        let writer = writes.then(|| {
            let lock = Arc::clone(&lock);
            Writer::start(move |value| {
                let mut locked = lock.write();
                *locked = (locked.0 + 1, value);
            })
        });
        group.bench_function("RwLock", |bencher| bencher.iter(|| *lock.read()));
        drop(writer);

        let lock = Arc::new(Mutex::new((0_u64, [0; 4])));
        let writer = writes.then(|| {
            let lock = Arc::clone(&lock);
            Writer::start(move |value| {
                let mut locked = lock.lock();
                *locked = (locked.0 + 1, value);
            })
        });
        group.bench_function("Mutex", |bencher| bencher.iter(|| *lock.lock()));
        drop(writer);
        group.finish();
    }
}

fn set(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("set");
    let bus = Bus::new();
    let state = bus.state([0; 4]).expect("the bus is new");
    group.bench_function("without a copy", |bencher| {
        bencher.iter(|| state.set(black_box([7; 4])));
    });
    let _plain = state.plain_reader();
    group.bench_function("with a copy in words", |bencher| {
        bencher.iter(|| state.set(black_box([7; 4])));
    });
    group.finish();
}

const EVENTS: usize = 1024;

/// A full ring of events of 1, 16 and 1024 keys, against reading them all.
fn conflate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("drain 1024 events");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let bus = Bus::new();
    let topic = bus.topic::<Value>();
    let publisher = topic.publisher().expect("the topic is open");
    let fill = |subscriber: &mut Subscriber<Value>, keys: u64| {
        while subscriber
            .poll(EVENTS, |_, _| ())
            .expect("the topic is open")
            > 0
        {}
        for index in 0..EVENTS as u64 {
            publisher
                .publish([index % keys, index, index, index])
                .expect("there is room");
        }
    };
    // Both closures of a bencher want the subscriber.
    let subscriber = RefCell::new(topic.subscribe());
    group.bench_function("poll", |bencher| {
        bencher.iter_batched(
            || fill(&mut subscriber.borrow_mut(), 1),
            |()| {
                subscriber.borrow_mut().poll(EVENTS, |event, _| {
                    black_box(event);
                })
            },
            BatchSize::PerIteration,
        );
    });
    for keys in [1, 16, 1024] {
        group.bench_function(BenchmarkId::new("drain_latest_by, keys", keys), |bencher| {
            bencher.iter_batched(
                || fill(&mut subscriber.borrow_mut(), keys),
                |()| {
                    subscriber.borrow_mut().drain_latest_by(
                        |event| event[0],
                        |event, _| {
                            black_box(event);
                        },
                    )
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, read, set, conflate);
criterion_main!(benches);
