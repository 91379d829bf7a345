//! The fences of a turn, and what is before them.

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
        self.fence();
        let mut allowance = Allowance {
            events: budget.events,
            until: None,
        };
        if budget.within.is_some() {
            allowance.until = budget.until(self.now());
        }
        let outcome = self.serve_turn(state, &mut allowance);
        let pending = self.take_fence_away();
        let flushed = self.flush().map(drop);
        (pending, outcome.and(flushed))
    }

    /// Handles one event or timer: too little to need a fence.
    pub(super) fn poll_one(&mut self, state: &mut S) -> Result<(), Unwind> {
        self.begin_round(state)?;
        self.look();
        let mut one = Allowance {
            events: 1,
            until: None,
        };
        self.serve_turn(state, &mut one)?;
        self.flush().map(drop)
    }

    /// Fences the sources that are ready; those that get ready later are not of this turn.
    #[inline]
    fn fence(&mut self) {
        self.in_turn = true;
        let Self {
            schedule,
            slots,
            foreign,
            ..
        } = self;
        let mut fence = |index| {
            let source = slots.source_mut(index);
            source.is_some_and(|source| source.fence_if_ready())
        };
        schedule.for_each_hot(|index| {
            fence(index);
        });
        for id in foreign.iter() {
            fence(id.index());
        }
        if schedule.look(fence) {
            self.arm_fenced();
        }
    }

    #[cold]
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

    /// Serves what is before the fence.
    #[inline]
    fn serve_turn(&mut self, state: &mut S, allowance: &mut Allowance) -> Result<(), Unwind> {
        self.fire(state, allowance)?;
        // First in every other turn, so that a small budget reaches both kinds.
        self.foreign_first = !self.foreign_first;
        if self.foreign_first {
            self.serve_foreign(state, allowance)?;
        }
        while self.may_go_on(allowance) {
            if !self.serve_next(state, allowance)? {
                break;
            }
            self.flush()?;
        }
        // Again as long as there is something before their fences.
        while self.serve_foreign(state, allowance)? {}
        Ok(())
    }

    /// Takes the fences of a turn away; tells about how many events are left before them.
    fn take_fence_away(&mut self) -> u64 {
        self.in_turn = false;
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
        for id in foreign.iter() {
            take_away(id.index());
        }
        left
    }
}
