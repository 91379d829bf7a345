//! One thread that looks after many sources.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::resume_unwind;
use std::time::Instant;

use thiserror::Error;

use super::budget::{Budget, Turn};
use super::builder::ReactorBuilder;
use super::context::Context;
use super::drive::{Allowance, Unwind};
use crate::channel::{GRACE, Refusal, WaitStrategy, counted};
#[cfg(feature = "rate-limit")]
use crate::sync::InTurn;
use crate::sync::{Backoff, spin_loop, yield_now};

/// Why [`Reactor::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// A handler or a [`StopHandle`](crate::StopHandle) asked for it.
    Stopped,
    /// Every source has closed and everything is handled, the outbox included.
    Closed,
}

/// Why [`Reactor::run`] cannot end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// Every source has closed, and this many events in the outbox wait for a ring that only this thread
    /// reads. They are still there.
    #[error(
        "{} in the outbox for rings that only this thread reads: waiting would deadlock",
        counted(*.0 as u64, "event")
    )]
    WouldDeadlock(usize),
}

/// Looks after many sources on one thread: subscriptions, timers, foreign channels; with one `&mut S` for
/// all of their handlers.
///
/// Its handlers are called one at a time, on the thread that calls [`run`](Self::run) or
/// [`turn`](Self::turn). What is registered costs nothing; what is ready is served in turns, up to 64 events
/// at a time, so that no source starves another. Handlers are added with the methods of [`Context`], which
/// handlers are given too.
///
/// ```
/// use ringbus::{Bus, Reactor};
///
/// #[derive(Default)]
/// struct Strategy {
///     best: u32,
///     trades: u32,
/// }
///
/// let bus = Bus::new();
/// let (quotes, trades) = (bus.topic::<u32>(), bus.topic::<String>());
/// let orders = bus.topic::<i64>();
/// let mut journal = orders.subscribe();
///
/// let mut reactor = Reactor::<Strategy>::new();
/// let orders = orders.publisher()?;
/// reactor.on(quotes.subscribe(), move |strategy, quote, cx| {
///     strategy.best = strategy.best.max(*quote);
///     if *quote > 100 {
///         cx.publish(&orders, -1).expect("the journal keeps up");
///     }
/// });
/// reactor.on(trades.subscribe(), |strategy, _, _| strategy.trades += 1);
///
/// quotes.publish(99)?;
/// quotes.publish(101)?;
/// trades.publish("one".to_string())?;
/// quotes.close();
/// trades.close();
///
/// let mut strategy = Strategy::default();
/// reactor.run(&mut strategy)?;
/// assert_eq!((strategy.best, strategy.trades), (101, 1));
/// assert_eq!(journal.recv()?, -1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Each source's events keep their order. Between sources none is promised, but for
/// [priorities](Context::set_priority); the topics of a [timeline](Context::timeline) are one source. Timers
/// that are due go first, in the order of their deadlines.
///
/// # Cost
///
/// A source with traffic is looked at directly, and its publishers touch nothing of the reactor. One without
/// is armed: its next publisher marks it, and wakes the reactor if it sleeps. So a round costs what is ready,
/// not what is registered. Nothing is allocated but by adding handlers, by an outbox that grows, and by
/// sleeping with foreign channels.
#[must_use = "a reactor does nothing unless it runs"]
pub struct Reactor<S> {
    context: Context<S>,
    wait: WaitStrategy,
}

impl<S> Reactor<S> {
    /// A reactor without handlers, on the system's clock, that parks when it is idle and lets panics through.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A reactor with settings of its own.
    pub fn builder() -> ReactorBuilder<S> {
        ReactorBuilder::new()
    }

    pub(super) fn of(context: Context<S>, wait: WaitStrategy) -> Self {
        Self { context, wait }
    }

    /// Handles events and timers until it is stopped, or until every source has closed.
    ///
    /// When the last source has ended, what is in the outbox is published, and timers do not keep the
    /// reactor; one that never had a source runs until it has no timer. It may be run again.
    ///
    /// A publisher that a handler owns keeps its topic open. A reactor that reads a topic to which its own
    /// handlers publish therefore ends by [`stop`](Context::stop) or [`Bus::close`](crate::Bus::close) alone.
    ///
    /// # Errors
    ///
    /// When all sources have closed, and the outbox waits for a subscriber that this thread reads; after a
    /// second also for one that it has opened and nobody has read.
    ///
    /// # Panics
    ///
    /// When a handler does and the reactor lets panics through, see [`OnPanic`](crate::OnPanic).
    ///
    /// # Blocking
    ///
    /// Waits by the reactor's [`WaitStrategy`] while there is nothing to do.
    pub fn run(&mut self, state: &mut S) -> Result<Ended, RunError> {
        #[cfg(feature = "rate-limit")]
        let _turn = InTurn::enter();
        let ended = self.run_until(state);
        self.context.end_rounds();
        ended.unwrap_or_else(|unwind| resume_unwind(unwind))
    }

