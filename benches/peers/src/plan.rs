//! How much to measure, and in which order.

use crate::shuffle::Shuffle;

/// The copies of each channel. Where a ring lies in memory moves its figures by a factor of two on some
/// machines; a row therefore takes its windows from several rings in turn.
pub const COPIES: usize = 8;

/// How much to measure.
pub struct Plan {
    /// Windows of each row.
    pub windows: usize,
    /// The work before each event of a caught-up row, in nanoseconds.
    pub pace: f64,
    /// The order of the windows.
    pub shuffle: Shuffle,
}

/// One window of each row.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Which copies are measured.
    pub copy: usize,
    /// Whether the round counts, or warms the copy up.
    pub counts: bool,
}

impl Plan {
    /// Returns a plan of at most this many windows, for a scenario whose windows are long.
    pub fn at_most(&mut self, windows: usize) -> Plan {
        Plan {
            windows: self.windows.min(windows),
            pace: self.pace,
            shuffle: self.shuffle.fork(),
        }
    }

    /// Returns the rounds: one to warm up each copy, then the copies in turn.
    pub fn rounds(&self) -> impl Iterator<Item = Round> + use<> {
        (0..COPIES + self.windows).map(|round| Round {
            copy: round % COPIES,
            counts: round >= COPIES,
        })
    }
}
