//! Workers: what their handles promise, what they survive, what nothing is lost by.
#![cfg(feature = "services")]

mod common;

use std::cell::Cell;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{finishes, let_others_park, wait_until};
use ringbus::{
    Bus, Clock, OnFailure, OnPanic, PublishError, Reactor, Restarts, Subscriber, Timeline, Topic,
    TryRecvError, Worker, WorkerEnd, WorkerError, WorkerSnapshot, WorkerStatus,
};

const fn send_and_sync<T: Send + Sync>() {}

const _: () = {
    send_and_sync::<Worker>();
    send_and_sync::<WorkerError>();
    send_and_sync::<WorkerSnapshot>();
    send_and_sync::<ringbus::Watchdog>();
    send_and_sync::<ringbus::ShutdownReport>();
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn open(bus: &Bus, name: &str, capacity: usize) -> Topic<u64> {
    bus.topic_builder()
        .name(name)
        .capacity(capacity)
        .keep_open()
        .open()
        .unwrap()
}

fn publish_all(topic: &Topic<u64>, events: impl IntoIterator<Item = u64>) {
    for event in events {
        topic.publish(event).unwrap();
    }
}

fn snapshot(bus: &Bus, name: &str) -> WorkerSnapshot {
    let mut workers = bus.workers().into_iter();
    workers
        .find(|worker| worker.name == name)
        .unwrap_or_else(|| panic!("there is a worker {name}"))
}

fn quickly(restarts: Restarts) -> Restarts {
    restarts.back_off(MS / 10, MS)
}

/// Adds up what a topic brings, and sends it on.
fn adder(topic: &Topic<u64>, seen: mpsc::Sender<u64>) -> Reactor<()> {
    let mut reactor = Reactor::new();
    reactor.on(topic.subscribe(), move |_, event, _| {
        let _ = seen.send(*event);
    });
    reactor
}

#[test]
fn a_worker_is_a_thread_of_its_name_and_its_state_need_not_be_send() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let (tell, told) = mpsc::channel();
    let mut reactor = Reactor::<Rc<Cell<u64>>>::new();
    reactor.on(topic.subscribe(), move |sum, event, _| {
        sum.set(sum.get() + event);
        let name = thread::current().name().map(str::to_owned);
        tell.send((name, sum.get())).unwrap();
    });
    let worker = bus
        .worker("risk")
        .spawn(reactor, || Rc::new(Cell::new(10)))
        .unwrap();
    assert_eq!((worker.name(), worker.ended()), ("risk", None));
    topic.publish(1).unwrap();
    topic.publish(2).unwrap();
    assert_eq!(told.recv().unwrap(), (Some("risk".to_owned()), 11));
    assert_eq!(told.recv().unwrap(), (Some("risk".to_owned()), 13));
    topic.close();
    assert_eq!(worker.join(), Some(WorkerEnd::Drained));
    assert!(bus.workers().is_empty(), "its handle is gone");
}

#[test]
fn a_name_is_taken_while_its_worker_runs() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let reactor = || adder(&topic, mpsc::channel().0);
    for name in ["", "a\0b", &"x".repeat(ringbus::MAX_NAME + 1)] {
        let refused = bus.worker(name).spawn(reactor(), || ()).unwrap_err();
        assert!(matches!(refused, WorkerError::Name(of) if of == name));
    }
    let first = bus.worker("w").spawn(reactor(), || ()).unwrap();
    let refused = bus.worker("w").spawn(reactor(), || ()).unwrap_err();
    assert_eq!(refused.to_string(), "worker \"w\" is running already");
    assert_eq!(topic.snapshot().subscribers.len(), 1, "those refused left");
    // Another bus, another name.
    let other = Bus::new();
    drop(other.worker("w").spawn(reactor(), || ()).unwrap());

    first.stop();
    wait_until("the first has ended", || first.ended().is_some());
    let second = bus.worker("w").spawn(reactor(), || ()).unwrap();
    // The first one's handle is of no meaning to the second.
    drop(first);
    assert_eq!(second.ended(), None);
    assert_eq!(bus.workers().len(), 1);
    drop(second);
    assert!(bus.workers().is_empty());
}

