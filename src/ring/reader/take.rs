//! Taking values out of the ring, instead of reading them there.
#![expect(
    unsafe_code,
    reason = "a value is moved out of a slot that its owner passes with that"
)]

use std::fmt;
use std::mem::ManuallyDrop;

use super::Reader;

/// A value on its way to whoever takes it out of the ring.
///
/// It does not drop what it holds: a slot that is written again, or goes with its ring, has nothing to do for a
/// value that was taken. So whoever makes a ring of parcels sees to it that they are taken.
#[repr(transparent)]
pub(crate) struct Parcel<T>(ManuallyDrop<T>);

// SAFETY: a `&Parcel<T>` gives nobody a `&T`; what several threads can do with one is to wait for the one
// that takes the value (R15), which needs `T: Send`.
unsafe impl<T: Send> Sync for Parcel<T> {}

impl<T> Parcel<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    pub(crate) fn into_value(self) -> T {
        ManuallyDrop::into_inner(self.0)
    }
}

impl<T> fmt::Debug for Parcel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parcel").finish_non_exhaustive()
    }
}

impl<T> Reader<Parcel<T>> {
    /// Takes the next value out, and passes its place; `None` when there is none now.
    ///
    /// Nothing is written to the slot: the reader's cursor alone says that its value is gone, so the line stays
    /// with the publisher that wrote it.
    ///
    /// # Panics
    ///
    /// When the reader is not the only editor of its ring.
    #[inline(always)]
    pub(crate) fn take_out(&mut self) -> Option<T> {
        assert!(
            self.edits && self.ring.editors.len() == 1,
            "only a sole editor may take values out"
        );
        let taken = match self.take() {
            Some(sequence) => {
                let slot = self.ring.slot(sequence);
                // SAFETY: `take` saw the stamp of an event (R2), and publishers are told below that the cursor
                // has passed it, so none writes the slot before (R4).
                let parcel = unsafe { slot.read(std::ptr::from_ref) };
                // SAFETY: the pointer came from a reference just now. This is the only time that this value is
                // moved out: the sole editor passes each sequence once (R15), and the slot does not drop a parcel.
                let parcel = unsafe { parcel.read() };
                Some(parcel.into_value())
            }
            None => None,
        };
        // Nothing above unwinds.
        self.tell_taken();
        taken
    }
}
