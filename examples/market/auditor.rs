//! The auditor: holds every top that the exchange sent against the books that the builders rebuilt.

use parking_lot::Mutex;

use crate::event::Top;
use crate::oracle::Oracle;
use crate::reader::{Finished, Reader};

/// Follows the tops of all instruments.
///
/// A builder could follow them itself, next to its depth topic, but a thread that waits for one of
/// two lossless subscribers lets the other one fill its ring, and then the feed waits for the
/// thread that waits for the feed. With one topic to each thread, every wait ends.
pub(crate) fn run(mut tops: Reader<Top>, oracles: &[Mutex<Oracle>]) -> Finished {
    let mut open = true;
    while open {
        open = tops.wait(256, |top| {
            let oracle = &oracles[top.instrument];
            let mut oracle = oracle.lock();
            oracle.top(top.event);
        });
    }
    tops.finish()
}
