//! Under a checker: `loom`, which explores all executions of small models, or `shuttle`, which runs larger programs
//! on schedules that it makes up, behind the names of `native`.
//!
//! All threads of a run are on one, and another goes on at an access to what is named here; nothing else may block.
//! Time does not pass: a wait with a deadline waits until it is notified.

use std::cell::Cell;
use std::sync::PoisonError;
use std::time::Instant;

#[cfg(ringbus_loom)]
use loom as checker;
#[cfg(ringbus_shuttle)]
use shuttle as checker;

pub(crate) use checker::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
pub(crate) use checker::sync::{Arc, MutexGuard};
pub(crate) use checker::thread::yield_now;
#[cfg(feature = "services")]
pub(crate) use checker::thread::{Builder as ThreadBuilder, JoinHandle};
pub(crate) use checker::thread_local;
#[cfg(feature = "services")]
pub(crate) use std::thread::panicking;

use super::Parker;

/// A lock without poisoning: one that is given back while another thread of the scheduler's unwinds is not poisoned by
/// that, as all of them are one thread to `std`.
#[derive(Debug)]
pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A condition variable that takes and returns the guard.
#[derive(Debug)]
pub(crate) struct Condvar(checker::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(checker::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        (self.wait(guard), false)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    #[cfg(feature = "services")]
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A cell that is written once: the flag makes the hand-over visible to the model.
#[derive(Debug)]
pub(crate) struct OnceCell<T> {
    ready: AtomicBool,
    value: once_cell::sync::OnceCell<T>,
}

impl<T> OnceCell<T> {
    pub(crate) fn new() -> Self {
        Self {
            ready: AtomicBool::new(false),
            value: once_cell::sync::OnceCell::new(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.ready.load(Ordering::Acquire) {
            self.value.get()
        } else {
            None
        }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)?;
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// `make` must not come to where another thread goes on.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.get().unwrap_or_else(|| {
            let value = self.value.get_or_init(make);
            self.ready.store(true, Ordering::Release);
            value
        })
    }
}

/// A model parks at once: spinning would only multiply its executions.
#[derive(Debug)]
pub(crate) struct Backoff;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn snooze(&self) {
        yield_now();
    }

    pub(crate) fn is_completed(&self) -> bool {
        true
    }
}

pub(crate) fn spin_loop() {
    yield_now();
}

/// One seat in the first block, so that models of two members grow the table.
pub(crate) const FIRST_SEATS: usize = 1;

/// One at a time, so that a reader looks at more than one chunk.
pub(crate) const CHUNK: u64 = 1;

/// A model arms at once: looking again would only multiply its executions.
pub(crate) const WASTED_LOOKS: usize = 0;

/// How many walks over observers the calling thread is in.
pub(crate) fn walks<R>(f: impl FnOnce(&Cell<usize>) -> R) -> R {
    checker::thread_local! {
        static WALKS: Cell<usize> = Cell::new(0);
    }
    WALKS.with(f)
}

/// A number for the calling thread, never 0.
pub(crate) fn thread_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    checker::thread_local! {
        static ID: u64 = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    ID.with(|id| *id)
}

/// The threads of a model have no names.
pub(crate) fn thread_name() -> Option<String> {
    None
}

/// A parker of the calling thread's.
pub(crate) fn current_parker() -> Arc<Parker> {
    Arc::new(Parker::new())
}
