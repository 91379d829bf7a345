//! The ring: slots, sequences, members and the gate between them. No policy, no blocking.
//!
//! A publisher claims sequences at `tail`, writes each event into slot `sequence mod slots` and stamps
//! the slot with the sequence. A reader looks at the stamp of the slot it wants next; nobody polls a
//! shared cursor. How far a publisher may go without looking at the members is its *stop*; at the stop a
//! [`gate::Gate`] plans the next stretch.
//!
//! # Invariants
//!
//! - **R1** A sequence is claimed once. The claimer writes it or skips it, once, before it does anything
//!   else with the ring; `tail` only grows.
//! - **R2** A slot's stamp says `event s` only after the event of `s` is written.
//! - **R3** A publisher writes `s` only below a stop, and a stop is at most one lap beyond the first
//!   sequence that is not done. So the slot's last turn is over, and two publishers never meet in a slot.
//! - **R4** No stop is more than one lap beyond the cursor of a member that the plan saw; a member that it
//!   did not see starts at or behind everything the plan lets be overwritten (edge `join`).
//! - **R5** A slot that a lossy member reads is pinned before the member's cursor passes it, and a plan
//!   reads cursors before pins. A pinned slot gets holes, and no event, until a plan finds the pin gone.
//! - **R6** A slot owns a value exactly if its stamp says `occupied`.
//! - **R7** Editors are members from before the ring was shared, in a chain. Every other member, and every
//!   editor as to those before it, touches the event of a sequence only after it saw that the editor had
//!   passed the sequence, or had left (edges `after`, `again`).
//! - **R8** An editor touches only events that its cursor has not passed, and passes them when the closures
//!   that were given them have returned or unwound.
//! - **R9** The slot of a loan is read only by a borrower that has said where it is before it saw the loan not
//!   recalled; it is emptied under the lender's lock, after the recall's barrier, when no borrower is there
//!   that was there at the barrier.
//! - **R10** With one writer that claims event by event, in a ring of at least 16 slots that are all its
//!   capacity, no plan pushes a cursor or the horizon past the newest event. That event is right before the
//!   claim at `head`. Pins cover at most three quarters of the slots, so the claim spans at most
//!   `3/4 slots + 1` and pushes at most to `head + span + slots/16 - slots`, which is before `head`.
//! - **R11** A ring with a successor is closed; it ends where the successor begins, and every member of it
//!   whose membership goes on has a seat there, at or before the successor's first sequence. So R4 holds for
//!   a member before it has moved over, and whoever sees the end sees successor and seat (edge `end`).
//! - **R12** What a group's cursor has passed and no worker has handled is protected by the post of its portion:
//!   set before the cursor passes it, and lifted when all of the portion is handled, whoever does so. A plan
//!   walks over all seats once more after it has seen the cursors of groups. With keys the cursor itself passes
//!   only what is handled. What one worker leaves and another goes on with is handed over under a lock.
//! - **R13** Who comes after others takes it from them that there is an event, and does not look at its stamp, only
//!   if one of them that has not left has passed the sequence, and had not when it was named: then it has seen the
//!   stamp of it, or has that from one before it. Holes are counted before their stamps say so; so if none is
//!   counted after the look at the others, what they have passed are events (edges `publish`, `after`).
//! - **R14** Of each turn of a handover there is one promise and one awaiting side. The value is the promise's
//!   until it settles the turn, and again if it finds the turn abandoned then; else it is the awaiting side's,
//!   which takes it once, after it saw the turn settled. The next turn begins when that is done.
//! - **R15** The value of a parcel is moved out by the only editor of its ring, once: by the take that moves its
//!   cursor over the sequence. The slot neither drops it nor shows it to anybody else.
//! - **R16** A mark names the event whose value the slot has. It is set by a plan that takes the event from a member,
//!   when nobody can have claimed the slot again, and taken off by whoever replaces the value.
//! - **R17** A sole writer is done with a claim before it makes the next one, and the claims of others were done before
//!   it came. So what comes before the last claim is done: it is that of one sequence before `tail`, or its begin is
//!   noted before it moves `tail`, and for so long as it is not filled. If no hole is counted after a look at that,
//!   what is done are events (edges `filled`, `publish`).
//!
//! In rings that share a [`sequencer::Sequencer`] every claim is made under its lock, and takes a place for each
//! of its events with it. So places grow with the sequences of each ring, and of two claims in any two rings the
//! one that came first has the smaller places. A place is written beside the slot before `tail` is moved over it;
//! R3 to R5 keep it as they keep the event.
//!
//! # Edges
//!
//! | edge      | store                                           | load                                   | carries                                     | model                                        |
//! |-----------|-------------------------------------------------|----------------------------------------|---------------------------------------------|----------------------------------------------|
//! | `publish` | `Slot::{put, build, skip}`                      | `Slot::stamp`                          | the event; the slot's turn                  | `lossless::hand_over_capacity_1`, `lossless::hand_over_built_in_place` |
//! | `release` | `Member::{advance, rest, leave}`                | `Member::cursor`                       | the reader is done                          | `lossless::gate_waits_for_the_slowest`, `group::lossless_1_slot` |
//! | `claim`   | `Member::try_move`                              | `Member::cursor`                       | the pin or the post was set before          | `lossy::drop_oldest_2_slots`, `group::lossless_2_slots` |
//! | `unpin`   | `Member::set_pin`                               | `Member::pin`                          | the reader is done with the pin             | `lossy::drop_oldest_2_slots`                 |
//! | `count`   | `Member::count_lost`                            | `Member::lost_before`                  | the number of lost events                   | `lossy::drop_oldest_2_slots`, `group::loss_is_told_before_the_event` |
//! | `enter`   | `Member::enter_to`                              | `Member::cursor`                       | the seat's words are reset                  | `join::seat_is_taken_again`                  |
//! | `after`   | `Member::{advance, leave}`                      | `Member::cursor`                       | what an upstream or editor did, and saw     | `stages::downstream_comes_after_capacity_1`, `stages::editors_alone_touch_an_event`, `group::members_come_after_an_editor`, `vouching::hole_of_a_dropped_claim` |
//! | `again`   | `Member::enter_to`                              | `Member::generation`                   | the seat's last member has left             | `stages::seat_of_an_upstream_is_taken_again` |
//! | `stop`    | `Tail::raise_limit`                             | `Tail::limit`                          | the plan's look at the slots, and its marks | `shared::claim_below_the_stop_of_another`    |
//! | `filled`  | `Tail::{claim_alone, set_open}`                 | `Tail::extent`                         | the events of the claims before             | `filled::one_at_a_time`, `filled::batch_behind_single_events` |
//! | `horizon` | `Ring::announce_horizon`                        | `View::open`                           | the claims before the plan                  | none: see `ci/mutants/orderings.txt`         |
//! | `end`     | `Ring::set_end`                                 | `Ring::end`                            | what was before the close, or the successor | `lossless::close_carries_what_was_done_before`, `growing::drain_beside_a_growth_lossless` |
//! | `place`   | `Placing::drop`                                 | `Sequencer::next`                      | the claims of all smaller places            | `timeline::two_publishers_lossless`          |
//! | `settle`  | `Promise::{keep, keep_and_wake}`                | `Awaited::{is_settled, abandon}`       | the value                                   | `services::keep_against_a_wait`, `services::keep_against_a_cancel` |
//! | `join`    | a seat; heavy in `Ring::enter`, `View::open`    | light in `Gate::plan`                  | Dekker: joiner against plan                 | `join::join_now`, `join::join_oldest`, `state::look_from_a_late_join` |
//! | `close`   | `closed`; heavy in `Ring::refuse_claims`        | light in `Ring::is_closed_after_claim` | Dekker: close against claim                 | `lossless::close_is_exact`                   |
//! | `ahead`   | the successor's seats; heavy in `Ring::succeed` | light in `Reader::note_thread_ahead`   | Dekker: growth against a new reading thread | `growing::thread_noted_beside_a_growth`      |
//!
//! The light barrier of a claim is a fence in a model, and would hide there what `stop` and `unpin` do in
//! production, where it only binds the compiler; `ci/mutants/orderings.txt` looks at them without it.

