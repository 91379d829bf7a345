//! A value that others take the place of.

use super::{AtomicUsize, OnceCell, Ordering};

/// A few values, one after the other; each is kept, and the last one is found at once.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    values: Box<[OnceCell<T>]>,
    /// How many are set. A reader that sees a number before the value sees no value yet, and finds it by
    /// whatever tells it that it is late.
    count: AtomicUsize,
}

impl<T> Latest<T> {
    /// With room for `most` values.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            values: (0..most).map(|_| OnceCell::new()).collect(),
            count: AtomicUsize::new(0),
        }
    }

    /// The last value; perhaps one that another has just taken the place of, or none yet, unless the caller
    /// keeps others from pushing.
    pub(crate) fn get(&self) -> Option<&T> {
        let last = self.len().checked_sub(1)?;
        self.values[last].get()
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds a value; callers take turns.
    ///
    /// # Panics
    ///
    /// When there is no room.
    pub(crate) fn push(&self, value: T) {
        let count = self.len();
        if self.values[count].set(value).is_err() {
            unreachable!("values are pushed one at a time");
        }
        self.count.store(count + 1, Ordering::Relaxed);
    }
}
