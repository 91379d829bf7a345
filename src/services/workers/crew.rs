//! The workers of a bus.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::builder::WorkerBuilder;
use super::error::WorkerError;
#[cfg(feature = "metrics")]
use super::export::{self, WorkerTotals};
use super::post::Post;
use super::snapshot::{WorkerEnd, WorkerSnapshot};
use crate::bus::{Attachment, Bus, Snapshot};
use crate::sync::Mutex;

/// The workers of a bus by name, those that have ended too while they have a handle.
///
/// One that failed without a handle stays until its name is taken again, so that it can be found. Once the bus
/// shuts down all stay, for its report.
#[derive(Debug)]
pub(crate) struct Crew {
    roster: Mutex<Roster>,
}

#[derive(Debug, Default)]
struct Roster {
    shut_down: bool,
    paced: bool,
    posts: BTreeMap<Arc<str>, Arc<Post>>,
    /// What workers have done whose names are free, or were taken again; once somebody has asked for the sums.
    #[cfg(feature = "metrics")]
    gone: Option<BTreeMap<Arc<str>, WorkerTotals>>,
}

#[cfg(feature = "metrics")]
impl Roster {
    /// Keeps the numbers of a worker that has ended.
    fn keep(&mut self, post: &Post) {
        if let Some(gone) = &mut self.gone {
            let totals = WorkerTotals::of(&post.snapshot(|_| 0));
            *gone.entry(Arc::clone(post.name())).or_default() += totals;
        }
    }
}

impl Crew {
    /// Adds a worker, unless the bus shuts down or another one has its name.
    pub(crate) fn enter(&self, post: &Arc<Post>) -> Result<(), WorkerError> {
        let roster = &mut *self.roster.lock();
        if roster.shut_down {
            return Err(WorkerError::ShutDown);
        }
        let known = roster.posts.get(post.name());
        if known.is_some_and(|known| known.ended().is_none()) {
            return Err(WorkerError::Taken(post.name().to_string()));
        }
        let replaced = roster
            .posts
            .insert(Arc::clone(post.name()), Arc::clone(post));
        #[cfg(feature = "metrics")]
        if let Some(replaced) = &replaced {
            roster.keep(replaced);
        }
        drop(replaced);
        if roster.paced {
            post.reactor().pace();
        }
        Ok(())
    }

    /// Removes a worker that has ended.
    pub(crate) fn leave(&self, post: &Arc<Post>) {
        let mut roster = self.roster.lock();
        let known = roster.posts.get(post.name());
        if !roster.shut_down && known.is_some_and(|known| Arc::ptr_eq(known, post)) {
            let left = roster.posts.remove(post.name());
            #[cfg(feature = "metrics")]
            roster.keep(post);
            drop(roster);
            drop(left);
        }
    }

    /// Removes a worker that has ended and has no handle, unless it failed.
    pub(crate) fn retire(&self, post: &Arc<Post>, end: WorkerEnd) {
        if end != WorkerEnd::Panicked {
            self.leave(post);
        }
    }

    /// Takes no more workers; the others are told to whoever shuts the bus down.
    pub(crate) fn shut_down(&self) -> Vec<Arc<Post>> {
        let roster = &mut *self.roster.lock();
        roster.shut_down = true;
        roster.posts.values().cloned().collect()
    }

    /// Has the events of one call told apart, in all reactors.
    pub(crate) fn pace(&self) {
        let mut roster = self.roster.lock();
        roster.paced = true;
        for post in roster.posts.values() {
            post.reactor().pace();
        }
    }

    pub(crate) fn posts(&self) -> Vec<Arc<Post>> {
        self.roster.lock().posts.values().cloned().collect()
    }
}

impl Default for Crew {
    fn default() -> Self {
        Self {
            roster: Mutex::new(Roster::default()),
        }
    }
}

impl Attachment for Crew {
    #[cfg(feature = "metrics")]
    fn keep_numbers(&self) {
        self.roster.lock().gone.get_or_insert_default();
    }

    #[cfg(feature = "metrics")]
    fn export(&self) {
        let roster = self.roster.lock();
        let mut totals = roster.gone.clone().unwrap_or_default();
        for post in roster.posts.values() {
            let worker = WorkerTotals::of(&post.snapshot(|_| 0));
            *totals.entry(Arc::clone(post.name())).or_default() += worker;
        }
        drop(roster);
        export::workers(&totals);
    }
}

/// The last handle of the bus is gone, and its topics have closed.
impl Drop for Crew {
    fn drop(&mut self) {
        for post in self.posts() {
            post.finish();
        }
    }
}

/// The numbers of workers, beside those of the topics.
pub(crate) fn snapshots(posts: &[Arc<Post>], topics: &Snapshot) -> Vec<WorkerSnapshot> {
    let pending = |number: u64| {
        let subscribers = topics.topics.iter().flat_map(|topic| &topic.subscribers);
        subscribers
            .filter(|subscriber| subscriber.reader == number && number != 0)
            .map(|subscriber| subscriber.pending)
            .sum()
    };
    posts.iter().map(|post| post.snapshot(pending)).collect()
}

impl Bus {
    /// A named thread that runs a [`Reactor`](crate::Reactor); see [`Worker`](crate::Worker).
    pub fn worker<'a>(&'a self, name: &'a str) -> WorkerBuilder<'a> {
        WorkerBuilder::new(self, name)
    }

    /// The numbers of the bus's workers now, by name.
    ///
    /// A worker is listed while it runs, and then while its [`Worker`](crate::Worker) is there. One that was
    /// [detached](crate::Worker::detach) and failed is listed until its name is taken again. Once the bus is
    /// [shut down](Self::shutdown) all stay.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerSnapshot> {
        snapshots(&self.attached(Crew::default).posts(), &self.snapshot())
    }
}
