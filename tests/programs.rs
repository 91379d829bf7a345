//! Random programs of several threads against a sequential specification.
//!
//! A program opens a topic and has two or three threads publish to it, subscribe, read in all ways, hand subscribers
//! to each other, leave and close, with panics in every closure, `Clone` and `Drop` that the library calls. What each
//! thread was told and shown is written down; when all have ended, one log of events must explain it. Programs of
//! another kind have groups, stages and editors besides; those of a third have several topics, on a timeline and
//! merged.
//!
//! | variable                    | what                                                               |
//! |-----------------------------|--------------------------------------------------------------------|
//! | `RINGBUS_PROGRAMS_SECONDS`  | how long to make up programs of each kind; 0.6 if it is not set    |
//! | `RINGBUS_PROGRAMS_FROM`     | the first seed                                                     |
//! | `RINGBUS_PROGRAMS_SEED`     | the seed of a program that is to be run again and again            |
//! | `RINGBUS_PROGRAMS_SIMPLIFY` | how many seconds to make one that fails simpler; 30 if not set     |
//! | `RINGBUS_PROGRAMS_LEAKS`    | `false` for programs that leak nothing, as the leak sanitizer asks |
//! | `RINGBUS_PROGRAMS_SCHEDULE` | under the deterministic scheduler, the schedule that is to be run  |

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
#[path = "programs/forged.rs"]
mod forged;
#[path = "programs/forged_mixed.rs"]
mod forged_mixed;
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
#[cfg(ringbus_shuttle)]
#[path = "programs/schedules.rs"]
mod schedules;
#[path = "programs/stage.rs"]
mod stage;
#[path = "programs/subscriber.rs"]
mod subscriber;
#[path = "programs/threads.rs"]
mod threads;
#[path = "programs/timelines.rs"]
mod timelines;
#[path = "programs/worker.rs"]
mod worker;
#[path = "programs/world.rs"]
mod world;

use std::fmt;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use program::{Program, program};

/// Threads, and how many operations each has at most: what two cores, or one, get through in a moment.
#[cfg(not(ringbus_shuttle))]
const SIZE: (RangeInclusive<usize>, usize) = (2..=3, 60);
#[cfg(ringbus_shuttle)]
const SIZE: (RangeInclusive<usize>, usize) = (2..=6, 20);

fn setting<V: std::str::FromStr>(name: &str) -> Option<V> {
    let given = std::env::var(name).ok()?;
    match given.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name} can't be {given:?}"),
    }
}

/// Whether programs may leak what they have.
fn may_leak() -> bool {
    setting("RINGBUS_PROGRAMS_LEAKS").unwrap_or(true)
}

fn seconds(name: &str, otherwise: f64) -> Duration {
    Duration::from_secs_f64(setting(name).unwrap_or(otherwise))
}

/// The program of a seed, which can be made simpler.
fn tree<S: Strategy>(programs: &S, seed: u64) -> S::Tree {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    programs
        .new_tree(&mut runner)
        .expect("nothing is filtered out")
}

/// Of one topic, with subscribers.
fn plain() -> impl Strategy<Value = Program> {
    let (threads, most) = SIZE;
    program(threads, most, may_leak())
}

/// Of one topic, with groups, stages and editors too.
fn mixed() -> impl Strategy<Value = Program> {
    let (threads, most) = SIZE;
    mixed::mixed(threads, most, may_leak())
}

/// Of several topics, on a timeline and merged.
fn several() -> impl Strategy<Value = timelines::Program> {
    let (threads, most) = SIZE;
    timelines::program(threads, most)
}

/// Runs a program once; says what is wrong.
fn run(program: &Program) -> Result<(), String> {
    let record = catch_unwind(AssertUnwindSafe(|| world::run(program)))
        .map_err(|payload| world::message(&*payload))?;
    check::check(&record).map_err(|claim| format!("{claim}\n{record:#?}"))
}

/// Ends the process, with the program, when a program does not end.
struct Watchdog<P>(Arc<Mutex<Option<(u64, P, u32)>>>);

impl<P: Clone + fmt::Debug + Send + 'static> Watchdog<P> {
    fn start() -> Self {
        let dog = Self(Arc::default());
        let watched = Self(Arc::clone(&dog.0));
        std::thread::spawn(move || {
            // Counted in turns of its own, as the whole process may have been stopped for a while.
            loop {
                std::thread::sleep(Duration::from_millis(100));
                if Arc::strong_count(&watched.0) == 1 {
                    return;
                }
                let mut watched = watched.0.lock().unwrap();
                if let Some((seed, program, turns)) = &mut *watched {
                    *turns += 1;
                    if *turns == 600 {
                        eprintln!("program {seed} hangs: {program:#?}");
                        std::process::abort();
                    }
                }
            }
        });
        dog
    }

    fn watch<R>(&self, seed: u64, program: &P, work: impl FnOnce() -> R) -> R {
        *self.0.lock().unwrap() = Some((seed, program.clone(), 0));
        let answer = work();
        *self.0.lock().unwrap() = None;
        answer
    }
}

