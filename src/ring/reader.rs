//! Reading: lossless behind the gate, lossy under a pin.
//!
//! | file     | what                                                      |
//! |----------|-----------------------------------------------------------|
//! | `join`   | where a membership starts                                 |
//! | `lossy`  | claims under a pin                                        |
//! | `alarm`  | telling what was lost, when it is found out               |
//! | `behind` | coming after others                                       |
//! | `edit`   | changing events in place                                  |
//! | `take`   | taking values out                                         |
#![expect(
    unsafe_code,
    reason = "a batch reads slots that the reader's cursor or pin protects"
)]

use std::ops::{ControlFlow, Range};

use super::Ring;
use super::member::Member;
use super::members::Seat;
use super::slot::{MAX_SEQUENCE, Slot, Stamp};
use super::upstream::Upstreams;
use crate::sync::{Arc, CHUNK, thread_id};

mod alarm;
mod behind;
mod edit;
mod join;
mod lossy;
#[cfg(feature = "services")]
mod take;

pub(crate) use alarm::{Alarm, Loss};
pub(crate) use join::{Origin, RefusedJoin};
pub(super) use lossy::MAX_CLAIM;
#[cfg(feature = "services")]
pub(crate) use take::Parcel;

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
    pub(super) ring: Arc<Ring<T>>,
    pub(super) seat: Seat,
    pub(super) policy: Policy,
    /// Slots it may pin at once; 0 for a lossless reader.
    pub(super) max_claim: u64,
    /// The next sequence to take.
    pub(super) next: u64,
    /// Where this reader left its cursor. For a lossy reader that is the end of its claim, `next..end`; for
    /// a lossless one, what it has taken and not told publishers yet is `end..next`.
    pub(super) end: u64,
    /// The first sequence of the claim; bit `i` of `holes` says that sequence `base + i` is a hole. Noted
    /// when the claim is made, as the stamp of a pinned slot moves on.
    pub(super) base: u64,
    pub(super) holes: u64,
    /// Nothing at or behind this sequence is looked at: the fence, or what the upstreams have not passed.
    /// Never beyond the latter (R7).
    pub(super) limit: u64,
    /// From here to the limit there are only events (R13).
    vouched_from: u64,
    fence: u64,
    upstreams: Upstreams,
    /// Whether it waits for upstreams.
    behind: bool,
    /// Whether it may change events in place (R8).
    edits: bool,
    /// Lost events known so far, of those the publishers counted.
    pub(super) lost: u64,
    expelled: bool,
    /// A pin was taken off for which there was no claim.
    pub(super) let_go: bool,
    /// Whom a loss is told at once; a lossy reader's.
    alarm: Option<Box<Alarm>>,
    pub(super) account: Account,
    pub(super) thread: u64,
}

/// What became of the sequences that a reader has passed.
#[derive(Debug, Default)]
pub(crate) struct Account {
    delivered: u64,
    filtered: u64,
    /// Events that the reader skipped, and those it lost in rings before this one.
    pub(super) conflated: u64,
    pub(super) holes: u64,
    /// Events lost or skipped since the last one that was delivered.
    pub(super) missed: u64,
}

impl Account {
    /// The event taken last was not delivered: a filter refused it.
    pub(crate) fn refuse(&mut self) {
        self.delivered -= 1;
        self.filtered += 1;
    }

    /// An event taken earlier was not delivered: a newer one has its place.
    pub(crate) fn conflate(&mut self) {
        self.delivered -= 1;
        self.conflated += 1;
        self.missed += 1;
    }

    /// Events missed since the last call.
    pub(crate) fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }
}

/// Events to take, one after the other.
///
/// Everything lent stays readable until the function that made it returns; what was not taken stays with
/// the reader.
#[derive(Debug)]
pub(crate) struct Events<'a, T> {
    pub(super) reader: &'a mut Reader<T>,
    /// Events that were seen to be there, in a row, from the reader's next sequence on; or empty.
    run: Range<u64>,
}

/// How far a reader was in what it was lent.
#[derive(Debug)]
pub(crate) struct Bookmark {
    next: u64,
    delivered: u64,
    holes: u64,
}

