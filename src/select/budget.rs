//! How much a turn may do, and what it did.

use std::time::{Duration, Instant};

/// How much one [`turn`](crate::Reactor::turn) may do: events, time, or both.
///
/// What is left over is first in the next turn. A handler that runs is never cut short, so a turn may take
/// longer by one handler.
///
/// ```
/// use std::time::Duration;
/// use ringbus::Budget;
///
/// let _both = Budget::events(10_000).within(Duration::from_millis(2));
/// let _time = Budget::unlimited().within(Duration::from_millis(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a budget does nothing by itself"]
pub struct Budget {
    pub(crate) events: u64,
    pub(crate) within: Option<Duration>,
}

impl Budget {
    /// At most this many events and timers.
    pub fn events(events: u64) -> Self {
        let within = None;
        Self { events, within }
    }

    /// Everything that was there when the turn began.
    pub fn unlimited() -> Self {
        Self::events(u64::MAX)
    }

    /// And no new event or timer once this much time has passed on the reactor's clock.
    pub fn within(self, time: Duration) -> Self {
        let within = Some(time);
        Self { within, ..self }
    }

    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        // What the clock cannot tell is no limit.
        self.within.and_then(|within| now.checked_add(within))
    }
}

/// What one [`turn`](crate::Reactor::turn) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// Events handled, of subscriptions and of foreign channels.
    pub handled: u64,
    /// Timers and missed expectations that fired.
    pub timers: u64,
    /// Events that were there when the turn began and that its budget left for the next one.
    pub pending: u64,
    /// Events that lossy subscriptions told they missed.
    pub missed: u64,
    /// Panics that stayed in their handlers.
    pub panicked: u64,
    /// Events in the outbox, waiting for room.
    pub outbox: usize,
    /// Subscriptions and foreign channels that are still open.
    pub open: usize,
    /// A stop was asked for, by a handler or a [`StopHandle`](crate::StopHandle); it ended the turn.
    pub stopped: bool,
}