#[test]
fn dropping_a_handle_is_a_barrier() {
    for round in 0..200 {
        let bus = Bus::new();
        let topic = open(&bus, "t", 4);
        let inside = Arc::new(AtomicBool::new(false));
        let owned = Arc::new(());
        let mut reactor = Reactor::<Arc<()>>::new();
        reactor.on(topic.subscribe(), {
            let (inside, owned) = (Arc::clone(&inside), Arc::clone(&owned));
            move |_, _, _| {
                inside.store(true, Ordering::Relaxed);
                let _ = &owned;
                if round % 2 == 0 {
                    thread::yield_now();
                }
                inside.store(false, Ordering::Relaxed);
            }
        });
        let worker = bus
            .worker("w")
            .spawn(reactor, {
                let owned = Arc::clone(&owned);
                move || Arc::clone(&owned)
            })
            .unwrap();
        let publishing = thread::spawn({
            let topic = topic.clone();
            move || while topic.publish(1).is_ok() {}
        });
        if round % 3 == 0 {
            thread::sleep(MS);
        }
        drop(worker);
        assert!(!inside.load(Ordering::Relaxed));
        assert_eq!(Arc::strong_count(&owned), 1, "closures and state are gone");
        assert!(topic.snapshot().subscribers.is_empty());
        topic.close();
        publishing.join().unwrap();
    }
}

#[test]
fn a_worker_may_drop_its_own_handle_and_cannot_join_itself() {
    finishes("a worker with its own handle", || {
        for join in [true, false] {
            let bus = Bus::new();
            let topic = open(&bus, "t", 16);
            let own = Arc::new(Mutex::new(None::<Worker>));
            let (tell, told) = mpsc::channel();
            let mut reactor = Reactor::<()>::new();
            reactor.on(topic.subscribe(), {
                let own = Arc::clone(&own);
                move |_, event, _| {
                    let own = own.lock().unwrap().take().expect("called once");
                    if join {
                        assert_eq!(own.join(), None);
                    } else {
                        drop(own);
                    }
                    tell.send(*event).unwrap();
                }
            });
            *own.lock().unwrap() = Some(bus.worker("w").spawn(reactor, || ()).unwrap());
            topic.publisher().unwrap().publish_batch([1, 2]).unwrap();
            assert_eq!(told.recv(), Ok(1));
            assert!(told.recv().is_err(), "it ended with that handler");
            wait_until("it is forgotten", || bus.workers().is_empty());
        }
    });
}

#[test]
fn a_handle_inside_of_its_own_reactor_is_no_deadlock() {
    finishes("a worker that owns itself", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let own = Arc::new(Mutex::new(None::<Worker>));
        let mut reactor = Reactor::<()>::new();
        reactor.on(topic.subscribe(), {
            let own = Arc::clone(&own);
            move |_, _, _| drop(own.lock())
        });
        let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
        *own.lock().unwrap() = Some(worker);
        drop(own);
        topic.close();
        wait_until("it is forgotten", || bus.workers().is_empty());
    });
}

#[test]
fn stop_wakes_a_worker_that_sleeps_and_leaves_what_waits() {
    finishes("a stopped worker", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let worker = bus
            .worker("w")
            .spawn(adder(&topic, mpsc::channel().0), || ())
            .unwrap();
        let_others_park();
        worker.stop();
        assert_eq!(worker.join(), Some(WorkerEnd::Stopped));

        // One that is stopped in its first handler leaves the rest.
        let (go, wait) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let mut reactor = Reactor::<()>::new();
        reactor.on(topic.subscribe(), move |_, event, _| {
            tell.send(*event).unwrap();
            wait.recv().unwrap();
        });
        let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
        publish_all(&topic, 0..5);
        assert_eq!(told.recv(), Ok(0));
        worker.stop();
        go.send(()).unwrap();
        wait_until("it has ended", || worker.ended().is_some());
        let numbers = snapshot(&bus, "w");
        assert_eq!((numbers.delivered, numbers.undelivered), (1, 4));
        assert!(!numbers.is_drained());
    });
}

