//! Topics by type and name.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::error::TopicError;
use super::lanes::Lanes;
use super::pattern::Pattern;
use super::watch::{AnyWatchers, End, Watcher, Watchers};
use crate::channel::{Core, Settings, SubscribeError, System, Timeline, Topic, TopicSnapshot};
use crate::sync::{self, Mutex, MutexGuard};

/// The open topics of a bus.
///
/// The lock is never held while a topic is closed or dropped: events may be dropped with it, and their
/// `Drop` is user code.
///
/// Who follows a pattern is joined to a new topic under the lock, before anybody has the topic's handle; and
/// to the topics that are there when it enters, also under the lock. So it misses nothing in between, and
/// publishing never asks who follows.
#[derive(Debug)]
pub(crate) struct Registry {
    topics: Mutex<Topics>,
    system: sync::Arc<System>,
}

#[derive(Debug, Default)]
struct Topics {
    closed: bool,
    by_key: HashMap<Key, Box<dyn AnyTopic>>,
    /// By event type.
    watchers: HashMap<TypeId, Box<dyn AnyWatchers>>,
}

/// Topics of one name and different types are different topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    event: TypeId,
    name: Option<Box<str>>,
}

/// Stands for the lanes of an event type in a [`Key`]; no event is of this type.
struct LanesOf<T>(PhantomData<fn() -> T>);

/// A topic or a set of lanes whose event type is forgotten.
trait AnyTopic: Any + Send + Sync + std::fmt::Debug {
    fn close(&self);
    fn is_closed(&self) -> bool;
    fn snapshots(&self) -> Vec<TopicSnapshot>;
    /// Forgets what nobody will use any more.
    #[cfg(feature = "metrics")]
    fn tidy(&self) {}
    fn share(&self) -> Box<dyn AnyTopic>;
    fn as_any(&self) -> &dyn Any;
}