mod ahead;
mod gate;
mod group;
#[cfg(feature = "services")]
mod handover;
mod loan;
mod marks;
mod member;
mod members;
mod reader;
mod routes;
mod sequencer;
mod slot;
mod standings;
mod succession;
mod tail;
mod upstream;
mod view;
mod worker;
mod writer;

pub(crate) use ahead::Next;
pub(crate) use gate::{Obstacle, Whose};
pub(crate) use group::{Group, Terms};
#[cfg(feature = "services")]
pub(crate) use handover::{Awaited, Idle, Promise};
pub(crate) use loan::Loan;
pub(crate) use marks::Leftovers;
pub(crate) use members::Seat;
#[cfg(feature = "services")]
pub(crate) use reader::Parcel;
pub(crate) use reader::{Events, Found, Loss, Origin, Policy, Reader, RefusedJoin};
pub(crate) use sequencer::Sequencer;
pub(crate) use slot::{MAX_SEQUENCE, Stamp};
#[cfg(feature = "metrics")]
pub(crate) use standings::Standings;
pub(crate) use succession::Joined;
pub(crate) use upstream::Upstream;
pub(crate) use view::View;
pub(crate) use worker::{Handed, Taken, Worker};
pub(crate) use writer::{Claimed, Replaced, SoleWriter, Turn};

