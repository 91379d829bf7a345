//! Looking at the newest event, again and again.
#![expect(unsafe_code, reason = "a view reads the slot that its pin protects")]

use super::Ring;
use super::member::{Cursor, Pin, Standing};
use super::members::Seat;
use super::reader::Found;
use crate::sync::{Arc, Ordering, thread_id};

/// A member that shows the newest event without taking it, and the same one until there is a newer one.
///
/// It passes over what is not finished before the newest event, so that an event whose publish has returned
/// is seen whatever other publishers are doing. No publisher waits for it: it is pushed as a lossy reader is,
/// and the one slot that it shows is stepped over. Its numbers are nobody's: it counts nothing.
#[derive(Debug)]
pub(crate) struct View<T> {
    ring: Arc<Ring<T>>,
    seat: Seat,
    /// Where this view left its cursor.
    cursor: u64,
    /// The event under the pin, which stays there between two calls.
    shown: Option<u64>,
}

/// The one slot that a view pins.
const CLAIM: u64 = 1;

impl<T> View<T> {
    /// Joins a ring; or tells how many lossy members it takes, when it takes no more.
    pub(crate) fn open(ring: &Arc<Ring<T>>) -> Result<Self, u64> {
        let (seat, _) = ring.members.lossy_seat(CLAIM)?;
        let member = seat.member();
        let anchor = ring.horizon.load(Ordering::Relaxed);
        member.enter(Cursor::new(anchor, Standing::Pushable), thread_id());
        let mut view = Self {
            ring: Arc::clone(ring),
            seat,
            cursor: anchor,
            shown: None,
        };
        // ORDERING: edge `join`. Pairs with the barrier in `plan`: a plan that did not see the member overwrites
        // nothing from the horizon on that this thread's second look shows.
        ring.barrier.heavy();
        // ORDERING: edge `horizon`. Pairs with the store in `announce_horizon`: what was claimed before that
        // plan is seen, and with it an event that is not before the horizon (R10).
        let horizon = ring.horizon.load(Ordering::Acquire);
        loop {
            let cursor = view.seat.member().cursor();
            if cursor.next() >= horizon || view.move_to(cursor, horizon) {
                return Ok(view);
            }
        }
    }

    /// Shows the newest event and its sequence to `f`; `None`, without a call, if there is none.
    ///
    /// What was shown once is shown again, or a newer one. On a ring of which R10 holds, an event whose
    /// publish has returned is never missing.
    pub(crate) fn show<R>(&mut self, f: impl FnOnce(&T, u64) -> R) -> Option<R> {
        self.catch_up();
        let sequence = self.shown?;
        // SAFETY: the stamp of this event was seen before the claim (R2). The slot is pinned since before the
        // cursor passed it, and until `catch_up` or the drop moves the pin, which needs `&mut self` (R5).
        Some(unsafe { self.ring.slot(sequence).read(|event| f(event, sequence)) })
    }

    /// What there is beyond `sequence`: something newer, nothing yet, or nothing ever.
    ///
    /// Claims nothing, so that it may be asked again and again. A publisher that changes the answer while
    /// this looks notifies afterwards.
    pub(crate) fn look_beyond(&self, sequence: u64) -> Found {
        let end = self.ring.end();
        let from = self.seat.member().cursor().next();
        // The end covers every claim that is carried out, and what is not done before it is still coming.
        // Looked at first, so that what was coming until now is found below.
        let over = end != u64::MAX
            && (from..end).all(|sequence| self.ring.slot(sequence).stamp().is_done(sequence));
        let newest = self.find_newer().1.or(self.shown);
        if newest.is_some_and(|newest| newest > sequence) {
            Found::Some
        } else if over {
            Found::Closed
        } else {
            Found::Empty
        }
    }

    /// Claims the newest event, if it is not the one that is shown already.
    fn catch_up(&mut self) {
        while let (cursor, Some(newest)) = self.find_newer() {
            // Pinned first, claimed second (R5). The pin leaves what it protected.
            self.shown = None;
            self.seat
                .member()
                .set_pin(Pin::new(self.ring.index(newest), CLAIM));
            if self.move_to(cursor, newest + 1) {
                self.shown = Some(newest);
                return;
            }
            // A publisher has pushed the cursor, so there is something newer.
        }
    }

    /// The newest event that the cursor has not passed.
    fn find_newer(&self) -> (Cursor, Option<u64>) {
        loop {
            let cursor = self.seat.member().cursor();
            // What is claimed after the close is refused.
            let to = self.ring.next_sequence().min(self.ring.end());
            let newest = self.ring.newest_in(cursor.next(), to);
            if newest.is_some() || self.seat.member().cursor() == cursor {
                return (cursor, newest);
            }
            // What there was has been overwritten while this looked, which a push comes before.
        }
    }

    fn move_to(&mut self, from: Cursor, next: u64) -> bool {
        let moved = self
            .seat
            .member()
            .try_move(from, Cursor::new(next, Standing::Pushable));
        if moved {
            self.cursor = next;
        }
        moved
    }
}

impl<T> Drop for View<T> {
    fn drop(&mut self) {
        let pushed_to = self.seat.leave(self.cursor);
        self.ring
            .members
            .give_back(self.seat.clone(), Some(CLAIM), pushed_to);
    }
}
