//! The end of a bus with workers: what is handled, what is told, who is waited for.
#![cfg(feature = "services")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use common::{finishes, let_others_park, wait_until};
use ringbus::{
    Bus, PublishError, Reactor, RecvError, Request, Restarts, Timeline, Topic, WorkerEnd,
    WorkerError, WorkerStatus,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const DRAINED: WorkerStatus = WorkerStatus::Ended(WorkerEnd::Drained);

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

/// Counts what a topic brings.
fn counter(topic: &Topic<u64>, count: &Arc<AtomicU64>) -> Reactor<()> {
    let mut reactor = Reactor::new();
    let count = Arc::clone(count);
    reactor.on(topic.subscribe(), move |_, _, _| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    reactor
}

/// A worker whose handler takes an event, tells so, and waits to be let go on.
struct Gate {
    let_go: mpsc::Sender<()>,
    entered: mpsc::Receiver<u64>,
}

impl Gate {
    fn on(topic: &Topic<u64>, reactor: &mut Reactor<()>) -> Self {
        let (let_go, wait) = mpsc::channel();
        let (tell, entered) = mpsc::channel();
        reactor.on(topic.subscribe(), move |_, event, _| {
            let _ = tell.send(*event);
            let _ = wait.recv();
        });
        Self { let_go, entered }
    }
}

#[test]
fn a_shutdown_drains_the_workers_and_tells_each_by_name() {
    finishes("a shutdown", || {
        let bus = Bus::new();
        let (one, two) = (open(&bus, "one", 64), open(&bus, "two", 64));
        let counts = [0, 1].map(|_| Arc::new(AtomicU64::new(0)));
        bus.worker("b")
            .spawn(counter(&one, &counts[0]), || ())
            .unwrap()
            .detach();
        let kept = bus.worker("a").spawn(counter(&two, &counts[1]), || ());
        let publishers = [&one, &two].map(|topic| {
            let publisher = topic.publisher().unwrap();
            thread::spawn(move || (0..).take_while(|_| publisher.publish(1).is_ok()).count())
        });
        thread::sleep(5 * MS);
        let report = bus.shutdown(HOUR);
        let published = publishers.map(|publisher| publisher.join().unwrap() as u64);
        assert!(report.is_complete(), "{report}");
        let told = report.workers.iter().map(|worker| {
            let name = worker.name.as_str();
            (name, worker.status, worker.delivered, worker.undelivered)
        });
        assert!(told.eq([
            ("a", DRAINED, published[1], 0),
            ("b", DRAINED, published[0], 0),
        ]));
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), published);
        assert_eq!(kept.unwrap().join(), Some(WorkerEnd::Drained));
        assert!(report.to_string().contains("drained"));
    });
}

#[test]
fn a_handler_that_does_not_return_is_named_and_not_waited_for() {
    finishes("a shutdown beside a stuck handler", || {
        let bus = Bus::new();
        let (topic, other) = (open(&bus, "t", 16), open(&bus, "other", 16));
        let mut reactor = Reactor::<()>::new();
        let gate = Gate::on(&topic, &mut reactor);
        reactor.on(other.subscribe(), |_, _, _| {});
        let stuck = bus.worker("stuck").spawn(reactor, || ()).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let quick = bus.worker("quick").spawn(counter(&topic, &count), || ());
        publish_all(&topic, 0..5);
        assert_eq!(gate.entered.recv(), Ok(0));
        publish_all(&other, 0..3);

        let report = bus.shutdown(20 * MS);
        assert!(!report.is_complete());
        let [first, second] = &report.workers[..] else {
            panic!("there are two workers");
        };
        assert_eq!((first.name.as_str(), first.status), ("quick", DRAINED));
        assert_eq!(count.load(Ordering::Relaxed), 5);
        assert_eq!(
            (second.name.as_str(), second.status),
            ("stuck", WorkerStatus::Running)
        );
        // The event that it is in counts as not delivered until its handler returns.
        assert_eq!((second.delivered, second.undelivered), (0, 8));
        let handler = second.handler.expect("it is in a handler");
        assert_eq!(handler.location.file(), file!());
        let text = report.to_string();
        assert!(text.contains(&handler.to_string()), "{text}");

        gate.let_go.send(()).unwrap();
        wait_until("it has ended", || stuck.ended().is_some());
        // It was stopped when the time was up.
        let numbers = &bus.workers()[1];
        assert_eq!(stuck.ended(), Some(WorkerEnd::Stopped));
        assert_eq!((numbers.delivered, numbers.undelivered), (1, 7));
        drop(quick);
        assert_eq!(bus.shutdown(HOUR).workers.len(), 2, "all stay listed");
    });
}

