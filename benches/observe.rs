//! What observers cost over calling closures from a vector: one thread, no subscriber, closures that do
//! nothing but look at the event.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringbus::{Bus, Observer, Topic};

type Event = [u64; 4];

const COUNTS: [usize; 3] = [1, 8, 64];

fn look(event: &Event) {
    black_box(event[0]);
}

fn observed(count: usize) -> (Bus, Topic<Event>, Vec<Observer>) {
    let bus = Bus::new();
    let topic = bus.topic::<Event>();
    let observers = (0..count).map(|_| topic.observe(look)).collect();
    (bus, topic, observers)
}

fn walk(criterion: &mut Criterion) {
    for count in COUNTS {
        let mut group = criterion.benchmark_group(format!("{count} observers"));
        let closures: Vec<Box<dyn Fn(&Event)>> = (0..count)
            .map(|_| Box::new(look) as Box<dyn Fn(&Event)>)
            .collect();
        group.bench_function("vec of closures", |bencher| {
            let closures = black_box(&closures);
            bencher.iter(|| {
                let event = black_box([7; 4]);
                for closure in closures {
                    closure(&event);
                }
            });
        });
        let (_bus, topic, _observers) = observed(count);
        let mut publisher = topic.exclusive_publisher().expect("it is the only one");
        group.bench_function("ExclusivePublisher", |bencher| {
            bencher.iter(|| publisher.publish(black_box([7; 4])).expect("nobody vetoes"));
        });
        let (_bus, topic, _observers) = observed(count);
        let publisher = topic.publisher().expect("the topic is open");
        group.bench_function("Publisher", |bencher| {
            bencher.iter(|| publisher.publish(black_box([7; 4])).expect("nobody vetoes"));
        });
        group.finish();
    }
}

/// What a publish costs that nobody observes or hears, and one into a ring beside observers.
fn around(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("around");
    for count in [0, 1, 8] {
        let (_bus, topic, _observers) = observed(count);
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
