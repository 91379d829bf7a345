//! Lossy reading: claims under a pin, of what publishers have left.

use super::{Found, Policy, Reader};
use crate::ring::member::{Cursor, Pin, Standing};
use crate::sync::Backoff;

/// Claims fit the bits of `Reader::holes`.
pub(in crate::ring) const MAX_CLAIM: u64 = u64::BITS as u64;

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

impl<T> Reader<T> {
    /// Events that publishers took before `next`, where the cursor is. The publisher that pushed it there
    /// counts them two stores later; until then this waits.
    pub(in crate::ring) fn lost_before(&self, next: u64) -> u64 {
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

    pub(super) fn is_ready_lossy(&self, limit: u64) -> bool {
        if self.next < self.end {
            return true;
        }
        let cursor = self.member().cursor();
        let gone = cursor.standing() == Standing::Gone;
        let mut next = cursor.next();
        // Holes alone are no reason to look.
        while next < limit && self.is_done(next) {
            if self.ring.slot(next).stamp().is_event(next) {
                return true;
            }
            next += 1;
        }
        gone || next >= self.ring.end() && self.is_ready_ahead()
    }

    pub(super) fn find_lossy(&mut self, max: u64) -> Found {
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
            let lost = if from == self.end {
                self.lost
            } else {
                self.overtaken(from)
            };
            if cursor.standing() == Standing::Gone {
                self.expelled = true;
                self.note_loss(lost);
                (self.next, self.end) = (from, from);
                self.publish_account();
                let missed = self.account.take_missed();
                self.raise_expelled(missed);
                return Found::Expelled(missed);
            }
            if self.ring.end() != u64::MAX && self.is_overtaken(from) {
                // A publisher may have pushed it since the look, and counted what it took.
                let end = Cursor::new(self.ring.end(), cursor.standing());
                if !self.member().try_move(cursor, end) {
                    continue;
                }
                self.note_loss(lost);
                self.give_up(from);
                return Found::Closed;
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
                self.let_go = true;
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
    pub(in crate::ring) fn note_loss(&mut self, lost: u64) {
        let taken = lost - self.lost;
        self.account.missed += taken;
        self.lost = lost;
    }

    /// Passes over the holes at the start of a claim.
    #[inline]
    pub(super) fn pass_holes(&mut self) {
        while self.next < self.end && (self.holes >> (self.next - self.base)) & 1 != 0 {
            self.next += 1;
            self.account.holes += 1;
        }
    }

    /// Events left in the claim.
    pub(super) fn claimed(&self) -> u64 {
        (self.next..self.end)
            .filter(|sequence| (self.holes >> (sequence - self.base)) & 1 == 0)
            .count() as u64
    }

    pub(super) fn unpin(&mut self) {
        if self.member().pin() != Pin::NONE {
            self.member().set_pin(Pin::NONE);
        }
    }
}
