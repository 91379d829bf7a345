//! What a run tells while it works.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ringbus::Bus;

const EVERY: Duration = Duration::from_millis(500);

/// Shows how far the feeds are until the last of them has ended, which is when nobody holds the
/// other end of `ended`.
pub(crate) fn show(bus: &Bus, ended: &Receiver<()>, start: Instant) {
    let mut before = 0;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
        let published = published(bus);
        let rate = (published - before) as f64 / EVERY.as_secs_f64();
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("progress: {seconds:.1} s, {published} events published, {rate:.0} events/s");
        before = published;
    }
    let seconds = start.elapsed().as_secs_f64();
    let published = published(bus);
    eprintln!("progress: {seconds:.1} s, {published} events published, all captures read");
}

fn published(bus: &Bus) -> u64 {
    bus.snapshot()
        .topics
        .iter()
        .map(|topic| topic.published)
        .sum()
}
