//! Idle threads use no processor time. Alone in its binary, as the time of the whole process is measured.
#![cfg(unix)]

use std::thread;
use std::time::Duration;

use ringbus::{Bus, PublishError, RecvError, RecvTimeoutError};
use rustix::time::{ClockId, clock_gettime};

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn parked_readers_and_a_blocked_publisher_use_no_processor_time() {
    let bus = Bus::new();
    let idle = bus.topic_named::<u64>("idle").unwrap();
    let full = bus
        .topic_builder::<u64>()
        .name("full")
        .capacity(1)
        .open()
        .unwrap();

    let readers: Vec<_> = (0..20)
        .map(|reader| {
            let mut subscriber = idle.subscribe();
            thread::spawn(move || match reader % 2 {
                0 => subscriber.recv(),
                _ => match subscriber.recv_timeout(Duration::from_secs(3600)) {
                    Err(RecvTimeoutError::Closed) => Err(RecvError::Closed),
                    other => panic!("{other:?}"),
                },
            })
        })
        .collect();
    let mut in_the_way = full.subscribe();
    // Another thread was the last to read it, so it is waited for.
    let in_the_way = thread::spawn(move || {
        in_the_way.poll(0, |_, _| ()).unwrap();
        in_the_way
    })
    .join()
    .unwrap();
    let publisher = full.publisher().unwrap();
    publisher.publish(1).unwrap();
    let blocked = thread::spawn(move || publisher.publish(2));

    #[cfg(feature = "rate-limit")]
    let limited = {
        let hourly = ringbus::RateLimit::every(Duration::from_secs(3600));
        let paced = bus.topic_named::<u64>("paced").unwrap();
        let publisher = paced.publisher().unwrap();
        let publisher = publisher.limited(hourly, ringbus::OnLimit::Wait);
        publisher.publish(1).unwrap();
        thread::spawn(move || publisher.publish(2))
    };

    // All have long fallen asleep after this.
    thread::sleep(Duration::from_millis(200));
    let before = cpu_time();
    let idle_for = Duration::from_millis(500);
    thread::sleep(idle_for);
    let used = cpu_time() - before;

    assert!(!blocked.is_finished());
    bus.close();
    for reader in readers {
        assert_eq!(reader.join().unwrap(), Err(RecvError::Closed));
    }
    assert_eq!(blocked.join().unwrap(), Err(PublishError::Closed(2)));
    #[cfg(feature = "rate-limit")]
    assert_eq!(
        limited.join().unwrap().map_err(|error| error.into_event()),
        Err(2)
    );
    drop(in_the_way);
    assert!(
        used < idle_for / 50,
        "idle threads used {used:?} in {idle_for:?}"
    );
}
