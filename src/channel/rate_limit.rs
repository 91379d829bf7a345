//! Quotas, and the wait for them.

use std::fmt;
use std::time::{Duration, Instant};

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter as Cells};
use thiserror::Error;

use super::clock::Clock;
use super::error::{PublishError, PublishTimeoutError, TryPublishError};
use super::wait::WaitStrategy;
use crate::sync::{Arc, InTurn, WaitSet};

/// A quota: so many in a time, and so many of them at once.
///
/// A quota is refilled steadily, one by one, and holds no more than its burst. So what it lets through in any
/// period is the burst, and what is refilled in that period. Wherever a [`RateLimiter`] is wanted a quota makes a
/// new one.
///
/// ```
/// use std::time::Duration;
/// use ringbus::RateLimit;
///
/// let steady = RateLimit::per_second(100).burst(1); // one every 10 ms
/// assert_eq!(steady.interval(), Duration::from_millis(10));
/// assert_eq!(RateLimit::per_minute(60), RateLimit::every(Duration::from_secs(1)).burst(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a limit does nothing by itself"]
pub struct RateLimit {
    interval: Duration,
    burst: u32,
}

/// What a limited publisher does with an event that its limit does not allow now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnLimit {
    /// Sleep until the limit allows it.
    #[default]
    Wait,
    /// Give it back.
    Refuse,
    /// Drop and count it.
    Drop,
}

/// A quota in use; handles that have clones of one limiter share it.
///
/// For publishers there is [`Publisher::limited`](crate::Publisher::limited), for subscribers
/// [`Subscriber::limited`](crate::Subscriber::limited), for clients of services `Client::limited`; anything else,
/// an [`ExclusivePublisher`](crate::ExclusivePublisher) say, asks by [`try_acquire`](Self::try_acquire).
///
/// Who waits sleeps until the time at which the quota will have been refilled, and is not woken before, but by
/// a close. Of several who wait for one quota whoever is first takes it, and the others sleep again.
///
/// ```
/// use std::time::Duration;
/// use ringbus::{Clock, RateLimit, RateLimiter};
///
/// let clock = Clock::manual();
/// let limiter = RateLimiter::with_clock(RateLimit::per_second(10).burst(2), clock.clone());
/// let shared = limiter.clone();
/// assert_eq!(limiter.try_acquire(), Ok(()));
/// assert_eq!(shared.try_acquire(), Ok(()));
/// assert_eq!(limiter.try_acquire(), Err(Duration::from_millis(100)));
/// clock.advance(Duration::from_millis(100));
/// assert_eq!(limiter.try_acquire(), Ok(()));
/// ```
#[derive(Clone)]
pub struct RateLimiter {
    shared: Arc<Shared>,
}

struct Shared {
    limit: RateLimit,
    cells: Cells<NotKeyed, InMemoryState, Elapsed, NoOpMiddleware<Duration>>,
}

/// The time since the limiter was made.
struct Elapsed {
    clock: Clock,
    origin: Instant,
}

/// Why a limited handle refused something: its limit did, or what it stands before.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LimitedError<T, E> {
    /// The limit does not allow it now, or not before the deadline.
    #[error("over the rate limit for another {retry_in:?}")]
    #[non_exhaustive]
    Limited {
        /// What was refused.
        event: T,
        /// How long until the limit may allow it, if nobody else takes its place.
        retry_in: Duration,
    },
    /// The limit allowed it; what is behind it did not.
    #[error(transparent)]
    Refused(E),
}

/// Why a limiter that was waited for did not allow it.
pub(crate) enum Denied<E> {
    /// There is nothing to wait for any more.
    Ended(E),
    /// It would be too late, by that much.
    Late(Duration),
}

/// Beyond this a quota's arithmetic, in nanoseconds, might overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

impl RateLimit {
    /// So many in a second, at once if need be: the burst is the same number.
    ///
    /// # Panics
    ///
    /// When `events` is 0.
    pub const fn per_second(events: u32) -> Self {
        Self::within(events, Duration::from_secs(1))
    }

    /// So many in a minute, at once if need be.
    ///
    /// # Panics
    ///
    /// When `events` is 0.
    pub const fn per_minute(events: u32) -> Self {
        Self::within(events, Duration::from_secs(60))
    }

    /// One in each interval, and no burst.
    ///
    /// # Panics
    ///
    /// When the interval is zero or longer than 100 years.
    pub const fn every(interval: Duration) -> Self {
        assert!(!interval.is_zero(), "an interval must not be zero");
        Self { interval, burst: 1 }.checked()
    }

    /// How many may go at once, when the quota has not been used for long enough.
    ///
    /// # Panics
    ///
    /// When `events` is 0, and when it would take more than 100 years to refill the burst.
    pub const fn burst(self, events: u32) -> Self {
        assert!(events > 0, "a burst must be one event at least, got 0");
        Self {
            burst: events,
            ..self
        }
        .checked()
    }

    /// The time in which one is refilled, in whole nanoseconds.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// How many may go at once.
    pub const fn burst_size(&self) -> u32 {
        self.burst
    }

