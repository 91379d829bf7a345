//! Whether a thread is telling something, or holds back what it has to tell.

use std::cell::Cell;
use std::marker::PhantomData;

use super::thread_local;

thread_local! {
    #[allow(
        clippy::missing_const_for_thread_local,
        reason = "the models' thread locals have no const form"
    )]
    static TELLING: Cell<bool> = Cell::new(false);
    #[allow(
        clippy::missing_const_for_thread_local,
        reason = "the models' thread locals have no const form"
    )]
    static HELD: Cell<usize> = Cell::new(0);
}

/// As long as it is there, its thread is in the middle of telling.
#[must_use = "the telling ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct Telling {
    before: bool,
    /// Of this thread.
    not_send: PhantomData<*const ()>,
}

impl Telling {
    pub(crate) fn begin() -> Self {
        // Nothing here fails on a thread whose locals are being destroyed: a cell has no drop.
        let before = TELLING.try_with(|telling| telling.replace(true));
        Self {
            before: before.unwrap_or(true),
            not_send: PhantomData,
        }
    }

    /// Whether the calling thread is in the middle of telling.
    pub(crate) fn is_here() -> bool {
        TELLING.try_with(Cell::get).unwrap_or(true)
    }

    /// What the calling thread has to tell waits, until it lets go as often.
    pub(crate) fn hold() {
        let _ = HELD.try_with(|held| held.set(held.get() + 1));
    }

    pub(crate) fn let_go() {
        let _ = HELD.try_with(|held| held.set(held.get() - 1));
    }

    /// Whether what the calling thread has to tell waits.
    pub(crate) fn is_held() -> bool {
        HELD.try_with(Cell::get).unwrap_or(0) > 0
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = TELLING.try_with(|telling| telling.set(self.before));
    }
}
