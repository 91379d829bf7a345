//! Topics by type and name.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use crate::channel::{Core, Settings, Topic, TopicSnapshot};
use crate::sync::Mutex;

/// The open topics of a bus.
///
/// The lock is never held while a topic is closed or dropped: events may be dropped with it, and their
/// `Drop` is user code.
#[derive(Debug)]
pub(crate) struct Registry {
    topics: Mutex<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    closed: bool,
    by_key: HashMap<Key, Box<dyn AnyTopic>>,
}

/// Topics of one name and different types are different topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    event: TypeId,
    name: Option<Box<str>>,
}

/// A topic whose event type is forgotten.
trait AnyTopic: Any + Send + Sync + std::fmt::Debug {
    fn close(&self);
    fn is_closed(&self) -> bool;
    fn snapshot(&self) -> TopicSnapshot;
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

    fn snapshot(&self) -> TopicSnapshot {
        self.snapshot()
    }

    fn share(&self) -> Box<dyn AnyTopic> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            topics: Mutex::new(Topics::default()),
        }
    }

    /// The open topic of this type and name, or a new one with these settings; `true` if it is new.
    ///
    /// On a closed bus it is a new one, closed and not kept.
    pub(crate) fn open<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        settings: Settings,
    ) -> (Topic<T>, bool) {
        let key = Key {
            event: TypeId::of::<T>(),
            name: name.map(Box::from),
        };
        let mut topics = self.topics.lock();
        let known = topics.by_key.get(&key).filter(|topic| !topic.is_closed());
        if let Some(topic) = known {
            let topic = topic
                .as_any()
                .downcast_ref::<Topic<T>>()
                .expect("the key holds the type");
            return (topic.clone(), false);
        }
        let topic = Topic::of(Core::new(name, settings));
        let replaced = if topics.closed {
            topic.close();
            None
        } else {
            topics.by_key.insert(key, Box::new(topic.clone()))
        };
        drop(topics);
        drop(replaced);
        (topic, true)
    }

    /// Adds a topic unless one of this type and name is open; tells whether it did.
    ///
    /// On a closed bus it is closed, and not kept.
    pub(crate) fn add<T: Send + Sync + 'static>(
        &self,
        name: Option<&str>,
        topic: &Topic<T>,
    ) -> bool {
        let key = Key {
            event: TypeId::of::<T>(),
            name: name.map(Box::from),
        };
        let mut topics = self.topics.lock();
        if topics.closed {
            drop(topics);
            topic.close();
            return true;
        }
        let known = topics.by_key.get(&key).filter(|topic| !topic.is_closed());
        if known.is_some() {
            return false;
        }
        let replaced = topics.by_key.insert(key, Box::new(topic.clone()));
        drop(topics);
        drop(replaced);
        true
    }

    /// Closes every topic, and whatever is opened later. The topics stay listed for the last snapshots.
    pub(crate) fn close(&self) {
        self.topics.lock().closed = true;
        for topic in self.shared() {
            topic.close();
        }
    }

    fn shared(&self) -> Vec<Box<dyn AnyTopic>> {
        let topics = self.topics.lock();
        topics.by_key.values().map(|topic| topic.share()).collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.topics.lock().closed
    }

    /// Every topic's numbers, by name and type.
    pub(crate) fn snapshot(&self) -> Vec<TopicSnapshot> {
        let mut snapshots: Vec<_> = self.shared().iter().map(|topic| topic.snapshot()).collect();
        snapshots
            .sort_by(|one, other| (&one.name, one.type_name).cmp(&(&other.name, other.type_name)));
        snapshots
    }
}