    fn run_until(&mut self, state: &mut S) -> Result<Result<Ended, RunError>, Unwind> {
        let Self { context, wait } = self;
        let mut backoff = Backoff::new();
        let mut idled = false;
        let mut patient_until = None;
        loop {
            context.begin_round(state)?;
            if context.take_stop() {
                return Ok(Ok(Ended::Stopped));
            }
            let mut all = Allowance::UNLIMITED;
            let fired = context.fire(state, &mut all)?;
            let served = context.serve_next(state, &mut all)?;
            let foreign = context.serve_foreign(state, &mut all)?;
            let flushed = context.flush()?;
            if context.schedule.is_time_to_look() {
                context.look();
            }
            // Asked also while timers fire: they do not keep the reactor.
            let finished = context.is_finished() && !context.is_stopping();
            if finished && context.outbox.len() == 0 {
                return Ok(Ok(Ended::Closed));
            }
            if fired || served || foreign || flushed || context.schedule.has_hot() {
                backoff = Backoff::new();
                idled = false;
                patient_until = None;
                continue;
            }
            context.control.pulse.leave();
            let mut until = None;
            if finished {
                let left = context.outbox.len();
                // As with a publish that waits: a subscriber that nobody has read may be on its way to
                // another thread.
                let now = Instant::now();
                let patient = *patient_until.get_or_insert(now + GRACE);
                let unread = context.outbox.waits_for(Refusal::Unread);
                if context.outbox.waits_for(Refusal::WouldDeadlock) || unread && now >= patient {
                    return Ok(Err(RunError::WouldDeadlock(left)));
                }
                until = unread.then_some(patient);
            }
            if !std::mem::replace(&mut idled, true) && context.call_idle(state)? {
                continue;
            }
            match wait {
                WaitStrategy::Spin => spin_loop(),
                WaitStrategy::Yield => yield_now(),
                WaitStrategy::Park if backoff.is_completed() => {
                    context.sleep(until)?;
                    backoff = Backoff::new();
                    idled = false;
                }
                WaitStrategy::Park => backoff.snooze(),
            }
        }
    }

    /// Handles what is there, as far as the budget goes, and returns; for a loop that is somebody else's.
    ///
    /// A turn puts a fence behind what has been published when it begins: what comes during the turn, also
    /// from its own handlers, waits for the next one, so a handler that keeps publishing cannot hang a frame.
    /// What the budget leaves is first in the next turn. However turns and frames fall, each event is
    /// handled once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringbus::{Budget, Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let hits = bus.topic::<u32>();
    /// let again = hits.publisher()?;
    /// let mut reactor = Reactor::new();
    /// reactor.on(hits.subscribe(), move |damage: &mut u32, hit, cx| {
    ///     *damage += hit;
    ///     cx.publish(&again, 1).expect("there is room"); // for the next frame
    /// });
    /// hits.publish(10)?;
    ///
    /// let mut damage = 0;
    /// for frame in 0..3 {
    ///     let turn = reactor.turn(&mut damage, Budget::events(1000).within(Duration::from_millis(2)));
    ///     assert_eq!((turn.handled, turn.pending, damage), (1, 0, 10 + frame));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// When a handler does and the reactor lets panics through, see [`OnPanic`](crate::OnPanic). What was
    /// not handled is there for the next turn.
    pub fn turn(&mut self, state: &mut S, budget: Budget) -> Turn {
        #[cfg(feature = "rate-limit")]
        let _turn = InTurn::enter();
        let context = &mut self.context;
        let (handled, before) = (context.handled, context.totals);
        let (pending, outcome) = context.turn(state, budget);
        context.end_rounds();
        if let Err(unwind) = outcome {
            resume_unwind(unwind);
        }
        let after = context.totals;
        Turn {
            handled: context.handled - handled,
            timers: after.timers - before.timers,
            pending,
            missed: after.missed - before.missed,
            panicked: after.panicked - before.panicked,
            outbox: context.outbox.len(),
            open: after.open,
            stopped: context.take_stop(),
        }
    }

    /// Handles one event or timer, if there is any; tells whether it did. A stop that was asked for before
    /// stays for the next run or turn, and nothing is handled until then.
    ///
    /// # Panics
    ///
    /// As [`turn`](Self::turn).
    pub fn poll_one(&mut self, state: &mut S) -> bool {
        #[cfg(feature = "rate-limit")]
        let _turn = InTurn::enter();
        let context = &mut self.context;
        let before = (context.handled, context.totals.timers);
        let outcome = context.poll_one(state);
        context.end_rounds();
        if let Err(unwind) = outcome {
            resume_unwind(unwind);
        }
        before != (context.handled, context.totals.timers)
    }
}

impl<S> Default for Reactor<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// A reactor is its own context outside of handlers.
impl<S> Deref for Reactor<S> {
    type Target = Context<S>;

    fn deref(&self) -> &Context<S> {
        &self.context
    }
}

impl<S> DerefMut for Reactor<S> {
    fn deref_mut(&mut self) -> &mut Context<S> {
        &mut self.context
    }
}

impl<S> fmt::Debug for Reactor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("context", &self.context)
            .field("wait", &self.wait)
            .finish()
    }
}
