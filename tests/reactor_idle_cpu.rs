//! An idle reactor uses no processor time. Alone in its binary, as the time of the whole process is measured.
#![cfg(unix)]

use std::thread;
use std::time::Duration;

use ringbus::{Bus, Clock, Ended, Reactor};
use rustix::time::{ClockId, clock_gettime};

const HOUR: Duration = Duration::from_secs(3600);

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn idle_reactors_with_a_thousand_sources_and_far_timers_use_no_processor_time() {
    let bus = Bus::new();
    let channels: Vec<_> = (0..10)
        .map(|_| crossbeam_channel::unbounded::<()>())
        .collect();
    let mut stops = Vec::new();
    let runners: Vec<_> = [(false, false), (true, false), (false, true), (true, true)]
        .into_iter()
        .map(|(with_foreign, with_manual_clock)| {
            let clock = match with_manual_clock {
                true => Clock::manual(),
                false => Clock::system(),
            };
            let mut reactor = Reactor::builder().clock(clock).build();
            for number in 0..1000 {
                let topic = bus.topic_named::<u64>(&format!("t{number}")).unwrap();
                reactor.on(topic.subscribe(), |_: &mut (), _, _| ());
            }
            for _ in 0..100 {
                reactor.after(HOUR, |_, _| ());
            }
            if with_foreign {
                for (_, receiver) in &channels {
                    reactor.on_channel(receiver.clone(), |_, (), _| ());
                }
            }
            stops.push(reactor.stop_handle());
            thread::spawn(move || reactor.run(&mut ()))
        })
        .collect();

    // All have long fallen asleep after this.
    thread::sleep(Duration::from_millis(500));
    let before = cpu_time();
    let idle_for = Duration::from_millis(500);
    thread::sleep(idle_for);
    let used = cpu_time() - before;

    stops.iter().for_each(ringbus::StopHandle::stop);
    for runner in runners {
        assert_eq!(runner.join().unwrap(), Ok(Ended::Stopped));
    }
    assert!(
        used < idle_for / 50,
        "idle reactors used {used:?} in {idle_for:?}"
    );
}
