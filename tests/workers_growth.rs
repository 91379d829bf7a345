//! Workers that come and go leave nothing behind. Alone in its binary, as the allocator counts for all.
#![cfg(feature = "services")]

mod counting;

use counting::leaves_nothing;
use ringbus::{Bus, Reactor};

#[test]
fn a_thousand_workers_leave_no_memory_behind() {
    let bus = Bus::new();
    let topic = bus.topic::<u64>();
    let mut watchdog = bus.watchdog(std::time::Duration::ZERO);
    let mut number = 0_u64;
    leaves_nothing("a worker", || {
        number += 1;
        let mut reactor = Reactor::<u64>::new();
        reactor.on(topic.subscribe(), |sum, event, _| *sum += event);
        let name = format!("worker {number}");
        let worker = bus.worker(&name).spawn(reactor, || 0).unwrap();
        topic.publish(1).unwrap();
        if number.is_multiple_of(2) {
            worker.stop();
            worker.detach();
            while !bus.workers().is_empty() {
                std::thread::yield_now();
            }
        }
        let _ = watchdog.check();
    });
}
