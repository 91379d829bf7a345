//! What a handler is known by, and how it is ended.

use std::any::Any;
use std::fmt;
use std::panic::Location;

use super::control::Control;
use crate::sync::{Arc, Calls};

/// Names a handler of one reactor; returned by the method that added it.
///
/// It is a name and nothing else: dropping it does nothing. [`Context::remove`](crate::Context::remove)
/// removes the handler, [`Context::guard`](crate::Context::guard) makes a guard that does so when it is
/// dropped. An id is never used again by its reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandlerId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl HandlerId {
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Display for HandlerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handler {}.{}", self.index, self.generation)
    }
}

/// Which of several ready sources is served first.
///
/// Sources of one priority take turns. One of a lower priority is served only when those above have
/// nothing, so it may wait for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before all others.
    Urgent = 0,
    /// As every source is at first.
    #[default]
    Normal = 1,
    /// When there is nothing else.
    Background = 2,
}

impl Priority {
    pub(crate) const LEVELS: usize = 3;
}

/// What becomes of a panic in a handler.
///
/// Whatever the choice: the event that the handler was given is done with, the events behind it are still
/// delivered, and no other source loses anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnPanic {
    /// The panic goes on, out of [`run`](crate::Reactor::run) or [`turn`](crate::Reactor::turn), as it would
    /// from any call: the state may be half changed, and only its owner knows what that means. The reactor
    /// stays whole, and may be run again.
    #[default]
    Propagate,
    /// The panic is counted and reported, and the reactor goes on.
    Isolate,
    /// As `Isolate`, and the handler is removed.
    Remove,
}

/// A panic that stayed in its handler; see [`Context::on_panic`](crate::Context::on_panic).
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerPanic {
    /// The handler.
    pub handler: HandlerId,
    /// Where it was added; `None` if it has gone, and another one has its place.
    pub location: Option<&'static Location<'static>>,
    /// What the panic carried.
    pub payload: Box<dyn Any + Send>,
}

impl HandlerPanic {
    /// The text of the panic, if it had one.
    pub fn message(&self) -> Option<&str> {
        let payload = &*self.payload;
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for HandlerPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.handler)?;
        if let Some(location) = self.location {
            write!(f, " of {location}")?;
        }
        write!(f, ": {}", self.message().unwrap_or("no text"))
    }
}

/// Removes a handler when it is dropped; made by [`Context::guard`](crate::Context::guard).
///
/// It may be dropped on any thread. When the drop returns, the handler is not running and is never called
/// again; if it is the handler that drops its own guard, it is not called again. The reactor knows the handler
/// no more.
///
/// What the handler holds is dropped by the reactor, on its thread: the next time it runs, or when it is asked to
/// [`remove`](crate::Context::remove) the handler. Until then its subscription is in its topic, where a lossless
/// one still holds publishers up.
///
/// # Blocking
///
/// Dropping waits while the handler runs on another thread.
#[must_use = "the handler is removed when the guard is dropped"]
pub struct HandlerGuard {
    id: HandlerId,
    calls: Arc<Calls>,
    control: Arc<Control>,
}

impl HandlerGuard {
    pub(crate) fn new(id: HandlerId, calls: Arc<Calls>, control: Arc<Control>) -> Self {
        Self { id, calls, control }
    }

    /// The handler.
    pub fn id(&self) -> HandlerId {
        self.id
    }
}

impl Drop for HandlerGuard {
    fn drop(&mut self) {
        self.calls.sever();
        self.control.remove(self.id);
    }
}

impl fmt::Debug for HandlerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerGuard").field(&self.id).finish()
    }
}
