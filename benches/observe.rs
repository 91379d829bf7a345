//! What observers cost over calling closures from a vector: one thread, no subscriber. The closures either do
//! nothing but look at the event, or add it to a counter of their own.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringbus::{Bus, Observer, Topic};

type Event = [u64; 4];
type Closure = Box<dyn Fn(&Event) + Send + Sync>;

fn look(event: &Event) {
    black_box(event[0]);
}

fn looking() -> Closure {
    Box::new(look)
}

fn counting() -> Closure {
    let count = Arc::new(AtomicU64::new(0));
    Box::new(move |event| {
        count.fetch_add(event[0], Ordering::Relaxed);
    })
}

fn observed<F>(count: usize, observer: impl Fn() -> F) -> (Bus, Topic<Event>, Vec<Observer>)
where
    F: Fn(&Event) + Send + Sync + 'static,
{
    let bus = Bus::new();
    let topic = bus.topic::<Event>();
    let observers = (0..count).map(|_| topic.observe(observer())).collect();
    (bus, topic, observers)
}

/// A walk over `count` closures, in a vector and as observers of both kinds of publisher.
fn walks<F>(criterion: &mut Criterion, name: &str, boxed: fn() -> Closure, plain: impl Fn() -> F)
where
    F: Fn(&Event) + Send + Sync + 'static,
{
    for count in [1, 8, 64] {
        let mut group = criterion.benchmark_group(format!("{count} {name}"));
        let closures: Vec<Closure> = (0..count).map(|_| boxed()).collect();
        group.bench_function("vec of closures", |bencher| {
            let closures = black_box(&closures);
            bencher.iter(|| {
                let event = black_box([7; 4]);
                for closure in closures {
                    closure(&event);
                }
            });
        });
        let (_bus, topic, _observers) = observed(count, &plain);
        let mut publisher = topic.exclusive_publisher().expect("it is the only one");
        group.bench_function("ExclusivePublisher", |bencher| {
            bencher.iter(|| publisher.publish(black_box([7; 4])).expect("nobody vetoes"));
        });
        let (_bus, topic, _observers) = observed(count, &plain);
        let publisher = topic.publisher().expect("the topic is open");
        group.bench_function("Publisher", |bencher| {
            bencher.iter(|| publisher.publish(black_box([7; 4])).expect("nobody vetoes"));
        });
        group.finish();
    }
}

fn walk(criterion: &mut Criterion) {
    walks(criterion, "that look", looking, || look);
    walks(criterion, "that count", counting, || {
        let count = AtomicU64::new(0);
        move |event: &Event| {
            count.fetch_add(event[0], Ordering::Relaxed);
        }
    });
}

/// A publish that nobody hears, and one into a ring, beside observers.
fn around(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("around");
    for count in [0, 1, 8] {
        let (_bus, topic, _observers) = observed(count, || look);
        let publisher = topic.publisher().expect("the topic is open");
        group.bench_function(BenchmarkId::new("unheard", count), |bencher| {
            bencher.iter(|| publisher.publish(black_box([7; 4])).expect("nobody vetoes"));
        });
        let mut subscriber = topic.subscribe();
        group.bench_function(BenchmarkId::new("publish and poll", count), |bencher| {
            bencher.iter(|| {
                publisher.publish(black_box([7; 4])).expect("there is room");
                subscriber
                    .poll(1, |event, _| look(event))
                    .expect("it is open")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, walk, around);
criterion_main!(benches);
