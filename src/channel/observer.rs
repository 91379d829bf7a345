//! A closure that is called with every event, on the publisher's thread.

use std::any::Any;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;

use super::core::Core;
use super::observers::{Entry, Facts, Verdict};
use super::topic::Topic;
use crate::sync::{Arc, Counter, Mutex};

/// An observer of a topic, which is removed when this handle is dropped; made by [`Topic::observe`].
///
/// An observer is called inline: on the publisher's thread, with a reference to the event, before the event
/// enters the ring. It is for what has to happen before anybody reads the event, or instead: to check it, to
/// refuse it, to count it, to update an index. What can wait belongs to a [`Subscriber`](crate::Subscriber),
/// which is always queued; one never turns into the other.
///
/// # Order
///
/// Observers are called one after the other, those of a higher priority first, those of one priority in the
/// order in which they were added. An event that one of them vetoes is not shown to those behind it, and
/// comes back to its publisher. Events of different publishers may be shown at the same time, and enter the
/// ring in another order than they were shown.
///
/// An event is shown before there is a place for it in the ring, as what an observer does may take time. It
/// may therefore be shown and then be refused: the topic closes meanwhile, or the ring is full at the
/// deadline. To a closed topic's observers nothing is shown, and neither is what a `try_publish` finds no room
/// for at its start.
///
/// # What an observer may do
///
/// Everything: publish to this topic or another, add and remove observers, itself too, subscribe, close. A
/// publish inside of an observer is complete, with its observers, when it returns: depth first. They may be
/// nested [`MAX_OBSERVER_DEPTH`](crate::MAX_OBSERVER_DEPTH) deep on one thread; then a publish is refused as
/// `TooDeep`. An observer that is added while an event is shown does not see that event; one that is removed
/// is not called any more.
///
/// A panic ends in its observer: the event goes on to the other observers and into the ring. The panic is
/// counted in the topic's [snapshot](Topic::snapshot) and told to
/// [`on_observer_panic`](Topic::on_observer_panic).
///
/// # Dropping is a barrier
///
/// When the drop of this handle returns, the closure is not running, it never runs again, and it is dropped.
/// There are two exceptions, both inside of observers. One that drops its own handle runs to its end, and its
/// closure is dropped then. And of threads that would wait for each other in a circle, each dropping an
/// observer that another of them is in, one does not wait: what it removes runs on until its thread has
/// returned, and the closure is dropped then.
///
/// A closure that owns a handle of its own topic keeps the topic in memory until the observer is removed; one
/// that owns a publisher keeps that publisher's topic open.
///
/// # Blocking
///
/// Dropping waits while the observer runs on another thread. So it must not be dropped under a lock that
/// the observer takes.
///
/// # Examples
///
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use ringbus::{Bus, PublishError};
///
/// let bus = Bus::new();
/// let orders = bus.topic::<u64>();
/// let publisher = orders.publisher()?;
///
/// let volume = Arc::new(AtomicU64::new(0));
/// let seen = Arc::clone(&volume);
/// let counter = orders.observe(move |quantity| {
///     seen.fetch_add(*quantity, Ordering::Relaxed);
/// });
/// let limit = orders.observe_with(10, |quantity| {
///     if *quantity > 100 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
/// });
///
/// publisher.publish(7)?;
/// assert_eq!(publisher.publish(1_000), Err(PublishError::Vetoed(1_000)));
/// assert_eq!(volume.load(Ordering::Relaxed), 7, "the limit comes first");
///
/// drop(limit);
/// publisher.publish(1_000)?;
/// drop(counter);
/// publisher.publish(1)?;
/// assert_eq!(Arc::into_inner(volume).map(AtomicU64::into_inner), Some(1_007));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the observer is removed when its handle is dropped; `keep` leaves it to the topic"]
pub struct Observer {
    /// `None` when the observer is left to the topic.
    registration: Option<Box<dyn Registered>>,
}

trait Registered: Send + Sync {
    fn remove(&self);
    fn facts(&self) -> &Facts;
}

struct Registration<T> {
    core: Arc<Core<T>>,
    entry: Arc<Entry<T>>,
}

impl<T: Send + Sync + 'static> Registered for Registration<T> {
    fn remove(&self) {
        self.core.observers.strike(self.entry.id());
        self.entry.recall();
    }

    fn facts(&self) -> &Facts {
        self.entry.facts()
    }
}

impl Observer {
    /// Leaves the observer to the topic: it stays for as long as the topic does.
    pub fn keep(mut self) {
        self.registration = None;
    }

