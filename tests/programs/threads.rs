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

/// Runs `works` on a thread each, and `rescue` if nothing happens for a while and they are not done.
pub(crate) fn run<R: Send + 'static>(
    works: Vec<Box<dyn FnOnce() -> R + Send>>,
    patience: u32,
    rescue: impl FnOnce() + Send + 'static,
) -> Vec<thread::Result<R>> {
    let left = Arc::new(AtomicUsize::new(works.len()));
    let threads: Vec<_> = works
        .into_iter()
        .map(|work| {
            let left = Arc::clone(&left);
            thread::spawn(move || {
                if TIME_PASSES {
                    // Begin together.
                    left.fetch_sub(1, Ordering::AcqRel);
                    while left.load(Ordering::Acquire) > 0 {
                        thread::yield_now();
                    }
                }
                work()
            })
        })
        .collect();
    wait(&threads, patience, rescue);
    threads.into_iter().map(|thread| thread.join()).collect()
}

/// Looks after the threads for some milliseconds, then ends what may wait for ever.
#[cfg(not(ringbus_shuttle))]
fn wait<R>(
    threads: &[thread::JoinHandle<R>],
    patience: u32,
    rescue: impl FnOnce() + Send + 'static,
) {
    use std::time::{Duration, Instant};

    let are_done = || threads.iter().all(|thread| thread.is_finished());
    let since = Instant::now();
    let patience = Duration::from_micros(500 * (1 + u64::from(patience)));
    while since.elapsed() < patience {
        if are_done() {
            return;
        }
        thread::sleep(Duration::from_micros(30));
    }
    rescue();
}

/// Steps aside for a number of turns. When all others are blocked these are over at once.
#[cfg(ringbus_shuttle)]
fn wait<R>(_: &[thread::JoinHandle<R>], patience: u32, rescue: impl FnOnce() + Send + 'static) {
    for _ in 0..200 * (1 + patience) {
        thread::yield_now();
    }
    rescue();
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
