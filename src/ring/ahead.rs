//! Looking ahead: what a reader has next on its timeline.

use super::member::Standing;
use super::reader::{Events, Found, Policy, Reader};
use super::sequencer::Places;

/// What comes next for a reader of a ring with places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An event, with its place.
    Event(u64),
    /// A publisher has claimed and not filled it; its place is not before this one.
    Coming(u64),
    /// Only holes, which are to be passed.
    Holes,
    Nothing,
    Closed,
    /// The publishers ended the membership, and this many events were lost by it.
    Expelled(u64),
}

impl<T> Reader<T> {
    fn places(&self) -> &Places {
        let places = self.ring.places.as_ref();
        places.expect("only a ring with places is looked ahead in")
    }

    /// What comes next, which a lossy reader then has claimed: up to `max` sequences.
    ///
    /// What is coming has a place that is exact if it is below a [`Sequencer::next`](super::Sequencer::next)
    /// that was read before: the claim has come with that, and a lossless reader's slot is not claimed again.
    /// If it is not below, the place is that of the claim or of an earlier lap.
    pub(crate) fn next_place(&mut self, max: u64) -> Next {
        if self.policy == Policy::Lossless {
            return self.next_place_lossless();
        }
        match self.find(max) {
            Found::Some => Next::Event(self.places().get(self.next)),
            // The slot may be claimed again at any time, and with it the place: it is waited for.
            Found::Empty if self.is_claimed(self.member().cursor().next()) => Next::Coming(0),
            Found::Empty => Next::Nothing,
            Found::Closed => Next::Closed,
            Found::Expelled(missed) => Next::Expelled(missed),
        }
    }

    fn next_place_lossless(&mut self) -> Next {
        loop {
            match self.peek_lossless() {
                // Publishers are told, as they may wait for what the holes take.
                Next::Holes => {
                    self.pass_gap();
                }
                next => return next,
            }
        }
    }

    /// What comes next, claiming nothing; for a lossy reader a guess, as publishers may push it.
    pub(crate) fn peek_place(&self) -> Next {
        if self.policy == Policy::Lossless {
            self.peek_lossless()
        } else {
            self.peek_lossy()
        }
    }

    #[inline]
    fn peek_lossless(&self) -> Next {
        let next = self.next;
        if next < self.limit {
            let stamp = self.ring.slot(next).stamp();
            if stamp.is_event(next) {
                return Next::Event(self.places().get(next));
            }
            if stamp.is_done(next) {
                return Next::Holes;
            }
        }
        if next >= self.ring.end() {
            Next::Closed
        } else if self.is_claimed(next) {
            Next::Coming(self.places().get(next))
        } else {
            Next::Nothing
        }
    }

    fn peek_lossy(&self) -> Next {
        if let Some(claimed) = self.first_claimed() {
            return Next::Event(self.places().get(claimed));
        }
        let cursor = self.member().cursor();
        if cursor.standing() == Standing::Gone {
            return Next::Expelled(0);
        }
        let mut next = cursor.next();
        while next < self.limit && self.is_done(next) {
            if self.ring.slot(next).stamp().is_event(next) {
                return Next::Event(self.places().get(next));
            }
            next += 1;
        }
        if next >= self.ring.end() {
            Next::Closed
        } else if self.is_claimed(next) {
            Next::Coming(0)
        } else {
            Next::Nothing
        }
    }

    /// Whether a publisher has claimed `next`, before the fence.
    fn is_claimed(&self, next: u64) -> bool {
        next < self.limit.min(self.ring.next_sequence())
    }
}

impl<T> Events<'_, T> {
    /// The place of the next event, if it is there; holes before it are passed.
    #[inline]
    pub(crate) fn next_place(&mut self) -> Option<u64> {
        let reader = &mut *self.reader;
        let next = if reader.policy == Policy::Lossless {
            loop {
                match reader.peek_lossless() {
                    Next::Event(_) => break reader.next,
                    Next::Holes => reader.pass_hole(),
                    _ => return None,
                }
            }
        } else {
            reader.first_claimed()?
        };
        Some(reader.places().get(next))
    }
}