#[test]
fn a_handler_that_stops_the_reactor_ends_the_worker() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let mut reactor = Reactor::<()>::new();
    reactor.on(topic.subscribe(), |_, _, cx| cx.stop());
    let restarts = Restarts::always();
    let worker = bus.worker("w").restart(restarts).spawn(reactor, || ());
    topic.publish(1).unwrap();
    assert_eq!(worker.unwrap().join(), Some(WorkerEnd::Stopped));
}

#[test]
fn a_worker_does_not_keep_its_bus_open_and_ends_with_it() {
    finishes("workers of a bus that is gone", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let (tell, told) = mpsc::channel();
        let reading = bus.worker("reads").spawn(adder(&topic, tell), || ());
        let mut reactor = Reactor::<()>::new();
        reactor.every(HOUR, |_, _| {});
        let ticking = bus.worker("ticks").spawn(reactor, || ());
        let (reading, ticking) = (reading.unwrap(), ticking.unwrap());
        topic.publish(7).unwrap();
        drop(bus);
        assert!(topic.is_closed());
        assert_eq!(reading.join(), Some(WorkerEnd::Drained));
        assert_eq!(ticking.join(), Some(WorkerEnd::Drained));
        assert!(told.iter().eq([7]));
    });
}

#[test]
fn a_detached_worker_runs_on_and_is_listed_while_it_does() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let (tell, told) = mpsc::channel();
    bus.worker("w")
        .spawn(adder(&topic, tell), || ())
        .unwrap()
        .detach();
    topic.publish(1).unwrap();
    assert_eq!(told.recv(), Ok(1));
    assert_eq!(snapshot(&bus, "w").status, WorkerStatus::Running);
    topic.close();
    wait_until("it is forgotten", || bus.workers().is_empty());
}

#[test]
fn a_detached_worker_that_fails_is_listed_until_its_name_is_taken() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let mut reactor = Reactor::<()>::new();
    reactor.on(topic.subscribe(), |_, _, _| panic!("no more"));
    bus.worker("w").spawn(reactor, || ()).unwrap().detach();
    topic.publish(1).unwrap();
    let failed = WorkerStatus::Ended(WorkerEnd::Panicked);
    wait_until("it has failed", || snapshot(&bus, "w").status == failed);
    let again = bus
        .worker("w")
        .spawn(adder(&topic, mpsc::channel().0), || ());
    assert_eq!(snapshot(&bus, "w").status, WorkerStatus::Running);
    drop(again);
    assert!(bus.workers().is_empty());
}

