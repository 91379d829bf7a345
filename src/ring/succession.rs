//! A ring that goes on where another one ends, for topics that grow.
//!
//! The ring that is full is closed, which fixes its end, and the larger one starts there. Its slots, its tail
//! and its gate are its own; what ties the two together is the members. Each has a seat in the new ring
//! before that takes its first claim, so publishers there wait for it, push it and count what it loses as they
//! do with any other; it reads the old ring to its end and goes on from that seat.
//!
//! ```text
//! old ring   ... read | unread ........... | end
//!                     ^ reader
//! successor                                | first, published ..... | tail
//!                              ^ reserved seat: as far before `first` as there are unread events
//! ```
//!
//! A gating member that still reads in an older ring does not move its reserved seat; a publisher that
//! finds the seat in its way [looks behind](Ring::look_behind) for how far the member has come.

use super::Ring;
use super::Shape;
use super::member::{Cursor, Member, Standing};
use super::members::Seat;
use super::reader::{Found, MAX_CLAIM, Policy, Reader};
use crate::sync::{Arc, Ordering};

/// A member's seat in the ring that follows the one it reads.
#[derive(Clone, Debug)]
pub(crate) struct Reserved {
    seat: Seat,
    /// Slots it may pin there; `None` for a gating member.
    claim: Option<u64>,
}

/// Where a member joined: the ring, and its seat there.
pub(crate) type Joined<'a, T> = (&'a Ring<T>, &'a Seat);

impl Reserved {
    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// Gives the seat back before its member has come to it.
    fn leave<T>(&self, ring: &Ring<T>) {
        let pushed_to = self.seat.leave(ring.shape.first);
        // Nobody counts what a gating member loses, so nobody is to be waited for.
        let pushed_to = self.claim.and(pushed_to);
        ring.members
            .give_back(self.seat.clone(), self.claim, pushed_to);
    }
}

impl<T> Ring<T> {
    pub(crate) fn capacity(&self) -> u64 {
        self.shape.capacity
    }

    /// The ring that goes on where this one ends.
    pub(crate) fn successor(&self) -> Option<&Arc<Self>> {
        self.successor.get()
    }

    /// The one that no other follows: this one, unless it has ended.
    pub(crate) fn last(&self) -> &Self {
        let mut last = self;
        while let Some(successor) = last.successor() {
            last = successor;
        }
        last
    }

    /// Sequences that carry no event, in this ring and in those that follow.
    pub(crate) fn all_holes(&self) -> u64 {
        match self.successor() {
            // Claims behind the end have become holes too, and their sequences are the successor's.
            Some(successor) => {
                let behind = self.next_sequence() - successor.shape.first;
                self.holes().saturating_sub(behind) + successor.all_holes()
            }
            None => self.holes(),
        }
    }

