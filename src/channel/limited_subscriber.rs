//! A subscriber that keeps to a quota.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::batch::Meta;
use super::core::Core;
use super::error::{PollError, RecvError, RecvTimeoutError, TryRecvError};
use super::overflow::Overflow;
use super::rate_limit::RateLimiter;
use super::subscriber::{Subscriber, passed};
use super::wait::WaitStrategy;
use crate::sync::InTurn;

/// Reads at most as often as a [`RateLimiter`] allows; made by [`Subscriber::limited`].
///
/// What it does not read yet lies in the ring. When that is full the subscriber's
/// [`Overflow`] says what happens, as it does with any slow reader: a lossless one makes
/// publishers wait, the others lose events and are told. With [`Overflow::Latest`] it is
/// a display of so many frames in a second, each the newest.
///
/// The limit outlives the close: what was published before it is read at the same pace, then the close is
/// told. An event that the subscriber's filter refuses has no place in the quota.
///
/// It is no source of a reactor, whose handler would ask for a timer between events: there a timer
/// ([`every`](crate::Context::every)) that polls the subscriber is the limit.
///
/// ```
/// use std::time::Duration;
/// use ringbus::{Bus, Clock, RateLimit, RateLimiter, TryRecvError};
///
/// let bus = Bus::new();
/// let topic = bus.topic::<u32>();
/// let clock = Clock::manual();
/// let limiter = RateLimiter::with_clock(RateLimit::per_second(10).burst(2), clock.clone());
/// let mut subscriber = topic.subscribe().limited(limiter);
/// for event in 0..4 {
///     topic.publish(event)?;
/// }
///
/// let mut seen = Vec::new();
/// assert_eq!(subscriber.poll(64, |event, _| seen.push(*event)), Ok(2));
/// assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty)); // it has to wait, not the topic
/// clock.advance(Duration::from_millis(100));
/// assert_eq!(subscriber.try_recv(), Ok(2));
/// # assert_eq!(seen, [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a subscriber that is dropped leaves at once"]
pub struct LimitedSubscriber<T: Send + Sync + 'static> {
    subscriber: Subscriber<T>,
    limiter: RateLimiter,
    /// When it took a place in the quota that no event has used yet.
    granted: Option<Instant>,
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// Reads at most as often as `limiter` allows from now on: a [`RateLimit`](crate::RateLimit) of its own, or a
    /// [`RateLimiter`] that is shared with others.
    pub fn limited(self, limiter: impl Into<RateLimiter>) -> LimitedSubscriber<T> {
        LimitedSubscriber {
            subscriber: self,
            limiter: limiter.into(),
            granted: None,
        }
    }
}

impl<T: Send + Sync + 'static> Subscriber<T> {
    /// As `wait`, but an event that newer ones may take the place of is not taken by looking at it.
    fn wait_ready(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        let keeps = matches!(self.overflow(), Overflow::Block | Overflow::Disconnect);
        if keeps || self.reader.is_behind() {
            return self.wait(deadline);
        }
        let Self {
            reader, listing, ..
        } = self;
        let core = listing.core();
        let strategy = core.settings().wait;
        let ready = strategy.wait(&core.events, Some(&core.parked), deadline, || {
            reader.is_ready().then_some(())
        });
        match ready {
            // The end, which has to wait for nothing.
            Some(()) if reader.left() == 0 => self.wait(Some(Instant::now())),
            ready => Ok(ready.is_some()),
        }
    }
}

