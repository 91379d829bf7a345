//! What a reactor serves.

use std::ops::ControlFlow;
use std::panic::Location;

use crossbeam_channel::{Receiver, Select, TryRecvError};

use super::context::Context;
use super::handler::HandlerId;
use super::timeline::Merge;
use crate::channel::{Batch, Meta, PollError, Subscriber};
use crate::sync::Waiter;

/// How a source stands after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There may be more.
    More,
    /// There was nothing more.
    Dry,
    /// There will be nothing more; with the events that were lost by that.
    Ended(u64),
}

/// Events with their handler.
pub(crate) trait Source<S>: Send {
    /// Hands up to `max` events to the handler, while the context's flow goes on; counts each in `handled`
    /// before its handler runs.
    fn serve(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome;

    /// As `serve`, after a [`look`](Self::look).
    fn serve_if_ready(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        if self.look(context) {
            self.serve(id, state, context, max, handled)
        } else {
            Outcome::Dry
        }
    }

    /// Whether there is something to serve; in a turn it is then fenced.
    #[inline(always)]
    fn look(&mut self, context: &Context<S>) -> bool {
        if context.in_turn {
            self.fence_if_ready()
        } else {
            self.is_ready()
        }
    }

    /// Whether there is something to serve.
    fn is_ready(&self) -> bool;

    /// Whether it cannot ring a bell, and must be looked at every round.
    fn is_foreign(&self) -> bool {
        false
    }

    /// Has `waiter` woken for the next event, after the caller's heavy barrier.
    fn enlist(&self, waiter: &Waiter);

    fn delist(&self, waiter: &Waiter);

    /// Hides what comes from now on, if there is something to serve; tells whether there is. The fence of a
    /// subscription goes when it is dry.
    fn fence_if_ready(&mut self) -> bool;

    fn take_fence_away(&mut self);

    /// About how many events wait before the fence.
    fn left(&self) -> u64;

    /// How many events wait when there is no fence.
    #[cfg(feature = "services")]
    fn pending(&mut self) -> u64 {
        self.left()
    }

    /// Has publishers know that this thread reads, before it has read.
    #[cfg(feature = "services")]
    fn attend(&mut self) {}

    /// Tells that its handler has panicked, if it has a topic whose bus can be told.
    fn tell_panic(&self, _handler: Option<&'static Location<'static>>, _message: Option<&str>) {}

    /// Itself, if it is the source of a timeline: its handlers count as sources, not it.
    fn merge(&mut self) -> Option<&mut Merge<S>> {
        None
    }

    /// Adds the channel to a foreign select.
    fn select<'a>(&'a self, _select: &mut Select<'a>) {}
}

/// A subscription with its handler.
pub(crate) struct Subscription<T: Send + Sync + 'static, H> {
    pub(crate) subscriber: Subscriber<T>,
    pub(crate) handler: H,
}

/// A handler that takes one event at a time.
pub(crate) struct Each<F>(pub(crate) F);

/// A handler that takes batches.
pub(crate) struct Batches<F>(pub(crate) F);

/// How a subscription's handler is given its events.
pub(crate) trait Take<S, T: Send + Sync + 'static>: Send {
    /// As [`Source::serve`].
    fn take(
        &mut self,
        subscriber: &mut Subscriber<T>,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Result<(), PollError>;
}

/// A foreign channel.
pub(crate) struct Foreign<M, F> {
    pub(crate) receiver: Receiver<M>,
    pub(crate) handler: F,
    /// Messages before the fence.
    pub(crate) fenced: Option<usize>,
    /// What asking an empty channel brought, which tells in no other way that it is disconnected.
    pub(crate) asked: Result<M, TryRecvError>,
}