    /// The ring that follows, and the seat that the member of `seat` has there.
    pub(super) fn next_of<'a>(&'a self, seat: &'a Seat) -> Option<(&'a Arc<Self>, &'a Reserved)> {
        Some((self.successor()?, seat.reserved()?))
    }

    /// Ends this ring and makes one of another shape that goes on where it ends, with a seat for each of the
    /// members that `joined`, which are all. Claims in flight are carried out.
    ///
    /// The caller sees to it that nobody joins, none of these members leaves and nobody closes the ring
    /// meanwhile, and that a sole writer of it is not in the middle of a claim.
    pub(crate) fn succeed<'a>(
        &'a self,
        shape: Shape,
        joined: impl Iterator<Item = Joined<'a, T>> + Clone,
    ) -> Arc<Self> {
        debug_assert!(shape.slots >= self.shape.slots);
        {
            // No plan is under way, and none will be made: nobody is pushed any more.
            let _gate = self.lock_gate();
            self.closed.store(true, Ordering::Relaxed);
            self.tail.stop_all();
        }
        let end = self.refuse_claims();
        let successor = Self::new(
            Shape {
                first: end,
                ..shape
            },
            self.barrier,
            None,
        );
        for joined in joined.clone() {
            reserve(joined, &successor);
        }
        // ORDERING: edge `ahead`. Pairs with the barrier in `note_thread_ahead`: a reader on a new thread notes
        // that in its seat, then in those reserved for it; this looks the other way round.
        self.barrier.heavy();
        for (ring, seat) in joined {
            let (_, here) = reading(ring, seat);
            // One that a reader has noted there is as new, or newer.
            last_seat(seat)
                .member()
                .note_earlier_reader(here.member().reader());
        }
        if self.successor.set(Arc::clone(&successor)).is_err() {
            unreachable!("a ring is succeeded once");
        }
        // Last: whoever sees the end looks for what follows.
        self.set_end(end);
        successor
    }

    /// Moves the gating seats of this ring up to where their members have come in older rings; tells whether
    /// that has brought anything.
    ///
    /// The caller sees to it that none of these members leaves meanwhile.
    pub(crate) fn look_behind<'a>(&'a self, joined: impl Iterator<Item = Joined<'a, T>>) -> bool {
        let mut news = false;
        for (ring, seat) in joined {
            let (ring, here) = reading(ring, seat);
            let reserved = last_seat(seat).member();
            let before = reserved.cursor();
            if std::ptr::eq(ring, self) || before.standing() != Standing::Gating {
                continue;
            }
            let now = stand_in(ring, here, self.shape.first);
            // When the member has come here in the meantime, it says itself where it is.
            news |= before.next() < now
                && reserved.try_move(before, Cursor::new(now, Standing::Gating));
        }
        news
    }

    /// Events from `from` on in this ring, and from its reserved seats on in those that follow, before
    /// `until`, for the member of `seat`.
    pub(super) fn events_from(&self, from: u64, seat: &Seat, until: u64) -> u64 {
        let end = until.min(self.next_sequence()).min(self.end());
        let here = self.events_between(from, end);
        match self.next_of(seat) {
            Some((ring, Reserved { seat, .. })) => {
                let from = seat.member().cursor().next().max(ring.shape.first);
                here + ring.events_from(from, seat, until)
            }
            None => here,
        }
    }

    /// Whether the member of a reserved `seat` would find something here before `limit`.
    fn is_ready_for(&self, seat: &Seat, policy: Policy, limit: u64) -> bool {
        let cursor = seat.member().cursor();
        if cursor.standing() == Standing::Gone {
            return true;
        }
        let mut next = cursor.next().max(self.shape.first);
        while next < limit && self.slot(next).stamp().is_done(next) {
            // Holes alone are no reason to look, but for a reader that publishers wait for.
            if policy == Policy::Lossless || self.slot(next).stamp().is_event(next) {
                return true;
            }
            next += 1;
        }
        next >= self.end()
            && self
                .next_of(seat)
                .is_none_or(|(ring, reserved)| ring.is_ready_for(&reserved.seat, policy, limit))
    }

    /// Whether there is an event between the start of this ring and `limit`.
    fn has_begun(&self, limit: u64) -> bool {
        let mut next = self.shape.first;
        while next < limit && self.slot(next).stamp().is_done(next) {
            if self.slot(next).stamp().is_event(next) {
                return true;
            }
            next += 1;
        }
        false
    }
}

/// The ring that a member reads now, and its seat there.
pub(super) fn reading<'a, T>(mut ring: &'a Ring<T>, mut seat: &'a Seat) -> Joined<'a, T> {
    while seat.member().cursor().standing() == Standing::Gone {
        // Gone from there for good, or only from there.
        let Some((successor, reserved)) = ring.next_of(seat) else {
            break;
        };
        (ring, seat) = (successor, &reserved.seat);
    }
    (ring, seat)
}

fn last_seat(seat: &Seat) -> &Seat {
    seat.and_reserved().last().unwrap_or(seat)
}

impl Seat {
    /// This one, and those that its member has in the rings that follow.
    fn and_reserved(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |&seat| seat.reserved().map(Reserved::seat))
    }

    pub(super) fn in_all_rings(&self) -> impl Iterator<Item = &Member> {
        self.and_reserved().map(Self::member)
    }
}

/// Gives a member that has joined an older ring or the last one a seat in `successor`.
fn reserve<T>((ring, seat): Joined<'_, T>, successor: &Ring<T>) {
    let last = last_seat(seat);
    let member = last.member();
    let first = successor.shape.first;
    let standing = member.cursor().standing();
    let (reserved, next) = match standing {
        // Publishers have ended the membership, which the reader will be told there.
        Standing::Gone => return,
        Standing::Gating => {
            let (ring, here) = reading(ring, seat);
            let seat = successor.members.seat();
            (Reserved { seat, claim: None }, stand_in(ring, here, first))
        }
        Standing::Pushable | Standing::Expendable => {
            let (seat, claim) = successor
                .members
                .lossy_seat(MAX_CLAIM)
                .expect("a successor has room for every lossy member");
            let claim = Some(claim);
            (Reserved { seat, claim }, first)
        }
    };
    let there = reserved.seat.member();
    there.enter(Cursor::new(next, standing), member.opener.get());
    there.joined.set(member.joined.get());
    last.reserve(reserved);
}

/// Where a gating member that reads at `seat` stands in a ring that starts with `first`: as far before that
/// as it has events to read.
fn stand_in<T>(ring: &Ring<T>, seat: &Seat, first: u64) -> u64 {
    let cursor = seat.member().cursor();
    // It may be on its way to the next ring just now, and then has read this one.
    let next = match cursor.standing() {
        Standing::Gating => cursor.next().max(ring.shape.first),
        _ => ring.end(),
    };
    first.saturating_sub(ring.events_from(next, seat, first))
}

