//! A named thread that runs a reactor.

use std::fmt;
use std::sync::{Arc, Weak};

use super::crew::Crew;
use super::post::Post;
use super::snapshot::WorkerEnd;

/// A named thread that runs a [`Reactor`](crate::Reactor); made by [`Bus::worker`](crate::Bus::worker).
///
/// It runs until everything that it reads has closed, until it is stopped, or until it has failed. It does not
/// keep its bus open.
///
/// ```
/// use ringbus::{Bus, Reactor, WorkerEnd};
///
/// let bus = Bus::new();
/// let orders = bus.topic::<u64>();
/// let filled = bus.topic::<String>();
/// let mut fills = filled.subscribe();
/// let filled = filled.publisher()?;
///
/// let mut reactor = Reactor::<u64>::new();
/// reactor.on(orders.subscribe(), move |volume, order, cx| {
///     *volume += order;
///     cx.publish(&filled, format!("{volume} by now")).expect("somebody reads");
/// });
/// let worker = bus.worker("risk").spawn(reactor, || 0)?;
///
/// bus.publish(10_u64)?;
/// bus.publish(20_u64)?;
/// assert_eq!((fills.recv()?, fills.recv()?), ("10 by now".into(), "30 by now".into()));
/// orders.close();
/// assert_eq!(worker.join(), Some(WorkerEnd::Drained));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics of a worker
///
/// A panic in a handler that the reactor [lets through](crate::OnPanic), or in what makes the state, stays in
/// the worker. It is noted, with the handler, in the worker's [numbers](crate::Bus::workers); and, if the
/// worker is to be [restarted](crate::WorkerBuilder::restart), the state is dropped, and after a pause the
/// reactor runs on with a new one. Its handlers and subscriptions are those it had: the event at which it
/// panicked is done with, and the next one comes next. During the pause events wait in the rings, so lossless
/// subscriptions hold up their publishers as if they were slow.
///
/// ```
/// use std::time::Duration;
/// use ringbus::{Bus, Reactor, Restarts};
///
/// let bus = Bus::new();
/// let orders = bus.topic::<u64>();
/// let sums = bus.topic::<(u64, u64)>();
/// let mut seen = sums.subscribe();
/// let sums = sums.publisher()?;
/// let mut reactor = Reactor::<u64>::new();
/// reactor.on(orders.subscribe(), move |sum, order, cx| {
///     assert_ne!(*order, 13, "an unlucky order");
///     *sum += order;
///     cx.publish(&sums, (*order, *sum)).expect("somebody reads");
/// });
/// let restarts = Restarts::up_to(1).back_off(Duration::from_millis(1), Duration::from_millis(1));
/// let worker = bus.worker("risk").restart(restarts).spawn(reactor, || 0)?;
///
/// for order in [1, 2, 13, 4] {
///     orders.publish(order)?;
/// }
/// assert_eq!([seen.recv()?, seen.recv()?, seen.recv()?], [(1, 1), (2, 3), (4, 4)]);
/// let panic = bus.workers()[0].panic.clone().expect("it panicked once");
/// assert!(panic.to_string().contains("an unlucky order"));
/// drop(worker);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Dropping is a barrier
///
/// Dropping the handle stops the worker after the handler that is running, and waits for it: when the drop
/// returns, nothing of the worker runs, its reactor with its closures is dropped, and its thread has ended. What
/// its subscriptions had waiting is not handled. If it is the worker itself that drops its handle, it ends
/// when its handler returns.
///
/// [`detach`](Self::detach) leaves the worker to its bus.
///
/// # Blocking
///
/// Dropping waits while a handler runs. A handler that waits in [`Topic::publish`](crate::Topic::publish) or in
/// that of a publisher runs until there is room or the topic closes;
/// [`Context::publish`](crate::Context::publish) never waits. So the handle must not be dropped under a lock that a
/// handler takes; and two workers that drop each other's handles wait for ever.
#[must_use = "the worker is stopped when its handle is dropped"]
pub struct Worker {
    post: Arc<Post>,
    crew: Weak<Crew>,
    /// Dropping it stops the worker.
    holds: bool,
}

impl Worker {
    pub(super) fn new(post: Arc<Post>, crew: Weak<Crew>) -> Self {
        let holds = true;
        Self { post, crew, holds }
    }

    /// Its name, which its thread has too; systems may cut that short.
    pub fn name(&self) -> &str {
        self.post.name()
    }

    /// How it ended; `None` while it has not.
    pub fn ended(&self) -> Option<WorkerEnd> {
        self.post.ended()
    }

    /// Has it end after the handler that is running, and wakes it if it waits: for events, or to be restarted.
    ///
    /// Does not wait for it.
    pub fn stop(&self) {
        self.post.stop();
    }

    /// Waits until it has ended by itself or was stopped, and tells how. `None` at once if it is the worker
    /// that asks: it cannot wait for itself, and has dropped its handle.
    ///
    /// # Blocking
    ///
    /// Until the worker has ended.
    pub fn join(self) -> Option<WorkerEnd> {
        if self.post.is_here() {
            None
        } else {
            Some(self.post.join())
        }
    }

    /// Leaves the worker to its bus: it runs on, until what it reads has closed or the bus is
    /// [shut down](crate::Bus::shutdown).
    pub fn detach(mut self) {
        self.holds = false;
        if let Some(end) = self.post.detach()
            && let Some(crew) = self.crew.upgrade()
        {
            crew.retire(&self.post, end);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.holds {
            return;
        }
        self.post.stop();
        if self.post.is_here() {
            self.post.detach();
            return;
        }
        self.post.join();
        if let Some(crew) = self.crew.upgrade() {
            crew.leave(&self.post);
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.name())
            .field("ended", &self.ended())
            .finish_non_exhaustive()
    }
}
