//! A ring for each publisher.

use std::fmt;
use std::sync::Arc;

use super::watch::{AnyWatchers, End, Watcher, Watchers};
use crate::channel::{
    Core, ExclusivePublisher, PublisherError, Settings, SubscribeError, System, Topic,
    TopicSnapshot, WaitStrategy,
};
use crate::sync::{self, Mutex};

/// An event channel of many publishers in which each has a ring of its own, a lane; readers merge them.
///
/// Publishers of a [`Topic`] make one order of all their events, and pay for it with a word that they all
/// write. Lanes keep the order of each publisher's events only: between those of two publishers there is
/// none, and in return a publisher shares nothing with the others.
///
/// A lane is made by [`publisher`](Self::publisher), and closes when that publisher is dropped; what it
/// published is still delivered. A [`MergedSubscriber`](crate::MergedSubscriber) reads the lanes there are
/// and those that come, and each lane as it would read a topic: lossless, if it is, from
/// [`subscribe`](Self::subscribe) on, each a full capacity behind at the most.
///
/// ```
/// use ringbus::{Bus, RecvError};
///
/// let bus = Bus::new();
/// let ticks = bus.lanes::<u32>("ticks")?;
/// let mut subscriber = ticks.subscribe();
///
/// let publishers = [(10, ticks.publisher()?), (20, ticks.publisher()?)];
/// let threads = publishers.map(|(first, mut publisher)| {
///     std::thread::spawn(move || (first..first + 3).try_for_each(|tick| publisher.publish(tick).map(drop)))
/// });
/// for thread in threads {
///     thread.join().unwrap()?;
/// }
///
/// let mut seen = vec![];
/// let error = loop {
///     match subscriber.recv() {
///         Ok(delivery) => seen.push((delivery.topic.to_string(), delivery.event)),
///         Err(error) => break error,
///     }
/// };
/// assert_eq!(error, RecvError::Closed); // the last publisher is gone
/// let of = |lane: &str| seen.iter().filter(|(topic, _)| topic == lane).map(|(_, tick)| *tick).collect::<Vec<_>>();
/// assert_eq!((of("ticks#0"), of("ticks#1")), (vec![10, 11, 12], vec![20, 21, 22]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Closing
///
/// Lanes close with [`close`](Self::close), with their bus, and when the last publisher is dropped, unless
/// they were opened with [`keep_open`](crate::TopicBuilder::keep_open); those that never had a publisher stay
/// open. Then there is no publisher to be had any more, and readers are told so when they have read
/// everything.
pub struct Lanes<T: Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
}

struct Shared<T: Send + Sync + 'static> {
    name: Option<Box<str>>,
    settings: Settings,
    system: sync::Arc<System>,
    state: Mutex<State<T>>,
}

/// Under a lock that is never held while user code runs; so no lane is closed or dropped under it.
struct State<T: Send + Sync + 'static> {
    /// Closed by somebody, not by itself.
    closed: bool,
    /// The number of the next lane.
    next: u64,
    /// Those that are open, and those that somebody has still to read.
    lanes: Vec<Topic<T>>,
    watchers: Watchers<T>,
}

