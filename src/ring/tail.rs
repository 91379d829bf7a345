//! Where publishers claim, and how far they may.

use crate::sync::{AtomicU64, CachePadded, Ordering};

/// The next sequence to claim, and the stop of shared publishers.
///
/// A sole writer keeps copies of its own and only stores the claims.
#[derive(Debug)]
pub(crate) struct Tail {
    claims: CachePadded<Claims>,
    limit: CachePadded<AtomicU64>,
}

/// What has been claimed, and what of that is known to be done.
#[derive(Debug)]
struct Claims {
    next: AtomicU64,
    /// What is done but for the last claim of one sequence (R17):
    ///
    /// | value      | state                                                            |
    /// |------------|------------------------------------------------------------------|
    /// | `SHARED`   | there is no sole writer: nothing is known                        |
    /// | `ONE`      | a sole writer claims one sequence at a time: all                 |
    /// | a sequence | a sole writer fills a claim of several from there: all before it |
    open: AtomicU64,
}

const SHARED: u64 = 0;
const ONE: u64 = u64::MAX;

/// How far the claims are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Nothing has been claimed from here on.
    pub(super) claimed: u64,
    /// Everything before is done (R17).
    pub(super) done: u64,
}

impl Tail {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            claims: CachePadded::new(Claims {
                next: AtomicU64::new(first),
                open: AtomicU64::new(SHARED),
            }),
            limit: CachePadded::new(AtomicU64::new(first)),
        }
    }

    /// The next sequence to claim. It says nothing about the events before it; their stamps do.
    #[inline]
    pub(crate) fn claimed(&self) -> u64 {
        self.claims.next.load(Ordering::Relaxed)
    }

    /// Claims everything before `next`, for the only writer, or under the lock of a sequencer.
    #[inline(always)]
    pub(crate) fn claim_alone(&self, next: u64) {
        // ORDERING: edge `filled`. Pairs with the load in `extent`; carries the events of all claims before.
        self.claims.next.store(next, Ordering::Release);
    }

    /// Says that from now on a sole writer claims, and that what was claimed before is done.
    pub(crate) fn claimed_by_one(&self) {
        self.set_open(ONE);
    }

    /// Says, before it is made, that the sole writer's next claim is of several sequences from here on.
    #[inline]
    pub(crate) fn open_claim(&self, from: u64) {
        self.set_open(from);
    }

    /// Says that the sole writer has filled its claim of several.
    #[inline]
    pub(crate) fn close_claim(&self) {
        self.set_open(ONE);
    }

    /// Says that others may claim from now on. Their claims continue the release sequence of the last store, which
    /// therefore comes once more: who sees one of them sees this.
    pub(crate) fn claimed_by_many(&self) {
        self.set_open(SHARED);
        self.claim_alone(self.claimed());
    }

    #[inline]
    fn set_open(&self, open: u64) {
        // ORDERING: edge `filled`. Pairs with the load in `extent`; carries the events before `open`.
        self.claims.open.store(open, Ordering::Release);
    }

    /// How far the claims are, and what of that a reader need not look at.
    #[inline]
    pub(super) fn extent(&self) -> Extent {
        // ORDERING: edge `filled`. Pairs with the store in `claim_alone`: what was claimed before the claim that is
        // seen here is done, if that is one of one sequence; and `open` is seen that was set before it.
        let claimed = self.claims.next.load(Ordering::Acquire);
        // ORDERING: edge `filled`. Pairs with the store in `set_open`.
        let open = self.claims.open.load(Ordering::Acquire);
        Extent {
            claimed,
            done: open.min(claimed.saturating_sub(1)),
        }
    }

    /// Claims `from..to`, unless another publisher has claimed `from`. What makes the slots fit to write
    /// comes with the limit, not with this word.
    #[inline(always)]
    pub(crate) fn try_claim(&self, from: u64, to: u64) -> Result<(), u64> {
        self.claims
            .next
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