/// Publishes from several threads while the worker panics again and again.
fn nothing_is_lost(capacity: usize, events: u64, batches: bool) {
    const PUBLISHERS: u64 = 2;
    let bus = Bus::new();
    let topic = open(&bus, "t", capacity);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let states = Arc::new(AtomicUsize::new(0));
    let mut reactor = Reactor::<u64>::new();
    let record = {
        let seen = Arc::clone(&seen);
        move |since: &mut u64, event: u64| {
            seen.lock().unwrap().push((event, *since));
            *since += 1;
            assert_ne!(event % 100, 99, "one in a hundred");
        }
    };
    if batches {
        reactor.on_batch(topic.subscribe(), move |since, batch, _| {
            for (event, _) in batch {
                record(since, *event);
            }
        });
    } else {
        reactor.on(topic.subscribe(), move |since, event, _| {
            record(since, *event);
        });
    }
    let worker = bus
        .worker("w")
        .restart(quickly(Restarts::always()))
        .spawn(reactor, {
            let states = Arc::clone(&states);
            move || {
                states.fetch_add(1, Ordering::Relaxed);
                0
            }
        })
        .unwrap();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| {
            let publisher = topic.publisher().unwrap();
            thread::spawn(move || {
                for event in 0..events {
                    publisher.publish(number << 32 | event).unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.join().unwrap();
    }
    topic.close();
    assert_eq!(worker.join(), Some(WorkerEnd::Drained));

    let seen = std::mem::take(&mut *seen.lock().unwrap());
    for number in 0..PUBLISHERS {
        let of_one = seen.iter().filter(|(event, _)| event >> 32 == number);
        assert!(
            of_one.map(|(event, _)| event & 0xffff_ffff).eq(0..events),
            "each event once and in order"
        );
    }
    // A new state counts from 0 behind each panic, and never elsewhere.
    let mut expected = 0;
    for (event, since) in &seen {
        assert_eq!(*since, expected);
        expected = if event % 100 == 99 { 0 } else { expected + 1 };
    }
    let panics = seen.iter().filter(|(event, _)| event % 100 == 99).count();
    assert!(panics > 0);
    assert_eq!(states.load(Ordering::Relaxed), panics + 1);
}

#[test]
fn nothing_that_is_published_during_restarts_is_lost() {
    finishes("a worker that restarts under load", || {
        nothing_is_lost(64, 3000, false);
        nothing_is_lost(1, 300, false);
        nothing_is_lost(64, 3000, true);
    });
}

#[test]
fn handlers_and_timers_live_on_in_the_next_run() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let clock = Clock::manual();
    let (tell, told) = mpsc::channel();
    let mut reactor = Reactor::<u64>::builder().clock(clock.clone()).build();
    reactor.on(topic.subscribe(), {
        let tell = tell.clone();
        move |sum, event, cx| {
            *sum += event;
            let tell = tell.clone();
            cx.after(MS, move |sum, _| tell.send(*sum).unwrap());
            assert_ne!(*event, 2);
        }
    });
    let worker = bus
        .worker("w")
        .restart(quickly(Restarts::up_to(1)))
        .spawn(reactor, || 100)
        .unwrap();
    publish_all(&topic, 1..4);
    wait_until("all three are handled", || {
        topic.snapshot().subscribers[0].pending == 0
            && snapshot(&bus, "w").handler.is_none()
            && snapshot(&bus, "w").delivered == 3
    });
    clock.advance(MS);
    // All see the state of the second run.
    assert_eq!([told.recv(), told.recv(), told.recv()], [Ok(103); 3]);
    assert_eq!(snapshot(&bus, "w").restarts, 1);
    drop(worker);
}

#[test]
fn a_worker_that_panicked_too_often_ends_and_tells_where() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let mut reactor = Reactor::<u64>::new();
    let line = line!() + 1;
    let id = reactor.on(topic.subscribe(), |_, event, _| match event {
        4 => panic_any(4_u64),
        event => panic!("event {event}"),
    });
    let worker = bus
        .worker("w")
        .restart(quickly(Restarts::up_to(3)))
        .spawn(reactor, || 0)
        .unwrap();
    for event in 1..8 {
        // The subscription has left with the worker; or not yet.
        let _ = topic.publish(event);
        if event == 3 {
            wait_until("it has restarted", || snapshot(&bus, "w").restarts == 3);
            let panic = snapshot(&bus, "w").panic.unwrap();
            assert_eq!(panic.message.as_deref(), Some("event 3"));
        }
    }
    wait_until("it has ended", || worker.ended().is_some());
    assert_eq!(worker.ended(), Some(WorkerEnd::Panicked));
    let numbers = snapshot(&bus, "w");
    assert_eq!((numbers.restarts, numbers.delivered), (3, 4));
    let panic = numbers.panic.unwrap();
    let handler = panic.handler.expect("it was in a handler");
    assert_eq!(handler.id, id);
    assert_eq!(handler.location.line(), line);
    assert_eq!(handler.location.file(), file!());
    assert_eq!(panic.message, None);
    assert!(topic.snapshot().subscribers.is_empty());
    assert!(!bus.is_closed(), "it stops alone");
}

#[test]
fn a_handler_of_a_timeline_is_named_itself() {
    let bus = Bus::new();
    let timeline = Timeline::new();
    let topic = bus.topic_builder::<u64>().timeline(&timeline);
    let topic = topic.open().unwrap();
    let mut reactor = Reactor::<()>::new();
    let mut handlers = reactor.timeline(&timeline);
    handlers.on(topic.subscribe(), |_, _, _| {});
    let second = handlers.on(topic.subscribe(), |_, _, _| panic!("the second one"));
    let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
    topic.publish(1).unwrap();
    wait_until("it has ended", || worker.ended().is_some());
    let panic = snapshot(&bus, "w").panic.unwrap();
    assert_eq!(panic.handler.unwrap().id, second);
    assert_eq!(panic.message.as_deref(), Some("the second one"));
}

#[test]
fn a_worker_that_fails_may_take_the_bus_down() {
    finishes("an escalation", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let (tell, told) = mpsc::channel();
        let other = bus.worker("other").spawn(adder(&topic, tell), || ());
        let other = other.unwrap();
        let mut reactor = Reactor::<()>::new();
        reactor.on(topic.subscribe(), |_, event, _| assert_ne!(*event, 2));
        let failing = bus
            .worker("failing")
            .restart(quickly(Restarts::up_to(0)))
            .on_failure(OnFailure::Escalate)
            .spawn(reactor, || ())
            .unwrap();
        topic.publish(1).unwrap();
        topic.publish(2).unwrap();
        assert_eq!(failing.join(), Some(WorkerEnd::Panicked));
        assert!(bus.is_closed());
        assert_eq!(topic.publish(3), Err(PublishError::Closed(3)));
        assert_eq!(other.join(), Some(WorkerEnd::Drained));
        assert!(told.iter().eq([1, 2]));
        let refused = bus.worker("late").spawn(Reactor::<()>::new(), || ());
        assert!(matches!(refused, Err(WorkerError::ShutDown)));
        // For who asks later.
        let report = bus.shutdown(HOUR);
        assert_eq!(report.workers.len(), 2);
        assert!(!report.is_complete());
    });
}