#[test]
fn what_a_stuck_worker_has_not_come_to_is_told_whatever_reads_it() {
    finishes("a shutdown beside sources of all kinds", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let timeline = Timeline::new();
        let timed = bus.topic_builder::<u64>().name("timed");
        let timed = timed.timeline(&timeline).open().unwrap();
        let merged = [open(&bus, "md.a", 16), open(&bus, "md.b", 16)];
        let mut reactor = Reactor::<()>::new();
        let gate = Gate::on(&topic, &mut reactor);
        reactor
            .timeline(&timeline)
            .on(timed.subscribe(), |_, _, _| {});
        let pattern = bus.subscribe_pattern::<u64>("md.>").unwrap();
        reactor.on_merged(pattern, |_, _, _, _| {});
        let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
        publish_all(&topic, 0..1);
        gate.entered.recv().unwrap();
        publish_all(&timed, 0..2);
        publish_all(&merged[0], 0..3);
        publish_all(&merged[1], 0..4);
        let report = bus.shutdown(10 * MS);
        assert_eq!(report.workers[0].undelivered, 1 + 2 + 3 + 4);
        drop(gate);
        wait_until("it has ended", || worker.ended().is_some());
        assert_eq!(bus.workers()[0].undelivered, 2 + 3 + 4);
    });
}

#[test]
fn what_waits_in_a_topic_that_has_grown_is_told_too() {
    finishes("a shutdown of a topic that has grown", || {
        let bus = Bus::new();
        let builder = bus.topic_builder::<u64>().capacity(4).grow_to(64);
        let topic = builder.keep_open().open().unwrap();
        let early = topic.subscribe();
        publish_all(&topic, 0..20);
        assert!(
            topic.capacity() > 4,
            "it has grown before the worker begins"
        );
        let mut reactor = Reactor::<()>::new();
        let gate = Gate::on(&topic, &mut reactor);
        reactor.on(early, |_, _, _| {});
        let worker = bus.worker("w").spawn(reactor, || ()).unwrap();
        publish_all(&topic, 20..50);
        gate.entered.recv().unwrap();
        let report = bus.shutdown(10 * MS);
        let numbers = &report.workers[0];
        assert_eq!(numbers.delivered + numbers.undelivered, 30 + 50);
        drop(gate);
        assert!(worker.join().is_some());
    });
}

#[test]
fn publishers_that_wait_for_room_are_given_their_events_back() {
    finishes("a shutdown under blocked publishers", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 2);
        let mut reactor = Reactor::<()>::new();
        let gate = Gate::on(&topic, &mut reactor);
        let worker = bus.worker("slow").spawn(reactor, || ()).unwrap();
        let publishers: Vec<_> = (0..3)
            .map(|number| {
                let publisher = topic.publisher().unwrap();
                thread::spawn(move || {
                    let mut accepted = 0;
                    loop {
                        match publisher.publish(number) {
                            Ok(_) => accepted += 1,
                            Err(refused) => return (accepted, refused),
                        }
                    }
                })
            })
            .collect();
        gate.entered.recv().unwrap();
        let_others_park();
        let shutting = thread::spawn({
            let bus = bus.clone();
            move || bus.shutdown(HOUR)
        });
        let mut accepted = 0;
        for (number, publisher) in publishers.into_iter().enumerate() {
            let (by_one, refused) = publisher.join().unwrap();
            accepted += by_one;
            assert_eq!(refused, PublishError::Closed(number as u64));
        }
        drop(gate);
        let report = shutting.join().unwrap();
        assert_eq!(report.workers[0].delivered, accepted);
        assert!(report.is_complete(), "{report}");
        drop(worker);
    });
}

#[test]
fn it_may_be_called_twice_and_from_many_threads() {
    finishes("many shutdowns", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 64);
        let count = Arc::new(AtomicU64::new(0));
        for number in 0..4 {
            let reactor = counter(&topic, &count);
            let name = format!("worker {number}");
            bus.worker(&name).spawn(reactor, || ()).unwrap().detach();
        }
        publish_all(&topic, 0..50);
        let reports = thread::scope(|scope| {
            let shutting: Vec<_> = (0..4).map(|_| scope.spawn(|| bus.shutdown(HOUR))).collect();
            let reports: Vec<_> = shutting
                .into_iter()
                .map(|shutting| shutting.join().unwrap())
                .collect();
            reports
        });
        for report in reports.iter().chain([&bus.shutdown(Duration::ZERO)]) {
            assert!(report.is_complete(), "{report}");
            assert!(report.workers.iter().all(|worker| worker.delivered == 50));
            assert_eq!(report.workers.len(), 4);
        }
        let refused = bus.worker("late").spawn(Reactor::<()>::new(), || ());
        assert!(matches!(refused, Err(WorkerError::ShutDown)));
    });
}