    const fn within(events: u32, period: Duration) -> Self {
        assert!(events > 0, "a quota must allow one event at least, got 0");
        let nanos = period.as_nanos() as u64 / events as u64;
        Self {
            // More than one in a nanosecond is no limit that a clock could tell.
            interval: Duration::from_nanos(if nanos == 0 { 1 } else { nanos }),
            burst: events,
        }
    }

    const fn checked(self) -> Self {
        assert!(
            self.interval.as_nanos().saturating_mul(self.burst as u128) <= LONGEST.as_nanos(),
            "a burst must be refilled within 100 years"
        );
        self
    }

    fn quota(self) -> Quota {
        let burst = self.burst.try_into().expect("a burst is not 0");
        let quota = Quota::with_period(self.interval).expect("an interval is not zero");
        quota.allow_burst(burst)
    }
}

impl RateLimiter {
    /// A limiter by the system's clock, its quota full.
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, Clock::system())
    }

    /// A limiter by a clock, its quota full. By a manual clock who waits sleeps until the clock is moved.
    pub fn with_clock(limit: RateLimit, clock: Clock) -> Self {
        let origin = clock.now();
        let cells = Cells::direct_with_clock(limit.quota(), Elapsed { clock, origin });
        Self {
            shared: Arc::new(Shared { limit, cells }),
        }
    }

    /// The quota.
    pub fn limit(&self) -> RateLimit {
        self.shared.limit
    }

    /// Takes one of the quota, if there is one now; never blocks, and takes no lock.
    ///
    /// # Errors
    ///
    /// When there is none, with the time until there may be one.
    pub fn try_acquire(&self) -> Result<(), Duration> {
        self.take().map_err(|until| self.time_until(until))
    }

    /// Takes one of the quota, or tells when there may be one.
    fn take(&self) -> Result<(), Instant> {
        let Shared { cells, .. } = &*self.shared;
        cells
            .check()
            .map_err(|not_until| self.elapsed().origin + not_until.earliest_possible())
    }

    /// Takes one of the quota, if there is one now, and tells when.
    pub(super) fn grant(&self) -> Option<Instant> {
        self.take().ok().map(|()| self.now())
    }

    /// Whether one that was taken then has been refilled since, if no other was.
    pub(super) fn has_refilled(&self, taken: Instant) -> bool {
        self.now().saturating_duration_since(taken) >= self.limit().interval
    }

    pub(super) fn now(&self) -> Instant {
        self.elapsed().clock.now()
    }

    /// Takes one of the quota, waiting for it until `deadline` at most, which is the system's.
    ///
    /// Whatever gives `ended` an answer notifies `ends` afterwards.
    pub(crate) fn acquire<E>(
        &self,
        ends: Option<&WaitSet>,
        deadline: Option<Instant>,
        mut ended: impl FnMut() -> Option<E>,
    ) -> Result<(), Denied<E>> {
        let clock = &self.elapsed().clock;
        let manual = clock.is_manual();
        let sets = [ends, clock.watchers()];
        let sets: &[&WaitSet] = match &sets {
            [Some(ends), Some(watchers)] => &[ends, watchers],
            [Some(set), None] | [None, Some(set)] => &[set],
            [None, None] => &[],
        };
        loop {
            if let Some(end) = ended() {
                return Err(Denied::Ended(end));
            }
            let Err(until) = self.take() else {
                return Ok(());
            };
            let late = match deadline {
                // When a manual clock will be moved nobody knows.
                Some(deadline) if manual => Instant::now() >= deadline,
                Some(deadline) => deadline < until,
                None => false,
            };
            if late || InTurn::is_here() {
                return Err(Denied::Late(self.time_until(until)));
            }
            let alarm = if manual { deadline } else { Some(until) };
            WaitStrategy::Park.wait_for_any(sets, None, alarm, || {
                let end = ended().map(Some);
                end.or_else(|| (manual && clock.now() >= until).then_some(None))
            });
        }
    }

    fn time_until(&self, until: Instant) -> Duration {
        until.saturating_duration_since(self.now())
    }

    fn elapsed(&self) -> &Elapsed {
        self.shared.cells.clock()
    }
}

impl From<RateLimit> for RateLimiter {
    /// A limiter of its own, by the system's clock.
    fn from(limit: RateLimit) -> Self {
        Self::new(limit)
    }
}

impl From<&RateLimiter> for RateLimiter {
    /// Another handle of the same quota.
    fn from(limiter: &RateLimiter) -> Self {
        limiter.clone()
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

impl governor::clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.origin)
    }
}

impl<T, E: fmt::Debug> fmt::Debug for LimitedError<T, E> {
    /// Leaves the event out, so that events need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited { retry_in, .. } => f
                .debug_struct("Limited")
                .field("retry_in", retry_in)
                .finish_non_exhaustive(),
            Self::Refused(error) => f.debug_tuple("Refused").field(error).finish(),
        }
    }
}

macro_rules! gives_back {
    ($($error:ident)+) => {$(
        impl<T> LimitedError<T, $error<T>> {
            /// The event that was refused.
            pub fn into_event(self) -> T {
                match self {
                    Self::Limited { event, .. } => event,
                    Self::Refused(error) => error.into_event(),
                }
            }
        }
    )+};
}

gives_back!(PublishError TryPublishError PublishTimeoutError);
