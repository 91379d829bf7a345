//! The fences of a turn, and what is before them.

use super::context::Context;
use super::drive::{Allowance, Unwind};

impl<S> Context<S> {
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
}
