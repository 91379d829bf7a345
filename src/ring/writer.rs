//! Claiming sequences and filling them.
#![expect(
    unsafe_code,
    reason = "a claim writes into the slots of its sequences, which are its alone"
)]

use std::mem::needs_drop;

use super::Ring;
use super::gate::{Gate, Obstacle, Plan};
use crate::sync::Arc;

/// Sequences that one publisher has claimed and fills in order.
///
/// What is not filled when the claim is dropped, also by a panic, becomes holes; so a claim never leaves
/// readers waiting.
#[derive(Debug)]
pub(crate) struct Claim<'a, T> {
    ring: &'a Ring<T>,
    /// The next sequence to fill; everything before is done.
    next: u64,
    end: u64,
    /// Whether sequences of this claim may have been skipped by the plan.
    stepped: bool,
}

/// Claimed sequences, before they are tied to the ring by [`Ring::fill`].
///
/// Not `Clone`: a claim is filled once (R1).
#[derive(Debug)]
pub(crate) struct Claimed {
    from: u64,
    end: u64,
    stepped: bool,
}

impl<T> Claim<'_, T> {
    /// Writes the next event; returns its sequence and the value that its slot gives up.
    ///
    /// # Panics
    ///
    /// When the claim has been filled.
    #[inline(always)]
    pub(crate) fn write(&mut self, event: T) -> (u64, Option<T>) {
        let sequence = self.take();
        // SAFETY: the sequence is of this claim and was taken just now (R1). No publisher is in the slot
        // (R3), no member reads it (R4), and it is not pinned: the plan stops at pins or steps over them
        // (R5), which `take` passes.
        let old = unsafe { self.ring.slot(sequence).write(sequence, event) };
        (sequence, old)
    }

    /// Builds the next event in its slot, if its type has no drop glue, and on the way there otherwise.
    ///
    /// When `build` panics, the sequence becomes a hole.
    #[inline(always)]
    pub(crate) fn build(&mut self, build: impl FnOnce() -> T) -> (u64, Option<T>) {
        if needs_drop::<T>() {
            return self.write(build());
        }
        let sequence = self.peek();
        // SAFETY: as in `write`. The claim passes the sequence below, after `build` has returned: when it
        // panics, the drop of the claim skips the sequence, which then was not written.
        unsafe { self.ring.slot(sequence).build(sequence, build) };
        self.next = sequence + 1;
        (sequence, None)
    }

    /// Events that the claim still has room for.
    #[inline(always)]
    pub(crate) fn room(&self) -> usize {
        if !self.stepped {
            return (self.end - self.next) as usize;
        }
        self.ring.events_between(self.next, self.end) as usize
    }

    #[inline(always)]
    fn take(&mut self) -> u64 {
        let sequence = self.peek();
        self.next = sequence + 1;
        sequence
    }

    #[inline(always)]
    fn peek(&mut self) -> u64 {
        self.pass_stepped();
        assert!(self.next < self.end, "the claim must not be full");
        self.next
    }

    #[inline(always)]
    fn pass_stepped(&mut self) {
        if self.stepped {
            while self.next < self.end && self.ring.slot(self.next).stamp().is_hole(self.next) {
                self.next += 1;
            }
        }
    }
}

impl<T> Drop for Claim<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.next < self.end {
            self.ring.skip_rest(self.next, self.end, self.stepped);
        }
    }
}

impl<T> Ring<T> {
    /// Claims room for up to `events` events, for one of several publishers.
    #[inline]
    pub(crate) fn claim_shared(&self, events: u64) -> Result<Claimed, Obstacle> {
        loop {
            let from = self.tail.claimed();
            let end = from + events;
            if end > self.tail.limit() {
                return self.claim_planned(events);
            }
            if self.tail.try_claim(from, end).is_ok() {
                return self.unless_closed(Claimed {
                    from,
                    end,
                    stepped: false,
                });
            }
        }
    }

