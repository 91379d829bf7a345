//! Events that count themselves, tell when they are torn, and misbehave.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use super::program::Nature;

/// A panic that the program asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    Handler,
    Filter,
    Clone(u64),
    Drop,
    Iterator,
    Build,
    Observer,
    Key,
}

/// Panics, past the hook that would print it.
pub(crate) fn blow(planned: Planned) -> ! {
    resume_unwind(Box::new(planned))
}

/// Runs `work`, and lets only those panics end here that were planned.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, Planned> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload: Box<dyn Any + Send>| {
        match payload.downcast::<Planned>() {
            Ok(planned) => *planned,
            Err(payload) => resume_unwind(payload),
        }
    })
}

/// What all events of a program share.
#[derive(Debug)]
pub(crate) struct Yard {
    /// Drops panic.
    armed: AtomicBool,
    clones: AtomicU64,
    clones_dropped: AtomicU64,
}

impl Yard {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            armed: AtomicBool::new(true),
            clones: AtomicU64::new(0),
            clones_dropped: AtomicU64::new(0),
        })
    }

    pub(crate) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// Clones that were made, and that were dropped.
    pub(crate) fn clones(&self) -> (u64, u64) {
        (
            self.clones.load(Ordering::Relaxed),
            self.clones_dropped.load(Ordering::Relaxed),
        )
    }
}

/// What an editor of this number makes of a trail.
pub(crate) fn edited(trail: u64, editor: u64) -> u64 {
    trail << 3 | (editor + 1)
}

#[derive(Debug)]
pub(crate) struct Event {
    id: u64,
    /// The same number, somewhere else in memory.
    mirror: Box<u64>,
    /// The editors that have changed it, one octal digit each, and the same again.
    trail: (u64, Box<u64>),
    nature: Nature,
    /// How often it was dropped; `None` for a clone.
    dropped: Option<Arc<AtomicU32>>,
    yard: Arc<Yard>,
}

impl Event {
    /// An event, and the count of its drops.
    pub(crate) fn new(id: u64, nature: Nature, yard: &Arc<Yard>) -> (Self, Arc<AtomicU32>) {
        let dropped = Arc::new(AtomicU32::new(0));
        let event = Self {
            id,
            mirror: Box::new(!id),
            trail: (0, Box::new(0)),
            nature,
            dropped: Some(Arc::clone(&dropped)),
            yard: Arc::clone(yard),
        };
        (event, dropped)
    }

    /// Its number, if it is whole.
    pub(crate) fn id(&self) -> u64 {
        assert_eq!(*self.mirror, !self.id, "an event is whole");
        self.id
    }

    /// What the editors have left in it, if it is whole.
    pub(crate) fn trail(&self) -> u64 {
        assert_eq!(self.trail.0, *self.trail.1, "an event is edited as a whole");
        self.trail.0
    }

    /// Has an editor of this number change it.
    pub(crate) fn edit(&mut self, editor: u64) {
        let trail = edited(self.trail(), editor);
        self.trail.0 = trail;
        *self.trail.1 = trail;
    }

    pub(crate) fn nature(&self) -> Nature {
        self.nature
    }

    /// Gives an event up that came back.
    pub(crate) fn dispose(mut self) -> u64 {
        self.nature = Nature::Plain;
        self.id()
    }
}

impl Clone for Event {
    fn clone(&self) -> Self {
        if self.nature == Nature::Single {
            blow(Planned::Clone(self.id()));
        }
        self.yard.clones.fetch_add(1, Ordering::Relaxed);
        Self {
            id: self.id,
            mirror: self.mirror.clone(),
            trail: self.trail.clone(),
            nature: Nature::Plain,
            dropped: None,
            yard: Arc::clone(&self.yard),
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        match &self.dropped {
            Some(dropped) => dropped.fetch_add(1, Ordering::Relaxed),
            None => self.yard.clones_dropped.fetch_add(1, Ordering::Relaxed) as u32,
        };
        let goes_off = self.nature == Nature::Bomb && self.yard.armed.load(Ordering::Relaxed);
        if goes_off && !thread::panicking() {
            blow(Planned::Drop);
        }
    }
}
