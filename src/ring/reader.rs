//! Reading: lossless behind the gate, lossy under a pin.
#![expect(
    unsafe_code,
    reason = "a batch reads slots that the reader's cursor or pin protects"
)]

use std::ops::ControlFlow;

use super::Ring;
use super::member::{Cursor, Member, Pin, Standing};
use super::members::Seat;
use crate::sync::{Arc, Backoff, Ordering, thread_id};

/// How a reader stands to publishers, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Publishers wait for it; it takes every event.
    Lossless,
    /// Publishers push it; it takes what is left, oldest first.
    Lossy,
    /// Publishers push it; it takes the newest event and skips the older ones.
    Newest,
    /// Publishers end it when it is a full ring behind.
    Expendable,
}

/// Where a membership starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// With the next event.
    Now,
    /// With the newest event that is there.
    Newest,
    /// With the oldest event that can be joined, or with the last `n`.
    Oldest(Option<u64>),
    /// With this sequence.
    At(u64),
}

/// Why a reader could not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedJoin {
    /// The ring takes this many lossy members.
    TooManyLossy(u64),
    /// The wanted sequence may have been overwritten; this is the oldest one that has not.
    Overwritten(u64),
    /// The wanted sequence is behind the next one, which is this.
    NotYet(u64),
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There may be events to take; with [`Policy::Lossless`] the batch finds out.
    Some,
    /// Nothing now.
    Empty,
    /// Nothing now or later: the ring is closed and everything before its end is read.
    Closed,
    /// The publishers ended the membership, and this many events were lost by it.
    Expelled(u64),
}

/// One member of the ring, reading.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    ring: Arc<Ring<T>>,
    seat: Seat,
    policy: Policy,
    /// Slots it may pin at once; 0 for a lossless reader.
    max_claim: u64,
    /// The next sequence to take.
    next: u64,
    /// Where this reader left its cursor. For a lossy reader that is the end of its claim, `next..end`; for
    /// a lossless one, what it has taken and not told publishers yet is `end..next`.
    end: u64,
    /// The first sequence of the claim; bit `i` of `holes` says that sequence `base + i` is a hole. Noted
    /// when the claim is made, as the stamp of a pinned slot moves on.
    base: u64,
    holes: u64,
    /// Nothing at or behind this sequence is looked at.
    limit: u64,
    /// Lost events known so far, of those the publishers counted.
    lost: u64,
    expelled: bool,
    account: Account,
    thread: u64,
}

/// What became of the sequences that a reader has passed.
#[derive(Debug, Default)]
pub(crate) struct Account {
    delivered: u64,
    filtered: u64,
    conflated: u64,
    holes: u64,
    /// Events lost or skipped since the last one that was delivered.
    missed: u64,
}

impl Account {
    /// The event taken last was not delivered: a filter refused it.
    pub(crate) fn refuse(&mut self) {
        self.delivered -= 1;
        self.filtered += 1;
    }

    /// Events missed since the last call.
    pub(crate) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}

/// Claims fit the bits of `Reader::holes`.
const MAX_CLAIM: u64 = u64::BITS as u64;

/// Events to take, one after the other.
///
/// Everything lent stays readable until the function that made it returns; what was not taken stays with
/// the reader.
#[derive(Debug)]
pub(crate) struct Events<'a, T> {
    reader: &'a mut Reader<T>,
}

/// Tells publishers what a reader has taken, also when user code unwinds.
struct Commit<'a, T>(&'a mut Reader<T>);

/// What a lossy reader sees from its cursor on.
#[derive(Default)]
struct Look {
    first: u64,
    end: u64,
    holes: u64,
    /// Events and holes before `first`.
    conflated: u64,
    passed: u64,
    /// Everything before this sequence is done.
    done: u64,
}

impl<T> Ring<T> {
    /// The newest event before `tail`, or `tail` when there is none from `lowest` on.
    fn newest_before(&self, tail: u64, lowest: u64) -> u64 {
        (lowest..tail)
            .rev()
            .find(|&sequence| self.slot(sequence).stamp().is_event(sequence))
            .unwrap_or(tail)
    }

