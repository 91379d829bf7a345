//! Readers of the latest value of a plain type.

use std::fmt;
use std::marker::PhantomData;

use bytemuck::{AnyBitPattern, NoUninit};

use super::words::{CELLS, Words};
use crate::sync::Arc;

/// Reads the latest value of a [`State`](crate::State) of a plain type; made by
/// [`State::plain_reader`](crate::State::plain_reader).
///
/// It is cheap to clone and shared between threads, takes no place in the ring, and outlives the state: then it
/// shows the last value.
///
/// A value that is just being set may be found here before a [`StateReader`](crate::StateReader) finds it, and
/// is found here by whoever was given it as an event.
///
/// ```
/// use ringbus::Bus;
///
/// let bus = Bus::new();
/// let position = bus.state([0.0_f64, 0.0])?;
/// let reader = position.plain_reader();
///
/// let version = position.set([1.0, 2.0])?;
/// assert_eq!(reader.get(), ([1.0, 2.0], version));
/// assert_eq!(reader.load(), [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PlainReader<T> {
    words: Arc<Words>,
    value: PhantomData<fn() -> T>,
}

impl<T: NoUninit + AnyBitPattern> PlainReader<T> {
    pub(crate) fn of(words: Arc<Words>) -> Self {
        Self {
            words,
            value: PhantomData,
        }
    }

    /// The copy's first state.
    pub(crate) fn first(value: &T, version: u64) -> Words {
        Words::new(CELLS, version, bytemuck::bytes_of(value))
    }

    pub(crate) fn store(words: &Words, version: u64, value: &T) {
        words.store(version, bytemuck::bytes_of(value));
    }

    /// The latest value, and its version.
    ///
    /// Lock-free: it reads again only when eight values were set, or begun to be, while it read one; and a
    /// thread that is stopped while it sets one is in nobody's way.
    #[inline]
    #[must_use]
    pub fn get(&self) -> (T, u64) {
        let mut value = T::zeroed();
        let version = self.words.load(bytemuck::bytes_of_mut(&mut value));
        (value, version)
    }

    /// The latest value.
    ///
    /// Wait-free for types of at most eight bytes: it is one load. For larger ones it is [`get`](Self::get).
    /// Neither of the two goes back, and a `get` after a `load` finds that value or a newer one; but a `load`
    /// after a `get` may still find the value before one that is just being set.
    #[inline]
    #[must_use]
    pub fn load(&self) -> T {
        if size_of::<T>() > size_of::<u64>() {
            return self.get().0;
        }
        let mut value = T::zeroed();
        self.words.load_first(bytemuck::bytes_of_mut(&mut value));
        value
    }
}

impl<T> Clone for PlainReader<T> {
    fn clone(&self) -> Self {
        Self {
            words: Arc::clone(&self.words),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for PlainReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainReader")
            .field("value", &std::any::type_name::<T>())
            .finish_non_exhaustive()
    }
}
