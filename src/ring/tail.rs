//! Where publishers claim, and how far they may.

use crate::sync::{AtomicU64, CachePadded, Ordering};

/// The next sequence to claim, and the stop of shared publishers.
///
/// A sole writer keeps copies of its own and only stores `claimed`.
#[derive(Debug)]
pub(crate) struct Tail {
    claimed: CachePadded<AtomicU64>,
    limit: CachePadded<AtomicU64>,
}

impl Tail {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            claimed: CachePadded::new(AtomicU64::new(first)),
            limit: CachePadded::new(AtomicU64::new(first)),
        }
    }

    /// The next sequence to claim. It says nothing about the events before it; their stamps do.
    #[inline]
    pub(crate) fn claimed(&self) -> u64 {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Claims everything before `next`, for the only writer, or under the lock of a sequencer.
    #[inline(always)]
    pub(crate) fn claim_alone(&self, next: u64) {
        self.claimed.store(next, Ordering::Relaxed);
    }

    /// Claims `from..to`, unless another publisher has claimed `from`. What makes the slots fit to write
    /// comes with the limit, not with this word.
    #[inline(always)]
    pub(crate) fn try_claim(&self, from: u64, to: u64) -> Result<(), u64> {
        self.claimed
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .map(drop)
    }

    /// The first sequence that may not be claimed without a plan.
    #[inline(always)]
    pub(crate) fn limit(&self) -> u64 {
        // ORDERING: edge `stop`. Pairs with the store in `raise_limit`.
        self.limit.load(Ordering::Acquire)
    }

    /// Lets shared publishers claim nothing more without a plan; called under the gate's lock.
    pub(crate) fn stop_all(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Lets shared publishers go up to `stop`; called under the gate's lock.
    pub(crate) fn raise_limit(&self, stop: u64) {
        // ORDERING: edge `stop`. Pairs with the load in `limit`; carries what the plan saw: readers are
        // done with these slots, and so are the publishers of the lap before.
        self.limit.store(stop, Ordering::Release);
    }
}
