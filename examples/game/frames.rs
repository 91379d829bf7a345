//! How long the frames are.

use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::simulation::STEP;

/// The lengths of frames, one after the other.
#[derive(Debug)]
pub(crate) enum Frames {
    /// As they might fall on a busy machine.
    Seeded(Random),
    /// All the same.
    #[cfg(test)]
    Even(Duration),
    /// As they fall here.
    Real { last: Instant, due: Instant },
}

impl Frames {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(Random(seed))
    }

    pub(crate) fn real() -> Self {
        let now = Instant::now();
        Self::Real {
            last: now,
            due: now,
        }
    }

    /// The length of the next frame; real ones are waited for.
    pub(crate) fn next(&mut self) -> Duration {
        match self {
            Self::Seeded(random) => {
                let (least, most) = match random.below(100) {
                    // A display without a limit, a steady one, and the disk.
                    0..15 => (1_000, 8_000),
                    15..95 => (12_000, 21_000),
                    95..99 => (30_000, 80_000),
                    _ => (100_000, 300_000),
                };
                Duration::from_micros(least + random.below(most - least))
            }
            #[cfg(test)]
            Self::Even(length) => *length,
            Self::Real { last, due } => {
                // After a long frame the rhythm begins anew, rather than being caught up with.
                *due = (*due + STEP).max(Instant::now());
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let now = Instant::now();
                now - std::mem::replace(last, now)
            }
        }
    }
}
