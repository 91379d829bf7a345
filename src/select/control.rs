//! What other threads ask of a reactor.

use super::handler::HandlerId;
use super::pulse::Pulse;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering, ReadySet};

/// To return from `run` after the handler that is running.
const STOP: u32 = 1;
/// To end when every subscription has ended and nothing else is there.
const FINISH: u32 = 1 << 1;
/// To tell the events of one call apart.
const PACE: u32 = 1 << 2;

/// The part of a reactor that other threads reach.
#[derive(Debug)]
pub(crate) struct Control {
    set: Arc<ReadySet>,
    /// What is asked: in one word, as it is looked at for every event.
    asked: AtomicU32,
    removed: Mutex<Vec<HandlerId>>,
    /// Which handler runs.
    pub(super) pulse: Pulse,
}

impl Control {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            set: ReadySet::new(),
            asked: AtomicU32::new(0),
            removed: Mutex::new(Vec::new()),
            pulse: Pulse::new(),
        })
    }

    pub(crate) fn set(&self) -> &Arc<ReadySet> {
        &self.set
    }

    pub(crate) fn stop(&self) {
        self.ask(STOP);
    }

    /// The order is carried by the mark (edge `ring`): who takes the mark sees it.
    fn ask(&self, what: u32) {
        self.asked.fetch_or(what, Ordering::Relaxed);
        self.set.call();
    }

    /// What is asked now.
    #[inline]
    fn is_asked_to(&self, what: u32) -> bool {
        self.asked.load(Ordering::Relaxed) & what != 0
    }

    /// Whether anything is asked that may matter between two events.
    #[inline]
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    /// Whether a stop was asked and not taken yet.
    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_asked_to(STOP)
    }

    /// Whether it is to end when its subscriptions have; once asked, that stays.
    pub(crate) fn is_finishing(&self) -> bool {
        self.is_asked_to(FINISH)
    }

    /// Whether the events of one call are to be told apart; once asked, that stays.
    pub(crate) fn is_paced(&self) -> bool {
        self.is_asked_to(PACE)
    }

    /// Whether a stop was asked since the last time.
    #[inline]
    pub(crate) fn take_stop(&self) -> bool {
        // Looked at first: an exchange in every round would cost as much as serving a source.
        self.is_stopping() && self.asked.fetch_and(!STOP, Ordering::Relaxed) & STOP != 0
    }

    pub(crate) fn remove(&self, id: HandlerId) {
        self.removed.lock().push(id);
        self.set.call();
    }

    /// What was removed and not taken yet; one may be there more than once.
    pub(crate) fn removed(&self) -> Vec<HandlerId> {
        self.removed.lock().clone()
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

#[cfg(feature = "services")]
impl StopHandle {
    /// Has this run and every later one end when all subscriptions have ended and foreign channels are empty,
    /// whatever timers there are.
    pub(crate) fn finish(&self) {
        self.control.ask(FINISH);
    }

    /// Has the pulse beat for every event from now on.
    pub(crate) fn pace(&self) {
        self.control.ask(PACE);
    }

    pub(crate) fn pulse(&self) -> &Pulse {
        &self.control.pulse
    }
}
