//! Claiming sequences and filling them.
#![expect(
    unsafe_code,
    reason = "a claim writes into the slots of its sequences, which are its alone"
)]

use std::mem::needs_drop;
use std::ops::Range;

use super::Ring;
use super::gate::{Gate, Obstacle, Plan, Whose};
use super::sequencer::Places;
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
    /// Sequences of the claim that the plan has skipped.
    holes: u64,
}

/// One claimed sequence. A number and nothing else, so that the way from the claim to the slot stays in
/// registers: a claim in memory was measured to cost as much as a fence, as its fields are stored and
/// loaded in different widths.
///
/// Not `Clone`: it is written once (R1).
#[derive(Debug)]
pub(crate) struct Turn(u64);

/// Claimed sequences in a row, none of which a plan has skipped. Two numbers, for the same reason: a batch of sixteen
/// that went through a claim in memory took one and a half times as long.
///
/// Not `Clone`: they are written once (R1).
#[derive(Debug)]
pub(crate) struct Turns {
    from: u64,
    end: u64,
}

/// A value that has left the ring.
#[derive(Debug)]
pub(crate) struct Replaced<T> {
    pub(crate) event: T,
    /// Its sequence, if a member has missed it.
    pub(crate) missed: Option<u64>,
}

impl Turn {
    #[inline(always)]
    pub(crate) fn sequence(&self) -> u64 {
        self.0
    }
}

impl Turns {
    /// The turn of a claim of one event.
    #[inline(always)]
    fn into_turn(self) -> Turn {
        Turn(self.from)
    }
}

impl Claimed {
    /// The turn of a claim of one event; what the plan stepped over comes before it.
    pub(crate) fn into_turn(self) -> Turn {
        debug_assert_eq!(self.room(), 1);
        Turn(self.end - 1)
    }

    /// Events that the claim has room for.
    #[inline(always)]
    pub(crate) fn room(&self) -> usize {
        (self.end - self.from - self.holes) as usize
    }
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

    /// As `write`; tells what is known of the value.
    fn replace(&mut self, event: T) -> (u64, Option<Replaced<T>>) {
        let sequence = self.take();
        self.ring.replace(Turn(sequence), event)
    }

    #[inline(always)]
    fn take(&mut self) -> u64 {
        self.pass_stepped();
        assert!(self.next < self.end, "the claim must not be full");
        let sequence = self.next;
        self.next = sequence + 1;
        sequence
    }

