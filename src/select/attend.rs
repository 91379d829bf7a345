//! What a thread that owns a reactor for good asks of it.

use super::context::Context;
use crate::sync::contain;

impl<S> Context<S> {
    /// Has publishers know that this thread reads its subscriptions, also those that it has not come to.
    pub(crate) fn attend(&mut self) {
        for index in 0..self.slots.len() {
            if let Some(source) = self.slots.source_mut(index) {
                source.attend();
            }
        }
    }

    /// Events that wait for its handlers.
    pub(crate) fn pending(&mut self) -> u64 {
        let sources = 0..self.slots.len();
        sources
            .filter_map(|index| Some(self.slots.source_mut(index)?.pending()))
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
