//! Pools: one handler on several threads, over a group.
#![cfg(feature = "services")]

mod common;

use std::collections::HashSet;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::{finishes, wait_until};
use ringbus::{
    Bus, GroupMember, Pool, Reactor, Redeliver, Restarts, Topic, WorkerEnd, WorkerError,
    WorkerStatus,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn open(bus: &Bus, capacity: usize) -> Topic<u64> {
    let builder = bus.topic_builder().name("jobs").capacity(capacity);
    builder.keep_open().open().unwrap()
}

fn members(topic: &Topic<u64>, count: usize) -> Vec<GroupMember<u64>> {
    let join = |_| topic.group("g").batch(1).redeliver(Redeliver::Once).join();
    (0..count).map(|number| join(number).unwrap()).collect()
}

fn publish_all(topic: &Topic<u64>, events: impl IntoIterator<Item = u64>) {
    for event in events {
        topic.publish(event).unwrap();
    }
}

#[test]
fn each_event_is_handled_once_and_by_all_threads() {
    finishes("a pool", || {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let seen = Arc::new(Mutex::new(Vec::new()));
        // Nobody goes on before all have one.
        let together = Barrier::new(3);
        let pool = bus
            .worker("pool")
            .pool(members(&topic, 3), {
                let seen = Arc::clone(&seen);
                move |event| {
                    if *event < 3 {
                        together.wait();
                    }
                    let name = thread::current().name().unwrap().to_owned();
                    seen.lock().unwrap().push((*event, name));
                }
            })
            .unwrap();
        publish_all(&topic, 0..1000);
        topic.close();
        assert_eq!(pool.join(), [WorkerEnd::Drained; 3]);
        let mut seen = std::mem::take(&mut *seen.lock().unwrap());
        seen.sort();
        assert!(seen.iter().map(|(event, _)| *event).eq(0..1000));
        let names: HashSet<_> = seen.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["pool/0", "pool/1", "pool/2"].into());
        assert!(bus.workers().is_empty());
    });
}

#[test]
fn a_poisonous_event_goes_round_and_loses_no_other() {
    finishes("a pool with poison", || {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let (tell, told) = mpsc::channel();
        let restarts = Restarts::always().back_off(MS, MS);
        let pool = bus
            .worker("pool")
            .restart(restarts)
            .pool(members(&topic, 2), move |event| {
                tell.send(*event).unwrap();
                assert_ne!(event % 10, 7);
            })
            .unwrap();
        publish_all(&topic, 0..100);
        let report = bus.shutdown(HOUR);
        assert!(report.is_complete(), "{report}");
        drop(pool);
        let mut seen: Vec<_> = told.iter().collect();
        seen.sort_unstable();
        // Each once, and those that panic once more.
        let expected = (0..100).flat_map(|event| vec![event; 1 + usize::from(event % 10 == 7)]);
        assert!(seen.into_iter().eq(expected));
        let restarts: u64 = report.workers.iter().map(|worker| worker.restarts).sum();
        assert_eq!(restarts, 20);
    });
}

#[test]
fn a_shutdown_tells_what_a_group_has_left() {
    finishes("a pool that is stuck", || {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let (let_go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let pool = bus
            .worker("pool")
            .pool(members(&topic, 2), move |_| {
                let _ = wait.lock().unwrap().recv();
            })
            .unwrap();
        publish_all(&topic, 0..10);
        let report = bus.shutdown(20 * MS);
        assert!(!report.is_complete());
        assert_eq!(report.topics.topics[0].groups[0].pending, 10);
        assert!(report.workers.iter().all(|worker| worker.handler.is_some()));
        drop(let_go);
        assert_eq!(pool.join(), [WorkerEnd::Stopped; 2]);
        assert_eq!(topic.snapshot().groups.len(), 0);
    });
}

#[test]
fn a_pool_is_dropped_detached_or_not_spawned_as_a_whole() {
    finishes("pools that come and go", || {
        let bus = Bus::new();
        let topic = open(&bus, 16);
        let spawn = |bus: &Bus| -> Result<Pool, WorkerError> {
            bus.worker("pool").pool(members(&topic, 3), |_| {})
        };
        let pool = spawn(&bus).unwrap();
        assert!(matches!(spawn(&bus), Err(WorkerError::Taken(name)) if name == "pool/0"));
        assert_eq!(pool.workers().len(), 3);
        drop(pool);
        assert!(bus.workers().is_empty());

        // The second name is taken: the first worker does not stay.
        let mut reactor = Reactor::<()>::new();
        reactor.every(HOUR, |_, _| {});
        let ticking = bus.worker("pool/1").spawn(reactor, || ()).unwrap();
        assert!(matches!(spawn(&bus), Err(WorkerError::Taken(name)) if name == "pool/1"));
        assert_eq!(bus.workers().len(), 1);
        drop(ticking);

        spawn(&bus).unwrap().detach();
        assert!(
            bus.workers()
                .iter()
                .all(|worker| worker.status == WorkerStatus::Running)
        );
        topic.close();
        wait_until("they are forgotten", || bus.workers().is_empty());
    });
}
