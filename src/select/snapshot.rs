//! A reactor's numbers, for people.

use std::fmt;

/// What a reactor has done since it was made, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactorSnapshot {
    /// Events handled, of subscriptions and of foreign channels.
    pub handled: u64,
    /// Timers and missed expectations that fired.
    pub timers: u64,
    /// Events that lossy subscriptions told they missed.
    pub missed: u64,
    /// Panics that stayed in their handlers.
    pub panicked: u64,
    /// Events that [`Context::publish`](crate::Context::publish) gave back.
    pub refused: u64,
    /// Events in the outbox whose topic closed before there was room.
    pub undeliverable: u64,
    /// Events in the outbox now.
    pub outbox: usize,
    /// Subscriptions and foreign channels that are open now.
    pub open: usize,
    /// Times it went to sleep.
    pub parked: u64,
}

impl fmt::Display for ReactorSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "handled {}, timers {}, missed {}, panicked {}, refused {}, undeliverable {}, outbox {}, \
             open {}, parked {}",
            self.handled,
            self.timers,
            self.missed,
            self.panicked,
            self.refused,
            self.undeliverable,
            self.outbox,
            self.open,
            self.parked
        )
    }
}
