//! The watchdog: whom it names, and whom it does not.
#![cfg(feature = "services")]

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{let_others_park, wait_until};
use ringbus::{Bus, Clock, Reactor};

const MS: Duration = Duration::from_millis(1);

/// Tells that it is called, and waits to be let go on.
fn gate() -> (impl FnMut() + Send, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (tell, entered) = mpsc::channel();
    let (let_go, wait) = mpsc::channel();
    let call = move || {
        tell.send(()).unwrap();
        let _ = wait.recv();
    };
    (call, entered, let_go)
}

#[test]
fn a_slow_handler_is_named_while_it_runs() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut watchdog = bus.watchdog(20 * MS);
    let (mut call, entered, let_go) = gate();
    let mut reactor = Reactor::<()>::new();
    reactor.on(topic.subscribe(), |_, _, _| {});
    let line = line!() + 1;
    let id = reactor.on(topic.subscribe(), move |_, _, _| call());
    let worker = bus.worker("risk").spawn(reactor, || ()).unwrap();
    let idle = bus.worker("idle").spawn(Reactor::<()>::new(), || ());
    assert_eq!(watchdog.check(), []);

    topic.publish(1).unwrap();
    entered.recv().unwrap();
    assert_eq!(watchdog.check(), [], "it is seen for the first time");
    thread::sleep(20 * MS);
    let slow = watchdog.check();
    let [slow] = &slow[..] else {
        panic!("one handler is slow: {slow:?}");
    };
    assert_eq!((slow.worker.as_str(), slow.handler.id), ("risk", id));
    assert_eq!(
        (slow.handler.location.file(), slow.handler.location.line()),
        (file!(), line)
    );
    assert!(slow.running >= 20 * MS);
    assert!(slow.to_string().contains("risk"));
    assert_eq!(watchdog.check().len(), 1, "as long as it runs");

    let_go.send(()).unwrap();
    wait_until("it has returned", || bus.workers()[1].handler.is_none());
    assert_eq!(watchdog.check(), []);
    drop((worker, idle));
    drop(bus);
    assert_eq!(watchdog.check(), []);
}

#[test]
fn events_of_one_batch_are_told_apart() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let (mut call, entered, let_go) = gate();
    let mut reactor = Reactor::<()>::new();
    reactor.on(topic.subscribe(), move |_, _, _| call());
    let worker = bus.worker("risk").spawn(reactor, || ()).unwrap();
    let mut watchdog = bus.watchdog(10 * MS);
    topic.publisher().unwrap().publish_batch(0..8).unwrap();
    for _ in 0..8 {
        entered.recv().unwrap();
        // However long the others took.
        assert_eq!(watchdog.check(), []);
        thread::sleep(10 * MS);
        assert_eq!(watchdog.check().len(), 1);
        let_go.send(()).unwrap();
    }
    drop(worker);
}

#[test]
fn timers_are_named_too_and_sleep_is_not_slow() {
    let bus = Bus::new();
    let clock = Clock::manual();
    let mut watchdog = bus.watchdog(Duration::ZERO);
    let (mut call, entered, let_go) = gate();
    let mut reactor = Reactor::<()>::builder().clock(clock.clone()).build();
    let line = line!() + 1;
    reactor.every(MS, move |_, _| call());
    let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
    let_others_park();
    assert_eq!(watchdog.check(), []);
    clock.advance(MS);
    entered.recv().unwrap();
    assert_eq!(watchdog.check()[0].handler.location.line(), line);
    drop(let_go);
    wait_until("it sleeps again", || watchdog.check().is_empty());
    drop(worker);
}
