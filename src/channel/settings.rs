//! What a topic is opened with.

use super::wait::WaitStrategy;
use crate::ring::Shape;

/// The largest capacity of a topic, in events.
pub const MAX_CAPACITY: usize = 1 << 24;

/// The longest name of a topic or a subscriber, in bytes.
pub const MAX_NAME: usize = 255;

/// The fewest slots of a ring: a small capacity keeps some to spare for lossy readers.
const MIN_SLOTS: u64 = 64;

/// A topic's settings, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// A power of two.
    pub(crate) capacity: usize,
    /// How far the capacity may grow: a power of two above it.
    pub(crate) grow_to: Option<usize>,
    pub(crate) wait: WaitStrategy,
    /// At most `capacity`.
    pub(crate) retain: usize,
    pub(crate) keep_open: bool,
    pub(crate) first_sequence: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capacity: 1024,
            grow_to: None,
            wait: WaitStrategy::default(),
            retain: 0,
            keep_open: false,
            first_sequence: 0,
        }
    }
}

impl Settings {
    /// The capacity that the topic has at most.
    pub(crate) fn max_capacity(&self) -> usize {
        self.grow_to.unwrap_or(self.capacity)
    }

    /// How often the topic may grow: each time its capacity doubles at least.
    pub(crate) fn growths(&self) -> usize {
        (self.max_capacity() / self.capacity).ilog2() as usize
    }

    /// The shape of the ring when its first event has the sequence `first`.
    pub(crate) fn shape(&self, first: u64) -> Shape {
        self.shape_of(self.capacity as u64, first)
    }

    /// The shape of a ring of another capacity.
    pub(crate) fn shape_of(&self, capacity: u64, first: u64) -> Shape {
        let tight = capacity.max(MIN_SLOTS);
        // A plan reaches half the slots ahead, and what lies one lap behind its reach can no longer
        // be joined; with twice the slots the whole capacity can.
        let slots = if self.retain as u64 > tight / 2 {
            tight * 2
        } else {
            tight
        };
        Shape {
            capacity,
            slots,
            first,
        }
    }
}
