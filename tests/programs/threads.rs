//! Real threads, or those of the deterministic scheduler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(ringbus_shuttle)]
use shuttle::thread;
#[cfg(not(ringbus_shuttle))]
use std::thread;

pub(crate) use thread::yield_now;

/// Whether time passes. It does not under the scheduler, where timeouts are over at once.
pub(crate) const TIME_PASSES: bool = cfg!(not(ringbus_shuttle));

/// Runs `works` on a thread each, `rescue` if they are not done after a while, and after that, while they still
/// are not, `relieve` again and again.
pub(crate) fn run<R: Send + 'static>(
    works: Vec<Box<dyn FnOnce() -> R + Send>>,
    patience: u32,
    rescue: impl FnOnce(),
    relieve: impl Fn(),
) -> Vec<thread::Result<R>> {
    let left = Arc::new(AtomicUsize::new(works.len()));
    let done = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = works
        .into_iter()
        .map(|work| {
            let left = Arc::clone(&left);
            let done = Arc::clone(&done);
            thread::spawn(move || {
                if TIME_PASSES {
                    // Begin together.
                    left.fetch_sub(1, Ordering::AcqRel);
                    while left.load(Ordering::Acquire) > 0 {
                        thread::yield_now();
                    }
                }
                let _done = Done(done);
                work()
            })
        })
        .collect();
    if wait(&threads, &done, patience) {
        rescue();
        let mut turns = 0;
        while !are_done(&threads, &done) {
            step_aside();
            turns += 1;
            if turns > 40 {
                relieve();
            }
        }
    }
    threads.into_iter().map(|thread| thread.join()).collect()
}

/// Counts a thread that has ended.
struct Done(Arc<AtomicUsize>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

fn are_done<R>(threads: &[thread::JoinHandle<R>], done: &AtomicUsize) -> bool {
    done.load(Ordering::Acquire) == threads.len()
}

/// Looks after the threads for some milliseconds; tells whether they may wait for ever.
#[cfg(not(ringbus_shuttle))]
fn wait<R>(threads: &[thread::JoinHandle<R>], done: &AtomicUsize, patience: u32) -> bool {
    use std::time::{Duration, Instant};

    let since = Instant::now();
    let patience = Duration::from_micros(500 * (1 + u64::from(patience)));
    while since.elapsed() < patience {
        if are_done(threads, done) {
            return false;
        }
        step_aside();
    }
    true
}

#[cfg(not(ringbus_shuttle))]
fn step_aside() {
    thread::sleep(std::time::Duration::from_micros(30));
}

/// Steps aside for a number of turns. When all others are blocked these are over at once.
#[cfg(ringbus_shuttle)]
fn wait<R>(_: &[thread::JoinHandle<R>], _: &AtomicUsize, patience: u32) -> bool {
    for _ in 0..200 * (1 + patience) {
        step_aside();
    }
    true
}

#[cfg(ringbus_shuttle)]
fn step_aside() {
    thread::yield_now();
}

/// Whether something stays so for so long that no thread which can run has not.
#[cfg(not(ringbus_shuttle))]
pub(crate) fn persists(mut holds: impl FnMut() -> bool) -> bool {
    use std::time::Duration;

    // Counted in turns, as the whole process may have been stopped meanwhile.
    (0..20_000).all(|_| {
        let holds = holds();
        if holds {
            thread::sleep(Duration::from_millis(1));
        }
        holds
    })
}

#[cfg(ringbus_shuttle)]
pub(crate) fn persists(mut holds: impl FnMut() -> bool) -> bool {
    (0..5_000).all(|_| {
        let holds = holds();
        if holds {
            thread::yield_now();
        }
        holds
    })
}
