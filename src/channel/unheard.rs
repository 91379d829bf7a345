//! The sequences of a topic that nobody has subscribed to yet.

use crate::ring::MAX_SEQUENCE;
use crate::sync::{AtomicU64, Barrier, Counter, Ordering};

/// Hands out sequences until the ring does.
///
/// ```text
/// publisher                            first subscriber, under the lock of the desk
/// next += events                       state |= SEALED
/// Barrier::light                       Barrier::heavy
/// state == 0 -> they are its           the ring begins at next
/// else they are void, and its way leads to the ring
/// ```
///
/// Of the two loads at least one sees the other side's store (edge `seal`), so no sequence is handed out that
/// the ring hands out again. What a publisher took in vain counts as nothing.
#[derive(Debug)]
pub(crate) struct Unheard {
    next: AtomicU64,
    /// 0 while sequences are handed out.
    state: AtomicU64,
    void: Counter,
    barrier: Barrier,
}

const SEALED: u64 = 1;
const CLOSED: u64 = 2;

/// Takes the seal off again when there was no memory for the ring.
#[derive(Debug)]
pub(crate) struct Seal<'a> {
    unheard: &'a Unheard,
    /// The next sequence when it was sealed.
    pub(crate) next: u64,
}

impl Unheard {
    pub(crate) fn new(first: u64, barrier: Barrier) -> Self {
        Self {
            next: AtomicU64::new(first),
            state: AtomicU64::new(0),
            void: Counter::default(),
            barrier,
        }
    }

    /// Takes `events` sequences: `Ok` if they count, `Err` if they were taken in vain.
    #[inline(always)]
    pub(crate) fn take<const SHARED: bool>(&self, events: u64) -> Result<u64, u64> {
        let first = if SHARED {
            self.next.fetch_add(events, Ordering::Relaxed)
        } else {
            let first = self.next.load(Ordering::Relaxed);
            self.next.store(first + events, Ordering::Relaxed);
            first
        };
        // ORDERING: edge `seal`. Pairs with the barrier in `seal`: it sees what is taken, or this sees the seal.
        self.barrier.light();
        if self.state.load(Ordering::Relaxed) == 0 && first + events <= MAX_SEQUENCE {
            Ok(first)
        } else {
            Err(first)
        }
    }

    /// Notes that sequences before the ring's first were taken in vain.
    pub(crate) fn give_up(&self, events: u64) {
        self.void.add(events);
    }

    /// Hands out no more sequences.
    pub(crate) fn seal(&self) -> Seal<'_> {
        self.state.fetch_or(SEALED, Ordering::Relaxed);
        // ORDERING: edge `seal`. Pairs with the barrier in `take`.
        self.barrier.heavy();
        Seal {
            unheard: self,
            next: self.next.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & CLOSED != 0
    }

    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Sequences before the ring's first that carry no event.
    pub(crate) fn void(&self) -> u64 {
        self.void.get()
    }
}

impl Seal<'_> {
    /// Leaves the seal on: the ring is there.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Seal<'_> {
    fn drop(&mut self) {
        self.unheard.state.fetch_and(!SEALED, Ordering::Relaxed);
    }
}