use crate::sync::{
    Arc, AtomicBool, AtomicU64, Barrier, CachePadded, Mutex, MutexGuard, OnceCell, Ordering,
};
use gate::Gate;
use marks::Marks;
use members::Members;
use sequencer::Places;
use slot::Slot;
use tail::Tail;

/// The size of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Unread events a member may have; a power of two.
    pub(crate) capacity: u64,
    /// Places in memory; a power of two, at least `capacity`.
    pub(crate) slots: u64,
    /// The sequence of the first event.
    pub(crate) first: u64,
}

/// The slots and the words around them.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    slots: Box<[Slot<T>]>,
    shape: Shape,
    barrier: Barrier,
    /// Set once; checked by every claim.
    closed: CachePadded<AtomicBool>,
    /// No event at or behind this sequence is ever delivered; `u64::MAX` while the ring is open.
    end: AtomicU64,
    tail: Tail,
    /// No sequence before this one may be joined.
    horizon: AtomicU64,
    members: Members,
    /// Members that may change events in place, the first one first.
    editors: Box<[Upstream]>,
    /// The plan of shared publishers; a sole writer has its own.
    gate: Mutex<Gate>,
    /// Sequences that were skipped; raised before the slot says so (R13).
    holes: AtomicU64,
    /// The places of the events, if the ring shares a sequencer.
    places: Option<Places>,
    /// The ring that goes on where this one ends.
    successor: OnceCell<Arc<Self>>,
    /// What was missed, if anybody wants it.
    marks: OnceCell<Marks<T>>,
}

impl<T> Ring<T> {
    /// A ring by itself, or one of those that share a sequencer.
    pub(crate) fn new(
        shape: Shape,
        barrier: Barrier,
        sequencer: Option<&Arc<Sequencer>>,
    ) -> Arc<Self> {
        Arc::new(Self::unshared(shape, barrier, sequencer))
    }