    /// The first of the last `keep` events before `tail`, not before `lowest`.
    fn last_events(&self, keep: u64, tail: u64, lowest: u64) -> u64 {
        if keep == 0 {
            return tail;
        }
        (lowest..tail)
            .rev()
            .filter(|&sequence| !self.slot(sequence).stamp().is_hole(sequence))
            .nth(keep as usize - 1)
            .unwrap_or(lowest)
    }
}

impl<T> Reader<T> {
    /// Joins a ring.
    pub(crate) fn join(
        ring: &Arc<Ring<T>>,
        policy: Policy,
        origin: Origin,
    ) -> Result<Self, RefusedJoin> {
        let (seat, max_claim, standing) = match policy {
            Policy::Lossless => (ring.members.seat(), 0, Standing::Gating),
            _ => {
                let (seat, claim) = ring
                    .members
                    .lossy_seat(MAX_CLAIM)
                    .map_err(RefusedJoin::TooManyLossy)?;
                let standing = match policy {
                    Policy::Expendable => Standing::Expendable,
                    _ => Standing::Pushable,
                };
                (seat, claim, standing)
            }
        };
        let me = thread_id();
        let member = seat.member();

        // Edge `join`: be seen, then look where it is safe to start. A plan that did not see the member
        // announced its horizon and its tail before this thread's second look.
        // What is claimed after the close is refused, and takes nothing from what was before.
        let claimed = || ring.tail.claimed().min(ring.end());
        let oldest = |from: u64| from.max(claimed().saturating_sub(ring.shape.capacity));
        let anchor = match origin {
            Origin::Now => claimed(),
            _ => oldest(ring.horizon.load(Ordering::Relaxed)),
        };
        member.enter(Cursor::new(anchor, standing), me);
        ring.barrier.heavy();
        let tail = claimed();
        let horizon = ring.horizon.load(Ordering::Relaxed);
        let lowest = oldest(anchor.max(horizon)).min(tail);
        let start = match origin {
            Origin::Now => Ok(tail),
            Origin::Newest => Ok(ring.newest_before(tail, lowest)),
            Origin::Oldest(None) => Ok(lowest),
            Origin::Oldest(Some(keep)) => Ok(ring.last_events(keep, tail, lowest)),
            Origin::At(wanted) if wanted > tail => Err(RefusedJoin::NotYet(tail)),
            Origin::At(wanted) if wanted < lowest => Err(RefusedJoin::Overwritten(lowest)),
            Origin::At(wanted) => Ok(wanted),
        };

        let mut reader = Self {
            ring: Arc::clone(ring),
            seat,
            policy,
            max_claim,
            next: anchor,
            end: anchor,
            base: anchor,
            holes: 0,
            limit: u64::MAX,
            lost: 0,
            expelled: false,
            account: Account::default(),
            thread: 0,
        };
        // On a refusal the reader is dropped, which gives the seat back.
        reader.start_at(start?, standing);
        Ok(reader)
    }

    fn member(&self) -> &Member {
        self.seat.member()
    }

    /// Moves the cursor from the anchor to where the membership starts.
    fn start_at(&mut self, start: u64, standing: Standing) {
        let start = match standing {
            Standing::Gating => {
                self.member().advance(start);
                start
            }
            _ => self.start_lossy(start, standing),
        };
        self.next = start;
        self.end = start;
        self.member().joined.set(start);
        let member = self.member();
        member.lost_before_joining.set(self.lost);
        member
            .pushed_over_before_joining
            .set(member.pushed_over.get());
    }

    /// As a publisher may push the cursor at the same time, the start is wherever the cursor ends up. What
    /// was lost on the way there was before the membership.
    fn start_lossy(&mut self, start: u64, standing: Standing) -> u64 {
        loop {
            let cursor = self.member().cursor();
            self.lost = self.lost_before(cursor.next());
            if cursor.next() >= start || cursor.standing() == Standing::Gone {
                // A push since the load would make the count another's.
                if self.member().try_move(cursor, cursor) {
                    return cursor.next();
                }
                continue;
            }
            if self.member().try_move(cursor, Cursor::new(start, standing)) {
                return start;
            }
        }
    }