#[test]
fn workers_that_shut_the_bus_down_wait_neither_for_themselves_nor_for_each_other() {
    finishes("shutdowns by workers", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let (tell, told) = mpsc::channel();
        let together = Arc::new(Barrier::new(2));
        for name in ["a", "b"] {
            let mut reactor = Reactor::<()>::new();
            let (shut, tell, together) = (bus.clone(), tell.clone(), Arc::clone(&together));
            reactor.on(topic.subscribe(), move |_, _, _| {
                together.wait();
                tell.send((name, shut.shutdown(HOUR))).unwrap();
            });
            bus.worker(name).spawn(reactor, || ()).unwrap().detach();
        }
        topic.publish(1).unwrap();
        for _ in 0..2 {
            let (name, report) = told.recv().unwrap();
            let mut own = report.workers.iter().filter(|worker| worker.name == name);
            assert_eq!(own.next().unwrap().status, WorkerStatus::Running);
        }
        // One that is no worker waits for both.
        assert!(bus.shutdown(HOUR).is_complete());
    });
}

#[test]
fn a_shutdown_cuts_a_pause_short_and_what_waits_is_handled() {
    finishes("a shutdown during a pause", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let mut reactor = Reactor::<()>::new();
        reactor.on(topic.subscribe(), |_, event, _| assert_ne!(*event, 0));
        bus.worker("w")
            .restart(Restarts::up_to(1).back_off(HOUR, HOUR))
            .spawn(reactor, || ())
            .unwrap()
            .detach();
        publish_all(&topic, 0..5);
        wait_until("it pauses", || {
            bus.workers()[0].status == WorkerStatus::BackingOff
        });
        let report = bus.shutdown(HOUR);
        assert!(report.is_complete(), "{report}");
        assert_eq!(
            (report.workers[0].delivered, report.workers[0].restarts),
            (5, 1)
        );
    });
}

#[test]
fn a_worker_that_panics_all_the_time_is_stopped_at_the_deadline() {
    finishes("a shutdown of a worker that panics", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 4);
        let reactor = counter(&topic, &Arc::default());
        let worker = bus
            .worker("w")
            .restart(Restarts::always().back_off(HOUR, HOUR))
            .spawn(reactor, || panic!("no state"))
            .unwrap();
        topic.publish(0).unwrap();
        let report = bus.shutdown(10 * MS);
        let numbers = &report.workers[0];
        assert_eq!((numbers.delivered, numbers.undelivered), (0, 1));
        assert_eq!(worker.join(), Some(WorkerEnd::Stopped));
    });
}

#[test]
fn timers_do_not_keep_a_worker_and_foreign_channels_only_while_they_have_messages() {
    finishes("a shutdown of timers and channels", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let (sender, receiver) = crossbeam_channel::unbounded();
        let sum = Arc::new(AtomicU64::new(0));
        let mut reactor = Reactor::<()>::new();
        reactor.every(HOUR, |_, _| {});
        reactor.on_channel(receiver, {
            let sum = Arc::clone(&sum);
            move |_, number: u64, _| {
                sum.fetch_add(number, Ordering::Relaxed);
            }
        });
        reactor.on(topic.subscribe(), |_, _, _| {});
        bus.worker("mixed").spawn(reactor, || ()).unwrap().detach();
        let mut reactor = Reactor::<()>::new();
        reactor.every(HOUR, |_, _| {});
        bus.worker("ticks").spawn(reactor, || ()).unwrap().detach();
        let_others_park();
        (1..=100).for_each(|number| sender.send(number).unwrap());
        let report = bus.shutdown(HOUR);
        assert!(report.is_complete(), "{report}");
        assert_eq!(sum.load(Ordering::Relaxed), 5050);
        drop(sender);
    });
}

