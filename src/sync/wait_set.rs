//! Whoever sleeps until something changes.

use super::{AtomicU32, Barrier, Mutex, Ordering, Waiter};

/// The waiters of one condition, and the word that tells a notifier whether there are any.
///
/// ```text
/// waiter                              notifier
/// enlist: waiting = n                 change what the waiter waits for
/// Barrier::heavy                      Barrier::light
/// look again, then park               waiting != 0 -> wake all
/// ```
///
/// Of the two loads at least one sees the other side's store (edge `wake`), so a waiter that saw
/// nothing is seen. Every notification wakes all and takes them out: each waiter looks for itself.
#[derive(Debug)]
pub(crate) struct WaitSet {
    /// The length of `waiters`; written under its lock. Not padded: only those who go to sleep write here, and what
    /// has many of these is to be small.
    waiting: AtomicU32,
    waiters: Mutex<Vec<Waiter>>,
    barrier: Barrier,
}

impl WaitSet {
    pub(crate) fn new(barrier: Barrier) -> Self {
        Self {
            waiting: AtomicU32::new(0),
            waiters: Mutex::new(Vec::new()),
            barrier,
        }
    }

    /// Wakes every waiter; call it after the change.
    #[inline]
    pub(crate) fn notify(&self) {
        // ORDERING: edge `wake`. Pairs with the barrier in `join_all`: this sees the waiter, or that sees the change.
        self.barrier.light();
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.notify_slow();
        }
    }

    /// Wakes every waiter of this condition and of another, after a change that is both.
    #[inline]
    pub(crate) fn notify_with(&self, other: &Self) {
        self.notify();
        // Behind the same barrier.
        if other.waiting.load(Ordering::Relaxed) != 0 {
            other.notify_slow();
        }
    }

    #[cold]
    fn notify_slow(&self) {
        let mut waiters = self.waiters.lock();
        let mut woken = std::mem::take(&mut *waiters);
        self.waiting.store(0, Ordering::Relaxed);
        drop(waiters);
        // Without the lock, as a waiter may be user code.
        woken.drain(..).for_each(|waiter| waiter.wake());
        // The memory goes back, so that waiting allocates once and not every time.
        let mut waiters = self.waiters.lock();
        if waiters.is_empty() {
            std::mem::swap(&mut *waiters, &mut woken);
        }
    }

    /// Puts a waiter on the list. A waiter of several conditions passes one [`Barrier::heavy`] after the
    /// last; then it looks at each once more before it sleeps.
    pub(crate) fn enlist(&self, waiter: &Waiter) {
        let mut waiters = self.waiters.lock();
        waiters.push(waiter.clone());
        self.waiting.store(waiters.len() as u32, Ordering::Relaxed);
    }

    /// Puts a waiter of this condition alone on the list; it looks once more before it sleeps.
    pub(crate) fn join(&self, waiter: &Waiter) {
        Self::join_all(&[self], waiter);
    }

    /// Puts a waiter of these conditions alone on their lists; it looks once more before it sleeps.
    pub(crate) fn join_all(sets: &[&Self], waiter: &Waiter) {
        for set in sets {
            set.enlist(waiter);
        }
        if let Some(set) = sets.first() {
            // ORDERING: edge `wake`. Pairs with the barrier in `notify`.
            set.barrier.heavy();
        }
    }

    /// Takes a waiter off the list, if a notification has not done so; that one may still be on its way.
    pub(crate) fn leave(&self, waiter: &Waiter) {
        let mut waiters = self.waiters.lock();
        waiters.retain(|other| !other.is(waiter));
        self.waiting.store(waiters.len() as u32, Ordering::Relaxed);
    }
}
