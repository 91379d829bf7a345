//! Numbers for people: statistics that order nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A statistic with one writer at a time.
///
/// It is not part of any protocol, so the model checker does not see it and every access is relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Adds from any thread; for cold paths.
    pub(crate) fn add(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }
}