    fn unshared(shape: Shape, barrier: Barrier, sequencer: Option<&Arc<Sequencer>>) -> Self {
        let Shape {
            capacity,
            slots,
            first,
        } = shape;
        debug_assert!(capacity.is_power_of_two() && slots.is_power_of_two() && capacity <= slots);
        // Slot `i` first serves the sequence of the first lap that is `i` modulo `slots`.
        let lap_before = |index: u64| {
            let first_turn = first + (index.wrapping_sub(first) & (slots - 1));
            first_turn.wrapping_sub(slots)
        };
        Self {
            slots: (0..slots)
                .map(|index| Slot::new(lap_before(index)))
                .collect(),
            shape,
            barrier,
            closed: CachePadded::new(AtomicBool::new(false)),
            end: AtomicU64::new(u64::MAX),
            tail: Tail::new(first),
            horizon: AtomicU64::new(first),
            members: Members::new(slots),
            editors: Box::default(),
            gate: Mutex::new(Gate::new(first)),
            holes: AtomicU64::new(0),
            places: sequencer.map(|sequencer| Places::new(sequencer, slots, first)),
            successor: OnceCell::new(),
            marks: OnceCell::new(),
        }
    }

    /// The next sequence to be claimed.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.tail.claimed()
    }

    /// Sequences that carry no event.
    pub(crate) fn holes(&self) -> u64 {
        self.holes.load(Ordering::Relaxed)
    }

    /// To be called before the stamps of the holes say so (R13).
    fn count_holes(&self, holes: u64) {
        self.holes.fetch_add(holes, Ordering::Relaxed);
    }

    /// Refuses every later claim; readers end where the last accepted claim ended.
    pub(crate) fn close(&self) {
        let end = self.refuse_claims();
        self.set_end(end);
    }

    /// Refuses every later claim; tells where the last accepted one ends.
    ///
    /// A claim that this barrier does not show to `tail` will see `closed`, and be skipped; so the end covers
    /// every claim that is carried out (edge `close`).
    fn refuse_claims(&self) -> u64 {
        self.closed.store(true, Ordering::Relaxed);
        // ORDERING: edge `close`. Pairs with the barrier in `is_closed_after_claim`.
        self.barrier.heavy();
        self.tail.claimed()
    }

    fn set_end(&self, end: u64) {
        // ORDERING: edge `end`. Pairs with the load in `end`. Two closers may have read different tails;
        // both cover every claim that is carried out, and the first to come here decides.
        let _ = self
            .end
            .compare_exchange(u64::MAX, end, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Must be asked after the claim, which `Ring::close` must not miss.
    #[inline(always)]
    fn is_closed_after_claim(&self) -> bool {
        // ORDERING: edge `close`. Pairs with the barrier in `refuse_claims`.
        self.barrier.light();
        self.closed.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    #[inline]
    fn end(&self) -> u64 {
        // ORDERING: edge `end`. Pairs with the exchange in `set_end`.
        self.end.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn index(&self, sequence: u64) -> u64 {
        sequence & (self.shape.slots - 1)
    }

    #[inline(always)]
    fn slot(&self, sequence: u64) -> &Slot<T> {
        // The length is a power of two, so this is `index`, in the form that needs no bounds check but
        // for an empty ring.
        &self.slots[sequence as usize & (self.slots.len() - 1)]
    }

    #[inline]
    fn is_done(&self, sequence: u64) -> bool {
        self.slot(sequence).stamp().is_done(sequence)
    }

    fn lock_gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock()
    }

    /// Sequences from `from` to before `to` that are not known to be holes; only the last lap is known, and
    /// nothing of what came before this ring.
    fn events_between(&self, from: u64, to: u64) -> u64 {
        if self.holes() == 0 {
            // A hole counts before its stamp says so (R13).
            return to.saturating_sub(from);
        }
        let lap = to.saturating_sub(self.shape.slots).max(self.shape.first);
        let known = from.max(lap);
        let holes = (known..to)
            .filter(|&sequence| self.slot(sequence).stamp().is_hole(sequence))
            .count();
        to.saturating_sub(from) - holes as u64
    }
}
