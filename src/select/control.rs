//! What other threads ask of a reactor.

use super::handler::HandlerId;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, ReadySet};

/// The part of a reactor that other threads reach.
#[derive(Debug)]
pub(crate) struct Control {
    set: Arc<ReadySet>,
    stop: AtomicBool,
    removed: Mutex<Vec<HandlerId>>,
}

impl Control {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            set: ReadySet::new(),
            stop: AtomicBool::new(false),
            removed: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn set(&self) -> &Arc<ReadySet> {
        &self.set
    }

    /// The order is carried by the mark (edge `ring`): who takes the mark sees it.
    pub(crate) fn stop(&self) {
        // An exchange, as the owner's is one: the checker may order a plain store before an exchange that
        // does not see it.
        self.stop.swap(true, Ordering::Relaxed);
        self.set.call();
    }

    /// Whether a stop was asked and not taken yet.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a stop was asked since the last time.
    pub(crate) fn take_stop(&self) -> bool {
        // Looked at first: an exchange in every round would cost as much as serving a source.
        self.is_stopping() && self.stop.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn remove(&self, id: HandlerId) {
        self.removed.lock().push(id);
        self.set.call();
    }

    pub(crate) fn take_removed(&self) -> Vec<HandlerId> {
        std::mem::take(&mut *self.removed.lock())
    }
}

/// Stops a reactor from any thread; made by [`Context::stop_handle`](crate::Context::stop_handle).
#[derive(Clone, Debug)]
pub struct StopHandle {
    control: Arc<Control>,
}

impl StopHandle {
    pub(crate) fn new(control: &Arc<Control>) -> Self {
        Self {
            control: Arc::clone(control),
        }
    }

    /// Has [`run`](crate::Reactor::run) return after the handler that is running, and wakes it if it sleeps.
    ///
    /// If the reactor is not running, its next run returns at once. Stopping twice before it does is
    /// stopping once.
    pub fn stop(&self) {
        self.control.stop();
    }
}
