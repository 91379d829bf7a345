//! Handlers that take long.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::post::Post;
use crate::bus::Bus;
use crate::select::{Beat, HandlerName};

/// Finds handlers of a bus's [workers](Bus::worker) that take long; made by [`Bus::watchdog`].
///
/// It is no thread: it looks when it is told to, by a timer of another reactor or by whoever wants to know.
///
/// ```
/// use std::time::Duration;
/// use ringbus::{Bus, Reactor};
///
/// let bus = Bus::new();
/// let mut watchdog = bus.watchdog(Duration::from_millis(100));
/// let mut reactor = Reactor::<()>::new();
/// reactor.every(Duration::from_millis(50), move |_, _| {
///     for slow in watchdog.check() {
///         eprintln!("{slow}");
///     }
/// });
/// let watching = bus.worker("watchdog").spawn(reactor, || ())?;
/// # drop(watching);
/// # Ok::<(), ringbus::WorkerError>(())
/// ```
///
/// # What may not be concluded
///
/// A handler that it tells has been running for at least so long. One that it does not tell may have been slow
/// between two checks: it finds those that take as long as the threshold and the time between two checks
/// together.
///
/// # Cost
///
/// A worker tells which handler it calls by a store of its own before and after; where there is a watchdog it
/// does so for every event.
#[derive(Debug)]
#[must_use = "a watchdog looks when it is told to check"]
pub struct Watchdog {
    crew: Weak<Crew>,
    threshold: Duration,
    running: Vec<Running>,
}

/// A call that was running at the last check.
#[derive(Debug)]
struct Running {
    post: Arc<Post>,
    beat: Beat,
    since: Instant,
}

/// A handler that takes long; see [`Watchdog`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowHandler {
    /// The name of its worker.
    pub worker: String,
    /// The handler.
    pub handler: HandlerName,
    /// How long it has been running at least.
    pub running: Duration,
}

impl Watchdog {
    /// The handlers that run now and have been for as long as the threshold at least, by the names of their
    /// workers. Each is told at every check, while it runs.
    ///
    /// None once the bus is gone.
    pub fn check(&mut self) -> Vec<SlowHandler> {
        let now = Instant::now();
        let posts = self.crew.upgrade().map(|crew| crew.posts());
        let before = std::mem::take(&mut self.running);
        self.running.extend(
            posts
                .into_iter()
                .flatten()
                .filter(|post| post.ended().is_none())
                .filter_map(|post| {
                    let beat = post.reactor().pulse().current()?;
                    let known = before
                        .iter()
                        .find(|known| Arc::ptr_eq(&known.post, &post) && known.beat == beat);
                    let since = known.map_or(now, |known| known.since);
                    Some(Running { post, beat, since })
                }),
        );
        self.running
            .iter()
            .map(|running| SlowHandler {
                worker: running.post.name().to_string(),
                handler: running.beat.handler,
                running: now - running.since,
            })
            .filter(|slow| slow.running >= self.threshold)
            .collect()
    }
}

impl std::fmt::Display for SlowHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "worker {:?} has been in {} for {:.1?}",
            self.worker, self.handler, self.running
        )
    }
}

impl Bus {
    /// Finds handlers of this bus's workers that take longer than `threshold`; see [`Watchdog`].
    pub fn watchdog(&self, threshold: Duration) -> Watchdog {
        let crew = self.attached(Crew::default);
        crew.pace();
        Watchdog {
            crew: Arc::downgrade(&crew),
            threshold,
            running: Vec::new(),
        }
    }
}