impl<T> Reader<T> {
    /// Tells what there is in the rings that follow, for a reader that has read this one to its end.
    #[cold]
    pub(super) fn find_ahead(&mut self, max: u64) -> Found {
        if self.move_over() {
            self.find(max)
        } else {
            Found::Closed
        }
    }

    /// Whether it has taken nothing from its ring, and so may have come there just now.
    pub(crate) fn is_at_start(&self) -> bool {
        self.next == self.ring.shape.first
    }

    /// Goes on in the ring that follows if this one is read to its end, for a lossless reader.
    pub(crate) fn go_on(&mut self) -> bool {
        self.policy == Policy::Lossless && self.next >= self.ring.end() && self.move_over()
    }

    /// Goes on in the ring that follows, if there is one and the membership goes on there. The reader has
    /// read this one to its end.
    fn move_over(&mut self) -> bool {
        let Some((ring, reserved)) = self.ring.next_of(&self.seat) else {
            return false;
        };
        let (ring, Reserved { seat, claim }) = (Arc::clone(ring), reserved.clone());
        let first = ring.shape.first;
        let at = match self.policy {
            Policy::Lossless => self.next,
            _ => self.member().cursor().next(),
        };
        if self.policy != Policy::Lossless {
            // Perhaps over holes, just before the end was there; nobody is pushed any more.
            let lost = self.lost_before(at);
            self.note_loss(lost);
            self.raise_missed(lost);
            self.count_anew();
        }
        // What publishers did at the old seat is in the reader's account from now on.
        let old = self.member();
        let pushed_over = old.pushed_over.get() - old.pushed_over_before_joining.get();
        let lost = old.lost() - old.lost_before_joining.get();
        let joined = old.joined.get();
        // Between the cursor and the end there are only holes; it may also have passed some behind the end.
        self.account.holes = self.account.holes + pushed_over + first - at;
        self.account.conflated += lost;
        let old = std::mem::replace(&mut self.seat, seat);
        self.ring = ring;
        self.max_claim = claim.unwrap_or(0);
        (self.next, self.end, self.base) = (first, first, first);
        (self.holes, self.lost) = (0, 0);
        self.publish_account();
        let member = self.member();
        member.joined.set(joined);
        member.note_reader(self.thread);
        if self.policy == Policy::Lossless {
            member.advance(first);
        }
        old.member().leave();
        true
    }

    /// Whether publishers have come so far in the rings that follow that what is left in this one is not to
    /// be taken: a lossy reader has lost it, one that takes the newest skips it.
    #[cold]
    pub(super) fn is_overtaken(&self, from: u64) -> bool {
        // What is still being written is waited for, so that what is given up is counted exactly.
        if from >= self.ring.end() || !(from..self.ring.end()).all(|next| self.is_done(next)) {
            return false;
        }
        let (mut ring, mut seat) = (&*self.ring, &self.seat);
        while let Some((successor, reserved)) = ring.next_of(seat) {
            let member = reserved.seat.member();
            // Being pushed over gaps alone takes nothing from it.
            let taken = member.lost() > 0 || member.cursor().standing() == Standing::Gone;
            if taken || self.policy == Policy::Newest && successor.has_begun(self.limit) {
                return true;
            }
            (ring, seat) = (successor, &reserved.seat);
        }
        false
    }

    /// Counts what is left in this ring from `from` on as lost; the cursor has passed it.
    pub(super) fn give_up(&mut self, from: u64) {
        let end = self.ring.end();
        let lost = self.ring.events_between(from, end);
        self.account.missed += lost;
        self.account.conflated += lost;
        self.account.holes += end - from - lost;
        (self.next, self.end) = (end, end);
    }

    /// For a reader at the end of its ring, whether there is something in those that follow.
    #[cold]
    pub(super) fn is_ready_ahead(&self) -> bool {
        self.ring
            .next_of(&self.seat)
            .is_none_or(|(ring, reserved)| {
                ring.is_ready_for(&reserved.seat, self.policy, self.limit)
            })
    }

    /// Notes the thread that reads also where publishers of the rings that follow look for it.
    #[cold]
    pub(super) fn note_thread_ahead(&self) {
        // ORDERING: edge `ahead`. Pairs with the barrier in `succeed`.
        self.ring.barrier.light();
        for member in self.seat.in_all_rings().skip(1) {
            member.note_reader(self.thread);
        }
    }

    /// Leaves the rings that this reader has not come to.
    pub(super) fn leave_reserved(&self) {
        let (mut ring, mut seat) = (&*self.ring, &self.seat);
        while let Some((successor, reserved)) = ring.next_of(seat) {
            reserved.leave(successor);
            (ring, seat) = (successor, &reserved.seat);
        }
    }
}
