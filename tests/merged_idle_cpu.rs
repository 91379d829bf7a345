//! Idle readers of a thousand topics use no processor time. Alone in its binary, as the time of the whole process
//! is measured.
#![cfg(unix)]

use std::thread;
use std::time::Duration;

use ringbus::{Bus, Ended, PollError, Reactor};
use rustix::time::{ClockId, clock_gettime};

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn idle_readers_of_a_pattern_use_no_processor_time_however_they_wait() {
    let bus = Bus::new();
    let follow = || bus.subscribe_pattern::<u64>("t.*").unwrap();
    let (mut alone, mut selected, reacted) = (follow(), follow(), follow());
    let topics: Vec<_> = (0..1000)
        .map(|topic| {
            let topic = bus.topic_builder::<u64>().name(format!("t.{topic}"));
            topic.capacity(2).keep_open().open().unwrap()
        })
        .collect();
    let quiet = bus.topic::<u8>();
    let mut quiet = quiet.subscribe();
    let readers = [
        thread::spawn(
            move || {
                while alone.poll_wait(64, |_, _| {}) != Err(PollError::Closed) {}
            },
        ),
        thread::spawn(move || {
            loop {
                ringbus::select! {
                    delivery = selected => if delivery.is_err() { break },
                    _ = quiet => break,
                }
            }
        }),
        thread::spawn(move || {
            let mut reactor = Reactor::new();
            reactor.on_merged(reacted, |_: &mut (), _, _, _| {});
            assert_eq!(reactor.run(&mut ()), Ok(Ended::Closed));
        }),
    ];
    // Each topic was ready once, and is away now.
    for topic in &topics {
        topic.publish(1).unwrap();
    }
    thread::sleep(Duration::from_millis(500));
    let before = cpu_time();
    let idle_for = Duration::from_millis(500);
    thread::sleep(idle_for);
    let used = cpu_time() - before;

    bus.close();
    readers
        .into_iter()
        .for_each(|reader| reader.join().unwrap());
    assert!(
        used < idle_for / 50,
        "idle readers used {used:?} in {idle_for:?}"
    );
}