#[test]
fn a_stop_cuts_a_pause_short() {
    finishes("a stop during a pause", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let mut reactor = Reactor::<()>::new();
        reactor.on(topic.subscribe(), |_, _, _| panic!("always"));
        let worker = bus
            .worker("w")
            .restart(Restarts::always().back_off(HOUR, HOUR))
            .on_failure(OnFailure::Escalate)
            .spawn(reactor, || ())
            .unwrap();
        topic.publish(1).unwrap();
        wait_until("it pauses", || {
            snapshot(&bus, "w").status == WorkerStatus::BackingOff
        });
        worker.stop();
        assert_eq!(worker.join(), Some(WorkerEnd::Stopped));
        assert!(!bus.is_closed(), "a worker that was stopped did not fail");
    });
}

#[test]
fn a_state_that_cannot_be_made_is_a_panic_of_the_worker() {
    finishes("a factory that panics", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        topic.publish(0).unwrap();
        let (tell, told) = mpsc::channel();
        let mut tries = 0;
        let worker = bus
            .worker("w")
            .restart(quickly(Restarts::up_to(3)))
            .spawn(adder(&topic, tell), move || {
                tries += 1;
                assert!(tries > 3, "try {tries}");
            })
            .unwrap();
        topic.publish(1).unwrap();
        assert_eq!(told.recv(), Ok(1));
        let numbers = snapshot(&bus, "w");
        assert_eq!(numbers.restarts, 3);
        let panic = numbers.panic.unwrap();
        assert!(panic.handler.is_none());
        assert_eq!(panic.to_string(), "state: try 3");
        drop(worker);

        let worker = bus
            .worker("w")
            .spawn(adder(&topic, mpsc::channel().0), || panic!("never"));
        assert_eq!(worker.unwrap().join(), Some(WorkerEnd::Panicked));
    });
}

/// Panics when it is dropped.
struct Bomb(Arc<AtomicU64>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("dropped");
    }
}

/// A worker that has bombs everywhere, and restarts often enough; how often one was dropped in the end.
fn drop_bombs(end: impl FnOnce(&Topic<u64>, Worker)) -> u64 {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let drops = Arc::new(AtomicU64::new(0));
    let mut reactor = Reactor::<Bomb>::new();
    for _ in 0..2 {
        let bomb = Bomb(Arc::clone(&drops));
        reactor.on(topic.subscribe(), move |_, event, _| {
            let _ = &bomb;
            if *event < 2 {
                // What it carries panics as well.
                panic_any(Bomb(Arc::clone(&bomb.0)));
            }
        });
    }
    let bomb = Bomb(Arc::clone(&drops));
    let worker = bus
        .worker("w")
        .restart(quickly(Restarts::always()))
        .spawn(reactor, move || Bomb(Arc::clone(&bomb.0)))
        .unwrap();
    publish_all(&topic, 0..4);
    end(&topic, worker);
    drops.load(Ordering::Relaxed)
}

