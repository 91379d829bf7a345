//! Random programs of several threads against a sequential specification.
//!
//! A program opens a topic and has two or three threads publish to it, subscribe, read in all ways, hand subscribers
//! to each other, leave and close, with panics in every closure, `Clone` and `Drop` that the library calls. What each
//! thread was told and shown is written down; when all have ended, one log of events must explain it.
//!
//! | variable                     | what                                                              |
//! |------------------------------|-------------------------------------------------------------------|
//! | `RINGBUS_PROGRAMS_SECONDS`   | how long to make up programs; a second if it is not set           |
//! | `RINGBUS_PROGRAMS_SEED`      | the first seed; alone, that program again and again               |
//! | `RINGBUS_PROGRAMS_SCHEDULE`  | under the deterministic scheduler, the schedule that is to be run |

#[path = "programs/check.rs"]
mod check;
#[path = "programs/event.rs"]
mod event;
#[path = "programs/forged.rs"]
mod forged;
#[path = "programs/program.rs"]
mod program;
#[path = "programs/record.rs"]
mod record;
#[path = "programs/threads.rs"]
mod threads;
#[path = "programs/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use program::{Program, program};

/// How many operations a thread has at most.
const MOST: usize = 30;

/// How often a program that has failed once may pass before it is called good. It is not deterministic.
const TRIES: usize = 60;

fn setting<V: std::str::FromStr>(name: &str) -> Option<V> {
    let given = std::env::var(name).ok()?;
    match given.parse() {
        Ok(value) => Some(value),
        Err(_) => panic!("{name} is a number, got {given:?}"),
    }
}

fn seconds() -> Duration {
    Duration::from_secs_f64(setting("RINGBUS_PROGRAMS_SECONDS").unwrap_or(1.0))
}

/// The program of a seed, which can be made simpler.
fn tree(seed: u64) -> impl ValueTree<Value = Program> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    program(MOST, true)
        .new_tree(&mut runner)
        .expect("nothing is filtered out")
}

/// Runs a program once; says what is wrong.
fn run(program: &Program) -> Result<(), String> {
    let record = catch_unwind(AssertUnwindSafe(|| world::run(program)))
        .map_err(|payload| world::message(&*payload))?;
    check::check(&record).map_err(|claim| format!("{claim}\n{record:#?}"))
}

/// Ends the process, with the program, when a program does not end.
#[derive(Clone, Default)]
struct Watchdog(Arc<Mutex<Option<(u64, Program, u32)>>>);

impl Watchdog {
    fn start() -> Self {
        let dog = Self::default();
        let watched = dog.clone();
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

    fn watch<R>(&self, seed: u64, program: &Program, work: impl FnOnce() -> R) -> R {
        *self.0.lock().unwrap() = Some((seed, program.clone(), 0));
        let answer = work();
        *self.0.lock().unwrap() = None;
        answer
    }
}

/// Makes a program that fails as simple as it gets in a while, then fails.
fn fail(seed: u64, mut tree: impl ValueTree<Value = Program>, first: String, dog: &Watchdog) -> ! {
    let fails = |program: &Program| {
        (0..TRIES).find_map(|_| dog.watch(seed, program, || run(program)).err())
    };
    let until = Instant::now() + Duration::from_secs(30);
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

#[cfg(not(ringbus_shuttle))]
#[test]
fn concurrent_programs_do_what_the_specification_says() {
    let given: Option<u64> = setting("RINGBUS_PROGRAMS_SEED");
    let last = Instant::now() + seconds();
    let dog = Watchdog::start();
    let mut programs = 0;
    let first = given.unwrap_or(0);
    for seed in first.. {
        if Instant::now() >= last && programs > 0 {
            break;
        }
        let seed = given.unwrap_or(seed);
        let tree = tree(seed);
        let program = tree.current();
        if let Err(claim) = dog.watch(seed, &program, || run(&program)) {
            fail(seed, tree, claim, &dog);
        }
        programs += 1;
    }
    println!("{programs} programs");
}
