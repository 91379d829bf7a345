//! A publisher that keeps to a quota.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

use super::core::Core;
use super::error::{PublishError, PublishTimeoutError, TryPublishError};
use super::publish::{self, Patience, Refusal};
use super::publisher::Publisher;
use super::rate_limit::{Denied, LimitedError, OnLimit, RateLimiter};

/// Publishes at most as often as a [`RateLimiter`] allows; made by [`Publisher::limited`].
///
/// What happens to an event that the limit does not allow now is up to [`OnLimit`]. One that is allowed is
/// published as by the [`Publisher`], and is refused as by that: for a topic that is closed, or for `try_publish` a
/// ring that is full, without a place in the quota; for other reasons it has used one.
///
/// Clones share the quota; each counts what it has dropped by itself.
///
/// # In a reactor
///
/// Inside of a handler it never waits for the quota: [`OnLimit::Wait`] gives the event back there, as
/// [`OnLimit::Refuse`] does. All sources of the reactor would wait, and the clock may be one that the same
/// thread moves.
///
/// ```
/// use ringbus::{Bus, LimitedError, OnLimit, RateLimit, RateLimiter};
///
/// let bus = Bus::new();
/// let alarms = bus.topic::<u32>();
/// let mut subscriber = alarms.subscribe();
///
/// let limiter = RateLimiter::new(RateLimit::per_minute(1).burst(2));
/// let noisy = alarms.publisher()?.limited(&limiter, OnLimit::Drop);
/// let other = alarms.publisher()?.limited(&limiter, OnLimit::Refuse);
/// for event in 0..5 {
///     noisy.publish(event)?;
/// }
/// assert_eq!(noisy.dropped(), 3);
/// let refused = other.publish(7).unwrap_err(); // of the same quota
/// assert!(matches!(refused, LimitedError::Limited { event: 7, .. }));
///
/// assert_eq!(subscriber.poll(64, |_, _| {}), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LimitedPublisher<T: Send + Sync + 'static> {
    publisher: Publisher<T>,
    limiter: RateLimiter,
    on_limit: OnLimit,
    dropped: Cell<u64>,
}

impl<T: Send + Sync + 'static> Publisher<T> {
    /// Publishes at most as often as `limiter` allows from now on: a [`RateLimit`](crate::RateLimit) of its own, or
    /// a [`RateLimiter`] that is shared with others.
    pub fn limited(
        self,
        limiter: impl Into<RateLimiter>,
        on_limit: OnLimit,
    ) -> LimitedPublisher<T> {
        LimitedPublisher {
            publisher: self,
            limiter: limiter.into(),
            on_limit,
            dropped: Cell::new(0),
        }
    }
}

