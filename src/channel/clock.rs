//! The time that reactors and rate limits go by.

use std::time::{Duration, Instant};

use crate::sync::{Arc, AtomicU64, Barrier, Ordering, WaitSet, Waiter};

/// Where a reactor or a rate limit reads the time: the system's, or one that is moved by hand.
///
/// A manual clock makes a run repeatable: timers fire when the test or the replay says that their time has
/// come, in the order of their deadlines. Clones tell the same time.
///
/// A replay moves the clock to the time of an event, takes a turn, in which what was due before fires, then
/// publishes the event and takes another. On one thread the same moves, publishes and turns, empty ones
/// included, then give the same order of calls.
///
/// ```
/// use std::time::Duration;
/// use ringbus::{Budget, Clock, Reactor};
///
/// let clock = Clock::manual();
/// let mut reactor = Reactor::builder().clock(clock.clone()).build();
/// reactor.every(Duration::from_secs(1), |ticks: &mut u32, _| *ticks += 1);
///
/// let mut ticks = 0;
/// clock.advance(Duration::from_millis(999));
/// reactor.turn(&mut ticks, Budget::unlimited());
/// assert_eq!(ticks, 0);
/// clock.advance(Duration::from_millis(1));
/// reactor.turn(&mut ticks, Budget::unlimited());
/// assert_eq!(ticks, 1);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a clock does nothing by itself"]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

const TOO_FAR: &str = "a manual clock must stay within 584 years of its start";

#[derive(Debug)]
struct Manual {
    start: Instant,
    /// Nanoseconds since the start.
    elapsed: AtomicU64,
    /// Those that sleep until it is moved.
    watchers: WaitSet,
}

impl Clock {
    /// The system's monotonic clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still until it is moved.
    pub fn manual() -> Self {
        let manual = Manual {
            start: Instant::now(),
            elapsed: AtomicU64::new(0),
            watchers: WaitSet::new(Barrier::of_process()),
        };
        Self {
            manual: Some(Arc::new(manual)),
        }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        match &self.manual {
            None => Instant::now(),
            Some(manual) => manual.start + manual.elapsed(),
        }
    }

    /// How far a manual clock was moved; zero for the system's.
    pub fn elapsed(&self) -> Duration {
        self.manual
            .as_ref()
            .map_or(Duration::ZERO, |manual| manual.elapsed())
    }

    /// Moves a manual clock forward, and wakes those that sleep by it.
    ///
    /// # Panics
    ///
    /// When the clock is the system's, and when the clock would be more than 584 years from its start.
    pub fn advance(&self, by: Duration) {
        let manual = self.expect_manual();
        let by = u64::try_from(by.as_nanos()).ok();
        let moved = manual
            .elapsed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |elapsed| {
                elapsed.checked_add(by?)
            });
        moved.expect(TOO_FAR);
        manual.watchers.notify();
    }

    /// Moves a manual clock to `elapsed` after its start, unless it is there or beyond: time does not go
    /// backwards.
    ///
    /// # Panics
    ///
    /// As [`advance`](Self::advance).
    pub fn advance_to(&self, elapsed: Duration) {
        let manual = self.expect_manual();
        let nanos = u64::try_from(elapsed.as_nanos()).expect(TOO_FAR);
        // Relaxed: whoever is woken by it sees it through the wake-up.
        manual.elapsed.fetch_max(nanos, Ordering::Relaxed);
        manual.watchers.notify();
    }

    fn expect_manual(&self) -> &Manual {
        self.manual
            .as_deref()
            .expect("only a manual clock can be moved, this is the system's")
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// Has `waiter` woken when the clock is moved; the caller passes a heavy barrier, and looks again.
    pub(crate) fn enlist(&self, waiter: &Waiter) {
        if let Some(manual) = &self.manual {
            manual.watchers.enlist(waiter);
        }
    }

    /// Whom to notify when the clock is moved; nobody for the system's.
    #[cfg(feature = "rate-limit")]
    pub(crate) fn watchers(&self) -> Option<&WaitSet> {
        self.manual.as_ref().map(|manual| &manual.watchers)
    }

    pub(crate) fn delist(&self, waiter: &Waiter) {
        if let Some(manual) = &self.manual {
            manual.watchers.leave(waiter);
        }
    }
}

impl Manual {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed.load(Ordering::Relaxed))
    }
}