#[test]
fn panics_of_drop_stay_in_the_worker() {
    finishes("a worker full of bombs", || {
        // Two panics in each of two handlers, a state for each and one more, two handlers, the factory.
        let drops = drop_bombs(|topic, worker| {
            wait_until("all is handled", || {
                let subscribers = topic.snapshot().subscribers;
                subscribers.iter().all(|subscriber| subscriber.pending == 0)
            });
            drop(worker);
            assert!(topic.snapshot().subscribers.is_empty());
        });
        assert_eq!(drops, 4 + 5 + 2 + 1);
        // A handler that ends panics while it runs, and takes a state with it.
        let drops = drop_bombs(|topic, worker| {
            topic.close();
            assert_eq!(worker.join(), Some(WorkerEnd::Drained));
        });
        assert_eq!(drops, 4 + 7 + 2 + 1);
    });
}

#[test]
fn panics_that_the_reactor_isolates_are_none_of_the_worker() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let mut reactor = Reactor::<()>::builder().on_panic(OnPanic::Isolate).build();
    reactor.on(topic.subscribe(), |_, _, _| panic!("always"));
    let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
    publish_all(&topic, 0..4);
    topic.close();
    wait_until("it has ended", || worker.ended().is_some());
    let numbers = snapshot(&bus, "w");
    assert!(numbers.is_drained() && numbers.panic.is_none());
    assert_eq!(numbers.delivered, 4);
}

#[test]
fn an_outbox_that_only_the_worker_could_empty_ends_it() {
    finishes("a worker that floods itself", || {
        let bus = Bus::new();
        let (first, second) = (open(&bus, "first", 16), open(&bus, "second", 2));
        let publisher = second.publisher().unwrap();
        let mut reactor = Reactor::<Subscriber<u64>>::new();
        reactor.on(first.subscribe(), move |own, _, cx| {
            assert_eq!(own.try_recv(), Err(TryRecvError::Empty));
            for event in 0..3 {
                cx.publish(&publisher, event).unwrap();
            }
        });
        let own = second.subscribe();
        let mut own = Some(own);
        let worker = bus.worker("w").spawn(reactor, move || own.take().unwrap());
        let worker = worker.unwrap();
        first.publish(0).unwrap();
        first.close();
        wait_until("it has ended", || worker.ended().is_some());
        assert_eq!(worker.ended(), Some(WorkerEnd::WouldDeadlock));
        assert_eq!(snapshot(&bus, "w").unpublished, 1);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_pinned_worker_runs_on_its_core() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu};

    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let allowed = sched_getaffinity(None).unwrap();
    let cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    for core in cores {
        let (tell, told) = mpsc::channel();
        let mut reactor = Reactor::<()>::new();
        reactor.on(topic.subscribe(), move |_, _, _| {
            let mine = sched_getaffinity(None).unwrap();
            tell.send((mine.count(), mine.is_set(core), sched_getcpu()))
                .unwrap();
        });
        let spawned = bus.worker("w").pin_to(core).spawn(reactor, || ());
        let worker = match spawned {
            Err(WorkerError::Core { source, .. })
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                eprintln!("skipped: threads may not be pinned here: {source}");
                return;
            }
            spawned => spawned.unwrap(),
        };
        topic.publish(1).unwrap();
        assert_eq!(told.recv(), Ok((1, true, core)));
        drop(worker);
    }
}

#[test]
fn a_core_that_does_not_exist_is_refused() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let dropped = Arc::new(());
    // The first beyond what the kernel's mask is told in, one in it, and one where a shift would overflow.
    for core in [1024, 1023, usize::MAX] {
        let mut reactor = adder(&topic, mpsc::channel().0);
        let held = Arc::clone(&dropped);
        reactor.on_idle(move |_, _| drop(Arc::clone(&held)));
        let refused = bus.worker("w").pin_to(core).spawn(reactor, || ());
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, WorkerError::Core { core: of, .. } if *of == core));
        assert!(bus.workers().is_empty() && topic.snapshot().subscribers.is_empty());
        assert_eq!(Arc::strong_count(&dropped), 1);
    }
    drop(
        bus.worker("w")
            .spawn(adder(&topic, mpsc::channel().0), || ()),
    );
}