impl<T: Send + Sync + 'static> LimitedSubscriber<T> {
    /// Waits for the next event and for the limit, and returns a clone of the event.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::recv`]; and with `WouldDeadlock` inside of a reactor's handler, when the limit does
    /// not allow an event that is there: it would make all sources of the reactor wait.
    ///
    /// # Panics
    ///
    /// As [`Subscriber::recv`].
    ///
    /// # Blocking
    ///
    /// As [`Subscriber::recv`], then until the limit allows the event.
    pub fn recv(&mut self) -> Result<T, RecvError>
    where
        T: Clone,
    {
        // Without a deadline the wait ends with an event or an error.
        loop {
            if let Some(event) = self.recv_until(None)? {
                return Ok(event);
            }
        }
    }

    /// Returns a clone of the next event, if there is one and the limit allows it now.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::try_recv`], and with `Empty` when the limit does not allow an event that is there.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        match self.may_read() {
            Ok(true) => self.take(),
            Ok(false) => Err(TryRecvError::Empty),
            // A loss that no event follows is told before the close.
            Err(PollError::Closed) => self.subscriber.try_recv(),
            Err(error) => Err(RecvError::from(error).into()),
        }
    }

    /// As [`recv`](Self::recv), for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and when there was no event, or none that the limit allowed, in time.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the timeout.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        let event = self.recv_until(Core::<T>::deadline(timeout))?;
        event.ok_or(RecvTimeoutError::Timeout)
    }

    /// As [`recv`](Self::recv), until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv), until the deadline.
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError>
    where
        T: Clone,
    {
        let event = self.recv_until(Some(deadline))?;
        event.ok_or(RecvTimeoutError::Timeout)
    }

    /// Shows up to `max` events to `handler`, as many as there are and the limit allows now, and returns how
    /// many it showed; never blocks.
    ///
    /// # Errors
    ///
    /// As [`Subscriber::poll`].
    ///
    /// # Panics
    ///
    /// As [`Subscriber::poll`]; the event that `handler` panicked in has used its place in the quota.
    pub fn poll<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, Meta),
    {
        if max == 0 || !self.may_read()? {
            return Ok(0);
        }
        let Self {
            subscriber,
            limiter,
            granted,
        } = self;
        let there = match subscriber.overflow() {
            Overflow::Latest => 1,
            // An end that has still to be told is nothing to show.
            _ => usize::try_from(subscriber.left()).map_or(max, |there| max.min(there.max(1))),
        };
        let mut left = there;
        subscriber.poll_until(there, |event, meta| {
            *granted = None;
            left -= 1;
            handler(event, meta);
            // What is taken ahead here is kept for the next call, if the filter refuses the rest.
            *granted = (left > 0).then(|| limiter.grant()).flatten();
            match granted {
                Some(_) => ControlFlow::Continue(()),
                None => ControlFlow::Break(()),
            }
        })
    }

    /// Waits for an event and for the limit, then shows events as [`poll`](Self::poll) does.
    ///
    /// Returns how many it showed, at least one unless `max` is 0.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), but for a loss, which [`Meta::missed`] tells.
    ///
    /// # Panics
    ///
    /// As [`poll`](Self::poll).
    ///
    /// # Blocking
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_wait<F>(&mut self, max: usize, mut handler: F) -> Result<usize, PollError>
    where
        F: FnMut(&T, Meta),
    {
        loop {
            let shown = self.poll(max, &mut handler)?;
            if shown > 0 || max == 0 {
                return Ok(shown);
            }
            self.wait(None)?;
        }
    }

    /// The limiter, which may be shared with other handles.
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// The subscriber, without its limit.
    pub fn into_inner(self) -> Subscriber<T> {
        self.subscriber
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<T>, RecvError>
    where
        T: Clone,
    {
        loop {
            let taken = match self.wait(deadline) {
                Ok(true) => self.take(),
                Ok(false) => return Ok(None),
                // A loss that no event follows is told before the close.
                Err(PollError::Closed) => self.subscriber.try_recv(),
                Err(error) => return Err(error.into()),
            };
            match taken {
                Ok(event) => return Ok(Some(event)),
                Err(TryRecvError::Empty) if passed(deadline) => return Ok(None),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Closed) => return Err(RecvError::Closed),
                Err(TryRecvError::Missed(missed)) => return Err(RecvError::Missed(missed)),
                Err(TryRecvError::Disconnected(missed)) => {
                    return Err(RecvError::Disconnected(missed));
                }
            }
        }
    }

    /// Takes the event that there is, on the place in the quota that was granted.
    fn take(&mut self) -> Result<T, TryRecvError>
    where
        T: Clone,
    {
        let granted = self.granted.take();
        let taken = self.subscriber.try_recv();
        if taken.is_err() {
            self.granted = granted;
        }
        taken
    }

    /// Whether there is something to look at and a place in the quota for it, which is taken.
    fn may_read(&mut self) -> Result<bool, PollError> {
        self.subscriber.note_thread();
        // A look: the deadline has passed.
        match self.subscriber.wait_ready(Some(Instant::now())) {
            Ok(true) => {}
            // Who does not wait has no event now.
            Ok(false) | Err(PollError::WouldDeadlock) => return Ok(false),
            Err(error) => return Err(error),
        }
        if !self.has_grant() {
            self.granted = self.limiter.grant();
        }
        Ok(self.granted.is_some())
    }

    /// Whether it has a place in the quota already. One that was not used before it was refilled is
    /// forgotten: it would add to the burst.
    fn has_grant(&mut self) -> bool {
        let limiter = &self.limiter;
        self.granted
            .take_if(|granted| limiter.has_refilled(*granted));
        self.granted.is_some()
    }

    /// Waits until there is something to look at and a place in the quota for it, which is taken; `false` when
    /// `deadline` passed without.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, PollError> {
        self.subscriber.note_thread();
        if !self.subscriber.wait_ready(deadline)? {
            return Ok(false);
        }
        if self.has_grant() {
            return Ok(true);
        }
        match self.limiter.acquire(None, deadline, || None::<()>) {
            Ok(()) => self.granted = Some(self.limiter.now()),
            Err(_) if passed(deadline) => return Ok(false),
            Err(_) if InTurn::is_here() => return Err(PollError::WouldDeadlock),
            Err(_) => {
                // It is known that the limit will not allow it in time; yet who reads with a timeout means to
                // sleep that long.
                WaitStrategy::Park.wait_for_any(&[], None, deadline, || None::<()>);
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for LimitedSubscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedSubscriber")
            .field("subscriber", &self.subscriber)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