    fn of<T: Send + Sync + 'static>(
        topic: &Topic<T>,
        facts: Facts,
        closure: impl Fn(&T) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let core = Arc::clone(topic.core());
        let entry = core.observers.add(facts, Box::new(closure));
        Self {
            registration: Some(Box::new(Registration { core, entry })),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some(registration) = self.registration.take() {
            registration.remove();
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut observer = f.debug_struct("Observer");
        if let Some(registration) = &self.registration {
            let facts = registration.facts();
            observer
                .field("priority", &facts.priority)
                .field("location", &format_args!("{}", facts.location));
        }
        observer.finish_non_exhaustive()
    }
}

/// A panic that stayed in its observer; see [`Topic::on_observer_panic`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ObserverPanic {
    /// The observer's priority.
    pub priority: i32,
    /// Where it was added.
    pub location: &'static Location<'static>,
    /// What the panic carried.
    pub payload: Box<dyn Any + Send>,
}

impl ObserverPanic {
    /// The text of the panic, if it had one.
    pub fn message(&self) -> Option<&str> {
        let payload = &*self.payload;
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for ObserverPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message().unwrap_or("no text");
        write!(f, "observer of {}: {message}", self.location)
    }
}

impl<T: Send + Sync + 'static> Topic<T> {
    /// Calls `observer` with every event that is published from now on, inline, at priority 0.
    ///
    /// See [`Observer`] for what that means. Publishers that exist already are covered; a publish that runs
    /// while this is called may or may not be.
    #[track_caller]
    pub fn observe<F>(&self, observer: F) -> Observer
    where
        F: Fn(&T) + Send + Sync + 'static,
    {
        let facts = Facts::here(0, false);
        Observer::of(self, facts, move |event| {
            observer(event);
            Verdict::Pass
        })
    }

    /// Calls `observer` with every event that is published from now on, before observers of a lower priority;
    /// on [`Break`](ControlFlow::Break) the event is vetoed and comes back to its publisher.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use ringbus::{Bus, TryPublishError};
    ///
    /// let bus = Bus::new();
    /// let topic = bus.topic::<i32>();
    /// let publisher = topic.publisher()?;
    /// let _positive = topic.observe_with(0, |event| match event {
    ///     1.. => ControlFlow::Continue(()),
    ///     _ => ControlFlow::Break(()),
    /// });
    /// assert_eq!(publisher.try_publish(-1), Err(TryPublishError::Vetoed(-1)));
    /// publisher.try_publish(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn observe_with<F>(&self, priority: i32, observer: F) -> Observer
    where
        F: Fn(&T) -> ControlFlow<()> + Send + Sync + 'static,
    {
        let facts = Facts::here(priority, false);
        Observer::of(self, facts, move |event| observer(event).into())
    }

    /// Calls `observer` with one event, the first that is shown to it, and removes it.
    ///
    /// It is called at most once, whatever publishers do at the same time; dropping the handle before that
    /// removes it too.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let topic = bus.topic::<u32>();
    /// let (first, received) = mpsc::channel();
    /// topic.observe_once(move |event| first.send(*event).unwrap()).keep();
    /// topic.publish(7)?;
    /// topic.publish(8)?;
    /// assert_eq!(received.iter().collect::<Vec<_>>(), [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn observe_once<F>(&self, observer: F) -> Observer
    where
        F: FnOnce(&T) + Send + 'static,
    {
        let observer = Mutex::new(Some(observer));
        let facts = Facts::here(0, true);
        Observer::of(self, facts, move |event| {
            let first = observer.lock().take();
            if let Some(observer) = first {
                observer(event);
            }
            Verdict::Spent
        })
    }

    /// Whether the topic has observers.
    #[must_use]
    pub fn has_observers(&self) -> bool {
        !self.core().observers.is_empty()
    }

    /// Calls `report` when an observer panics, on the publisher's thread, in place of an earlier one.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use ringbus::Bus;
    ///
    /// let bus = Bus::new();
    /// let topic = bus.topic::<u32>();
    /// let mut subscriber = topic.subscribe();
    /// let (reports, reported) = mpsc::channel();
    /// topic.on_observer_panic(move |panic| {
    ///     reports.send(panic.message().map(str::to_owned)).unwrap();
    /// });
    /// let _faulty = topic.observe(|event| assert_ne!(*event, 13, "unlucky"));
    /// topic.publish(13)?;
    /// assert!(reported.recv()?.unwrap().contains("unlucky"));
    /// assert_eq!(subscriber.recv(), Ok(13));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_observer_panic<F>(&self, report: F)
    where
        F: Fn(&ObserverPanic) + Send + Sync + 'static,
    {
        self.core().observers.set_on_panic(Box::new(report));
    }
}

impl Facts {
    #[track_caller]
    fn here(priority: i32, once: bool) -> Self {
        Self {
            priority,
            location: Location::caller(),
            once,
            panics: Counter::default(),
        }
    }
}