    /// Events that publishers took before `next`, where the cursor is. The publisher that pushed it there
    /// counts them two stores later; until then this waits.
    fn lost_before(&self, next: u64) -> u64 {
        if next == self.end {
            return self.lost;
        }
        let backoff = Backoff::new();
        loop {
            if let Some(lost) = self.member().lost_before(next) {
                return lost;
            }
            backoff.snooze();
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    /// Where the ring finds this member.
    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(crate) fn account(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Notes which thread reads, for publishers that would wait for themselves.
    #[inline]
    pub(crate) fn note_thread(&mut self) {
        let me = thread_id();
        if self.thread != me {
            self.thread = me;
            self.member().reader.set(me);
        }
    }

    /// Tells what there is, and claims up to `max` sequences of it for a lossy reader.
    #[inline]
    pub(crate) fn find(&mut self, max: u64) -> Found {
        if self.policy != Policy::Lossless {
            return self.find_lossy(max);
        }
        if self.next < self.limit && self.is_done(self.next) {
            Found::Some
        } else {
            self.found_nothing(self.next)
        }
    }

    #[inline]
    fn is_done(&self, sequence: u64) -> bool {
        self.ring.slot(sequence).stamp().is_done(sequence)
    }

    /// Puts a fence behind what has been published by now: nothing later is found until it is taken away.
    pub(crate) fn fence(&mut self) {
        self.limit = self.ring.next_sequence();
    }

    pub(crate) fn take_fence_away(&mut self) {
        self.limit = u64::MAX;
    }

    /// Whether `find` has something to tell: an event, the close, the end of the membership.
    ///
    /// Claims nothing, so that it may be asked again and again. A publisher that changes the answer while
    /// this looks notifies afterwards.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        if self.policy == Policy::Lossless {
            self.next < self.limit && self.is_done(self.next) || self.next >= self.ring.end()
        } else {
            self.is_ready_lossy()
        }
    }

    fn is_ready_lossy(&self) -> bool {
        if self.next < self.end {
            return true;
        }
        let cursor = self.member().cursor();
        let gone = cursor.standing() == Standing::Gone;
        let mut next = cursor.next();
        // Holes alone are no reason to look.
        while next < self.limit && self.is_done(next) {
            if self.ring.slot(next).stamp().is_event(next) {
                return true;
            }
            next += 1;
        }
        gone || next >= self.ring.end()
    }

    /// Events before the fence that are not taken yet.
    pub(crate) fn left(&self) -> u64 {
        let (from, claimed) = if self.policy == Policy::Lossless {
            (self.next, 0)
        } else {
            (self.member().cursor().next(), self.claimed())
        };
        let until = self.limit.min(self.ring.next_sequence());
        match self.ring.holes() {
            0 => claimed + until.saturating_sub(from),
            _ => claimed + self.ring.events_between(from, until),
        }
    }

    /// For a reader at `next`, after it saw that `next` is not done. `end` covers every claim that is
    /// carried out, so what is not done before it is still coming.
    fn found_nothing(&self, next: u64) -> Found {
        if next >= self.ring.end() {
            Found::Closed
        } else {
            Found::Empty
        }
    }

    fn find_lossy(&mut self, max: u64) -> Found {
        loop {
            self.pass_holes();
            if self.next < self.end {
                return Found::Some;
            }
            self.unpin();
            if self.expelled {
                return Found::Closed;
            }
            let cursor = self.member().cursor();
            let from = cursor.next();
            let lost = self.lost_before(from);
            if cursor.standing() == Standing::Gone {
                self.expelled = true;
                self.note_loss(lost);
                (self.next, self.end) = (from, from);
                self.publish_account();
                return Found::Expelled(self.account.take_missed());
            }
            let look = match self.policy {
                Policy::Newest => self.look_for_newest(from),
                _ => self.look(from, max.clamp(1, self.max_claim)),
            };
            if look.first == look.end {
                if self.member().cursor() != cursor {
                    continue;
                }
                let found = self.found_nothing(look.done);
                if found == Found::Closed && from != self.end {
                    // Nothing will come that the loss could be told before.
                    self.note_loss(lost);
                    (self.next, self.end) = (from, from);
                }
                self.publish_account();
                return found;
            }
            // Pinned first, claimed second (R5). When the claim fails a publisher has pushed the cursor;
            // the pin then costs a hole at the most.
            self.member()
                .set_pin(Pin::new(self.ring.index(look.first), look.end - look.first));
            if !self
                .member()
                .try_move(cursor, Cursor::new(look.end, cursor.standing()))
            {
                continue;
            }
            self.note_loss(lost);
            self.account.conflated += look.conflated;
            self.account.missed += look.conflated;
            self.account.holes += look.passed;
            self.next = look.first;
            self.base = look.first;
            self.end = look.end;
            self.holes = look.holes;
            self.publish_account();
        }
    }

    /// What is done from `from` on, at most `max` sequences.
    fn look(&self, from: u64, max: u64) -> Look {
        let mut look = Look {
            first: from,
            end: from,
            ..Look::default()
        };
        let until = (from + max).min(self.limit);
        while look.end < until {
            let stamp = self.ring.slot(look.end).stamp();
            if !stamp.is_done(look.end) {
                break;
            }
            look.holes |= u64::from(stamp.is_hole(look.end)) << (look.end - from);
            look.end += 1;
        }
        look.done = look.end;
        look
    }

    /// The newest event of those that are done from `from` on, and what comes before it.
    fn look_for_newest(&self, from: u64) -> Look {
        let mut look = Look {
            first: from,
            end: from,
            done: from,
            ..Look::default()
        };
        let mut events = 0;
        loop {
            let stamp = self.ring.slot(look.done).stamp();
            if look.done >= self.limit || !stamp.is_done(look.done) {
                return look;
            }
            if stamp.is_event(look.done) {
                look.first = look.done;
                look.end = look.done + 1;
                look.conflated = events;
                look.passed = look.first - from - events;
                events += 1;
            }
            look.done += 1;
        }
    }

    /// Books what publishers have taken since the last time.
    fn note_loss(&mut self, lost: u64) {
        let taken = lost - self.lost;
        self.account.missed += taken;
        self.lost = lost;
    }

    /// Passes over the holes at the start of a claim.
    #[inline]
    fn pass_holes(&mut self) {
        while self.next < self.end && (self.holes >> (self.next - self.base)) & 1 != 0 {
            self.next += 1;
            self.account.holes += 1;
        }
    }

    /// Passes over the holes before the next event, and over the event; tells its sequence.
    #[inline(always)]
    fn take(&mut self) -> Option<u64> {
        if self.policy == Policy::Lossless {
            loop {
                let stamp = self.ring.slot(self.next).stamp();
                if self.next >= self.limit || !stamp.is_done(self.next) {
                    return None;
                }
                if stamp.is_event(self.next) {
                    break;
                }
                self.next += 1;
                self.account.holes += 1;
            }
        } else {
            self.pass_holes();
            if self.next == self.end {
                return None;
            }
        }
        let sequence = self.next;
        self.next += 1;
        self.account.delivered += 1;
        Some(sequence)
    }

    /// Events left in the claim.
    fn claimed(&self) -> u64 {
        (self.next..self.end)
            .filter(|sequence| (self.holes >> (sequence - self.base)) & 1 == 0)
            .count() as u64
    }

    /// The next sequence to take.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    fn unpin(&mut self) {
        if self.member().pin() != Pin::NONE {
            self.member().set_pin(Pin::NONE);
        }
    }

