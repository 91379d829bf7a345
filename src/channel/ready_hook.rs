//! A subscriber's way to wake somebody else's loop.

use crossbeam_channel::Receiver;

use crate::sync::{Arc, AtomicBool, Hook, Ordering, Waiter};

/// A hook, and whether it is on the list of those to be called.
#[derive(Debug)]
pub(crate) struct ReadyHook {
    hook: Arc<Hook>,
    armed: Arc<AtomicBool>,
}

impl ReadyHook {
    pub(crate) fn new(closure: impl Fn() + Send + Sync + 'static) -> Self {
        let armed = Arc::new(AtomicBool::new(false));
        let hook = {
            let armed = Arc::clone(&armed);
            Hook::new(move || {
                // Before the loop is woken, which will look, find nothing and arm the hook again.
                armed.swap(false, Ordering::Relaxed);
                closure();
            })
        };
        Self { hook, armed }
    }

    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::Hook(Arc::clone(&self.hook))
    }

    /// What to put on the list; `None` while it is there.
    pub(crate) fn arm(&self) -> Option<Waiter> {
        (!self.armed.swap(true, Ordering::Relaxed)).then(|| self.waiter())
    }

    /// Calls the hook from here.
    pub(crate) fn call(&self) {
        self.waiter().wake();
    }

    /// Ends the calls; see [`Hook::sever`].
    pub(crate) fn sever(&self) {
        self.hook.sever();
    }
}

/// What to call when there may be something to read, and the channel that has a message then.
pub(super) fn doorbell() -> (impl Fn() + Send + Sync + 'static, Receiver<()>) {
    let (ring, doorbell) = crossbeam_channel::bounded(1);
    let ring = move || {
        // A full channel rings already; a receiver that is gone does not listen.
        let _ = ring.try_send(());
    };
    (ring, doorbell)
}