    #[cold]
    fn claim_planned(&self, events: u64) -> Result<Claimed, Obstacle> {
        let mut gate = self.lock_gate();
        loop {
            let from = self.tail.claimed();
            // While this publisher waited for the lock another may have planned far enough. `tail` was
            // read first, so a limit that is not above it leaves `tail` where it is.
            let plan = if from + events <= self.tail.limit() {
                Plan {
                    end: from + events,
                    events,
                    stop: self.tail.limit(),
                }
            } else {
                gate.plan(self, from, events)?
            };
            if self.tail.try_claim(from, plan.end).is_err() {
                // Others claim below the limit, so this ends.
                continue;
            }
            let stepped = self.step_over(&gate, from, plan);
            if plan.stop > self.tail.limit() {
                self.tail.raise_limit(plan.stop);
            }
            drop(gate);
            return self.unless_closed(Claimed {
                from,
                end: plan.end,
                stepped,
            });
        }
    }

    /// Makes holes of the claimed slots that a reader has pinned; tells whether there were any.
    fn step_over(&self, gate: &Gate, from: u64, plan: Plan) -> bool {
        if plan.end - from == plan.events || !gate.has_pins() {
            return false;
        }
        for sequence in (from..plan.end).filter(|&sequence| gate.is_pinned(self, sequence)) {
            // SAFETY: the caller has just claimed the sequence, and skips it here, once (R1).
            unsafe { self.slot(sequence).skip(sequence) };
            self.holes.add(1);
        }
        true
    }

    /// Makes holes of what is left of a claim.
    #[cold]
    fn skip_rest(&self, next: u64, end: u64, stepped: bool) {
        for sequence in next..end {
            if stepped && self.slot(sequence).stamp().is_hole(sequence) {
                continue;
            }
            // SAFETY: the sequence is of the claim that is dropped, and is neither written nor skipped:
            // the claim is at `next`, and the plan's holes are passed over (R1).
            unsafe { self.slot(sequence).skip(sequence) };
            self.holes.add(1);
        }
    }

    /// A claim counts only if the ring was open after it.
    #[inline(always)]
    fn unless_closed(&self, claimed: Claimed) -> Result<Claimed, Obstacle> {
        if self.is_closed_after_claim() {
            drop(self.fill(claimed));
            return Err(Obstacle::Closed);
        }
        Ok(claimed)
    }

    /// Ties claimed sequences to the ring they were claimed from.
    #[inline(always)]
    pub(crate) fn fill(&self, claimed: Claimed) -> Claim<'_, T> {
        Claim {
            ring: self,
            next: claimed.from,
            end: claimed.end,
            stepped: claimed.stepped,
        }
    }
}

/// The only publisher of a ring: claims with plain stores.
#[derive(Debug)]
pub(crate) struct SoleWriter<T> {
    ring: Arc<Ring<T>>,
    gate: Gate,
    /// The next sequence to claim.
    head: u64,
    /// The first sequence that may not be claimed without a plan.
    stop: u64,
}

impl<T> SoleWriter<T> {
    /// The caller sees to it that no other publisher exists, and that the last one's claims are done.
    pub(crate) fn new(ring: Arc<Ring<T>>) -> Self {
        let head = ring.tail.claimed();
        Self {
            ring,
            gate: Gate::new(head),
            head,
            stop: head,
        }
    }

    #[inline(always)]
    pub(crate) fn ring(&self) -> &Ring<T> {
        &self.ring
    }

    /// Claims room for up to `events` events.
    #[inline(always)]
    pub(crate) fn claim(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        let from = self.head;
        if from + events > self.stop {
            return self.claim_planned(events);
        }
        self.claim_to(from + events, false)
    }

    #[cold]
    fn claim_planned(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        let from = self.head;
        self.gate.set_done(from);
        let plan = self.gate.plan(&self.ring, from, events)?;
        self.stop = plan.stop;
        self.ring.tail.claim_alone(plan.end);
        let stepped = self.ring.step_over(&self.gate, from, plan);
        self.claim_to(plan.end, stepped)
    }

    #[inline(always)]
    fn claim_to(&mut self, end: u64, stepped: bool) -> Result<Claimed, Obstacle> {
        let from = self.head;
        self.ring.tail.claim_alone(end);
        self.head = end;
        let claimed = self.ring.unless_closed(Claimed { from, end, stepped });
        if claimed.is_err() {
            // The next claim meets the plan, which refuses it without a claim.
            self.stop = end;
        }
        claimed
    }
}

impl<T> Drop for SoleWriter<T> {
    fn drop(&mut self) {
        // Shared publishers go on from here.
        self.ring.lock_gate().set_done(self.head);
        self.ring.tail.raise_limit(self.head);
    }
}
