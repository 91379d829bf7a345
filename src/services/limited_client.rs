//! A client that keeps to a quota.

use std::fmt;
use std::time::{Duration, Instant};

use super::client::Client;
use super::error::{CallError, StartError};
use super::request::Request;
use super::ticket::Ticket;
use crate::channel::{Denied, LimitedError, RateLimiter};

/// Asks at most as often as a [`RateLimiter`] allows; made by [`Client::limited`].
///
/// What waits anyhow waits for the quota too; what does not is refused. A request that the limit allowed has
/// used a place in the quota, whatever becomes of it. Clones share the quota.
///
/// ```
/// use ringbus::{Bus, LimitedError, RateLimit, Request};
///
/// struct Order(u64);
///
/// impl Request for Order {
///     type Reply = ();
/// }
///
/// let bus = Bus::new();
/// let _exchange = bus.serve::<Order>();
/// let client = bus.client::<Order>().limited(RateLimit::per_minute(60).burst(2));
/// let _first = client.start(Order(1))?;
/// let _second = client.start(Order(2))?;
/// let refused = client.start(Order(3)).unwrap_err();
/// assert!(matches!(refused, LimitedError::Limited { event: Order(3), .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LimitedClient<R: Request> {
    client: Client<R>,
    limiter: RateLimiter,
}

impl<R: Request> Client<R> {
    /// Asks at most as often as `limiter` allows from now on: a [`RateLimit`](crate::RateLimit) of its own, or a
    /// [`RateLimiter`] that is shared with others.
    pub fn limited(self, limiter: impl Into<RateLimiter>) -> LimitedClient<R> {
        LimitedClient {
            client: self,
            limiter: limiter.into(),
        }
    }
}

impl<R: Request> LimitedClient<R> {
    /// Waits until the limit allows the request, sends it, and waits for its reply: all of it for `timeout` at
    /// most.
    ///
    /// # Errors
    ///
    /// Gives the request back when the limit will not allow it in time: at once; and inside of a reactor's
    /// handler when the limit does not allow it now. Otherwise as [`Client::call`].
    ///
    /// # Blocking
    ///
    /// Sleeps until the limit allows the request or the bus is closed; then as [`Client::call`].
    pub fn call(
        &self,
        request: R,
        timeout: Duration,
    ) -> Result<R::Reply, LimitedError<R, CallError<R>>> {
        // A timeout beyond what the clock can tell is no timeout.
        let deadline = Instant::now().checked_add(timeout);
        let service = &self.client.service;
        let is_closed = || service.instances().1.is_none().then_some(());
        let admitted = self
            .limiter
            .acquire(Some(service.changed()), deadline, is_closed);
        match admitted {
            Ok(()) => {
                let left = deadline.map_or(timeout, |deadline| {
                    deadline.saturating_duration_since(Instant::now())
                });
                let answer = self.client.call(request, left);
                answer.map_err(LimitedError::Refused)
            }
            Err(Denied::Ended(())) => Err(LimitedError::Refused(CallError::Closed(request))),
            Err(Denied::Late(retry_in)) => Err(LimitedError::Limited {
                event: request,
                retry_in,
            }),
        }
    }

    /// Sends a request, if the limit allows it now, and returns the ticket for its answer; never blocks.
    ///
    /// # Errors
    ///
    /// Gives the request back when the limit does not allow it, and as [`Client::start`].
    pub fn start(&self, request: R) -> Result<Ticket<R>, LimitedError<R, StartError<R>>> {
        if let Err(retry_in) = self.limiter.try_acquire() {
            return Err(LimitedError::Limited {
                event: request,
                retry_in,
            });
        }
        self.client.start(request).map_err(LimitedError::Refused)
    }

    /// The limiter, which may be shared with other handles.
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    /// The client, without its limit.
    pub fn into_inner(self) -> Client<R> {
        self.client
    }
}

impl<R> LimitedError<R, StartError<R>> {
    /// The request.
    pub fn into_request(self) -> R {
        match self {
            Self::Limited { event, .. } => event,
            Self::Refused(error) => error.into_request(),
        }
    }
}

impl<R> LimitedError<R, CallError<R>> {
    /// The request, if no instance has taken it.
    pub fn into_request(self) -> Option<R> {
        match self {
            Self::Limited { event, .. } => Some(event),
            Self::Refused(error) => error.into_request(),
        }
    }
}

impl<R: Request> Clone for LimitedClient<R> {
    /// Another client of the same service and quota.
    fn clone(&self) -> Self {
        self.client.clone().limited(&self.limiter)
    }
}

impl<R: Request> fmt::Debug for LimitedClient<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitedClient")
            .field("client", &self.client)
            .field("limiter", &self.limiter)
            .finish_non_exhaustive()
    }
}
