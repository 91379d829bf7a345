//! The numbers of a bus, handed to a recorder of metrics: counters never fall, names are summed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};
use ringbus::{Bus, Overflow, PollError, Topic};

/// Keeps the last value of everything, and whether a counter was ever told to fall.
#[derive(Default)]
struct Kept {
    values: Mutex<BTreeMap<String, Arc<Value>>>,
    described: Mutex<BTreeMap<String, Option<Unit>>>,
}

#[derive(Default)]
struct Value {
    now: AtomicU64,
    fallen: AtomicU64,
}

impl CounterFn for Value {
    fn increment(&self, _: u64) {
        panic!("counters are set, not counted");
    }

    fn absolute(&self, value: u64) {
        if self.now.fetch_max(value, Ordering::Relaxed) > value {
            self.fallen.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl GaugeFn for Value {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }

    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.now.store(value as u64, Ordering::Relaxed);
    }
}

impl Kept {
    /// `name{key=label,...}`, by the names of the labels; without the types of events.
    fn value(&self, key: &Key) -> Arc<Value> {
        let mut labels: Vec<_> = key
            .labels()
            .filter(|label| label.key() != "event_type")
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(self.values.lock().unwrap().entry(name).or_default())
    }

    fn get(&self, name: &str) -> Option<u64> {
        let name = format!("ringbus_{name}");
        let values = self.values.lock().unwrap();
        values
            .get(&name)
            .map(|value| value.now.load(Ordering::Relaxed))
    }

    fn record(&self, bus: &Bus) {
        metrics::with_local_recorder(self, || bus.export_metrics());
    }

