//! A request that was started, and the wait for its answer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answer, Pool};
use super::error::ReplyError;
use super::instance::Instance;
use super::request::Request;
use crate::channel::WaitStrategy;
use crate::ring::Awaited;
use crate::sync::{Arc as SyncArc, Backoff, Waiter, current_parker, spin_loop, yield_now};

/// The answer of a request to come; made by [`Client::start`](crate::Client::start).
///
/// It is waited for, asked, handed to a [reactor](crate::Context::on_reply), or an arm of
/// [`select!`](crate::select!), which is given what [`wait`](Self::wait) returns. A ticket is [`Send`].
/// Dropping it cancels the request: an instance that has not taken it drops it unserved, and one that has
/// learns of it by [`Call::is_abandoned`](crate::Call::is_abandoned).
#[must_use = "dropping a ticket cancels its request"]
pub struct Ticket<R: Request> {
    awaited: Option<Awaited<Answer<R>>>,
    pool: Arc<Pool<R>>,
    wait: WaitStrategy,
    /// The mailbox, and the place there, if it was sent by the thread that serves it.
    own: Option<(Arc<Instance<R>>, u64)>,
}

impl<R: Request> Ticket<R> {
    pub(super) fn new(
        awaited: Awaited<Answer<R>>,
        own: Option<(Arc<Instance<R>>, u64)>,
        pool: &Arc<Pool<R>>,
        wait: WaitStrategy,
    ) -> Self {
        Self {
            awaited: Some(awaited),
            pool: Arc::clone(pool),
            wait,
            own,
        }
    }

    /// Waits for the reply.
    ///
    /// # Errors
    ///
    /// When there will be none, at once; and when the request lies in the mailbox of an instance that the
    /// calling thread itself serves.
    ///
    /// # Blocking
    ///
    /// Waits by the client's [`WaitStrategy`], for as long as the instance takes.
    pub fn wait(mut self) -> Result<R::Reply, ReplyError<R>> {
        loop {
            if let Some(answer) = self.wait_until(None) {
                return answer;
            }
        }
    }

    /// Waits for the reply, for `timeout` at most; `None` when there is no answer by then, which may still
    /// come.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and when the answer was taken before.
    ///
    /// # Blocking
    ///
    /// As [`wait`](Self::wait), until the timeout.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<R::Reply, ReplyError<R>>> {
        // A timeout beyond what the clock can tell is no timeout.
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> Option<Result<R::Reply, ReplyError<R>>> {
        let there = match &self.awaited {
            Some(awaited) if !awaited.is_settled() => {
                if self.waits_for_itself() {
                    return Some(Err(ReplyError::WouldDeadlock));
                }
                wait(awaited, self.wait, || deadline)
            }
            _ => true,
        };
        there.then(|| self.try_take()).flatten()
    }

    /// Whether the request lies where only this thread would take it.
    fn waits_for_itself(&self) -> bool {
        self.own.as_ref().is_some_and(|(instance, place)| {
            instance.is_served_here() && !instance.mailbox.has_passed(*place)
        })
    }

    /// Takes the answer, if it is there.
    ///
    /// # Errors
    ///
    /// When there will be no reply, and when the answer was taken before.
    pub fn try_take(&mut self) -> Option<Result<R::Reply, ReplyError<R>>> {
        let Some(awaited) = self.awaited.take() else {
            return Some(Err(ReplyError::Taken));
        };
        match awaited.take() {
            Ok((answer, idle)) => {
                self.pool.put(idle);
                Some(answer.map_err(ReplyError::from))
            }
            Err(awaited) => {
                self.awaited = Some(awaited);
                None
            }
        }
    }

    /// Whether [`try_take`](Self::try_take) has something to return.
    pub fn is_ready(&self) -> bool {
        self.awaited.as_ref().is_none_or(Awaited::is_settled)
    }

    pub(super) fn enlist(&self, waiter: &Waiter) {
        if let Some(awaited) = &self.awaited {
            awaited.enlist(waiter);
        }
    }

    pub(super) fn delist(&self) {
        if let Some(awaited) = &self.awaited {
            awaited.delist();
        }
    }

    pub(super) fn strategy(&self) -> WaitStrategy {
        self.wait
    }
}

impl<R: Request> Drop for Ticket<R> {
    fn drop(&mut self) {
        if let Some(awaited) = self.awaited.take() {
            drop(self.pool.abandon(awaited));
        }
    }
}

impl<R: Request> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("taken", &self.awaited.is_none())
            .finish_non_exhaustive()
    }
}

/// Looks at an answer that have to go by before the clock is read: about what reading it costs.
const LOOKS: u32 = 64;

/// Waits until the answer is there; `false` when the deadline passed without. The deadline is asked for once
/// the answer has not come at once.
pub(crate) fn wait<V>(
    awaited: &Awaited<V>,
    strategy: WaitStrategy,
    deadline: impl FnOnce() -> Option<Instant>,
) -> bool {
    let backoff = Backoff::new();
    let mut deadline = Some(deadline);
    let mut until = None;
    let mut looks = 0_u32;
    while !awaited.is_settled() {
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS) || backoff.is_completed() {
            if let Some(deadline) = deadline.take() {
                until = deadline();
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
        }
        match strategy {
            WaitStrategy::Spin => spin_loop(),
            WaitStrategy::Yield => yield_now(),
            WaitStrategy::Park if backoff.is_completed() => return park(awaited, until),
            WaitStrategy::Park => backoff.snooze(),
        }
    }
    true
}

#[cold]
fn park<V>(awaited: &Awaited<V>, until: Option<Instant>) -> bool {
    let parker = current_parker();
    let waiter = Waiter::Thread(SyncArc::clone(&parker));
    loop {
        // Anew each time: a late wake-up of an earlier turn may have taken it off.
        awaited.enlist(&waiter);
        if awaited.is_settled() {
            return true;
        }
        let in_time = parker.park(until);
        if awaited.is_settled() {
            return true;
        }
        if !in_time {
            awaited.delist();
            return false;
        }
    }
}
