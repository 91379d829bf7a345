//! Workers that share a group.

use std::fmt;
use std::sync::Arc;

use super::builder::WorkerBuilder;
use super::error::WorkerError;
use super::snapshot::WorkerEnd;
use super::worker::Worker;
use crate::channel::GroupMember;
use crate::select::Reactor;

/// Workers that call one handler with the events of a group; made by [`WorkerBuilder::pool`].
///
/// Each is a [`Worker`] with a member of the group, named `"name/0"`, `"name/1"` and so on. Dropping the pool
/// stops all of them, and is the barrier that dropping each would be.
#[must_use = "the workers are stopped when their pool is dropped"]
pub struct Pool {
    workers: Vec<Worker>,
}

impl WorkerBuilder<'_> {
    /// Spawns a worker for each of some members of a group; they all call one handler.
    ///
    /// Each event of the group is given to one of them. If the handler panics, what becomes of the event is the
    /// [group's](crate::GroupBuilder::redeliver) to say, and of the worker what this builder says; the others go
    /// on, and take over what the worker had taken and not come to. With [`pin_to`](Self::pin_to) the first
    /// worker is pinned to that core, and each of the others to the one that follows.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let jobs = bus.topic::<u64>();
    /// let members = (0..4)
    ///     .map(|_| jobs.group("squares").join())
    ///     .collect::<Result<Vec<_>, _>>()?;
    /// let sum = Arc::new(AtomicU64::new(0));
    /// let pool = bus.worker("squares").pool(members, {
    ///     let sum = Arc::clone(&sum);
    ///     move |job| {
    ///         sum.fetch_add(job * job, Ordering::Relaxed);
    ///     }
    /// })?;
    /// assert_eq!(pool.workers()[3].name(), "squares/3");
    ///
    /// for job in 1..=100 {
    ///     jobs.publish(job)?;
    /// }
    /// assert!(bus.shutdown(Duration::from_secs(10)).is_complete());
    /// assert_eq!(sum.load(Ordering::Relaxed), 338_350);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn); then those that were spawned before are stopped.
    ///
    /// # Blocking
    ///
    /// As [`spawn`](Self::spawn).
    pub fn pool<T, F>(
        self,
        members: impl IntoIterator<Item = GroupMember<T>>,
        handler: F,
    ) -> Result<Pool, WorkerError>
    where
        T: Send + Sync + 'static,
        F: Fn(&T) + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        let mut pool = Pool {
            workers: Vec::new(),
        };
        for (number, member) in members.into_iter().enumerate() {
            let mut reactor = Reactor::new();
            let handler = Arc::clone(&handler);
            reactor.on_group(member, move |(), event, _| handler(event));
            let name = format!("{}/{number}", self.name());
            let worker = self.again(&name, number).spawn(reactor, || ())?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }
}

impl Pool {
    /// Its workers.
    pub fn workers(&self) -> &[Worker] {
        &self.workers
    }

    /// Has all of them end; as [`Worker::stop`].
    pub fn stop(&self) {
        self.workers.iter().for_each(Worker::stop);
    }

    /// Waits until all have ended, and tells how; as [`Worker::join`], without the one that asks if that is one
    /// of them.
    ///
    /// # Blocking
    ///
    /// Until all have ended.
    pub fn join(mut self) -> Vec<WorkerEnd> {
        let workers = std::mem::take(&mut self.workers);
        workers.into_iter().filter_map(Worker::join).collect()
    }

    /// Leaves them to their bus; as [`Worker::detach`].
    pub fn detach(mut self) {
        let workers = std::mem::take(&mut self.workers);
        workers.into_iter().for_each(Worker::detach);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // All of them first, so that none is waited for while another goes on.
        self.stop();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.workers).finish()
    }
}