    /// As `record`, while nobody comes or goes: then nothing falls.
    fn export(&self, bus: &Bus) {
        self.record(bus);
        for (name, value) in &*self.values.lock().unwrap() {
            assert_eq!(value.fallen.load(Ordering::Relaxed), 0, "{name} has fallen");
        }
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described
            .lock()
            .unwrap()
            .insert(key.as_str().to_owned(), unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.described
            .lock()
            .unwrap()
            .insert(key.as_str().to_owned(), unit);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("{key:?}");
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.value(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("{key:?}");
    }
}

fn publish(topic: &Topic<u32>, ticks: std::ops::Range<u32>) {
    for tick in ticks {
        topic.publish(tick).unwrap();
    }
}

#[test]
fn what_the_snapshot_tells_is_exported_under_names() {
    let (bus, kept) = (Bus::new(), Kept::default());
    let topic = bus
        .topic_builder::<u32>()
        .name("ticks")
        .capacity(4)
        .open()
        .unwrap();
    let screen = topic
        .subscriber()
        .name("screen")
        .overflow(Overflow::DropOldest);
    let mut screen = screen.filter(|tick| tick % 2 == 0).open().unwrap();
    let mut group = topic
        .group("workers")
        .overflow(Overflow::DropOldest)
        .join()
        .unwrap();
    publish(&topic, 0..10);
    screen.poll(1, |_, _| {}).unwrap();
    group.poll(64, |_, _| {}).unwrap();
    kept.export(&bus);

    let snapshot = topic.snapshot();
    let of = &snapshot.subscribers[0];
    let screen = "{subscriber=screen,topic=ticks}";
    assert_eq!(kept.get("published_total{topic=ticks}"), Some(10));
    assert_eq!(kept.get("subscribers{topic=ticks}"), Some(1));
    assert_eq!(kept.get("publishers{topic=ticks}"), Some(1));
    assert_eq!(
        kept.get(&format!("delivered_total{screen}")),
        Some(of.delivered)
    );
    assert_eq!(
        kept.get(&format!("filtered_total{screen}")),
        Some(of.filtered)
    );
    assert_eq!(kept.get(&format!("missed_total{screen}")), Some(6));
    assert_eq!(kept.get(&format!("pending{screen}")), Some(of.pending));
    assert_eq!(kept.get(&format!("lag{screen}")), Some(of.lag));
    assert_eq!(of.delivered + of.filtered + of.missed + of.pending, 10);
    let workers = "{group=workers,topic=ticks}";
    let of = &snapshot.groups[0];
    assert_eq!(
        kept.get(&format!("group_delivered_total{workers}")),
        Some(of.delivered)
    );
    assert_eq!(
        kept.get(&format!("group_missed_total{workers}")),
        Some(of.missed)
    );
    assert_eq!(kept.get(&format!("group_members{workers}")), Some(1));
    assert!(of.missed > 0);
}

#[test]
fn every_name_is_described_with_its_unit() {
    let (bus, kept) = (Bus::new(), Kept::default());
    let _subscriber = bus.topic::<u32>().subscribe();
    kept.export(&bus);
    let described = kept.described.lock().unwrap();
    for name in kept.values.lock().unwrap().keys() {
        let (name, _) = name.split_once('{').unwrap();
        let unit = described[name];
        let expected = match name.contains("nanoseconds") {
            true => Unit::Nanoseconds,
            false => Unit::Count,
        };
        assert_eq!(unit, Some(expected), "{name}");
    }
    assert_eq!(
        kept.get("published_total{}"),
        Some(0),
        "without a name, without a label"
    );
}

#[test]
fn subscribers_of_one_name_are_summed() {
    let (bus, kept) = (Bus::new(), Kept::default());
    let topic = bus.topic_named::<u32>("ticks").unwrap();
    let open = || topic.subscriber().name("screen").open().unwrap();
    let (mut one, mut other) = (open(), open());
    publish(&topic, 0..5);
    one.poll(5, |_, _| {}).unwrap();
    other.poll(2, |_, _| {}).unwrap();
    kept.export(&bus);
    let screen = "{subscriber=screen,topic=ticks}";
    assert_eq!(kept.get(&format!("delivered_total{screen}")), Some(7));
    assert_eq!(kept.get(&format!("pending{screen}")), Some(3));
    assert_eq!(kept.get(&format!("lag{screen}")), Some(3));
}

#[test]
fn what_those_have_done_who_have_left_still_counts() {
    let (bus, kept) = (Bus::new(), Kept::default());
    let topic = bus
        .topic_builder::<u32>()
        .name("ticks")
        .capacity(4)
        .open()
        .unwrap();
    kept.export(&bus);
    for round in 1..=3 {
        // None of these is there when the numbers are exported.
        let screen = topic
            .subscriber()
            .name("screen")
            .overflow(Overflow::DropOldest);
        let mut screen = screen.open().unwrap();
        let journal = topic
            .subscriber()
            .name("journal")
            .overflow(Overflow::Disconnect);
        let mut journal = journal.open().unwrap();
        let mut member = topic
            .group("workers")
            .overflow(Overflow::DropOldest)
            .join()
            .unwrap();
        publish(&topic, 0..10);
        screen.poll(2, |_, _| {}).unwrap();
        member.poll(64, |_, _| {}).unwrap();
        assert!(matches!(
            journal.poll(64, |_, _| {}),
            Err(PollError::Disconnected(_))
        ));
        drop((screen, journal, member));
        kept.export(&bus);
        let get = |name: &str| kept.get(name).unwrap();
        assert_eq!(
            get("delivered_total{subscriber=screen,topic=ticks}"),
            2 * round
        );
        assert_eq!(
            get("missed_total{subscriber=screen,topic=ticks}"),
            6 * round
        );
        assert_eq!(
            get("missed_total{subscriber=journal,topic=ticks}"),
            4 * round
        );
        assert_eq!(get("pending{subscriber=screen,topic=ticks}"), 0);
        assert_eq!(get("group_members{group=workers,topic=ticks}"), 0);
        let group = ["delivered", "missed"];
        let group =
            group.map(|what| get(&format!("group_{what}_total{{group=workers,topic=ticks}}")));
        assert_eq!(group.iter().sum::<u64>(), 10 * round);
    }
}

#[test]
fn a_topic_that_is_opened_anew_goes_on_counting() {
    let (bus, kept) = (Bus::new(), Kept::default());
    for round in 1..=3 {
        let topic = bus.topic_named::<u32>("ticks").unwrap();
        let mut screen = topic.subscriber().name("screen").open().unwrap();
        publish(&topic, 0..5);
        topic.close();
        kept.export(&bus);
        // Forgotten by the bus with its next one, and still read.
        bus.topic_named::<u32>("ticks").unwrap();
        screen.poll(64, |_, _| {}).unwrap();
        drop(screen);
        kept.export(&bus);
        assert_eq!(kept.get("published_total{topic=ticks}"), Some(5 * round));
        let delivered = kept.get("delivered_total{subscriber=screen,topic=ticks}");
        assert_eq!(delivered, Some(5 * round));
    }
}

#[test]
fn lanes_count_together() {
    let (bus, kept) = (Bus::new(), Kept::default());
    let lanes = bus.topic_builder::<u32>().name("ticks").keep_open();
    let lanes = lanes.open_lanes().unwrap();
    let mut merged = lanes.subscribe();
    kept.export(&bus);
    for round in 1..=3 {
        let (mut one, mut other) = (lanes.publisher().unwrap(), lanes.publisher().unwrap());
        one.publish(1).unwrap();
        other.publish(2).unwrap();
        drop((one, other));
        while merged.poll(64, |_, _| {}).unwrap() > 0 {}
        kept.export(&bus);
        assert_eq!(kept.get("published_total{topic=ticks}"), Some(2 * round));
        assert_eq!(kept.get("delivered_total{topic=ticks}"), Some(2 * round));
    }
    assert_eq!(kept.get("published_total{topic=ticks#0}"), None);
}

#[test]
fn without_a_recorder_nothing_comes_of_it() {
    let bus = Bus::new();
    drop(bus.topic::<u32>().subscribe());
    bus.export_metrics();
}

#[test]
fn subscribers_that_come_and_go_while_numbers_are_exported_are_counted_once() {
    const ROUNDS: u64 = 200;
    let (bus, kept) = (Bus::new(), Kept::default());
    let topic = bus.topic_named::<u32>("ticks").unwrap();
    kept.export(&bus);
    std::thread::scope(|scope| {
        let churn = || {
            for _ in 0..ROUNDS {
                let mut screen = topic.subscriber().name("screen").open().unwrap();
                publish(&topic, 0..3);
                // Some may be of the other thread, and one that it has not finished hides those behind.
                let mut shown = 0;
                while shown < 3 {
                    shown += screen.poll(3 - shown, |_, _| {}).unwrap();
                }
            }
        };
        let threads = [scope.spawn(churn), scope.spawn(churn)];
        let delivered = "delivered_total{subscriber=screen,topic=ticks}";
        let mut last = 0;
        while !threads.iter().all(|thread| thread.is_finished()) {
            // A dip is what the recorder does not see; more than there was it would never forget.
            kept.record(&bus);
            let now = kept.get(delivered).unwrap_or(0);
            assert!(last <= now && now <= 2 * 3 * ROUNDS);
            last = now;
        }
        kept.record(&bus);
        assert_eq!(kept.get(delivered), Some(2 * 3 * ROUNDS));
    });
}

#[cfg(feature = "services")]
mod services {
    use std::time::Duration;

    use ringbus::{Reactor, Request, Restarts, WorkerEnd};

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Square(u64);

    impl Request for Square {
        type Reply = u64;
    }

    #[test]
    fn services_count_over_the_instances_that_come_and_go() {
        let (bus, kept) = (Bus::new(), Kept::default());
        let client = bus.client_builder::<Square>().service("squares");
        let client = client.open().unwrap();
        for round in 1..=3 {
            let server = bus.server_builder::<Square>().service("squares");
            let mut server = server.open().unwrap();
            let answered = client.start(Square(3)).unwrap();
            let waiting = client.start(Square(4)).unwrap();
            let call = server.recv().unwrap();
            let square = call.request().0 * call.request().0;
            call.reply(square);
            assert_eq!(answered.wait(), Ok(9));
            kept.export(&bus);
            let of = |what: &str| {
                let request = std::any::type_name::<Square>();
                kept.get(&format!(
                    "service_{what}{{request={request},service=squares}}"
                ))
            };
            assert_eq!(of("instances"), Some(1));
            assert_eq!(of("waiting"), Some(1));
            assert_eq!(of("replied_total"), Some(round));
            drop(server);
            drop(waiting);
            kept.export(&bus);
            assert_eq!(of("instances"), Some(0));
            assert_eq!(of("received_total"), Some(2 * round));
            assert_eq!(of("replied_total"), Some(round));
        }
    }

    #[test]
    fn workers_count_under_their_names_one_after_the_other() {
        let (bus, kept) = (Bus::new(), Kept::default());
        let topic = bus.topic::<u32>();
        kept.export(&bus);
        for round in 1..=3 {
            let mut risk = Reactor::<()>::new();
            risk.on(topic.subscribe(), |_, tick, _| {
                assert_ne!(*tick, 13, "unlucky")
            });
            let restarts = Restarts::up_to(1).back_off(Duration::ZERO, Duration::ZERO);
            let worker = bus.worker("risk").restart(restarts);
            let worker = worker.spawn(risk, || ()).unwrap();
            publish(&topic, 12..14);
            topic.publish(13).unwrap();
            assert_eq!(worker.join(), Some(WorkerEnd::Panicked));
            kept.export(&bus);
            assert_eq!(kept.get("worker_restarts_total{worker=risk}"), Some(round));
            assert_eq!(
                kept.get("worker_delivered_total{worker=risk}"),
                Some(3 * round)
            );
            assert_eq!(kept.get("worker_running{worker=risk}"), Some(0));
        }
    }
}
