//! Calling handlers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam_channel::Select;

use super::context::{Call, Context};
use super::handler::{HandlerId, HandlerPanic, OnPanic};
use super::slots::Body;
use super::source::Outcome;
use crate::sync::{Arc, Barrier, Waiter};

/// Events a source is given at a time while others wait.
const ROUND: usize = 64;

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
}

impl<S> Context<S> {
    /// Begins a round: the time is read anew, bells that rang and what other threads asked for are seen.
    #[inline]
    pub(super) fn begin_round(&mut self) {
        self.now = None;
        if self.schedule.collect() {
            self.obey();
        }
    }

    #[cold]
    fn obey(&mut self) {
        self.stop |= self.control.take_stop();
        for id in self.control.take_removed() {
            self.remove(id);
        }
    }

    /// Whether a stop was asked for; it counts once.
    pub(super) fn take_stop(&mut self) -> bool {
        std::mem::take(&mut self.stop)
    }

    fn may_go_on(&self, allowance: &Allowance) -> bool {
        !self.stop
            && allowance.events > 0
            && allowance.until.is_none_or(|until| self.clock.now() < until)
    }

    /// Fires what is due; tells whether anything was.
    #[inline]
    pub(super) fn fire(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<bool, Unwind> {
        if self.timers.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        if self.timers.earliest().is_none_or(|at| at > now) {
            return Ok(false);
        }
        let fence = self.timers.fence();
        let mut fired = false;
        while self.may_go_on(allowance) {
            let Some(due) = self.timers.take_due(now, fence) else {
                break;
            };
            if !self.slots.is_live(due.id) {
                self.timers.forget();
                continue;
            }
            fired = true;
            self.fire_one(due.id, due.at, now, state, allowance)?;
        }
        Ok(fired)
    }

    fn fire_one(
        &mut self,
        id: HandlerId,
        at: Instant,
        now: Instant,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        if self.slots.source(id.index()).is_some() {
            return self.check_expectation(id, now, state, allowance);
        }
        let Some(Body::Timer {
            mut callback,
            every,
        }) = self.slots.take(id)
        else {
            return Ok(());
        };
        allowance.events -= 1;
        self.totals.timers += 1;
        if let Some((period, missed)) = every
            && let Some(next) = missed.next(at, now, period)
        {
            // Before the call, which may remove the timer.
            self.timers.set(id, next);
        }
        let outcome = self.call(id, state, None, |state, context| callback(state, context));
        self.put_back(id, Body::Timer { callback, every });
        if every.is_none() {
            self.remove(id);
        }
        self.settle(id, outcome, state).map(drop)
    }

    /// Fires an expectation whose time has come, unless an event came since it was set.
    fn check_expectation(
        &mut self,
        id: HandlerId,
        now: Instant,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        let in_line = self
            .slots
            .source(id.index())
            .is_some_and(|source| source.is_ready());
        let Some(expectation) = self
            .slots
            .known_extras(id)
            .and_then(|extras| extras.expectation.as_mut())
        else {
            return Ok(());
        };
        if in_line {
            expectation.since = now;
        }
        let deadline = expectation.since.checked_add(expectation.within);
        if deadline.is_none_or(|deadline| deadline > now) {
            expectation.is_set = deadline.is_some();
            if let Some(deadline) = deadline {
                self.timers.set(id, deadline);
            }
            return Ok(());
        }
        expectation.is_set = false;
        let Some(mut callback) = expectation.callback.take() else {
            return Ok(());
        };
        allowance.events -= 1;
        self.totals.timers += 1;
        let outcome = self.call(id, state, None, |state, context| callback(state, context));
        let extras = self.slots.known_extras(id);
        if let Some(expectation) = extras.and_then(|extras| extras.expectation.as_mut()) {
            expectation.callback = Some(callback);
        }
        self.settle(id, outcome, state).map(drop)
    }

    /// Notes that a source's expectation was met.
    #[inline]
    fn met(&mut self, id: HandlerId) {
        if !self.expects {
            return;
        }
        let now = self.now();
        let extras = self.slots.known_extras(id);
        if let Some(expectation) = extras.and_then(|extras| extras.expectation.as_mut()) {
            expectation.since = now;
            if !expectation.is_set
                && let Some(deadline) = now.checked_add(expectation.within)
            {
                expectation.is_set = true;
                self.timers.set(id, deadline);
            }
        }
    }

    /// Serves the source whose turn it is; tells whether there was one.
    #[inline]
    pub(super) fn serve_next(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<Option<(usize, bool)>, Unwind> {
        if self.stop {
            return Ok(None);
        }
        let Some(index) = self.schedule.next() else {
            return Ok(None);
        };
        let id = self.slots.id(index);
        let (more, unwind) = match self.serve(id, state, allowance) {
            Ok(more) => (more, None),
            Err(unwind) => (true, Some(unwind)),
        };
        // It may be gone, and another one in its place.
        if self.slots.is_live(id) {
            self.schedule.served(index, more);
        }
        match unwind {
            Some(unwind) => Err(unwind),
            None => Ok(Some((index, more))),
        }
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
        let before = (self.totals.handled, self.totals.open);
        for _ in 0..self.foreign.len() {
            if self.foreign.is_empty() || !self.may_go_on(allowance) {
                break;
            }
            // The list gets shorter by those that end; and a small budget must not end at the same one
            // each time.
            let at = self.foreign_turn % self.foreign.len();
            self.foreign_turn = at + 1;
            self.serve(self.foreign[at], state, allowance)?;
        }
        Ok(before != (self.totals.handled, self.totals.open))
    }

    /// Gives a source up to a round of events; tells whether it has more.
    fn serve(
        &mut self,
        id: HandlerId,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<bool, Unwind> {
        let max = ROUND.min(usize::try_from(allowance.events).unwrap_or(usize::MAX));
        let Some(Body::Source(mut source)) = self.slots.take(id) else {
            return Ok(false);
        };
        let mut handled = 0;
        let outcome = self.call(id, state, allowance.until, |state, context| {
            source.serve(id, state, context, max, &mut handled)
        });
        allowance.events -= handled as u64;
        self.totals.handled += handled as u64;
        self.put_back(id, Body::Source(source));
        if handled > 0 {
            self.met(id);
        }
        let outcome = match outcome {
            // Severed by its guard, and removed.
            Ok(None) => Ok(Outcome::Dry),
            Ok(Some(outcome)) => Ok(outcome),
            Err(unwind) => Err(unwind),
        };
        match outcome {
            Ok(Outcome::More) => Ok(true),
            Ok(Outcome::Dry) => Ok(false),
            Ok(Outcome::Ended(missed)) => self.end(id, missed, state).map(|()| false),
            Err(unwind) => self.settle::<()>(id, Err(unwind), state).map(|_| true),
        }
    }

    /// Removes a source that has ended, and tells so.
    #[cold]
    fn end(&mut self, id: HandlerId, missed: u64, state: &mut S) -> Result<(), Unwind> {
        let closed = self
            .slots
            .known_extras(id)
            .and_then(|extras| extras.closed.take());
        let outcome = self.call(id, state, None, |state, context| {
            if missed > 0 {
                context.lagged(id, missed, state);
            }
            if let Some(mut closed) = closed {
                closed(state, context);
            }
        });
        self.remove(id);
        self.settle(id, outcome, state).map(drop)
    }

    /// Calls those who wait for idleness; tells whether there are any.
    pub(super) fn call_idle(&mut self, state: &mut S) -> Result<bool, Unwind> {
        let mut at = 0;
        while at < self.idle.len() && !self.stop {
            let id = self.idle[at];
            if let Some(Body::Idle(mut callback)) = self.slots.take(id) {
                let outcome = self.call(id, state, None, |state, context| callback(state, context));
                self.put_back(id, Body::Idle(callback));
                self.settle(id, outcome, state)?;
            }
            at += usize::from(self.idle.get(at) == Some(&id));
        }
        Ok(at > 0)
    }

    /// Calls user code for a handler; `Ok(None)` if a guard forbids it.
    fn call<R>(
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
        };
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
        self.call = Call::default();
        outcome
    }

    fn put_back(&mut self, id: HandlerId, body: Body<S>) {
        if let Some(removed) = self.slots.put_back(id, body) {
            self.forget(id, removed);
        }
    }

    /// Does with a panic what was chosen.
    #[inline]
    fn settle<R>(
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
    fn settle_panic(
        &mut self,
        handler: HandlerId,
        payload: Unwind,
        state: &mut S,
    ) -> Result<(), Unwind> {
        if self.policy == OnPanic::Propagate {
            return Err(payload);
        }
        self.totals.panicked += 1;
        if self.policy == OnPanic::Remove {
            self.remove(handler);
        }
        let panic = HandlerPanic { handler, payload };
        let Some(mut callback) = self.panic_callback.take() else {
            return Ok(());
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| callback(state, &panic, self)));
        self.panic_callback.get_or_insert(callback);
        outcome
    }

    /// Publishes what waits in the outbox; tells whether anything found room.
    #[inline]
    pub(super) fn flush(&mut self) -> bool {
        if self.outbox.len() == 0 {
            return false;
        }
        let flushed = self.outbox.flush();
        self.totals.undeliverable += flushed.lost as u64;
        flushed.published + flushed.lost > 0
    }

    /// Looks at sources that had something a moment ago, and arms them when that does not pay.
    #[inline]
    pub(super) fn look(&mut self) {
        let Self {
            schedule, slots, ..
        } = self;
        let tired =
            schedule.look(|index| slots.source(index).is_some_and(|source| source.is_ready()));
        if tired {
            self.arm();
        }
    }

    #[cold]
    fn arm(&mut self) {
        let Self {
            schedule, slots, ..
        } = self;
        schedule.arm(
            |index, waiter| {
                if let Some(source) = slots.source(index) {
                    source.enlist(waiter);
                }
            },
            |index| slots.source(index).is_some_and(|source| source.is_ready()),
        );
    }

    /// Whether nothing will come any more.
    pub(super) fn is_finished(&self) -> bool {
        self.totals.open == 0 && (self.had_source || self.timers.is_empty())
    }

    /// Fences the sources that are ready; those that get ready later are not of this turn.
    pub(super) fn fence(&mut self) {
        self.in_turn = true;
        let Self {
            schedule,
            slots,
            foreign,
            ..
        } = self;
        let foreign = foreign.iter().map(|id| id.index());
        for index in schedule.hot().chain(foreign) {
            if let Some(source) = slots.source_mut(index) {
                source.fence();
            }
        }
    }

    /// Serves what is before the fence.
    pub(super) fn serve_turn(
        &mut self,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        self.fire(state, allowance)?;
        // First in every other turn, so that a small budget reaches both kinds.
        self.foreign_first = !self.foreign_first;
        if self.foreign_first {
            self.serve_foreign(state, allowance)?;
        }
        while self.may_go_on(allowance) {
            let Some((index, more)) = self.serve_next(state, allowance)? else {
                break;
            };
            if !more && let Some(source) = self.slots.source_mut(index) {
                source.take_fence_away();
            }
            self.flush();
        }
        // Again as long as there is something before their fences.
        while self.serve_foreign(state, allowance)? {}
        Ok(())
    }

    /// Takes the fences of a turn away; tells about how many events are left before them.
    pub(super) fn take_fence_away(&mut self) -> u64 {
        self.in_turn = false;
        let Self {
            schedule,
            slots,
            foreign,
            ..
        } = self;
        let foreign = foreign.iter().map(|id| id.index());
        let mut left = 0;
        for index in schedule.hot().chain(foreign) {
            if let Some(source) = slots.source_mut(index) {
                left += source.left();
                source.take_fence_away();
            }
        }
        left
    }

    /// Sleeps until there is something to do, or until a time.
    #[cold]
    pub(super) fn sleep(&mut self, until: Option<Instant>) {
        self.arm();
        if self.schedule.has_hot() {
            return;
        }
        let flushed = self.outbox.arm();
        self.totals.undeliverable += flushed.lost as u64;
        if flushed.published + flushed.lost > 0 {
            return;
        }
        let mut deadline = self.timers.earliest();
        if deadline.is_some() && self.clock.is_manual() {
            if self.arm_clock() {
                return;
            }
            deadline = None;
        }
        let deadline = deadline.into_iter().chain(until).min();
        self.totals.parked += 1;
        if self.foreign.is_empty() {
            self.schedule.park(deadline);
        } else {
            self.park_with_foreign(deadline);
        }
    }

    /// Has the manual clock ring; tells whether a timer is due after all.
    fn arm_clock(&mut self) -> bool {
        if self.clock_bell.arm() {
            self.clock
                .enlist(&Waiter::Bell(Arc::clone(&self.clock_bell)));
        }
        Barrier::of_process().heavy();
        let now = self.clock.now();
        self.timers.earliest().is_some_and(|at| at <= now)
    }

    fn park_with_foreign(&mut self, deadline: Option<Instant>) {
        let set = self.control.set();
        let alarm = self.alarm.get_or_insert_with(|| {
            let (ring, alarm) = crossbeam_channel::bounded(1);
            set.set_alarm(move || {
                // A full channel rings already.
                let _ = ring.try_send(());
            });
            alarm
        });
        set.park_by(|| {
            let mut select = Select::new();
            select.recv(alarm);
            for id in &self.foreign {
                if let Some(source) = self.slots.source(id.index()) {
                    source.select(&mut select);
                }
            }
            match deadline {
                Some(deadline) => {
                    let _ = select.ready_deadline(deadline);
                }
                None => {
                    select.ready();
                }
            }
        });
        while alarm.try_recv().is_ok() {}
    }
}