/// Tells publishers what a reader has taken, also when user code unwinds.
pub(super) struct Commit<'a, T>(pub(super) &'a mut Reader<T>);

impl<T> Reader<T> {
    pub(super) fn member(&self) -> &Member {
        self.seat.member()
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

    /// Of the events that were delivered, newer ones have the places of `events`.
    pub(crate) fn conflate_delivered(&mut self, events: u64) {
        self.account.delivered -= events;
        self.account.conflated += events;
        self.publish_account();
    }

    /// Notes which thread reads, for publishers that would wait for themselves.
    #[inline]
    pub(crate) fn note_thread(&mut self) {
        let me = thread_id();
        if self.thread != me {
            self.thread = me;
            self.member().note_reader(me);
            self.note_thread_ahead();
        }
    }

    /// Notes which thread opened the member and which one reads it, when neither is the one that joined. The
    /// caller sees to it that no ring is succeeded meanwhile.
    pub(crate) fn on_behalf_of(&self, opener: u64, reader: u64) {
        for member in self.seat.in_all_rings() {
            member.opener.set(opener);
            member.note_reader(reader);
        }
    }

    /// Tells what there is, and claims up to `max` sequences of it for a lossy reader.
    #[inline]
    pub(crate) fn find(&mut self, max: u64) -> Found {
        self.look_upstream();
        let found = if self.policy != Policy::Lossless {
            self.find_lossy(max)
        } else if self.next < self.limit && self.is_done(self.next) {
            Found::Some
        } else {
            self.found_nothing(self.next)
        };
        match found {
            Found::Closed => self.find_ahead(max),
            found => found,
        }
    }

    /// Whether a look has let go of slots since the last call: publishers may have found them pinned.
    #[inline]
    pub(crate) fn take_let_go(&mut self) -> bool {
        std::mem::take(&mut self.let_go)
    }

    #[inline]
    pub(super) fn is_done(&self, sequence: u64) -> bool {
        self.ring.slot(sequence).stamp().is_done(sequence)
    }

    /// Puts a fence behind what has been published by now: nothing later is found until it is taken away.
    pub(crate) fn fence(&mut self) {
        self.fence = self.ring.last().next_sequence();
        self.set_limit();
    }

    pub(crate) fn take_fence_away(&mut self) {
        self.fence = u64::MAX;
        self.set_limit();
    }

    /// Whether `find` has something to tell: an event, the close, the end of the membership.
    ///
    /// Claims nothing, so that it may be asked again and again. A publisher that changes the answer while
    /// this looks notifies afterwards.
    #[inline]
    pub(crate) fn is_ready(&self) -> bool {
        if !self.upstreams.is_empty() {
            return self.is_ready_behind();
        }
        if self.policy == Policy::Lossless {
            self.next < self.limit && self.is_done(self.next)
                || self.next >= self.ring.end() && self.is_ready_ahead()
        } else {
            self.is_ready_lossy(self.limit)
        }
    }

    /// Events before the fence that are not taken yet.
    pub(crate) fn left(&self) -> u64 {
        let (from, claimed) = if self.policy == Policy::Lossless {
            (self.next, 0)
        } else {
            (self.member().cursor().next(), self.claimed())
        };
        claimed + self.ring.events_from(from, &self.seat, self.limit_now())
    }

    /// Whether a lossless reader's next event, whose `stamp` it has seen, is still to come, as
    /// [`found_nothing`](Self::found_nothing) tells it.
    #[inline(always)]
    pub(crate) fn awaits_next(&self, stamp: Stamp) -> bool {
        !stamp.is_done(self.next) && self.next < self.ring.end()
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

    /// The first event left in the claim.
    pub(super) fn first_claimed(&self) -> Option<u64> {
        (self.next..self.end).find(|sequence| (self.holes >> (sequence - self.base)) & 1 == 0)
    }

    /// Passes over a hole, for a lossless reader.
    pub(super) fn pass_hole(&mut self) {
        self.next += 1;
        self.account.holes += 1;
    }

    /// Passes over the holes before the next event, for a lossless reader, and tells publishers so; tells whether
    /// there were any.
    pub(crate) fn pass_gap(&mut self) -> bool {
        let before = self.next;
        while self.next < self.limit && self.ring.slot(self.next).stamp().is_hole(self.next) {
            self.pass_hole();
        }
        drop(Commit(self));
        self.next != before
    }

    /// The next sequence to take.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }

    /// Whether the next sequence has an event, on either side of the limit.
    #[inline(always)]
    pub(crate) fn has_event(&self) -> bool {
        self.ring.slot(self.next).stamp().is_event(self.next)
    }

    /// The events that there are in a row from the next sequence on, without holes, up to `max`, and to a chunk where
    /// stamps have to be looked at; for a lossless reader.
    #[inline(always)]
    fn run(&self, max: u64) -> Range<u64> {
        debug_assert_eq!(self.policy, Policy::Lossless);
        let first = self.next;
        let until = (first + max.min(MAX_SEQUENCE)).min(self.limit).max(first);
        if first >= self.vouched_from {
            return first..until;
        }
        let end = see(&self.ring.slots, first, until.min(first + 1 + CHUNK));
        first..end
    }

    /// Shows up to `max` events in a row, without holes, to `f`, for a lossless reader, until `f` breaks; tells how
    /// many. What is published meanwhile is not shown. When there is none, or it is not let through, its stamp is the
    /// answer, if that was looked at. What `when_some` makes is dropped when publishers have been told.
    ///
    /// The stamps of a chunk are looked at before its events, so that the loop over these keeps its state in registers.
    #[inline(always)]
    pub(crate) fn show_run<G>(
        &mut self,
        max: u64,
        when_some: impl FnOnce() -> G,
        mut f: impl FnMut(&T, u64) -> ControlFlow<()>,
    ) -> Result<u64, Option<Stamp>> {
        debug_assert_eq!(self.policy, Policy::Lossless);
        let Self {
            ring,
            seat,
            next,
            end: told,
            limit,
            vouched_from,
            account,
            ..
        } = self;
        let first = *next;
        // Held here, as an acquiring load keeps the compiler from holding anything that is loaded.
        let slots = &*ring.slots;
        let vouched = first >= *vouched_from;
        let none = first >= *limit || max == 0;
        if !vouched {
            let stamp = slots[first as usize & (slots.len() - 1)].stamp();
            if !stamp.is_event(first) || none {
                return Err(Some(stamp));
            }
        } else if none {
            return Err(None);
        }
        let until = (first + max.min(MAX_SEQUENCE)).min(*limit);
        // Those before `seen` are seen to be there; there may be more before `until`.
        let (mut seen, mut until) = if vouched {
            (until, until)
        } else {
            see_chunk(slots, first + 1, until)
        };
        if seen < until {
            (seen, until) = ring.look_far(seen, until);
        }
        let _when_told = when_some();
        let mut run = Run {
            member: seat.member(),
            account,
            reader_next: next,
            told,
            next: first,
        };
        loop {
            for sequence in run.next..seen {
                // Always some: a panic in this loop would keep what `f` counts out of registers, as it is to be seen
                // when the panic is caught.
                let Some(slot) = slots.get(sequence as usize & (slots.len() - 1)) else {
                    return Ok(0);
                };
                // Passed before user code may unwind.
                run.next = sequence + 1;
                // SAFETY: the stamp of this event was seen above (R2), or by an upstream (R13), or it is known to be
                // there (R17). The reader tells publishers that it has passed the sequence when `run` is dropped,
                // which is after this (R4).
                let flow = unsafe { slot.read(|event| f(event, sequence)) };
                if flow.is_break() {
                    return Ok(run.next - first);
                }
            }
            if seen == until {
                break;
            }
            (seen, until) = see_chunk(slots, seen, until);
        }
        Ok(run.next - first)
    }

    /// Lends events to `f`; what `f` takes is done with when this returns.
    #[inline(always)]
    pub(crate) fn lend<R>(&mut self, f: impl FnOnce(Events<'_, T>) -> R) -> R {
        let commit = Commit(self);
        f(Events {
            reader: commit.0,
            run: 0..0,
        })
    }

    /// Tells publishers what a lossless reader has taken.
    #[inline(always)]
    fn tell_taken(&mut self) {
        if self.next != self.end {
            self.end = self.next;
            self.publish_account();
            self.member().advance(self.next);
        }
    }

    /// Lends events one by one; what was taken is done with when this is dropped.
    #[inline(always)]
    pub(crate) fn take_turns(&mut self) -> Turns<'_, T> {
        Turns(Commit(self))
    }

    #[inline(always)]
    pub(super) fn publish_account(&mut self) {
        let member = self.seat.member();
        member.delivered.set(self.account.delivered);
        member.filtered.set(self.account.filtered);
        member.conflated.set(self.account.conflated);
        member.holes.set(self.account.holes);
        if self.policy != Policy::Lossless {
            let claimed = self.claimed();
            member.claimed.set(claimed);
            // The cursor has passed those in the claim too.
            let holes = self.end - self.next - claimed;
            member.holes.set(self.account.holes + holes);
        }
    }
}

/// The sequence behind the events that there are in a row, from `from` to before `to`.
#[inline(always)]
fn see<T>(slots: &[Slot<T>], from: u64, to: u64) -> u64 {
    // Always some, without a panic.
    let slot = |sequence: u64| slots.get(sequence as usize & (slots.len() - 1));
    let mut seen = from;
    while seen < to && slot(seen).is_some_and(|slot| slot.stamp().is_event(seen)) {
        seen += 1;
    }
    seen
}

/// As `see`, but no more than a chunk; and before which sequence there may be more.
#[inline(always)]
fn see_chunk<T>(slots: &[Slot<T>], from: u64, until: u64) -> (u64, u64) {
    let chunk = until.min(from + CHUNK);
    let seen = see(slots, from, chunk);
    (seen, if seen < chunk { seen } else { until })
}

impl<T> Ring<T> {
    /// For who has seen all events before `seen` and wants those before `until`: how far there are more for certain,
    /// and what is claimed of them.
    ///
    /// Asked for many events at a time only: it takes the line of the tail from a publisher on another core.
    #[cold]
    #[inline(never)]
    fn look_far(&self, seen: u64, until: u64) -> (u64, u64) {
        let extent = self.tail.extent();
        let until = until.min(extent.claimed).max(seen);
        // Asked after the look, which shows the holes before what is done (R17).
        let holes = self.holes();
        let events = if holes == 0 { extent.done } else { 0 };
        (events.clamp(seen, until), until)
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
        // Of holes it has passed none since it told how many.
        self.member.delivered.set(self.account.delivered);
        self.member.advance(self.next);
    }
}

/// How far the showing of a run is; a local until it ends or unwinds.
struct Passed<'a> {
    next: u64,
    reader_next: &'a mut u64,
    delivered: &'a mut u64,
}

impl Drop for Passed<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.delivered += self.next - *self.reader_next;
        *self.reader_next = self.next;
    }
}

