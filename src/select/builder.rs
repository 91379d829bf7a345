//! A reactor's settings.

use std::fmt;
use std::marker::PhantomData;

use super::context::Context;
use super::handler::OnPanic;
use super::reactor::Reactor;
use crate::channel::{Clock, WaitStrategy};

/// Makes a [`Reactor`] that differs from the plain one; made by [`Reactor::builder`].
#[must_use = "a builder makes a reactor when it is built"]
pub struct ReactorBuilder<S> {
    clock: Clock,
    wait: WaitStrategy,
    on_panic: OnPanic,
    outbox: usize,
    state: PhantomData<fn(&mut S)>,
}

impl<S> ReactorBuilder<S> {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::system(),
            wait: WaitStrategy::default(),
            on_panic: OnPanic::default(),
            outbox: 1024,
            state: PhantomData,
        }
    }

    /// The time it goes by; the system's by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How [`run`](Reactor::run) waits; [`WaitStrategy::Park`] by default.
    pub fn wait(mut self, wait: WaitStrategy) -> Self {
        self.wait = wait;
        self
    }

    /// What becomes of a panic in a handler; [`OnPanic::Propagate`] by default.
    pub fn on_panic(mut self, on_panic: OnPanic) -> Self {
        self.on_panic = on_panic;
        self
    }

    /// How many events [`Context::publish`] keeps while the rings they go to are full; 1024 by default. With
    /// 0 every event for a full ring is refused.
    pub fn outbox(mut self, events: usize) -> Self {
        self.outbox = events;
        self
    }

    /// The reactor, without handlers.
    pub fn build(self) -> Reactor<S> {
        let context = Context::new(self.clock, self.on_panic, self.outbox);
        Reactor::of(context, self.wait)
    }
}

impl<S> fmt::Debug for ReactorBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReactorBuilder")
            .field("clock", &self.clock)
            .field("wait", &self.wait)
            .field("on_panic", &self.on_panic)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
