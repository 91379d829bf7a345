//! Where a panic of user code ends.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code for whose panic nobody is there; the process's panic hook has told it.
pub(crate) fn contain(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops what a panic carried, which is the user's too and may panic when it is dropped.
fn discard(payload: Box<dyn Any + Send>) {
    let again = catch_unwind(AssertUnwindSafe(move || drop(payload)));
    std::mem::forget(again);
}