impl<T: Send + Sync + 'static> LimitedPublisher<T> {
    /// Publishes an event and returns its sequence; `None` if it was dropped, by [`OnLimit::Drop`].
    ///
    /// # Errors
    ///
    /// Gives the event back when the limit refuses it, and as [`Publisher::publish`].
    ///
    /// # Blocking
    ///
    /// With [`OnLimit::Wait`] until the limit allows the event or the topic is closed; then as
    /// [`Publisher::publish`].
    pub fn publish(&self, event: T) -> Result<Option<u64>, LimitedError<T, PublishError<T>>> {
        match self.admit(Patience::Until(None)) {
            Ok(true) => {
                let published = self.publisher.publish(event);
                published.map(Some).map_err(LimitedError::Refused)
            }
            Ok(false) => Ok(None),
            Err(denied) => Err(refused(denied, event, Refusal::of_publish)),
        }
    }

    /// Publishes an event, if the limit allows it and there is room for it now; `None` if it was dropped, by
    /// [`OnLimit::Drop`].
    ///
    /// # Errors
    ///
    /// Gives the event back when the limit refuses it, by [`OnLimit::Wait`] too, and as
    /// [`Publisher::try_publish`].
    pub fn try_publish(
        &self,
        event: T,
    ) -> Result<Option<u64>, LimitedError<T, TryPublishError<T>>> {
        match self.admit(Patience::Try) {
            Ok(true) => {
                let published = self.publisher.try_publish(event);
                published.map(Some).map_err(LimitedError::Refused)
            }
            Ok(false) => Ok(None),
            Err(denied) => Err(refused(denied, event, Refusal::of_try)),
        }
    }

    /// As [`publish`](Self::publish), for `timeout` at most, for the quota and for room.
    ///
    /// # Errors
    ///
    /// Gives the event back when the limit refuses it: at once, when it will not allow it in time. And as
    /// [`Publisher::publish_timeout`].
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish), until the timeout.
    pub fn publish_timeout(
        &self,
        event: T,
        timeout: Duration,
    ) -> Result<Option<u64>, LimitedError<T, PublishTimeoutError<T>>> {
        self.publish_until(event, Core::<T>::deadline(timeout))
    }

    /// As [`publish_timeout`](Self::publish_timeout), until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`publish_timeout`](Self::publish_timeout).
    ///
    /// # Blocking
    ///
    /// As [`publish`](Self::publish), until the deadline.
    pub fn publish_deadline(
        &self,
        event: T,
        deadline: Instant,
    ) -> Result<Option<u64>, LimitedError<T, PublishTimeoutError<T>>> {
        self.publish_until(event, Some(deadline))
    }

    /// How many events this handle has dropped, by [`OnLimit::Drop`].
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// The limiter, which may be shared with other handles.
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// The publisher, without its limit.
    pub fn into_inner(self) -> Publisher<T> {
        self.publisher
    }

    fn publish_until(
        &self,
        event: T,
        deadline: Option<Instant>,
    ) -> Result<Option<u64>, LimitedError<T, PublishTimeoutError<T>>> {
        match self.admit(Patience::Until(deadline)) {
            Ok(true) => {
                let published = match deadline {
                    Some(deadline) => self.publisher.publish_deadline(event, deadline),
                    // Beyond what the clock can tell.
                    None => self.publisher.publish_timeout(event, Duration::MAX),
                };
                published.map(Some).map_err(LimitedError::Refused)
            }
            Ok(false) => Ok(None),
            Err(denied) => Err(refused(denied, event, Refusal::of_timeout)),
        }
    }

    /// Takes a place in the quota; `false` when the event is to be dropped.
    fn admit(&self, patience: Patience) -> Result<bool, Denied<Refusal>> {
        let core = self.publisher.core();
        // What the topic refuses anyhow is not to use up the quota.
        let ended = || publish::may_be_shown(core, patience, || core.looks_full(1)).err();
        if let (OnLimit::Wait, Patience::Until(deadline)) = (self.on_limit, patience) {
            let waited = self.limiter.acquire(Some(&core.paced), deadline, ended);
            return waited.map(|()| true);
        }
        if let Some(refusal) = ended() {
            return Err(Denied::Ended(refusal));
        }
        match self.limiter.try_acquire() {
            Ok(()) => Ok(true),
            Err(_) if self.on_limit == OnLimit::Drop => {
                self.dropped.set(self.dropped.get() + 1);
                Ok(false)
            }
            Err(retry_in) => Err(Denied::Late(retry_in)),
        }
    }
}

/// The event that was denied, with the reason.
fn refused<T, E>(
    denied: Denied<Refusal>,
    event: T,
    told: impl FnOnce(Refusal, T) -> E,
) -> LimitedError<T, E> {
    match denied {
        Denied::Ended(refusal) => LimitedError::Refused(told(refusal, event)),
        Denied::Late(retry_in) => LimitedError::Limited { event, retry_in },
    }
}

impl<T: Send + Sync + 'static> Clone for LimitedPublisher<T> {
    /// Another publisher of the same topic and quota, which has dropped nothing yet.
    fn clone(&self) -> Self {
        let limiter = self.limiter.clone();
        self.publisher.clone().limited(limiter, self.on_limit)
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for LimitedPublisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedPublisher")
            .field("publisher", &self.publisher)
            .field("limiter", &self.limiter)
            .field("on_limit", &self.on_limit)
            .finish_non_exhaustive()
    }
}
