//! Threads that sleep until something changes.

use super::{Arc, AtomicU32, Barrier, CachePadded, Mutex, Ordering, Parker};

/// The parked threads of one condition, and the word that tells a notifier whether there are any.
///
/// ```text
/// waiter                              notifier
/// join: waiting = n                   change what the waiter waits for
/// Barrier::heavy                      Barrier::light
/// look again, then park               waiting != 0 -> unpark all
/// ```
///
/// Of the two loads at least one sees the other side's store (edge `wake`), so a waiter that saw
/// nothing is seen. Every notification wakes all: each waiter looks for itself.
#[derive(Debug)]
pub(crate) struct WaitSet {
    /// The length of `parkers`; written under its lock.
    waiting: CachePadded<AtomicU32>,
    parkers: Mutex<Vec<Arc<Parker>>>,
    barrier: Barrier,
}

impl WaitSet {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self {
            waiting: CachePadded::new(AtomicU32::new(0)),
            parkers: Mutex::new(Vec::new()),
            barrier,
        }
    }

    /// Wakes every thread that joined; call it after the change.
    #[inline]
    pub(crate) fn notify(&self) {
        self.barrier.light();
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.notify_slow();
        }
    }

    #[cold]
    fn notify_slow(&self) {
        let mut parkers = self.parkers.lock();
        for parker in parkers.drain(..) {
            parker.unpark();
        }
        self.waiting.store(0, Ordering::Relaxed);
    }

    /// Joins; the caller looks at its condition once more before it parks.
    pub(crate) fn join(&self, parker: &Arc<Parker>) {
        let mut parkers = self.parkers.lock();
        parkers.push(Arc::clone(parker));
        self.waiting.store(parkers.len() as u32, Ordering::Relaxed);
        drop(parkers);
        self.barrier.heavy();
    }

    /// Leaves, if a notification has not taken the thread out already.
    pub(crate) fn leave(&self, parker: &Arc<Parker>) {
        let mut parkers = self.parkers.lock();
        parkers.retain(|other| !Arc::ptr_eq(other, parker));
        self.waiting.store(parkers.len() as u32, Ordering::Relaxed);
    }
}
