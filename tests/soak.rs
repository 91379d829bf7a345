//! A bus that runs for long, under all kinds of load, and beside it random programs: everything is accounted for in
//! every round, and the memory stays what it was.
//!
//! Three seconds; with `RINGBUS_SOAK`, so long: `90s`, `30m`, `24h`.

mod counting;

#[path = "programs/check.rs"]
mod check;
#[path = "programs/check_groups.rs"]
mod check_groups;
#[path = "programs/check_stages.rs"]
mod check_stages;
#[path = "programs/editor.rs"]
mod editor;
#[path = "programs/event.rs"]
mod event;
#[path = "programs/group.rs"]
mod group;
#[path = "programs/handle.rs"]
mod handle;
#[path = "programs/mixed.rs"]
mod mixed;
#[path = "programs/program.rs"]
mod program;
#[path = "programs/publishing.rs"]
mod publishing;
#[path = "programs/record.rs"]
mod record;
#[path = "programs/stage.rs"]
mod stage;
#[path = "programs/subscriber.rs"]
mod subscriber;
#[path = "programs/threads.rs"]
mod threads;
#[path = "programs/worker.rs"]
mod worker;
#[path = "programs/world.rs"]
mod world;

use std::thread;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ringbus::{Bus, GroupMember, MergedSubscriber, Overflow, Redeliver, Subscriber, Topic};

/// What a round may leave behind beside the most that the first ones have left: buffers that grow to the largest program.
const SLACK: isize = 128 << 10;

/// Rounds after which everything has grown to what it needs.
const WARM: u64 = 10;

/// Events that each of two publishers sends in a round.
const EVENTS: u64 = 2_000;

fn duration() -> Duration {
    let Ok(given) = std::env::var("RINGBUS_SOAK") else {
        return Duration::from_secs(3);
    };
    let (number, unit) = match given.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, given.as_bytes()[number.len()]),
        None => (&*given, b's'),
    };
    let number: u64 = number
        .parse()
        .expect("RINGBUS_SOAK is a duration, as 90s, 30m or 24h");
    Duration::from_secs(match unit {
        b'm' => number * 60,
        b'h' => number * 3600,
        _ => number,
    })
}

/// A bus with everything on it that stays.
struct World {
    bus: Bus,
    ticks: Topic<u64>,
    lossless: Subscriber<u64>,
    behind: Subscriber<u64>,
    lossy: Subscriber<u64>,
    workers: [GroupMember<u64>; 2],
    merged: MergedSubscriber<u64>,
    published: u64,
}

impl World {
    fn new() -> Self {
        let bus = Bus::new();
        let ticks: Topic<u64> = bus
            .topic_builder()
            .name("soak.ticks")
            .capacity(64)
            .retain(16)
            .keep_open()
            .open()
            .unwrap();
        let lossless = ticks.subscriber().name("lossless").open().unwrap();
        let behind = ticks.subscriber().after(&lossless).open().unwrap();
        let lossy = ticks
            .subscriber()
            .name("lossy")
            .overflow(Overflow::DropOldest)
            .open()
            .unwrap();
        let join = || {
            ticks
                .group("workers")
                .redeliver(Redeliver::Once)
                .join()
                .unwrap()
        };
        Self {
            workers: [join(), join()],
            merged: bus.subscribe_pattern("soak.*").unwrap(),
            bus,
            ticks,
            lossless,
            behind,
            lossy,
            published: 0,
        }
    }

