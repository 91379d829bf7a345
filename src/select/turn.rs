//! The fences of a turn, and what is before them.

use std::time::Instant;

use super::budget::Budget;
use super::context::Context;
use super::drive::{Allowance, Unwind};

impl<S> Context<S> {
    /// Takes a turn; tells about how many events the budget left.
    #[inline]
    pub(super) fn turn(&mut self, state: &mut S, budget: Budget) -> (u64, Result<(), Unwind>) {
        if let Err(unwind) = self.begin_round(state) {
            return (0, Err(unwind));
        }
        self.in_turn = true;
        let mut allowance = Allowance {
            events: budget.events,
            until: None,
        };
        if budget.within.is_some() {
            allowance.until = self.end_of(budget);
        }
        let outcome = self.serve_turn(state, &mut allowance);
        let pending = self.take_fence_away();
        let flushed = self.flush().map(drop);
        (pending, outcome.and(flushed))
    }

    #[inline]
    fn serve_turn(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        if self.serve_only_one(state, allowance)? {
            return self.serve_rest(state, allowance);
        }
        self.fence();
        self.serve_ready(state, allowance)
    }

    #[inline(never)]
    fn end_of(&mut self, budget: Budget) -> Option<Instant> {
        budget.until(self.now())
    }

    /// Handles one event or timer: too little to need a fence.
    pub(super) fn poll_one(&mut self, state: &mut S) -> Result<(), Unwind> {
        self.begin_round(state)?;
        let mut one = Allowance {
            events: 1,
            until: None,
        };
        if self.serve_only_one(state, &mut one)? {
            return self.serve_rest(state, &mut one);
        }
        let looked = self.schedule.is_time_to_look();
        if looked {
            self.look();
        }
        self.serve_ready(state, &mut one)?;
        if one.events > 0 && !looked {
            // Nobody in line had an event after all: a filter refused it, or another member of a group was faster.
            self.look_and_serve(state, &mut one)?;
        }
        self.flush().map(drop)
    }

    #[cold]
    #[inline(never)]
    fn look_and_serve(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        self.look();
        self.serve_ready(state, allowance)
    }

    /// Fences the sources that are ready; those that get ready later are not of this turn.
    #[inline]
    fn fence(&mut self) {
        if self.schedule.has_hot() || !self.foreign.is_empty() {
            self.fence_those_in_line();
        }
        let Self {
            schedule, slots, ..
        } = self;
        let fence = |index| {
            let source = slots.source_mut(index);
            source.is_some_and(|source| source.fence_if_ready())
        };
        if schedule.look(fence) {
            self.arm_fenced();
        }
    }

    #[inline(never)]
    fn fence_those_in_line(&mut self) {
        let Self {
            schedule,
            slots,
            foreign,
            ..
        } = self;
        let mut fence = |index| {
            if let Some(source) = slots.source_mut(index) {
                source.fence_if_ready();
            }
        };
        schedule.for_each_hot(&mut fence);
        foreign.iter().for_each(|id| fence(id.index()));
    }

    /// Arms the quiet sources; those that have something after all are fenced in a turn.
    #[cold]
    #[inline(never)]
    pub(super) fn arm_now(&mut self) {
        if self.in_turn {
            self.arm_fenced();
        } else {
            self.arm();
        }
    }

    #[cold]
    #[inline(never)]
    fn arm_fenced(&mut self) {
        self.arm_cooling();
        let Self {
            schedule, slots, ..
        } = self;
        schedule.send_away(|index| {
            let source = slots.source_mut(index);
            source.is_some_and(|source| source.fence_if_ready())
        });
    }

    /// Serves what is ready: in a turn, what is before the fence.
    #[inline]
    fn serve_ready(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        self.fire(state, allowance)?;
        // First in every other turn, so that a small budget reaches both kinds.
        self.foreign_first = !self.foreign_first;
        if self.foreign_first {
            self.serve_foreign(state, allowance)?;
        }
        self.serve_line(state, allowance)?;
        // Again as long as there is something before their fences.
        while self.serve_foreign(state, allowance)? {}
        Ok(())
    }

    /// Serves what the only source has left, or what it got when it was armed.
    #[inline]
    fn serve_rest(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        self.flush()?;
        if self.schedule.has_hot() {
            self.serve_more(state, allowance)
        } else {
            Ok(())
        }
    }

    #[inline(never)]
    fn serve_more(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        self.serve_line(state, allowance)
    }

    #[inline(always)]
    fn serve_line(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        while self.schedule.has_hot() && self.may_go_on(allowance) {
            self.serve_first(state, allowance)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Takes the fences of a turn away; tells about how many events are left before them.
    #[inline]
    fn take_fence_away(&mut self) -> u64 {
        self.in_turn = false;
        if self.schedule.has_hot() || !self.foreign.is_empty() {
            self.take_fences_left_away()
        } else {
            0
        }
    }

    #[inline(never)]
    fn take_fences_left_away(&mut self) -> u64 {
        let Self {
            schedule,
            slots,
            foreign,
            ..
        } = self;
        let mut left = 0;
        let mut take_away = |index| {
            if let Some(source) = slots.source_mut(index) {
                left += source.left();
                source.take_fence_away();
            }
        };
        schedule.for_each_hot(&mut take_away);
        foreign.iter().for_each(|id| take_away(id.index()));
        left
    }
}
