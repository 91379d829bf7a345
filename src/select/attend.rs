//! What a thread that owns a reactor for good asks of it.

use super::context::Context;
use crate::sync::contain;

impl<S> Context<S> {
    /// Has publishers know that this thread reads its subscriptions, also those that it has not come to.
    pub(crate) fn attend(&mut self) {
        for index in 0..self.schedule.len() {
            if let Some(source) = self.slots.source_mut(index) {
                source.attend();
            }
        }
    }

    /// Events that wait for its handlers.
    pub(crate) fn pending(&self) -> u64 {
        let scheduled = (0..self.schedule.len()).filter(|index| self.schedule.contains(*index));
        let foreign = self.foreign.iter().map(|id| id.index());
        scheduled
            .chain(foreign)
            .filter_map(|index| self.slots.source(index))
            .map(|source| source.pending())
            .sum()
    }

    /// Removes all handlers. What they hold may panic when it is dropped, one as the other.
    pub(crate) fn dismiss(&mut self) {
        for index in 0..self.slots.len() {
            let id = self.slots.id(index);
            contain(|| {
                self.remove(id);
            });
        }
    }
}