/// Events that are lent one by one: no closure stands between who takes them and what is done with them.
pub(crate) struct Turns<'a, T>(Commit<'a, T>);

impl<T> Turns<'_, T> {
    /// The next event, its sequence, and the reader's account.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<(&T, u64, &mut Account)> {
        let Commit(reader) = &mut self.0;
        let sequence = reader.take()?;
        let Reader { ring, account, .. } = &mut **reader;
        // SAFETY: `take` saw the stamp of an event (R2), or noted it with the claim.
        let event = unsafe { ring.slot(sequence).read(|event| std::ptr::from_ref(event)) };
        // SAFETY: the pointer came from a reference just now. The reader tells publishers that it has passed the
        // sequence, or drops its pin, when the `Commit` is dropped, which is borrowed for as long as the event is
        // (R4, R5); it does neither if it is leaked.
        Some((unsafe { &*event }, sequence, account))
    }
}

impl<T> Drop for Commit<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let reader = &mut *self.0;
        if reader.policy == Policy::Lossless {
            reader.tell_taken();
        } else {
            // Or holes at the end of the claim would stay pinned, which nobody is to be shown.
            reader.pass_holes();
            reader.publish_account();
            if reader.next == reader.end {
                reader.unpin();
            }
        }
    }
}

impl<'a, T> Events<'a, T> {
    /// Looks which events there are in a row, up to `max`, for [`next_of_run`](Self::next_of_run). A lossy reader's are
    /// looked at one by one.
    #[inline(always)]
    pub(crate) fn look_along(&mut self, max: u64) {
        if self.reader.policy == Policy::Lossless {
            self.run = self.reader.run(max);
        }
    }

