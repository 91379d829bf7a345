//! Which timer is due next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use super::handler::HandlerId;

/// What a periodic timer does about ticks whose time passed while the reactor was busy or not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissedTicks {
    /// Fire once, then go on at the next multiple of the period: for what looks at the present.
    #[default]
    Skip,
    /// Fire once for each of them, one after the other, in the same round or turn: for what counts ticks. A
    /// simulation with inputs takes a turn for each of its steps instead, as timers go before events.
    Burst,
    /// Fire once, and count the period anew from now: for what must keep a distance.
    Delay,
}

impl MissedTicks {
    /// When a timer that was due at `due` and fired at `now` is due again.
    pub(crate) fn next(self, due: Instant, now: Instant, period: Duration) -> Option<Instant> {
        match self {
            Self::Burst => due.checked_add(period),
            Self::Delay => now.checked_add(period),
            Self::Skip => {
                let late = now.saturating_duration_since(due).as_nanos();
                let ticks = late / period.as_nanos() + 1;
                // In nanoscale steps, as `Duration` multiplies by 32 bits only.
                let ahead = u64::try_from(ticks * period.as_nanos()).ok()?;
                due.checked_add(Duration::from_nanos(ahead))
            }
        }
    }
}

/// A time at which a handler is due, and the order in which it was set among those of the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    order: u64,
    pub(crate) id: HandlerId,
}

/// Times and whose they are, the earliest first.
///
/// A cancelled one stays until its time comes, or until most of them are cancelled ones.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Due>>,
    next_order: u64,
    cancelled: usize,
}

/// Cancelled times are not looked for among fewer than these.
const FEW: usize = 64;

impl Timers {
    pub(crate) fn set(&mut self, id: HandlerId, at: Instant) {
        let order = self.next_order;
        self.next_order += 1;
        self.heap.push(Reverse(Due { at, order, id }));
    }

    /// Sets a time again for the handler it was set for, in its old place among those of the same time.
    pub(crate) fn set_again(&mut self, due: Due, at: Instant) {
        self.heap.push(Reverse(Due { at, ..due }));
    }

    /// Separates what is set so far from what is set later.
    pub(crate) fn fence(&self) -> u64 {
        self.next_order
    }

    /// Takes the earliest that is due at `now` and was set before the fence.
    pub(crate) fn take_due(&mut self, now: Instant, fence: u64) -> Option<Due> {
        let Reverse(due) = self.heap.peek()?;
        if due.at > now || due.order >= fence {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// The earliest time; perhaps of a cancelled one.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Notes that a handler with a time is gone, and forgets such times when there are many.
    pub(crate) fn cancel(&mut self, is_live: impl Fn(HandlerId) -> bool) {
        self.cancelled += 1;
        if self.cancelled > FEW.max(self.heap.len() / 2) {
            self.heap.retain(|Reverse(due)| is_live(due.id));
            self.cancelled = 0;
        }
    }

    /// Notes that the time of a cancelled one has come.
    pub(crate) fn forget(&mut self) {
        self.cancelled = self.cancelled.saturating_sub(1);
    }
}
