//! A conflated subscriber as an arm of `select!`.

use std::hash::Hash;

use super::arms::{Selectable, Waiting};
use crate::channel::{Conflated, Meta, PollError, WaitStrategy};

impl<T, K, G> Selectable for Conflated<T, K, G>
where
    T: Clone + Send + Sync + 'static,
    K: Eq + Hash,
    G: FnMut(&T) -> K,
{
    type Output = Result<(T, Meta), PollError>;

    fn try_select(&mut self) -> Option<Self::Output> {
        self.try_recv().transpose()
    }

    fn is_ready(&self) -> bool {
        Self::is_ready(self)
    }

    fn enlist(&self, waiting: &Waiting) {
        self.subscriber().enlist(&waiting.0);
    }

    fn delist(&self, waiting: &Waiting) {
        self.subscriber().delist(&waiting.0);
    }

    fn strategy(&self) -> WaitStrategy {
        self.subscriber().strategy()
    }
}