    /// Whether the next sequence has an event, on either side of the fence.
    #[inline(always)]
    pub(crate) fn has_event(&self) -> bool {
        self.ring.slot(self.next).stamp().is_event(self.next)
    }

    /// Shows up to `max` events in a row, without holes, to `f`, for a lossless reader, until `f` breaks;
    /// tells how many.
    ///
    /// The stamps are looked at first, so that the loop over the events keeps its state in registers.
    #[inline(always)]
    pub(crate) fn show_run(
        &mut self,
        max: u64,
        mut f: impl FnMut(&T, u64) -> ControlFlow<()>,
    ) -> u64 {
        debug_assert_eq!(self.policy, Policy::Lossless);
        let Self {
            ring,
            seat,
            next,
            end: told,
            account,
            limit,
            ..
        } = self;
        let first = *next;
        let max = max.min(limit.saturating_sub(first));
        // Held here, as an acquiring load keeps the compiler from holding anything that is loaded.
        let slots = &*ring.slots;
        let slot = |sequence: u64| &slots[sequence as usize & (slots.len() - 1)];
        let mut end = first;
        while end - first < max && slot(end).stamp().is_event(end) {
            end += 1;
        }
        let mut run = Run {
            member: seat.member(),
            account,
            reader_next: next,
            told,
            next: first,
        };
        for sequence in first..end {
            // Passed before user code may unwind.
            run.next = sequence + 1;
            // SAFETY: the stamp of this event was seen above (R2), and the reader tells publishers that it
            // has passed the sequence when `run` is dropped, which is after this (R4).
            let flow = unsafe { slot(sequence).read(|event| f(event, sequence)) };
            if flow.is_break() {
                break;
            }
        }
        run.next - first
    }