impl<S, T, F> Take<S, T> for Each<F>
where
    T: Send + Sync + 'static,
    F: FnMut(&mut S, &T, &mut Context<S>) + Send,
{
    #[inline]
    fn take(
        &mut self,
        subscriber: &mut Subscriber<T>,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Result<(), PollError> {
        let shown = subscriber.poll_until(max, |event, meta: Meta| {
            if meta.missed > 0 {
                context.lagged(id, meta.missed, state);
                if !context.contains(id) {
                    return ControlFlow::Break(());
                }
            }
            *handled += 1;
            (self.0)(state, event, context);
            context.flow()
        });
        shown.map(drop)
    }
}

impl<S, T, F> Take<S, T> for Batches<F>
where
    T: Send + Sync + 'static,
    F: FnMut(&mut S, &mut Batch<'_, T>, &mut Context<S>) + Send,
{
    fn take(
        &mut self,
        subscriber: &mut Subscriber<T>,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Result<(), PollError> {
        let shown = subscriber.poll_batch(max, |mut batch| {
            let missed = batch.missed();
            if missed > 0 {
                context.lagged(id, missed, state);
                if !context.contains(id) {
                    return;
                }
            }
            let mut counted = Counted {
                batch: &mut batch,
                handled,
                unwinds: true,
            };
            (self.0)(state, counted.batch, context);
            // What the handler left is handled too: otherwise a handler that takes nothing would be called
            // with the same events for ever.
            counted.batch.for_each(drop);
            counted.unwinds = false;
        });
        shown.map(drop)
    }
}

/// Counts what was taken from a batch, also when its handler unwinds.
struct Counted<'a, 'b, T> {
    batch: &'a mut Batch<'b, T>,
    handled: &'a mut usize,
    unwinds: bool,
}

impl<T> Drop for Counted<'_, '_, T> {
    fn drop(&mut self) {
        if self.unwinds && self.batch.taken() == 0 {
            // It was given this one; with none it would be given the same batch for ever.
            self.batch.next();
        }
        *self.handled += self.batch.taken();
    }
}

impl<T: Send + Sync + 'static, H> Subscription<T, H> {
    /// Serves, if it is known to be `ready` or looks so. Once for both, as it is too much to be there twice for every
    /// handler.
    #[inline(never)]
    fn serve_by<S>(
        &mut self,
        ready: bool,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome
    where
        H: Take<S, T>,
    {
        if !ready && !self.look(context) {
            return Outcome::Dry;
        }
        let Self {
            subscriber,
            handler,
        } = self;
        match handler.take(subscriber, id, state, context, max, handled) {
            // Asked also when fewer than `max` were taken: a filter, holes and a handler that broke off
            // leave more.
            Ok(()) if subscriber.is_ready() => Outcome::More,
            Ok(()) => {
                subscriber.take_fence_away();
                Outcome::Dry
            }
            // A loss that no event follows is told with the end.
            Err(PollError::Closed) => Outcome::Ended(subscriber.take_missed()),
            Err(PollError::Disconnected(missed)) => Outcome::Ended(missed),
            Err(PollError::WouldDeadlock) => unreachable!("a handler is given what is there"),
        }
    }
}

impl<S, T, H> Source<S> for Subscription<T, H>
where
    T: Send + Sync + 'static,
    H: Take<S, T>,
{
    fn serve(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        self.serve_by(true, id, state, context, max, handled)
    }

    fn serve_if_ready(
        &mut self,
        id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        self.serve_by(false, id, state, context, max, handled)
    }

    #[inline]
    fn is_ready(&self) -> bool {
        self.subscriber.is_ready()
    }

    fn enlist(&self, waiter: &Waiter) {
        self.subscriber.enlist(waiter);
    }

    fn delist(&self, waiter: &Waiter) {
        self.subscriber.delist(waiter);
    }

    #[inline]
    fn fence_if_ready(&mut self) -> bool {
        let ready = self.subscriber.is_ready();
        if ready {
            self.subscriber.fence();
        }
        ready
    }

    fn take_fence_away(&mut self) {
        self.subscriber.take_fence_away();
    }

    fn left(&self) -> u64 {
        self.subscriber.left()
    }

    fn tell_panic(&self, handler: Option<&'static Location<'static>>, message: Option<&str>) {
        self.subscriber.tell_panic(handler, message);
    }

    #[cfg(feature = "services")]
    fn attend(&mut self) {
        self.subscriber.note_thread();
    }
}

impl<M, F> Foreign<M, F> {
    fn next(&mut self) -> Result<M, TryRecvError> {
        match std::mem::replace(&mut self.asked, Err(TryRecvError::Empty)) {
            Err(TryRecvError::Empty) => self.receiver.try_recv(),
            asked => asked,
        }
    }
}

impl<S, M, F> Source<S> for Foreign<M, F>
where
    M: Send + 'static,
    F: FnMut(&mut S, M, &mut Context<S>) + Send,
{
    fn serve(
        &mut self,
        _id: HandlerId,
        state: &mut S,
        context: &mut Context<S>,
        max: usize,
        handled: &mut usize,
    ) -> Outcome {
        for _ in 0..max {
            if self.fenced == Some(0) && !matches!(self.asked, Err(TryRecvError::Disconnected)) {
                return Outcome::Dry;
            }
            match self.next() {
                Ok(message) => {
                    if let Some(fenced) = &mut self.fenced {
                        *fenced -= 1;
                    }
                    *handled += 1;
                    (self.handler)(state, message, context);
                }
                Err(TryRecvError::Empty) => return Outcome::Dry,
                Err(TryRecvError::Disconnected) => return Outcome::Ended(0),
            }
            if context.flow() == ControlFlow::Break(()) {
                break;
            }
        }
        Outcome::More
    }

    fn is_ready(&self) -> bool {
        self.asked.is_ok() || !self.receiver.is_empty()
    }

    fn is_foreign(&self) -> bool {
        true
    }

    fn enlist(&self, _waiter: &Waiter) {}

    fn delist(&self, _waiter: &Waiter) {}

    fn fence_if_ready(&mut self) -> bool {
        if self.asked.is_err() && self.receiver.is_empty() {
            self.asked = self.receiver.try_recv();
        }
        self.fenced = Some(self.receiver.len() + usize::from(self.asked.is_ok()));
        true
    }

    fn take_fence_away(&mut self) {
        self.fenced = None;
    }

    fn left(&self) -> u64 {
        let there = self.receiver.len() + usize::from(self.asked.is_ok());
        self.fenced.map_or(0, |fenced| fenced.min(there)) as u64
    }

    fn select<'a>(&'a self, select: &mut Select<'a>) {
        select.recv(&self.receiver);
    }
}
