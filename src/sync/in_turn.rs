//! Whether a thread is in a reactor's turn.

use std::cell::Cell;
use std::marker::PhantomData;

use super::thread_local;

thread_local! {
    #[allow(
        clippy::missing_const_for_thread_local,
        reason = "the models' thread locals have no const form"
    )]
    static TURNS: Cell<usize> = Cell::new(0);
}

/// As long as it is there, its thread is in a turn: what this thread waits for by the clock, all sources of its
/// reactor wait for, and the clock may be one that only this thread moves.
#[must_use = "the turn ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct InTurn {
    /// Of this thread.
    not_send: PhantomData<*const ()>,
}

impl InTurn {
    pub(crate) fn enter() -> Self {
        // Nobody asks on a thread whose locals are being destroyed.
        let _ = TURNS.try_with(|turns| turns.set(turns.get() + 1));
        Self {
            not_send: PhantomData,
        }
    }

    /// Whether the calling thread is in a turn.
    pub(crate) fn is_here() -> bool {
        TURNS.try_with(Cell::get).unwrap_or(0) > 0
    }
}

impl Drop for InTurn {
    fn drop(&mut self) {
        let _ = TURNS.try_with(|turns| turns.set(turns.get() - 1));
    }
}
