//! Instances that fail are asked nothing for a while.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

/// Ejects an instance after some failures in a row, and lets it come back.
///
/// | state              | meaning                                | becomes                              |
/// |--------------------|----------------------------------------|--------------------------------------|
/// | `until` is 0       | it is asked                            | ejected after `most` failures        |
/// | `until` is to come | it is not asked                        | asked again by a reply               |
/// | `until` has passed | one request may try it                 | ejected again by that, until a reply |
///
/// What is relaxed here decides only who is asked, never whether there is an answer.
#[derive(Debug)]
pub(crate) struct Breaker {
    most: u64,
    pause: Duration,
    since: Instant,
    /// Failures since the last reply.
    failures: AtomicU64,
    /// In nanoseconds after `since`; 0 while it is not ejected.
    until: AtomicU64,
}

impl Breaker {
    pub(crate) fn new(most: u32, pause: Duration) -> Self {
        Self {
            most: u64::from(most),
            pause,
            since: Instant::now(),
            failures: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }

    /// Whether it may be asked now.
    #[inline]
    pub(crate) fn is_fit(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until == 0 || self.now() >= until
    }

    /// Whether the caller may ask it; of an ejected one only the first to come after its time.
    #[inline]
    pub(crate) fn admit(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until == 0
            || self.now() >= until
                && self
                    .until
                    .compare_exchange(until, self.next(), Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
    }

    /// Notes a reply; tells whether the instance comes back by it.
    #[inline]
    pub(crate) fn succeeded(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.failures.swap(0, Ordering::Relaxed);
        self.until.swap(0, Ordering::Relaxed) != 0
    }

    /// Notes a failure; tells whether the instance is ejected by it.
    pub(crate) fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        failures >= self.most && self.until.swap(self.next(), Ordering::Relaxed) == 0
    }

    fn now(&self) -> u64 {
        self.since.elapsed().as_nanos() as u64
    }

    /// Never 0: at least one nanosecond is to pass.
    fn next(&self) -> u64 {
        let until = self.since.elapsed().saturating_add(self.pause);
        u64::try_from(until.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}