    /// Lends events to `f`; what `f` takes is done with when this returns.
    #[inline(always)]
    pub(crate) fn lend<R>(&mut self, f: impl FnOnce(Events<'_, T>) -> R) -> R {
        let commit = Commit(self);
        f(Events { reader: commit.0 })
    }

    #[inline(always)]
    fn publish_account(&mut self) {
        let member = self.seat.member();
        member.delivered.set(self.account.delivered);
        member.filtered.set(self.account.filtered);
        member.conflated.set(self.account.conflated);
        member.holes.set(self.account.holes);
        if self.policy != Policy::Lossless {
            member.claimed.set(self.claimed());
        }
    }
}

/// A run of events that a lossless reader shows. How far it is stays a local, and so in a register, until
/// the run ends or unwinds.
struct Run<'a> {
    member: &'a Member,
    account: &'a mut Account,
    reader_next: &'a mut u64,
    told: &'a mut u64,
    next: u64,
}

impl Drop for Run<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.account.delivered += self.next - *self.reader_next;
        *self.reader_next = self.next;
        *self.told = self.next;
        self.member.delivered.set(self.account.delivered);
        self.member.holes.set(self.account.holes);
        self.member.advance(self.next);
    }
}

impl<T> Drop for Commit<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let reader = &mut *self.0;
        if reader.policy == Policy::Lossless {
            if reader.next != reader.end {
                reader.end = reader.next;
                reader.publish_account();
                reader.member().advance(reader.next);
            }
        } else {
            reader.publish_account();
            if reader.next == reader.end {
                reader.unpin();
            }
        }
    }
}

impl<'a, T> Events<'a, T> {
    /// Shows the next event to `f`, with its sequence and the reader's account.
    #[inline(always)]
    pub(crate) fn next_with<R>(&mut self, f: impl FnOnce(&T, u64, &mut Account) -> R) -> Option<R> {
        let sequence = self.reader.take()?;
        let Reader { ring, account, .. } = &mut *self.reader;
        // SAFETY: `take` saw the stamp of an event (R2), or noted it with the claim. The reader tells
        // publishers that it has passed the sequence, or drops its pin, when the `Commit` of `lend` is
        // dropped, which is after this (R4, R5).
        Some(unsafe {
            ring.slot(sequence)
                .read(|event| f(event, sequence, account))
        })
    }

    /// The next event and its sequence.
    pub(crate) fn next_ref(&mut self) -> Option<(&'a T, u64)> {
        let sequence = self.reader.take()?;
        // SAFETY: as in `next_with`; the `Commit` of `lend` outlives `'a`, as `lend` hands out `Events` for
        // no longer than its own frame. The pointer is turned into a reference before the batch ends, and
        // the reader, which outlives `'a`, keeps the ring alive.
        let event = unsafe {
            self.reader
                .ring
                .slot(sequence)
                .read(|event| std::ptr::from_ref(event))
        };
        // SAFETY: the pointer came from a reference just now, and stays valid for `'a` as said above.
        Some((unsafe { &*event }, sequence))
    }

    pub(crate) fn account(&mut self) -> &mut Account {
        &mut self.reader.account
    }
}

impl<T> Events<'_, T> {
    /// Gives the event that was taken last back, which `missed` events were missed before.
    pub(crate) fn give_back(&mut self, sequence: u64, missed: u64) {
        self.reader.next = sequence;
        self.reader.account.delivered -= 1;
        self.reader.account.missed += missed;
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let pushed_to = self.seat.leave(self.end);
        let claim = (self.policy != Policy::Lossless).then_some(self.max_claim);
        self.ring
            .members
            .give_back(self.seat.clone(), claim, pushed_to);
    }
}
