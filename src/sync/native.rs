//! Production: `std`, `parking_lot`, `once_cell`, `crossbeam-utils`.

use std::cell::Cell;
use std::time::Instant;

pub(crate) use once_cell::sync::OnceCell;
pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(feature = "services")]
pub(crate) use std::thread::panicking;
pub(crate) use std::thread::yield_now;
#[cfg(feature = "services")]
pub(crate) use std::thread::{Builder as ThreadBuilder, JoinHandle};
pub(crate) use std::thread_local;

use super::Parker;

/// A condition variable that takes and returns the guard.
#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(&mut guard);
        guard
    }

    /// Waits until notified or `deadline`; the flag tells that the deadline has passed.
    pub(crate) fn wait_until<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        let passed = self.0.wait_until(&mut guard, deadline).timed_out();
        (guard, passed)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    #[cfg(feature = "services")]
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Spin, then yield, then say that it is time to park.
#[derive(Debug)]
pub(crate) struct Backoff(crossbeam_utils::Backoff);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(crossbeam_utils::Backoff::new())
    }

    pub(crate) fn snooze(&self) {
        self.0.snooze();
    }

    pub(crate) fn is_completed(&self) -> bool {
        self.0.is_completed()
    }
}

/// The number of seats in the first block of a membership table.
pub(crate) const FIRST_SEATS: usize = 4;

/// How many stamps a reader looks at before it shows their events: few enough that those are in the nearest cache still.
pub(crate) const CHUNK: u64 = 64;

/// Looks at sources that find nothing, before all of those are armed instead: about what the heavy barrier
/// costs that arming needs, so that no pattern of traffic costs more than twice what it must.
pub(crate) const WASTED_LOOKS: usize = 4096;

/// How many walks over observers the calling thread is in.
#[inline(always)]
pub(crate) fn walks<R>(f: impl FnOnce(&Cell<usize>) -> R) -> R {
    thread_local! {
        static WALKS: Cell<usize> = const { Cell::new(0) };
    }
    WALKS.with(f)
}

/// A number for the calling thread, never 0, never reused.
#[inline]
pub(crate) fn thread_id() -> u64 {
    thread_local! {
        static ID: Cell<u64> = const { Cell::new(0) };
    }

    #[cold]
    fn assign(id: &Cell<u64>) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        id.set(NEXT.fetch_add(1, Ordering::Relaxed));
        id.get()
    }

    ID.with(|id| match id.get() {
        0 => assign(id),
        id => id,
    })
}

/// The name of the calling thread, if it has one.
pub(crate) fn thread_name() -> Option<String> {
    std::thread::current().name().map(str::to_owned)
}

/// The calling thread's parker.
pub(crate) fn current_parker() -> Arc<Parker> {
    thread_local! {
        static PARKER: Arc<Parker> = Arc::new(Parker::new());
    }
    // A thread that waits while its locals are being destroyed gets a parker of its own.
    PARKER
        .try_with(Arc::clone)
        .unwrap_or_else(|_| Arc::new(Parker::new()))
}