/// Makes a program that fails as simple as it gets in a while, then fails.
fn fail<T: ValueTree>(
    seed: u64,
    mut tree: T,
    first: String,
    fails: impl Fn(&T::Value) -> Option<String>,
) -> ! {
    let until = Instant::now() + seconds("RINGBUS_PROGRAMS_SIMPLIFY", 30.0);
    let mut simplest = (tree.current(), first);
    let mut goes_on = tree.simplify();
    while goes_on && Instant::now() < until {
        let program = tree.current();
        goes_on = match fails(&program) {
            Some(claim) => {
                simplest = (program, claim);
                tree.simplify()
            }
            None => tree.complicate(),
        };
    }
    let (program, claim) = simplest;
    panic!(
        "program {seed} fails: {claim}\n{program:#?}\nrepeat it with RINGBUS_PROGRAMS_SEED={seed}"
    );
}

/// Runs programs for a while, each by `fails`, which says what is wrong.
fn run_programs<S>(
    programs: &S,
    fails: impl Fn(u64, &S::Value) -> Option<String>,
    tries: usize,
) -> u64
where
    S: Strategy,
    S::Value: Clone + Send + 'static,
{
    let given: Option<u64> = setting("RINGBUS_PROGRAMS_SEED");
    let last = Instant::now() + seconds("RINGBUS_PROGRAMS_SECONDS", 0.6);
    let dog = Watchdog::start();
    let fails = |seed, program: &S::Value| dog.watch(seed, program, || fails(seed, program));
    let mut ran = 0;
    let first = setting("RINGBUS_PROGRAMS_FROM").unwrap_or(0);
    for seed in first.. {
        if Instant::now() >= last && ran > 0 {
            break;
        }
        let seed = given.unwrap_or(seed);
        let tree = tree(programs, seed);
        let program = tree.current();
        if let Some(claim) = fails(seed, &program) {
            fail(seed, tree, claim, |program| {
                (0..tries).find_map(|_| fails(seed, program))
            });
        }
        ran += 1;
    }
    ran
}

#[cfg(not(ringbus_shuttle))]
#[test]
fn concurrent_programs_do_what_the_specification_says() {
    // A program that has failed once is called good only when it has passed so often: it is not deterministic.
    let programs = run_programs(&plain(), |_, program| run(program).err(), 60);
    println!("{programs} programs");
}

#[cfg(not(ringbus_shuttle))]
#[test]
fn programs_with_groups_stages_and_editors_do_what_the_specification_says() {
    let programs = run_programs(&mixed(), |_, program| run(program).err(), 60);
    println!("{programs} programs");
}

#[cfg(not(ringbus_shuttle))]
#[test]
fn programs_of_several_topics_do_what_the_specification_says() {
    let fails = |_, program: &_| timelines::run(program).err();
    let programs = run_programs(&several(), fails, 60);
    println!("{programs} programs");
}

/// The same programs, larger, on schedules that are made up, and on such as change the running thread rarely, but
/// where it hurts.
#[cfg(ringbus_shuttle)]
mod scheduled {
    use std::sync::atomic::{AtomicU64, Ordering};

    use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
    use shuttle::{Config, MaxSteps, Runner};

    use super::*;

    /// Of each kind, for each program.
    const SCHEDULES: usize = 8;

    /// As many threads as have to be somewhere unpleasant at once.
    const DEPTH: usize = 3;

    fn config() -> Config {
        let mut config = Config::new();
        config.stack_size = 1 << 18;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        // That all orderings are taken for sequentially consistent ones is known.
        config.silence_warnings = true;
        config
    }

    fn run_by<P: Clone + Send + Sync + 'static>(
        scheduler: impl Scheduler + 'static,
        program: &P,
        run: fn(&P) -> Result<(), String>,
    ) -> Result<u64, String> {
        let program = program.clone();
        let schedules = catch_unwind(AssertUnwindSafe(|| {
            Runner::new(scheduler, config()).run(move || {
                if let Err(claim) = run(&program) {
                    panic!("{claim}");
                }
            })
        }));
        schedules
            .map(|schedules| schedules as u64)
            .map_err(|payload| world::message(&*payload))
    }

    #[test]
    fn scheduled_programs_do_what_the_specification_says() {
        run_scheduled(&plain(), run);
    }

    #[test]
    fn scheduled_programs_with_groups_stages_and_editors_do_what_the_specification_says() {
        run_scheduled(&mixed(), run);
    }

    #[test]
    fn scheduled_programs_of_several_topics_do_what_the_specification_says() {
        run_scheduled(&several(), timelines::run);
    }

    fn run_scheduled<S>(programs: &S, run: fn(&S::Value) -> Result<(), String>)
    where
        S: Strategy,
        S::Value: Clone + Send + Sync + 'static,
    {
        if let Some(schedule) = setting::<String>("RINGBUS_PROGRAMS_SCHEDULE") {
            let seed = setting("RINGBUS_PROGRAMS_SEED").expect("a schedule is of a seed");
            let program = tree(programs, seed).current();
            shuttle::replay(move || assert_eq!(run(&program), Ok(())), &schedule);
            return;
        }
        let schedules = AtomicU64::new(0);
        let fails = |seed, program: &S::Value| {
            let random = RandomScheduler::new_from_seed(seed, SCHEDULES);
            let rare = PctScheduler::new_from_seed(seed, DEPTH, SCHEDULES);
            for done in [run_by(random, program, run), run_by(rare, program, run)] {
                match done {
                    Ok(done) => schedules.fetch_add(done, Ordering::Relaxed),
                    Err(claim) => return Some(claim),
                };
            }
            None
        };
        let ran = run_programs(programs, fails, 1);
        let schedules = schedules.into_inner();
        println!("{schedules} schedules of {ran} programs");
        assert!(schedules >= ran * 2 * SCHEDULES as u64, "every program ran");
    }
}
