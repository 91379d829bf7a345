//! What several test files need.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ringbus::{SubscriberSnapshot, Topic};

/// How long something may take before a test calls it a hang; `RINGBUS_HANG_SECONDS` makes it longer, for programs
/// that are slowed down. It is no measure of speed.
fn hang() -> Duration {
    let given = std::env::var("RINGBUS_HANG_SECONDS").ok();
    let seconds = given.map_or(20, |given| {
        given.parse().expect("RINGBUS_HANG_SECONDS is a number")
    });
    Duration::from_secs(seconds)
}

/// Runs `work` on a thread of its own and returns its result; fails when it hangs.
pub(crate) fn finishes<R: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (done, answer) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = done.send(work());
    });
    match answer.recv_timeout(hang()) {
        Ok(answer) => {
            thread.join().expect("the work has finished");
            answer
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the work has sent its answer"),
        },
    }
}

/// Waits until `condition` holds; fails when it never does.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let (since, hang) = (Instant::now(), hang());
    while !condition() {
        assert!(since.elapsed() < hang, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// Gives other threads the time to fall asleep where they wait. Nothing depends on it but what a test can
/// find.
pub(crate) fn let_others_park() {
    thread::sleep(Duration::from_millis(30));
}

/// One subscriber's numbers.
pub(crate) fn numbers<T: Send + Sync + 'static>(
    topic: &Topic<T>,
    name: &str,
) -> SubscriberSnapshot {
    topic
        .snapshot()
        .subscribers
        .into_iter()
        .find(|subscriber| subscriber.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("there is a subscriber {name}"))
}

/// Checks that the numbers of every subscriber of a quiet topic add up.
#[track_caller]
pub(crate) fn assert_conserved<T: Send + Sync + 'static>(topic: &Topic<T>) {
    for subscriber in topic.snapshot().subscribers {
        assert_eq!(
            subscriber.published,
            subscriber.delivered + subscriber.filtered + subscriber.missed + subscriber.pending,
            "published is what was delivered, filtered, missed and is pending: {subscriber:?}"
        );
    }
}

/// Counts values that exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    born: AtomicUsize,
    dropped: AtomicUsize,
}

/// A value that a [`Census`] counts.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) id: u64,
    census: Census,
}

impl Census {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn event(&self, id: u64) -> Counted {
        self.0.born.fetch_add(1, Ordering::Relaxed);
        Counted {
            id,
            census: self.clone(),
        }
    }

    pub(crate) fn born(&self) -> usize {
        self.0.born.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> usize {
        self.0.dropped.load(Ordering::Relaxed)
    }

    #[track_caller]
    pub(crate) fn assert_all_dropped_once(&self) {
        assert_eq!(
            self.dropped(),
            self.born(),
            "every event is dropped exactly once"
        );
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.census.event(self.id)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A small generator of pseudo-random numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
