//! A worker's numbers, for people.

use std::any::Any;
use std::fmt;

pub use crate::channel::WorkerEnd;
use crate::select::HandlerName;

/// How a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerStatus {
    /// Its thread has not begun.
    Starting,
    /// It handles events, or waits for them.
    Running,
    /// It has panicked, and waits before it runs again.
    BackingOff,
    /// It has ended: nothing of it runs, and its reactor is dropped.
    Ended(WorkerEnd),
}

/// A panic of a worker: in a handler, or in what makes its state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerPanic {
    /// The handler; `None` if it was in none.
    pub handler: Option<HandlerName>,
    /// The text of the panic, if it had one.
    pub message: Option<String>,
}

/// A worker's numbers at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerSnapshot {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: WorkerStatus,
    /// The handler that runs now, if one does.
    pub handler: Option<HandlerName>,
    /// Events that its handlers were given.
    pub delivered: u64,
    /// Events that its handlers have not been given: those that wait now, or that waited when it ended. Of
    /// one that runs, those of the topics of its own bus; and the handful that its running handler was called
    /// with counts as waiting until that call is over. What waits in a
    /// group is not any one worker's; it is told with the group.
    pub undelivered: u64,
    /// Events from its [outbox](crate::Context::publish) that found no room before it ended, or whose topic
    /// closed before.
    pub unpublished: u64,
    /// How often it was restarted.
    pub restarts: u64,
    /// Its last panic.
    pub panic: Option<WorkerPanic>,
}

/// What a worker has done, told when it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) delivered: u64,
    pub(crate) undelivered: u64,
    pub(crate) unpublished: u64,
}

impl WorkerPanic {
    pub(crate) fn of(payload: &(dyn Any + Send), handler: Option<HandlerName>) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self { handler, message }
    }
}

impl WorkerSnapshot {
    /// Whether it has ended and left nothing behind.
    pub fn is_drained(&self) -> bool {
        self.status == WorkerStatus::Ended(WorkerEnd::Drained)
            && self.undelivered == 0
            && self.unpublished == 0
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackingOff => "backing off",
            Self::Ended(end) => return end.fmt(f),
        })
    }
}

impl fmt::Display for WorkerPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.as_deref().unwrap_or("no text");
        match &self.handler {
            Some(handler) => write!(f, "{handler}: {message}"),
            None => write!(f, "state: {message}"),
        }
    }
}

impl fmt::Display for WorkerSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<32} {:<14} {:>12} {:>12} {:>12} {:>10}",
            self.name,
            self.status,
            self.delivered,
            self.undelivered,
            self.unpublished,
            self.restarts,
        )?;
        if let Some(handler) = &self.handler {
            write!(f, "\n  in {handler}")?;
        }
        if let Some(panic) = &self.panic {
            write!(f, "\n  panicked in {panic}")?;
        }
        Ok(())
    }
}
