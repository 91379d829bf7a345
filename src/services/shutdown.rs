//! The end of a bus.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::snapshot::ServiceSnapshot;
use super::workers::WorkerSnapshot;
use super::workers::crew::{Crew, snapshots};
use super::workers::post::Post;
use crate::bus::{Bus, Snapshot};

/// What a [shutdown](Bus::shutdown) came to; prints as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The workers, by name: what each was given, what it was not, and whether it is still running.
    pub workers: Vec<WorkerSnapshot>,
    /// The services, with the instances that have not left: what waits there for somebody to serve it, and what
    /// is being served.
    pub services: Vec<ServiceSnapshot>,
    /// The topics, with the subscribers that have not left: those of the workers that are still running, and
    /// those that are read elsewhere.
    pub topics: Snapshot,
}

impl ShutdownReport {
    /// Whether every worker has drained, every call is answered, and no subscriber or group anywhere has
    /// something to read.
    pub fn is_complete(&self) -> bool {
        let mut instances = self.services.iter().flat_map(|service| &service.instances);
        let mut topics = self.topics.topics.iter();
        self.workers.iter().all(WorkerSnapshot::is_drained)
            && instances.all(|instance| instance.waiting + instance.serving == 0)
            && topics.all(|topic| {
                let mut subscribers = topic.subscribers.iter();
                let mut groups = topic.groups.iter();
                subscribers.all(|subscriber| subscriber.pending == 0)
                    && groups.all(|group| group.pending == 0)
            })
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32} {:<14} {:>12} {:>12} {:>12} {:>10}",
            "worker", "status", "delivered", "undelivered", "unpublished", "restarts"
        )?;
        for worker in &self.workers {
            writeln!(f, "{worker}")?;
        }
        for service in &self.services {
            service.fmt(f)?;
        }
        self.topics.fmt(f)
    }
}

impl Bus {
    /// Closes the bus, has its workers handle what was published, and waits for them.
    ///
    /// In this order: no [worker](Self::worker) is spawned any more. Every topic [closes](Self::close), so
    /// nothing more is accepted, and publishers that wait are given their events back. The workers are asked
    /// to finish: each ends when its subscriptions have, which is when they have handled all that was
    /// published before; timers do not keep it, and foreign channels only while they have messages. A worker
    /// that is about to be restarted is so at once. Those that have not ended when the time is up are stopped:
    /// they end after the handler that is running. The report tells what they left.
    ///
    /// Nobody is waited for longer than that, whatever handlers do: a worker whose handler does not return is
    /// reported as running, with the handler. Subscribers that are not a worker's are not waited for; they are
    /// still given what was published, and then told `Closed`.
    ///
    /// It may be called again, and from several threads, also from workers: those do not wait for themselves
    /// nor for each other.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ringbus::{Bus, Reactor};
    ///
    /// let bus = Bus::new();
    /// let orders = bus.topic::<u64>();
    /// let mut reactor = Reactor::<u64>::new();
    /// reactor.on(orders.subscribe(), |volume, order, _| *volume += order);
    /// bus.worker("risk").spawn(reactor, || 0)?.detach();
    /// for order in 0..1000 {
    ///     orders.publish(order)?;
    /// }
    ///
    /// let report = bus.shutdown(Duration::from_secs(10));
    /// assert!(report.is_complete(), "{report}");
    /// let risk = &report.workers[0];
    /// assert_eq!((risk.name.as_str(), risk.delivered, risk.undelivered), ("risk", 1000, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Blocking
    ///
    /// Until the workers have ended, for `timeout` at most.
    pub fn shutdown(&self, timeout: Duration) -> ShutdownReport {
        let deadline = Instant::now().checked_add(timeout);
        let posts = self.begin_shutdown();
        let own = Own::among(&posts);
        for post in posts.iter().filter(|post| !own.is(post)) {
            post.join_until(deadline, own.0.is_some());
        }
        drop(own);
        let topics = self.snapshot();
        ShutdownReport {
            workers: snapshots(&posts, &topics),
            services: self.services(),
            topics,
        }
    }

    /// Closes the topics and asks the workers to finish; waits for nobody.
    pub(super) fn begin_shutdown(&self) -> Vec<Arc<Post>> {
        let posts = self.attached(Crew::default).shut_down();
        self.close();
        // Now that what they read ends.
        posts.iter().for_each(|post| post.finish());
        posts
    }
}

/// The worker that runs on this thread, if one does; while it waits here, nobody waits for it.
struct Own<'a>(Option<&'a Arc<Post>>);

impl<'a> Own<'a> {
    fn among(posts: &'a [Arc<Post>]) -> Self {
        let own = posts.iter().find(|post| post.is_here());
        if let Some(own) = own {
            own.shutting_down(true);
        }
        Self(own)
    }

    fn is(&self, post: &Arc<Post>) -> bool {
        self.0.is_some_and(|own| Arc::ptr_eq(own, post))
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        if let Some(own) = self.0 {
            own.shutting_down(false);
        }
    }
}