    /// Two publishers against all who read, and guests that come and go.
    fn round(&mut self) {
        let all = 2 * EVENTS;
        let Self {
            ticks,
            lossless,
            behind,
            lossy,
            workers: [one, other],
            merged,
            ..
        } = self;
        let mut handled = [0; 2];
        let mut counted = 0;
        let mut seen_behind = 0;
        let mut merged_seen = 0;
        thread::scope(|scope| {
            for publisher in 0..2 {
                let publisher_handle = ticks.publisher().unwrap();
                scope.spawn(move || {
                    for event in 0..EVENTS {
                        publisher_handle.publish(2 * event + publisher).unwrap();
                    }
                });
            }
            scope.spawn(|| {
                let mut last = [None; 2];
                while counted < all {
                    lossless
                        .poll_wait(16, |event, _| {
                            let last = &mut last[(event % 2) as usize];
                            assert!(
                                *last < Some(*event),
                                "a publisher's events keep their order"
                            );
                            *last = Some(*event);
                            counted += 1;
                        })
                        .unwrap();
                }
            });
            scope.spawn(|| {
                while seen_behind < all {
                    behind.poll_wait(16, |_, _| seen_behind += 1).unwrap();
                }
            });
            for (member, handled) in [one, other].into_iter().zip(&mut handled) {
                scope.spawn(move || {
                    // Each does half of the work, so that both end.
                    while *handled < all / 2 {
                        let left = (all / 2 - *handled).min(8) as usize;
                        member.poll_wait(left, |_, _| *handled += 1).unwrap();
                    }
                });
            }
            scope.spawn(|| {
                while merged_seen < all {
                    merged.poll_wait(16, |_, _| merged_seen += 1).unwrap();
                }
            });
            scope.spawn(|| {
                for guest in 0..20 {
                    let mut guest = ticks
                        .subscriber()
                        .overflow([Overflow::Latest, Overflow::Disconnect][guest % 2])
                        .open()
                        .unwrap();
                    let _ = guest.poll(8, |_, _| {});
                }
            });
        });
        assert_eq!(
            (counted, seen_behind),
            (all, all),
            "lossless subscribers see every event once"
        );
        assert_eq!(handled.iter().sum::<u64>(), all, "members share the events");
        let mut told = 0;
        while lossy.poll(64, |_, meta| told += 1 + meta.missed).unwrap() > 0 {}
        assert_eq!(
            told, all,
            "a lossy subscriber is told exactly what it missed"
        );
        self.published += all;
        let snapshot = self.ticks.snapshot();
        assert_eq!(snapshot.published, self.published);
        for numbers in snapshot.subscribers {
            assert_eq!(
                numbers.published,
                numbers.delivered + numbers.filtered + numbers.missed + numbers.pending,
                "the numbers add up: {numbers:?}"
            );
        }
    }
}

#[cfg(feature = "services")]
mod calls {
    use super::*;
    use ringbus::Request;

    #[derive(Debug, PartialEq)]
    struct Double(u64);

    impl Request for Double {
        type Reply = u64;
    }

    /// A service comes, answers, and goes.
    pub(super) fn round(bus: &Bus) {
        let client = bus.client::<Double>();
        let mut server = bus.serve::<Double>();
        let serving = thread::spawn(move || {
            for _ in 0..50 {
                let Ok(call) = server.recv() else { return };
                let reply = 2 * call.request().0;
                call.reply(reply);
            }
        });
        for number in 0..50 {
            let reply = client.call(Double(number), Duration::from_secs(60));
            assert_eq!(reply, Ok(2 * number));
        }
        serving.join().unwrap();
    }
}

/// Some programs beside the long-lived bus; none that leaks.
fn run_programs(round: u64) {
    for seed in round * 10..(round + 1) * 10 {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let program = match seed % 2 {
            0 => program::program(2..=3, 30, false).boxed(),
            _ => mixed::mixed(2..=3, 30, false).boxed(),
        };
        let program = program
            .new_tree(&mut runner)
            .expect("nothing is filtered out")
            .current();
        if let Err(claim) = check::check(&world::run(&program)) {
            panic!("program {seed} of the soak fails: {claim}\n{program:#?}");
        }
    }
}

#[test]
fn a_bus_that_runs_for_long_stays_right_and_small() {
    let until = Instant::now() + duration();
    let mut world = World::new();
    let mut most = 0;
    let mut round = 0;
    while Instant::now() < until || round < WARM + 3 {
        world.round();
        #[cfg(feature = "services")]
        calls::round(&world.bus);
        run_programs(round);
        let live = counting::live();
        if round < WARM {
            most = most.max(live);
        }
        assert!(
            round < WARM || live < most + SLACK,
            "round {round}: {live} bytes are in use, and were at most {most}"
        );
        round += 1;
    }
    println!("{round} rounds, {} events", world.published);
    drop(world.bus);
}