#[test]
fn a_worker_waits_for_the_stages_before_it() {
    finishes("a shutdown of stages", || {
        let bus = Bus::new();
        let topic = open(&bus, "t", 16);
        let mut journal = topic.subscribe();
        let act = topic.subscriber().after(&journal).open().unwrap();
        let acted = Arc::new(AtomicU64::new(0));
        let mut reactor = Reactor::<()>::new();
        reactor.on(act, {
            let acted = Arc::clone(&acted);
            move |_, _, _| {
                acted.fetch_add(1, Ordering::Relaxed);
            }
        });
        bus.worker("act").spawn(reactor, || ()).unwrap().detach();
        publish_all(&topic, 0..10);
        let shutting = thread::spawn({
            let bus = bus.clone();
            move || bus.shutdown(HOUR)
        });
        wait_until("it is closed", || bus.is_closed());
        let_others_park();
        assert_eq!(acted.load(Ordering::Relaxed), 0);
        assert!(journal.iter().map(|(event, _)| event).eq(0..10));
        assert_eq!(journal.recv(), Err(RecvError::Closed));
        let report = shutting.join().unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!(acted.load(Ordering::Relaxed), 10);
    });
}

#[test]
fn subscribers_that_are_no_workers_are_told_and_not_waited_for() {
    let bus = Bus::new();
    let topic = open(&bus, "t", 16);
    let mut screen = topic.subscriber().name("screen").open().unwrap();
    publish_all(&topic, 0..3);
    let report = bus.shutdown(HOUR);
    assert!(!report.is_complete());
    let left = &report.topics.topics[0].subscribers[0];
    assert_eq!((left.name.as_deref(), left.pending), (Some("screen"), 3));
    assert!(
        screen.iter().map(|(event, _)| event).eq(0..3),
        "what was published is delivered"
    );
    assert!(bus.shutdown(HOUR).is_complete());
}

#[test]
fn calls_that_nobody_has_answered_are_told() {
    struct Double(u64);

    impl Request for Double {
        type Reply = u64;
    }

    let bus = Bus::new();
    let mut server = bus
        .server_builder::<Double>()
        .instance("slow")
        .open()
        .unwrap();
    let client = bus.client::<Double>();
    let tickets = [1, 2, 3].map(|number| client.start(Double(number)).unwrap());
    let call = server.recv().unwrap();

    let report = bus.shutdown(MS);
    let slow = &report.services[0].instances[0];
    assert_eq!((slow.waiting, slow.serving), (2, 1));
    assert!(!report.is_complete());
    let printed = report.to_string();
    assert!(printed.contains("slow"), "{printed}");

    // What was accepted before the close is served all the same.
    call.reply(2);
    while let Ok(call) = server.recv() {
        let Double(number) = *call.request();
        call.reply(2 * number);
    }
    assert_eq!(tickets.map(|ticket| ticket.wait().unwrap()), [2, 4, 6]);
    assert!(bus.shutdown(MS).is_complete());
}

#[test]
fn what_a_pattern_brings_is_drained_too() {
    finishes("a shutdown of a pattern", || {
        let bus = Bus::new();
        let mut reactor = Reactor::<()>::new();
        let count = Arc::new(AtomicU64::new(0));
        reactor.on_merged(bus.subscribe_pattern::<u64>("md.>").unwrap(), {
            let count = Arc::clone(&count);
            move |_, _, _, _| {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        bus.worker("w").spawn(reactor, || ()).unwrap().detach();
        for number in 0..20 {
            let topic = open(&bus, &format!("md.{number}"), 16);
            publish_all(&topic, 0..10);
        }
        let report = bus.shutdown(HOUR);
        assert!(report.is_complete(), "{report}");
        assert_eq!(report.workers[0].delivered, 200);
        assert_eq!(count.load(Ordering::Relaxed), 200);
    });
}

#[test]
fn spawns_against_a_shutdown_are_drained_or_refused() {
    finishes("spawns against a shutdown", || {
        for round in 0..100 {
            let bus = Bus::new();
            let topic = open(&bus, "t", 16);
            let spawning = thread::spawn({
                let (bus, topic) = (bus.clone(), topic.clone());
                move || {
                    let mut spawned = 0;
                    loop {
                        let mut reactor = counter(&topic, &Arc::default());
                        reactor.every(HOUR, |_, _| {});
                        let name = format!("{spawned}");
                        match bus.worker(&name).spawn(reactor, || ()) {
                            Ok(worker) => worker.detach(),
                            Err(WorkerError::ShutDown) => return spawned,
                            Err(error) => panic!("{error}"),
                        }
                        spawned += 1;
                    }
                }
            });
            thread::sleep(MS / 10 * (round % 10));
            let report = bus.shutdown(HOUR);
            assert!(report.is_complete(), "{report}");
            assert_eq!(report.workers.len(), spawning.join().unwrap());
        }
    });
}