impl<T: Send + Sync + 'static> Lanes<T> {
    pub(crate) fn new(name: Option<&str>, settings: Settings, system: &sync::Arc<System>) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: name.map(Box::from),
                settings,
                system: sync::Arc::clone(system),
                state: Mutex::new(State {
                    closed: false,
                    next: 0,
                    lanes: Vec::new(),
                    watchers: Watchers::new(),
                }),
            }),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Their name; `None` if they are found by their type alone.
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// How many events of one lane a subscriber may be behind, until the lane has
    /// [grown](crate::TopicBuilder::grow_to); a power of two.
    pub fn capacity(&self) -> usize {
        self.settings().capacity
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.settings().wait
    }

    /// The only publisher of a new lane.
    ///
    /// Its lane is named after the lanes, `#` and a number, from 0 on; so snapshots and readers show it.
    ///
    /// # Errors
    ///
    /// When the lanes are closed, or have more lossy subscribers than a ring of their capacity takes.
    pub fn publisher(&self) -> Result<ExclusivePublisher<T>, PublisherError> {
        let Shared {
            name,
            settings,
            system,
            state,
        } = &*self.shared;
        let _held = system.hold();
        let mut state = state.lock();
        let gone = state.take_gone();
        if state.is_closed(settings) {
            drop(state);
            self.part_with(gone);
            return Err(PublisherError::Closed);
        }
        let name = format!("{}#{}", name.as_deref().unwrap_or_default(), state.next);
        let settings = Settings {
            // It has one publisher, and ends with it.
            keep_open: false,
            ..*settings
        };
        let lane = Topic::of(Core::new(Some(&name), settings));
        lane.core().wire_to(system);
        let (told, joined) = state.watchers.tell(&lane);
        if joined.is_ok() {
            state.next += 1;
            state.lanes.push(lane.clone());
        }
        // Under the lock, as a lane without a publisher would stay open.
        let publisher = lane.exclusive_publisher();
        drop(state);
        self.part_with(gone);
        let outcome = match joined {
            Ok(()) => publisher,
            Err(SubscribeError::TooManyLossy(limit)) => {
                // For those that had joined.
                drop(publisher);
                Err(PublisherError::TooManyLossy(limit))
            }
            Err(_) => unreachable!("a new lane is joined at its first sequence"),
        };
        drop(told);
        outcome
    }

    /// Joins a watcher to the open lanes and to those that come.
    pub(crate) fn watch(&self, watcher: &Arc<dyn Watcher<T>>) -> Result<(), SubscribeError> {
        let _held = self.shared.system.hold();
        let mut state = self.shared.state.lock();
        let closed = state.is_closed(self.settings());
        let mut lanes = state.lanes.iter().filter(|lane| !lane.is_closed());
        // Its reader is the caller, who does not sleep.
        let joined = lanes.try_for_each(|lane| watcher.join(lane, false).map(drop));
        if joined.is_ok() && !closed {
            state.watchers.enter(None, watcher);
        }
        drop(state);
        if closed {
            watcher.end();
        }
        joined
    }

    /// Closes every lane, and gives out no publisher any more.
    pub fn close(&self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        let lanes = state.lanes.clone();
        let watchers = std::mem::replace(&mut state.watchers, Watchers::new());
        let ends: Vec<End> = watchers.ends();
        drop(state);
        lanes.iter().for_each(Topic::close);
        ends.into_iter().for_each(|end| end());
    }

    /// Whether there is no publisher to be had any more. Subscribers may still have something to read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.state.lock().is_closed(self.settings())
    }

    /// Forgets the lanes that nobody reads any more.
    #[cfg(feature = "metrics")]
    pub(crate) fn tidy(&self) {
        let gone = self.shared.state.lock().take_gone();
        self.part_with(gone);
    }

    /// Drops lanes without a lock.
    fn part_with(&self, gone: Vec<Topic<T>>) {
        #[cfg(feature = "metrics")]
        for lane in &gone {
            self.shared.system.ledger().keep_topic(&lane.snapshot());
        }
        drop(gone);
    }

    pub(crate) fn snapshots(&self) -> Vec<TopicSnapshot> {
        let mut state = self.shared.state.lock();
        let gone = state.take_gone();
        let lanes = state.lanes.clone();
        drop(state);
        self.part_with(gone);
        lanes.iter().map(Topic::snapshot).collect()
    }
}

impl<T: Send + Sync + 'static> State<T> {
    /// Nobody is told when the last lane closes: whoever follows the lanes reads that one, learns of its
    /// close, and then asks.
    fn is_closed(&self, settings: &Settings) -> bool {
        let abandoned = self.next > 0 && self.lanes.iter().all(Topic::is_closed);
        self.closed || abandoned && !settings.keep_open
    }

    /// The lanes that have closed and that nobody reads any more, to be dropped without the lock.
    fn take_gone(&mut self) -> Vec<Topic<T>> {
        let gone = |lane: &mut Topic<T>| lane.is_closed() && !lane.is_read();
        self.lanes.extract_if(.., gone).collect()
    }
}

impl<T: Send + Sync + 'static> Clone for Lanes<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Lanes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("name", &self.name())
            .field("event", &std::any::type_name::<T>())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
