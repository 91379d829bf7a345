//! Calling handlers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::context::{Call, Context};
use super::handler::{HandlerId, HandlerPanic, OnPanic};
use super::slots::{Other, Removed};
use super::source::{Outcome, Source};

/// Events a source is given at a time while others wait.
const ROUND: u64 = 64;

/// A panic on its way out of the reactor.
pub(super) type Unwind = Box<dyn Any + Send>;

/// What may still be done, and by when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) events: u64,
    pub(super) until: Option<Instant>,
}

impl Allowance {
    pub(super) const UNLIMITED: Self = Self {
        events: u64::MAX,
        until: None,
    };

    /// How many events a source may be given at once.
    #[inline]
    fn round(&self) -> usize {
        self.events.min(ROUND) as usize
    }
}

impl<S> Context<S> {
    /// Begins a round: the time is read anew, bells that rang and what other threads asked for are seen.
    #[inline]
    pub(super) fn begin_round(&mut self, state: &mut S) -> Result<(), Unwind> {
        self.now = None;
        self.in_round = true;
        if self.schedule.collect() {
            self.obey(state)
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    fn obey(&mut self, state: &mut S) -> Result<(), Unwind> {
        self.stop |= self.control.take_stop();
        let mut outcome = Ok(());
        for id in self.control.take_removed() {
            outcome = outcome.and(self.discard(id, state));
        }
        outcome
    }

    /// Ends the rounds of a run or a turn.
    #[inline]
    pub(super) fn end_rounds(&mut self) {
        self.control.pulse.leave();
        self.now = None;
        self.in_round = false;
    }

    /// Whether a stop was asked for and not taken yet, also from another thread.
    #[inline]
    pub(super) fn is_stopping(&self) -> bool {
        self.stop || self.control.is_stopping()
    }

    /// Whether a stop was asked for; it counts once.
    #[inline]
    pub(super) fn take_stop(&mut self) -> bool {
        std::mem::take(&mut self.stop) | self.control.take_stop()
    }

    #[inline]
    pub(super) fn may_go_on(&self, allowance: &Allowance) -> bool {
        !self.is_stopping()
            && allowance.events > 0
            && allowance.until.is_none_or(|until| self.clock.now() < until)
    }

    /// Serves the source whose turn it is, unless a stop was asked for; tells whether there was one.
    #[inline]
    pub(super) fn serve_next(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<bool, Unwind> {
        if !self.schedule.has_hot() || self.is_stopping() {
            return Ok(false);
        }
        self.serve_first(state, allowance).map(|()| true)
    }

    /// Serves whoever is first in line.
    #[inline]
    pub(super) fn serve_first(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        match self.schedule.next() {
            Some(index) => self.serve_at(index, state, allowance, true),
            None => Ok(()),
        }
    }

    /// Serves the only source that there is to look at, if there is just one of any kind. Who is alone is looked at,
    /// fenced in a turn, and served in one, and stands in no line. Tells whether it was looked at.
    #[inline(always)]
    pub(super) fn serve_only_one(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<bool, Unwind> {
        let alone = self.schedule.has_only_one()
            && allowance.until.is_none()
            && self.timers.is_empty()
            && self.foreign.is_empty();
        if !alone || !self.may_go_on(allowance) {
            return Ok(false);
        }
        let Some(index) = self.schedule.take_only_one() else {
            return Ok(false);
        };
        let before = allowance.events;
        self.serve_at(index, state, allowance, false)?;
        if allowance.events == before && self.schedule.looked_in_vain() {
            self.arm_now();
        }
        Ok(true)
    }

    /// Serves a source, which is known to be ready or is looked at first.
    ///
    /// What is usual is done here, and all that is not in functions that are called: what they need would be kept
    /// where it is stored and loaded again for every event.
    #[inline(always)]
    fn serve_at(
        &mut self,
        index: usize,
        state: &mut S,
        allowance: &mut Allowance,
        ready: bool,
    ) -> Result<(), Unwind> {
        let Some((id, has_extras, mut source)) = self.slots.take_source_at(index) else {
            return Ok(());
        };
        if has_extras || allowance.until.is_some() {
            return self.serve_watched(id, source, ready, state, allowance);
        }
        let max = allowance.round();
        let mut handled = 0;
        self.begin_plain_call(id);
        let served = catch_unwind(AssertUnwindSafe(|| {
            if ready {
                source.serve(id, state, self, max, &mut handled)
            } else {
                source.serve_if_ready(id, state, self, max, &mut handled)
            }
        }));
        self.call.id = None;
        self.count(handled, allowance);
        let outcome = match served {
            Ok(outcome) => outcome,
            Err(unwind) => return self.take_back(id, source, handled, Err(unwind), state),
        };
        let usual = match outcome {
            Outcome::More | Outcome::Dry => !self.call.watched && self.slots.awaits_source(index),
            Outcome::Ended(_) => false,
        };
        if !usual {
            return self.take_back(id, source, handled, Ok(outcome), state);
        }
        // No expectation is met, as that would be among its extras.
        self.slots.put_awaited(index, source);
        self.schedule.served(index, outcome == Outcome::More);
        Ok(())
    }

    /// Serves a source that may be ended by others than its own handler.
    #[inline(never)]
    fn serve_watched(
        &mut self,
        id: HandlerId,
        mut source: Box<dyn Source<S>>,
        ready: bool,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        let max = allowance.round();
        let mut handled = 0;
        let call = |state: &mut S, context: &mut Self| {
            if ready {
                source.serve(id, state, context, max, &mut handled)
            } else {
                source.serve_if_ready(id, state, context, max, &mut handled)
            }
        };
        let outcome = self.call(id, state, allowance.until, call);
        self.count(handled, allowance);
        // When a guard has severed the handler, which is then removed, there is no outcome.
        let outcome = outcome.map(|outcome| outcome.unwrap_or(Outcome::Dry));
        self.take_back(id, source, handled, outcome, state)
    }

    #[inline]
    fn count(&mut self, handled: usize, allowance: &mut Allowance) {
        allowance.events -= handled as u64;
        self.handled += handled as u64;
        self.control.pulse.note_handled(self.handled);
    }

    /// Takes a source back that was served.
    #[inline(never)]
    fn take_back(
        &mut self,
        id: HandlerId,
        source: Box<dyn Source<S>>,
        handled: usize,
        outcome: Result<Outcome, Unwind>,
        state: &mut S,
    ) -> Result<(), Unwind> {
        let outcome = if self.call.watched {
            self.end_call(outcome)
        } else {
            outcome
        };
        let dropped = match self.slots.put_source_back(id, source) {
            None => Ok(()),
            Some(removed) => self.drop_removed(id, removed, state),
        };
        if self.expects && handled > 0 {
            self.met(id);
        }
        let more = !matches!(outcome, Ok(Outcome::Dry | Outcome::Ended(_)));
        let settled = match outcome {
            Ok(Outcome::More | Outcome::Dry) => dropped,
            Ok(Outcome::Ended(missed)) => self.end(id, missed, state),
            Err(unwind) => self.settle_panic(id, unwind, state).and(dropped),
        };
        // It may be gone, and another one in its place.
        if self.is_scheduled(id) {
            self.schedule.served(id.index(), more);
        }
        settled
    }

    /// Serves each foreign channel in turn; tells whether any had something.
    #[inline]
    pub(super) fn serve_foreign(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<bool, Unwind> {
        if self.foreign.is_empty() {
            return Ok(false);
        }
        self.serve_all_foreign(state, allowance)
    }

    #[inline(never)]
    fn serve_all_foreign(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<bool, Unwind> {
        let before = (self.handled, self.totals.open);
        for _ in 0..self.foreign.len() {
            if self.foreign.is_empty() || !self.may_go_on(allowance) {
                break;
            }
            // The list gets shorter by those that end; and a small budget must not end at the same one
            // each time.
            let at = self.foreign_turn % self.foreign.len();
            self.foreign_turn = at + 1;
            let id = self.foreign[at];
            if let Some(source) = self.slots.take_source(id) {
                self.serve_watched(id, source, true, state, allowance)?;
            }
        }
        Ok(before != (self.handled, self.totals.open))
    }

    /// Removes a source that has ended, and tells so.
    #[cold]
    pub(super) fn end(&mut self, id: HandlerId, missed: u64, state: &mut S) -> Result<(), Unwind> {
        let lagged = if missed > 0 {
            let told = self.call(id, state, None, |state, context| {
                context.lagged(id, missed, state);
            });
            self.settle(id, told, state).map(drop)
        } else {
            Ok(())
        };
        let closed = self
            .slots
            .known_extras(id)
            .and_then(|extras| extras.closed.take());
        let closed = match closed {
            Some(mut closed) => {
                let told = self.call(id, state, None, |state, context| closed(state, context));
                self.settle(id, told, state).map(drop)
            }
            None => Ok(()),
        };
        let dropped = self.discard(id, state);
        lagged.and(closed).and(dropped)
    }

    /// Calls those who wait for idleness; tells whether there are any.
    pub(super) fn call_idle(&mut self, state: &mut S) -> Result<bool, Unwind> {
        let mut at = 0;
        while at < self.idle.len() && !self.is_stopping() {
            let id = self.idle[at];
            if let Some(mut idle) = self.slots.take_other(id) {
                let Other::Idle(callback) = &mut *idle else {
                    unreachable!("nothing else waits for idleness");
                };
                let outcome = self.call(id, state, None, |state, context| callback(state, context));
                let dropped = self.put_other_back(id, idle, state);
                self.settle(id, outcome, state)?;
                dropped?;
            }
            at += usize::from(self.idle.get(at) == Some(&id));
        }
        Ok(at > 0)
    }

    /// Calls user code for a handler that nothing but itself ends early.
    #[inline]
    pub(super) fn call_plainly<R>(
        &mut self,
        id: HandlerId,
        state: &mut S,
        call: impl FnOnce(&mut S, &mut Self) -> R,
    ) -> Result<R, Unwind> {
        self.begin_plain_call(id);
        let outcome = catch_unwind(AssertUnwindSafe(|| call(state, self)));
        self.call.id = None;
        if self.call.watched {
            return self.end_call(outcome);
        }
        outcome
    }

    #[inline]
    fn begin_plain_call(&mut self, id: HandlerId) {
        self.call.id = Some(id);
        self.control.pulse.enter(id);
    }

    /// Forgets a call, and gives out a panic that waited for its end.
    #[cold]
    #[inline(never)]
    fn end_call<R>(&mut self, outcome: Result<R, Unwind>) -> Result<R, Unwind> {
        let call = std::mem::take(&mut self.call);
        if call.begun
            && let Some(calls) = &call.calls
        {
            calls.end();
        }
        match call.unwind {
            Some(unwind) => outcome.and(Err(unwind)),
            None => outcome,
        }
    }

    /// Calls user code for a handler; `Ok(None)` if a guard forbids it.
    pub(super) fn call<R>(
        &mut self,
        id: HandlerId,
        state: &mut S,
        until: Option<Instant>,
        call: impl FnOnce(&mut S, &mut Self) -> R,
    ) -> Result<Option<R>, Unwind> {
        let calls = self
            .slots
            .known_extras(id)
            .and_then(|extras| extras.calls.clone());
        self.call = Call {
            watched: calls.is_some() || until.is_some() || self.stop,
            id: Some(id),
            interrupted: self.stop,
            until,
            calls: calls.clone(),
            ..Call::default()
        };
        self.control.pulse.enter(id);
        let outcome = match &calls {
            None => catch_unwind(AssertUnwindSafe(|| Some(call(state, self)))),
            Some(calls) => match calls.enter() {
                Some(_entered) => catch_unwind(AssertUnwindSafe(|| Some(call(state, self)))),
                None => {
                    // Its guard is on the way to say so.
                    self.remove(id);
                    Ok(None)
                }
            },
        };
        self.end_call(outcome)
    }

    pub(super) fn put_other_back(
        &mut self,
        id: HandlerId,
        other: Box<Other<S>>,
        state: &mut S,
    ) -> Result<(), Unwind> {
        match self.slots.put_other_back(id, other) {
            None => Ok(()),
            Some(removed) => self.drop_removed(id, removed, state),
        }
    }

    /// Removes a handler that is not being called. What it holds may panic when it is dropped.
    pub(super) fn discard(&mut self, id: HandlerId, state: &mut S) -> Result<(), Unwind> {
        match catch_unwind(AssertUnwindSafe(|| self.remove(id))) {
            Ok(_) => Ok(()),
            Err(unwind) => self.settle_panic(id, unwind, state),
        }
    }

    #[cold]
    fn drop_removed(
        &mut self,
        id: HandlerId,
        removed: Removed<S>,
        state: &mut S,
    ) -> Result<(), Unwind> {
        match catch_unwind(AssertUnwindSafe(|| self.forget(id, removed))) {
            Ok(()) => Ok(()),
            Err(unwind) => self.settle_panic(id, unwind, state),
        }
    }

    /// Does with a panic what was chosen.
    #[inline]
    pub(super) fn settle<R>(
        &mut self,
        id: HandlerId,
        outcome: Result<R, Unwind>,
        state: &mut S,
    ) -> Result<Option<R>, Unwind> {
        match outcome {
            Ok(answer) => Ok(Some(answer)),
            Err(unwind) => self.settle_panic(id, unwind, state).map(|()| None),
        }
    }

    #[cold]
    pub(super) fn settle_panic(
        &mut self,
        handler: HandlerId,
        payload: Unwind,
        state: &mut S,
    ) -> Result<(), Unwind> {
        self.settle_panic_and_tell(handler, payload, state, |context, panic| {
            if context.slots.is_live(handler)
                && let Some(source) = context.slots.source(handler.index())
            {
                source.tell_panic(panic.location, panic.message());
            }
        })
    }

    /// As `settle_panic`, of a handler whose source is not in its slot: `tell` tells its topic.
    #[cold]
    pub(super) fn settle_panic_and_tell(
        &mut self,
        handler: HandlerId,
        payload: Unwind,
        state: &mut S,
        tell: impl FnOnce(&mut Self, &HandlerPanic),
    ) -> Result<(), Unwind> {
        if self.policy == OnPanic::Propagate {
            self.control.pulse.note_panic(handler);
            return Err(payload);
        }
        self.totals.panicked += 1;
        let panic = HandlerPanic {
            handler,
            location: self.slots.location(handler),
            payload,
        };
        tell(self, &panic);
        if self.policy == OnPanic::Remove {
            self.remove(handler);
        }
        let Some(mut callback) = self.panic_callback.take() else {
            return Ok(());
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| callback(state, &panic, self)));
        self.panic_callback.get_or_insert(callback);
        outcome
    }
}
