//! Who waits.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Arc, Bell, Calls, Parker};

/// Whoever a notification wakes.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    /// A thread that sleeps for this alone.
    Thread(Arc<Parker>),
    /// One source of a ready set.
    Bell(Arc<Bell>),
    /// Somebody else's loop.
    Hook(Arc<Hook>),
}

impl Waiter {
    /// Runs user code if it is a hook; to be called without a lock.
    pub(crate) fn wake(&self) {
        match self {
            Self::Thread(parker) => parker.unpark(),
            Self::Bell(bell) => bell.ring(),
            Self::Hook(hook) => hook.call(),
        }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Thread(one), Self::Thread(other)) => Arc::ptr_eq(one, other),
            (Self::Bell(one), Self::Bell(other)) => Arc::ptr_eq(one, other),
            (Self::Hook(one), Self::Hook(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A closure that wakes a foreign loop; it runs on the thread that notifies.
pub(crate) struct Hook {
    closure: Box<dyn Fn() + Send + Sync>,
    calls: Calls,
}

impl Hook {
    pub(crate) fn new(closure: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            closure: Box::new(closure),
            calls: Calls::new(),
        })
    }

    /// A panic ends here: the thread that notifies has others to wake. The process's panic hook has told it.
    fn call(&self) {
        let Some(_call) = self.calls.enter() else {
            return;
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.closure)())) {
            // The payload is the user's too, and may panic when it is dropped.
            let again = catch_unwind(AssertUnwindSafe(move || drop(payload)));
            std::mem::forget(again);
        }
    }

    /// When this returns the closure is not running, but on the calling thread, and never runs again.
    pub(crate) fn sever(&self) {
        self.calls.sever();
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}