    #[inline(always)]
    fn pass_stepped(&mut self) {
        if self.stepped {
            while self.next < self.end && self.ring.is_stepped_over(self.next) {
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
                    holes: 0,
                });
            }
        }
    }

    /// Claims one sequence, if that needs no plan and the ring is open.
    #[inline(always)]
    pub(crate) fn claim_shared_now(&self) -> Option<Turn> {
        loop {
            let from = self.tail.claimed();
            if from >= self.tail.limit() {
                return None;
            }
            if self.tail.try_claim(from, from + 1).is_ok() {
                return self
                    .turns_unless_closed(from, from + 1)
                    .map(Turns::into_turn);
            }
        }
    }

    #[inline(always)]
    fn turns_unless_closed(&self, from: u64, end: u64) -> Option<Turns> {
        if self.is_closed_after_claim() {
            self.skip_rest(from, end, false);
            return None;
        }
        Some(Turns { from, end })
    }

    /// Who leaves no room for a shared claim of `events` events: a look, and no promise.
    pub(crate) fn crowd_before_shared(&self, events: u64) -> Option<Whose> {
        let head = self.tail.claimed();
        let planned = head + events <= self.tail.limit();
        if planned {
            None
        } else {
            self.crowded_by(head, events)
        }
    }

    /// Makes a hole of a claimed sequence.
    pub(crate) fn waste(&self, turn: Turn) -> u64 {
        let Turn(sequence) = turn;
        self.skip_rest(sequence, sequence + 1, false);
        sequence
    }

    /// Builds the event of a claimed sequence: in its slot if its type has no drop glue, on the way there
    /// otherwise.
    ///
    /// When `build` panics, the sequence becomes a hole.
    #[inline(always)]
    pub(crate) fn build(&self, turn: Turn, build: impl FnOnce() -> T) -> (u64, Option<T>) {
        let Turn(sequence) = turn;
        let claim = Claim {
            ring: self,
            next: sequence,
            end: sequence + 1,
            stepped: false,
        };
        if needs_drop::<T>() {
            let event = build();
            std::mem::forget(claim);
            return self.write(turn, event);
        }
        // SAFETY: as in `write`. The claim is forgotten after `build` has returned: when it panics, the drop
        // of the claim skips the sequence, which then was not written.
        unsafe { self.slot(sequence).build(sequence, build) };
        std::mem::forget(claim);
        (sequence, None)
    }

    /// Writes events to claimed sequences, in order, as long as there are both, and hands the values that
    /// their slots give up to `give`. Sequences that are left over become holes, also when user code unwinds.
    ///
    /// Returns the sequences from the first to the last event.
    #[inline(always)]
    pub(crate) fn write_all(
        &self,
        claimed: Claimed,
        events: &mut impl Iterator<Item = T>,
        mut give: impl FnMut(T),
    ) -> Option<Range<u64>> {
        if claimed.holes > 0 {
            return self.replace_all(claimed, events, |old| give(old.event));
        }
        let Claimed { from, end, .. } = claimed;
        self.write_turns(Turns { from, end }, events, give)
    }

    /// As `write_all`, over sequences that came without a plan.
    #[inline(always)]
    pub(crate) fn write_turns(
        &self,
        turns: Turns,
        events: &mut impl Iterator<Item = T>,
        mut give: impl FnMut(T),
    ) -> Option<Range<u64>> {
        let Turns { from, end } = turns;
        let mut claim = Claim {
            ring: self,
            next: from,
            end,
            stepped: false,
        };
        // Held here, as nothing that is loaded is held over code of the user's.
        let slots = &*self.slots;
        for sequence in from..end {
            // Always some: a panic here would keep what is counted out of registers.
            let Some(slot) = slots.get(sequence as usize & (slots.len() - 1)) else {
                break;
            };
            let Some(event) = events.next() else { break };
            // Before user code may unwind again.
            claim.next = sequence + 1;
            // SAFETY: as in `write`, for the sequence that the claim has passed just now.
            if let Some(old) = unsafe { slot.write(sequence, event) } {
                give(old);
            }
        }
        (claim.next > from).then_some(from..claim.next)
    }

    /// As `write_all`, also over slots that the plan has skipped; tells what is known of the values.
    #[cold]
    #[inline(never)]
    pub(crate) fn replace_all(
        &self,
        claimed: Claimed,
        events: &mut impl Iterator<Item = T>,
        mut give: impl FnMut(Replaced<T>),
    ) -> Option<Range<u64>> {
        let mut range: Option<Range<u64>> = None;
        let room = claimed.room();
        let mut claim = self.fill(claimed);
        for _ in 0..room {
            let Some(event) = events.next() else { break };
            let (sequence, old) = claim.replace(event);
            range = Some(range.map_or(sequence, |range| range.start)..sequence + 1);
            if let Some(old) = old {
                give(old);
            }
        }
        range
    }

    /// Writes the event of a claimed sequence; returns the sequence and the value that its slot gives up.
    #[inline(always)]
    pub(crate) fn write(&self, turn: Turn, event: T) -> (u64, Option<T>) {
        let Turn(sequence) = turn;
        // SAFETY: the sequence was claimed for this turn, which ends here (R1). No publisher is in the slot
        // (R3), no member reads it (R4), and it is not pinned: the plan stops at pins (R5).
        let old = unsafe { self.slot(sequence).write(sequence, event) };
        (sequence, old)
    }

    /// As `write`, in a ring where what was missed is wanted.
    pub(crate) fn replace(&self, turn: Turn, event: T) -> (u64, Option<Replaced<T>>) {
        let Turn(sequence) = turn;
        // Before the next plan may mark the event that is written here.
        let missed = self.take_mark(sequence);
        // SAFETY: as in `write`.
        let old = unsafe { self.slot(sequence).replace(sequence, event) };
        (sequence, old.map(|event| Replaced { event, missed }))
    }

    #[cold]
    #[inline(never)]
    fn claim_planned(&self, events: u64) -> Result<Claimed, Obstacle> {
        if let Some(places) = &self.places {
            return self.claim_placed(places, events);
        }
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
            let holes = self.step_over(&gate, from, plan);
            if plan.stop > self.tail.limit() {
                self.tail.raise_limit(plan.stop);
            }
            drop(gate);
            return self.unless_closed(Claimed {
                from,
                end: plan.end,
                holes,
            });
        }
    }

    /// Claims room for up to `events` events and a place for each, for any publisher of a ring with places.
    ///
    /// Nobody waits under the lock, and no code of the user's runs under it. What the plan stepped over gets
    /// no place: the slot is pinned, and its reader may still ask for the place it has.
    fn claim_placed(&self, places: &Places, events: u64) -> Result<Claimed, Obstacle> {
        let mut placing = places.lock();
        let from = self.tail.claimed();
        if from + events <= placing.stop() {
            let end = from + events;
            (from..end).for_each(|sequence| placing.place(sequence));
            self.tail.claim_alone(end);
            drop(placing);
            return self.unless_closed(Claimed {
                from,
                end,
                holes: 0,
            });
        }
        let mut gate = self.lock_gate();
        let plan = gate.plan(self, from, events)?;
        (from..plan.end)
            .filter(|&sequence| !gate.is_pinned(self, sequence))
            .for_each(|sequence| placing.place(sequence));
        self.tail.claim_alone(plan.end);
        let holes = self.step_over(&gate, from, plan);
        placing.set_stop(plan.stop);
        drop(gate);
        drop(placing);
        self.unless_closed(Claimed {
            from,
            end: plan.end,
            holes,
        })
    }

    /// Makes holes of the claimed slots that a reader has pinned; tells how many.
    fn step_over(&self, gate: &Gate, from: u64, plan: Plan) -> u64 {
        let holes = plan.end - from - plan.events;
        if holes == 0 {
            return 0;
        }
        self.count_holes(holes);
        for sequence in (from..plan.end).filter(|&sequence| gate.is_pinned(self, sequence)) {
            // SAFETY: the caller has just claimed the sequence, and skips it here, once (R1).
            unsafe { self.slot(sequence).skip(sequence) };
        }
        holes
    }

    /// Whether the plan has made a hole of a sequence of a claim that is not written.
    ///
    /// The slot of such a hole is done with it, and beside other publishers may have a later sequence by now. That
    /// of a sequence that is still to be written cannot, as nobody passes it by a lap (R3).
    #[inline]
    fn is_stepped_over(&self, sequence: u64) -> bool {
        self.slot(sequence).stamp().is_done_or_later(sequence)
    }

    /// Makes holes of what is left of a claim.
    #[cold]
    #[inline(never)]
    fn skip_rest(&self, next: u64, end: u64, stepped: bool) {
        for sequence in next..end {
            if stepped && self.is_stepped_over(sequence) {
                continue;
            }
            self.count_holes(1);
            // SAFETY: the sequence is of the claim that is dropped, and is neither written nor skipped:
            // the claim is at `next`, and the plan's holes are passed over (R1).
            unsafe { self.slot(sequence).skip(sequence) };
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
            stepped: claimed.holes > 0,
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
        if ring.places.is_none() {
            ring.tail.claimed_by_one();
        }
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

    /// Who leaves no room for a claim of `events` events: a look, and no promise.
    pub(crate) fn crowd_before(&self, events: u64) -> Option<Whose> {
        let planned = self.head + events <= self.stop;
        if planned {
            None
        } else {
            self.ring.crowded_by(self.head, events)
        }
    }

    /// Goes on in a ring that has taken this one's place.
    pub(crate) fn follow(&mut self, newest: &Arc<Ring<T>>) {
        *self = Self::new(Arc::clone(newest));
    }

    /// Claims one sequence, if that needs no plan and the ring is open.
    #[inline(always)]
    pub(crate) fn claim_now(&mut self) -> Option<Turn> {
        self.claim_turns_now(1).map(Turns::into_turn)
    }

    /// Claims sequences for so many events, if that needs no plan and the ring is open.
    #[inline(always)]
    pub(crate) fn claim_turns_now(&mut self, events: u64) -> Option<Turns> {
        let from = self.head;
        let end = from + events;
        if end > self.stop {
            return None;
        }
        self.head = end;
        self.open(from, end);
        self.ring.tail.claim_alone(end);
        let turns = self.ring.turns_unless_closed(from, end);
        if turns.is_none() {
            // The next claim meets the plan, which refuses it without a claim.
            self.stop = self.head;
        }
        turns
    }

    /// Claims room for up to `events` events.
    #[inline(always)]
    pub(crate) fn claim(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        let from = self.head;
        if from + events > self.stop {
            return self.claim_planned(events);
        }
        self.open(from, from + events);
        self.claim_to(from + events, 0)
    }

    /// Says what comes before a claim that is about to be made, if it is one of several sequences.
    #[inline(always)]
    fn open(&self, from: u64, end: u64) {
        if end - from > 1 {
            self.ring.tail.open_claim(from);
        }
    }

    /// To be told when a claim of several sequences is filled: readers then need not look at the stamps of its events.
    #[inline]
    pub(crate) fn filled(&self) {
        if self.ring.places.is_none() {
            self.ring.tail.close_claim();
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_planned(&mut self, events: u64) -> Result<Claimed, Obstacle> {
        if let Some(places) = &self.ring.places {
            let claimed = self.ring.claim_placed(places, events);
            self.head = self.ring.tail.claimed();
            // No claim without the lock.
            self.stop = self.head;
            return claimed;
        }
        let from = self.head;
        self.gate.set_done(from);
        let plan = self.gate.plan(&self.ring, from, events)?;
        self.stop = plan.stop;
        self.open(from, plan.end);
        self.ring.tail.claim_alone(plan.end);
        let holes = self.ring.step_over(&self.gate, from, plan);
        self.claim_to(plan.end, holes)
    }

    #[inline(always)]
    fn claim_to(&mut self, end: u64, holes: u64) -> Result<Claimed, Obstacle> {
        let from = self.head;
        self.ring.tail.claim_alone(end);
        self.head = end;
        let claimed = self.ring.unless_closed(Claimed { from, end, holes });
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
        self.ring.tail.claimed_by_many();
        self.ring.tail.raise_limit(self.head);
    }
}
