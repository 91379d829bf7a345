//! Events that a member has missed, until they leave the ring.

use std::fmt;

use super::Ring;
use crate::sync::{Arc, AtomicU64, Ordering, contain};

/// For each slot the missed event whose value it has: `{ sequence + 1 }`, 0 for none.
///
/// A plan that pushes a member marks what the member loses, before it lets anybody write there (edge `stop`), and
/// finds the stamps of those events; so a mark is of the slot's value (R16). Whoever replaces the value takes the
/// mark, before the stamp says so (edge `publish`).
pub(super) struct Marks<T> {
    words: Box<[AtomicU64]>,
    left: Leftovers<T>,
}

/// Gets the missed events, and their sequences, that are left when the ring goes.
pub(crate) type Leftovers<T> = Arc<Box<dyn Fn(T, u64) + Send + Sync>>;

impl<T> Marks<T> {
    fn new(slots: u64, left: Leftovers<T>) -> Self {
        Self {
            words: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            left,
        }
    }
}

impl<T> fmt::Debug for Marks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").finish_non_exhaustive()
    }
}

impl<T> Ring<T> {
    /// Has every event that is missed marked. To be called once, before anybody publishes; all publishers
    /// then [`replace`](Self::replace) events.
    pub(crate) fn mark_missed(&self, left: Leftovers<T>) {
        if self.marks.set(Marks::new(self.shape.slots, left)).is_err() {
            unreachable!("marks are made once");
        }
    }

    /// Marks the events of `from..to` that a plan takes from a member; called where the plan is made.
    pub(super) fn note_missed(&self, from: u64, to: u64) {
        let Some(marks) = self.marks.get() else {
            return;
        };
        // What comes before may be overwritten at this moment. It was nobody's: only a member that is about to
        // join, with what comes later, has its cursor there.
        let claimed = self.tail.claimed().max(self.tail.limit());
        let from = from.max(claimed.saturating_sub(self.shape.slots));
        for sequence in from..to {
            if self.slot(sequence).stamp().is_event(sequence) {
                let word = &marks.words[self.index(sequence) as usize];
                word.store(sequence + 1, Ordering::Relaxed);
            }
        }
    }

    /// Takes the mark off a slot that is about to be written; tells which event was missed.
    pub(super) fn take_mark(&self, sequence: u64) -> Option<u64> {
        let word = &self.marks.get()?.words[self.index(sequence) as usize];
        let missed = word.load(Ordering::Relaxed).checked_sub(1);
        if missed.is_some() {
            word.store(0, Ordering::Relaxed);
        }
        missed
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let Some(Marks { words, left }) = self.marks.get() else {
            return;
        };
        let marks = words.iter().map(|word| word.load(Ordering::Relaxed));
        let mut missed: Vec<u64> = marks.filter_map(|mark| mark.checked_sub(1)).collect();
        missed.sort_unstable();
        let slots = self.shape.slots;
        for sequence in missed {
            let slot = &mut self.slots[(sequence & (slots - 1)) as usize];
            if let Some(event) = slot.empty() {
                // User code, whose panic would keep the rest from their drop.
                contain(|| left(event, sequence));
            }
        }
    }
}
