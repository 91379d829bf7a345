//! Timers and expectations.

use std::time::Instant;

use super::context::Context;
use super::drive::{Allowance, Unwind};
use super::handler::HandlerId;
use super::slots::Other;
use super::timers::Due;

impl<S> Context<S> {
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
        self.fire_due(state, allowance)
    }

    #[inline(never)]
    fn fire_due(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<bool, Unwind> {
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
            self.fire_one(due, now, state, allowance)?;
        }
        Ok(fired)
    }

    fn fire_one(
        &mut self,
        due: Due,
        now: Instant,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        let id = due.id;
        if self.slots.source(id.index()).is_some() {
            return self.check_expectation(due, now, state, allowance);
        }
        let Some(mut timer) = self.slots.take_other(id) else {
            return Ok(());
        };
        let Other::Timer { callback, every } = &mut *timer else {
            unreachable!("nothing else has a time");
        };
        let once = every.is_none();
        if let Some((period, missed)) = *every
            && let Some(next) = missed.next(due.at, now, period)
        {
            // Before the call, which may remove the timer. In its old place, so also before the fence of
            // this pass: a burst makes up for all its ticks at once.
            self.timers.set_again(due, next);
        }
        let outcome = self.call(id, state, None, |state, context| callback(state, context));
        self.count_timer(&outcome, allowance);
        let settled = self.settle(id, outcome, state).map(drop);
        let dropped = self.put_other_back(id, timer, state);
        if once {
            return settled.and(dropped).and(self.discard(id, state));
        }
        settled.and(dropped)
    }

    /// Counts a timer that fired, and not one that a guard kept from firing.
    fn count_timer(&mut self, outcome: &Result<Option<()>, Unwind>, allowance: &mut Allowance) {
        if !matches!(outcome, Ok(None)) {
            allowance.events -= 1;
            self.totals.timers += 1;
        }
    }

    /// Fires an expectation whose time has come, unless an event came since it was set.
    fn check_expectation(
        &mut self,
        due: Due,
        now: Instant,
        state: &mut S,
        allowance: &mut Allowance,
    ) -> Result<(), Unwind> {
        let id = due.id;
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
        if deadline.is_none_or(|deadline| deadline > due.at) {
            expectation.is_set = deadline.is_some();
            if let Some(deadline) = deadline {
                // Also when that has passed too: others may be due before it.
                self.timers.set_again(due, deadline);
            }
            return Ok(());
        }
        expectation.is_set = false;
        let Some(mut callback) = expectation.callback.take() else {
            return Ok(());
        };
        let outcome = self.call(id, state, None, |state, context| callback(state, context));
        self.count_timer(&outcome, allowance);
        let extras = self.slots.known_extras(id);
        if let Some(expectation) = extras.and_then(|extras| extras.expectation.as_mut()) {
            expectation.callback = Some(callback);
        }
        self.settle(id, outcome, state).map(drop)
    }

    /// Notes that a source's expectation was met, if it has one.
    pub(super) fn met(&mut self, id: HandlerId) {
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
}