    /// Whether events were seen in a row that are not taken.
    #[inline(always)]
    pub(crate) fn has_run(&self) -> bool {
        !self.run.is_empty()
    }

    /// The next event of those that were seen in a row, and its sequence.
    #[inline(always)]
    pub(crate) fn next_of_run(&mut self) -> Option<(&'a T, u64)> {
        let sequence = self.run.next()?;
        let reader = &mut *self.reader;
        reader.next = sequence + 1;
        reader.account.delivered += 1;
        // SAFETY: the stamp of this event was seen when the run was made (R2), or by an upstream (R13). As in
        // `next_ref` for the rest.
        let event = unsafe {
            reader
                .ring
                .slot(sequence)
                .read(|event| std::ptr::from_ref(event))
        };
        // SAFETY: as in `next_ref`.
        Some((unsafe { &*event }, sequence))
    }

    /// Shows the rest of the run to `f`, and tells how many events that were.
    ///
    /// As in [`Reader::show_run`], what the loop counts stays in registers.
    #[inline(always)]
    pub(crate) fn show_rest(&mut self, mut f: impl FnMut(&'a T, u64)) -> u64 {
        let run = std::mem::take(&mut self.run);
        if run.is_empty() {
            return 0;
        }
        let Reader {
            ring,
            next,
            account,
            ..
        } = &mut *self.reader;
        let mut passed = Passed {
            next: run.start,
            reader_next: next,
            delivered: &mut account.delivered,
        };
        let slots = &*ring.slots;
        for sequence in run.clone() {
            let slot = slots.get(sequence as usize & (slots.len() - 1));
            let Some(slot) = slot else { break };
            // Before user code may unwind.
            passed.next = sequence + 1;
            // SAFETY: as in `next_of_run`.
            let event = unsafe { slot.read(|event| std::ptr::from_ref(event)) };
            // SAFETY: as in `next_ref`.
            f(unsafe { &*event }, sequence);
        }
        passed.next - run.start
    }

    /// Shows the next event to `f`, with its sequence and the reader's account.
    #[inline(always)]
    pub(crate) fn next_with<R>(&mut self, f: impl FnOnce(&T, u64, &mut Account) -> R) -> Option<R> {
        self.run = 0..0;
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
        self.run = 0..0;
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
    /// Where the reader is, to [go back](Self::go_back) to.
    pub(crate) fn bookmark(&self) -> Bookmark {
        let Account {
            delivered, holes, ..
        } = self.reader.account;
        Bookmark {
            next: self.reader.next,
            delivered,
            holes,
        }
    }

    /// Gives back everything that was taken since the reader was at the bookmark, of which nothing was refused.
    pub(crate) fn go_back(&mut self, bookmark: Bookmark) {
        self.run = 0..0;
        self.reader.next = bookmark.next;
        self.reader.account.delivered = bookmark.delivered;
        self.reader.account.holes = bookmark.holes;
    }

    /// Gives the event that was taken last back, which `missed` events were missed before.
    pub(crate) fn give_back(&mut self, sequence: u64, missed: u64) {
        self.run = 0..0;
        self.reader.next = sequence;
        self.reader.account.delivered -= 1;
        self.reader.account.missed += missed;
    }
}

impl<T> Drop for Reader<T> {
    fn drop(&mut self) {
        let pushed_to = self.seat.leave(self.end);
        // Before the seat is another's, and with it what is reserved for it.
        self.leave_reserved();
        let claim = (self.policy != Policy::Lossless).then_some(self.max_claim);
        self.ring
            .members
            .give_back(self.seat.clone(), claim, pushed_to);
    }
}