impl<T: Send + Sync + 'static> AnyTopic for Topic<T> {
    fn close(&self) {
        self.close();
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn snapshots(&self) -> Vec<TopicSnapshot> {
        vec![self.snapshot()]
    }

    fn share(&self) -> Box<dyn AnyTopic> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<T: Send + Sync + 'static> AnyTopic for Lanes<T> {
    #[cfg(feature = "metrics")]
    fn tidy(&self) {
        self.tidy();
    }

    fn close(&self) {
        self.close();
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }

    fn snapshots(&self) -> Vec<TopicSnapshot> {
        self.snapshots()
    }

    fn share(&self) -> Box<dyn AnyTopic> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Topics {
    /// What is open under a key.
    fn find<H: 'static>(&self, key: &Key) -> Option<&H> {
        let known = self.by_key.get(key).filter(|topic| !topic.is_closed())?;
        let handle = known.as_any().downcast_ref::<H>();
        Some(handle.expect("the key holds the type"))
    }

    fn watchers<T: Send + Sync + 'static>(&mut self) -> &mut Watchers<T> {
        let watchers = self
            .watchers
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Box::new(Watchers::<T>::new()));
        let watchers: &mut dyn Any = &mut **watchers;
        watchers.downcast_mut().expect("the key is the type")
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            topics: Mutex::new(Topics::default()),
            system: System::new(),
        }
    }

    /// Where the bus is told what happens on it.
    pub(crate) fn system(&self) -> &sync::Arc<System> {
        &self.system
    }

    /// The open topic of this type and name, or a new one with these settings; `true` if it is new.
    ///
    /// On a closed bus it is a new one, closed and not kept. Refused when a watcher cannot join.
    pub(crate) fn open<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        settings: Settings,
    ) -> Result<(Topic<T>, bool), TopicError> {
        self.open_on(name, settings, None)
    }

    /// As [`open`](Self::open); a new topic is on this timeline.
    pub(crate) fn open_on<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        settings: Settings,
        timeline: Option<&Timeline>,
    ) -> Result<(Topic<T>, bool), TopicError> {
        self.open_or(name, || {
            Topic::of(match timeline {
                Some(timeline) => Core::on_timeline(name, settings, timeline.sequencer()),
                None => Core::new(name, settings),
            })
        })
    }

    /// As `open`; a new topic is a state with this initial value.
    pub(crate) fn open_state<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        settings: Settings,
        initial: T,
    ) -> Result<(Topic<T>, bool), TopicError> {
        self.open_or(name, || Topic::of(Core::of_state(name, settings, initial)))
    }

    /// The open topic of this type and name, or what `make` makes; what it holds is dropped without the lock.
    fn open_or<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        make: impl FnOnce() -> Topic<T>,
    ) -> Result<(Topic<T>, bool), TopicError> {
        let key = Key {
            event: TypeId::of::<T>(),
            name: name.map(Box::from),
        };
        let topics = self.topics.lock();
        if let Some(topic) = topics.find::<Topic<T>>(&key) {
            return Ok((topic.clone(), false));
        }
        let _held = self.system.hold();
        self.enter(topics, key, make()).map(|topic| (topic, true))
    }

    /// Adds a topic unless one of this type and name is open; tells whether it did.
    ///
    /// As `open`, on a closed bus and when a watcher cannot join.
    pub(crate) fn add<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        topic: &Topic<T>,
    ) -> Result<bool, TopicError> {
        let key = Key {
            event: TypeId::of::<T>(),
            name: name.map(Box::from),
        };
        let topics = self.topics.lock();
        if topics.find::<Topic<T>>(&key).is_some() {
            return Ok(false);
        }
        let _held = self.system.hold();
        self.enter(topics, key, topic.clone()).map(|_| true)
    }

    /// Keeps a new topic, and tells those who watch for its name.
    fn enter<T: Send + Sync + 'static>(
        &self,
        mut topics: MutexGuard<'_, Topics>,
        key: Key,
        topic: Topic<T>,
    ) -> Result<Topic<T>, TopicError> {
        if topics.closed {
            drop(topics);
            topic.close();
            return Ok(topic);
        }
        topic.core().wire_to(&self.system);
        let (told, joined) = topics.watchers::<T>().tell(&topic);
        let replaced = match joined {
            Ok(()) => topics.by_key.insert(key, Box::new(topic.clone())),
            Err(_) => None,
        };
        drop(topics);
        #[cfg(feature = "metrics")]
        if let Some(replaced) = &replaced {
            self.keep(&**replaced);
        }
        drop(replaced);
        if joined.is_err() {
            // For those that had joined.
            topic.close();
        }
        drop(told);
        match joined {
            Ok(()) => Ok(topic),
            Err(SubscribeError::TooManyLossy(limit)) => Err(TopicError::TooManyLossy(limit)),
            Err(_) => unreachable!("a new topic is joined at its first sequence"),
        }
    }

    /// The open lanes of this type and name, or new ones with these settings; `true` if they are new.
    ///
    /// On a closed bus they are new ones, closed and not kept.
    pub(crate) fn open_lanes<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        settings: Settings,
    ) -> (Lanes<T>, bool) {
        let key = Key {
            event: TypeId::of::<LanesOf<T>>(),
            name: name.map(Box::from),
        };
        let mut topics = self.topics.lock();
        if let Some(lanes) = topics.find::<Lanes<T>>(&key) {
            return (lanes.clone(), false);
        }
        let lanes = Lanes::new(name, settings, &self.system);
        let replaced = if topics.closed {
            lanes.close();
            None
        } else {
            topics.by_key.insert(key, Box::new(lanes.clone()))
        };
        drop(topics);
        #[cfg(feature = "metrics")]
        if let Some(replaced) = &replaced {
            self.keep(&**replaced);
        }
        drop(replaced);
        (lanes, true)
    }

    /// Keeps the numbers of what is forgotten.
    #[cfg(feature = "metrics")]
    fn keep(&self, replaced: &dyn AnyTopic) {
        if self.system.ledger().is_kept() {
            let snapshots = replaced.snapshots();
            snapshots
                .iter()
                .for_each(|topic| self.system.ledger().keep_topic(topic));
        }
    }

    /// Joins a watcher to the open topics whose names match, and to those that will be opened.
    pub(crate) fn watch<T: Send + Sync + 'static>(
        &self,
        pattern: Pattern,
        watcher: &Arc<dyn Watcher<T>>,
    ) -> Result<(), SubscribeError> {
        let _held = self.system.hold();
        let mut topics = self.topics.lock();
        for (key, topic) in &topics.by_key {
            let name = key.name.as_deref().filter(|name| pattern.matches(name));
            if key.event != TypeId::of::<T>() || name.is_none() || topic.is_closed() {
                continue;
            }
            let topic = topic.as_any().downcast_ref::<Topic<T>>();
            // Its reader is the caller, who does not sleep.
            watcher.join(topic.expect("the key holds the type"), false)?;
        }
        let closed = topics.closed;
        if !closed {
            topics.watchers::<T>().enter(Some(pattern), watcher);
        }
        drop(topics);
        if closed {
            watcher.end();
        }
        Ok(())
    }

    /// Closes every topic, and whatever is opened later. The topics stay listed for the last snapshots.
    pub(crate) fn close(&self) {
        self.system.close();
        let mut topics = self.topics.lock();
        topics.closed = true;
        let watchers = std::mem::take(&mut topics.watchers);
        let ends: Vec<End> = watchers
            .values()
            .flat_map(|watchers| watchers.ends())
            .collect();
        drop(topics);
        for topic in self.shared() {
            topic.close();
        }
        ends.into_iter().for_each(|end| end());
    }

    fn shared(&self) -> Vec<Box<dyn AnyTopic>> {
        let topics = self.topics.lock();
        topics.by_key.values().map(|topic| topic.share()).collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.topics.lock().closed
    }

    /// Has all that has gone be kept by the ledger.
    #[cfg(feature = "metrics")]
    pub(crate) fn tidy(&self) {
        self.shared().iter().for_each(|topic| topic.tidy());
    }

    /// How many topics and sets of lanes there are.
    pub(crate) fn len(&self) -> usize {
        self.topics.lock().by_key.len()
    }

    /// Every topic's numbers, by name and type.
    pub(crate) fn snapshot(&self) -> Vec<TopicSnapshot> {
        let mut snapshots: Vec<_> = self
            .shared()
            .iter()
            .flat_map(|topic| topic.snapshots())
            .collect();
        snapshots
            .sort_by(|one, other| (&one.name, one.type_name).cmp(&(&other.name, other.type_name)));
        snapshots
    }
}
