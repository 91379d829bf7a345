//! Who is told of topics as they appear.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use super::pattern::Pattern;
use crate::channel::{SubscribeError, Topic};

/// Whoever follows topics that may not exist yet.
pub(crate) trait Watcher<T: Send + Sync + 'static>: Send + Sync {
    /// Joins a topic; a `new` one before anybody has a handle of it. Tells whether the reader sleeps, and is
    /// to be [woken](Self::wake) once the lock is gone, under which this is called: so it runs no user code.
    fn join(&self, topic: &Topic<T>, new: bool) -> Result<bool, SubscribeError>;

    fn wake(&self);

    /// No topic will come any more.
    fn end(&self);
}

/// The watchers of one event type, or of one set of lanes.
///
/// They are held weakly: a watcher that is gone is forgotten when the next one comes or the next topic
/// appears.
pub(crate) struct Watchers<T> {
    entries: Vec<Entry<T>>,
}

struct Entry<T> {
    /// `None` follows all.
    pattern: Option<Pattern>,
    watcher: Weak<dyn Watcher<T>>,
}

/// Watchers that were joined to a topic. To be dropped without a lock: those that sleep are woken then, and
/// one that is gone meanwhile takes its events with it, whose `Drop` is user code.
#[must_use = "those that sleep are woken when this is dropped"]
pub(crate) struct Told<T: Send + Sync + 'static>(Vec<(Arc<dyn Watcher<T>>, bool)>);

impl<T: Send + Sync + 'static> Drop for Told<T> {
    fn drop(&mut self) {
        for (watcher, sleeps) in &self.0 {
            if *sleeps {
                watcher.wake();
            }
        }
    }
}

impl<T: Send + Sync + 'static> Watchers<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    pub(crate) fn enter(&mut self, pattern: Option<Pattern>, watcher: &Arc<dyn Watcher<T>>) {
        self.forget_gone();
        let watcher = Arc::downgrade(watcher);
        self.entries.push(Entry { pattern, watcher });
    }

    /// Joins a new topic to those who follow it; the error of the first that could not join.
    pub(crate) fn tell(&mut self, topic: &Topic<T>) -> (Told<T>, Result<(), SubscribeError>) {
        self.forget_gone();
        let mut told = Told(Vec::new());
        for entry in &self.entries {
            let follows = match (&entry.pattern, topic.name()) {
                (None, _) => true,
                (Some(pattern), Some(name)) => pattern.matches(name),
                (Some(_), None) => false,
            };
            if let Some(watcher) = follows.then(|| entry.watcher.upgrade()).flatten() {
                let outcome = watcher.join(topic, true);
                told.0.push((watcher, *outcome.as_ref().unwrap_or(&false)));
                if let Err(error) = outcome {
                    return (told, Err(error));
                }
            }
        }
        (told, Ok(()))
    }

    /// Those that are there.
    pub(crate) fn present(&self) -> Vec<Arc<dyn Watcher<T>>> {
        let watchers = self.entries.iter();
        watchers
            .filter_map(|entry| entry.watcher.upgrade())
            .collect()
    }

    fn forget_gone(&mut self) {
        self.entries
            .retain(|entry| entry.watcher.strong_count() > 0);
    }
}

impl<T> fmt::Debug for Watchers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.entries.iter().map(|entry| &entry.pattern);
        f.debug_list().entries(patterns).finish()
    }
}

/// What ends a watcher, to be called without a lock.
pub(crate) type End = Box<dyn FnOnce()>;

/// The watchers of an event type that is forgotten.
pub(crate) trait AnyWatchers: Any + Send + fmt::Debug {
    fn ends(&self) -> Vec<End>;
}

impl<T: Send + Sync + 'static> AnyWatchers for Watchers<T> {
    fn ends(&self) -> Vec<End> {
        let end = |watcher: Arc<dyn Watcher<T>>| Box::new(move || watcher.end()) as End;
        self.present().into_iter().map(end).collect()
    }
}
