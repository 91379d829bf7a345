//! What one operation costs on one thread: no hand-over between cores, so instructions and cache lines only.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringbus::{Bus, Overflow, Subscriber, Topic};

type Event = [u64; 8];

const BATCH: usize = 512;

fn topic(bus: &Bus) -> Topic<Event> {
    bus.topic_builder()
        .capacity(1024)
        .open()
        .expect("the settings are valid")
}

fn drain(subscribers: &mut [Subscriber<Event>]) {
    for subscriber in subscribers {
        while subscriber
            .poll(1024, |event, _| {
                black_box(event);
            })
            .expect("the topic is open")
            > 0
        {}
    }
}

/// Publishing beside 1 to 256 subscribers; their reading is not timed.
fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    group.throughput(Throughput::Elements(BATCH as u64));
    for count in [1, 16, 64, 256] {
        let bus = Bus::new();
        let topic = topic(&bus);
        let mut subscribers: Vec<_> = (0..count).map(|_| topic.subscribe()).collect();
        let mut publisher = topic.exclusive_publisher().expect("it is the only one");
        group.bench_function(BenchmarkId::new("subscribers", count), |bencher| {
            bencher.iter_batched(
                || drain(&mut subscribers),
                |()| {
                    for index in 0..BATCH as u64 {
                        publisher
                            .publish(black_box([index; 8]))
                            .expect("there is room");
                    }
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A subscriber that is overrun all the time, against none behind.
fn overrun(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("overrun");
    group.throughput(Throughput::Elements(BATCH as u64));
    for lossy in [0, 1, 4] {
        let bus = Bus::new();
        let topic = topic(&bus);
        let _subscribers: Vec<_> = (0..lossy.max(1))
            .map(|_| {
                let overflow = match lossy {
                    0 => Overflow::Disconnect,
                    _ => Overflow::DropOldest,
                };
                topic
                    .subscriber()
                    .overflow(overflow)
                    .open()
                    .expect("there is a seat")
            })
            .collect();
        let mut publisher = topic.exclusive_publisher().expect("it is the only one");
        group.bench_function(BenchmarkId::new("lossy behind", lossy), |bencher| {
            bencher.iter(|| {
                for index in 0..BATCH as u64 {
                    publisher
                        .publish(black_box([index; 8]))
                        .expect("nobody is waited for");
                }
            });
        });
    }
    group.finish();
}

/// Publish a frame's events, then read them.
fn frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(1000));
    let bus = Bus::new();
    let topic = topic(&bus);
    let mut subscribers: Vec<_> = (0..4).map(|_| topic.subscribe()).collect();
    let mut publisher = topic.exclusive_publisher().expect("it is the only one");
    group.bench_function("ringbus, 4 readers", |bencher| {
        bencher.iter(|| {
            for index in 0..1000 {
                publisher
                    .publish(black_box([index; 8]))
                    .expect("there is room");
            }
            drain(&mut subscribers);
        });
    });
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    group.bench_function("vec, 4 readers", |bencher| {
        bencher.iter(|| {
            for index in 0..1000 {
                events.push(black_box([index; 8]));
            }
            for _ in 0..4 {
                for event in &events {
                    black_box(event);
                }
            }
            events.clear();
        });
    });
    group.finish();
}

criterion_group!(benches, publish, overrun, frame);
criterion_main!(benches);
