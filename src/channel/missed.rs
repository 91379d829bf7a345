//! Events that a subscriber missed, moved to another topic.

use std::ops::Range;

use super::core::Core;
use super::dead_letters::{LetterCause, Sink};
use super::publish::{self, Announce, Patience, Refusal, Writer};
use super::topic::Topic;
use super::{DeadLetter, PublisherError};
use crate::ring::{Claimed, Leftovers, Replaced, Ring};
use crate::sync::{Arc, contain};

impl<T: Send + Sync + 'static> Topic<T> {
    /// Has what is missed moved to `letters`, of a topic that nobody else has yet.
    pub(crate) fn send_missed_to(
        &self,
        letters: &Topic<DeadLetter<T>>,
    ) -> Result<(), PublisherError> {
        let core = self.core();
        let sink = Arc::new(Sink::of(self.name(), letters)?);
        let last = Arc::clone(&sink);
        // When the ring goes there is nobody left to read a count.
        let left: Leftovers<T> = Arc::new(Box::new(move |event, sequence| {
            last.send(event, sequence, LetterCause::Missed);
        }));
        core.dead_letters.set_missed(sink, left);
        core.observers.set_missed_letters();
        if let Some(ring) = core.ring() {
            core.mark_missed(ring);
        }
        Ok(())
    }
}

impl<T> Core<T> {
    /// Has a new ring mark what is missed, if that is wanted.
    pub(super) fn mark_missed(&self, ring: &Ring<T>) {
        if let Some(left) = self.dead_letters.left() {
            ring.mark_missed(Arc::clone(left));
        }
    }

    /// Does away with a value that has left the ring.
    fn part_with(&self, old: Replaced<T>) {
        match old.missed {
            Some(sequence) => self.dead_letters.deliver_missed(old.event, sequence),
            None => drop(old.event),
        }
    }
}

/// As [`publish::one`], where what was missed is wanted.
#[cold]
#[inline(never)]
pub(super) fn one<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &mut W,
    patience: Patience,
    event: T,
) -> Result<u64, (Refusal, T)> {
    let turn = match publish::turn(core, writer, patience) {
        Ok(turn) => turn,
        Err(refusal) => return Err((refusal, event)),
    };
    let (sequence, old) = writer.ring().replace(turn, event);
    drop(Announce::new::<W>(core));
    // User code, so last.
    if let Some(old) = old {
        core.part_with(old);
    }
    Ok(sequence)
}

/// Fills a claim as `Ring::write_all`, and announces it, where what was missed is wanted.
#[cold]
#[inline(never)]
pub(super) fn fill<'a, T, W: Writer<'a, T>>(
    core: &'a Core<T>,
    writer: &W,
    claimed: Claimed,
    events: &mut impl Iterator<Item = T>,
) -> Option<Range<u64>> {
    // Dropped in the other order, also when `events` unwinds.
    let mut parting = Parting {
        core,
        replaced: core.dead_letters.spare(),
    };
    let _announce = Announce::new::<W>(core);
    writer
        .ring()
        .replace_all(claimed, events, |old| parting.replaced.push(old))
}

/// Does away with what a batch has replaced, also when it unwinds.
struct Parting<'a, T> {
    core: &'a Core<T>,
    replaced: Vec<Replaced<T>>,
}

impl<T> Drop for Parting<'_, T> {
    fn drop(&mut self) {
        for old in self.replaced.drain(..) {
            contain(|| self.core.part_with(old));
        }
        let spare = std::mem::take(&mut self.replaced);
        self.core.dead_letters.set_spare(spare);
    }
}
