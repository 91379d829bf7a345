//! What is logged with the feature `tracing`: names and call sites, under a target of this crate's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringbus::{Bus, Overflow};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps what was logged by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Entry>>>);

#[derive(Debug)]
struct Entry {
    level: Level,
    target: String,
    fields: BTreeMap<&'static str, String>,
}

impl Entry {
    fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    fn message(&self) -> &str {
        self.get("message").unwrap_or_default()
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        self.0.lock().unwrap().push(Entry {
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            fields,
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Taken by each test: what a log that comes or goes makes of a call site is decided for the whole process, and two that
/// do so at once may leave it silent.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn logged(run: impl FnOnce()) -> Vec<Entry> {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), run);
    std::mem::take(&mut *log.0.lock().unwrap())
}

fn messages(entries: &[Entry]) -> Vec<(Level, &str)> {
    let entries = entries.iter();
    entries
        .map(|entry| (entry.level, entry.message()))
        .collect()
}

#[test]
fn joins_and_leaves_are_logged_with_names_and_call_sites() {
    let _alone = alone();
    let mut line = 0;
    let entries = logged(|| {
        let bus = Bus::new();
        let topic = bus.topic_named::<u32>("ticks").unwrap();
        line = line!() + 1;
        let screen = topic.subscriber().name("screen").open().unwrap();
        drop(screen);
    });
    let expected = [(Level::DEBUG, "joined"), (Level::DEBUG, "left")];
    assert_eq!(messages(&entries), expected);
    for entry in &entries {
        assert_eq!(entry.target, "ringbus");
        assert_eq!(entry.get("topic"), Some("ticks"));
        assert_eq!(entry.get("event_type"), Some("u32"));
        assert_eq!(entry.get("listener"), Some("subscriber"));
        assert_eq!(entry.get("name"), Some("screen"));
        assert_eq!(entry.get("overflow"), Some("Block"));
        let site = format!("{}:{line}:", file!());
        assert!(
            entry.get("location").unwrap().starts_with(&site),
            "{entry:?}"
        );
    }
}

#[test]
fn losses_and_panics_are_warnings() {
    let _alone = alone();
    let entries = logged(|| {
        let bus = Bus::new();
        let topic = bus.topic_builder::<u32>().capacity(4).open().unwrap();
        let lossy = topic.subscriber().overflow(Overflow::DropOldest);
        let mut screen = lossy.open().unwrap();
        let journal = topic.subscriber().overflow(Overflow::Disconnect);
        let mut journal = journal.open().unwrap();
        let _faulty = topic.observe(|tick| assert_ne!(*tick, 7, "unlucky"));
        for tick in 0..10 {
            topic.publish(tick).unwrap();
        }
        screen.poll(64, |_, _| {}).unwrap();
        journal.poll(64, |_, _| {}).unwrap_err();
    });
    let warnings: Vec<_> = entries
        .iter()
        .filter(|entry| entry.level == Level::WARN)
        .map(|entry| (entry.message(), entry.get("missed"), entry.get("panic")))
        .collect();
    let [
        ("observer panicked", None, Some(panic)),
        ("missed events", Some("6"), None),
        ("disconnected", Some("4"), None),
    ] = warnings[..]
    else {
        panic!("{warnings:?}");
    };
    assert!(panic.contains("unlucky"));
}

#[test]
fn without_a_subscriber_of_the_log_nothing_is_told() {
    let _alone = alone();
    let bus = Bus::new();
    drop(bus.topic::<u32>().subscribe());
    let mut events = bus.system_events().subscribe();
    drop(bus.topic::<u32>().subscribe());
    assert_eq!(
        events.recv().unwrap().number,
        0,
        "nothing was numbered before"
    );
}

#[test]
fn what_is_logged_is_told_as_well_and_the_other_way_round() {
    let _alone = alone();
    let bus = Bus::new();
    let mut numbers = Vec::new();
    let entries = logged(|| {
        drop(bus.topic::<u32>().subscribe());
        let mut events = bus.system_events().subscribe();
        drop(bus.topic::<u32>().subscribe());
        numbers.extend(std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.number));
    });
    // Nothing of the topic of system events itself.
    assert_eq!(entries.len(), 4);
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn a_bus_that_closes_goes_on_to_log() {
    let _alone = alone();
    let entries = logged(|| {
        let bus = Bus::new();
        let subscriber = bus.topic::<u32>().subscribe();
        bus.close();
        drop(subscriber);
    });
    let expected = [(Level::DEBUG, "joined"), (Level::DEBUG, "left")];
    assert_eq!(messages(&entries), expected);
}

#[test]
fn a_log_that_uses_the_bus_and_panics_does_no_harm() {
    let _alone = alone();
    /// Subscribes at every event, and panics.
    struct Eager(Bus);
    impl Subscriber for Eager {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            drop(self.0.topic::<u32>().subscribe());
            panic!("unlucky");
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    let bus = Bus::new();
    let eager = Eager(bus.clone());
    let mut events = bus.system_events().subscribe();
    tracing::subscriber::with_default(eager, || {
        // Under the lock of the registry a watcher joins what is opened; it is logged without.
        let _quotes = bus.subscribe_pattern::<u16>("md.>").unwrap();
        bus.topic_named::<u16>("md.spot").unwrap();
        let mut subscriber = bus.topic::<u32>().subscribe();
        bus.publish(1_u32).unwrap();
        assert_eq!(subscriber.recv(), Ok(1));
    });
    let told = std::iter::from_fn(|| events.try_recv().ok()).count();
    assert_eq!(told, 4);
}

#[cfg(feature = "services")]
mod services {
    use std::cell::RefCell;
    use std::time::Duration;

    use tracing::subscriber::DefaultGuard;

    use ringbus::{Reactor, Request, Restarts};

    use super::*;

    thread_local! {
        static DEFAULT: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
    }

    struct Square(#[expect(dead_code, reason = "nobody serves it")] u64);

    impl Request for Square {
        type Reply = u64;
    }

    #[test]
    fn a_worker_that_fails_is_an_error() {
        let _alone = alone();
        let log = Log::default();
        let bus = Bus::new();
        let topic = bus.topic::<u32>();
        let mut risk = Reactor::<()>::new();
        risk.on(topic.subscribe(), |_, _, _| panic!("unlucky"));
        let restarts = Restarts::up_to(1).back_off(Duration::ZERO, Duration::ZERO);
        let threads = log.clone();
        // The default of a thread is its own: the worker's is set by what makes its state.
        let state = move || {
            DEFAULT.with_borrow_mut(|kept| {
                kept.get_or_insert_with(|| tracing::subscriber::set_default(threads.clone()));
            });
        };
        let worker = bus.worker("risk").restart(restarts);
        let worker = worker.spawn(risk, state).unwrap();
        topic.publish(1).unwrap();
        topic.publish(2).unwrap();
        worker.join();
        let entries = log.0.lock().unwrap();
        let of_worker: Vec<_> = entries
            .iter()
            .filter(|entry| entry.get("worker") == Some("risk"))
            .map(|entry| (entry.level, entry.message(), entry.get("end")))
            .collect();
        let expected = [
            (Level::WARN, "worker panicked", None),
            (Level::WARN, "worker restarted", None),
            (Level::WARN, "worker panicked", None),
            (Level::ERROR, "worker ended", Some("panicked")),
        ];
        assert_eq!(of_worker, expected);
    }

    #[test]
    fn instances_of_services_are_logged() {
        let _alone = alone();
        let entries = logged(|| {
            let bus = Bus::new();
            let server = bus.server_builder::<Square>().service("squares");
            drop(server.instance("first").open().unwrap());
        });
        let expected = [
            (Level::DEBUG, "instance joined"),
            (Level::DEBUG, "instance left"),
        ];
        assert_eq!(messages(&entries), expected);
        assert_eq!(entries[0].get("service"), Some("squares"));
        assert_eq!(entries[0].get("instance"), Some("first"));
    }
}
