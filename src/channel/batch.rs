//! Several events at once, by reference.

use std::fmt;
use std::iter::FusedIterator;

use super::conflate::Scratch;
use crate::ring::Events;

/// What a subscriber's filter is kept as.
pub(crate) type Filter<T> = Box<dyn FnMut(&T) -> bool + Send>;

/// What a subscriber knows of an event besides the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// The event's place in the topic's order. Sequences grow, and may have gaps.
    pub sequence: u64,
    /// Events that this subscriber missed since the last one it was given: overwritten ones, and with
    /// [`Overflow::Latest`](crate::Overflow::Latest) skipped ones. Always 0 for a lossless subscriber, but for
    /// those that conflation by key has passed over.
    pub missed: u64,
}

/// The events of one [`poll_batch`](crate::Subscriber::poll_batch), oldest first.
///
/// Each event that is taken from it is done with when the closure returns; the others stay with the
/// subscriber. A batch that is leaked keeps them too, but for the first one where that had to be looked at to
/// know that there is one: behind a filter or a gap, or by a lossy subscriber.
pub struct Batch<'a, T> {
    pub(super) events: Events<'a, T>,
    pub(super) filter: Option<&'a mut Filter<T>>,
    pub(super) first: Option<(&'a T, Meta)>,
    pub(super) left: usize,
    pub(super) taken: usize,
    pub(super) scratch: Option<&'a mut Scratch>,
}

impl<'a, T> Batch<'a, T> {
    /// A batch of up to `max` events; `None` when the filter leaves none.
    pub(crate) fn new(
        events: Events<'a, T>,
        filter: Option<&'a mut Filter<T>>,
        max: usize,
    ) -> Option<Self> {
        let mut batch = Self {
            events,
            filter,
            first: None,
            left: max,
            taken: 0,
            scratch: None,
        };
        batch.look_along();
        if batch.events.has_run() {
            // Nothing is taken to know that there is something: a batch that is leaked keeps all.
            return Some(batch);
        }
        batch.first = Some(batch.take_next()?);
        Some(batch)
    }

    /// Lends memory for [`latest_by`](Self::latest_by), to be kept from one batch to the next.
    pub(crate) fn with_scratch(mut self, scratch: &'a mut Scratch) -> Self {
        self.scratch = Some(scratch);
        self
    }

    /// Events missed before the first one, if nothing was taken yet.
    pub(crate) fn missed(&self) -> u64 {
        self.first.map_or(0, |(_, meta)| meta.missed)
    }

    /// How many events were taken from it.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    #[inline(always)]
    fn take_next(&mut self) -> Option<(&'a T, Meta)> {
        // The frequent case. It is shorter than what is left.
        if let Some((event, sequence)) = self.events.next_of_run() {
            self.left -= 1;
            return Some((
                event,
                Meta {
                    sequence,
                    missed: 0,
                },
            ));
        }
        self.take_behind_run()
    }

    #[inline(never)]
    fn take_behind_run(&mut self) -> Option<(&'a T, Meta)> {
        let taken = self.take_any();
        if taken.is_some() {
            self.look_along();
        }
        taken
    }

    /// Looks how many more events there are in a row, to be taken without a further look.
    fn look_along(&mut self) {
        if self.filter.is_none() {
            self.events.look_along(self.left as u64);
        }
    }

    fn take_any(&mut self) -> Option<(&'a T, Meta)> {
        while self.left > 0 {
            let Some((event, sequence)) = self.events.next_ref() else {
                // What comes now is not of this batch: who has seen its end is not shown more of it.
                self.left = 0;
                return None;
            };
            self.left -= 1;
            if self.filter.as_mut().is_none_or(|filter| filter(event)) {
                let missed = self.events.account().take_missed();
                return Some((event, Meta { sequence, missed }));
            }
            self.events.account().refuse();
        }
        None
    }
}

impl<'a, T> Iterator for Batch<'a, T> {
    type Item = (&'a T, Meta);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.first.take().or_else(|| self.take_next());
        self.taken += usize::from(next.is_some());
        next
    }

    /// Also behind `for_each`, `map`, `sum` and their kin. Between the events nothing else is looked at, so that it
    /// is twice as fast as a loop over `next`.
    #[inline]
    fn fold<B, F>(mut self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Self::Item) -> B,
    {
        let mut folded = Some(init);
        let mut fold = |item| folded = folded.take().map(|before| f(before, item));
        if let Some(first) = self.first.take() {
            fold(first);
        }
        loop {
            let shown = self.events.show_rest(|event, sequence| {
                let missed = 0;
                fold((event, Meta { sequence, missed }));
            });
            self.left -= shown as usize;
            self.look_along();
            if !self.events.has_run() {
                // A hole, a loss, a filter; or the end.
                let Some(item) = self.take_any() else { break };
                fold(item);
                self.look_along();
            }
        }
        folded.expect("it is given back each time")
    }
}

/// Once it is empty nothing that is published later gets into it.
impl<T> FusedIterator for Batch<'_, T> {}

impl<T> Drop for Batch<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // It was looked up to know that there is one, and nobody took it.
        if let Some((_, meta)) = self.first.take() {
            self.events.give_back(meta.sequence, meta.missed);
        }
    }
}

impl<T> fmt::Debug for Batch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}
