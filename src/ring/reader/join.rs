//! Joining: where a membership starts.

use super::lossy::MAX_CLAIM;
use super::{Account, Policy, Reader};
use crate::ring::Ring;
use crate::ring::member::{Cursor, Member, Standing};
use crate::ring::members::Seat;
use crate::ring::upstream::Upstreams;
use crate::sync::{Arc, Ordering, thread_id};

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

impl<T> Ring<T> {
    /// Lets a member take its empty seat, and finds the start that `origin` asks for; the cursor is left at
    /// the anchor, which comes first.
    pub(in crate::ring) fn enter(
        &self,
        member: &Member,
        standing: Standing,
        misses: bool,
        origin: Origin,
    ) -> (u64, Result<u64, RefusedJoin>) {
        // Be seen, then look where it is safe to start. What is claimed after the close is refused, and takes
        // nothing from what was before.
        let claimed = || self.tail.claimed().min(self.end());
        let oldest = |from: u64| from.max(claimed().saturating_sub(self.shape.capacity));
        let anchor = match origin {
            Origin::Now => claimed(),
            _ => oldest(self.horizon.load(Ordering::Relaxed)),
        };
        member.enter_to(misses, Cursor::new(anchor, standing), thread_id());
        // ORDERING: edge `join`. Pairs with the barrier in `plan`: a plan that did not see the member announced
        // its horizon and its tail before this thread's second look.
        self.barrier.heavy();
        let tail = claimed();
        let horizon = self.horizon.load(Ordering::Relaxed);
        let lowest = oldest(anchor.max(horizon)).min(tail);
        let start = match origin {
            Origin::Now => Ok(tail),
            Origin::Newest => Ok(self.newest_before(tail, lowest)),
            Origin::Oldest(None) => Ok(lowest),
            Origin::Oldest(Some(keep)) => Ok(self.last_events(keep, tail, lowest)),
            Origin::At(wanted) if wanted > tail => Err(RefusedJoin::NotYet(tail)),
            Origin::At(wanted) if wanted < lowest => Err(RefusedJoin::Overwritten(lowest)),
            Origin::At(wanted) => Ok(wanted),
        };
        (anchor, start)
    }

    /// The newest finished event in `from..to`.
    pub(in crate::ring) fn newest_in(&self, from: u64, to: u64) -> Option<u64> {
        (from..to)
            .rev()
            .find(|&sequence| self.slot(sequence).stamp().is_event(sequence))
    }

    /// The newest event before `tail`. When there is none from `lowest` on: the first one that is on its way,
    /// as the event before it can no longer be joined; `tail` when there are only holes.
    fn newest_before(&self, tail: u64, lowest: u64) -> u64 {
        self.newest_in(lowest, tail)
            .or_else(|| {
                (lowest..tail).find(|&sequence| !self.slot(sequence).stamp().is_hole(sequence))
            })
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
        // What the others lose they do without, or are told by their end.
        let misses = policy == Policy::Lossy;
        // Nobody is a ring behind before there is a start to be behind of: until then publishers push, and end
        // nothing.
        let entering = if policy == Policy::Lossless {
            standing
        } else {
            Standing::Pushable
        };
        let (anchor, start) = ring.enter(seat.member(), entering, misses, origin);

        let mut reader = Self::in_seat(ring, seat, policy, max_claim, anchor);
        // On a refusal the reader is dropped, which gives the seat back.
        reader.start_at(start?, standing);
        // Everybody reads what the editors have left of an event.
        reader.come_after(&ring.editors);
        Ok(reader)
    }

    /// The reader of a seat whose member has entered at `anchor`.
    pub(super) fn in_seat(
        ring: &Arc<Ring<T>>,
        seat: Seat,
        policy: Policy,
        max_claim: u64,
        anchor: u64,
    ) -> Self {
        Self {
            ring: Arc::clone(ring),
            seat,
            policy,
            max_claim,
            next: anchor,
            end: anchor,
            base: anchor,
            holes: 0,
            limit: u64::MAX,
            vouched_from: u64::MAX,
            fence: u64::MAX,
            upstreams: Upstreams::default(),
            behind: false,
            edits: false,
            lost: 0,
            expelled: false,
            let_go: false,
            alarm: None,
            account: Account::default(),
            thread: 0,
        }
    }

    /// Moves the cursor from the anchor to where the membership starts.
    pub(super) fn start_at(&mut self, start: u64, standing: Standing) {
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
            assert_ne!(
                cursor.standing(),
                Standing::Gone,
                "nobody is taken out before it has joined"
            );
            self.lost = self.lost_before(cursor.next());
            // A push since the load would make the count another's.
            let start = cursor.next().max(start);
            if self.member().try_move(cursor, Cursor::new(start, standing)) {
                return start;
            }
        }
    }
}
